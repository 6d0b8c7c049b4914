"""Whether maps foretell what taking pixels away does to the model's answer.

Deletion and insertion are Petsiuk et al. 2018 (RISE, arXiv 1806.07421): cells are taken away, or
put back, the highest of the map first, and the area under the score tells how soon it falls or
rises. Occlusion (Zeiler & Fergus 2014, arXiv 1311.2901) takes away one patch at a time. Cells stay
cells: a map is never enlarged by interpolation, and cells of equal value go together, each in part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from numpy.typing import NDArray
from scipy import ndimage
from scipy.integrate import trapezoid
from threadpoolctl import threadpool_limits
from torch import Tensor

from auditor.cam import METHODS, Method, inspected
from auditor.cam.area import pooled
from auditor.correlations import rank_correlation
from auditor.errors import ModelError
from auditor.findings import Faithful, Judged
from auditor.pipeline.computing import Progress, Work, out_of_memory
from auditor.pipeline.viewing import batches, explained, number, pixels_of, refusal, undefined
from auditor.store import Writer
from auditor.types import Floats, Size

STEPS = 16
"""Steps in which all cells are exchanged."""
BLUR = 1 / 16
"""Standard deviation of the blur that insertion starts from, as a share of the shorter side."""
PATCHES = 196
"""Patches that are occluded one by one, at most: the layer's cells, or blocks of them."""
CHANCE = ("random", "uniform")
"""Maps that know nothing: of normal noise, and the same in every cell."""
FIGURES = ("deletion", "insertion", "occlusion")

FAITHFULNESS = pa.schema(
    [("id", pa.string()), ("method", pa.string()), *((name, pa.float64()) for name in FIGURES)]
)
"""The columns of `faithfulness.parquet`; see docs/run-format.md."""

Score = Callable[[Tensor], Floats]
"""Images [n, channels, height, width] to a number for each, [n]."""


def taken(cells: Floats, share: float) -> NDArray[np.float64]:
    """How much of each cell has gone when a share (0..1) of all has, the highest first.

    [h, w] in and out, 0..1. Cells of equal value go together, each in part, so that no order
    among them decides anything; so does a cell at which the share ends.
    """
    values = np.asarray(cells, dtype=np.float64)
    _, group, size = np.unique(-values.ravel(), return_inverse=True, return_counts=True)
    before = np.cumsum(size) - size
    gone = np.clip((share * values.size - before) / size, 0, 1)
    return gone[group].reshape(values.shape)


def exchanged(start: Tensor, end: Tensor, weights: NDArray[np.float64]) -> Tensor:
    """Images between two, [n, channels, height, width]: of `end` so much as `weights` say.

    `start` and `end` are [channels, height, width], `weights` [n, h, w] on any grid over them.
    """
    size = (start.shape[1], start.shape[2])
    part = pooled(torch.from_numpy(weights), size)[:, None].to(start)
    return start * (1 - part) + end * part


def curve(
    start: Tensor, end: Tensor, cells: Floats, steps: int, score: Score, batch_size: int
) -> NDArray[np.float64]:
    """Scores on the way from one image to another, [steps + 1], a map's highest cells first."""
    weights = np.stack([taken(cells, step / steps) for step in range(steps + 1)])
    return np.concatenate(
        [
            score(exchanged(start, end, weights[at : at + batch_size]))
            for at in range(0, steps + 1, batch_size)
        ]
    )


def area_under(scores: Floats) -> float:
    """The area under scores at even steps from 0 to 1, by trapezoids; NaN if one is not finite."""
    if not np.isfinite(scores).all():
        return float("nan")
    return float(trapezoid(scores, dx=1 / (len(scores) - 1)))


def occlusion_drops(
    image: Tensor, grey: Tensor, grid: Size, score: Score, batch_size: int
) -> NDArray[np.float64]:
    """What the score loses when each patch of a grid is painted over, [h, w]."""
    patches = np.eye(grid[0] * grid[1]).reshape(-1, *grid)
    scores = [
        score(exchanged(image, grey, patches[at : at + batch_size]))
        for at in range(0, len(patches), batch_size)
    ]
    return np.asarray(score(image[None])[0] - np.concatenate(scores)).reshape(grid)


def patch_grid(grid: Size, most: int = PATCHES) -> Size:
    """The grid of patches: a map's own, or the finest of whole blocks of cells within `most`."""
    side = 1
    while math.ceil(grid[0] / side) * math.ceil(grid[1] / side) > most:
        side += 1
    return math.ceil(grid[0] / side), math.ceil(grid[1] / side)


