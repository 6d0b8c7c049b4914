"""What to do next: every recommendation follows from a finding by a rule that is written here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from auditor.language import Phrase, counted, phrase, told
from auditor.report.blocks import Block, text
from auditor.report.outcomes import outcome
from auditor.report.review import settled
from auditor.report.scope import COLLECTED
from auditor.report.source import Source, group_name
from auditor.report.wording import listed
from auditor.reviews import FLAGGED, QUEUED

MOST_CELLS = 8
"""Cells or groups that one recommendation names; the others are counted."""

_ORDER = ("warning", "notice", "info")


class Advice(NamedTuple):
    """What one rule says of one finding."""

    number: int
    """The finding's place in findings.json, from 0."""
    severity: str
    do: Phrase
    settled_by: Phrase


Found = tuple[int, Mapping[str, Any]]


def recommendations(source: Source) -> list[Block]:
    """The gravest first; of equals, in the order of `RULES`."""
    made = [(name, advice) for name, rule in RULES.items() for advice in rule(source)]
    made.sort(key=lambda entry: _ORDER.index(entry[1].severity))
    if not made:
        return [
            text(
                phrase(
                    "No rule of docs/report.md found anything to do next. What nobody annotated "
                    "or named was not looked at, and may be the next thing to look at."
                )
            )
        ]
    found = source.run.findings
    return [
        text(
            phrase(
                "Each follows from a finding by a fixed rule (docs/report.md lists them), and has "
                "its severity. They say what would settle what the audit left open, and nothing "
                "of the effort."
            ),
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
                    "finding_text": told(found[advice.number]),
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
        check = phrase(
            "Check the order of model.classes, the preprocessing, the checkpoint and the "
            "labels, and audit again, before reading anything else."
        )
        if found["kind"] == "gate_chance":
            check = phrase(
                "Check the order of model.classes, the preprocessing, the checkpoint and the "
                "labels. If they are right, the model may decide by a cue that was not named: look "
                "for it with auditor discover, name it, and audit again."
            )
        yield Advice(
            number,
            found["severity"],
            check,
            phrase("An audit whose {kind} carries no warning.", kind=found["kind"]),
        )


def _other_maps(source: Source) -> Iterator[Advice]:
    kinds = ("gate_randomisation", "gate_maps", "gate_noise", "layer")
    for number, found in _remarked(source, *kinds):
        yield Advice(
            number,
            found["severity"],
            phrase(
                "Name another model.layer or audit.method and audit again; until then read "
                "nothing from the maps."
            ),
            phrase("An audit whose {kind} is passed.", kind=found["kind"]),
        )


def _repair(source: Source) -> Iterator[Advice]:
    for number, found in _found(source, "not_judged"):
        status = next((s for s in _REMEDIED if f"{s!r}" in (found["query"] or "")), None)
        n = source.info["counts"]["excluded"].get(status, 0)
        if status is not None and n:
            yield Advice(
                number,
                found["severity"],
                _remedy(status, n),
                phrase("No case with the status {status!r}.", status=status),
            )


_REMEDIED = ("unreadable", "mask_mismatch", "nonfinite_logits", "no_regions")


def _remedy(status: str, n: int) -> Phrase:
    """What to do about so many cases of one of the statuses that can be remedied."""
    cases = counted(n, "case")
    if status == "unreadable":
        return phrase(
            "Repair or remove the images that cannot be read, in {cases} (status {status!r}).",
            cases=cases,
            status=status,
        )
    if status == "mask_mismatch":
        return phrase(
            "Export the masks that do not fit at the size of their images, in {cases} "
            "(status {status!r}).",
            cases=cases,
            status=status,
        )
    if status == "nonfinite_logits":
        return phrase(
            "Find out why the model gives no finite output, in {cases} (status {status!r}).",
            cases=cases,
            status=status,
        )
    return phrase(
        "Annotate subject or cues, in {cases} (status {status!r}).", cases=cases, status=status
    )


def _annotate(source: Source) -> Iterator[Advice]:
    for number, found, region, statuses in _measured(source):
        n = statuses.get("absent", 0)
        if n and found["severity"] != "info":
            yield Advice(
                number,
                found["severity"],
                phrase(
                    "Annotate {region!r} in the {cases} that lack it, or confirm that they do not "
                    "show it.",
                    region=region,
                    cases=counted(n, "case"),
                ),
                phrase(
                    "{region!r} measured in at least half of the cases that show it.",
                    region=region,
                ),
            )


def _enlarge(source: Source) -> Iterator[Advice]:
    for number, found, region, statuses in _measured(source):
        n = statuses.get("below_resolution", 0)
        if n > statuses.get("ok", 0):
            yield Advice(
                number,
                "notice" if found["severity"] == "info" else found["severity"],
                phrase(
                    "Audit with a larger input or a finer model.layer: {region!r} is smaller than "
                    "a cell of the map in {cases}.",
                    region=region,
                    cases=counted(n, "case"),
                ),
                phrase("{region!r} of at least a cell of the map in most cases.", region=region),
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
            phrase(
                "Tie the cue (evidence.donors) to an attribute that it shows, or annotate one, "
                "and audit again."
            ),
            phrase("A tie of cue and attribute that the cue's look tells better than chance."),
        )


def _use_donors(source: Source) -> Iterator[Advice]:
    weak = {
        "B": (
            "info",
            phrase(
                "Repeat with donors: pixels were changed by fills alone (grade B). Annotate an "
                "attribute that each cue shows and let evidence.cases test suspects."
            ),
        ),
        "C": (
            "notice",
            phrase(
                "Repeat with donors: pixels were changed not at all (grade C). Annotate an "
                "attribute that each cue shows and let evidence.cases test suspects."
            ),
        ),
    }
    grade = source.info["verdict"]["grade"]
    for number, _ in _found(source, "verdict"):
        if grade in weak:
            severity, do = weak[grade]
            yield Advice(number, severity, do, phrase("A verdict of grade A."))


def _more_evidence(source: Source) -> Iterator[Advice]:
    verdict = source.info["verdict"]
    gates = list(_remarked(source, "gate_chance", "gate_classes"))
    for number, found in _found(source, "verdict"):
        if verdict["level"] == 0 and not gates and verdict["grade"] != "C":
            yield Advice(
                number,
                found["severity"],
                phrase(
                    "Audit more cases, errors above all: {cases} could be tested.",
                    cases=counted(found["n"] or 0, "case"),
                ),
                phrase("A verdict of another level than 0."),
            )


def _break_tie(source: Source) -> Iterator[Advice]:
    for number, found in _remarked(source, "effect"):
        yield Advice(
            number,
            found["severity"],
            phrase(
                "Do not rely on the model where this cue varies. Train again on data in which "
                "label and cue are independent (see What to collect), and audit again."
            ),
            phrase(
                "An audit in which the average effect is not shown to exceed {threshold:.2f} "
                "logits, and one of that size would have been detected.",
                threshold=found["threshold"],
            ),
        )


def _collect(source: Source) -> Iterator[Advice]:
    for number, found in _found(source, *COLLECTED):
        wanted = [row for row in found["table"] or [] if row["collect"]]
        wanted.sort(key=lambda row: (-row["collect"], str(row["label"]), str(row["value"])))
        if wanted:
            yield Advice(
                number,
                found["severity"],
                _wanted(wanted, training=found["kind"].startswith("training")),
                phrase(
                    "An association whose 95 % interval lies below {limit:g}.",
                    limit=source.info["thresholds"]["association"],
                ),
            )


def _wanted(rows: list[dict[str, Any]], training: bool) -> Phrase:
    """Rows of a table of what to collect, in a sentence."""
    total = sum(row["collect"] for row in rows)
    cells = listed(
        [
            phrase(
                "{n:,} {label} · {value}", n=row["collect"], label=row["label"], value=row["value"]
            )
            for row in rows
        ],
        MOST_CELLS,
    )
    if training:
        return phrase("Collect {total:,} training images: {cells}.", total=total, cells=cells)
    return phrase("Collect {total:,} images: {cells}.", total=total, cells=cells)


def _worse_groups(source: Source) -> Iterator[Advice]:
    for number, found, groups in _outcomes(source, "fail"):
        yield Advice(
            number,
            "warning" if found["severity"] == "warning" else "notice",
            phrase(
                "Look at the errors of groups that are recognised less often, and collect images "
                "of them for training: {groups}.",
                groups=listed(groups, MOST_CELLS),
            ),
            phrase("A comparison that does not fail on new images."),
        )


def _larger_groups(source: Source) -> Iterator[Advice]:
    for number, _, groups in _outcomes(source, "insufficient evidence"):
        yield Advice(
            number,
            "info",
            phrase(
                "Audit more images of groups too small to compare: {groups}.",
                groups=listed(groups, MOST_CELLS),
            ),
            phrase(
                "An interval of the difference that excludes a rate under {share:.0%} of the "
                "others'.",
                share=source.info["thresholds"]["four_fifths"],
            ),
        )


def _outcomes(source: Source, wanted: str) -> Iterator[tuple[int, Mapping[str, Any], list[Phrase]]]:
    """Findings with comparisons of that outcome, and their groups with n."""
    limits = source.info["thresholds"]
    for number, found in _found(source, "disparity"):
        groups = [
            phrase(
                "{group} ({n:,} judged)",
                group=group_name(row["label"], row["value"]),
                n=row["judged"],
            )
            for row in found["table"] or []
            if outcome(row, limits["alpha"], limits["four_fifths"]) == wanted
        ]
        if groups:
            yield number, found, groups


def _review(source: Source) -> Iterator[Advice]:
    cases = source.run.read_cases(["id", "flag", "evidence"])
    waiting = cases[cases["flag"].notna() & ~cases["id"].isin(settled(source.reviews))]
    for kind, flag, evidence in (
        ("spurious_error", "spurious_error", FLAGGED),
        ("wrong_reason", "wrong_reason", FLAGGED),
        ("attention", "spurious_error", QUEUED),
    ):
        n = int(((waiting["flag"] == flag) & waiting["evidence"].isin(list(evidence))).sum())
        for number, found in _found(source, kind):
            if n:
                yield Advice(
                    number,
                    found["severity"],
                    _to_review(kind, n),
                    phrase("A verdict on each, other than unclear, on which its reviewers agree."),
                )


def _to_review(kind: str, n: int) -> Phrase:
    if kind == "spurious_error":
        return phrase("Review the {n:,} flagged errors that no reviewer has settled.", n=n)
    if kind == "wrong_reason":
        return phrase("Review the {n:,} flagged correct cases that no reviewer has settled.", n=n)
    return phrase("Review the {n:,} errors queued by their maps that no reviewer has settled.", n=n)


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
