"""What the findings of a run are drawn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from auditor.types import Floats


@dataclass(frozen=True)
class MapChecks:
    """What a sample of images says of the maps themselves."""

    randomised: tuple[float, ...]
    """Mean rank correlation of the maps with those of the same network after its weights were
    replaced by random ones, from the last layer down, stage by stage; NaN where undefined."""
    classes: float | None
    """Mean rank correlation of the predicted class's map with the contrast class's; null where
    no image has both."""
    noise: float | None
    """Mean rank correlation of the maps with those after a little noise on the image."""
    n: int
    """Images in the sample that have maps."""


@dataclass(frozen=True)
class Probed:
    """Features of regions alone, of a sample of images."""

    rows: NDArray[np.intp]
    """[images] positions in `Material.cases`."""
    features: Mapping[str, Floats]
    """Region name (cues, and "background" or "unannotated") to [images, features]; rows of NaN
    where the image does not show the region."""


@dataclass(frozen=True)
class Material:
    """Everything that `conclude` looks at.

    `cases` needs `label`, `predicted`, `correct`, `status`, `flag`, `cue`, `evidence`, `quadrant`,
    `margin`, `status.<region>` of the subject and the cues, `best_p.<cue>`, `attribute.<name>`,
    `mass.<region>`, `margin_excess.<cue>` and `area.<region>`; `cluster`, if it has it, says
    which cases belong together. `classes` are the model's, in the order of its outputs.
    """

    cases: pd.DataFrame
    classes: tuple[str, ...]
    cues: tuple[str, ...]
    attributes: tuple[str, ...]
    layer: Mapping[str, Any]
    expected_accuracy: float | None = None
    training: Mapping[str, Any] | None = None
    """What the checkpoint records of its training."""
    seed: int = 0
    """Of bootstraps and permutations."""
    checks: MapChecks | None = None
    """None where no map could be made."""
    probed: Probed | None = None
