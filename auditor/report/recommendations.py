"""What to do next: every recommendation follows from a finding by a rule that is written here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from auditor.report.blocks import Block, text
from auditor.report.outcomes import outcome
from auditor.report.review import settled
from auditor.report.scope import COLLECTED
from auditor.report.source import UNANNOTATED, Source
from auditor.report.wording import counted, listed
from auditor.reviews import FLAGGED, QUEUED

MOST_CELLS = 8
"""Cells or groups that one recommendation names; the others are counted."""

_ORDER = ("warning", "notice", "info")


class Advice(NamedTuple):
    """What one rule says of one finding."""

    number: int
    """The finding's place in findings.json, from 0."""
    severity: str
    do: str
    settled_by: str


Found = tuple[int, Mapping[str, Any]]


def recommendations(source: Source) -> list[Block]:
    """The gravest first; of equals, in the order of `RULES`."""
    made = [(name, advice) for name, rule in RULES.items() for advice in rule(source)]
    made.sort(key=lambda entry: _ORDER.index(entry[1].severity))
    if not made:
        return [
            text(
                "No rule of docs/report.md found anything to do next. What nobody annotated or "
                "named was not looked at, and may be the next thing to look at."
            )
        ]
    found = source.run.findings
    return [
        text(
            "Each follows from a finding by a fixed rule (docs/report.md lists them), and has its "
            "severity. They say what would settle what the audit left open, and nothing of the "
            "effort.",
            "note",
        ),
        {
            "kind": "recommendations",
            "name": "recommendations",
            "recommendations": [
                {
                    "rule": name,
                    "severity": advice.severity,
                    "text": advice.do,
                    "settled_by": advice.settled_by,
                    "finding": advice.number + 1,
                    "finding_kind": found[advice.number]["kind"],
                    "finding_text": found[advice.number]["text"],
                }
                for name, advice in made
            ],
        },
    ]


def _found(source: Source, *kinds: str) -> Iterator[Found]:
    """The findings of those kinds with their numbers."""
    for number, found in enumerate(source.run.findings):
        if found["kind"] in kinds:
            yield number, found


def _remarked(source: Source, *kinds: str) -> Iterator[Found]:
    """Those that carry a warning or a notice."""
    return ((n, found) for n, found in _found(source, *kinds) if found["severity"] != "info")


def _check_setup(source: Source) -> Iterator[Advice]:
    for number, found in _remarked(source, "gate_chance", "gate_classes", "expected_accuracy"):
        yield Advice(
            number,
            found["severity"],
            "Check the order of model.classes, the preprocessing, the checkpoint and the labels, "
            "and audit again, before reading anything else.",
            f"An audit whose {found['kind']} carries no warning.",
        )


def _other_maps(source: Source) -> Iterator[Advice]:
    kinds = ("gate_randomisation", "gate_maps", "gate_noise", "layer")
    for number, found in _remarked(source, *kinds):
        yield Advice(
            number,
            found["severity"],
            "Name another model.layer or audit.method and audit again; until then read nothing "
            "from the maps.",
            f"An audit whose {found['kind']} is passed.",
        )


def _repair(source: Source) -> Iterator[Advice]:
    remedies = {
        "unreadable": "Repair or remove the images that cannot be read",
        "mask_mismatch": "Export the masks that do not fit at the size of their images",
        "nonfinite_logits": "Find out why the model gives no finite output",
        "no_regions": "Annotate subject or cues",
    }
    for number, found in _found(source, "not_judged"):
        status = next((s for s in remedies if f"{s!r}" in (found["query"] or "")), None)
        n = source.info["counts"]["excluded"].get(status, 0)
        if status is not None and n:
            yield Advice(
                number,
                found["severity"],
                f"{remedies[status]}, in {counted(n, 'case')} (status {status!r}).",
                f"No case with the status {status!r}.",
            )


def _annotate(source: Source) -> Iterator[Advice]:
    for number, found, region, statuses in _measured(source):
        n = statuses.get("absent", 0)
        if n and found["severity"] != "info":
            yield Advice(
                number,
                found["severity"],
                f"Annotate {region!r} in the {counted(n, 'case')} that lack it, or confirm that "
                "they do not show it.",
                f"{region!r} measured in at least half of the cases that show it.",
            )


def _enlarge(source: Source) -> Iterator[Advice]:
    for number, found, region, statuses in _measured(source):
        n = statuses.get("below_resolution", 0)
        if n > statuses.get("ok", 0):
            yield Advice(
                number,
                "notice" if found["severity"] == "info" else found["severity"],
                f"Audit with a larger input or a finer model.layer: {region!r} is smaller than a "
                f"cell of the map in {counted(n, 'case')}.",
                f"{region!r} of at least a cell of the map in most cases.",
            )


def _measured(source: Source) -> Iterator[tuple[int, Mapping[str, Any], str, dict[str, int]]]:
    """Findings on the coverage of a region, the region, and how many cases have which status."""
    for number, found in _found(source, "cue_coverage", "subject_coverage"):
        for region in source.info["regions"]["names"]:
            if found["query"] == f"`status.{region}` == 'ok'":
                column = source.run.read_cases([f"status.{region}"])[f"status.{region}"]
                counts = column.value_counts()
                yield number, found, region, {str(k): int(n) for k, n in counts.items()}


