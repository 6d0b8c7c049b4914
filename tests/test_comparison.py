"""Two runs over the same cases: tables worked out by hand, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import auditor
from auditor.configuration import DatasetConfig
from auditor.errors import RunError
from auditor.findings import Comparison
from auditor.pipeline import Settings
from auditor.statistics import paired_difference
from auditor.store import Run, open_run
from tests.colours import classifier, write_dataset
from tests.conftest import Outcome

Call = Callable[..., Outcome]

# How many cases of each group the two runs are right about:
GROUPS = {
    # right in both, fixed, broken, wrong in both
    ("doctor", "man"): (28, 0, 2, 0),
    ("doctor", "woman"): (10, 6, 0, 4),
    ("nurse", "man"): (3, 5, 1, 3),
    ("nurse", "woman"): (4, 0, 0, 1),
}
PAIRS = ((True, True), (False, True), (True, False), (False, False))


def table(run: str, groups: dict[tuple[str, str], tuple[int, ...]] = GROUPS) -> pd.DataFrame:
    rows = []
    for (label, drawn_as), counts in groups.items():
        for pair, count in zip(PAIRS, counts, strict=True):
            right = pair[run == "b"]
            other = "nurse" if label == "doctor" else "doctor"
            rows += [
                {
                    "label": label,
                    "predicted": label if right else other,
                    "correct": right,
                    "attribute.drawn_as": drawn_as,
                    "evidence": None if right else "unsupported",
                    "mass.subject": 0.4 if run == "a" else 0.5,
                    "area.subject": 0.3,
                    "mass.face": 0.5 if run == "a" else 0.2,
                    "area.face": 0.1,
                }
            ] * count
    made = pd.DataFrame(rows)
    made.insert(0, "id", [f"case{number:02d}" for number in range(len(made))])
    return made.astype({"correct": object})


def write(path: Path, cases: pd.DataFrame, **info: Any) -> Run:
    path.mkdir()
    cases.to_parquet(path / "cases.parquet")
    written = {
        "schema_version": 2,
        "attributes": ["drawn_as"],
        "clustered": "cluster" in cases,
        "cue_sets": [],
        "seed": 0,
        "regions": {"cues": ["face"]},
        "method": "gradcam",
        "layer": {"name": "features", "grid": [7, 7]},
        "identity": {"dataset": "same", "weights": path.name, "configuration": "same"},
    }
    (path / "run.json").write_text(json.dumps(written | info))
    (path / "findings.json").write_text('{"findings": []}')
    return open_run(path)


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Run, Run]:
    return write(tmp_path / "a", table("a")), write(tmp_path / "b", table("b"))


@pytest.fixture
def compared(runs: tuple[Run, Run]) -> Comparison:
    return auditor.compare(*runs)


def test_accuracy_by_hand(compared: Comparison):
    found = compared.accuracy
    assert (found.n, found.still_right, found.fixed, found.broken, found.still_wrong) == (
        67, 45, 11, 3, 8,
    )  # fmt: skip
    assert found.accuracy_a == pytest.approx(48 / 67)
    assert found.accuracy_b == pytest.approx(56 / 67)
    assert found.difference == pytest.approx(8 / 67)
    assert (found.low, found.high) == paired_difference(45, 3, 11, 8)
    # Of 14 discordant cases 3 or fewer: 2 × (1 + 14 + 91 + 364) / 2¹⁴.
    assert found.p == pytest.approx(2 * 470 / 2**14)
    assert found.reason is None
    assert compared.unjudged == {"a": 0, "b": 0, "both": 0}
    assert compared.notes == ()


def test_cases_can_be_listed_and_queried(compared: Comparison):
    fixed = compared.cases.query("change == 'fixed'")
    assert fixed["id"].tolist() == compared.changed("fixed")
    assert len(fixed) == 11
    assert (fixed["predicted_b"] == fixed["label"]).all()
    assert (fixed["predicted_a"] != fixed["label"]).all()
    assert compared.changed("broken") == ["case28", "case29", "case58"]
    assert list(compared.cases.columns) == [
        "id", "label", "attribute.drawn_as", "predicted_a", "predicted_b", "correct_a",
        "correct_b", "evidence_a", "evidence_b", "change",
    ]  # fmt: skip


def test_groups_by_hand(compared: Comparison):
    groups = compared.groups
    assert len(groups) == 2 + 4
    by_label = groups[groups["attribute"].isna()].set_index("label")
    assert by_label.loc["doctor", ["cases", "n", "fixed", "broken"]].tolist() == [50, 50, 6, 2]
    cells = groups[groups["attribute"] == "drawn_as"].set_index(["label", "value"])
    man = cells.loc[("doctor", "man")]
    assert man[["accuracy_a", "accuracy_b", "precision"]].tolist() == [1, 28 / 30, "ok"]
    assert man["p"] == pytest.approx(1 / 2)
    woman = cells.loc[("doctor", "woman")]
    assert woman[["n", "accuracy_a", "accuracy_b"]].tolist() == [20, 0.5, 0.8]
    assert woman["difference"] == pytest.approx(0.3)
    assert (woman["low"], woman["high"]) == pytest.approx(paired_difference(10, 0, 6, 4))
    assert woman["p"] == pytest.approx(2 / 2**6)
    assert woman["precision"] == "imprecise"
    nurse = cells.loc[("nurse", "man")]
    assert nurse["p"] == pytest.approx(2 * 7 / 2**6)
    # Holm over the three groups that have a p: 1/32 × 3, 7/32 × 2, 1/2.
    assert cells["holm"].dropna().tolist() == pytest.approx([1 / 2, 3 / 32, 14 / 32])
    # Under ten cases: counts only.
    few = cells.loc[("nurse", "woman")]
    assert few[["n", "still_right", "still_wrong", "precision"]].tolist() == [
        5, 4, 1, "counts only",
    ]  # fmt: skip
    assert few[["accuracy_a", "difference", "low", "p", "holm"]].isna().all()


def test_the_worst_group_in_each_run(compared: Comparison):
    (by_label, cells) = compared.described()["worst"]
    assert (by_label["attribute"], by_label["label_a"], by_label["label_b"]) == (
        None, "nurse", "nurse",
    )  # fmt: skip
    # 4 of 12 nurses drawn as men in A; in B 8 of 12, still the lowest.
    assert (cells["label_a"], cells["value_a"]) == ("nurse", "man")
    assert (cells["accuracy_a"], cells["in_b"]) == pytest.approx((4 / 12, 8 / 12))
    assert (cells["value_b"], cells["accuracy_b"]) == ("man", pytest.approx(8 / 12))
    assert cells["difference"] == pytest.approx(4 / 12)
    assert 0 <= cells["low"] < 4 / 12 < cells["high"] < 0.7


def test_shares_of_the_map_are_paired(tmp_path: Path):
    a, b = table("a"), table("b")
    a.loc[:2, "mass.face"] = [0.1, 0.2, 0.6]
    b.loc[:2, "mass.face"] = [0.0, 0.2, 0.2]
    a.loc[3:, "mass.face"] = None
    b.loc[1:, "mass.subject"] = None
    found = auditor.compare(write(tmp_path / "a", a), write(tmp_path / "b", b)).shares
    subject, face = found.to_dict("records")
    # Differences -.1, 0, -.4: mean -1/6, standard deviation √(13/300).
    assert (face["n"], face["a"], face["b"]) == (3, pytest.approx(0.3), pytest.approx(0.4 / 3))
    half = 4.302652729911275 * (13 / 300) ** 0.5 / 3**0.5
    assert (face["low"], face["high"]) == pytest.approx((-1 / 6 - half, -1 / 6 + half))
    assert face["chance"] == pytest.approx(0.1)
    assert (subject["n"], subject["difference"]) == (1, pytest.approx(0.1))
    assert pd.isna(subject["low"])


def test_cases_that_belong_together_are_resampled_together(tmp_path: Path):
    # Every case twice: twice the cases, and no more information than before.
    twice = {
        name: pd.concat([table(name)] * 2, ignore_index=True).assign(
            id=lambda cases: [f"{i:03d}" for i in range(len(cases))],
            cluster=lambda cases: [f"{i % 67:02d}" for i in range(len(cases))],
        )
        for name in ("a", "b")
    }
    a, b = (write(tmp_path / name, cases) for name, cases in twice.items())
    found = auditor.compare(a, b)
    alone = paired_difference(45, 3, 11, 8)
    assert found.accuracy.n == 134
    assert (found.accuracy.low, found.accuracy.high) == pytest.approx(alone, abs=0.02)
    # Student's t of 67 differences: 11 times 1, 3 times -1.
    assert found.accuracy.p == pytest.approx(0.03, abs=0.015)
    doctors = found.groups.query("attribute.isna() and label == 'doctor'").iloc[0]
    assert doctors["n"] == 2 * 50
    assert found.notes == ()
    few = found.groups.query("precision == 'counts only'").iloc[0]
    assert (few["n"], few["accuracy_a"]) == (10, pytest.approx(float("nan"), nan_ok=True))


def test_a_single_cluster_has_no_interval(tmp_path: Path):
    a, b = (write(tmp_path / n, table(n).assign(cluster="one")) for n in ("a", "b"))
    found = auditor.compare(a, b)
    assert found.accuracy.difference == pytest.approx(8 / 67)
    assert (found.accuracy.low, found.accuracy.p) == (None, None)
    assert "do not vary" in str(found.accuracy.reason)
    assert found.worst.empty  # no group has clusters enough for a rate


def test_reliance_in_a_is_what_the_finding_of_the_audit_says(demo_runs: Path, auditor_cli: Call):
    a, b = (open_run(demo_runs / name) for name in ("skewed", "rebalanced"))
    (row,) = auditor.compare(a, b).described()["reliance"]
    for run, share, n in ((a, row["a"], row["n_a"]), (b, row["b"], row["n_b"])):
        (effect,) = (finding for finding in run.findings if finding["kind"] == "effect")
        assert share == pytest.approx(effect["value"] / run.cases["margin"].median())
        assert n == effect["n"]
    assert (row["cue"], row["attribute"], row["value"], row["class_name"], row["against"]) == (
        "face+hair", "drawn_as", "man", "doctor", "nurse",
    )  # fmt: skip
    assert row["low"] < row["difference"] < row["high"] < 0
    back = auditor.compare(b, a).described()["reliance"][0]
    # The contrast is the other run's then, and so is the sign.
    assert abs(back["difference"]) == pytest.approx(abs(row["difference"]))
    out = auditor_cli("compare", a.path, b.path).out
    assert "Reliance: a cue's average effect, as a share of the median margin" in out
    same = auditor.compare(a, a).described()["reliance"][0]
    assert (same["difference"], same["low"], same["high"]) == (0, 0, 0)


def test_reliance_on_a_cue_that_fills_test_is_that_of_the_margin(tmp_path: Path, auditor_cli: Call):
    sets = [
        {"name": "face+hair", "cues": ["face", "hair"], "attributes": []},
        {"name": "face", "cues": ["face"], "attributes": []},
    ]
    runs = {}
    for name, share, count in (("a", 0.8, 20), ("b", 0.3, 20), ("c", 0.3, 4)):
        cases = table("a" if name == "a" else "b")
        known = [share] * count + [float("nan")] * (len(cases) - count)
        cases = cases.assign(
            margin=2.0,
            stratum=["error"] * 40 + ["rest"] * 27,
            **{"reliance.face+hair": known, "reliance.face": known},
        )
        runs[name] = write(
            tmp_path / name, cases, cue_sets=sets, thresholds={"looks": [3, 5, 8]},
            model={"classes": ["doctor", "nurse"]},
        )  # fmt: skip
        rows = {
            "case": cases["id"].iloc[:count], "cue": "face+hair", "arm": "fill", "attribute": None,
            "donor": None, "fill": "blur", "number": 0,
        }  # fmt: skip
        made = pd.DataFrame(rows).assign(logits=[[0.0, 0.0]] * count)
        made.to_parquet(tmp_path / name / "interventions.parquet")
    found = auditor.compare(runs["a"], runs["b"])
    (row,) = found.described()["reliance"]
    assert (row["cue"], row["attribute"], row["class_name"], row["n"]) == (
        "face+hair", None, None, 20,
    )  # fmt: skip
    assert (row["a"], row["b"]) == pytest.approx((0.8, 0.3))
    assert (row["low"], row["high"]) == pytest.approx((-0.5, -0.5))
    out = auditor_cli("compare", runs["a"].path, runs["b"].path).out
    assert "face+hair  20         20         20       80.0%  30.0%  −50.0   −50.0 to −50.0" in out
    out = " ".join(auditor_cli("compare", runs["a"].path, runs["c"].path).out.split())
    assert "face+hair: tested on it: 20 cases in A and 4 in B, and 10 are needed" in out


def test_evidence_is_paired(tmp_path: Path):
    a, b = table("a"), table("b")
    a.loc[[30, 42, 43], "evidence"] = "attention"
    b.loc[[42, 50], "evidence"] = "attention"
    found = auditor.compare(write(tmp_path / "a", a), write(tmp_path / "b", b)).evidence
    assert found.set_index("evidence").loc["attention"].to_dict() == {
        "a": 3, "b": 2, "both": 1, "only_a": 2, "only_b": 1,
    }  # fmt: skip


def test_cases_without_a_prediction_are_counted_and_in_no_rate(tmp_path: Path):
    a, b = table("a"), table("b")
    a.loc[[0, 1], "correct"] = None
    b.loc[[1, 2, 3], "correct"] = None
    found = auditor.compare(write(tmp_path / "a", a), write(tmp_path / "b", b))
    assert found.unjudged == {"a": 1, "b": 2, "both": 1}
    assert (found.accuracy.n, found.accuracy.still_right) == (63, 41)
    assert found.cases["change"].isna().sum() == 4
    cells = found.groups.query("attribute == 'drawn_as' and label == 'doctor' and value == 'man'")
    assert cells[["cases", "n", "precision"]].to_numpy().tolist() == [[30, 26, "imprecise"]]


def test_nothing_judged_and_nothing_changed_are_said(tmp_path: Path, runs: tuple[Run, Run]):
    a = runs[0]
    same = auditor.compare(a, a)
    assert same.accuracy.difference == 0
    assert same.accuracy.p is None
    assert "no case is judged differently" in str(same.accuracy.reason)
    assert [str(note) for note in same.notes] == ["Both runs are of the same weights."]
    none = write(tmp_path / "none", table("a").assign(correct=None, evidence=None))
    found = auditor.compare(a, none)
    assert (found.accuracy.n, found.accuracy.accuracy_a, found.accuracy.p) == (0, None, None)
    assert str(found.accuracy.reason) == "judged in both runs: 0, fewer than 1"
    assert found.worst.empty
    assert len(found.groups) == 6
    json.dumps(found.described(), allow_nan=False)


def test_an_order_of_its_own_changes_nothing(tmp_path: Path, runs: tuple[Run, Run]):
    turned = write(tmp_path / "turned", table("b").iloc[::-1].reset_index(drop=True))
    found, known = auditor.compare(runs[0], turned), auditor.compare(*runs)
    pd.testing.assert_frame_equal(found.cases, known.cases)
    pd.testing.assert_frame_equal(found.groups, known.groups)


def test_a_missing_attribute_value_is_a_group(tmp_path: Path):
    a, b = table("a"), table("b")
    for cases in (a, b):
        cases.loc[:11, "attribute.drawn_as"] = None
    found = auditor.compare(write(tmp_path / "a", a), write(tmp_path / "b", b)).groups
    unknown = found[(found["attribute"] == "drawn_as") & found["value"].isna()]
    assert unknown["n"].tolist() == [12]


# -- what is refused, and what is noted ----------------------------------------------------


def refusal(a: Run, path: Path, cases: pd.DataFrame, **info: Any) -> str:
    with pytest.raises(RunError) as told:
        auditor.compare(a, write(path, cases, **info))
    return str(told.value).replace(f"{path.parent}/", "")


def test_other_cases_are_refused(tmp_path: Path, runs: tuple[Run, Run]):
    a, b = runs[0], table("b")
    renamed = b.assign(id=[f"x{i}" for i in range(len(b))])
    assert refusal(a, tmp_path / "c", renamed) == (
        "c: has no case of a (their first ids are 'x0' and 'case00'); compare two runs over the "
        "same dataset."
    )
    assert refusal(a, tmp_path / "d", b.iloc[3:].reset_index(drop=True)).startswith(
        "d lacks 3 cases of a (first 'case00'). Only runs over the same cases are compared"
    )
    shifted = b.assign(id=[f"case{i + 1:02d}" for i in range(len(b))])
    assert "e lacks 1 case of a (first 'case00'); a lacks 1 case of e (first 'case67')" in refusal(
        a, tmp_path / "e", shifted
    )


def test_other_labels_and_annotations_are_refused(tmp_path: Path, runs: tuple[Run, Run]):
    a, b = runs[0], table("b")
    b.loc[[4, 7], "label"] = "nurse"
    assert refusal(a, tmp_path / "c", b) == (
        "c: has another label than a for the same case ('case04': 'nurse', not 'doctor', and 1 "
        "more differ). Audit both models over one dataset."
    )
    b = table("b")
    b.loc[5, "attribute.drawn_as"] = None
    assert "another attribute drawn_as than a" in refusal(a, tmp_path / "d", b)


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"contents": {"images": "2", "masks": None}}, "image files have other sizes"),
        ({"contents": {"images": "1", "masks": "2"}}, "mask files have other sizes"),
        (
            {"provenance": {"inputs": {"regions.json": "2", "more.json": "1"}}},
            "files that hold the regions differ: regions.json",
        ),
    ],
)
def test_changed_data_are_refused_unless_asked_for(
    tmp_path: Path,
    auditor_cli: Call,
    runs: tuple[Run, Run],
    other: dict[str, Any],
    told: str,
):
    own = {
        "contents": {"images": "1", "masks": None},
        "provenance": {"inputs": {"regions.json": "1", "only-a.json": "1"}},
    }
    a = write(tmp_path / "c", table("a"), **own)
    path = tmp_path / "d"
    text = refusal(a, path, table("b"), **(own | other))
    assert text.startswith("d: its dataset is not that of c, although ids, labels and shared")
    assert told in text
    assert "--changed" in text
    assert auditor_cli("compare", a.path, path).status == 2
    allowed = auditor_cli("compare", a.path, path, "--changed")
    assert allowed.status == 0
    assert "The datasets are not the same" in allowed.out
    assert told in str(auditor.compare(a, open_run(path), changed=True).notes[0])


def test_what_limits_the_comparison_is_noted(tmp_path: Path, runs: tuple[Run, Run]):
    other = write(
        tmp_path / "c",
        table("b").assign(**{"attribute.age": "old", "mass.hair": 0.1, "area.hair": 0.1}),
        attributes=["drawn_as", "age"],
        regions={"cues": ["face", "hair"]},
        layer={"name": "layer4", "grid": [4, 5]},
        identity={"dataset": "another", "weights": "c", "configuration": None},
    )
    notes = auditor.compare(runs[0], other).notes
    for note, told in zip(
        notes,
        (
            "differ by hash",
            "features (7×7) and gradcam at layer4 (4×5)",
            "attribute age",
            "cue hair",
        ),
        strict=True,
    ):
        assert told in str(note)


# -- the command ---------------------------------------------------------------------------


def test_the_command(auditor_cli: Call, runs: tuple[Run, Run]):
    outcome = auditor_cli("compare", *(run.path for run in runs))
    assert (outcome.status, outcome.err) == (0, "")
    out = outcome.out
    assert "67 cases paired, 67 judged in both" in out
    assert "71.6% → 83.6%   +11.9 points (95 % interval +" in out
    assert ", p = .057" in out
    assert "wrong in A, right in B  11  case40, case41, case42, case43, case44, and 6 more" in out
    assert "Lowest: nurse · man 33.3% in A → 66.7% in B, +33.3 points, 95 % interval +" in out
    assert "doctor · woman  20  6      0       50.0%   80.0%  +30.0" in out
    assert ".094      imprecise" in out
    assert "counts only" in out
    assert "face     67  10.0%   50.0%  20.0%  −30.0   −30.0 to −30.0" in out


def test_the_command_as_json(auditor_cli: Call, runs: tuple[Run, Run], compared: Comparison):
    outcome = auditor_cli("compare", *(run.path for run in runs), "--json")
    assert (outcome.status, outcome.err) == (0, "")
    shown = json.loads(outcome.out)
    assert shown == json.loads(json.dumps(compared.described(), allow_nan=False))
    assert shown["broken"] == ["case28", "case29", "case58"]
    assert shown["groups"][-1]["accuracy_a"] is None


@pytest.mark.parametrize("option", [[], ["--json"]])
def test_unusable_input_is_one_message(auditor_cli: Call, runs: tuple[Run, Run], option):
    a = runs[0].path
    outcome = auditor_cli("compare", a, a.with_name("nothing"), *option)
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.count("\n") == 1
    assert "nothing: no such run" in outcome.err
    other = write(a.with_name("other"), table("b").iloc[3:].reset_index(drop=True))
    outcome = auditor_cli("compare", a, other.path, *option)
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.startswith("auditor: ")
    assert outcome.err.count("\n") == 1


def test_what_comes_from_outside_is_made_harmless(auditor_cli: Call, tmp_path: Path):
    cases = [table(run) for run in "ab"]
    for made in cases:
        made["label"] = made["label"].replace("doctor", "doc\x1b[2J")
        made["id"] = made["id"] + "\x1b"
    paths = [write(tmp_path / name, made).path for name, made in zip("ab", cases, strict=True)]
    for option in ([], ["--json"]):
        assert "\x1b" not in auditor_cli("compare", *paths, *option).out


# -- real audits ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def audits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    """Two thresholds of one classifier, over images whose cue's size decides."""
    folder = tmp_path_factory.mktemp("colours")
    path = write_dataset(folder, 40)
    cases = pd.read_csv(path)
    cases["hand"] = cases["label"].map({"red": "left", "green": "right"})
    cases.to_csv(path, index=False)
    config = DatasetConfig(path=path, format="manifest", attributes=("size", "hand"))
    roles = auditor.RegionRoles(subject=("thing",), cues=("cue",))
    dataset = auditor.open_dataset(config, regions=roles)
    even = {label: {"left": 10, "right": 10} for label in ("red", "green")}
    skewed = {"red": {"left": 20, "right": 0}, "green": {"left": 0, "right": 20}}
    training = {"groups": {"hand": skewed}, "balanced_groups": {"hand": even}}
    plain = auditor.audit(classifier(), dataset, folder / "plain")
    strict = classifier(threshold=0.999, origin={"training": training})
    return plain, auditor.audit(strict, dataset, folder / "strict")


