"""Writing a run: shards that survive a crash, then one rename.

While it is written, a run called `first` lives in `first.part/`: `identity.json` (what the
run was begun with), `shards/`, `progress.json` and `lock`. A shard's table is renamed into
place after its arrays, so a table that is there is whole. Finishing assembles the run's files
inside `first.part/` and renames that directory to `first` in one step.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from auditor.errors import RunError
from auditor.store.lock import take
from auditor.store.run import PART

_ROW_GROUP = 4096  # rows


class Shard(NamedTuple):
    """Consecutive cases, as they were computed."""

    rows: pa.Table
    maps: NDArray[np.float32]
    """[cases, 3, h, w]; NaN where a case has no map."""
    coverage: NDArray[np.float32]
    """[cases, regions, h, w]; NaN where a case has no regions."""


class Writer:
    """Writes one run. Used as a context manager; it holds the run's lock meanwhile."""

    def __init__(self, out: Path, identity: Mapping[str, Any], *, fresh: bool = False) -> None:
        """Begin or continue the run `out`.

        `identity` (JSON-ready) is what the run depends on; a run begun with another one is
        refused, and `fresh` throws an unfinished run away. Raises `RunError`.
        """
        self.out = out
        self.part = out.with_name(out.name + PART)
        self.shards = self.part / "shards"
        self._lock: IO[str] | None = None
        self._refuse_finished()
        self.shards.mkdir(parents=True, exist_ok=True)
        self._acquire()
        try:
            self._refuse_finished()  # who held the lock before may have finished the run
            if fresh:
                _empty(self.part)
                self.shards.mkdir()
            self._identify(dict(identity))
        except BaseException:
            self._release()
            raise

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._release()

    def has(self, number: int) -> bool:
        """Whether that shard is written."""
        return self._rows(number).exists()

    def write(self, number: int, shard: Shard) -> None:
        """Write a shard; it is there whole or not at all, whatever happens."""
        arrays = self._arrays(number)
        with _replacing(arrays) as file:
            np.savez(file, maps=shard.maps, coverage=shard.coverage)
        with _replacing(self._rows(number)) as file:
            pq.write_table(shard.rows, file)

    def read(self, number: int) -> Shard:
        """Read a shard back."""
        rows = pq.read_table(self._rows(number))
        with np.load(self._arrays(number), allow_pickle=False) as arrays:
            return Shard(rows, arrays["maps"], arrays["coverage"])

    def has_trials(self, number: int) -> bool:
        """Whether that chunk of interventions is written."""
        return self._trials(number).exists()

    def write_trials(self, number: int, rows: pa.Table, trials: pa.Table) -> None:
        """Write a chunk of interventions: changed images, and what each trial came to."""
        for file, table in ((self._interventions(number), rows), (self._trials(number), trials)):
            file.parent.mkdir(exist_ok=True)
            with _replacing(file) as opened:
                pq.write_table(table, opened)

    def write_pilot(self, rows: pa.Table) -> None:
        """Write the first looks from which splicing is learnt."""
        with _replacing(self.part / "pilot.parquet") as opened:
            pq.write_table(rows, opened)

    def read_pilot(self) -> pa.Table | None:
        """Read them back; None where they are not written."""
        file = self.part / "pilot.parquet"
        return pq.read_table(file) if file.exists() else None

    def read_trials(self, chunks: int) -> pa.Table | None:
        """What the trials of all chunks came to; None without a chunk."""
        if not chunks:
            return None
        return pa.concat_tables([pq.read_table(self._trials(number)) for number in range(chunks)])

    def write_view(self, name: str, content: Mapping[str, Any]) -> None:
        """Write what one look beside the audit's own maps came to, JSON-ready."""
        file = self._view(name)
        file.parent.mkdir(exist_ok=True)
        with _replacing(file) as opened:
            opened.write(dumped(content).encode())

    def read_view(self, name: str) -> dict[str, Any] | None:
        """Read it back; None where it is not written."""
        file = self._view(name)
        return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else None

    def write_interventions(self, chunks: int, columns: pa.Schema, folder: Path) -> None:
        """Assemble `interventions.parquet`, one chunk at a time."""
        with pq.ParquetWriter(folder / "interventions.parquet", columns) as writer:
            for number in range(chunks):
                writer.write_table(pq.read_table(self._interventions(number), schema=columns))

    def finish(
        self,
        chunks: Iterator[tuple[pa.Table, NDArray[np.float16]]],
        shape: Sequence[int],
        conclude: Callable[[Path], tuple[Mapping[str, Any], Mapping[str, Any]]],
    ) -> None:
        """Assemble the run and make it visible under its name.

        `chunks` yields finished rows and stored maps in dataset order; `shape` is that of
        all maps together. `conclude` is given the directory with `cases.parquet` in it and
        returns the contents of `run.json` and `findings.json`.
        """
        files = self.part / "finished"
        _remove(files)
        files.mkdir()
        # Appended as plain bytes: a memory map of the whole would count as memory used.
        with (files / "maps.npy").open("wb") as maps_file:
            header = {"descr": "<f2", "fortran_order": False, "shape": tuple(shape)}
            np.lib.format.write_array_header_1_0(maps_file, header)
            tables = _written_along(chunks, maps_file)
            first = next(tables)
            with pq.ParquetWriter(files / "cases.parquet", first.schema) as writer:
                # Fewer, larger row groups: each one's statistics stay in memory to the end.
                waiting = [first]
                for rows in tables:
                    waiting.append(rows)
                    if sum(map(len, waiting)) >= _ROW_GROUP:
                        writer.write_table(pa.concat_tables(waiting))
                        waiting = []
                if waiting:
                    writer.write_table(pa.concat_tables(waiting))
            _sync(maps_file)
        info, findings = conclude(files)
        for name, content in (("findings.json", findings), ("run.json", info)):
            with _replacing(files / name) as file:
                file.write(dumped(content).encode())
        files.rename(self.out)
        self._release()
        _remove(self.part)

    # -- inside ---------------------------------------------------------------------------

    def _rows(self, number: int) -> Path:
        return self.shards / f"{number:06d}.parquet"

    def _arrays(self, number: int) -> Path:
        return self.shards / f"{number:06d}.npz"

    def _interventions(self, number: int) -> Path:
        return self.part / "interventions" / f"{number:06d}.parquet"

    def _trials(self, number: int) -> Path:
        return self.part / "trials" / f"{number:06d}.parquet"

    def _view(self, name: str) -> Path:
        return self.part / "views" / f"{name}.json"

    def _identify(self, identity: dict[str, Any]) -> None:
        file = self.part / "identity.json"
        if file.exists():
            try:
                before = dict(json.loads(file.read_text(encoding="utf-8")))
            except (OSError, ValueError, TypeError) as error:
                raise RunError(
                    f"{file}: is damaged ({error}), so the run cannot be continued; give --fresh "
                    "to throw away what is done, or another --out."
                ) from None
            now = json.loads(dumped(identity))
            keys = sorted(set(before) | set(now))
            changed = [key for key in keys if before.get(key) != now.get(key)]
            if changed:
                told = "; ".join(
                    f"{key} was {_short(before.get(key))}, is {_short(now.get(key))}"
                    for key in changed
                )
                raise RunError(
                    f"{self.out}: was begun with other inputs ({told}). Give the same ones to "
                    "continue it, --fresh to throw away what is done, or another --out."
                )
        else:
            with _replacing(file) as opened:
                opened.write(dumped(identity).encode())

    def _refuse_finished(self) -> None:
        if self.out.exists():
            raise RunError(
                f"{self.out}: exists already, and a run is never changed; give another --out."
            )

    def _acquire(self) -> None:
        self._lock = take(self.part / "lock")
        if self._lock is None:
            raise RunError(
                f"{self.out}: another process is writing this run; wait for it, or give "
                "another --out."
            )

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.close()  # closing gives the lock back
            self._lock = None


