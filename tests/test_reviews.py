"""Verdicts of reviewers: nothing is lost, nothing moves to another run, kappas by hand."""

from __future__ import annotations

import contextlib
import csv
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from auditor.errors import AuditorError, ReviewError
from auditor.reviews import (
    COLUMNS,
    QUEUED,
    SCHEMA_VERSION,
    VERDICTS,
    Coverage,
    Draft,
    Reviews,
    coverage,
    export_csv,
    flag_agreement,
    import_csv,
    pair_agreement,
    runs_beside,
)
from auditor.store import Run, open_run
from tests.conftest import Outcome

Call = Callable[..., Outcome]
KEY = "0123456789abcdef"
ODD = (
    "plain",
    "=HYPERLINK(\"http://example.org\";\"x\")",
    "+1", "-1", "@SUM(A1)", "'=1", "'quoted", "''", "'", " =1", "\t=1", "＝1",
    "0007", "1e5", "3-4", "12:30", "2026-05-09", "50 %", "1,5",
    "a, b; \"c\"", "<script>alert(1)</script> & <b>", "Ärztin 医師 👩🏽‍⚕️ مرحبا e\u0301", "x\ny",
)  # fmt: skip


def write_run(path: Path, cases: tuple[str, ...] = ("a", "b", "c", "d"), seed: int = 0) -> Run:
    path.mkdir(parents=True)
    flags = ["spurious_error", "spurious_error", "spurious_error"] + [None] * len(cases)
    evidence = ["confirmed", "probable", "attention"] + [None] * len(cases)
    pd.DataFrame(
        {
            "id": list(cases),
            "flag": pd.Series(flags[: len(cases)], dtype=object),
            "evidence": pd.Series(evidence[: len(cases)], dtype=object),
        }
    ).to_parquet(path / "cases.parquet")
    (path / "run.json").write_text(json.dumps({"schema_version": 2, "seed": seed}))
    return open_run(path)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return write_run(tmp_path / "runs" / "first")


@pytest.fixture
def reviews(run: Run) -> Reviews:
    return Reviews.beside(run)


def said(reviews: Reviews, key: str = KEY) -> dict[tuple[str, str], str | None]:
    current = reviews.current(key)
    pairs = zip(current["case"], current["reviewer"], strict=True)
    return dict(zip(pairs, current["verdict"], strict=True))


# -- the log -------------------------------------------------------------------------------


def test_an_event_is_kept_as_it_was_given(reviews: Reviews):
    tags = ("hair", " lighting ", "hair", "")
    made = reviews.add(KEY, "first", "a", " Åsa ", "spurious_cue", tags, " two\r\nlines ")
    assert made.reviewer == "Åsa"
    assert made.tags == ("hair", "lighting")
    assert made.note == "two\nlines"
    assert made.time.endswith("+00:00")
    assert made.undoes is None
    assert reviews.events(KEY) == [made]
    row = reviews.current(KEY).iloc[0]
    assert (row["id"], row["run"], row["run_name"]) == (made.id, KEY, "first")
    assert (row["case"], row["reviewer"], row["verdict"]) == ("a", "Åsa", "spurious_cue")
    assert (row["tags"], row["note"], row["time"]) == (made.tags, made.note, made.time)


def test_a_name_typed_in_two_ways_is_one_reviewer(reviews: Reviews):
    reviews.add(KEY, "first", "a", "Jose\u0301", "unclear")
    reviews.add(KEY, "first", "a", "Jos\u00e9", "mask_wrong")
    assert said(reviews) == {("a", "Jos\u00e9"): "mask_wrong"}
    assert reviews.undo(KEY, "Jose\u0301") is not None


def test_tags_or_a_note_need_no_verdict(reviews: Reviews):
    reviews.add(KEY, "first", "a", "ann", None, note="look again")
    assert said(reviews) == {("a", "ann"): None}


