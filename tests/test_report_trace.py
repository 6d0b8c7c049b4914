"""Every number of a report, one by one: found in the run's files, or worked out from them again.

The walk is over the document itself. A number that no rule of this module accounts for fails the
test, so a new section cannot bring numbers that nobody can trace.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from auditor.report import ReportOptions, build
from tests.test_report import audited, changed, reviews

Path_ = tuple[Any, ...]
Z = 1.959963984540054


class Files:
    """The run's files as they lie on disk, read without Auditor, and the reviews given."""

    def __init__(self, run: Path, given: pd.DataFrame) -> None:
        self.info = json.loads((run / "run.json").read_text(encoding="utf-8"))
        self.findings = json.loads((run / "findings.json").read_text(encoding="utf-8"))["findings"]
        self.cases = pq.read_table(run / "cases.parquet").to_pandas()
        self.interventions = pq.read_table(run / "interventions.parquet").to_pandas()
        self.reviews = given[given["case"].isin(self.cases["id"])]


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Files]:
    run = audited(tmp_path_factory.mktemp("world"))

    def vary(_info: dict[str, Any], cases: pd.DataFrame) -> None:
        """Cases that are not annotated, unreadable, queued, or without a region."""
        cases.loc[::11, "attribute.tint"] = ""
        lost = cases.index[5:8]
        cases["correct"] = cases["correct"].astype("boolean")
        cases.loc[lost, ["predicted", "contrast", "flag", "cue", "evidence"]] = None
        cases.loc[lost, ["confidence", "margin", "correct", "severity", "passes"]] = None
        cases.loc[lost, "mass.cue"] = None
        queued = cases.index[cases["correct"].eq(False).fillna(False)][:4]
        cases.loc[queued, "evidence"] = "attention"
        cases.loc[queued, "severity"] = None

    run = changed(run, tmp_path_factory.mktemp("varied") / "run", vary)
    ids = run.cases.query("flag.notna()")["id"].tolist()
    given = reviews(
        *((case, "ana", "spurious_cue", ("a",), "") for case in ids[:9]),
        *((case, "ben", "other_cause", (), "note") for case in ids[7:14]),
        (ids[20], "ana", "unclear", (), ""),
        (ids[21], "ana", None, (), "a note alone"),
        ("elsewhere", "ana", "unclear", (), ""),
    )
    document = build(run, ReportOptions(examples=12), given)
    return document, Files(run.path, given)


def numbers(value: Any, path: Path_ = ()) -> Iterator[tuple[Path_, float]]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield from numbers(one, (*path, key))
    elif isinstance(value, list):
        for place, one in enumerate(value):
            yield from numbers(one, (*path, place))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, value


def wilson(right: int, n: int) -> tuple[float, float]:
    share, over = right / n, 1 + Z * Z / n
    centre = (share + Z * Z / (2 * n)) / over
    half = Z / over * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


# -- what each number has to be, worked out from the files --------------------------------------


def group(files: Files, row: dict[str, Any], by: str) -> dict[str, Any]:
    """Accuracy of a group of cases, counted again."""
    cases = files.cases[files.cases["label"] == row["label"]]
    if by != "label":
        cases = cases[cases[f"attribute.{by}"].fillna("") == (row["value"] or "")]
    judged = cases["correct"].dropna().astype(bool)
    found: dict[str, Any] = {"n": len(cases), "judged": len(judged), "correct": int(judged.sum())}
    found["overall"] = next(f["value"] for f in files.findings if f["kind"] == "accuracy")
    if row["accuracy"] is not None:
        low, high = wilson(found["correct"], found["judged"])
        found |= {"accuracy": found["correct"] / found["judged"], "low": low, "high": high}
    else:
        assert len(judged) < 10
    return found


