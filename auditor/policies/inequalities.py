"""Conditions on groups of one label held against each other: differences and ratios."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.findings import Comparison
from auditor.findings.intervals import decimal, points, written_interval
from auditor.language import Phrase, Series, counted, listed, phrase, sentences
from auditor.policies.accuracies import no_groups
from auditor.policies.cells import Cells, chosen_attributes
from auditor.policies.contrasts import Contrast, differences, ratios
from auditor.policies.outcome import Bound, Outcome, Part, of_parts
from auditor.policies.policy import Policy
from auditor.rates import Interval
from auditor.store import Run


def difference(run: Run, policy: Policy, _: Comparison | None) -> tuple[Outcome, ...]:
    """`disparity.max_difference`: |accuracy of a group - that of the others of its label|.

    One outcome an attribute. Intervals hold at once over its comparisons.
    """
    bound = Bound(policy.limits["disparity.max_difference"], "at most", policy.decide)
    outcomes = []
    for attribute in chosen_attributes(run, policy, "disparity"):
        name = f"disparity.max_difference ({attribute})"
        cells = Cells.of(run, attribute)
        if not cells.tell_groups:
            outcomes.append(no_groups(name, bound, attribute))
            continue
        contrasts, small, remark = _against_others(cells, policy.min_n)
        intervals = differences(cells.rates, contrasts)
        parts = [
            _difference(cells, contrast, interval, len(contrasts))
            for contrast, interval in zip(contrasts, intervals, strict=True)
        ]
        asked = phrase("Asked for: at most {points} points apart", points=points(bound.limit))
        open_groups = [cells.name(cell) for cell in small]
        outcomes.append(of_parts(name, "share", bound, asked, parts, open_groups, remark))
    return tuple(outcomes) or (_no_attribute("disparity.max_difference", bound),)


def ratio(run: Run, policy: Policy, _: Comparison | None) -> tuple[Outcome, ...]:
    """`disparity.min_ratio`: accuracy of a group over the highest of its label.

    One outcome an attribute. Intervals hold at once over its comparisons.
    """
    bound = Bound(policy.limits["disparity.min_ratio"], "at least", policy.decide)
    outcomes = []
    for attribute in chosen_attributes(run, policy, "disparity"):
        name = f"disparity.min_ratio ({attribute})"
        cells = Cells.of(run, attribute)
        if not cells.tell_groups:
            outcomes.append(no_groups(name, bound, attribute))
            continue
        contrasts, small, remark = _against_highest(cells, policy.min_n)
        intervals = ratios(cells.rates, contrasts)
        parts = [
            _ratio(cells, contrast, interval, len(contrasts))
            for contrast, interval in zip(contrasts, intervals, strict=True)
        ]
        asked = phrase("Asked for: a ratio of at least {ratio}", ratio=decimal(bound.limit))
        open_groups = [cells.name(cell) for cell in small]
        outcomes.append(of_parts(name, "ratio", bound, asked, parts, open_groups, remark))
    return tuple(outcomes) or (_no_attribute("disparity.min_ratio", bound),)


def _against_others(cells: Cells, least: int) -> tuple[list[Contrast], list[int], Series | None]:
    """Each annotated group against the others of its label, two groups once; those too small."""
    contrasts, small = [], []
    by_label = _annotated(cells)
    for members in by_label.values():
        for place, cell in enumerate(members):
            others = tuple(other for other in members if other != cell)
            if cells.counted([cell]) < least:
                small.append(cell)
            elif others and cells.counted(others) >= least and (len(members) > 2 or not place):
                contrasts.append(Contrast(cell, others))
    return contrasts, small, _remark(cells, by_label, small, least)


def _against_highest(cells: Cells, least: int) -> tuple[list[Contrast], list[int], Series | None]:
    """Each annotated group against the highest of its label; and those too small."""
    contrasts, small = [], []
    by_label = _annotated(cells)
    for members in by_label.values():
        known = [cell for cell in members if cells.counted([cell]) >= least]
        small += [cell for cell in members if cell not in known]
        if known:
            best = max(known, key=lambda cell: cells.rates.rate([cell]) or 0.0)
            contrasts += [Contrast(cell, (best,)) for cell in known if cell != best]
    return contrasts, small, _remark(cells, by_label, small, least)


def _annotated(cells: Cells) -> dict[str, list[int]]:
    """The cells of annotated values, by label; a label without any has an empty list."""
    by_label: dict[str, list[int]] = {label: [] for label in cells.labels}
    for cell, (label, value) in enumerate(zip(cells.labels, cells.values, strict=True)):
        if value is not None:
            by_label[label].append(cell)
    return by_label


def _difference(cells: Cells, contrast: Contrast, interval: Interval | None, count: int) -> Part:
    rates = cells.rates
    right, judged = rates.counts([contrast.some])
    others_right, others_judged = rates.counts(contrast.others)
    signed = right / judged - others_right / others_judged
    size = None
    if interval is not None:
        low, high = interval
        # Of the size: where the interval holds 0, so does that of the size.
        size = (max(low, -high, 0.0), max(abs(low), abs(high)))
    told = phrase(
        "Of images labelled {label!r}, {right} of {judged} annotated as {value} are recognised "
        "({share:.1%}), {others_right} of {others_judged} annotated as {others} "
        "({others_share:.1%}): {points} points apart ({interval}, simultaneous over "
        "{comparisons})",
        label=cells.labels[contrast.some],
        right=right,
        judged=judged,
        value=_value(cells, contrast.some),
        share=right / judged,
        others_right=others_right,
        others_judged=others_judged,
        others=_values(cells, contrast.others),
        others_share=others_right / others_judged,
        points=points(abs(signed)),
        interval=written_interval(size, rates.clustered, points),
        comparisons=counted(count, "comparison"),
    )
    return Part(_name(cells, contrast), told, abs(signed), size, judged + others_judged)


def _ratio(cells: Cells, contrast: Contrast, interval: Interval | None, count: int) -> Part:
    rates = cells.rates
    right, judged = rates.counts([contrast.some])
    best_right, best_judged = rates.counts(contrast.others)
    name, label = _name(cells, contrast), cells.labels[contrast.some]
    if not best_right:
        told = phrase(
            "No image labelled {label!r} is recognised, so there is no ratio", label=label
        )
        return Part(name, told, None, None, judged + best_judged)
    value = (right / judged) / (best_right / best_judged)
    told = phrase(
        "Of images labelled {label!r}, {right} of {judged} annotated as {value} are recognised, "
        "{best_right} of {best_judged} annotated as {best}, the highest of the label: a ratio of "
        "{ratio:.2f} ({interval}, simultaneous over {comparisons})",
        label=label,
        right=right,
        judged=judged,
        value=_value(cells, contrast.some),
        best_right=best_right,
        best_judged=best_judged,
        best=_values(cells, contrast.others),
        ratio=value,
        interval=written_interval(interval, rates.clustered, decimal),
        comparisons=counted(count, "comparison"),
    )
    return Part(name, told, value, interval, judged + best_judged)


def _name(cells: Cells, contrast: Contrast) -> Phrase:
    return phrase(
        "{group} against {others}",
        group=cells.name(contrast.some),
        others=_values(cells, contrast.others),
    )


def _value(cells: Cells, cell: int) -> Phrase:
    return phrase("{attribute} {value!r}", attribute=cells.attribute, value=cells.values[cell])


def _values(cells: Cells, some: Sequence[int]) -> Phrase:
    if len(some) == 1:
        return _value(cells, some[0])
    return phrase("another {attribute}", attribute=cells.attribute)


def _remark(
    cells: Cells, by_label: dict[str, list[int]], small: list[int], least: int
) -> Series | None:
    told = [cells.small(small, least)]
    alone = [label for label, members in by_label.items() if len(members) < 2]
    if alone:
        told.append(
            phrase(
                "Labels with fewer than two annotated groups, in which nothing is compared: "
                "{labels}.",
                labels=listed(phrase("{label!r}", label=label) for label in alone),
            )
        )
    nobody = [cell for cell, value in enumerate(cells.values) if value is None]
    if nobody:
        count = counted(cells.rates.counts(nobody)[1], "judged case")
        told.append(phrase("Not annotated, and so not compared: {cases}.", cases=count))
    return sentences(*told) if any(told) else None


def _no_attribute(name: str, bound: Bound) -> Outcome:
    remark = phrase("The run has no attribute by which groups could be compared.")
    return of_parts(name, "share", bound, bound.asked(f"{bound.limit:g}"), [], [], remark)
