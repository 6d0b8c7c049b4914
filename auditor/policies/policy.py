"""The policy that a run is held against: a TOML file, read into a frozen record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from auditor import values
from auditor.errors import ConfigurationError
from auditor.groups import COUNTS_ONLY
from auditor.policies.outcome import Decide
from auditor.toml import read_toml, refusal, refuse_unknown


@dataclass(frozen=True)
class Policy:
    """What is asked of a run. `sha256` is of the file's bytes; docs/check.md has every key.

    `limits` holds the limit of each condition that is asked for, by its key in `LIMITS`; never
    empty. `by` has the attributes of a table ("accuracy", "disparity") that names them; of one
    that does not, every attribute of the run is taken. `min_n` is the fewest judged cases (or
    clusters) without which a rate says nothing, and the fewest tested cases without which an
    average effect does not.
    """

    path: Path
    sha256: str
    limits: Mapping[str, Any]
    by: Mapping[str, tuple[str, ...]]
    decide: Decide = "interval"
    min_n: int = COUNTS_ONLY

    @property
    def needs_baseline(self) -> bool:
        """Whether any condition is about another run."""
        return any(name.startswith("baseline.") for name in self.limits)


def share(value: Any) -> float:
    """A number from 0 to 1."""
    if not _is_number(value) or not 0 <= value <= 1:
        raise values.Unusable("a number from 0 to 1")
    return float(value)


def size(value: Any) -> float:
    """A number, 0 or more."""
    if not _is_number(value) or not 0 <= value < 1e9:  # neither nan nor inf, which TOML can say
        raise values.Unusable("a number, 0 or more")
    return float(value)


def sizes(value: Any) -> Mapping[str, float]:
    """A table from cue sets to numbers, 0 or more; not empty."""
    if not isinstance(value, dict) or not value or not all(map(_is_number, value.values())):
        raise values.Unusable('a table from cue sets to numbers, such as { "face+hair" = 0.2 }')
    return MappingProxyType({cue: size(limit) for cue, limit in value.items()})


def level(value: Any) -> int:
    """A level of the verdict that may be exceeded by another."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 3:
        raise values.Unusable("1, 2 or 3 (3 for no verdict of level 4)")
    return value


LIMITS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "verdict.max_level": level,
        "evidence.min_grade": values.one_of("A", "B"),
        "evidence.min_tested": values.positive_whole_number,
        "evidence.min_judged": values.positive_whole_number,
        "reliance.max": size,
        "reliance.by_cue": sizes,
        "spurious_errors.max_share_of_errors": share,
        "spurious_errors.max_share_of_cases": share,
        "accuracy.min": share,
        "accuracy.worst_group_min": share,
        "disparity.max_difference": share,
        "disparity.min_ratio": share,
        "baseline.max_new_failures": values.whole_number,
        "baseline.max_new_failure_share": share,
        "baseline.max_drop": share,
    }
)
"""Every condition's key, and what its limit may be; `CONDITIONS` has the same keys."""

_BY = {"accuracy": "worst_group_min", "disparity": "max_difference or min_ratio"}
"""The tables whose conditions are asked of groups, and those conditions."""


def read_policy(path: str | Path) -> Policy:
    """Read a policy.

    Raises `ConfigurationError`, naming the file, the key and the value, for a file that cannot be
    read, an unknown key, a value of the wrong kind, and a policy that asks for nothing.
    """
    path = Path(path)
    document, digest = read_toml(path, "policy", "docs/check.md")
    return _Reader(path).policy(document, digest)


@dataclass(frozen=True)
class _Reader:
    """Walks the document; knows the file's path for its messages."""

    path: Path

    def policy(self, document: Mapping[str, Any], sha256: str) -> Policy:
        tables: dict[str, list[str]] = {}
        for key in LIMITS:
            table, name = key.split(".")
            tables.setdefault(table, []).append(name)
        self.refuse_unknown(document, ["decide", "min_n", *tables], "")
        limits: dict[str, Any] = {}
        by: dict[str, tuple[str, ...]] = {}
        for table, names in tables.items():
            if table not in document:
                continue
            given = document[table]
            if not isinstance(given, dict):
                raise self.error(table, f"is {given!r}", f"write it as a table: [{table}]")
            self.refuse_unknown(given, names + ["by"] * (table in _BY), f"{table}.")
            held = [name for name in names if name in given]
            if not held:
                raise self.error(f"[{table}]", "asks for nothing", f"give {' or '.join(names)}")
            for name in held:
                key = f"{table}.{name}"
                limits[key] = self.converted(key, given[name], LIMITS[key])
            if "by" in given:
                by[table] = self.converted(f"{table}.by", given["by"], values.strings)
        if not limits:
            known = ", ".join(f"[{table}]" for table in tables)
            raise ConfigurationError(
                f"{self.path}: asks for nothing, so every run would pass; give a condition "
                f"({known})."
            )
        if "accuracy" in by and "accuracy.worst_group_min" not in limits:
            raise self.error(
                "accuracy.by", "is given without a condition on groups", f"give {_BY['accuracy']}"
            )
        return Policy(
            path=self.path,
            sha256=sha256,
            limits=MappingProxyType(limits),
            by=MappingProxyType(by),
            decide=self.converted(
                "decide", document.get("decide", "interval"), values.one_of("interval", "estimate")
            ),
            min_n=self.converted("min_n", document.get("min_n", COUNTS_ONLY), _at_least_two),
        )

    def converted(self, key: str, value: Any, convert: Callable[[Any], Any]) -> Any:
        try:
            return convert(value)
        except values.Unusable as unusable:
            raise self.error(key, f"is {value!r}", f"give {unusable}") from None

    def refuse_unknown(self, table: Mapping[str, Any], known: list[str], prefix: str) -> None:
        refuse_unknown(self.path, table, known, prefix)

    def error(self, key: str, what: str, remedy: str) -> ConfigurationError:
        return refusal(self.path, key, what, remedy)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _at_least_two(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 2:
        raise values.Unusable("a whole number, 2 or more")
    return value