def mass(files: Files, row: dict[str, Any]) -> dict[str, Any]:
    """Mean mass and area of a region, over errors and over correct cases."""
    own = files.cases[files.cases[f"mass.{row['region']}"].notna()]
    found = {}
    for what, right in (("errors", False), ("correct", True)):
        some = own[own["correct"].eq(right).fillna(False).astype(bool)]
        found[what] = some[f"mass.{row['region']}"].mean()
        found[f"{what}_area"] = some[f"area.{row['region']}"].mean()
        found[f"{what}_n"] = len(some)
    return found


def evidence(files: Files, row: dict[str, Any]) -> dict[str, Any]:
    right = row["cases"] == "correct"
    own = files.cases[files.cases["correct"].eq(right).fillna(False).astype(bool)]
    own = own[own["passes"].notna() & own["evidence"].notna() & (own["cue"] == row["cue"])]
    kinds = ("confirmed", "probable", "attention", "unsupported", "untestable")
    return {kind: int((own["evidence"] == kind).sum()) for kind in kinds}


def counted(files: Files, row: dict[str, Any], by: str | None) -> dict[str, Any]:
    own = files.cases[files.cases["label"] == row["label"]]
    if by is not None:
        own = own[own[f"attribute.{by}"].fillna("") == (row["value"] or "")]
    return {"n": len(own)}


def flagged(files: Files, row: dict[str, Any], place: int) -> dict[str, Any]:
    case = files.cases.set_index("id").loc[row["id"]]
    return {"number": place + 1, "confidence": case["confidence"], "severity": case["severity"]}


def statuses(files: Files, row: dict[str, Any]) -> dict[str, Any]:
    return {"n": int((files.cases[f"status.{row['region']}"] == row["status"]).sum())}


def verdicts(files: Files, row: dict[str, Any]) -> dict[str, Any]:
    names = {"Spurious cue": "spurious_cue", "Other cause": "other_cause", "Unclear": "unclear"}
    own = files.reviews[files.reviews["verdict"] == names[row["verdict"]]]
    on = files.cases[files.cases["flag"].notna()]["id"]
    return {"verdicts": len(own), "flagged": int(own["case"].isin(on).sum())}


def coverage(files: Files) -> dict[str, Any]:
    judged = files.reviews[files.reviews["verdict"].notna()]
    cases = files.cases
    counts = cases["flag"].notna() & cases["evidence"].isin(["confirmed", "probable"])
    queue = cases["flag"].notna() & (cases["evidence"] == "attention")
    flags, queued = set(cases[counts]["id"]), set(cases[queue]["id"])
    said = {case: set(rows) for case, rows in judged.groupby("case")["verdict"]}
    open_ = {case for case, words in said.items() if len(words) > 1 or "unclear" in words}
    decided = {case: words for case, words in said.items() if case not in open_ and case in flags}
    agreed = sum(words == {"spurious_cue"} for words in decided.values())
    # Two decided verdicts, neither of them on the cue, still settle that it was not the cue.
    assert all(len(words) == 1 for words in decided.values())
    return {
        "flagged": len(flags), "reviewed_flagged": len(flags & said.keys()),
        "coverage": len(flags & said.keys()) / len(flags),
        "queued": len(queued), "reviewed_queued": len(queued & said.keys()),
        "unresolved": len(open_ & (flags | queued)), "reviewed": len(said),
        "reviewers": judged["reviewer"].nunique(), "precision": agreed / len(decided),
        "interval": list(wilson(agreed, len(decided))),
    }  # fmt: skip


def disparity(files: Files, row: dict[str, Any]) -> dict[str, Any]:
    """The row of findings.json, and its counts counted again."""
    (found,) = [f for f in files.findings if f["kind"] == "disparity"]
    (own,) = [r for r in found["table"] if (r["label"], r["value"]) == (row["label"], row["value"])]
    assert own["right"] <= own["judged"] <= own["n"]
    if own["rate"] is not None:
        assert own["rate"] == pytest.approx(own["right"] / own["judged"])
    return {key: value for key, value in own.items() if value is not None}


