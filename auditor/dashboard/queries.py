"""The cases behind a finding: its query, read without evaluating it.

A finding's `query` is a pandas expression. Runs come from other people's machines, so here it is
parsed, and only what Auditor writes is understood: comparisons of a column with a constant,
`in`, `.notna()`, `.isna()` (with or without `or … == ''`), joined by `and`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from auditor.errors import RunError

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Condition:
    """One condition on a column. An annotation that is "" is as unknown as a null."""

    column: str
    test: Literal["==", "!=", "in", "known", "unknown"]
    values: tuple[Any, ...] = ()

    def holds(self, column: pd.Series) -> Bools:
        """Where it holds; nulls fulfil "!=" and "unknown" alone, as in pandas."""
        if self.test in ("known", "unknown"):
            known = (column.notna() & ~column.isin([""])).to_numpy()
            return np.asarray(known if self.test == "known" else ~known, dtype=bool)
        equal = np.asarray(column.isin(list(self.values)), dtype=bool)
        return ~equal if self.test == "!=" else equal


def conditions(query: str) -> list[Condition]:
    """The conditions of a finding's query. Raises `RunError` for anything else than those."""
    names: dict[str, str] = {}

    def plainly(match: re.Match[str]) -> str:
        text, name = match.groups()
        if name is None:
            return str(text)
        placeholder = f"column_{len(names)}_"
        names[placeholder] = name
        return placeholder

    try:
        # Backticks hold what is no Python name; a quoted text may hold a backtick.
        plain = re.sub(
            r"('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")|`([^`]+)`",
            plainly,
            query,
        )
        tree = ast.parse(plain, mode="eval").body
        parts = [tree]
        if isinstance(tree, ast.BoolOp) and isinstance(tree.op, ast.And):
            parts = tree.values
        return [_condition(part, names) for part in parts]
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        raise RunError(f"the query {query!r} is none that Auditor writes") from None


def selected(query: str, column: Callable[[str], pd.Series], count: int) -> Bools:
    """[cases] whether each fulfils the query; `column` gives a column of the run by name."""
    mask = np.ones(count, dtype=bool)
    for condition in conditions(query):
        mask &= condition.holds(column(condition.column))
    return mask


def _condition(node: ast.expr, names: dict[str, str]) -> Condition:
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
        null, empty = (_condition(part, names) for part in node.values)
        if null != Condition(empty.column, "unknown") or (empty.test, empty.values) != (
            "==",
            ("",),
        ):
            raise ValueError
        return null
    if isinstance(node, ast.Call):
        function = node.func
        if not isinstance(function, ast.Attribute) or node.args or node.keywords:
            raise ValueError
        tests: dict[str, Literal["known", "unknown"]] = {"notna": "known", "isna": "unknown"}
        if function.attr not in tests:
            raise ValueError
        return Condition(_name(function.value, names), tests[function.attr])
    if not isinstance(node, ast.Compare) or len(node.ops) != 1:
        raise ValueError
    column, value = _name(node.left, names), ast.literal_eval(node.comparators[0])
    operator = node.ops[0]
    if isinstance(operator, ast.In) and isinstance(value, list | tuple):
        return Condition(column, "in", tuple(value))
    if isinstance(operator, ast.Eq | ast.NotEq) and isinstance(value, str | int | float | bool):
        return Condition(column, "==" if isinstance(operator, ast.Eq) else "!=", (value,))
    raise ValueError


def _name(node: ast.expr, names: dict[str, str]) -> str:
    if not isinstance(node, ast.Name):
        raise ValueError
    return names.get(node.id, node.id)