def test_only_changed_pictures_and_masks_are_changed_data(tmp_path: Path):
    """A dataset as people go on with it: more columns, cues, line ends, another place."""

    def audited(folder: Path, name: str, cues=("cue",), **config: Any) -> Run:
        path = folder / "manifest.csv"
        given = DatasetConfig(path=path, format="manifest", **config)
        roles = auditor.RegionRoles(subject=("thing",), cues=cues)
        dataset = auditor.open_dataset(given, regions=roles)
        settings = Settings(evidence=0)
        return auditor.audit(classifier(), dataset, tmp_path / "runs" / name, settings=settings)

    first = tmp_path / "first"
    first.mkdir()
    path = write_dataset(first, 12)
    a = audited(first, "a")
    moved = tmp_path / "moved"
    shutil.copytree(first, moved)
    path = moved / "manifest.csv"
    cases = pd.read_csv(path).assign(hand="left", person="p", note="n")
    cases["region.spot"] = cases["region.cue"]
    cases.iloc[::-1].to_csv(path, index=False, lineterminator="\r\n")
    named = {"attributes": ("size", "hand"), "cluster": "person"}
    b = audited(moved, "b", cues=("cue", "spot"), **named)
    found = auditor.compare(a, b)
    assert found.accuracy.difference == 0
    assert any("differ by hash" in str(note) for note in found.notes)

    for name, file, told in (("c", "0000.cue.png", "mask"), ("d", "0000.png", "image")):
        changed = tmp_path / name
        shutil.copytree(first, changed)
        with (changed / file).open("ab") as picture:
            picture.write(b"one more")
        with pytest.raises(RunError, match=f"is not that of .*{told} files have other sizes"):
            auditor.compare(a, audited(changed, name))
    # Which masks were changed cannot be told between runs that read others; pictures can.
    with pytest.raises(RunError, match="image files"):
        auditor.compare(b, open_run(tmp_path / "runs" / "d"))


