"""Classifiers and CLIP models of Hugging Face Transformers: `"transformers/<folder or id>"`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from auditor.configuration import ModelConfig
from auditor.errors import ModelError
from auditor.geometry import Preprocess
from auditor.hashing import file_sha256
from auditor.models.assembling import assembled
from auditor.models.checkpoints import Checkpoint
from auditor.models.classifier import Classifier
from auditor.models.clip import Clip, zero_shot
from auditor.models.downloads import Hub, downloading
from auditor.models.extras import extra, version_of
from auditor.models.image_processors import mapped

_GENERIC = re.compile(r"LABEL_\d+")
_CLIPS = {"clip": "CLIPModel", "siglip": "SiglipModel"}
"""The class of each model type that can be given prompts: an image encoder that takes pixels alone
and a text encoder, each ending in one vector."""


def load_transformers(model: ModelConfig, _checkpoint: Checkpoint | None, path: Path) -> Classifier:
    """The image classifier of a configuration, or with `[model.prompts]` its CLIP model.

    Classes default to the model's own, in the order of `config.id2label`, preprocessing to what
    its image processor does. Raises `ModelError`.
    """
    if model.prompts is not None:
        return zero_shot(read_transformers_clip(model, path), model, path)
    library = extra("transformers", "transformers")
    source = _source(model, path)
    with downloading(wanted=not Path(source).is_dir()) as hub:
        config = _read(library.AutoConfig, source, model, path, hub)
        if config.model_type in _CLIPS and not any(
            "Classification" in n for n in config.architectures or ()
        ):
            raise ModelError(
                f"{path}: {model.architecture} is a {_CLIPS[config.model_type]}, whose classes are "
                "sentences; add [model.prompts] (it may be empty) and model.classes."
            )
        module = _complete(library.AutoModelForImageClassification, source, model, path, hub)
        classes = _classes(config, model, path)
        preprocess = _preprocess(library, source, model, path, hub)
    return assembled(module, classes, model, preprocess, _origin(model, source), path)


def read_transformers_clip(model: ModelConfig, path: Path) -> Clip:
    """Both encoders of a CLIP or SigLIP model, its tokenizer and its image processor.

    `path` is the configuration; a relative folder starts beside it. Raises `ModelError`.
    """
    library = extra("transformers", "transformers")
    source = _source(model, path)
    with downloading(wanted=not Path(source).is_dir()) as hub:
        config = _read(library.AutoConfig, source, model, path, hub)
        if config.model_type not in _CLIPS:
            raise ModelError(
                f"{path}: {model.architecture} is a model of type {config.model_type!r}, and of "
                f"Transformers only {' and '.join(map(repr, _CLIPS))} can be given prompts; drop "
                "[model.prompts], or take the model from OpenCLIP."
            )
        kind = getattr(library, _CLIPS[config.model_type])
        loaded = _complete(kind, source, model, path, hub)
        tokenizer = _read(library.AutoTokenizer, source, model, path, hub)
        preprocess = _preprocess(library, source, model, path, hub)
    bias = getattr(loaded, "logit_bias", None)
    return Clip(
        images=_Images(loaded.vision_model, getattr(loaded, "visual_projection", None)),
        texts=_texts(loaded, tokenizer),
        scale=float(loaded.logit_scale.detach().exp()),
        bias=0.0 if bias is None else float(bias.detach()),
        preprocess=preprocess,
        origin=_origin(model, source),
    )


class _Images(nn.Module):
    """The image encoder: pixels to embeddings, which SigLIP's pooling ends in by itself."""

    def __init__(self, encoder: nn.Module, projection: nn.Module | None) -> None:
        super().__init__()
        self.encoder = encoder
        self.projection = projection

    def forward(self, images: Tensor) -> Tensor:
        pooled: Tensor = self.encoder(images).pooler_output
        return pooled if self.projection is None else self.projection(pooled)


def _texts(loaded: Any, tokenizer: Any) -> Callable[[Sequence[str]], Tensor]:
    most = loaded.config.text_config.max_position_embeddings
    projection = getattr(loaded, "text_projection", None)
    # SigLIP's text encoder gives what it has at the last place, padding included, and was trained
    # with all of its places filled.
    whole = projection is None

    def texts(sentences: Sequence[str]) -> Tensor:
        for sentence, ids in zip(sentences, tokenizer(list(sentences))["input_ids"], strict=True):
            if len(ids) > most:
                raise ModelError(
                    f"the prompt {sentence!r} has {len(ids)} tokens, and the text encoder reads "
                    f"{most}; shorten it."
                )
        tokens = tokenizer(
            list(sentences),
            padding="max_length" if whole else True,
            max_length=most if whole else None,
            return_tensors="pt",
        )
        # Some tokenizers give no mask: their models were trained to attend to the padding.
        given = {key: tokens[key] for key in ("input_ids", "attention_mask") if key in tokens}
        with torch.no_grad():
            pooled: Tensor = loaded.text_model(**given).pooler_output
            return pooled if projection is None else projection(pooled)

    return texts


