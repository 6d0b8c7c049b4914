"""What the cue does to a model, known from drawing every scene again with only the cue changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auditor.models import Classifier
from auditor.scenes import CUES, LABELS, Scene, draw
from auditor.statistics import mean_interval
from auditor.study.cells import predict
from auditor.types import Floats


@dataclass(frozen=True)
class Truth:
    """The truth about one model and its test scenes; [scenes] each but the last two.

    The margin is the logit of the predicted class minus that of the label (of a correct
    scene: the runner-up), of the scene as it is.
    """

    predicted: NDArray[np.intp]
    margin: NDArray[np.float64]
    effect: NDArray[np.float64]
    """The true D: what changing the cue takes from the margin."""
    caused: NDArray[np.bool_]
    """Misclassified, and right once the cue is changed."""
    average: float
    """Mean change of the first logit minus the second from the cue's second value to its first."""
    interval: tuple[float, float]
    """95 % interval of `average` over scenes."""


def swapped(scene: Scene) -> Scene:
    """The same scene with the cue's other value."""
    values = CUES[scene.cue].values
    return replace(scene, value=values[1 - values.index(str(scene.value))])


def truth(
    before: Floats, after: Floats, labels: NDArray[np.intp], first: NDArray[np.bool_]
) -> Truth:
    """From logits [scenes, classes] of the scenes and of the same with the cue changed.

    `first` says which scenes show the cue's first value.
    """
    before, after = np.asarray(before, np.float64), np.asarray(after, np.float64)
    rows = np.arange(len(labels))
    order = np.argsort(-before, axis=1, kind="stable")
    predicted = order[:, 0]
    contrast = np.where(predicted == labels, order[:, 1], labels)
    margin = before[rows, predicted] - before[rows, contrast]
    left = after[rows, predicted] - after[rows, contrast]
    change = (before[:, 0] - before[:, 1]) - (after[:, 0] - after[:, 1])
    signed = np.where(first, change, -change)
    interval = mean_interval(signed)
    assert interval is not None  # over more than one scene
    return Truth(
        predicted,
        margin,
        margin - left,
        (predicted != labels) & (after.argmax(1) == labels),
        float(signed.mean()),
        interval,
    )


def known(classifier: Classifier, scenes: Sequence[Scene], side: int) -> Truth:
    """Draw the scenes both ways, and ask the classifier."""
    before, after = (
        predict(classifier, np.stack([draw(scene, side).pixels for scene in drawn]))
        for drawn in (scenes, [swapped(scene) for scene in scenes])
    )
    return truth(
        before,
        after,
        np.array([LABELS.index(scene.label) for scene in scenes]),
        np.array([scene.value == CUES[scene.cue].values[0] for scene in scenes]),
    )
