"""The groups of a run: rates of the cells of label × one attribute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from auditor.errors import ConfigurationError
from auditor.findings.cells import cell_columns, unit_words
from auditor.groups import grouped, tells_groups
from auditor.language import Phrase, phrase
from auditor.policies.outcome import named
from auditor.policies.policy import Policy
from auditor.rates import Rates
from auditor.store import Run


@dataclass(frozen=True)
class Cells:
    """The cells of label × one attribute that hold a case; of the label alone without one."""

    attribute: str | None
    labels: tuple[str, ...]
    values: tuple[str | None, ...]
    """Null where nobody annotated it, and where there is no attribute."""
    rates: Rates
    tell_groups: bool
    """False where the values are too many to be groups, and name images."""

    @classmethod
    def of(cls, run: Run, attribute: str | None) -> Cells:
        """Read from the run's cases; rates are over clusters where it has them."""
        by = ["label"] if attribute is None else ["label", f"attribute.{attribute}"]
        shown = cell_columns(read(run, *by, "correct"), by)
        telling = all(tells_groups(shown[name]) for name in by[1:])
        table, rates = grouped(shown, by, run.info["seed"])
        none = [None] * len(table)
        given = none if attribute is None else table[by[1]].tolist()
        return cls(
            attribute,
            tuple(str(label) for label in table["label"]),
            tuple(None if value is None or pd.isna(value) else str(value) for value in given),
            rates,
            telling,
        )

    def name(self, cell: int) -> Phrase:
        """A cell as sentences call it."""
        label, value = self.labels[cell], self.values[cell]
        if self.attribute is None:
            return phrase("label {label!r}", label=label)
        if value is None:
            attribute = self.attribute
            return phrase(
                "label {label!r}, {attribute} not annotated", label=label, attribute=attribute
            )
        return phrase(
            "label {label!r}, {attribute} {value!r}",
            label=label,
            attribute=self.attribute,
            value=value,
        )

    def counted(self, cells: Sequence[int]) -> int:
        """How many units some cells hold together."""
        if self.rates.members is None:
            return self.rates.counts(cells)[1]
        members = [self.rates.members[cell] for cell in cells]
        return len(np.unique(np.concatenate(members))) if members else 0

    def small(self, cells: Sequence[int], least: int) -> Phrase | None:
        """A sentence that names cells with fewer than `least` units; null without any."""
        if not cells:
            return None
        return phrase(
            "Under {least} {units}, so nothing is said of: {groups}.",
            least=least,
            units=unit_words(self.rates),
            groups=named(
                [
                    phrase("{group} ({n})", group=self.name(cell), n=self.counted([cell]))
                    for cell in cells
                ]
            ),
        )


def chosen_attributes(run: Run, policy: Policy, table: str) -> tuple[str, ...]:
    """The attributes that a table of the policy is asked for, else every one of the run.

    Raises `ConfigurationError` for one that the run does not have.
    """
    known = tuple(run.info["attributes"])
    for name in policy.by.get(table, ()):
        if name not in known:
            has = ", ".join(known) or "none"
            raise ConfigurationError(
                f"{policy.path}: {table}.by holds {name!r}, which is no attribute of {run.path}; "
                f"it has {has}."
            )
    return policy.by.get(table, known)


def read(run: Run, *columns: str) -> pd.DataFrame:
    """Columns of the cases, with `cluster` where the run has it."""
    return run.read_cases([*columns, "cluster"] if run.info["clustered"] else list(columns))


def rate_among(
    clusters: NDArray[np.intp] | None,
    among: NDArray[np.bool_],
    hits: NDArray[np.bool_],
    seed: int,
) -> Rates:
    """The rate of `hits` among some of the cases, as the only group; all are [cases].

    `clusters` are the `clusters_of` the cases, null where they are independent.
    """
    return Rates.of(
        np.zeros(int(among.sum()), dtype=np.intp),
        hits[among],
        1,
        None if clusters is None else clusters[among],
        seed,
    )


def is_true(column: pd.Series) -> NDArray[np.bool_]:
    """Where a column says true, [cases]; null does not."""
    return np.array(column.eq(True).fillna(False), dtype=bool)
