"""The second half of an audit: interventions, flags and findings, and the finished run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from auditor.cam import FOLLOWS, METHODS, Layer, Method
from auditor.changes import Anchoring, Stock
from auditor.configuration import Config
from auditor.datasets import Dataset
from auditor.errors import RunError
from auditor.evidence import CueSet, parent
from auditor.findings import MapChecks, Material, Shift, Tie, conclude, voided, with_verdict
from auditor.findings.finding import by_severity
from auditor.hashing import file_sha256
from auditor.language import phrase
from auditor.models import describe
from auditor.pipeline.checking import PASSES, SAMPLE, added_up, check_maps, unchecked
from auditor.pipeline.choosing import choose
from auditor.pipeline.computing import Cases, Stage, Stages, Views, Work
from auditor.pipeline.deciding import summarised
from auditor.pipeline.finishing import Evidence, finished, gather
from auditor.pipeline.intervening import INTERVENTIONS, Interventions
from auditor.pipeline.probing import probe_features
from auditor.pipeline.provenance import provenance
from auditor.pipeline.rows import SET_MEASURES
from auditor.pipeline.views import Viewing
from auditor.store import SCHEMA_VERSION, Shard, Writer
from auditor.thresholds import THRESHOLDS
from auditor.types import PREDICTED_STATUSES, SUBJECT


@dataclass(frozen=True)
class Finish:
    """Everything that a run is written from, once its maps are in shards."""

    writer: Writer
    work: Work
    identity: Mapping[str, Any]
    config: Config | None
    wanted: Cases
    """Which cases are tested."""
    views: Views
    seed: int
    progress: Stages

    def write(self) -> None:
        """Test the chosen cases, judge all of them, and make the run visible."""
        work, roles = self.work, self.work.dataset.roles
        listed: list[pa.Table] = []
        context = gather(
            self._noted(listed),
            work.dataset.labels,
            roles,
            self.seed,
            THRESHOLDS,
        )
        cases = self._listed(listed)
        cases = cases.join(choose(cases, self.wanted, self.seed, THRESHOLDS))
        stock = Stock(work.dataset, work.classifier.preprocess)
        drawn = self._drawn(cases)
        self.progress("checks", 0, len(drawn))
        told = added_up(lambda done: self.progress("checks", done // PASSES, len(drawn)), 0)
        checks = self._checked(cases, stock, drawn, METHODS[work.method], told)
        self.progress("checks", len(drawn), len(drawn))
        tests = Interventions.of(work, stock, cases, self.wanted, self.seed)
        # Without a cue nothing is changed, and nothing is to be told of it.
        tests.run(self.writer, partial(self.progress, "changes") if work.sets else _silent)
        chunks = len(tests.chunks)
        table = self.writer.read_trials(chunks)
        trials = pd.DataFrame() if table is None else table.to_pandas()
        evidence = Evidence(
            {} if trials.empty else summarised(trials),
            dict(zip(cases["id"], cases["stratum"], strict=True)) if len(trials) else {},
            tuple(cues.name for cues in work.sets),
            void=bool(voided(checks, THRESHOLDS)),
        )

        def finishing() -> Iterator[tuple[pa.Table, NDArray[np.float16]]]:
            for shard in self._shards("judging"):
                yield finished(shard, context, roles, THRESHOLDS, evidence)

        def concluded(folder: Path) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
            self.writer.write_interventions(chunks, INTERVENTIONS, folder)
            shifts = _shifts(trials, cases, work.sets)

            def check(method: Method, most: int, told: Callable[[int], None]) -> MapChecks:
                return self._checked(cases, stock, drawn[:most], method, told)

            views = Viewing(
                work,
                self.writer,
                context,
                cases["id"],
                check,
                len(drawn),
                self.views,
                self.seed,
            )
            return self._concluded(folder, shifts, checks, tests.bench.anchoring, views)

        self.writer.finish(finishing(), (len(work.positions), 3, *work.layer.grid), concluded)

    # -- cases --------------------------------------------------------------------------------

    def _shards(self, stage: Stage) -> Iterator[Shard]:
        done, total = 0, len(self.work.positions)
        self.progress(stage, done, total)
        for number, members in enumerate(self.work.shards):
            yield self.writer.read(number)
            done += len(members)
            self.progress(stage, done, total)

    def _noted(self, listed: list[pa.Table]) -> Iterator[Shard]:
        """The shards, their rows' columns that choosing and lending need being kept."""
        work = self.work
        needed = "id label predicted contrast correct margin".split()
        needed += [f"attribute.{name}" for name in work.attributes]
        needed += [f"status.{region}" for region in work.dataset.roles.names]
        needed += ["cluster"] * ("cluster" in work.schema.names)
        for shard in self._shards("references"):
            listed.append(shard.rows.select(needed))
            yield shard

    def _listed(self, tables: list[pa.Table]) -> pd.DataFrame:
        cases = pa.concat_tables(tables).to_pandas()
        # Regions have statuses where the case has masks at all.
        cases["testable"] = cases[f"status.{SUBJECT}"].notna() & cases["predicted"].notna()
        return cases

    def _drawn(self, cases: pd.DataFrame) -> NDArray[np.intp]:
        """Positions of the cases that the gates of the maps are run on, in random order."""
        able = np.flatnonzero(cases["testable"])
        return np.random.default_rng(self.seed).permutation(able)[:SAMPLE]

    def _checked(
        self,
        cases: pd.DataFrame,
        stock: Stock,
        drawn: NDArray[np.intp],
        method: Method,
        told: Callable[[int], None],
    ) -> MapChecks:
        """The gates' figures for a method's maps, from a sample of the cases that have regions."""
        work = self.work
        drawn = np.sort(drawn)
        if not len(drawn):
            return unchecked(phrase("no case has both regions and a prediction"))
        numbers = {name: number for number, name in enumerate(work.classifier.classes)}
        return check_maps(
            work.classifier,
            work.layer,
            method,
            np.stack([stock[int(work.positions[row])].pixels for row in drawn]),
            cases["label"].iloc[drawn].map(numbers).to_numpy(dtype=np.intp),
            self.seed,
            work.settings.batch_size,
            told,
        )

    # -- the whole ------------------------------------------------------------------------------

    def _concluded(
        self,
        folder: Path,
        shifts: tuple[Shift, ...],
        checks: MapChecks,
        anchoring: Anchoring,
        views: Viewing,
    ) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        work, config = self.work, self.config
        dataset, roles = work.dataset, work.dataset.roles
        cases = self._cases(folder / "cases.parquet")
        counts = _counts(cases)
        if not counts["judged"]:
            raise RunError(
                f"{dataset.config.path}: none of {len(cases)} images could be judged "
                f"({counts['excluded']}); the first is "
                f"{dataset.listing.image_path(int(work.positions[0]))}. Correct "
                "dataset.image_root or the files."
            )
        layer = _layer_info(work.layer)
        model = describe(work.classifier)
        material = Material(
            cases,
            work.classifier.classes,
            roles.cues,
            work.attributes,
            layer,
            config.model.expected_accuracy if config else None,
            model.get("training"),
            self.seed,
            checks,
            probe_features(
                dataset,
                work.classifier.preprocess,
                work.positions,
                partial(self.progress, "probes"),
                seed=self.seed,
                workers=work.settings.threads,
            ),
            shifts,
            _ties(work.sets, config) if self.wanted != 0 else (),
        )
        findings, verdict = with_verdict(material, conclude(material, THRESHOLDS), THRESHOLDS)
        seen = views.findings(folder, cases, self.progress)
        findings = [*findings[:1], *by_severity([*findings[1:], *seen])]
        info = {
            "schema_version": SCHEMA_VERSION,
            "counts": counts,
            "verdict": verdict.described(),
            "attributes": list(work.attributes),
            "clustered": "cluster" in work.schema.names,
            "regions": {
                "names": list(roles.names),
                "cues": list(roles.cues),
                "rest": roles.rest,
                "precedence": roles.precedence,
            },
            "cue_sets": [
                {"name": cues.name, "cues": list(cues.cues), "attributes": list(cues.attributes)}
                for cues in work.sets
            ],
            "layer": layer,
            "method": work.method,
            "evidence": self.wanted,
            **self.views.described(),
            "seed": self.seed,
            "thresholds": THRESHOLDS.described(),
            "image_root": str(dataset.listing.image_root),
            "model": model,
            "anchoring": anchoring.described(),
            "configuration_path": str(config.path.resolve()) if config else None,
            "configuration": config.path.read_text(encoding="utf-8") if config else None,
            "identity": dict(self.identity),
            "contents": dataset.contents(work.positions),
            "provenance": provenance(work.classifier.device, _sources(dataset)),
        }
        return info, {
            "schema_version": SCHEMA_VERSION,
            "findings": [finding.described() for finding in findings],
        }

    def _cases(self, file: Path) -> pd.DataFrame:
        work, roles = self.work, self.work.dataset.roles
        needed = (
            "label predicted correct status flag cue evidence map_evidence map_cue margin stratum "
            "passes reason"
        ).split()
        needed += [f"attribute.{name}" for name in work.attributes]
        needed += ["cluster"] * ("cluster" in work.schema.names)
        judged = (SUBJECT, *roles.cues)
        needed += [f"{column}.{region}" for region in judged for column in REGION_COLUMNS]
        needed += [f"{column}.{s.name}" for s in work.sets for column in SET_MEASURES]
        # Few distinct texts in many rows: as categories they take a byte or two a case.
        texts = [name for name in needed if pa.types.is_string(work.schema.field(name).type)]
        return pq.read_table(file, columns=needed, read_dictionary=texts).to_pandas()