def _written_along(
    chunks: Iterator[tuple[pa.Table, NDArray[np.float16]]], maps_file: IO[bytes]
) -> Iterator[pa.Table]:
    """The chunks' tables, their maps being written on the way."""
    for rows, maps in chunks:
        maps_file.write(np.ascontiguousarray(maps, dtype="<f2").tobytes())
        yield rows


def dumped(content: Mapping[str, Any]) -> str:
    """JSON as runs hold it: indented, Unicode as it is, NaN refused."""
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


class _replacing:  # noqa: N801 - reads as a verb in a with statement
    """A file that takes its name only once it is written and on the disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._temporary = path.with_name(path.name + ".tmp")

    def __enter__(self) -> IO[bytes]:
        self._file: IO[bytes] = self._temporary.open("wb")
        return self._file

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            _sync(self._file)
        self._file.close()
        if kind is None:
            self._temporary.replace(self._path)
        else:
            self._temporary.unlink(missing_ok=True)


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _remove(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)


def _empty(part: Path) -> None:
    """Remove everything but the lock, which this process holds."""
    for inside in part.iterdir():
        if inside.is_dir():
            shutil.rmtree(inside)
        elif inside.name != "lock":
            inside.unlink()


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 24 else text[:20] + "…" + text[-1:]
