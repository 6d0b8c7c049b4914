"""A run of as many cases as wanted, blown up from the audit of a small dataset.

The files are those that an audit writes: the same columns and row groups, and a manifest of as
many rows, so that outlines and changed images are made as well. Every case repeats one of the
small run, under another id and with another pair of classes; its numbers are shifted by a
millionth, since repeated ones would be stored in far less room than real ones.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

ROW_GROUP = 4096
"""Rows of a row group of `cases.parquet`, as the writer makes them."""
TESTED_AT_ONCE = 64
"""Cases of a row group of `interventions.parquet`."""
SITES = ("north", "east", "south", "west", "centre")
PROFESSIONS = (
    "baker", "carpenter", "chemist", "cook", "dentist", "doctor", "electrician", "farmer",
    "firefighter", "gardener", "judge", "librarian", "mechanic", "nurse", "optician", "painter",
    "pilot", "plumber", "teacher", "waiter",
)  # fmt: skip
# Shares of the cases by what they repeat: 10 % errors, 2 % flagged by tests, 3 % tested, and a
# tenth of the errors queued by their map alone.
_SHARES = {
    "flagged error": 0.015,
    "flagged correct": 0.005,
    "tested error": 0.005,
    "tested correct": 0.005,
    "queued error": 0.01,
    "other error": 0.07,
    "correct": 0.89,
}


@dataclass(frozen=True)
class Base:
    """The small run, and which of its cases each kind of case repeats."""

    path: Path
    info: dict[str, Any]
    cases: pa.Table
    maps: NDArray[np.float16]
    interventions: pa.Table
    manifest: pd.DataFrame
    """Its columns `image` and `regions`, in the order of the cases."""
    kinds: Mapping[str, NDArray[np.intp]]


def read_base(path: Path) -> Base:
    """Read an audit of `sample_data/clinic/skewed.toml`."""
    info = json.loads((path / "run.json").read_text(encoding="utf-8"))
    cases = pq.read_table(path / "cases.parquet")
    frame = cases.select(["id", "correct", "flag", "passes"]).to_pandas()
    wrong, flagged = ~frame["correct"].astype(bool), frame["flag"].notna()
    tested = frame["passes"].notna()
    kinds = {
        "flagged error": wrong & flagged & tested,
        "flagged correct": ~wrong & flagged & tested,
        "tested error": wrong & ~flagged & tested,
        "tested correct": ~wrong & ~flagged & tested,
        "queued error": wrong,
        "other error": wrong,
        "correct": ~wrong & ~flagged & ~tested,
    }
    manifest = pd.read_csv(Path(info["configuration_path"]).with_name("test.csv"), dtype=str)
    return Base(
        path,
        info,
        cases,
        np.load(path / "maps.npy"),
        pq.read_table(path / "interventions.parquet"),
        manifest.set_index("id").loc[frame["id"]].reset_index()[["image", "regions"]],
        {name: np.flatnonzero(mask) for name, mask in kinds.items()},
    )


def write_large(base: Base, count: int, folder: Path) -> Path:
    """Write a dataset and its run of `count` cases below `folder`; returns the folder of runs."""
    runs, out = folder / "runs", folder / "runs" / "large"
    if (out / "run.json").exists():
        return runs
    shutil.rmtree(folder, ignore_errors=True)
    out.mkdir(parents=True)
    _write_configuration(base, folder)
    random = np.random.default_rng(0)
    with (
        (folder / "manifest.csv").open("w", encoding="utf-8") as manifest,
        (out / "maps.npy").open("wb") as maps,
        pq.ParquetWriter(out / "cases.parquet", _schema(base)) as cases,
        pq.ParquetWriter(out / "interventions.parquet", base.interventions.schema) as interventions,
    ):
        manifest.write("id,image,label,drawn_as,site,regions\n")
        shape = (count, *base.maps.shape[1:])
        header = {"descr": "<f2", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(maps, header)
        for part in _parts(base, count, random):
            cases.write_table(part.table)
            maps.write(base.maps[part.repeated].tobytes())
            for rows in _interventions(base, part):
                interventions.write_table(rows)
            part.listed(base).to_csv(manifest, index=False, header=False)
    _write_words(base, count, folder, out)
    return runs


@dataclass(frozen=True)
class _Part:
    """Consecutive cases."""

    table: pa.Table
    repeated: NDArray[np.intp]
    """Rows of the small run."""
    predicted: NDArray[np.intp]
    """Places in `PROFESSIONS`."""
    contrast: NDArray[np.intp]
    tested: NDArray[np.bool_]

    def listed(self, base: Base) -> pd.DataFrame:
        """Their rows of the manifest."""
        files = base.manifest.iloc[self.repeated].reset_index(drop=True)
        named = self.table.select(["id", "label", "attribute.drawn_as", "attribute.site"])
        frame = named.to_pandas()
        frame.insert(1, "image", files["image"])
        return frame.assign(regions=files["regions"])


def _parts(base: Base, count: int, random: np.random.Generator) -> Iterator[_Part]:
    for start in range(0, count, ROW_GROUP):
        yield _part(base, start, min(ROW_GROUP, count - start), random)


def _part(base: Base, start: int, count: int, random: np.random.Generator) -> _Part:
    names = list(_SHARES)
    kinds = random.choice(len(names), count, p=list(_SHARES.values()))
    repeated = np.empty(count, dtype=np.intp)
    for place, name in enumerate(names):
        among = kinds == place
        repeated[among] = random.choice(base.kinds[name], int(among.sum()))
    kind = np.array(names)[kinds]
    label = random.integers(0, len(PROFESSIONS), count)
    other = (label + random.integers(1, len(PROFESSIONS), count)) % len(PROFESSIONS)
    wrong = np.char.endswith(kind, "error")
    predicted, contrast = np.where(wrong, other, label), np.where(wrong, label, other)
    tested = np.isin(kind, names[:4])
    rows = base.cases.take(pa.array(repeated))
    words = np.array(PROFESSIONS)
    columns: dict[str, Any] = {
        "id": _ids(start, words[label], random),
        "label": words[label],
        "predicted": words[predicted],
        "contrast": words[contrast],
        "attribute.site": random.choice(SITES, count),
    }
    columns |= _judged(rows, kind, tested)
    for name in ("severity", *_measured(rows)):
        given = columns[name] if name in columns else rows[name]
        shift = 1 + 1e-6 * random.standard_normal(count)
        columns[name] = pc.multiply(given, pa.array(shift))
    schema = _schema(base)
    arrays = [
        pa.array(columns[name], schema.field(name).type)
        if isinstance(columns.get(name), np.ndarray)
        else columns[name]
        if name in columns
        else rows[name]
        for name in schema.names
    ]
    return _Part(pa.table(arrays, schema=schema), repeated, predicted, contrast, tested)


def _ids(start: int, labels: NDArray[np.str_], random: np.random.Generator) -> NDArray[np.str_]:
    # As paths of files are: a common beginning, then what tells them apart.
    numbers = range(start, start + len(labels))
    marks = random.integers(0, 16**6, len(labels))
    return np.array(
        [
            f"{label}/site-{n % 97:02d}/{n:08d}-{m:06x}"
            for label, n, m in zip(labels, numbers, marks, strict=True)
        ]
    )


def _judged(
    rows: pa.Table, kind: NDArray[np.str_], tested: NDArray[np.bool_]
) -> dict[str, pa.Array]:
    """The columns that tests and maps decide; null for a case that is not tested."""
    queued = pa.array(kind == "queued error")
    columns: dict[str, Any] = {}
    for name in (
        "flag", "cue", "evidence", "severity", "stability", "reason", "passes",
        *(name for name in rows.column_names if name.startswith(_SETS)),
    ):  # fmt: skip
        nothing = pa.nulls(len(rows), rows[name].type)
        columns[name] = pc.if_else(pa.array(tested), rows[name], nothing)
    cue = pa.array(np.where(np.arange(len(rows)) % 3 == 0, "hair", "face"))
    for name, value in {
        "flag": "spurious_error",
        "evidence": "attention",
        "map_evidence": "attention",
        "cue": cue,
        "map_cue": cue,
        "stability": 0.9,
    }.items():
        columns[name] = pc.if_else(queued, value, columns.get(name, rows[name]))
    return columns


_SETS = ("reliance.", "reliance_se.", "flips.")


def _measured(rows: pa.Table) -> list[str]:
    return [
        field.name
        for field in rows.schema
        if pa.types.is_floating(field.type) and field.name != "severity"
    ]


def _interventions(base: Base, part: _Part) -> Iterator[pa.Table]:
    """The changed images of the tested cases of a part, so many cases at a time."""
    spans = _spans(base)
    ids = part.table["id"].to_numpy(zero_copy_only=False)
    tested = np.flatnonzero(part.tested)
    for start in range(0, len(tested), TESTED_AT_ONCE):
        some = tested[start : start + TESTED_AT_ONCE]
        taken = [np.arange(*spans[int(part.repeated[row])]) for row in some]
        rows = base.interventions.take(pa.array(np.concatenate(taken)))
        owner = np.repeat(some, [len(rows) for rows in taken])
        donors = ids[(owner + rows["number"].to_numpy() + 1) % len(ids)]
        given = pc.is_valid(rows["donor"])
        yield pa.table(
            {
                **{name: rows[name] for name in rows.column_names},
                "case": pa.array(ids[owner]),
                "donor": pc.if_else(given, pa.array(donors), pa.nulls(len(rows), pa.string())),
                "logits": _logits(rows, part.predicted[owner], part.contrast[owner]),
            },
            schema=base.interventions.schema,
        )


def _spans(base: Base) -> dict[int, tuple[int, int]]:
    places = {case: row for row, case in enumerate(base.cases["id"].to_pylist())}
    column = np.array([places[case] for case in base.interventions["case"].to_pylist()])
    starts = np.flatnonzero(np.diff(column, prepend=-1))
    ends = np.append(starts[1:], len(column))
    return {int(column[s]): (int(s), int(e)) for s, e in zip(starts, ends, strict=True)}


def _logits(rows: pa.Table, predicted: NDArray[np.intp], contrast: NDArray[np.intp]) -> pa.Array:
    """The two logits of the small run at the places of the two classes, below them the others."""
    two = np.stack(rows["logits"].to_pylist())
    all_ = np.full((len(rows), len(PROFESSIONS)), float(two.min()) - 1)
    lines = np.arange(len(rows))
    all_[lines, predicted], all_[lines, contrast] = two.max(axis=1), two.min(axis=1)
    return pa.array(list(all_), pa.list_(pa.float64()))


def _schema(base: Base) -> pa.Schema:
    schema = base.cases.schema
    place = schema.get_field_index("attribute.drawn_as") + 1
    return schema.insert(place, pa.field("attribute.site", pa.string()))


def _write_configuration(base: Base, folder: Path) -> None:
    """The small dataset's configuration, over the large manifest."""
    text = str(base.info["configuration"])
    text = text.replace('"test.csv"', '"manifest.csv"')
    text = text.replace('["drawn_as"]', f'["drawn_as", "site"]\nimage_root = "{_root(base)}"')
    model = base.info["model"]["checkpoint"]
    text = text.replace(f'"{model}"', f'"{_root(base) / model}"')
    (folder / "large.toml").write_text(text, encoding="utf-8")


