"""Whether label and attribute go together, in the audited images and in those of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

import numpy as np
import pandas as pd
from scipy import sparse

from auditor.findings.cells import annotated
from auditor.findings.collection import collection_plan
from auditor.findings.finding import Finding, Severity
from auditor.findings.intervals import decimal, written_interval
from auditor.findings.training_record import DamagedRecord, read_groups
from auditor.groups import cluster_numbers, clusters_of, tells_groups
from auditor.language import Phrase, Text, Words, clauses, counted, listed, phrase, sentences
from auditor.reasons import UNMEASURED
from auditor.statistics import cramers_v, cramers_v_interval, shared_information
from auditor.thresholds import Thresholds
from auditor.types import Rest

_MOST_LABELS, _MOST_VALUES = 4, 3  # that a text names; the table has all


@dataclass(frozen=True)
class _Trait:
    """What may go with the label: an attribute, or whether a cue is there."""

    name: Words
    attribute: str | None = None
    cue: str | None = None
    words: Mapping[str, Words] = field(default_factory=dict)
    """What texts call its values; those that are missing are data."""

    def value(self, value: str) -> Words:
        """A value as texts call it."""
        return self.words.get(value, value)


_PRESENCE = {"shown": phrase("shown"), "absent": phrase("absent")}


def associations(
    cases: pd.DataFrame, attributes: Sequence[str], seed: int, thresholds: Thresholds
) -> list[Finding]:
    """Of each attribute: `association`, and `collect` where it is notable.

    `cases` needs `label` and `attribute.<name>`, "" or null where nobody annotated it; such
    cases are left out, and counted in the text. Nothing is computed of an attribute with
    fewer than two images a value. With a column `cluster` the intervals come
    from resampling whole clusters; a case without one is a cluster of its own.
    """
    findings = []
    for name in attributes:
        values = annotated(cases[f"attribute.{name}"])
        missing = int(values.isna().sum())
        if not tells_groups(values):
            known = int(values.notna().sum())
            untold = phrase(
                "Of the audited images: whether label and {attribute} go together cannot be said, "
                "since {n} annotated images have {values} values of it.",
                attribute=name,
                n=known,
                values=values.nunique(),
            )
            findings.append(
                Finding(
                    "association",
                    "info",
                    untold,
                    n=known,
                    threshold=thresholds.association,
                    attribute=name,
                )
            )
            continue
        left_out = None
        if missing:
            left_out = phrase(
                "Left out: {images} in which {attribute} is not annotated.",
                images=counted(missing, "image"),
                attribute=name,
            )
        trait = _Trait(name, attribute=name)
        findings += _associated("", trait, cases, values, left_out, seed, thresholds)
    return findings


def presence_associations(
    cases: pd.DataFrame, cues: Sequence[str], seed: int, thresholds: Thresholds
) -> list[Finding]:
    """Whether an image's label goes with what it shows: `presence_association` of each cue.

    And `presence_collect` where that is notable. `cases` needs `label` and `status.<cue>`:
    "ok" is shown, "absent" is not; images in which the cue is too small or cropped out, or
    that have no regions, are left out and counted. Nothing is said of the rest of an image,
    which every image has.
    """
    findings = []
    for cue in cues:
        if cue in get_args(Rest):
            continue
        status = cases[f"status.{cue}"].astype(object)
        values = status.map({"ok": "shown", "absent": "absent"}).astype(object)
        left_out = _unclear(status[values.isna()])
        kinds = values.dropna().unique()
        if len(kinds) == 1:
            n = int(values.notna().sum())
            findings.append(
                Finding(
                    "presence_association",
                    "info",
                    sentences(_constant(cue, n, kinds[0] == "shown"), left_out),
                    n=n,
                    threshold=thresholds.association,
                    cue=cue,
                )
            )
            continue
        presence = _Trait(phrase("the presence of cue {cue!r}", cue=cue), cue=cue, words=_PRESENCE)
        findings += _associated("presence_", presence, cases, values, left_out, seed, thresholds)
    return findings


def _unclear(statuses: pd.Series) -> Phrase | None:
    """The images that neither show a cue nor lack it, by status; None without any."""
    counts = statuses.fillna("without regions").value_counts().sort_index()
    told = [
        phrase("{n} without regions", n=count)
        if status == "without regions"
        else phrase("{n} {status}", n=count, status=UNMEASURED[status])
        for status, count in counts.items()
    ]
    return phrase("Left out: {statuses}.", statuses=listed(told)) if told else None


def _constant(cue: str, n: int, shown: bool) -> Phrase:
    """That all of `n` images show a cue, or none."""
    images = counted(n, "image")
    if shown:
        return phrase(
            "Cue {cue!r} is shown in all of {images}, so its presence cannot go with the label.",
            cue=cue,
            images=images,
        )
    return phrase(
        "Cue {cue!r} is shown in none of {images}, so its presence cannot go with the label.",
        cue=cue,
        images=images,
    )


def _associated(
    prefix: str,
    trait: _Trait,
    cases: pd.DataFrame,
    values: pd.Series,
    left_out: Phrase | None,
    seed: int,
    thresholds: Thresholds,
) -> list[Finding]:
    """Label × values, null where unknown: `association`, and `collect` where notable."""
    known = values.notna()
    rows, labels = pd.factorize(cases.loc[known, "label"].astype(object), sort=True)
    columns, names = pd.factorize(values[known].astype(object), sort=True)
    cells = np.bincount(rows * len(names) + columns, minlength=len(labels) * len(names))
    counts = pd.DataFrame(cells.reshape(len(labels), len(names)), labels, names)
    clusters = None
    if clusters_of(cases) is not None:
        where = cases.loc[known, "cluster"]
        clusters = _by_cluster(where, rows * len(names) + columns, len(cells))
    interval = cramers_v_interval(counts.to_numpy(), seed, clusters)
    notable = _notable(interval, thresholds)
    judged = _judged(counts, trait, interval, notable, clusters is not None)
    told = phrase("Of the audited images: {association}.", association=judged)
    message = sentences(told, _annotated(counts, trait), left_out)
    severity: Severity = "notice" if notable else "info"
    kind = f"{prefix}association"
    findings = [_association(kind, message, trait, counts, interval, severity, thresholds)]
    if notable:
        findings += _collect(f"{prefix}collect", counts, trait, severity)
    return findings


def training_associations(
    training: Mapping[str, Any] | None, seed: int, thresholds: Thresholds
) -> list[Finding]:
    """The same of the training images: `training_association` and `training_collect`.

    `training` is what the checkpoint records of its training; nothing is found without its
    `groups` ({attribute: {label: {value: images}}}). `balanced_groups`, of the same structure,
    has what training drew of them on average. A record that cannot be read is a notice.
    """
    if not isinstance(training, Mapping) or not training.get("groups"):
        return []
    try:
        groups = read_groups(training["groups"])
        drawn = read_groups(training.get("balanced_groups") or {}, whole=False)
    except DamagedRecord as error:
        return [
            Finding(
                "training_association",
                "notice",
                phrase(
                    "The checkpoint's record of the images that it was trained on cannot be read "
                    "({why}), so nothing is said about them.",
                    why=error.why,
                ),
            )
        ]
    findings = []
    for name, counts in groups.items():
        interval = cramers_v_interval(counts.to_numpy(), seed)
        notable = _notable(interval, thresholds)
        balanced = cramers_v(drawn[name].to_numpy()) if name in drawn else None
        countered = balanced is not None and balanced <= thresholds.association
        severity: Severity = "notice" if notable and not countered else "info"
        trait = _Trait(name, attribute=name)
        told = phrase(
            "Of the images that the model was trained on, as its checkpoint records: "
            "{association}.",
            association=_judged(counts, trait, interval, notable),
        )
        shown = None
        if notable and name in drawn:
            shown = _balanced(drawn[name], trait, balanced, countered)
        message = sentences(told, _annotated(counts, trait), shown)
        findings.append(
            _association(
                "training_association", message, trait, counts, interval, severity, thresholds
            )
        )
        if notable:
            findings += _collect(
                "training_collect", counts, trait, severity, trained=True, countered=countered
            )
    return findings


def _balanced(drawn: pd.DataFrame, trait: _Trait, value: float | None, countered: bool) -> Words:
    """What balanced training drew, whose Cramér's V is `value`."""
    if value is None:
        return phrase("Training was balanced, and drew them so that V is undefined.")
    if countered:
        told = phrase(
            "Training was balanced, and drew them so that V is {v:.2f}: this imbalance was "
            "countered.",
            v=value,
        )
    else:
        told = phrase("Training was balanced, and drew them so that V is {v:.2f}.", v=value)
    return sentences(told, phrase("As drawn: {shares}.", shares=_shares(drawn, trait)))


