"""Libraries whose models `model.architecture` can name: `"<library>/<model>"`.

A new one is a module with a function of the configuration's `[model]`, what its checkpoint
holds, and the configuration's path, and a line in `LIBRARIES`; one with a text encoder has a line
in `CLIPS` as well. Without a prefix, an architecture is torchvision's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from auditor.configuration import ModelConfig
from auditor.errors import ModelError
from auditor.models.checkpoints import Checkpoint, read_checkpoint
from auditor.models.classifier import Classifier
from auditor.models.clip import Clip
from auditor.models.open_clip_models import load_open_clip, read_open_clip
from auditor.models.timm_models import load_timm
from auditor.models.transformers_models import load_transformers, read_transformers_clip

LIBRARIES: Mapping[str, Callable[[ModelConfig, Checkpoint | None, Path], Classifier]] = {
    "open_clip": load_open_clip,
    "timm": load_timm,
    "transformers": load_transformers,
}
CLIPS: Mapping[str, Callable[[ModelConfig, Path], Clip]] = {
    "open_clip": read_open_clip,
    "transformers": read_transformers_clip,
}


def library_of(model: ModelConfig, path: Path) -> str | None:
    """The library that `model.architecture` names before its slash; None for torchvision.

    `path` is the configuration. Raises `ModelError` for an unknown one, and for prompts beside
    an architecture that has no text encoder.
    """
    library, slash, name = (model.architecture or "").partition("/")
    if slash and (library not in LIBRARIES or not name):
        raise ModelError(
            f"{path}: model.architecture {model.architecture!r} names no library and model; write "
            f"one of {', '.join(f'{known}/<model>' for known in LIBRARIES)}, or the name of a "
            "torchvision model alone."
        )
    if model.prompts is not None and (not slash or library not in CLIPS):
        raise ModelError(
            f"{path}: [model.prompts] is given, but {model.architecture or 'the model'} has no "
            f"text encoder; drop it, or name a CLIP model of {' or '.join(CLIPS)}."
        )
    return library if slash else None


def load_clip(architecture: str, weights: str | None = None) -> Clip:
    """A CLIP model by itself, on the CPU, as `auditor hint` takes it.

    `weights` is a local file, or a tag of published weights; None where the architecture brings
    its own. Relative paths start from the working directory. Raises `ModelError`.
    """
    file = Path(weights) if weights and Path(weights).exists() else None
    model = ModelConfig(
        architecture=architecture, checkpoint=file, weights=None if file else weights
    )
    asked = Path("--model")
    library = library_of(model, asked)
    if library is None or library not in CLIPS:
        raise ModelError(
            f"--model {architecture!r} has no text encoder; name a CLIP model, such as "
            "open_clip/RN50 or transformers/<folder>."
        )
    if library == "open_clip" and weights is None and ":" not in architecture:
        raise ModelError(
            f"--weights is not given, so {architecture} would be untrained; give a local state "
            "dict, or a tag of published weights."
        )
    if file is not None:
        read_checkpoint(file)  # for its messages: what it refuses would run code
    clip = CLIPS[library](model, asked)
    clip.images.eval()
    return clip
