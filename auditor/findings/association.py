"""Whether label and attribute go together, in the audited images and in those of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

import numpy as np
import pandas as pd
from scipy import sparse

from auditor.findings.cells import annotated
from auditor.findings.collection import collection_plan
from auditor.findings.finding import Finding, Severity
from auditor.findings.intervals import decimal, plural, written_interval
from auditor.groups import cluster_numbers, clusters_of, tells_groups
from auditor.statistics import cramers_v, cramers_v_interval, shared_information
from auditor.thresholds import Thresholds
from auditor.types import Rest

_MOST_LABELS, _MOST_VALUES = 4, 3  # that a text names; the table has all


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
            known = values.notna().sum()
            findings.append(
                Finding(
                    "association",
                    "info",
                    f"Of the audited images: whether label and {name} go together cannot be said, "
                    f"since {known} annotated images have {values.nunique()} values of it.",
                    n=int(known),
                    threshold=thresholds.association,
                )
            )
            continue
        left_out = (
            f" Left out: {plural(missing, 'image')} in which {name} is not annotated."
            if missing
            else ""
        )
        findings += _associated("", name, cases, values, left_out, seed, thresholds)
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
        others = status[values.isna()].fillna("without regions").value_counts().sort_index()
        told = ", ".join(f"{count} {status}" for status, count in others.items())
        left_out = f" Left out: {told}." if told else ""
        kinds = values.dropna().unique()
        if len(kinds) == 1:
            n = int(values.notna().sum())
            where = "all" if kinds[0] == "shown" else "none"
            findings.append(
                Finding(
                    "presence_association",
                    "info",
                    f"Cue {cue!r} is shown in {where} of {plural(n, 'image')}, so its presence "
                    f"cannot go with the label.{left_out}",
                    n=n,
                    threshold=thresholds.association,
                )
            )
            continue
        name = f"the presence of cue {cue!r}"
        findings += _associated("presence_", name, cases, values, left_out, seed, thresholds)
    return findings


def _associated(
    prefix: str,
    name: str,
    cases: pd.DataFrame,
    values: pd.Series,
    left_out: str,
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
    judged = _judged(counts, name, interval, notable, clusters is not None)
    findings = [
        _association(
            f"{prefix}association",
            f"Of the audited images: {judged}{left_out}",
            counts,
            interval,
            "notice" if notable else "info",
            thresholds,
        )
    ]
    if notable:
        findings += _collect(f"{prefix}collect", "", counts, name, "notice")
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
        groups = _read_groups(training["groups"])
        drawn = _read_groups(training.get("balanced_groups") or {}, whole=False)
    except ValueError as error:
        return [
            Finding(
                "training_association",
                "notice",
                "The checkpoint's record of the images that it was trained on cannot be read "
                f"({error}), so nothing is said about them.",
            )
        ]
    findings = []
    for name, counts in groups.items():
        interval = cramers_v_interval(counts.to_numpy(), seed)
        notable = _notable(interval, thresholds)
        balanced = cramers_v(drawn[name].to_numpy()) if name in drawn else None
        countered = balanced is not None and balanced <= thresholds.association
        severity: Severity = "notice" if notable and not countered else "info"
        text = "Of the images that the model was trained on, as its checkpoint records: " + _judged(
            counts, name, interval, notable
        )
        if notable and name in drawn:
            shown = "undefined" if balanced is None else decimal(balanced)
            text += (
                f" Training was balanced, and drew them so that V is {shown}"
                + (": this imbalance was countered" if countered else "")
                + (f". As drawn: {_shares(drawn[name])}." if balanced is not None else ".")
            )
        findings.append(
            _association("training_association", text, counts, interval, severity, thresholds)
        )
        if notable:
            where = " among the training images"
            more = " Balancing repeats images or leaves some out; it adds none." * countered
            findings += _collect("training_collect", where, counts, name, severity, more)
    return findings


def _by_cluster(
    clusters: pd.Series, cell: np.ndarray[Any, np.dtype[np.intp]], cells: int
) -> sparse.csr_array:
    """Counts of each cluster, [clusters, cells]."""
    codes = cluster_numbers(clusters)
    ones = np.ones(len(cell), dtype=np.int64)
    shape = (int(codes.max()) + 1, cells)
    return sparse.csr_array(sparse.coo_array((ones, (codes, cell)), shape=shape))


def _read_groups(groups: object, whole: bool = True) -> dict[str, pd.DataFrame]:
    """Tables label × value by attribute, unannotated values left out; ValueError if damaged."""

    def mapping(content: object, what: str) -> Mapping[object, object]:
        if not isinstance(content, Mapping):
            raise ValueError(f"{what} is no table but {content!r:.40}")
        return content

    tables = {}
    for name, by_label in mapping(groups, "the record").items():
        rows: dict[str, dict[str, float]] = {}
        for label, by_value in mapping(by_label, f"{name!r}").items():
            row = rows.setdefault(str(label), {})
            for value, count in mapping(by_value, f"{name!r}, {label!r}").items():
                number = isinstance(count, int if whole else int | float)
                if not number or isinstance(count, bool) or not 0 <= count < 2**53:  # type: ignore[operator]
                    raise ValueError(f"{name!r} counts {count!r} of {label!r}, {value!r}")
                if str(value):
                    row[str(value)] = row.get(str(value), 0) + count  # type: ignore[operator]
        table = pd.DataFrame.from_dict(rows, orient="index").fillna(0).sort_index()
        table = table[sorted(table.columns)]
        if table.to_numpy().sum() >= 2**31:  # whose products of margins would overflow
            raise ValueError(f"{name!r} counts more images than there can be")
        tables[str(name)] = table.astype(np.int64 if whole else np.float64)
    return tables


def _notable(interval: tuple[float, float] | None, thresholds: Thresholds) -> bool:
    return interval is not None and interval[0] > thresholds.association


def _association(
    kind: str,
    text: str,
    counts: pd.DataFrame,
    interval: tuple[float, float] | None,
    severity: Severity,
    thresholds: Thresholds,
) -> Finding:
    return Finding(
        kind,
        severity,
        text,
        value=cramers_v(counts.to_numpy()),
        low=interval[0] if interval else None,
        high=interval[1] if interval else None,
        n=int(counts.to_numpy().sum()),
        threshold=thresholds.association,
    )


def _judged(
    counts: pd.DataFrame,
    name: str,
    interval: tuple[float, float] | None,
    notable: bool,
    clustered: bool = False,
) -> str:
    n = int(counts.to_numpy().sum())
    value = cramers_v(counts.to_numpy())
    if value is None:
        why = "none is annotated"
        if n:
            shown = [
                (int((counts.sum(axis=axis) > 0).sum()), what)
                for axis, what in ((1, "label"), (0, name))
            ]
            few = [f"only one value of {what}" for count, what in shown if count < 2]
            why = f"the {n} annotated {'image' if n == 1 else 'images'} " + (
                f"hold{'s' * (n == 1)} {' and '.join(few)}" if few else "are too few"
            )
        return f"whether label and {name} go together cannot be said, since {why}."
    bounds = f"{written_interval(interval, clustered, decimal)}; " if interval else ""
    information = shared_information(counts.to_numpy())
    shared = (
        "" if information is None else f"; normalised mutual information {decimal(information)}"
    )
    return (
        f"label and {name} {'go together' if notable else 'show no notable association'}, "
        f"Cramér's V {decimal(value)} ({bounds}n = {n}){shared}. Annotated as {_shares(counts)}."
    )


def _collect(
    kind: str, where: str, counts: pd.DataFrame, name: str, severity: Severity, more: str = ""
) -> list[Finding]:
    plan = collection_plan(counts)
    exchanged = int(plan["collect"].sum())
    if not exchanged:
        return []
    changed = plan[(plan["collect"] > 0) | (plan["surplus"] > 0)]
    sizes = changed.groupby("label", sort=False)["collect"].sum()
    largest = sizes.sort_values(ascending=False, kind="stable").index
    steps = []
    for label in largest[:_MOST_LABELS]:
        cells = changed[changed["label"] == label]
        added, taken = (
            _listed(
                [
                    f"{count} {label} · {value}"
                    for value, count in cells.loc[cells[column] > 0, ["value", column]]
                    .sort_values(column, ascending=False, kind="stable")
                    .itertuples(index=False)
                ],
                _MOST_VALUES,
            )
            for column in ("collect", "surplus")
        )
        steps.append(f"{taken} by {added}")
    n = int(plan["n"].sum())
    return [
        Finding(
            kind,
            severity,
            f"To make label and {name} independent{where} at constant class size, replace "
            f"{_listed(steps, _MOST_LABELS, len(largest), '; ')}: {exchanged} of {n} images "
            f"({exchanged / n:.1%}).{more}",
            value=float(exchanged),
            n=n,
            table=tuple(
                {key: value if isinstance(value, str) else int(value) for key, value in row.items()}
                for row in plan.to_dict("records")
            ),
        )
    ]


def _shares(counts: pd.DataFrame) -> str:
    """The commonest values in the largest classes: "man: 78.0% of doctor, 7.2% of nurse"."""
    sizes = counts.sum(axis=1)
    labels = sizes[sizes > 0].sort_values(ascending=False, kind="stable").index
    totals = counts.sum()
    values = totals[totals > 0].sort_values(ascending=False, kind="stable").index
    # Of two values the second says nothing new.
    named = values[:1] if len(values) == 2 else values[:_MOST_VALUES]
    parts = []
    for value in named:
        shares = [f"{counts.at[x, value] / sizes[x]:.1%} of {x}" for x in labels[:_MOST_LABELS]]
        parts.append(f"{value}: {_listed(shares, _MOST_LABELS, len(labels))}")
    return _listed(parts, _MOST_VALUES, 0 if len(values) == 2 else len(values), "; ")


def _listed(texts: Sequence[str], most: int, of: int = 0, between: str = ", ") -> str:
    """The first of `texts`, and how many more there are of `of` (at least those given)."""
    more = max(of, len(texts)) - min(most, len(texts))
    return between.join(texts[:most]) + (f" and {more} more" if more else "")
