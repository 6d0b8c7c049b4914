"""Why a case was decided as it was, and why a region was not measured.

The fixed sentences of `cases.parquet`'s column `reason` are written in English, one clause
after another, and read back into texts by `recognised`, so that a report can say them in its own
language.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from string import Formatter
from typing import Literal

from auditor.language import Phrase, Words, clauses, phrase

Reason = Literal[
    "no_region",
    "covers_subject",
    "covers_image",
    "no_subject",
    "on_subject",
    "no_place",
    "unknown_value",
    "one_value",
    "few_donors",
    "not_finite",
    "subject_not_removed",
]

REASONS: Mapping[Reason, Phrase] = {
    "no_region": phrase("the image does not show the cue's region, and neither do donors"),
    "covers_subject": phrase("the cue's region covers the subject: too little of it would be left"),
    "covers_image": phrase("the cue's region covers the image: nothing is left to fill it from"),
    "no_subject": phrase(
        "nothing of the subject lies beside the cue: it is covered, or not annotated"
    ),
    "on_subject": phrase(
        "the cue lies on the subject in some images and is absent from others, so that "
        "exchanging it changes the subject too, and no control takes that out"
    ),
    "no_place": phrase("the cue's region fits nowhere else in the image, so a fill has no control"),
    "unknown_value": phrase("the image's own value of the attribute is unknown"),
    "one_value": phrase("no image has another value of the attribute"),
    "few_donors": phrase("too few donors of either value have the same classes"),
    "not_finite": phrase("the model's output on the changed image is not finite"),
    "subject_not_removed": phrase(
        "the subject could not be removed, so nothing shows what is left"
    ),
}
"""Why a case cannot be tested, as a reader is told."""

UNMEASURED: Mapping[str, Phrase] = {
    "absent": phrase("not in the image"),
    "cropped_out": phrase("cropped out"),
    "below_resolution": phrase("smaller than a cell of the map"),
}
"""Why a region of an image has no measures, by its `status.<region>`."""

UNCHANGED = phrase("the maps cannot tell, and the pixels were not changed")
TURNED = phrase("without it the decision is another")
LITTLE = phrase("too little to matter")
CONTRIBUTING = phrase("a contributing cause")
NO_SURER = phrase("taken for no surer than all of its cue set together, which was tested first")
FALLS = phrase("but without the subject the decision falls")


def by_donors(effect: float, margin: float, least: float, level: float, donors: int) -> Phrase:
    """The figures of a decision by donors; effect, margin and bound in logits."""
    return phrase(
        "D = {effect:.2f} of a margin of {margin:.2f}, at least {least:.2f} "
        "(one-sided, level {level:.2g}, {donors} donors an arm)",
        effect=effect,
        margin=margin,
        least=least,
        level=level,
        donors=donors,
    )


def own_control(effect: float) -> Phrase:
    """How much of it shows against the case's own control, in logits."""
    return phrase("but only {effect:.2f} of it against its own control", effect=effect)


def by_fills(flips: int, fills: int, controls: float) -> Phrase:
    """How many fills turn the decision, and how many on controls."""
    return phrase(
        "{flips} of {fills} fills turn the decision, {controls:.2g} on controls",
        flips=flips,
        fills=fills,
        controls=controls,
    )


def over_fills(effect: float, spread: float, margin: float) -> Phrase:
    """The figures of a decision by fills, in logits."""
    return phrase(
        "D = {effect:.2f} ± {spread:.2f} (between fills) of a margin of {margin:.2f}",
        effect=effect,
        spread=spread,
        margin=margin,
    )


_KNOWN = (
    *REASONS.values(), UNCHANGED, TURNED, LITTLE, CONTRIBUTING, NO_SURER, FALLS,
    by_donors(0, 0, 0, 0, 0), own_control(0), by_fills(0, 0, 0), over_fills(0, 0, 0),
)  # fmt: skip


def recognised(reason: str) -> Words:
    """A recorded reason as a text; clauses that nothing here says stay as they are."""
    parts = [_recognised(part) for part in reason.split("; ")]
    return parts[0] if len(parts) == 1 else clauses(parts)


def _recognised(clause: str) -> Words:
    for template, pattern in _patterns().items():
        if found := pattern.fullmatch(clause):
            return Phrase(template, {k: _number(v) for k, v in found.groupdict().items()})
    return clause


def _number(written: str) -> int | float:
    return int(written) if written.isdigit() else float(written.replace("−", "-"))


@cache
def _patterns() -> Mapping[str, re.Pattern[str]]:
    """Template to what it writes; numbers stand in the braces, of older runs with a hyphen."""
    return {
        known.template: re.compile(
            "".join(
                re.escape(literal) + (f"(?P<{name}>[-−+.\\de]+|nan|inf)" if name else "")
                for literal, name, _, _ in Formatter().parse(known.template)
            )
        )
        for known in _KNOWN
    }