def _source(model: ModelConfig, path: Path) -> str:
    """The folder that the configuration names, absolute, or else an id of the hub."""
    assert model.architecture is not None
    for key in ("checkpoint", "weights"):
        if getattr(model, key) is not None:
            raise ModelError(
                f"{path}: model.{key} is given beside {model.architecture}, which brings its own "
                "weights; drop it."
            )
    name = model.architecture.partition("/")[2]
    folder = path.parent / Path(name).expanduser()
    if folder.is_dir():
        return str(folder.resolve())
    if name.startswith((".", "/", "~")) or name.count("/") > 1:  # an id has one slash at most
        raise ModelError(
            f"{folder}: no such folder; correct model.architecture. It names a folder that "
            "save_pretrained wrote, or an id of the Hugging Face hub."
        )
    return name


def _only_data(source: str) -> dict[str, bool]:
    """No code of the model's own, without asking at the terminal; of a folder, its files alone."""
    return {"trust_remote_code": False, "local_files_only": Path(source).is_dir()}


def _read(kind: Any, source: str, model: ModelConfig, path: Path, hub: Hub, **options: Any) -> Any:
    """`from_pretrained`, of files alone where the source is a folder; its failures said plainly."""
    try:
        return kind.from_pretrained(source, **_only_data(source), **options)
    except Exception as error:  # noqa: BLE001 - the hub's client and loaders raise of every kind
        here = path.parent / source
        where = source if here.is_dir() else f"{source} (there is no folder {here})"
        raise ModelError(
            f"{path}: {model.architecture} could not be loaded from {where}: "
            f"{hub.cause(error)}. Correct model.architecture; on a machine without a connection, "
            "give a local folder that save_pretrained wrote, with config.json, the weights and "
            f"preprocessor_config.json.{hub.remedy}"
        ) from None


def _complete(kind: Any, source: str, model: ModelConfig, path: Path, hub: Hub) -> Any:
    """The model in single precision, every tensor of it read from the source."""
    module, told = _read(kind, source, model, path, hub, output_loading_info=True)
    missing = sorted({*told["missing_keys"], *(str(key) for key in told["mismatched_keys"])})
    if missing:
        raise ModelError(
            f"{path}: {model.architecture} has no weights for {len(missing)} tensors of the model, "
            f"such as {missing[0]!r}, so they would be random; name a model that was trained as "
            "what it is used for."
        )
    return module.float().eval()


def _classes(config: Any, model: ModelConfig, path: Path) -> tuple[str, ...]:
    own = tuple(str(config.id2label[number]) for number in sorted(config.id2label))
    given = model.classes
    if not given:
        return own
    generic = all(_GENERIC.fullmatch(name) for name in own)
    if len(given) == len(own) and given != own and not generic and set(given) == set(own):
        raise ModelError(
            f"{path}: {model.architecture} has the classes {list(own)}, but model.classes is "
            f"{list(given)}; leave the key out, or put it in that order."
        )
    return given


def _preprocess(
    library: ModuleType, source: str, model: ModelConfig, path: Path, hub: Hub
) -> Preprocess:
    if model.preprocess.whole:
        return Preprocess()
    try:
        processor = library.AutoImageProcessor.from_pretrained(source, **_only_data(source))
    except Exception as error:  # noqa: BLE001 - the hub's client and loaders raise of every kind
        raise ModelError(
            f"{path}: {model.architecture} says nothing that can be used about preprocessing "
            f"({hub.cause(error)}); add its preprocessor_config.json, or give resize, crop, mean "
            "and std in [model.preprocess]."
        ) from None
    try:
        return mapped(processor, str(model.architecture))
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None


def _origin(model: ModelConfig, source: str) -> Mapping[str, Any]:
    origin: dict[str, Any] = {
        "architecture": model.architecture,
        "library": version_of("transformers"),
    }
    folder = Path(source)
    if folder.is_dir():
        files = sorted(f for f in folder.iterdir() if f.suffix in (".safetensors", ".bin"))
        origin["files_sha256"] = {file.name: file_sha256(file) for file in files}
    return origin
