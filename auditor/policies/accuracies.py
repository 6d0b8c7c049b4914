"""Conditions on accuracy: of all cases, and of the group that has the lowest."""

from __future__ import annotations

from auditor.findings import Comparison
from auditor.findings.intervals import percent, written_interval
from auditor.groups import clusters_of
from auditor.language import Text, counted, phrase, sentences
from auditor.policies.cells import Cells, chosen_attributes, is_true, rate_among, read
from auditor.policies.outcome import Bound, Outcome, Part, of_parts, stopped
from auditor.policies.policy import Policy
from auditor.rates import Rates
from auditor.store import Run


def overall(run: Run, policy: Policy, _: Comparison | None) -> tuple[Outcome, ...]:
    """`accuracy.min`: the share of the judged cases that are right; 95 % interval."""
    limit = policy.limits["accuracy.min"]
    cases = read(run, "correct")
    judged, right = cases["correct"].notna().to_numpy(), is_true(cases["correct"])
    rates = rate_among(clusters_of(cases), judged, right, run.info["seed"])
    bound = Bound(limit, "at least", policy.decide)
    told, kind = phrase("judged cases are right"), phrase("judged cases")
    return (of_share("accuracy.min", bound, rates, policy.min_n, told, kind),)


def worst_group(run: Run, policy: Policy, _: Comparison | None) -> tuple[Outcome, ...]:
    """`accuracy.worst_group_min`: the accuracy of every cell of label × an attribute.

    One outcome an attribute; of the labels alone for a run without attributes. Cases that nobody
    annotated are a group too. Intervals hold at once over the groups of an attribute, as those of
    the finding `worst_group` do.
    """
    attributes = chosen_attributes(run, policy, "accuracy")
    bound = Bound(policy.limits["accuracy.worst_group_min"], "at least", policy.decide)
    outcomes = []
    for attribute in attributes or (None,):
        name = "accuracy.worst_group_min" + (f" ({attribute})" if attribute is not None else "")
        cells = Cells.of(run, attribute)
        if not cells.tell_groups:
            outcomes.append(no_groups(name, bound, attribute))
            continue
        every = range(len(cells.labels))
        known = [cell for cell in every if cells.counted([cell]) >= policy.min_n]
        small = [cell for cell in every if cell not in known]
        intervals = cells.rates.simultaneous(known)
        over = counted(len(known), "group")
        parts = []
        for cell, interval in zip(known, intervals, strict=True):
            right, judged = cells.rates.counts([cell])
            told = phrase(
                "In {group}: {right} of {judged} judged cases are right ({share:.1%}, {interval}, "
                "simultaneous over {groups})",
                group=cells.name(cell),
                right=right,
                judged=judged,
                share=right / judged,
                interval=written_interval(interval, cells.rates.clustered),
                groups=over,
            )
            parts.append(Part(cells.name(cell), told, right / judged, interval, judged))
        outcomes.append(
            of_parts(
                name,
                "share",
                bound,
                phrase("Asked for in every group: at least {limit}", limit=percent(bound.limit)),
                parts,
                [cells.name(cell) for cell in small],
                cells.small(small, policy.min_n),
            )
        )
    return tuple(outcomes)


def of_share(name: str, bound: Bound, rates: Rates, least: int, told: Text, kind: Text) -> Outcome:
    """The outcome of a condition on one rate, the only group of `rates`.

    `told` says what the cases of the rate are, and `kind` among which, both in the plural, to
    stand behind a number; insufficient under `least` units.
    """
    asked = bound.asked(percent(bound.limit))
    right, judged = rates.counts([0])
    units = int(rates.units[0])
    if units < least:
        few = (
            phrase(
                "Too few: {n} clusters of {kind}, fewer than {least}.",
                n=units,
                kind=kind,
                least=least,
            )
            if rates.clustered
            else phrase("Too few: {n} {kind}, fewer than {least}.", n=units, kind=kind, least=least)
        )
        value = right / judged if judged else None
        text = sentences(few, stopped(asked))
        return Outcome(name, "insufficient", "share", bound.limit, text, value, n=judged)
    interval = rates.interval([0])
    seen = phrase(
        "{n} of {total} {what} ({share:.1%}, {interval})",
        n=right,
        total=judged,
        what=told,
        share=right / judged,
        interval=written_interval(interval, rates.clustered),
    )
    part = Part(None, seen, right / judged, interval, judged)
    return of_parts(name, "share", bound, asked, [part])


def no_groups(name: str, bound: Bound, attribute: str | None) -> Outcome:
    """The outcome where an attribute tells no groups."""
    remark = phrase("The values of {attribute} are too many to be groups.", attribute=attribute)
    return of_parts(name, "share", bound, bound.asked(percent(bound.limit)), [], [], remark)
