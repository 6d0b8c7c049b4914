"""Whether maps can be trusted at all: what a sample of images says of the maps themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from auditor.cam import Layer, Look, Method, inspected
from auditor.cam.explanation import compared
from auditor.cam.randomisation import STAGES, randomisable, stages_of
from auditor.correlations import cell_ranks, rank_correlation
from auditor.errors import ModelError
from auditor.findings.material import MapChecks
from auditor.language import Phrase, Words, phrase
from auditor.models import Classifier
from auditor.statistics import mean_interval
from auditor.thresholds import THRESHOLDS
from auditor.types import Floats

SAMPLE = 32
"""Images that are enough: more only make the intervals narrower."""

DRAWS = 3
"""Random networks at each stage."""

PASSES = 2 + DRAWS * STAGES
"""How often every image of the sample is explained, at most."""

_FEWEST = 2  # images without which there is no interval

Interval = tuple[float, float] | None


def _untold(_images: int) -> None:
    """Tells nobody how far the checks are."""


def check_maps(
    classifier: Classifier,
    layer: Layer,
    method: Method,
    pixels: NDArray[np.uint8],
    labels: NDArray[np.intp],
    seed: int,
    batch_size: int,
    progress: Callable[[int], None] = _untold,
) -> MapChecks:
    """Measure what the gates of the maps are held against, on a sample of images.

    `pixels` is [images, height, width, channels] of the model's input, `labels` [images] class
    positions. The same classes are explained in every network: those that the trained one
    predicts, and their contrasts. The classifier is left as it was found, and no global random
    state is used. What is undefined is null, with a reason. `progress` is called with the number
    of images explained since its last call, `PASSES` times the sample in all at most. Costs
    3 + `DRAWS` × 5 forward passes of the sample and two gradients through the head for each: as
    much as 21 forward passes with ResNet-50 at 224 pixels on a processor, and 25 with VGG-16.
    """
    if labels.shape != pixels.shape[:1]:
        raise ValueError(f"{len(pixels)} images come with labels of shape {labels.shape}")
    if isinstance(classifier.module, torch.jit.ScriptModule):
        return unchecked(phrase("a TorchScript model keeps its layers to itself"))
    with torch.inference_mode(False), inspected(classifier.module):
        sample = _Sample(classifier, layer, method, pixels, batch_size, progress)
        return _checked(sample.explaining(labels), seed)


def added_up(progress: Callable[[int], None], done: int) -> Callable[[int], None]:
    """Tells how much is done in all from how much is done since the last call."""

    def told(more: int) -> None:
        nonlocal done
        done += more
        progress(done)

    return told


def unchecked(why: Words, n: int = 0) -> MapChecks:
    """Checks that could not be made; `why` ends a sentence that says so."""
    reasons = dict.fromkeys(("randomised", "classes", "noise"), why)
    return MapChecks((), None, None, n, reasons=reasons)


def _checked(sample: _Sample, seed: int) -> MapChecks:
    trained = sample.maps()
    n = int(np.isfinite(cell_ranks(trained.predicted)).all(1).sum())
    if n < _FEWEST:
        return unchecked(
            phrase(
                "{n} of {sampled} images in the sample have a map that is not the same in every "
                "cell, and {needed} are needed",
                n=n,
                sampled=len(sample.pixels),
                needed=_FEWEST,
            ),
            n,
        )
    reasons: dict[str, Words] = {}
    classes = rank_correlation(trained.predicted, trained.contrast)
    noisy = sample.maps(noise_seed=_seed(seed, 0, 0))
    noise = rank_correlation(trained.margin, noisy.margin)
    if (given := _given(classes)) < _FEWEST:
        reasons["classes"] = phrase(
            "{n} images have maps of two classes that vary, and {needed} are needed",
            n=given,
            needed=_FEWEST,
        )
    if (given := _given(noise)) < _FEWEST:
        reasons["noise"] = phrase(
            "{n} images have margin maps that vary, and {needed} are needed",
            n=given,
            needed=_FEWEST,
        )
    try:
        cascade = _cascade(sample, trained, seed)
    except ModelError as error:
        reasons["randomised"] = error.why if isinstance(error, _Unrandomised) else str(error)
        cascade = _Cascade((), [], [])
    signed = [_averaged(found) for found in cascade.signed]
    unsigned = [_averaged(found, root=True) for found in cascade.squared]
    (classes_mean, classes_interval), (noise_mean, noise_interval) = map(
        _averaged, (classes, noise)
    )
    return MapChecks(
        randomised=tuple(mean for mean, _ in signed),
        classes=None if "classes" in reasons else classes_mean,
        noise=None if "noise" in reasons else noise_mean,
        n=n,
        randomised_intervals=tuple(interval for _, interval in signed),
        unsigned=tuple(mean for mean, _ in unsigned),
        unsigned_intervals=tuple(interval for _, interval in unsigned),
        classes_interval=classes_interval,
        noise_interval=noise_interval,
        stages=cascade.stages,
        reasons=reasons,
    )


class _Unrandomised(ModelError):
    """Random weights cannot take the place of the model's, or would change nothing."""

    def __init__(self, why: Phrase) -> None:
        super().__init__(str(why))
        self.why = why


def _given(values: Floats) -> int:
    return int(np.isfinite(values).sum())


@dataclass(frozen=True)
class _Maps:
    """Maps of a sample under one network, [images, h, w] each, float64, NaN if not finite."""

    predicted: Floats
    contrast: Floats
    margin: Floats
    turned: Floats
    """Of the predicted class, the sign of all logits turned."""
    logits: Floats
    """[images, classes]"""