def collected(files: Files, row: dict[str, Any]) -> dict[str, Any]:
    (found,) = [f for f in files.findings if f["kind"] == "collect"]
    return next(r for r in found["table"] if all(r[k] == row[k] for k in ("label", "value")))


def gate(files: Files, row: dict[str, Any]) -> dict[str, Any]:
    (found,) = [f for f in files.findings if f["kind"] == row["kind"]]
    return {key: found[key] for key in ("value", "low", "high", "threshold", "n")}


def example(files: Files, shown: dict[str, Any]) -> dict[str, Any]:
    """The case's row, and the margins of its changed images from their logits."""
    case = files.cases.set_index("id").loc[shown["id"]]
    own = files.interventions[files.interventions["case"] == shown["id"]]
    classes = files.info["model"]["classes"]
    over, under = (classes.index(case[name]) for name in ("predicted", "contrast"))
    found = {name: case[name] for name in ("confidence", "margin", "severity")}
    found |= {"reliance": case["reliance.cue"], "reliance_se": case["reliance_se.cue"]}
    margins = [
        [float(row[over]) - float(row[under]) for row in own[own["arm"] == arm]["logits"]]
        for arm in ("same", "opposite")
    ]
    most = max(range(len(margins[0])), key=lambda n: margins[0][n] - margins[1][n])
    return found | {"margins": margins, "shown": [margin[most] for margin in margins]}


ROWS: dict[tuple[str, str], Callable[..., dict[str, Any]]] = {
    ("performance", "groups.label"): lambda f, row, _: group(f, row, "label"),
    ("performance", "groups.label.table"): lambda f, row, _: group(f, row, "label"),
    ("performance", "groups.tint"): lambda f, row, _: group(f, row, "tint"),
    ("performance", "groups.tint.table"): lambda f, row, _: group(f, row, "tint"),
    ("appendix", "groups.label"): lambda f, row, _: group(f, row, "label"),
    ("appendix", "groups.tint"): lambda f, row, _: group(f, row, "tint"),
    ("disparities", "comparisons"): lambda f, row, _: disparity(f, row),
    ("attention", "mass"): lambda f, row, _: mass(f, row),
    ("attention", "mass.table"): lambda f, row, _: mass(f, row),
    ("cues", "evidence"): lambda f, row, _: evidence(f, row),
    ("data", "labels"): lambda f, row, _: counted(f, row, None),
    ("data", "counts.tint"): lambda f, row, _: counted(f, row, "tint"),
    ("collect", "collect.0.cells"): lambda f, row, _: collected(f, row),
    ("model", "gates"): lambda f, row, _: gate(f, row),
    ("review", "verdicts"): lambda f, row, _: verdicts(f, row),
    ("appendix", "flagged"): flagged,
    ("appendix", "regions"): lambda f, row, _: statuses(f, row),
    ("appendix", "findings"): lambda f, _row, place: f.findings[place],
}
"""Section and block to what the numbers of a row have to be."""


def facts(files: Files) -> dict[tuple[str, str], dict[str, Any]]:
    info, verdict = files.info, files.info["verdict"]
    counts = info["counts"]
    return {
        ("verdict", "key_figures"): {
            "level": verdict["level"], "effect": verdict["effect"],
            "interval": [verdict["low"], verdict["high"]], "threshold": verdict["threshold"],
            **{name: counts[name] for name in ("cases", "judged", "errors", "tested")},
        },
        ("scope", "audited"): counts,
        ("model", "maps"): {"seed": info["seed"]},
        ("provenance", "made"): {"schema_version": info["schema_version"], "seed": info["seed"]},
        ("review", "coverage"): coverage(files),
    }  # fmt: skip