@dataclass(frozen=True)
class Perturbing:
    """What the faithfulness of maps is measured on."""

    work: Work
    writer: Writer
    cases: pd.DataFrame
    """Of the finished run: `id`, `label` and `predicted`."""
    methods: tuple[str, ...]
    """Further ones, beside the audit's own."""
    seed: int

    def run(self, count: int, progress: Progress) -> tuple[Faithful, pa.Table]:
        """Measure `count` cases, drawn at random from those with a prediction, and write each.

        Returns what the finding is made of, and `faithfulness.parquet`. Costs for each case, in
        forward passes: 2 × (`STEPS` + 1) for each method and two chance maps, the patches and
        one, and the methods' own maps.
        """
        (able,) = np.nonzero(self.cases["predicted"].notna().to_numpy())
        drawn = np.random.default_rng([self.seed, 3]).permutation(able)[:count]
        rows = np.sort(drawn).astype(np.intp)
        progress(0, len(rows))
        problems = self._problems(rows)
        able_to = [name for name, problem in problems.items() if problem is None]
        missing = [row for row in rows if self.writer.read_view(_view(row)) is None]
        done = len(rows) - len(missing)
        progress(done, len(rows))
        with threadpool_limits(1, user_api="blas"), inspected(self.work.classifier.module):
            for part, loaded in batches(self.work, np.array(missing, dtype=np.intp)):
                pixels = pixels_of(self.work, loaded)
                maps = self._maps(part, pixels, able_to)
                for place, row in enumerate(part):
                    given = {name: found[place] for name, found in maps.items()}
                    self.writer.write_view(_view(row), self._case(int(row), pixels[place], given))
                    done += 1
                    progress(done, len(rows))
        found = {int(row): self.writer.read_view(_view(row)) or {} for row in rows}
        return self._faithful(rows, found, problems), self._table(found)

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((self.work.method, *self.methods)))

    def _problems(self, rows: NDArray[np.intp]) -> dict[str, str | None]:
        """By method: why the model cannot serve it."""
        for _, loaded in batches(self.work, rows[:1]):
            (pixels,) = pixels_of(self.work, loaded)
            label = self.cases["label"].iloc[rows[0]]
            return {
                name: refusal(self.work, self.work.layer, METHODS[name], pixels, label)
                for name in self._names
            }
        return dict.fromkeys(self._names)

    def _maps(
        self, rows: NDArray[np.intp], pixels: NDArray[np.uint8], names: Sequence[str]
    ) -> dict[str, NDArray[np.float64]]:
        """By method: the predicted class's maps, [cases, h, w]; and those that know nothing."""
        labels = self.cases["label"].iloc[rows].tolist()

        def of(method: Method) -> NDArray[np.float64]:
            maps = explained(self.work, self.work.layer, method, pixels, labels).maps[:, 0]
            return np.asarray(maps.double().cpu().numpy())

        grid = self.work.layer.grid
        noise = [np.random.default_rng([self.seed, 4, row]).standard_normal(grid) for row in rows]
        by_chance = dict(zip(CHANCE, (np.stack(noise), np.ones((len(rows), *grid))), strict=True))
        found = {}
        for name in names:
            # A method that cannot serve these images has no figures of them.
            with suppress(ModelError):
                found[name] = of(METHODS[name])
        return found | by_chance

    def _case(
        self, row: int, pixels: NDArray[np.uint8], maps: Mapping[str, NDArray[np.float64]]
    ) -> dict[str, Any]:
        """The figures of each map of a case, JSON-ready."""
        classifier, size = self.work.classifier, self.work.settings.batch_size
        predicted = classifier.classes.index(self.cases["predicted"].iloc[row])

        def logits(images: Tensor) -> Tensor:
            with torch.inference_mode(), out_of_memory(len(images)):
                return classifier.logits(classifier.module(images)).double()

        def probability(images: Tensor) -> NDArray[np.float64]:
            return np.asarray(classifier.probabilities(logits(images))[:, predicted].cpu().numpy())

        def logit(images: Tensor) -> NDArray[np.float64]:
            return np.asarray(logits(images)[:, predicted].cpu().numpy())

        image, soft = classifier.inputs(np.stack([pixels, blurred(pixels)]))
        grey = torch.zeros_like(image)  # the mean colour, which normalising takes away
        patches = patch_grid(self.work.layer.grid)
        drops = occlusion_drops(image, grey, patches, logit, size)
        found = {}
        for name, cells in maps.items():
            coarse = pooled(torch.from_numpy(cells)[None], patches).numpy()
            figures = (
                area_under(curve(image, grey, cells, STEPS, probability, size)),
                area_under(curve(soft, image, cells, STEPS, probability, size)),
                float(rank_correlation(coarse, drops[None])[0]),
            )
            found[name] = dict(zip(FIGURES, map(number, figures), strict=True))
        return found

    def _faithful(
        self,
        rows: NDArray[np.intp],
        found: Mapping[int, Mapping[str, Any]],
        problems: Mapping[str, str | None],
    ) -> Faithful:
        judged = [
            Judged(name, METHODS[name].title, METHODS[name].evidence, problems[name])
            for name in self._names
        ]
        judged += [Judged(name, f"{name} map", False, None) for name in CHANCE]
        values = [
            undefined([found[int(row)].get(one.method, {}).get(figure) for row in rows])
            for one in judged
            for figure in FIGURES
        ]
        shape = (len(judged), len(FIGURES), len(rows))
        return Faithful(tuple(judged), rows, np.array(values).reshape(shape), STEPS)

    def _table(self, found: Mapping[int, Mapping[str, Any]]) -> pa.Table:
        ids = self.cases["id"]
        rows = [
            {"id": str(ids.iloc[row]), "method": method, **figures}
            for row, methods in found.items()
            for method, figures in methods.items()
        ]
        return pa.Table.from_pylist(rows, schema=FAITHFULNESS)


def blurred(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """An image of which only coarse colours are left; [height, width, channels] in and out."""
    width = BLUR * min(pixels.shape[:2])
    soft = ndimage.gaussian_filter(pixels.astype(np.float64), (width, width, 0), mode="nearest")
    return np.asarray(np.rint(soft), dtype=np.uint8)


def _view(row: int | np.intp) -> str:
    return f"faithfulness-{row:06d}"