def _by_cluster(
    clusters: pd.Series, cell: np.ndarray[Any, np.dtype[np.intp]], cells: int
) -> sparse.csr_array:
    """Counts of each cluster, [clusters, cells]."""
    codes = cluster_numbers(clusters)
    ones = np.ones(len(cell), dtype=np.int64)
    shape = (int(codes.max(initial=-1)) + 1, cells)
    return sparse.csr_array(sparse.coo_array((ones, (codes, cell)), shape=shape))


def _notable(interval: tuple[float, float] | None, thresholds: Thresholds) -> bool:
    return interval is not None and interval[0] > thresholds.association


def _association(
    kind: str,
    message: Text,
    trait: _Trait,
    counts: pd.DataFrame,
    interval: tuple[float, float] | None,
    severity: Severity,
    thresholds: Thresholds,
) -> Finding:
    return Finding(
        kind,
        severity,
        message,
        value=cramers_v(counts.to_numpy()),
        low=interval[0] if interval else None,
        high=interval[1] if interval else None,
        n=int(counts.to_numpy().sum()),
        threshold=thresholds.association,
        attribute=trait.attribute,
        cue=trait.cue,
    )


def _judged(
    counts: pd.DataFrame,
    trait: _Trait,
    interval: tuple[float, float] | None,
    notable: bool,
    clustered: bool = False,
) -> Phrase:
    """Whether label and trait go together, and how much; or why that cannot be said. A clause."""
    value = cramers_v(counts.to_numpy())
    if value is None:
        return phrase(
            "whether label and {trait} go together cannot be said, since {why}",
            trait=trait.name,
            why=_undefined(counts, trait),
        )
    n = int(counts.to_numpy().sum())
    if interval:
        bounds = written_interval(interval, clustered, decimal)
        told = [phrase("Cramér's V {v:.2f} ({interval}; n = {n})", v=value, interval=bounds, n=n)]
    else:
        told = [phrase("Cramér's V {v:.2f} (n = {n})", v=value, n=n)]
    information = shared_information(counts.to_numpy())
    if information is not None:
        told.append(phrase("normalised mutual information {share:.2f}", share=information))
    if notable:
        return phrase(
            "label and {trait} go together, {measured}", trait=trait.name, measured=clauses(told)
        )
    return phrase(
        "label and {trait} show no notable association, {measured}",
        trait=trait.name,
        measured=clauses(told),
    )