@dataclass(frozen=True)
class _Sample:
    """The images, and which classes of each are explained."""

    classifier: Classifier
    layer: Layer
    method: Method
    pixels: NDArray[np.uint8]
    batch_size: int
    progress: Callable[[int], None]
    predicted: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.long))
    """[images] class positions"""
    contrast: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.long))
    """[images] class positions"""

    def explaining(self, labels: NDArray[np.intp]) -> _Sample:
        """The sample with what the network as it is predicts, and the contrast to that."""
        if not len(self.pixels):
            return self
        with torch.no_grad():
            outputs = [
                self.classifier.logits(self.classifier.module(self._inputs(start, None))).cpu()
                for start in range(0, len(self.pixels), self.batch_size)
            ]
        truth = torch.from_numpy(labels.astype(np.int64))
        predicted, contrast = compared(torch.cat(outputs), truth)
        return replace(self, predicted=predicted, contrast=contrast)

    def maps(self, noise_seed: int | None = None) -> _Maps:
        """The maps under the network as it is now, optionally with noise on the images."""
        batches = [
            self._batch(start, noise_seed) for start in range(0, len(self.pixels), self.batch_size)
        ]
        grid = self.layer.grid
        if not batches:
            none = np.zeros((0, *grid))
            return _Maps(none, none, none, none, np.zeros((0, len(self.classifier.classes))))
        return _Maps(*(np.concatenate(parts) for parts in zip(*batches, strict=True)))

    def _batch(self, start: int, noise_seed: int | None) -> list[NDArray[np.float64]]:
        rows = slice(start, start + self.batch_size)
        with torch.enable_grad():
            look = Look.at(
                self.classifier.module,
                self.classifier.logits,
                self.layer,
                self._inputs(start, noise_seed),
            )
            device = look.logits.device
            of_predicted, of_contrast = (
                c[rows].to(device) for c in (self.predicted, self.contrast)
            )
            predicted, contrast, turned = (
                self.method.maps(way, targets)
                for way, targets in (
                    (look, of_predicted),
                    (look, of_contrast),
                    (look.turned(), of_predicted),
                )
            )
        self.progress(len(look.images))
        found = (predicted, contrast, predicted - contrast, turned, look.logits.detach())
        return [values.double().cpu().numpy() for values in found]

    def _inputs(self, start: int, noise_seed: int | None) -> Tensor:
        inputs = self.classifier.inputs(self.pixels[start : start + self.batch_size])
        if noise_seed is None:
            return inputs
        # Drawn on the CPU for one image at a time: the same on every device, in every batch size.
        drawn = [
            np.random.default_rng([noise_seed, start + row]).standard_normal(
                self.pixels.shape[1:], np.float32
            )
            for row in range(len(inputs))
        ]
        noise = torch.from_numpy(np.stack(drawn)).permute(0, 3, 1, 2)
        std = torch.tensor(self.classifier.preprocess.std).view(-1, 1, 1)
        return inputs + (noise * (THRESHOLDS.noise / 255) / std).to(inputs)


@dataclass(frozen=True)
class _Cascade:
    stages: tuple[str, ...]
    signed: list[Floats]
    """[images] of each stage"""
    squared: list[Floats]
    """[images] of each stage: squared rank correlation above chance"""


def _cascade(sample: _Sample, trained: _Maps, seed: int) -> _Cascade:
    """Likeness of the trained network's maps to those of random ones, stage by stage."""
    module = sample.classifier.module
    stages = stages_of(module, sample.classifier.inputs(sample.pixels[:1]))
    if not stages:
        raise _Unrandomised(phrase("no layer of the model has weights that could be replaced"))
    # The variance of Spearman's correlation of unrelated maps, which is the mean of its square.
    chance = 1 / (trained.margin[0].size - 1)
    found = _Cascade(tuple(stage[-1] for stage in stages), [], [])
    names: list[str] = []
    with randomisable(module) as randomise:
        for number, stage in enumerate(stages, start=1):
            names += stage
            signed, squared = [], []
            for draw in range(DRAWS):
                randomise(names, _seed(seed, number, draw))
                random = sample.maps()
                if np.array_equal(random.logits, trained.logits, equal_nan=True):
                    raise _Unrandomised(
                        phrase(
                            "other weights do not change the model's answers (it may hold "
                            "constants in their place)"
                        )
                    )
                signed += [
                    rank_correlation(trained.predicted, maps)
                    for maps in (random.predicted, random.turned)
                ]
                squared.append(rank_correlation(trained.margin, random.margin) ** 2)
            found.signed.append(_mean(signed))
            # Of two cells, every two maps are alike up to sign.
            above = _mean(squared) - chance if chance < 1 else np.full(len(trained.margin), np.nan)
            found.squared.append(above / (1 - chance or 1))
    return found


def _mean(values: Sequence[Floats]) -> NDArray[np.float64]:
    """The mean over a list of [images], NaN left out; NaN where there is nothing else."""
    stacked = np.stack(values)
    given = np.isfinite(stacked)
    total = np.where(given, stacked, 0).sum(0)
    return np.where(given.any(0), total / np.maximum(given.sum(0), 1), np.nan)


def _averaged(values: Floats, root: bool = False) -> tuple[float, Interval]:
    """The mean over the images and its interval; of the `root`s of mean squares, where told."""
    given = values[np.isfinite(values)]
    interval = mean_interval(given)
    if interval is None:
        return np.nan, None
    mean, low, high = (float(value) for value in (given.mean(), *interval))
    if root:
        mean, low, high = (max(value, 0.0) ** 0.5 for value in (mean, low, high))
    return mean, (max(low, -1.0), min(high, 1.0))  # where a correlation can lie


def _seed(seed: int, stage: int, draw: int) -> int:
    return int(np.random.SeedSequence([seed, stage, draw]).generate_state(1)[0])
