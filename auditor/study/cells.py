"""One cell of the study: an arm with a seed, trained and measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from auditor.models import Classifier
from auditor.models.architectures import build
from auditor.pipeline.training import train
from auditor.scenes import LABELS, Scene, draw
from auditor.statistics import mean_interval
from auditor.study.arms import Arm, test_scenes, training_scenes
from auditor.study.plan import Plan

_BATCH = 100


@dataclass
class Pool:
    """Scenes as the network takes them, each drawn once for all arms that use it."""

    plan: Plan
    drawn: dict[Scene, NDArray[np.uint8]] = field(default_factory=dict)

    def pixels(self, scenes: Sequence[Scene]) -> NDArray[np.uint8]:
        """[scenes, side, side, 3]."""
        for scene in scenes:
            if scene not in self.drawn:
                self.drawn[scene] = draw(scene, self.plan.side).pixels
        return np.stack([self.drawn[scene] for scene in scenes])


def train_arm(
    arm: Arm, seed: int, plan: Plan, pool: Pool, progress: Callable[[int, int], None] | None = None
) -> Classifier:
    """The classifier of an arm, trained from random weights."""
    scenes = training_scenes(arm, seed, plan.per_class, plan.strength)
    pixels = pool.pixels(scenes)
    labels = np.array([LABELS.index(scene.label) for scene in scenes])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = build(plan.architecture, len(LABELS))
    classifier = Classifier(module, LABELS, plan.preprocess())
    train(
        classifier,
        lambda chosen: pixels[chosen],
        labels,
        np.arange(len(scenes)),
        np.arange(0),
        plan.training(seed),
        progress=progress,
    )
    return classifier


def measure(classifier: Classifier, arm: Arm, seed: int, plan: Plan, pool: Pool) -> dict[str, Any]:
    """What a classifier does on the balanced test, JSON-ready.

    `n` and `right` count images by group ("doctor · man"; for the arm without a cue by
    label); `errors` are their sum; `undone` how many of the errors are right once the cue is
    swapped; `changed` how many of `pairs` scenes are decided differently by it; `effect` is
    the mean change of the contrast (logit of the first label minus logit of the second) from
    the cue's second value to its first, with its 95 % interval over scenes. Without a cue
    the last four are null.
    """
    labels = np.repeat(np.arange(len(LABELS)), plan.test_per_class)

    def contrast(value: str | None) -> NDArray[np.float64]:
        scenes = test_scenes(arm.cue, value, seed, plan.test_per_class, plan.strength)
        logits = predict(classifier, pool.pixels(scenes))
        return (logits[:, 0] - logits[:, 1]).astype(np.float64)

    if arm.shares is None:
        right = _right(contrast(None), labels)
        by_label = {name: int(right[labels == number].sum()) for number, name in enumerate(LABELS)}
        return {
            "n": dict.fromkeys(LABELS, plan.test_per_class),
            "right": by_label,
            "errors": int((~right).sum()),
            "undone": None,
            "pairs": None,
            "changed": None,
            "effect": None,
            "effect_low": None,
            "effect_high": None,
        }
    contrasts = {value: contrast(value) for value in arm.values}
    first, second = contrasts.values()
    rights = {value: _right(found, labels) for value, found in contrasts.items()}
    one, other = rights.values()
    effect = first - second
    interval = mean_interval(effect)
    assert interval is not None  # over more than one scene
    return {
        "n": {
            group_name(label, value): plan.test_per_class
            for label in LABELS
            for value in arm.values
        },
        "right": {
            group_name(label, value): int(found[labels == number].sum())
            for number, label in enumerate(LABELS)
            for value, found in rights.items()
        },
        "errors": int((~one).sum() + (~other).sum()),
        "undone": int((one != other).sum()),
        "pairs": len(labels),
        "changed": int(((first > 0) != (second > 0)).sum()),
        "effect": float(effect.mean()),
        "effect_low": interval[0],
        "effect_high": interval[1],
    }


def run_cell(arm: Arm, seed: int, plan: Plan, pool: Pool) -> dict[str, Any]:
    """Train and measure one cell; the result is JSON-ready."""
    start = time.monotonic()
    classifier = train_arm(arm, seed, plan, pool)
    measured = measure(classifier, arm, seed, plan, pool)
    return {
        "arm": arm.name,
        "seed": seed,
        "plan_sha256": plan.sha256(),
        **measured,
        "seconds": round(time.monotonic() - start, 1),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def group_name(label: str, value: str) -> str:
    """How a group is called in cells and tables."""
    return f"{label} · {value}"


def _right(contrasts: NDArray[np.float64], labels: NDArray[np.intp]) -> NDArray[np.bool_]:
    return np.asarray((contrasts > 0) == (labels == 0))


def predict(classifier: Classifier, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Logits of [images, side, side, 3], [images, classes]; the module is left in eval mode."""
    module = classifier.module.eval()
    with torch.inference_mode():
        logits = torch.cat(
            [
                classifier.logits(module(classifier.inputs(pixels[i : i + _BATCH])))
                for i in range(0, len(pixels), _BATCH)
            ]
        )
    return np.asarray(logits.cpu().numpy())