def _undefined(counts: pd.DataFrame, trait: _Trait) -> Phrase:
    """Why label and trait have no Cramér's V."""
    n = int(counts.to_numpy().sum())
    if not n:
        unseen = phrase("in no image is it known to be there or not")
        return phrase("none is annotated") if trait.cue is None else unseen
    one_label, one_value = (int((counts.sum(axis=axis) > 0).sum()) < 2 for axis in (1, 0))
    if n == 1:
        return phrase(
            "the 1 annotated image holds only one value of label and only one value of {trait}",
            trait=trait.name,
        )
    if one_label and one_value:
        return phrase(
            "the {n} annotated images hold only one value of label and only one value of {trait}",
            n=n,
            trait=trait.name,
        )
    if one_label:
        return phrase("the {n} annotated images hold only one value of label", n=n)
    if one_value:
        return phrase(
            "the {n} annotated images hold only one value of {trait}", n=n, trait=trait.name
        )
    return phrase("the {n} annotated images are too few", n=n)


def _annotated(counts: pd.DataFrame, trait: _Trait) -> Phrase | None:
    """The shares behind a Cramér's V; None where that is undefined."""
    if cramers_v(counts.to_numpy()) is None:
        return None
    return phrase("Annotated as {shares}.", shares=_shares(counts, trait))


