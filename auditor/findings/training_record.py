"""What a checkpoint records of the images that it was trained on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from auditor.language import Phrase, listed, phrase


class DamagedRecord(Exception):
    """A record of the training images that cannot be read."""

    def __init__(self, why: Phrase) -> None:
        super().__init__(str(why))
        self.why = why


def read_groups(groups: object, whole: bool = True) -> dict[str, pd.DataFrame]:
    """Tables label × value by attribute, from {attribute: {label: {value: images}}}.

    Unannotated values are left out. `whole`: the counts are integers, not averages. Raises
    `DamagedRecord` for anything else than counts.
    """
    tables = {}
    for name, by_label in _mapping(groups).items():
        rows: dict[str, dict[str, float]] = {}
        for label, by_value in _mapping(by_label, name).items():
            row = rows.setdefault(str(label), {})
            for value, count in _mapping(by_value, name, label).items():
                number = isinstance(count, int if whole else int | float)
                if not number or isinstance(count, bool) or not 0 <= count < 2**53:  # type: ignore[operator]
                    raise DamagedRecord(
                        phrase(
                            "{attribute} counts {count} of {label}, {value}",
                            attribute=repr(name),
                            count=repr(count),
                            label=repr(label),
                            value=repr(value),
                        )
                    )
                if str(value):
                    row[str(value)] = row.get(str(value), 0) + count  # type: ignore[operator]
        table = pd.DataFrame.from_dict(rows, orient="index").fillna(0).sort_index()
        table = table[sorted(table.columns)]
        if table.to_numpy().sum() >= 2**31:  # whose products of margins would overflow
            many = phrase("{attribute} counts more images than there can be", attribute=repr(name))
            raise DamagedRecord(many)
        tables[str(name)] = table.astype(np.int64 if whole else np.float64)
    return tables


def _mapping(content: object, *keys: object) -> Mapping[object, object]:
    """The content of a record under these keys; raises `DamagedRecord` if it is no table."""
    if isinstance(content, Mapping):
        return content
    shown = f"{content!r:.40}"
    if not keys:
        raise DamagedRecord(phrase("the record is no table but {content}", content=shown))
    place = listed(repr(key) for key in keys)
    raise DamagedRecord(phrase("{place} is no table but {content}", place=place, content=shown))