def test_a_new_verdict_replaces_the_earlier_of_the_same_reviewer_only(reviews: Reviews):
    reviews.add(KEY, "first", "a", "ann", "unclear")
    reviews.add(KEY, "first", "a", "bob", "other_cause")
    reviews.add(KEY, "first", "a", "ann", "mask_wrong")
    assert said(reviews) == {("a", "ann"): "mask_wrong", ("a", "bob"): "other_cause"}
    assert len(reviews.events(KEY)) == 3


def test_undo_goes_back_step_by_step(reviews: Reviews):
    first = reviews.add(KEY, "first", "a", "ann", "unclear")
    reviews.add(KEY, "first", "a", "bob", "label_wrong")
    second = reviews.add(KEY, "first", "b", "ann", "other_cause")
    third = reviews.add(KEY, "first", "a", "ann", "spurious_cue")
    reviews.add("f" * 16, "other", "a", "ann", "unclear")

    back = reviews.undo(KEY, "ann")
    assert back is not None
    assert (back.undoes, back.case, back.verdict) == (third.id, "a", None)
    assert said(reviews)[("a", "ann")] == "unclear"  # the earlier is back
    back = reviews.undo(KEY, "ann")
    assert back is not None
    assert back.undoes == second.id
    # What is said after an undo is the newest that stands; then it goes on where it was.
    reviews.add(KEY, "first", "c", "ann", "mask_wrong")
    reviews.undo(KEY, "ann")
    back = reviews.undo(KEY, "ann")
    assert back is not None
    assert back.undoes == first.id
    assert said(reviews) == {("a", "bob"): "label_wrong"}
    count = len(reviews.events(KEY))
    assert reviews.undo(KEY, "ann") is None
    assert reviews.undo(KEY, "nobody") is None
    assert len(reviews.events(KEY)) == count
    assert said(reviews, "f" * 16) == {("a", "ann"): "unclear"}


def test_the_log_can_be_read_on(reviews: Reviews):
    made = [reviews.add(KEY, "first", case, "ann", "unclear") for case in "abc"]
    reviews.add("f" * 16, "other", "a", "ann", "unclear")
    assert reviews.events(KEY, since=made[0].id) == made[1:]
    assert reviews.events(KEY, since=made[2].id) == []


def test_runs_are_counted(reviews: Reviews):
    for case, reviewer in (("a", "ann"), ("b", "ann"), ("a", "bob"), ("a", "bob")):
        reviews.add(KEY, "first", case, reviewer, "unclear")
    reviews.add("f" * 16, "gone", "a", "ann", "unclear")
    reviews.undo("f" * 16, "ann")
    reviews.add(KEY, "renamed", "a", "ann", "mask_wrong")
    assert reviews.runs().to_dict("records") == [
        {"run": "f" * 16, "run_name": "gone", "cases": 0, "reviewers": 0, "current": 0,
         "events": 2},
        {"run": KEY, "run_name": "renamed", "cases": 2, "reviewers": 2, "current": 3,
         "events": 5},
    ]  # fmt: skip


def test_reading_makes_no_file(reviews: Reviews):
    assert reviews.events(KEY) == []
    assert reviews.undo(KEY, "ann") is None
    empty = reviews.current(KEY)
    assert list(empty.columns) == ["id", *COLUMNS[:2], *COLUMNS[2:]]
    assert empty.empty
    assert reviews.runs().empty
    assert not reviews.path.exists()
    reviews.path.touch()  # as a crash at the very first write may leave it
    assert reviews.current().empty
    reviews.add(KEY, "first", "a", "ann", "unclear")
    assert len(reviews.current()) == 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"verdict": "spurious"}, "unknown verdict 'spurious'; give one of spurious_cue, other"),
        ({"reviewer": " "}, "has no reviewer; give one"),
        ({"case": ""}, "has no case; give one"),
        ({"run_key": ""}, "has no run; give one"),
        ({"verdict": None}, "says nothing; give a verdict, a tag or a note"),
        ({"tags": ["a;b"]}, "the tag 'a;b'; leave out semicolons"),
        ({"tags": ["a\nb"]}, "control characters"),
        ({"reviewer": "a\x1b[2J"}, "control characters"),
        ({"note": "x" * 32_001}, "32,001 characters; shorten it to 32,000"),
        ({"note": "\ud800"}, "half of a surrogate pair"),
    ],
)
def test_what_cannot_be_written_is_refused(reviews: Reviews, change, told):
    given = {"run_key": KEY, "run_name": "first", "case": "a", "reviewer": "ann",
             "verdict": "unclear"}  # fmt: skip
    with pytest.raises(ReviewError, match=told):
        reviews.add(**given | change)
    assert not reviews.path.exists()


