"""One case under intervention: what is changed in turn, and what comes of it.

A case is a generator. It yields images to be made, is sent their logits, and goes on or stops,
so that the images of many cases share the model's batches while each case's course reads from
top to bottom.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from auditor.changes import Stocked
from auditor.changes.filling import controls_of, cue_region, filled, subject_region
from auditor.evidence import (
    FILLS,
    CueSet,
    Decision,
    Effect,
    InterventionRow,
    Looks,
    Pixels,
    adjust,
    decide_by_donors,
    decide_by_fills,
    estimate_donors,
    estimate_fills,
    margin_of,
    near,
    parent,
    prepare,
    region_problem,
    splice,
    survives_without_subject,
    toned,
)
from auditor.evidence.rows import Arm
from auditor.language import clauses
from auditor.pipeline.bench import Bench, Suspect
from auditor.pipeline.trials import RANKS, Examined, Exchange, Recorded, Trial
from auditor.reasons import NO_SURER, REASONS, Reason
from auditor.types import SUBJECT, Mask

F64 = NDArray[np.float64]
Job: TypeAlias = Callable[[], Pixels]
Course: TypeAlias = Generator[Sequence[Job], F64, Examined]
"""Yields images to be made, [height, width, channels] each; is sent logits [images, classes]."""


def examine(bench: Bench, suspect: Suspect, recorded: Recorded) -> Course:
    """Test every cue set on a case; see `Course`."""
    return _Case(bench, suspect, recorded).course()


def pilot(bench: Bench, suspect: Suspect) -> Course:
    """Only the first look at a case, from which splicing is learnt."""
    return _Case(bench, suspect, Recorded()).pilot()


@dataclass
class _Case:
    bench: Bench
    suspect: Suspect
    recorded: Recorded
    rows: list[InterventionRow] = field(default_factory=list)

    def course(self) -> Course:
        suspect, sets = self.suspect, self.bench.sets
        image = self.bench.stock[suspect.position]
        original = yield from self.original(image)
        if self.bench.subjects and not image.regions[SUBJECT].any():
            hidden = [_untestable(cues.name, None, "no_subject") for cues in sets]
            return Examined(suspect, tuple(hidden), tuple(self.rows))
        first = [cues for cues in sets if parent(cues, sets) is None]
        tests = sum(max(1, len(cues.attributes)) for cues in first)
        trials: list[Trial] = []
        for cues in first:
            trials += yield from self.tested(
                image, cues, original, tests, self.bench.thresholds.donors
            )
        found = {trial.cue for trial in trials if trial.outcome in ("confirmed", "probable")}
        open_questions = {t.cue for t in trials} - {t.cue for t in trials if t.problem is None}
        for cues in sets:
            above = parent(cues, sets)
            if above is None or above.name not in found | open_questions:
                continue
            if above.name in found and not suspect.attributed:
                continue
            if above.name in found:
                # A closed test: what the cues do together has been shown at the whole level.
                # Which of them does it is asked of few donors, for attribution.
                siblings, most = len(above.cues), self.bench.thresholds.looks[0]
            else:
                siblings, most = len(above.cues) * tests, self.bench.thresholds.donors
            singles = yield from self.tested(image, cues, original, siblings, most)
            if above.name in found:
                together = max(RANKS[t.outcome] for t in trials if t.cue == above.name)
                singles = [_at_most(trial, together) for trial in singles]
            trials += singles
        if not suspect.wrong and any(t.outcome in ("confirmed", "probable") for t in trials):
            trials = yield from self.without_subject(image, trials)
        return Examined(suspect, tuple(trials), tuple(self.rows))

    def pilot(self) -> Course:
        """The first look of what `course` begins with, and nothing else."""
        sets = self.bench.sets
        image = self.bench.stock[self.suspect.position]
        yield from self.original(image)
        for cues in sets:
            for attribute in cues.attributes if parent(cues, sets) is None else ():
                exchange = self.exchange(image, cues, attribute)
                if isinstance(exchange, Exchange):
                    first = min(self.bench.thresholds.looks[0], exchange.pairs)
                    yield from self.look(exchange, 0, first)
        return Examined(self.suspect, (), tuple(self.rows))

    def original(self, image: Stocked) -> Generator[Sequence[Job], F64, F64]:
        logits = self.recorded.original
        if logits is None:
            logits = (yield [lambda: image.pixels])[0]
        self.note(logits[None], None, "original", None, [None], None)
        return logits

    def tested(
        self, image: Stocked, cues: CueSet, original: F64, tests: int, most: int
    ) -> Generator[Sequence[Job], F64, list[Trial]]:
        trials = []
        for attribute in cues.attributes:
            trial = yield from self.by_donors(image, cues, attribute, original, tests, most)
            trials.append(trial)
        if len(cues.regions) == 1 and all(trial.problem for trial in trials):
            by_fills = yield from self.by_fills(image, cues, original, tests)
            if by_fills.problem is None or not trials:
                return [by_fills]
        return trials

    # -- donors -----------------------------------------------------------------------------

    def by_donors(
        self,
        image: Stocked,
        cues: CueSet,
        attribute: str,
        original: F64,
        tests: int,
        most: int,
    ) -> Generator[Sequence[Job], F64, Trial]:
        suspect, thresholds = self.suspect, self.bench.thresholds
        exchange = self.exchange(image, cues, attribute)
        if not isinstance(exchange, Exchange):
            return _untestable(cues.name, attribute, exchange)
        looks = Looks(thresholds.looks, thresholds.spending)
        value = exchange.lenders.values[suspect.row]
        splicing = self.bench.splicing.get((cues.name, attribute))
        have, available = 0, min(most, exchange.pairs)
        while (wanted := looks.next(have, available)) is not None:
            yield from self.look(exchange, have, wanted)
            have = wanted
            same, opposite = exchange.logits()
            if not (np.isfinite(same).all() and np.isfinite(opposite).all()):
                return _untestable(cues.name, attribute, "not_finite")
            estimate = adjust(
                estimate_donors(original, same, opposite, suspect.pair), splicing, value
            )
            decision = decide_by_donors(
                estimate, available, tests, suspect.label, suspect.pair.first, thresholds
            )
            if decision.final:
                break
        first = min(thresholds.looks[0], available)
        return self.trial(
            cues.name,
            attribute,
            decision,
            estimate.effect,
            estimate.flips,
            estimate.pairs,
            (same[:first].mean(0), opposite[:first].mean(0)),
        )

    def exchange(self, image: Stocked, cues: CueSet, attribute: str) -> Exchange | Reason:
        """The donors of the case, and how to put them in; or why there are none."""
        bench, suspect, anchoring = self.bench, self.suspect, self.bench.anchoring
        lenders = bench.lenders[cues.name, attribute]
        looks = anchoring.looks(image, cues)
        drawn = lenders.draw(suspect, looks, bench.seed, f"{cues.name}\0{attribute}")
        if drawn.problem:
            return drawn.problem
        if not cues.regions:

            def in_tone(donor: int) -> Pixels:
                lent = bench.stock[int(lenders.positions[donor])]
                return toned(image.pixels, looks, anchoring.looks(lent, cues))

            return Exchange(cues.name, attribute, lenders, drawn, in_tone)
        piece = anchoring.piece(image, cues)
        same, opposite = (lenders.shown[arm] for arm in (drawn.same, drawn.opposite))
        if anchoring.on_subject(cues) and same.sum() != opposite.sum():
            return "on_subject"
        if piece.region.any():
            height, width = image.valid.shape
            cleared = near(piece.region, margin_of((height, width)))
            problem = region_problem(cleared, piece.subject, image.valid)
            if problem:
                return problem
        elif not opposite.any():
            return "no_region"
        # Cleared once, by whichever thread comes first.
        target = lru_cache(maxsize=1)(partial(prepare, piece))

        def spliced(donor: int) -> Pixels:
            lent = bench.stock[int(lenders.positions[donor])]
            return splice(target(), anchoring.piece(lent, cues))

        return Exchange(cues.name, attribute, lenders, drawn, spliced)

    def look(
        self, exchange: Exchange, have: int, wanted: int
    ) -> Generator[Sequence[Job], F64, None]:
        """Fetch the logits of further pairs, or take them from an earlier look at the case."""
        before = self.recorded.arms.get((exchange.cue, exchange.attribute))
        if before is not None and len(before[0]) >= wanted:
            parts = [arm[have:wanted] for arm in before]
        else:
            donors = exchange.drawn.same[have:wanted], exchange.drawn.opposite[have:wanted]
            logits = yield [partial(exchange.spliced, int(d)) for arm in donors for d in arm]
            parts = np.split(logits, 2)
        arms: tuple[Arm, Arm] = "same", "opposite"
        drawn = exchange.drawn.same, exchange.drawn.opposite
        for arm, part, members, got in zip(arms, parts, drawn, exchange.got, strict=True):
            got.extend(part)
            ids = [exchange.lenders.ids[donor] for donor in members[have:wanted]]
            self.note(part, exchange.cue, arm, exchange.attribute, ids, None, have)

    # -- fills ------------------------------------------------------------------------------

    def by_fills(
        self, image: Stocked, cues: CueSet, original: F64, tests: int
    ) -> Generator[Sequence[Job], F64, Trial]:
        bench, suspect, thresholds = self.bench, self.suspect, self.bench.thresholds
        region = cue_region(image, cues, bench.cell)
        # No control takes out what a fill does to the subject, so most of it has to stay.
        problem = region_problem(
            region, image.regions[SUBJECT], image.valid, thresholds.fill_subject
        )
        if problem:
            return _untestable(cues.name, None, problem)
        controls = controls_of(
            image,
            region,
            cues,
            bench.sets,
            bench.anchoring.rest,
            thresholds.controls,
            suspect.case,
            bench.seed,
        )
        if controls.problem:
            return _untestable(cues.name, None, controls.problem)
        places = [region, *controls.regions]
        jobs = [
            self.filling(image, place, name, number)
            for name in FILLS
            for number, place in enumerate(places)
        ]
        logits = yield jobs
        by_fill = logits.reshape(len(FILLS), len(places), -1)
        for name, part in zip(FILLS, by_fill, strict=True):
            self.note(part[:1], cues.name, "fill", None, [None], name)
            self.note(part[1:], cues.name, "control", None, [None] * (len(places) - 1), name)
        if not np.isfinite(logits).all():
            return _untestable(cues.name, None, "not_finite")
        estimate = estimate_fills(
            original,
            by_fill[:, 0],
            by_fill[:, 1:],
            suspect.pair,
            suspect.label if suspect.wrong else None,
        )
        decision = decide_by_fills(estimate, tests, suspect.label, suspect.pair.first, thresholds)
        flips = (estimate.flips - estimate.control_flips) / len(FILLS)
        return self.trial(
            cues.name,
            None,
            decision,
            estimate.effect,
            flips,
            len(FILLS),
            (by_fill[:, 1:].mean((0, 1)), by_fill[:, 0].mean(0)),
        )

    def without_subject(
        self, image: Stocked, trials: list[Trial]
    ) -> Generator[Sequence[Job], F64, list[Trial]]:
        """Correct by the cue alone? The decision also has to outlast the subject."""
        region = subject_region(image, self.bench.sets)
        survives = None
        if region.any() and (image.valid & ~region).any():
            logits = yield [self.filling(image, region, name, 0) for name in FILLS]
            for name, part in zip(FILLS, logits, strict=True):
                self.note(part[None], None, "subject", None, [None], name)
            if np.isfinite(logits).all():
                stays = float((logits.argmax(1) == self.suspect.pair.first).mean())
                survives = stays > self.bench.thresholds.survives
        judged = []
        for trial in trials:
            decision = Decision(trial.outcome, trial.told, True)
            found = survives_without_subject(decision, survives)
            judged.append(replace(trial, outcome=found.outcome, told=found.told))
        return judged

    def filling(self, image: Stocked, region: Mask, name: str, number: int) -> Job:
        return partial(filled, image, region, name, number, self.suspect.case, self.bench.seed)

    # -- notes ------------------------------------------------------------------------------

    def trial(
        self,
        cue: str,
        attribute: str | None,
        decision: Decision,
        effect: Effect,
        flips: float,
        pairs: int,
        arms: tuple[F64, F64],
    ) -> Trial:
        thresholds = self.bench.thresholds
        against = effect.upper(thresholds.futile) < thresholds.share * effect.margin
        return Trial(
            cue,
            attribute,
            None,
            decision.outcome,
            decision.outcome == "unsupported" and against,
            decision.told,
            effect,
            flips,
            pairs,
            tuple(arms[0].tolist()),
            tuple(arms[1].tolist()),
        )

    def note(
        self,
        logits: F64,
        cue: str | None,
        arm: Arm,
        attribute: str | None,
        donors: Sequence[str | None],
        fill: str | None,
        start: int = 0,
    ) -> None:
        for number, (values, donor) in enumerate(zip(logits, donors, strict=True), start):
            self.rows.append(
                InterventionRow(
                    self.suspect.case,
                    cue,
                    arm,
                    attribute,
                    donor,
                    fill,
                    number,
                    tuple(values.tolist()),
                )
            )


def _at_most(trial: Trial, rank: int) -> Trial:
    """A cue by itself is not surer than all of its set together, which was tested first."""
    if RANKS[trial.outcome] <= rank:
        return trial
    told = str(clauses([trial.told, NO_SURER]))
    return replace(trial, outcome="probable", told=told)


def _untestable(cue: str, attribute: str | None, problem: Reason) -> Trial:
    return Trial(cue, attribute, problem, "untestable", False, str(REASONS[problem]))
