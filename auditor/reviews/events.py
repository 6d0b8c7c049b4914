"""The log of verdicts: one SQLite file beside the runs, to which events are only ever added."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pandas as pd

from auditor.errors import ReviewError
from auditor.reviews.verdicts import Draft, Event, now
from auditor.store import Run

T = TypeVar("T")

SCHEMA_VERSION = 1
FILE = "reviews.sqlite"
_APPLICATION = 0x41554452  # "AUDR": tells the file from other SQLite databases
_PATIENCE = 30.0  # seconds that a call waits for those of others, each of some milliseconds

_SCHEMA = (
    """
    CREATE TABLE events (
        id INTEGER PRIMARY KEY,
        run TEXT NOT NULL,
        run_name TEXT NOT NULL,
        case_id TEXT NOT NULL,
        reviewer TEXT NOT NULL,
        verdict TEXT,
        tags TEXT NOT NULL,
        note TEXT NOT NULL,
        time TEXT NOT NULL,
        undoes INTEGER REFERENCES events (id)
    )
    """,
    "CREATE INDEX of_a_case ON events (run, reviewer, case_id)",
    "CREATE UNIQUE INDEX undone_once ON events (undoes) WHERE undoes IS NOT NULL",
    """
    CREATE TRIGGER never_updated BEFORE UPDATE ON events
    BEGIN SELECT raise(ABORT, 'events are never changed; add one'); END
    """,
    """
    CREATE TRIGGER never_deleted BEFORE DELETE ON events
    BEGIN SELECT raise(ABORT, 'events are never deleted; add one that undoes it'); END
    """,
    # INSERT OR REPLACE removes the row in its way without calling the trigger above.
    """
    CREATE TRIGGER never_replaced BEFORE INSERT ON events
    WHEN EXISTS (SELECT 1 FROM events WHERE id = new.id OR undoes = new.undoes)
    BEGIN SELECT raise(ABORT, 'events are never replaced; add one'); END
    """,
    """
    CREATE TRIGGER undone_by_its_reviewer BEFORE INSERT ON events
    WHEN new.undoes IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM events WHERE id = new.undoes AND run = new.run
        AND case_id = new.case_id AND reviewer = new.reviewer AND undoes IS NULL
    )
    BEGIN SELECT raise(ABORT, 'only an event of the same reviewer and case is undone'); END
    """,
    """
    CREATE VIEW standing AS SELECT * FROM events AS made
    WHERE undoes IS NULL
    AND NOT EXISTS (SELECT 1 FROM events AS taken WHERE taken.undoes = made.id)
    """,
    # With max() SQLite takes the other columns from the row that holds the greatest id.
    """
    CREATE VIEW current AS
    SELECT max(id) AS id, run, run_name, case_id, reviewer, verdict, tags, note, time
    FROM standing GROUP BY run, case_id, reviewer
    """,
    f"PRAGMA application_id = {_APPLICATION}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)
_CURRENT = ("id", "run", "run_name", "case", "reviewer", "verdict", "tags", "note", "time")
_RUNS = ("run", "run_name", "cases", "reviewers", "current", "events")


@dataclass(frozen=True)
class Imported:
    """What adding many drafts at once came to."""

    events: tuple[Event, ...]
    """Those that were written, in the order of the drafts."""
    replaced: int
    """How many of them took the place of another verdict of the same reviewer and case."""
    unchanged: int
    """Drafts that said what stands already; nothing was written for them."""


@dataclass(frozen=True)
class Reviews:
    """The verdicts about all runs of one directory.

    Every method opens the file, does its work in one short transaction and closes it, so one
    `Reviews` may be used from any thread, and by several processes at once. What a method has
    written when it returns survives a crash of the process and of the machine. All of them
    raise `ReviewError` for a file that is damaged, locked for 30 seconds, no such database, or
    of another schema version. A file that is not there is empty, and made by the first write.
    """

    path: Path

    @classmethod
    def beside(cls, run: Run) -> Reviews:
        """The reviews of a run: `reviews.sqlite` in the directory that holds the run's."""
        return cls(run.path.resolve().parent / FILE)  # also for a run opened as "."

    def add(
        self,
        run_key: str,
        run_name: str,
        case: str,
        reviewer: str,
        verdict: str | None,
        tags: Iterable[str] = (),
        note: str = "",
    ) -> Event:
        """Write what a reviewer says about a case, in the place of what they said before.

        `run_key` is `Run.key`, `verdict` a name in `VERDICTS`, or null for tags or a note
        alone. An event is the whole of what its reviewer says: tags and note of an earlier one
        are to be given again. Raises `ReviewError` for what `Draft.problems` lists.
        """
        draft = Draft.of(run_key, run_name, case, reviewer, verdict, tags, note)
        _refuse(draft)
        return self._write(lambda connection: _insert(connection, draft))

    def merge(self, drafts: Iterable[Draft]) -> Imported:
        """Write many drafts, all or none, but for those that say what stands already."""
        given = list(drafts)
        for draft in given:
            _refuse(draft)

        def merged(connection: sqlite3.Connection) -> Imported:
            events, replaced, unchanged = [], 0, 0
            for draft in given:
                standing = _standing(connection, draft)
                if standing == draft.said:
                    unchanged += 1
                else:
                    replaced += standing is not None
                    events.append(_insert(connection, draft))
            return Imported(tuple(events), replaced, unchanged)

        return self._write(merged) if given else Imported((), 0, 0)

    def undo(self, run_key: str, reviewer: str) -> Event | None:
        """Take back this reviewer's newest event about a run that still stands.

        Returns the event that was written; its `undoes` is the id of the one taken back, and
        what stood before that is current again. Null, and nothing is written, where none
        stands. Again and again it goes further back. Other reviewers' events stay.
        """
        if not self.path.exists():
            return None
        whose = Draft.of(run_key, "", "", reviewer, None).reviewer

        def undone(connection: sqlite3.Connection) -> Event | None:
            row = connection.execute(
                "SELECT * FROM standing WHERE run = ? AND reviewer = ? ORDER BY id DESC LIMIT 1",
                (run_key, whose),
            ).fetchone()
            if row is None:
                return None
            last = _event(row)
            back = Draft(run_key, last.run_name, last.case, whose, None, (), "", None)
            return _insert(connection, back, last.id)

        return self._write(undone)

    def events(self, run_key: str, since: int = 0) -> list[Event]:
        """The log of a run in the order of writing: events whose id is greater than `since`.

        With the last id that was read as `since`, a reader gets what is new and misses nothing.
        """
        rows = self._rows(
            "SELECT * FROM events WHERE run = ? AND id > ? ORDER BY id", (run_key, since)
        )
        return [_event(row) for row in rows]

    def current(self, run_key: str | None = None) -> pd.DataFrame:
        """What stands: one row a case and reviewer, in the order of run, case and reviewer.

        Columns: `id` (of the event), `run` (its key), `run_name`, `case`, `reviewer`,
        `verdict` (null where only tags or a note are given), `tags` (a tuple of texts), `note`
        ("" for none), `time` (text, as in `Event`). Null for `run_key` gives all runs.
        """
        if run_key is None:
            rows = self._rows("SELECT * FROM current ORDER BY run, case_id, reviewer")
        else:
            rows = self._rows(
                "SELECT * FROM current WHERE run = ? ORDER BY case_id, reviewer", (run_key,)
            )
        # As objects, so that a missing verdict stays None and an empty table has its types.
        found = pd.DataFrame(rows, columns=list(_CURRENT), dtype=object)
        found["tags"] = pd.Series([tuple(json.loads(tags)) for tags in found["tags"]], dtype=object)
        return found.astype({"id": "int64"})

    def runs(self) -> pd.DataFrame:
        """The runs that anything was ever said about, also those that are deleted since.

        Columns: `run` (key), `run_name` (the newest), and the numbers of `cases` and
        `reviewers` with something that stands, of rows that are `current`, and of `events`.
        """
        rows = self._rows(
            """
            SELECT run, run_name, (SELECT count(DISTINCT case_id) FROM current AS c
                WHERE c.run = e.run), (SELECT count(DISTINCT reviewer) FROM current AS c
                WHERE c.run = e.run), (SELECT count(*) FROM current AS c WHERE c.run = e.run), n
            FROM (SELECT max(id), run, run_name, count(*) AS n FROM events GROUP BY run) AS e
            ORDER BY run_name, run
            """
        )
        found = pd.DataFrame(rows, columns=list(_RUNS), dtype=object)
        return found.astype(dict.fromkeys(_RUNS[2:], "int64"))

    # -- transactions ----------------------------------------------------------------------

    def _rows(self, query: str, values: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        """What a query gives; none from a file that is absent or still empty."""

        def read(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
            connection.execute("BEGIN")
            if self._is_new(connection):
                return []
            return connection.execute(query, values).fetchall()

        return self._patiently(read, "rw") if self.path.exists() else []

    def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """The work's result, once all that it wrote is on the disk."""

        def written(connection: sqlite3.Connection) -> T:
            connection.execute("BEGIN")
            is_new = self._is_new(connection)
            connection.execute("COMMIT")
            if is_new:  # the mode is the file's, and cannot be set within a transaction
                connection.execute("PRAGMA journal_mode = WAL")
            # FULL: in WAL mode less would lose the last commits with the machine's power.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA fullfsync = ON")  # macOS; of no effect elsewhere
            connection.execute("BEGIN IMMEDIATE")
            if self._is_new(connection):  # seen under the lock: nobody else made it meanwhile
                for statement in _SCHEMA:
                    connection.execute(statement)
            result = work(connection)
            connection.execute("COMMIT")
            return result

        return self._patiently(written, "rwc")

    def _patiently(self, work: Callable[[sqlite3.Connection], T], mode: str) -> T:
        """The work's result on a connection of its own, tried again while others hold the file.

        SQLite waits by itself for a lock, but not in every case where a last connection is
        being closed. A refused transaction has written nothing, so it can be tried again.
        """
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                with closing(self._connection(mode)) as connection:
                    return work(connection)
            except sqlite3.DatabaseError as error:
                if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                    raise self._refusal(error) from None
            time.sleep(0.01)

    def _connection(self, mode: str) -> sqlite3.Connection:
        address = f"{self.path.absolute().as_uri()}?mode={mode}"
        folder, log = self.path.absolute().parent, self.path.with_name(self.path.name + "-wal")
        if mode == "rw" and not os.access(folder, os.W_OK) and not log.exists():
            # On a medium that cannot be written nobody else writes either; without this SQLite
            # would want to make a file beside the database, and fail.
            address += "&immutable=1"
        return sqlite3.connect(address, uri=True, timeout=_PATIENCE, isolation_level=None)

    def _is_new(self, connection: sqlite3.Connection) -> bool:
        """Whether the database holds nothing yet. Raises `ReviewError` for another's.

        Called within a transaction, so that all that it reads is of one moment: another process
        may just be making the tables.
        """
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if (application, version) == (_APPLICATION, SCHEMA_VERSION):
            return False
        if application == _APPLICATION:
            raise ReviewError(
                f"{self.path}: was written with schema version {version}; this Auditor reads "
                f"version {SCHEMA_VERSION}. Use the Auditor that wrote it, and take the verdicts "
                "over with `auditor reviews export` and `auditor reviews import`."
            )
        if connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() or version:
            raise ReviewError(
                f"{self.path}: is an SQLite database of another program; move it away, since the "
                "reviews of the runs beside it are kept under this name."
            )
        return True

    def _refusal(self, error: sqlite3.DatabaseError) -> ReviewError:
        code = _code(error)
        if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            return ReviewError(
                f"{self.path}: is damaged, or no SQLite database ({error}). Move it away and put "
                "back a copy; `auditor reviews import` brings exported verdicts into a new file."
            )
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return ReviewError(
                f"{self.path}: was locked by another program for {_PATIENCE:.0f} s; close what "
                "has it open and try again. Nothing was written."
            )
        return ReviewError(
            f"{self.path}: cannot be read or written ({error}); the file and its directory must "
            "be there and writable, with room on the disk. Nothing was written."
        )


def _code(error: sqlite3.DatabaseError) -> int:
    """SQLite's result without its detail; 0 where Python's own module raised."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _refuse(draft: Draft) -> None:
    problems = "; ".join(draft.problems())
    if problems:
        raise ReviewError(f"A verdict about the case {draft.case!r} {problems}.")


def _standing(
    connection: sqlite3.Connection, draft: Draft
) -> tuple[str | None, tuple[str, ...], str] | None:
    """What the draft's reviewer says of its case so far; null for nothing."""
    row = connection.execute(
        "SELECT * FROM standing WHERE run = ? AND reviewer = ? AND case_id = ? "
        "ORDER BY id DESC LIMIT 1",
        (draft.run, draft.reviewer, draft.case),
    ).fetchone()
    if row is None:
        return None
    event = _event(row)
    return event.verdict, event.tags, event.note


def _insert(connection: sqlite3.Connection, draft: Draft, undoes: int | None = None) -> Event:
    time = draft.time or now()
    values = (
        draft.run,
        draft.run_name,
        draft.case,
        draft.reviewer,
        draft.verdict,
        json.dumps(draft.tags, ensure_ascii=False),
        draft.note,
        time,
        undoes,
    )
    cursor = connection.execute(
        "INSERT INTO events (run, run_name, case_id, reviewer, verdict, tags, note, time, undoes) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        values,
    )
    assert cursor.lastrowid is not None
    return Event(
        cursor.lastrowid,
        draft.run,
        draft.run_name,
        draft.case,
        draft.reviewer,
        draft.verdict,
        draft.tags,
        draft.note,
        time,
        undoes,
    )


def _event(row: tuple[object, ...]) -> Event:
    """An event from a row of `events` or `standing`, whose columns have its order."""
    number, run, run_name, case, reviewer, verdict, tags, note, time, undoes = row
    assert isinstance(number, int)
    assert verdict is None or isinstance(verdict, str)
    assert undoes is None or isinstance(undoes, int)
    return Event(
        number,
        str(run),
        str(run_name),
        str(case),
        str(reviewer),
        verdict,
        tuple(json.loads(str(tags))),
        str(note),
        str(time),
        undoes,
    )
