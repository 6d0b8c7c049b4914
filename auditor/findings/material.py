"""What the findings of a run are drawn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from auditor.findings.effects import Shift
from auditor.language import Words
from auditor.types import Floats


@dataclass(frozen=True)
class MapChecks:
    """What a sample of images says of the maps themselves.

    Likeness is Spearman's rank correlation over the cells of two maps of one image, averaged over
    the images; unrelated maps have 0, whatever the grid. Intervals are 95 %, over the images;
    null with fewer than two images that have the figure.
    """

    randomised: tuple[float, ...]
    """Likeness of the predicted class's maps to those of the same network after its weights were
    replaced by random ones, from the last layer down, stage by stage; averaged over draws, each
    looked at with its logits as they are and with their sign turned. NaN where undefined, empty
    where nothing could be randomised."""
    classes: float | None
    """Likeness of the predicted class's map to the contrast class's; null where no image has
    both."""
    noise: float | None
    """Likeness of the margin maps to those after a little noise on the image."""
    n: int
    """Images in the sample whose map of the predicted class is defined and not the same in every
    cell."""
    randomised_intervals: tuple[tuple[float, float] | None, ...] = ()
    """Of each stage."""
    unsigned: tuple[float, ...] = ()
    """Likeness up to sign of the margin maps to those of the randomised network, of each stage:
    the root of the mean squared rank correlation, above its chance of 1 / (cells - 1)."""
    unsigned_intervals: tuple[tuple[float, float] | None, ...] = ()
    """Of each stage."""
    classes_interval: tuple[float, float] | None = None
    noise_interval: tuple[float, float] | None = None
    stages: tuple[str, ...] = ()
    """The module nearest to the input that each stage randomises; all above it are random too."""
    reasons: Mapping[str, Words] = field(default_factory=dict)
    """Why a figure is null, by its name ("randomised", "classes", "noise"): the end of a sentence
    that says that it could not be measured."""


@dataclass(frozen=True)
class Probed:
    """Features of regions alone, of a sample of images."""

    rows: NDArray[np.intp]
    """[images] positions in `Material.cases`."""
    features: Mapping[str, Floats]
    """Region name (cues, and "background" or "unannotated") to [images, features]; rows of NaN
    where the image does not show the region."""


@dataclass(frozen=True)
class Tie:
    """A cue that is exchanged for that of images with another value of an attribute."""

    cue: str
    attribute: str
    named: bool
    """Whether the configuration ties them, rather than every attribute being tried."""


@dataclass(frozen=True)
class Material:
    """Everything that `conclude` looks at.

    `cases` needs `label`, `predicted`, `correct`, `status`, `margin`, `flag`, `cue`, `evidence`,
    `map_evidence`, `map_cue`, `passes`, `reason`, `stratum`, `attribute.<name>`, and `status`,
    `mass`, `area`, `best_p` and `margin_excess` of the subject and of each cue (`mass.<region>`);
    `cluster`, if it has it, says which cases belong together. `classes` are the model's, in the
    order of its outputs.
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
    shifts: tuple[Shift, ...] = ()
    """What changing each cue set did; empty where nothing was changed."""
    ties: tuple[Tie, ...] = ()
    """The cues that donors were chosen for, with the attribute; empty where nothing was changed."""
