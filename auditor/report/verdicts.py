"""The verdict and what it means, the limits of an audit, and the block to sign."""

from __future__ import annotations

from typing import Any

from auditor.findings.verdict import GRADES, LIMITS
from auditor.report.blocks import Block, fact, facts, findings, text
from auditor.report.source import Source
from auditor.report.wording import counted, listed

LEVELS = (
    "insufficient evidence",
    "none detected",
    "association only",
    "the model is sensitive to the cue",
    "cue-caused errors are confirmed and a group is harmed",
)
"""Of the verdict, 0 to 4."""

_MEANS = (
    (
        "This audit cannot say whether the model relies on one of the cues that were named.",
        "That it does not rely on one. Nothing was shown either way.",
    ),
    (
        "On these cases, no average effect of a named cue was detected of the size that the "
        "verdict states as detectable.",
        "That the model relies on no cue. Smaller effects, cues that nobody named or annotated, "
        "and other images remain open.",
    ),
    (
        "Label and attribute, or the maps of errors and a cue, go together more than chance "
        "explains.",
        "That the model uses the cue. What goes together in the data need not decide the model's "
        "answers.",
    ),
    (
        "Changing nothing but the cue moves the model's output on average by more than the size "
        "that matters.",
        "That a group is harmed by it, or that the cue causes every error. Neither is shown.",
    ),
    (
        "Changing nothing but the cue moves the model's output, errors come right without it, and "
        "images of one annotated group are classified right less often than others of their "
        "label.",
        "That every error of that group comes from the cue, or that other groups and other "
        "deployments are as this one.",
    ),
)
"""What each level means, and what it does not mean."""

_ALL_MEAN = (
    "It speaks of this model on these cases and of the cues named here. Attributes are what "
    "somebody annotated; none was inferred from a picture. No verdict certifies a model."
)


def verdict(source: Source) -> list[Block]:
    """The level, what it means and does not mean, and the findings with a remark."""
    info = source.info
    reached = info["verdict"]
    level = int(reached["level"])
    means, means_not = _MEANS[level]
    no_effect = "no average effect could be estimated"
    interval = None if reached["low"] is None else [reached["low"], reached["high"]]
    remarked = [
        found
        for found in source.run.findings
        if found["severity"] != "info" and found["kind"] != "verdict"
    ]
    blocks: list[Block] = [
        {
            "kind": "verdict",
            "name": "verdict",
            "level": level,
            "grade": reached["grade"],
            "text": reached["text"],
            "levels": list(LEVELS),
            "means": means,
            "means_not": means_not,
        },
        text(_ALL_MEAN, "note"),
        facts(
            "key_figures",
            "Key figures",
            [
                fact("level", "Verdict", level, "count"),
                fact("grade", "Evidence grade", GRADES[reached["grade"]]),
                fact("cue", "Cue of the largest effect", reached["cue"], reason=no_effect),
                fact("effect", "Average effect, logits", reached["effect"], "logits", no_effect),
                fact("interval", "95 % interval, logits", interval, "logits", no_effect),
                fact("threshold", "Effect that matters, logits", reached["threshold"], "logits"),
                fact("cases", "Cases audited", info["counts"]["cases"], "count"),
                fact("judged", "Cases with a prediction", info["counts"]["judged"], "count"),
                fact("errors", "Errors", info["counts"]["errors"], "count"),
                fact("tested", "Cases whose pixels were changed", _tested(source), "count"),
            ],
        ),
    ]
    if remarked:
        blocks.append(text("What a reader should not miss, warnings first:"))
        blocks.append(findings("remarked", remarked))
    else:
        blocks.append(text("No other finding carries a warning or a notice."))
    return blocks


def limits(source: Source) -> list[Block]:
    """What bounds every audit, and what bounds this one."""
    info = source.info
    blocks = [text(f"{LIMITS} This holds for every audit, whatever it found.", "note")]
    gates = [
        found
        for found in source.run.findings
        if found["kind"].startswith("gate_") and found["severity"] != "info"
    ]
    if gates:
        blocks.append(text("Gates that were not passed, or could not decide:", "warning"))
        blocks.append(findings("gates_not_passed", gates))
    if not info["layer"]["verified"]:
        blocks.append(
            text(
                f"The map's layer {info['layer']['name']!r} was not verified: moving a stimulus "
                "did not surely move the map.",
                "warning",
            )
        )
    missing = source.findings(
        "not_judged", "no_regions", "cue_coverage", "subject_coverage", "expected_accuracy", "layer"
    )
    if missing:
        blocks.append(text("What could not be measured, or not everywhere:"))
        blocks.append(findings("coverage", missing))
    blocks.append(text(_independence(source)))
    more = (_imprecise(source), _weighed(source))
    return [*blocks, *(text(sentence) for sentence in more if sentence)]


def signoff(_source: Source) -> list[Block]:
    """Blank lines for whoever answers for the audit."""
    return [
        text(
            "Signing says that the signer has read this report, its limits and what was not "
            "audited. It does not turn the verdict into a certificate."
        ),
        {
            "kind": "signoff",
            "name": "signoff",
            "fields": ["Name", "Role", "Date", "Decision", "Conditions", "Signature"],
        },
    ]


def _tested(source: Source) -> Any:
    return source.info["counts"].get("tested", 0)


def _independence(source: Source) -> str:
    if source.info["clustered"]:
        return (
            "Cases were annotated as belonging together (dataset.cluster), so intervals are "
            "bootstraps of whole clusters; with under about 20 clusters they are too narrow."
        )
    return (
        "Intervals take cases for independent, since no cluster was annotated. Where several "
        "images show one person or one scene, they are too narrow."
    )


def _imprecise(source: Source) -> str | None:
    small: dict[str, int] = {}
    for rows in source.groups.values():
        for row in rows:
            if row["precision"] != "ok":
                small[row["precision"]] = small.get(row["precision"], 0) + 1
    if not small:
        return None
    told = [f"{counted(n, 'group')} {name}" for name, n in sorted(small.items())]
    return (
        f"Of the groups by label and attribute, {listed(told)}: of 10 to 29 judged cases a rate is "
        "imprecise, below 10 only counts are shown."
    )


def _weighed(source: Source) -> str | None:
    counts = source.info["counts"]
    if not counts.get("tested"):
        return (
            "No pixels were changed, so nothing here shows what the model would do without a cue."
        )
    return (
        f"Pixels were changed in {counts['tested']:,} of {counts['cases']:,} cases: suspects and a "
        "random sample. What is said of the others rests on that sample."
    )
