"""Maps of a sample at layers over the depth of the model, measured against its regions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from auditor import measures
from auditor.cam import METHODS, Layer, inspected
from auditor.cam.depth import layers_over_depth
from auditor.errors import ModelError, RunError
from auditor.findings import Sweep
from auditor.pipeline.computing import Progress, Work
from auditor.pipeline.viewing import explained, number, refusal, undefined
from auditor.store import Writer
from auditor.thresholds import THRESHOLDS
from auditor.types import SUBJECT, Floats

MOST = 64
"""Cases that are enough: half of them errors, if there are as many."""

_VIEW = "layers"


@dataclass(frozen=True)
class Sweeping:
    """What the layers are compared on."""

    work: Work
    writer: Writer
    cases: pd.DataFrame
    """Of the finished run: `label`, `correct`, `predicted` and `status` of the regions."""
    seed: int

    def run(self, progress: Progress) -> Sweep:
        """Measure the sample at every layer, unless that is written, and write it.

        Costs a forward pass of each case at each layer, with the method's own passes, and what
        `layers_over_depth` costs.
        """
        rows = self._sample()
        progress(0, len(rows))
        content = self.writer.read_view(_VIEW)
        if content is None:
            content = self._swept(rows, progress)
            self.writer.write_view(_VIEW, content)
        else:
            progress(len(rows), len(rows))
        return self._read(rows, content)

    @property
    def regions(self) -> tuple[str, ...]:
        """The subject and the cues."""
        return tuple(dict.fromkeys((SUBJECT, *self.work.dataset.roles.cues)))

    def _sample(self) -> NDArray[np.intp]:
        """Cases with regions and a prediction, half of them errors, in order."""
        able = self.cases[f"status.{SUBJECT}"].notna() & self.cases["predicted"].notna()
        mixed = np.random.default_rng([self.seed, 2]).permutation(np.flatnonzero(able.to_numpy()))
        wrong = self._wrong(mixed)
        errors, right = mixed[wrong], mixed[~wrong]
        few = min(len(right), MOST - min(len(errors), MOST // 2))
        return np.sort(np.concatenate([right[:few], errors[: MOST - few]]))

    def _wrong(self, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        wrong: NDArray[np.bool_] = self.cases["correct"].eq(False).fillna(False).to_numpy(bool)
        return wrong[rows]

    def _swept(self, rows: NDArray[np.intp], progress: Progress) -> dict[str, Any]:
        """Measures by layer, JSON-ready."""
        work, method = self.work, METHODS[self.work.method]
        classifier = work.classifier
        if not len(rows):
            return {"layers": [], "mass": [], "area": []}
        shape = (classifier.channels, *classifier.input_size)
        layers = layers_over_depth(classifier.module, classifier.logits, shape, work.layer)
        pixels, label = self._read_case(rows[0], [])[0], self.cases["label"].iloc[rows[0]]
        problems = [refusal(work, layer, method, pixels, label) for layer in layers]
        mass, area = (np.full((len(layers), len(rows), len(self.regions)), np.nan) for _ in "ma")
        size = work.settings.batch_size
        with threadpool_limits(1, user_api="blas"), inspected(classifier.module):
            for start in range(0, len(rows), size):
                part = rows[start : start + size]
                read = [self._read_case(row, layers) for row in part]
                images = np.stack([one for one, _ in read])
                labels = self.cases["label"].iloc[part].tolist()
                for place, layer in enumerate(layers):
                    if problems[place] is not None:
                        continue
                    try:
                        maps = explained(work, layer, method, images, labels).maps[:, 0]
                    except ModelError as error:  # which the first image did not show
                        problems[place] = str(error)
                        mass[place] = area[place] = np.nan
                        continue
                    coverage = np.stack([regions[place] for _, regions in read])
                    found = self._measured(part, maps.double().cpu().numpy(), coverage)
                    mass[place, start : start + size], area[place, start : start + size] = found
                progress(start + len(part), len(rows))
        return {
            "layers": [
                {
                    "name": layer.name,
                    "grid": list(layer.grid),
                    "follows": layer.follows,
                    "own": layer.name == work.layer.name,
                    "problem": problem,
                }
                for layer, problem in zip(layers, problems, strict=True)
            ],
            "mass": [number(value) for value in mass.ravel()],
            "area": [number(value) for value in area.ravel()],
        }

    def _read_case(
        self, row: int, layers: Sequence[Layer]
    ) -> tuple[NDArray[np.uint8], list[NDArray[np.float32]]]:
        """One image as the model takes it, and its regions on the grid of each layer."""
        work = self.work
        case = work.dataset.read(int(work.positions[row]))
        placement = work.classifier.preprocess.placement(case.picture.size)
        count = len(work.dataset.roles.names)
        pixels = work.classifier.preprocess.pixels(case.picture.image)
        if case.atoms is None:
            raise RunError(
                f"{work.dataset.listing.image_path(int(work.positions[row]))}: its masks cannot "
                "be read any more; they could when the maps were made. Restore them and run the "
                "audit again."
            )
        return pixels, [placement.coverage(case.atoms, count, layer.grid) for layer in layers]

    def _measured(
        self, rows: NDArray[np.intp], maps: Floats, coverage: Floats
    ) -> tuple[Floats, Floats]:
        """(mass, area), [cases, regions] each; NaN where a region is of no use.

        The same cases at every layer: those whose region is usable on the audit's own grid. Where
        a layer's cells are larger than the region, it says nothing there.
        """
        names = self.work.dataset.roles.names
        places = [names.index(region) for region in self.regions]
        mass, area = measures.mass(maps, coverage)[:, places], measures.area(coverage)[:, places]
        usable = np.stack(
            [(self.cases[f"status.{r}"].iloc[rows] == "ok").to_numpy(bool) for r in self.regions],
            axis=1,
        )
        cells = area * maps.shape[1] * maps.shape[2]
        said = usable & (cells >= THRESHOLDS.cells) & ~np.isnan(mass)
        return np.where(said, mass, np.nan), np.where(said, area, np.nan)

    def _read(self, rows: NDArray[np.intp], content: Mapping[str, Any]) -> Sweep:
        shape = (len(content["layers"]), len(rows), len(self.regions))
        return Sweep(
            METHODS[self.work.method].title,
            tuple(content["layers"]),
            rows,
            self._wrong(rows),
            self.regions,
            undefined(content["mass"]).reshape(shape),
            undefined(content["area"]).reshape(shape),
        )