def test_of_two_audits(audits: tuple[Run, Run]):
    found = auditor.compare(*audits)
    a, b = (run.cases for run in audits)
    assert found.accuracy.accuracy_a == a["correct"].mean()
    assert found.accuracy.accuracy_b == b["correct"].mean()
    fixed = (~a["correct"].astype(bool)) & b["correct"].astype(bool)
    assert found.changed("fixed") == a.loc[fixed, "id"].tolist()
    assert found.shares["region"].tolist() == ["subject", "cue"]
    assert [str(note) for note in found.notes] == ["Both runs are of the same weights."]


def test_an_audit_says_what_to_collect(auditor_cli: Call, audits: tuple[Run, Run]):
    run = audits[1]
    found = {(f["kind"], "hand" in f["text"]): f for f in run.findings}
    value = found["association", True]
    assert (value["severity"], value["value"], value["n"]) == ("notice", 1, 40)
    # Twenty of each class, all of one hand: ten of each would be exchanged.
    collect = found["collect", True]
    assert [row["collect"] for row in collect["table"]] == [10, 0, 0, 10]
    assert found["training_association", True]["severity"] == "info"
    assert found["training_collect", True]["value"] == 20
    severities = ["warning notice info".split().index(f["severity"]) for f in run.findings]
    assert severities[1:] == sorted(severities[1:])  # the verdict stands before all
    out = auditor_cli("show", run.path).out
    table = out[out.index("What to collect, at") : out.index("What to collect for training")]
    assert "green  left          0    10          +10" in table
    assert "green  right         20   10                   10" in table
    shown = json.loads(auditor_cli("show", run.path, "--json").out)
    assert shown["findings"] == run.findings
    assert "What to collect for training" not in auditor_cli("show", audits[0].path).out


def test_a_run_from_before_findings_had_tables_is_shown(
    auditor_cli: Call, audits: tuple[Run, Run], tmp_path: Path
):
    run = audits[1].path
    older = tmp_path / "older"
    older.mkdir()
    for file in run.iterdir():
        (older / file.name).write_bytes(file.read_bytes())
    content = json.loads((run / "findings.json").read_text())
    content["findings"] = [
        {k: v for k, v in f.items() if k != "table"}
        for f in content["findings"]
        if "collect" not in f["kind"]
    ]
    (older / "findings.json").write_text(json.dumps(content))
    assert auditor_cli("show", older).status == 0
