"""Parquet: the cases as the run has them, and in the file's metadata which run that is."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from auditor.errors import AuditorError
from auditor.exports.cases import batches, schema
from auditor.exports.identity import identity
from auditor.exports.request import Request, Written

_KEY = b"auditor"


def write(request: Request, file: Path) -> Written:
    """Write the cases, a row group at a time.

    The schema's metadata has `auditor`: JSON of the run's key, name, schema version, verdict,
    counts and hashes, as `auditor.exports.identity` gives them.
    """
    columns = schema(request.run)
    told = json.dumps(identity(request.run), allow_nan=False).encode()
    columns = columns.with_metadata({**(columns.metadata or {}), _KEY: told})
    rows = 0
    with pq.ParquetWriter(file, columns) as writer:
        for batch in batches(request):
            writer.write_table(pa.Table.from_batches([batch]).cast(columns))
            rows += batch.num_rows
    return Written(rows, "cases")


def read_parquet(path: str | Path) -> pd.DataFrame:
    """The cases that `write` wrote, equal to `Run.cases`; its `attrs` have `auditor`.

    Raises `AuditorError` for a file that is missing or no Parquet file of Auditor.
    """
    path = Path(path)
    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise AuditorError(f"{path}: no such file; give a file that Auditor exported.") from None
    except pa.ArrowException as error:
        raise AuditorError(f"{path}: cannot be read ({error}); export it again.") from None
    told = (table.schema.metadata or {}).get(_KEY)
    if told is None:
        raise AuditorError(
            f"{path}: does not say which run it is of; give a file that Auditor exported."
        )
    cases = table.to_pandas()
    cases.attrs["auditor"] = json.loads(told)
    return cases