REGION_COLUMNS = ("status", "best_p", "mass", "area", "margin_excess")
"""What findings read of the subject and each cue."""


def _shifts(trials: pd.DataFrame, cases: pd.DataFrame, sets: Sequence[CueSet]) -> tuple[Shift, ...]:
    """The tested cases' logits with and without each cue set, a record for each attribute.

    Not of a cue that is tested alone only where its set had an effect: that would be a selection.
    """
    if trials.empty:
        return ()
    rows = pd.Series(np.arange(len(cases)), index=cases["id"])
    first = [cues.name for cues in sets if parent(cues, sets) is None]
    known = trials[trials["with_cue"].notna() & trials["cue"].isin(first)]
    shifts = []
    for (cue, attribute), group in known.groupby(["cue", "attribute"], dropna=False, sort=False):
        with_cue, without_cue = (
            np.stack(group[name].to_list()).astype(np.float64)
            for name in ("with_cue", "without_cue")
        )
        shown = None if pd.isna(attribute) else str(attribute)
        places = rows[group["case"]].to_numpy(dtype=np.intp)
        taken = group["value"].to_numpy(dtype=np.float64)
        shifts.append(Shift(str(cue), shown, places, with_cue, without_cue, taken))
    return tuple(shifts)


def _ties(sets: Sequence[CueSet], config: Config | None) -> tuple[Tie, ...]:
    """Every single cue with each attribute that its donors are chosen by."""
    named = config.evidence.donors if config else {}
    return tuple(
        Tie(cues.name, attribute, cues.name in named)
        for cues in sets
        if len(cues.regions) == 1
        for attribute in cues.attributes
    )