def _root(base: Base) -> Path:
    return Path(base.info["configuration_path"]).parent


def _write_words(base: Base, count: int, folder: Path, out: Path) -> None:
    """`run.json` and `findings.json`."""
    table = pq.read_table(out / "cases.parquet", columns=["correct", "flag", "evidence", "passes"])

    def counts(name: str) -> dict[str, int]:
        found = table[name].drop_null().value_counts().to_pylist()
        return {entry["values"]: entry["counts"] for entry in found}

    info = {
        **base.info,
        "attributes": ["drawn_as", "site"],
        "configuration_path": str((folder / "large.toml").resolve()),
        "configuration": (folder / "large.toml").read_text(encoding="utf-8"),
        "image_root": str(_root(base)),
        "model": {**base.info["model"], "classes": list(PROFESSIONS)},
        "counts": {
            **base.info["counts"],
            "cases": count,
            "judged": count,
            "with_regions": count,
            "errors": int(pc.sum(pc.invert(table["correct"])).as_py()),
            "tested": int(pc.count(table["passes"]).as_py()),
            "passes": int(pc.sum(table["passes"]).as_py()),
            "evidence": counts("evidence"),
            "flags": counts("flag"),
        },
    }
    findings = (base.path / "findings.json").read_text(encoding="utf-8")
    (out / "findings.json").write_text(findings, encoding="utf-8")
    # Last, since it makes the folder a run.
    (out / "run.json").write_text(json.dumps(info, indent=2), encoding="utf-8")
