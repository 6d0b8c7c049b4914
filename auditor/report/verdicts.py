"""The verdict and what it means, the limits of an audit, and the block to sign."""

from __future__ import annotations

from collections import Counter
from typing import Any

from auditor.findings.verdict import GRADES, LIMITS
from auditor.language import Phrase, Words, counted, listed, phrase, sentences, told
from auditor.report.blocks import Block, fact, facts, findings, text
from auditor.report.source import Source

LEVELS = (
    phrase("insufficient evidence"),
    phrase("none detected"),
    phrase("association only"),
    phrase("the model is sensitive to the cue"),
    phrase("cue-caused errors are confirmed and a group is harmed"),
)
"""Of the verdict, 0 to 4."""

_MEANS = (
    (
        phrase(
            "This audit cannot say whether the model relies on one of the cues that were named."
        ),
        phrase("That it does not rely on one. Nothing was shown either way."),
    ),
    (
        phrase(
            "On these cases, no average effect of a named cue was detected of the size that the "
            "verdict states as detectable."
        ),
        phrase(
            "That the model relies on no cue. Smaller effects, cues that nobody named or "
            "annotated, and other images remain open."
        ),
    ),
    (
        phrase(
            "Label and attribute, or the maps of errors and a cue, go together more than chance "
            "explains."
        ),
        phrase(
            "That the model uses the cue. What goes together in the data need not decide the "
            "model's answers."
        ),
    ),
    (
        phrase(
            "Changing nothing but the cue moves the model's output on average by more than the "
            "size that matters."
        ),
        phrase(
            "That the errors of a group come from it, or that the cue causes every error. "
            "Neither is shown."
        ),
    ),
    (
        phrase(
            "Changing nothing but the cue moves the model's output, errors come right without it, "
            "and images of one annotated group are classified right less often than others of "
            "their label."
        ),
        phrase(
            "That every error of that group comes from the cue, or that other groups and other "
            "deployments are as this one."
        ),
    ),
)
"""What each level means, and what it does not mean."""

_ALL_MEAN = phrase(
    "It speaks of this model on these cases and of the cues named here. Attributes are what "
    "somebody annotated; none was inferred from a picture. No verdict certifies a model."
)


def verdict(source: Source) -> list[Block]:
    """The level, what it means and does not mean, and the findings with a remark."""
    counts, reached = source.info["counts"], source.info["verdict"]
    level = int(reached["level"])
    means, means_not = _MEANS[level]
    no_effect = phrase("no average effect could be estimated")
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
            "text": told(reached),
            "levels": list(LEVELS),
            "means": means,
            "means_not": means_not,
        },
        text(_ALL_MEAN, "note"),
        facts(
            "key_figures",
            phrase("Key figures"),
            [
                fact("level", phrase("Verdict"), level, "count"),
                fact("grade", phrase("Evidence grade"), GRADES[reached["grade"]]),
                fact("cue", phrase("Cue of the largest effect"), reached["cue"], reason=no_effect),
                fact(
                    "effect",
                    phrase("Average effect, logits"),
                    reached["effect"],
                    "logits",
                    no_effect,
                ),
                fact("interval", phrase("95 % interval, logits"), interval, "logits", no_effect),
                fact(
                    "threshold",
                    phrase("Effect that matters, logits"),
                    reached["threshold"],
                    "logits",
                ),
                fact("cases", phrase("Cases audited"), counts["cases"], "count"),
                fact("judged", phrase("Cases with a prediction"), counts["judged"], "count"),
                fact("errors", phrase("Errors"), counts["errors"], "count"),
                fact("tested", phrase("Cases whose pixels were changed"), _tested(source), "count"),
            ],
        ),
    ]
    if remarked:
        blocks.append(text(phrase("What a reader should not miss, warnings first:")))
        blocks.append(findings("remarked", remarked))
    else:
        blocks.append(text(phrase("No other finding carries a warning or a notice.")))
    return blocks


def limits(source: Source) -> list[Block]:
    """What bounds every audit, and what bounds this one."""
    info = source.info
    always = sentences(LIMITS, phrase("This holds for every audit, whatever it found."))
    blocks = [text(always, "note")]
    gates = [
        found
        for found in source.run.findings
        if found["kind"].startswith("gate_") and found["severity"] != "info"
    ]
    if gates:
        blocks.append(text(phrase("Gates that were not passed, or could not decide:"), "warning"))
        blocks.append(findings("gates_not_passed", gates))
    if not info["layer"]["verified"]:
        blocks.append(
            text(
                phrase(
                    "The map's layer {layer!r} was not verified: moving a stimulus did not surely "
                    "move the map.",
                    layer=info["layer"]["name"],
                ),
                "warning",
            )
        )
    missing = source.findings(
        "not_judged", "no_regions", "cue_coverage", "subject_coverage", "expected_accuracy", "layer"
    )
    if missing:
        blocks.append(text(phrase("What could not be measured, or not everywhere:")))
        blocks.append(findings("coverage", missing))
    blocks.append(text(_independence(source)))
    more = (_imprecise(source), _weighed(source))
    return [*blocks, *(text(sentence) for sentence in more if sentence)]


def signoff(_source: Source) -> list[Block]:
    """Blank lines for whoever answers for the audit."""
    return [
        text(
            phrase(
                "Signing says that the signer has read this report, its limits and what was not "
                "audited. It does not turn the verdict into a certificate."
            )
        ),
        {
            "kind": "signoff",
            "name": "signoff",
            "fields": [
                phrase("Name"),
                phrase("Role"),
                phrase("Date"),
                phrase("Decision"),
                phrase("Conditions"),
                phrase("Signature"),
            ],
        },
    ]


def _tested(source: Source) -> Any:
    return source.info["counts"].get("tested", 0)


def _independence(source: Source) -> Phrase:
    if source.info["clustered"]:
        return phrase(
            "Cases were annotated as belonging together (dataset.cluster), so intervals are "
            "bootstraps of whole clusters; with under about 20 clusters they are too narrow."
        )
    return phrase(
        "Intervals take cases for independent, since no cluster was annotated. Where several "
        "images show one person or one scene, they are too narrow."
    )


def _imprecise(source: Source) -> Phrase | None:
    n = Counter(row["precision"] for rows in source.groups.values() for row in rows)
    small: list[Words] = []
    if n["counts only"]:
        small.append(phrase("{groups} counts only", groups=counted(n["counts only"], "group")))
    if n["imprecise"]:
        small.append(phrase("{groups} imprecise", groups=counted(n["imprecise"], "group")))
    if not small:
        return None
    return phrase(
        "Of the groups by label and attribute, {small}: of 10 to 29 judged cases a rate is "
        "imprecise, below 10 only counts are shown.",
        small=listed(small),
    )


def _weighed(source: Source) -> Phrase:
    counts = source.info["counts"]
    if not counts.get("tested"):
        return phrase(
            "No pixels were changed, so nothing here shows what the model would do without a cue."
        )
    return phrase(
        "Pixels were changed in {tested:,} of {cases:,} cases: suspects and a random sample. What "
        "is said of the others rests on that sample.",
        tested=counts["tested"],
        cases=counts["cases"],
    )