def test_the_file_only_grows(reviews: Reviews):
    event = reviews.add(KEY, "first", "a", "ann", "unclear")
    reviews.add(KEY, "first", "a", "ann", "unclear")
    reviews.undo(KEY, "ann")
    values = "VALUES (?, ?, '', 'a', ?, NULL, '[]', '', '', ?)"
    refused = [
        ("UPDATE events SET verdict = 'mask_wrong'", (), "never changed"),
        ("DELETE FROM events", (), "never deleted"),
        ("REPLACE INTO events " + values, (1, KEY, "ann", None), "never replaced"),
        ("REPLACE INTO events " + values, (9, KEY, "ann", 2), "never replaced"),
        ("INSERT INTO events " + values, (9, KEY, "bob", 1), "same reviewer"),
    ]
    with closing(sqlite3.connect(reviews.path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        for statement, given, told in refused:
            with pytest.raises(sqlite3.IntegrityError, match=told):
                connection.execute(statement, given)
    assert len(reviews.events(KEY)) == 3
    assert reviews.events(KEY)[0] == event


@pytest.mark.parametrize("content", [b"no database", b"\0" * 5000, b"SQLite format 3\0" * 300])
def test_a_damaged_file_is_refused_and_kept(reviews: Reviews, content: bytes):
    reviews.path.write_bytes(content)
    for call in (
        lambda: reviews.events(KEY),
        lambda: reviews.current(KEY),
        lambda: reviews.undo(KEY, "ann"),
        lambda: reviews.add(KEY, "first", "a", "ann", "unclear"),
    ):
        with pytest.raises(ReviewError, match=r"reviews\.sqlite: .*[Mm]ove it away"):
            call()
    assert reviews.path.read_bytes() == content


def test_a_file_that_lost_its_end_is_refused(reviews: Reviews):
    reviews.merge([Draft.of(KEY, "first", f"{n}", "ann", "unclear") for n in range(500)])
    reviews.path.write_bytes(reviews.path.read_bytes()[:8192])
    with pytest.raises(ReviewError, match="is damaged"):
        reviews.current(KEY)


def test_another_version_or_program_is_refused(reviews: Reviews):
    reviews.add(KEY, "first", "a", "ann", "unclear")
    with closing(sqlite3.connect(reviews.path)) as connection:
        connection.execute("PRAGMA user_version = 7")
    for call in (lambda: reviews.current(KEY), lambda: reviews.undo(KEY, "ann")):
        with pytest.raises(ReviewError, match=f"version 7; this Auditor reads version {1}"):
            call()
    reviews.path.unlink()
    with closing(sqlite3.connect(reviews.path)) as connection:
        connection.execute("CREATE TABLE events (id)")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    with pytest.raises(ReviewError, match="another program; move it away"):
        reviews.add(KEY, "first", "a", "ann", "unclear")


def test_a_directory_that_is_not_there_is_named(tmp_path: Path):
    missing = Reviews(tmp_path / "missing" / "reviews.sqlite")
    with pytest.raises(ReviewError, match="must be there and writable"):
        missing.add(KEY, "first", "a", "ann", "unclear")


def test_a_locked_file_is_waited_for_and_then_named(reviews: Reviews, monkeypatch):
    reviews.add(KEY, "first", "a", "ann", "unclear")
    with closing(sqlite3.connect(reviews.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert len(reviews.events(KEY)) == 1  # readers do not wait
        monkeypatch.setattr("auditor.reviews.events._PATIENCE", 0.05)
        with pytest.raises(ReviewError, match="locked by another program"):
            reviews.undo(KEY, "ann")
        other.execute("ROLLBACK")
    assert reviews.undo(KEY, "ann") is not None


def test_a_directory_that_cannot_be_written_can_be_read(reviews: Reviews, monkeypatch):
    reviews.add(KEY, "first", "a", "ann", "unclear")
    monkeypatch.setattr("os.access", lambda path, mode: False)  # a superuser may write anyway
    assert len(reviews.current(KEY)) == 1


def test_one_object_serves_many_threads(reviews: Reviews):
    def work(name: str) -> None:
        for number in range(20):
            reviews.add(KEY, "first", f"{number}", name, "unclear")

    threads = [threading.Thread(target=work, args=(name,)) for name in ("ann", "bob", "cem")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(said(reviews)) == 60


# -- several processes, and a kill -----------------------------------------------------------

WRITER = """
import sys
from pathlib import Path
from auditor.reviews.events import Reviews

path, reviewer, count = sys.argv[1:]
reviews = Reviews(Path(path))
for number in range(int(count)):
    event = reviews.add("0123456789abcdef", "first", f"case{number}", reviewer, "spurious_cue")
    print(event.id, flush=True)
"""


def writer(reviews: Reviews, reviewer: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(reviews.path), reviewer, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    ("count", "watched"),
    # Watched, as by a reader who has the file open, the log is not folded back at every close.
    # Unwatched it is, which takes several times as long and is where two processes could clash.
    [(1000, True), (200, False)],
)
def test_two_reviewers_at_once_lose_nothing(reviews: Reviews, count: int, watched: bool):
    reviews.add(KEY, "first", "other", "cem", "unclear")
    with contextlib.ExitStack() as stack:
        if watched:
            other = stack.enter_context(closing(sqlite3.connect(reviews.path)))
            other.execute("SELECT count(*) FROM events").fetchone()
        children = [stack.enter_context(writer(reviews, name, count)) for name in ("ann", "bob")]
        printed = {int(line) for child in children for line in child.communicate()[0].split()}
    assert [child.returncode for child in children] == [0, 0]
    events = reviews.events(KEY)[1:]
    assert {event.id for event in events} == printed == set(range(2, 2 * count + 2))
    whose = {(event.reviewer, event.case) for event in events}
    assert whose == {(name, f"case{n}") for name in ("ann", "bob") for n in range(count)}


def test_a_kill_loses_nothing_that_was_confirmed(reviews: Reviews):
    with writer(reviews, "ann", 100_000) as child:
        assert child.stdout is not None
        confirmed = [int(child.stdout.readline()) for _ in range(40)]
        child.send_signal(signal.SIGKILL)
        confirmed += [int(line) for line in child.stdout.read().split()]
    assert child.returncode == -signal.SIGKILL
    kept = [event.id for event in reviews.events(KEY)]
    # One more may be there: written, but killed before it could be printed.
    assert kept[: len(confirmed)] == confirmed
    assert len(kept) <= len(confirmed) + 1
    assert reviews.add(KEY, "first", "a", "bob", "unclear").id == len(kept) + 1


# -- which run -----------------------------------------------------------------------------


def test_a_replaced_run_takes_no_verdicts_over(run: Run, reviews: Reviews):
    reviews.add(run.key, "first", "a", "ann", "unclear")
    old = run.key
    assert len(old) == 16
    assert old == open_run(run.path).key
    shutil.rmtree(run.path)
    again = write_run(run.path, seed=1)
    assert again.key != old
    assert Reviews.beside(again).current(again.key).empty
    assert len(Reviews.beside(again).current(old)) == 1
    assert reviews.runs()["run"].tolist() == [old]


def test_the_file_lies_beside_the_run_however_it_is_opened(run: Run, monkeypatch):
    beside = (run.path.parent / "reviews.sqlite").resolve()
    assert Reviews.beside(run).path == beside
    monkeypatch.chdir(run.path)
    assert Reviews.beside(open_run(".")).path == beside


# -- agreement -----------------------------------------------------------------------------


def verdicts(**of_reviewers: str) -> pd.DataFrame:
    """A letter a case: s, o, l, m, u for the verdicts, - for none."""
    names = {name[0]: name for name in VERDICTS}
    rows = [
        (f"c{number:02d}", reviewer, names.get(letter))
        for reviewer, letters in of_reviewers.items()
        for number, letter in enumerate(letters)
        if letter != " "
    ]
    return pd.DataFrame(rows, columns=["case", "reviewer", "verdict"], dtype=object)


def test_kappa_of_two_reviewers_by_hand():
    # 10 cases, 7 agreed. ann: 5 s, 3 o, 2 u; bob: 6 s, 2 o, 2 u.
    # Expected .5×.6 + .3×.2 + .2×.2 = .40; kappa = (.70 − .40) ÷ .60 = .50.
    (pair,) = pair_agreement(verdicts(ann="sssssooouu", bob="ssssoossuu"))
    assert (pair.a, pair.b, pair.n, pair.agreed, pair.agreement) == ("ann", "bob", 10, 7, 0.7)
    assert pair.kappa == pytest.approx(0.5)
    assert pair.reason is None


def test_only_common_cases_with_two_verdicts_count():
    pairs = pair_agreement(verdicts(ann="so-s", bob="so o", cem="   s", dan="ssss"))
    found = {(pair.a, pair.b): pair for pair in pairs}
    assert len(found) == 6
    assert found["ann", "bob"].n == 3
    # 3 cases, 2 agreed; expected ⅔×⅓ + ⅓×⅔ = 4/9; kappa = (6/9 − 4/9) ÷ 5/9.
    assert found["ann", "bob"].kappa == pytest.approx(2 / 5)
    one = found["ann", "cem"]
    assert (one.n, one.agreement, one.kappa) == (1, 1.0, None)
    assert one.reason == "fewer than 2 cases in common (1)"
    assert found["ann", "dan"].kappa == 0  # dan's verdicts carry no information
    assert pair_agreement(verdicts(ann="so")) == []


def test_no_case_in_common_and_one_verdict_only_have_no_kappa():
    (pair,) = pair_agreement(verdicts(ann="ss ", bob="  s"))
    assert (pair.n, pair.agreement, pair.kappa) == (0, None, None)
    (pair,) = pair_agreement(verdicts(ann="sss", bob="sss"))
    assert (pair.agreement, pair.kappa) == (1.0, None)
    assert pair.reason is not None
    assert "undefined" in pair.reason


def flags(letters: str) -> pd.DataFrame:
    """A letter a case: c, p, a for the evidence of a flag, u for unsupported, - for none."""
    evidence = {"c": "confirmed", "p": "probable", "a": "attention", "u": "unsupported"}
    return pd.DataFrame(
        {
            "id": [f"c{number:02d}" for number in range(len(letters))],
            "flag": ["wrong_reason" if letter in "cpa" else None for letter in letters],
            "evidence": [evidence.get(letter) for letter in letters],
        },
        dtype=object,
    )


def test_the_flag_against_people_by_hand():
    # Flagged: 4 spurious to people, 1 not. Not flagged: 1 spurious, 4 not; 10 cases in all.
    # Agreed .8, expected .5×.5 + .5×.5 = .5; kappa .6; precision 4/5.
    cases = flags("cccpp" + "auua-" + "cp-")
    current = verdicts(ann="ssssm" + "solmo" + "us ", bob="s    " + "    m" + "so ")
    found = flag_agreement(current, cases)
    counts = (found.both, found.machine_only, found.human_only, found.neither)
    assert counts == (4, 1, 1, 4)
    assert (found.n, found.unclear, found.disagreed) == (10, 1, 1)
    assert found.kappa == pytest.approx(0.6)
    assert found.precision == pytest.approx(0.8)
    assert found.low is not None
    assert found.high is not None
    assert found.low == pytest.approx(0.3755, abs=1e-4)  # Wilson's for 4 of 5
    assert found.high == pytest.approx(0.9638, abs=1e-4)


def test_nothing_reviewed_is_no_number():
    found = flag_agreement(verdicts(ann="u-"), flags("cc"))
    assert (found.n, found.unclear, found.kappa, found.precision) == (0, 1, None, None)
    assert found.reason is not None
    empty = verdicts()
    assert flag_agreement(empty, flags("cc")).precision is None
    assert coverage(empty, flags("cc-")) == Coverage(2, 0, 0)


def test_coverage_by_hand():
    cases = flags("ccppcaau-")
    current = verdicts(ann="sou-", bob="ss   u")
    assert coverage(current, cases) == Coverage(flagged=5, reviewed=3, unresolved=2)
    assert coverage(current, cases, QUEUED) == Coverage(flagged=2, reviewed=1, unresolved=1)


# -- CSV -----------------------------------------------------------------------------------


def test_any_text_comes_back_from_csv(tmp_path: Path):
    texts = [text for text in ODD if text.strip()]
    run = write_run(tmp_path / "odd", tuple(texts))
    kept = Reviews.beside(run)
    for text in texts:
        named = " ".join(text.split())
        tag = named.replace(";", "·")
        kept.add(run.key, "odd", text, named, "spurious_cue", (tag, "second"), text)
        kept.add(run.key, "odd", text, "all", None, (tag,))
    file = tmp_path / "out.csv"
    assert export_csv(kept, file, run.key) == 2 * len(texts)
    again = import_csv(kept, file, [run])
    assert (again.events, again.replaced, again.unchanged) == ((), 0, 2 * len(texts))

    other = Reviews(tmp_path / "other.sqlite")
    assert len(import_csv(other, file, [run]).events) == 2 * len(texts)
    columns = list(COLUMNS)
    before, after = (k.current(run.key)[columns].to_dict("list") for k in (kept, other))
    assert before == after


def test_no_cell_is_a_formula_or_a_number(run: Run, reviews: Reviews, tmp_path: Path):
    for text in ODD:
        reviews.add(run.key, "first", text, "ann", "unclear", note=text)
    file = tmp_path / "out.csv"
    export_csv(reviews, file)
    assert file.read_bytes().startswith(b"\xef\xbb\xbfrun,run_name,case,reviewer,verdict,tags")
    with file.open(encoding="utf-8-sig", newline="") as opened:
        cells = [cell for row in csv.DictReader(opened) for cell in row.values()]
    assert not [cell for cell in cells if cell.strip()[:1] in tuple("=+-@＝＋－＠")]
    assert "'0007" in cells
    assert "'2026-05-09" in cells
    assert '\'=HYPERLINK("http://example.org";"x")' in cells
    assert "plain" in cells


def table(*rows: str, head: str = "run,case,reviewer,verdict,note,time", end: str = "\n") -> bytes:
    return end.join([head, *rows, ""]).encode()


def test_every_problem_is_told_at_once_and_nothing_imported(
    run: Run, reviews: Reviews, tmp_path: Path
):
    reviews.add(run.key, "first", "a", "ann", "unclear")
    file = tmp_path / "in.csv"
    file.write_bytes(
        table(
            f'{run.key},b,ann,unclear,"two\nlines",',
            f"{run.key},,ann,spurious,,",
            f"{run.key},zz,,unclear,,yesterday",
            "",
            "beef,a,ann,unclear,,",
            f"{run.key},b,ann,mask_wrong,,",
        )
    )
    with pytest.raises(ReviewError) as caught:
        import_csv(reviews, file, [run])
    told = str(caught.value)
    for part in (
        "in.csv: 7 problems, so nothing was imported",
        "line 4 has no case",
        "line 4 has the unknown verdict 'spurious'",
        "line 5 has no reviewer",
        "line 5 has the time 'yesterday'",
        "line 5 is of the case 'zz', which the run first has not",
        f"line 7 is of the run 'beef', which is not here; here are {run.key} (first)",
        "line 8 is about the same case and reviewer as line 2",
    ):
        assert part in told
    assert len(reviews.events(run.key)) == 1


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "no column 'run', 'case', 'reviewer', 'verdict'"),
        (table(head="run,case,reviewer,verdict,mood"), "the unknown column 'mood'"),
        (table(head="run,case,reviewer,verdict,case"), "more than once 'case'"),
        (table("x,y"), "line 2 has 2 cells, not 6"),
        (table('x,"y'), "line 2 cannot be read"),
        ("run,case\n\xe9".encode("latin-1"), "is no UTF-8; save it as “CSV UTF-8”"),
        (table().decode().encode("utf-16"), "is no UTF-8"),
    ],
)
def test_what_is_no_table_of_verdicts_is_refused(
    run: Run, reviews: Reviews, tmp_path: Path, content: bytes, told: str
):
    file = tmp_path / "in.csv"
    file.write_bytes(content)
    with pytest.raises(ReviewError, match=told):
        import_csv(reviews, file, [run])
    assert not reviews.path.exists()


@pytest.mark.parametrize("separator", [";", "\t"])
def test_the_separators_of_other_countries_are_read(
    run: Run, reviews: Reviews, tmp_path: Path, separator: str
):
    row = f"{run.key},a,ann,mask_wrong,it is,2026-05-09T09:35:00+02:00"
    lines = table(row, end="\r\n").decode().replace(",", separator)
    (tmp_path / "in.csv").write_text("\ufeff" + lines, encoding="utf-8", newline="")
    (event,) = import_csv(reviews, tmp_path / "in.csv", [run]).events
    assert (event.case, event.verdict, event.note) == ("a", "mask_wrong", "it is")
    assert event.time == "2026-05-09T07:35:00.000+00:00"
    assert event.run_name == "first"


def test_an_import_replaces_what_differs(run: Run, reviews: Reviews, tmp_path: Path):
    reviews.add(run.key, "first", "a", "ann", "unclear")
    reviews.add(run.key, "first", "b", "ann", "unclear")
    export_csv(reviews, tmp_path / "out.csv", run.key)
    text = (tmp_path / "out.csv").read_text(encoding="utf-8-sig")
    changed = text.replace("first,b,ann,unclear", "first,b,ann,spurious_cue")
    (tmp_path / "in.csv").write_text(changed, encoding="utf-8")
    found = import_csv(reviews, tmp_path / "in.csv", [run])
    assert (len(found.events), found.replaced, found.unchanged) == (1, 1, 1)
    assert said(reviews, run.key) == {("a", "ann"): "unclear", ("b", "ann"): "spurious_cue"}
    reviews.undo(run.key, "ann")
    assert said(reviews, run.key)[("b", "ann")] == "unclear"


def test_only_a_csv_is_ever_replaced_and_when_asked(reviews: Reviews, tmp_path: Path):
    reviews.add(KEY, "first", "a", "ann", "unclear")
    file = tmp_path / "mine.csv"
    file.write_text("mine", encoding="utf-8")
    with pytest.raises(AuditorError, match=r"mine.csv: exists; .* or ask to overwrite"):
        export_csv(reviews, file)
    assert file.read_text(encoding="utf-8") == "mine"
    assert export_csv(reviews, file, overwrite=True) == 1
    assert "unclear" in file.read_text(encoding="utf-8")
    with pytest.raises(ReviewError, match=r"give a name that ends in \.csv"):
        export_csv(reviews, reviews.path)
    assert len(reviews.current()) == 1


# -- the command -----------------------------------------------------------------------------


def test_the_commands(auditor_cli: Call, run: Run, reviews: Reviews, tmp_path: Path):
    for case, verdict in zip("abcd", ("spurious_cue", "unclear", "other_cause", None), strict=True):
        reviews.add(run.key, "first", case, "ann", verdict, note="=1")
    reviews.add(run.key, "first", "a", "bob", "spurious_cue")
    reviews.add("f" * 16, "gone", "a", "bob", "spurious_cue")
    file = tmp_path / "out.csv"
    shown = auditor_cli("reviews", "export", run.path, "--out", file)
    assert shown.status == 0
    assert f"5 verdicts written to {file}." in shown.out
    assert "ann · bob" in shown.out
    assert "precision of the flag 100%" in shown.out

    shown = auditor_cli("reviews", "export", run.path, "--out", file)
    assert shown.status == 2
    assert shown.err == (
        f"auditor: {file}: exists; choose another name, remove it or ask to overwrite "
        "(--overwrite).\n"
    )
    again = ("reviews", "export", run.path, "--out", file, "--overwrite")
    shown = auditor_cli(*again, "--all-runs", "--json")
    content = json.loads(shown.out)
    assert content["exported"] == 6
    assert content["key"] == run.key
    assert content["verdicts"]["ann"] == {
        "spurious_cue": 1, "other_cause": 1, "label_wrong": 0, "mask_wrong": 0, "unclear": 1,
        "none": 1,
    }  # fmt: skip
    assert content["coverage"] == {
        "flagged": {"flagged": 2, "reviewed": 2, "unresolved": 1},
        "queued": {"flagged": 1, "reviewed": 1, "unresolved": 0},
    }
    assert content["agreement"]["reviewers"][0]["n"] == 1
    assert content["agreement"]["flag"]["both"] == 1

    refused = auditor_cli("reviews", "import", run.path, file)
    assert refused.status == 2
    assert "1 problem, so nothing was imported" in refused.err
    assert "Traceback" not in refused.err

    assert auditor_cli(*again).status == 0
    reviews.path.unlink()
    shown = auditor_cli("reviews", "import", run.path, file)
    assert shown.status == 0
    assert "5 verdicts imported" in shown.out
    again = json.loads(auditor_cli("reviews", "import", run.path, file, "--json").out)
    assert (again["imported"], again["replaced"], again["unchanged"]) == (0, 0, 5)


def test_a_file_may_hold_verdicts_about_several_runs(
    auditor_cli: Call, run: Run, reviews: Reviews, tmp_path: Path
):
    second = write_run(run.path.parent / "second", seed=1)
    write_run(run.path.parent / "broken", seed=2)
    (run.path.parent / "broken" / "run.json").write_text("{")
    assert [found.path.name for found in runs_beside(run)] == ["first", "second"]
    for of in (run, second):
        reviews.add(of.key, of.path.name, "a", "ann", "unclear")
    file = tmp_path / "out.csv"
    assert auditor_cli("reviews", "export", run.path, "--out", file, "--all-runs").status == 0
    reviews.path.unlink()
    assert auditor_cli("reviews", "import", run.path, file).status == 0
    assert len(reviews.current(second.key)) == len(reviews.current(run.key)) == 1


def test_unusable_input_is_one_message(auditor_cli: Call, run: Run, reviews: Reviews, tmp_path):
    (tmp_path / "file").touch()
    calls = [
        ("import", run.path, tmp_path / "missing.csv"),
        ("import", tmp_path / "nothing", tmp_path / "missing.csv"),
        ("import", run.path, tmp_path),
        ("export", run.path, "--out", tmp_path / "out.xlsx"),
        ("export", run.path, "--out", tmp_path / "file" / "out.csv"),
        ("export", run.path),
    ]
    for call in calls:
        refused = auditor_cli("reviews", *call)
        assert refused.status == 2, call
        assert refused.err.strip(), call
        assert "Traceback" not in refused.err
    reviews.path.write_bytes(b"no database")
    refused = auditor_cli("reviews", "export", run.path, "--out", tmp_path / "out.csv")
    assert refused.status == 2
    assert "is damaged, or no SQLite database" in refused.err
    assert not (tmp_path / "out.csv").exists()


def test_help_has_an_example(auditor_cli: Call):
    for command in ("export", "import"):
        shown = auditor_cli("reviews", command, "--help")
        assert shown.status == 0
        assert f"auditor reviews {command} runs/first" in shown.out