def _tie_cues(source: Source) -> Iterator[Advice]:
    for number, found in _remarked(source, "donor_tie"):
        yield Advice(
            number,
            found["severity"],
            "Tie the cue (evidence.donors) to an attribute that it shows, or annotate one, and "
            "audit again.",
            "A tie of cue and attribute that the cue's look tells better than chance.",
        )


def _use_donors(source: Source) -> Iterator[Advice]:
    grade = source.info["verdict"]["grade"]
    done = {"B": "by fills alone", "C": "not at all"}
    severity = {"B": "info", "C": "notice"}
    for number, _ in _found(source, "verdict"):
        if grade in done:
            yield Advice(
                number,
                severity[grade],
                f"Repeat with donors: pixels were changed {done[grade]} (grade {grade}). Annotate "
                "an attribute that each cue shows and let evidence.cases test suspects.",
                "A verdict of grade A.",
            )


def _more_evidence(source: Source) -> Iterator[Advice]:
    verdict = source.info["verdict"]
    gates = list(_remarked(source, "gate_chance", "gate_classes"))
    for number, found in _found(source, "verdict"):
        if verdict["level"] == 0 and not gates and verdict["grade"] != "C":
            yield Advice(
                number,
                found["severity"],
                f"Audit more cases, errors above all: {counted(found['n'] or 0, 'case')} could be "
                "tested.",
                "A verdict of another level than 0.",
            )


def _break_tie(source: Source) -> Iterator[Advice]:
    for number, found in _remarked(source, "effect"):
        yield Advice(
            number,
            found["severity"],
            "Do not rely on the model where this cue varies. Train again on data in which label "
            "and cue are independent (see What to collect), and audit again.",
            f"An audit in which the average effect is not shown to exceed "
            f"{found['threshold']:.2f} logits, and one of that size would have been detected.",
        )


def _collect(source: Source) -> Iterator[Advice]:
    for number, found in _found(source, *COLLECTED):
        wanted = [row for row in found["table"] or [] if row["collect"]]
        wanted.sort(key=lambda row: (-row["collect"], str(row["label"]), str(row["value"])))
        if wanted:
            total = sum(row["collect"] for row in wanted)
            cells = [f"{row['collect']:,} {row['label']} · {row['value']}" for row in wanted]
            which = "training images" if found["kind"].startswith("training") else "images"
            yield Advice(
                number,
                found["severity"],
                f"Collect {total:,} {which}: {listed(cells, MOST_CELLS)}.",
                "An association whose 95 % interval lies below "
                f"{source.info['thresholds']['association']:g}.",
            )


def _worse_groups(source: Source) -> Iterator[Advice]:
    for number, found, groups in _outcomes(source, "fail"):
        yield Advice(
            number,
            "warning" if found["severity"] == "warning" else "notice",
            "Look at the errors of groups that are recognised less often, and collect images of "
            f"them for training: {listed(groups, MOST_CELLS)}.",
            "A comparison that does not fail on new images.",
        )


def _larger_groups(source: Source) -> Iterator[Advice]:
    for number, _, groups in _outcomes(source, "insufficient evidence"):
        yield Advice(
            number,
            "info",
            f"Audit more images of groups too small to compare: {listed(groups, MOST_CELLS)}.",
            "An interval of the difference that excludes a rate under "
            f"{source.info['thresholds']['four_fifths']:.0%} of the others'.",
        )


def _outcomes(source: Source, wanted: str) -> Iterator[tuple[int, Mapping[str, Any], list[str]]]:
    """Findings with comparisons of that outcome, and their groups with n."""
    limits = source.info["thresholds"]
    for number, found in _found(source, "disparity"):
        groups = [
            f"{row['label']} · {row['value'] or UNANNOTATED} ({row['judged']:,} judged)"
            for row in found["table"] or []
            if outcome(row, limits["alpha"], limits["four_fifths"]) == wanted
        ]
        if groups:
            yield number, found, groups


def _review(source: Source) -> Iterator[Advice]:
    cases = source.run.read_cases(["id", "flag", "evidence"])
    waiting = cases[cases["flag"].notna() & ~cases["id"].isin(settled(source.reviews))]
    for kind, flag, evidence, told in (
        ("spurious_error", "spurious_error", FLAGGED, "flagged errors"),
        ("wrong_reason", "wrong_reason", FLAGGED, "flagged correct cases"),
        ("attention", "spurious_error", QUEUED, "errors queued by their maps"),
    ):
        own = waiting[(waiting["flag"] == flag) & waiting["evidence"].isin(list(evidence))]
        for number, found in _found(source, kind):
            if len(own):
                yield Advice(
                    number,
                    found["severity"],
                    f"Review the {len(own):,} {told} that no reviewer has settled.",
                    "A verdict on each, other than unclear, on which its reviewers agree.",
                )


RULES: Mapping[str, Callable[[Source], Iterator[Advice]]] = {
    "check_setup": _check_setup,
    "other_maps": _other_maps,
    "break_tie": _break_tie,
    "worse_groups": _worse_groups,
    "collect": _collect,
    "review": _review,
    "repair": _repair,
    "annotate": _annotate,
    "enlarge": _enlarge,
    "tie_cues": _tie_cues,
    "use_donors": _use_donors,
    "more_evidence": _more_evidence,
    "larger_groups": _larger_groups,
}
"""Every rule by its name: from a run to what follows from its findings."""