def expected(  # noqa: PLR0911, PLR0912 - a line a kind of block
    files: Files, document: dict[str, Any], known: dict[Any, Any], path: Path_
) -> Any:
    """What the number at that path has to be; raises `KeyError` where no rule says."""
    if path[0] in ("document_version", "identity"):
        if path == ("document_version",):
            return 1
        return files.info["counts"][document["identity"][path[1]]["name"]]
    _, s, _, b, *rest = path
    section = document["sections"][s]
    one = section["blocks"][b]
    at = section["name"], one.get("name")
    match one["kind"], *rest:
        case "facts", "facts", n, "value", *place:
            value = known[at][one["facts"][n]["name"]]
            return value[place[0]] if place else value
        case "findings", "findings", n, key:
            same = [f for f in files.findings if f["text"] == one["findings"][n]["text"]]
            return same[0][key]
        case "verdict", "level":
            return files.info["verdict"]["level"]
        case "recommendations", "recommendations", n, "finding":
            shown = one["recommendations"][n]
            texts = [(f["kind"], f["text"]) for f in files.findings]
            return texts.index((shown["finding_kind"], shown["finding_text"])) + 1
        case "table", "left_out":
            return one["total"] - len(one["rows"])
        case "table", "total":
            return total(files, at, one)
        case "chart", "left_out":
            return 0
        case "examples", "examples", n, key:
            return example(files, one["examples"][n])[key]
        case "examples", "examples", n, "pair", key, *place:
            value = example(files, one["examples"][n])[key]
            for step in place:
                value = value[step]
            return value
        case "examples", "examples", _, "pictures", _, "width" | "height":
            return {"width": 160, "height": 128}[rest[-1]]  # 40 × 32, enlarged to 128 at least
        case "table" | "chart", "rows", n, key, *_:
            if at[1].startswith("findings."):
                return files.findings[int(at[1].split(".")[1])]["table"][n][key]
            return ROWS[at](files, one["rows"][n], n)[key]
    raise KeyError(path)


def total(files: Files, at: tuple[str, str], one: dict[str, Any]) -> int:
    cases = files.cases
    if at == ("appendix", "flagged"):
        return int(cases["flag"].notna().sum())
    if at == ("appendix", "findings"):
        return len(files.findings)
    if at[1].startswith("findings."):
        return len(files.findings[int(at[1].split(".")[1])]["table"])
    if at == ("review", "reviews"):
        return len(files.reviews)
    if at == ("review", "unresolved"):
        flags = set(cases[cases["flag"].notna()]["id"])
        judged = files.reviews[files.reviews["verdict"].notna()]
        said = {case: set(rows) for case, rows in judged.groupby("case")["verdict"]}
        open_ = {case for case, words in said.items() if len(words) > 1 or "unclear" in words}
        return len(open_ | (flags - said.keys()))
    return len(one["rows"])


def test_every_number_is_that_of_the_files(traced: tuple[dict[str, Any], Files]) -> None:
    document, files = traced
    known = facts(files)
    told: dict[str, int] = {}
    unknown = []
    for path, number in numbers(document):
        try:
            wanted = expected(files, document, known, path)
        except KeyError:
            unknown.append(path)
            continue
        assert number == pytest.approx(wanted, rel=1e-6, abs=1e-6), path
        where = "head" if path[0] != "sections" else document["sections"][path[1]]["name"]
        told[where] = told.get(where, 0) + 1
    named = [
        (document["sections"][p[1]]["name"], document["sections"][p[1]]["blocks"][p[3]], p[4:])
        for p in unknown
    ]
    assert [(s, b.get("name"), rest) for s, b, rest in named] == []
    for section in ("performance", "disparities", "attention", "cues", "review", "data"):
        assert told[section] > 5, section


def test_the_walk_notices_a_wrong_number(traced: tuple[dict[str, Any], Files]) -> None:
    document, files = traced
    known = facts(files)
    seen = 0
    for path, number in numbers(document):
        wanted = expected(files, document, known, path)
        seen += number + 1 != pytest.approx(wanted, rel=1e-6, abs=1e-6)
    assert seen == len(list(numbers(document)))
