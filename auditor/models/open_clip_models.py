"""CLIP models of OpenCLIP: `architecture = "open_clip/<name>"`."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from auditor.configuration import ModelConfig
from auditor.errors import ModelError
from auditor.geometry import Preprocess
from auditor.models.assembling import origin_of
from auditor.models.checkpoints import Checkpoint
from auditor.models.classifier import Classifier
from auditor.models.clip import Clip, zero_shot
from auditor.models.downloads import downloading
from auditor.models.extras import extra, version_of

_FOLDER, _HUB = "local-dir:", "hf-hub:"


def load_open_clip(model: ModelConfig, _checkpoint: Checkpoint | None, path: Path) -> Classifier:
    """The zero-shot classifier of a configuration. Raises `ModelError`."""
    return zero_shot(read_open_clip(model, path), model, path)


def read_open_clip(model: ModelConfig, path: Path) -> Clip:
    """Both encoders, with weights from a local file, from a tag's download, or from a folder.

    `open_clip/local-dir:<folder>` and `open_clip/hf-hub:<id>` bring their own weights. `path` is
    the configuration; relative folders start beside it. Raises `ModelError`.
    """
    library = extra("open_clip", "clip")
    assert model.architecture is not None
    name, weights, gelu = _source(library, model, path)
    with downloading(wanted=_is_remote(library, name, model)) as hub:
        try:
            loaded = library.create_model(
                name,
                pretrained=weights,
                force_quick_gelu=gelu,
                require_pretrained=True,
                pretrained_text=False,
                weights_only=True,
            )
            tokenizer = library.get_tokenizer(name)
        except Exception as error:  # noqa: BLE001 - the hub's client and OpenCLIP raise of every kind
            raise ModelError(
                f"{path}: {model.architecture} could not be loaded with "
                f"{model.checkpoint or model.weights or 'its own weights'}: {hub.cause(error)}. "
                "Correct model.architecture or the weights; on a machine without a connection "
                "give a local state dict as model.checkpoint, or architecture = "
                f'"open_clip/local-dir:<folder>".{hub.remedy}'
            ) from None
    loaded.eval()
    bias = getattr(loaded, "logit_bias", None)
    if model.preprocess.whole:
        preprocess = Preprocess()
    else:
        preprocess = _preprocess(loaded.visual.preprocess_cfg, path)
    return Clip(
        images=loaded.visual,
        texts=_texts(library, loaded, tokenizer),
        scale=float(loaded.logit_scale.detach().exp()),
        bias=0.0 if bias is None else float(bias.detach()),
        preprocess=preprocess,
        origin=origin_of(
            model, architecture=model.architecture, library=version_of("open_clip_torch")
        ),
    )


def _source(library: ModuleType, model: ModelConfig, path: Path) -> tuple[str, str | None, bool]:
    """What OpenCLIP calls the model and its weights, and whether they need QuickGELU."""
    assert model.architecture is not None
    name = model.architecture.partition("/")[2]
    if name.startswith((_FOLDER, _HUB)):
        if model.checkpoint or model.weights:
            raise ModelError(
                f"{path}: model.{'checkpoint' if model.checkpoint else 'weights'} is given beside "
                f"{model.architecture}, which brings its own weights; drop it."
            )
        if name.startswith(_FOLDER):
            folder = path.parent / Path(name.removeprefix(_FOLDER)).expanduser()
            return f"{_FOLDER}{folder}", None, False
        return name, None, False
    known = library.list_models()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3)
        raise ModelError(
            f"{path}: model.architecture 'open_clip/{name}': OpenCLIP has no model {name!r}; "
            + (
                f"did you mean open_clip/{' or open_clip/'.join(near)}?"
                if near
                else "see open_clip.list_models()."
            )
        )
    if model.checkpoint is not None:
        return name, str(model.checkpoint), False
    tags = library.list_pretrained_tags_by_model(name)
    if model.weights is None:
        raise ModelError(
            f"{path}: gives neither checkpoint nor weights, so open_clip/{name} would be "
            f'untrained; add checkpoint = "file.pt" or weights = "{tags[0] if tags else "<tag>"}".'
        )
    if model.weights not in tags:
        raise ModelError(
            f"{path}: model.weights {model.weights!r} does not exist for open_clip/{name}; it has "
            f"{', '.join(tags) or 'none'}. A local file is given as model.checkpoint."
        )
    # Weights that were trained with QuickGELU give other embeddings without it; OpenCLIP warns.
    told = library.get_pretrained_cfg(name, model.weights)
    return name, model.weights, bool(told.get("quick_gelu"))


def _is_remote(library: ModuleType, name: str, model: ModelConfig) -> bool:
    """Whether weights, or a text tower's tokenizer, come from the hub."""
    if name.startswith((_FOLDER, _HUB)):
        return name.startswith(_HUB)
    texts = library.get_model_config(name)["text_cfg"]
    # OpenCLIP downloads SigLIP's tokenizers from elsewhere, and the others come with it.
    return model.weights is not None or bool(
        texts.get("hf_model_name") or texts.get("hf_tokenizer_name")
    )


def _texts(library: ModuleType, loaded: Any, tokenizer: Any) -> Callable[[Sequence[str]], Tensor]:
    def texts(sentences: Sequence[str]) -> Tensor:
        for sentence in sentences:
            length = _length(library, tokenizer, sentence)
            if length > tokenizer.context_length:
                raise ModelError(
                    f"the prompt {sentence!r} has {length} tokens, and the text encoder reads "
                    f"{tokenizer.context_length}; shorten it."
                )
        with torch.no_grad():
            embedded: Tensor = loaded.encode_text(tokenizer(list(sentences)))
        return embedded

    return texts


def _length(library: ModuleType, tokenizer: Any, sentence: str) -> int:
    """How many tokens a sentence has before the tokenizer cuts it off."""
    if not isinstance(tokenizer, library.tokenizer.HFTokenizer):
        return len(tokenizer.encode(sentence)) + 2  # its start and its end
    # One of Transformers, which SigLIP models come with; it cuts without a word.
    return len(tokenizer.tokenizer(tokenizer.clean_fn(sentence))["input_ids"])


def _preprocess(told: Mapping[str, Any], path: Path) -> Preprocess:
    """OpenCLIP's evaluation transform, as far as Auditor's steps can do the same."""
    size = told["size"]
    height, width = (size, size) if isinstance(size, int) else size
    mode, wrong = told["resize_mode"], None
    if mode == "shortest" and height != width:
        wrong = f"crops to {height}×{width}, which is not square, keeping proportions"
    elif mode == "longest" and (told["fill_color"] != 0 or height != width):
        wrong = f"pads to {height}×{width} with the grey value {told['fill_color']}"
    if wrong:
        raise ModelError(
            f"{path}: OpenCLIP's own preprocessing of the model {wrong}, which [model.preprocess] "
            "cannot express; give resize, crop, mean and std there."
        )
    return Preprocess(
        resize=height if mode == "shortest" else (height, width),
        crop=height if mode == "shortest" else None,
        mean=tuple(told["mean"]),
        std=tuple(told["std"]),
        # OpenCLIP takes "random", a choice of training, for bicubic.
        interpolation="bilinear" if told["interpolation"] == "bilinear" else "bicubic",
        pad="square" if mode == "longest" else 0,
    )
