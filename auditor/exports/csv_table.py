"""CSV: the cases for a spreadsheet, and back without a loss.

Text stands in quotation marks, null is an empty field without them, so "" and null differ; a
number is the shortest one that reads back the same (RFC 4180 but for the line ends, which are
line feeds). Text that a spreadsheet would take for a formula, a number or a date has an
apostrophe before it, by the same rule as the CSV of reviews.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
from pyarrow import csv as arrow_csv

from auditor.errors import AuditorError
from auditor.exports.cases import batches, column_type, schema
from auditor.exports.request import Request, Written

# One rule for every CSV that Auditor writes; it is kept where verdicts are exchanged.
from auditor.reviews.exchange import guarded, unguarded

_BLOCK = 32 * 2**20  # bytes read at a time; no row is longer
_LONGEST_FIELD = 2**31 - 1


def write(request: Request, file: Path) -> Written:
    """Write the cases, every column of `cases.parquet` in order. UTF-8 with its mark."""
    columns = schema(request.run)
    headed = pa.schema([field.with_name(guarded(field.name)) for field in columns])
    rows = 0
    with file.open("wb") as out:
        out.write(codecs.BOM_UTF8)  # by which spreadsheets tell the encoding
        options = arrow_csv.WriteOptions(quoting_style="needed")
        with arrow_csv.CSVWriter(out, headed, write_options=options) as writer:
            for batch in batches(request):
                cells = [_mapped(column, guarded) for column in batch.columns]
                writer.write_batch(pa.RecordBatch.from_arrays(cells, schema=headed))
                rows += batch.num_rows
    return Written(rows, "cases")


def read_csv(path: str | Path) -> pd.DataFrame:
    """The cases that `write` wrote, equal to `Run.cases`, types of columns included.

    Raises `AuditorError` for a file that is missing or no such CSV.
    """
    path = Path(path)
    try:
        names = _head(path)
        table = arrow_csv.read_csv(
            path,
            read_options=arrow_csv.ReadOptions(use_threads=False, block_size=_BLOCK),
            parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                column_types={name: column_type(unguarded(name)) for name in names},
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                null_values=[""],
                true_values=["true"],
                false_values=["false"],
            ),
        )
    except FileNotFoundError:
        raise AuditorError(f"{path}: no such file; give a CSV that Auditor exported.") from None
    except (pa.ArrowException, UnicodeDecodeError, csv.Error) as error:
        raise AuditorError(
            f"{path}: is no CSV of cases as Auditor exports it ({error}); export it again, since "
            "other programs may write it differently."
        ) from None
    columns = [
        pa.chunked_array([_mapped(chunk, unguarded) for chunk in column.chunks], column.type)
        for column in table.columns
    ]
    whole = pa.Table.from_arrays(columns, [unguarded(name) for name in table.column_names])
    return whole.to_pandas()


def _head(path: Path) -> list[str]:
    longest = csv.field_size_limit(_LONGEST_FIELD)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return next(csv.reader(file, strict=True), [])
    finally:
        csv.field_size_limit(longest)


def _mapped(column: pa.Array, change: Callable[[str], str]) -> pa.Array:
    """Texts changed one by one, each different one once; any other column as it is."""
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return column
    coded = column.dictionary_encode()
    changed = pa.array([change(text) for text in coded.dictionary.to_pylist()], column.type)
    return pa.DictionaryArray.from_arrays(coded.indices, changed).dictionary_decode()
