"""JSON: one document with the run's identity, its findings and its cases."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from auditor.errors import AuditorError
from auditor.exports.cases import batches, schema
from auditor.exports.identity import identity
from auditor.exports.request import EXPORT_VERSION, Request, Written


def write(request: Request, file: Path) -> Written:
    """Write `auditor_export` (version), `run`, `findings`, `columns` and `cases`.

    Everything beyond ASCII is escaped, so that no reader can take it for anything but text.
    Undefined is null, and NaN is never written. JSON knows no infinity; "Infinity" and
    "-Infinity" stand for it, as texts. `columns` gives each column's name and Arrow type.
    """
    run, columns = request.run, schema(request.run)
    head = {
        "auditor_export": EXPORT_VERSION,
        "run": identity(run),
        "findings": run.findings,
        "columns": [{"name": field.name, "type": str(field.type)} for field in columns],
    }
    rows = 0
    with file.open("w", encoding="ascii", newline="\n") as out:
        # Cut open before its last brace, so that the cases can follow one by one.
        out.write(dumped(head)[:-1] + ', "cases": [')
        for batch in batches(request):
            values = [_plain(column) for column in batch.columns]
            for row in zip(*values, strict=True):
                out.write(",\n" if rows else "\n")
                out.write(dumped(dict(zip(columns.names, row, strict=True))))
                rows += 1
        out.write("\n]}\n")
    return Written(rows, "cases")


def read_json(path: str | Path) -> pd.DataFrame:
    """The cases that `write` wrote, equal to `Run.cases`; its `attrs` have `auditor`, the run.

    The whole document is read at once. Raises `AuditorError` for a file that is missing, or
    another document.
    """
    path = Path(path)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise AuditorError(f"{path}: no such file; give a file that Auditor exported.") from None
    except ValueError as error:
        raise AuditorError(f"{path}: is not JSON ({error}); export it again.") from None
    version = document.get("auditor_export") if isinstance(document, dict) else None
    if version != EXPORT_VERSION:
        raise AuditorError(
            f"{path}: is an export of version {version!r}; this Auditor reads version "
            f"{EXPORT_VERSION}. Export it again."
        )
    arrays = {
        column["name"]: _array([case[column["name"]] for case in document["cases"]], column["type"])
        for column in document["columns"]
    }
    cases = pa.table(arrays).to_pandas()
    cases.attrs["auditor"] = document["run"]
    return cases


def dumped(value: Any) -> str:
    """JSON on one line, in ASCII. Raises `ValueError` for NaN and infinities."""
    return json.dumps(value, allow_nan=False)


def _plain(column: pa.Array) -> list[Any]:
    values: list[Any] = column.to_pylist()
    if pa.types.is_floating(column.type) and pc.all(pc.is_finite(column)).as_py() is False:
        return [value if value is None else _finite(value) for value in values]
    return values


def _finite(value: float) -> float | str | None:
    if math.isnan(value):
        return None
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def _array(values: list[Any], kind: str) -> pa.Array:
    wanted = pa.type_for_alias(kind)
    if pa.types.is_floating(wanted):
        values = [None if value is None else float(value) for value in values]
    return pa.array(values, wanted)