def _counts(cases: pd.DataFrame) -> dict[str, Any]:
    statuses = cases["status"].value_counts().to_dict()
    return {
        "cases": len(cases),
        "judged": int(sum(n for s, n in statuses.items() if s in PREDICTED_STATUSES)),
        "with_regions": int(statuses.get("ok", 0)),
        "excluded": {str(s): int(n) for s, n in sorted(statuses.items()) if s != "ok"},
        "errors": int((cases["correct"] == False).sum()),  # noqa: E712 - nulls are no errors
        "tested": int(cases["passes"].notna().sum()),
        "passes": int(cases["passes"].sum()),
        "evidence": _counted(cases["evidence"]),
        "flags": _counted(cases["flag"]),
    }


def _silent(_done: int, _total: int) -> None:
    pass


def _counted(column: pd.Series) -> dict[str, int]:
    counts = column.value_counts().sort_index()
    return {str(name): int(count) for name, count in counts.items() if count}


def _layer_info(layer: Layer) -> dict[str, Any]:
    return {
        **asdict(layer),
        "grid": list(layer.grid),
        "threshold": FOLLOWS,
        "verified": layer.follows is not None and layer.follows >= FOLLOWS,
    }


def _sources(dataset: Dataset) -> dict[str, str]:
    return {path.name: file_sha256(path) for path in dataset.listing.sources if path.is_file()}