def _collect(
    kind: str,
    counts: pd.DataFrame,
    trait: _Trait,
    severity: Severity,
    trained: bool = False,
    countered: bool = False,
) -> list[Finding]:
    """What to exchange among the audited images, or those that the model was trained on."""
    plan = collection_plan(counts)
    exchanged = int(plan["collect"].sum())
    if not exchanged:
        return []
    n = int(plan["n"].sum())
    if trained:
        told = phrase(
            "To make label and {trait} independent among the training images at constant class "
            "size, replace {steps}: {exchanged} of {n} images ({share:.1%}).",
            trait=trait.name,
            steps=_steps(plan, trait),
            exchanged=exchanged,
            n=n,
            share=exchanged / n,
        )
    else:
        told = phrase(
            "To make label and {trait} independent at constant class size, replace {steps}: "
            "{exchanged} of {n} images ({share:.1%}).",
            trait=trait.name,
            steps=_steps(plan, trait),
            exchanged=exchanged,
            n=n,
            share=exchanged / n,
        )
    none_added = phrase("Balancing repeats images or leaves some out; it adds none.")
    return [
        Finding(
            kind,
            severity,
            sentences(told, none_added if countered else None),
            value=float(exchanged),
            n=n,
            table=tuple(
                {key: value if isinstance(value, str) else int(value) for key, value in row.items()}
                for row in plan.to_dict("records")
            ),
            attribute=trait.attribute,
            cue=trait.cue,
        )
    ]


def _steps(plan: pd.DataFrame, trait: _Trait) -> Words:
    """What a plan exchanges, the classes with the most first."""
    changed = plan[(plan["collect"] > 0) | (plan["surplus"] > 0)]
    sizes = changed.groupby("label", sort=False)["collect"].sum()
    largest = sizes.sort_values(ascending=False, kind="stable").index
    steps = []
    for label in largest[:_MOST_LABELS]:
        cells = changed[changed["label"] == label]
        added, taken = (_images(cells, column, trait) for column in ("collect", "surplus"))
        steps.append(phrase("{taken} by {added}", taken=taken, added=added))
    return _cut(steps, _MOST_LABELS, len(largest), whole=True)


def _images(cells: pd.DataFrame, column: str, trait: _Trait) -> Words:
    """The images of one class that a column of a plan counts, the most first."""
    some = cells.loc[cells[column] > 0, ["label", "value", column]]
    ordered = some.sort_values(column, ascending=False, kind="stable")
    told = [
        phrase("{n} {label} · {value}", n=count, label=str(label), value=trait.value(str(value)))
        for label, value, count in ordered.itertuples(index=False)
    ]
    return _cut(told, _MOST_VALUES)


def _shares(counts: pd.DataFrame, trait: _Trait) -> Words:
    """The commonest values in the largest classes: "man: 78.0% of doctor, 7.2% of nurse"."""
    sizes = counts.sum(axis=1)
    labels = sizes[sizes > 0].sort_values(ascending=False, kind="stable").index
    totals = counts.sum()
    values = totals[totals > 0].sort_values(ascending=False, kind="stable").index
    # Of two values the second says nothing new.
    named = values[:1] if len(values) == 2 else values[:_MOST_VALUES]
    parts = []
    for value in named:
        shares = [
            phrase("{share:.1%} of {label}", share=counts.at[x, value] / sizes[x], label=str(x))
            for x in labels[:_MOST_LABELS]
        ]
        cut = _cut(shares, _MOST_LABELS, len(labels))
        parts.append(phrase("{value}: {shares}", value=trait.value(str(value)), shares=cut))
    return _cut(parts, _MOST_VALUES, 0 if len(values) == 2 else len(values), whole=True)


def _cut(texts: Sequence[Phrase], most: int, of: int = 0, whole: bool = False) -> Words:
    """The first of `texts`, and how many more there are of `of` (at least those given).

    `whole` texts hold commas of their own.
    """
    more = max(of, len(texts)) - min(most, len(texts))
    shown = clauses(texts[:most]) if whole else listed(texts[:most])
    return phrase("{shown} and {n} more", shown=shown, n=more) if more else shown
