"""What commands print in another language: every sentence, the same numbers, the same codes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pandas as pd
import pytest

import auditor
from auditor.cli.groups import group_name
from auditor.language import clauses, phrase
from auditor.policies import CONDITIONS, check, github, junit, read_policy
from auditor.policies.writing import WORDS
from auditor.store import Run
from tests import test_comparison as comparing
from tests import test_policies as policies
from tests.conftest import Outcome
from tests.phrases import templates
from tests.test_language import english, wide
from tests.test_report import audited

Call = Callable[..., Outcome]

JAPANESE = re.compile("[ぁ-んァ-ヶ一-龠]")
NUMBER = re.compile(r"[+−-]?\d+(?:\.\d+)?%?")


@pytest.fixture
def pseudo(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From its call on every translation is its English in letters that are no ASCII."""
    known = {template: wide(template) for template in templates()}

    def use() -> None:
        monkeypatch.setattr("auditor.language.catalogue.catalogue", lambda language: known)

    return use


def words(text: str, known: set[str]) -> set[str]:
    """Words in ASCII, of two letters or more, that are none of the data."""
    for one in sorted(known, key=len, reverse=True):
        text = text.replace(one, "")
    return set(re.findall("[A-Za-z]{2,}", text))


def hold(auditor_cli: Call, pseudo: Callable[[], None], known: set[str], *arguments: Any) -> str:
    """What the command prints in Japanese; it leaves nothing in English, and changes no number."""
    told = [auditor_cli(*arguments, *more) for more in ((), ("--language", "ja"))]
    assert told[0].status == told[1].status != 2, told[1]
    assert JAPANESE.search(told[1].out), "nothing is in Japanese"
    assert english([" ".join(told[1].out.split())], sorted(known, key=len)[::-1]) == []
    pseudo()
    other = auditor_cli(*arguments, "--language", "ja")
    assert words(other.out, known) == set()
    assert NUMBER.findall(other.out) == NUMBER.findall(told[0].out)
    return told[1].out


# -- compare ------------------------------------------------------------------------------


def pair(folder: Path, **of_b: Any) -> tuple[Run, Run]:
    """Two runs that differ in everything that a comparison has a sentence for."""
    cue_sets = [
        {"name": name, "cues": [name], "attributes": []} for name in ("face", "hair", "never")
    ]
    made = []
    for name, tested in (("a", {"face": 20, "hair": 12}), ("b", {"face": 20, "hair": 4})):
        cases = comparing.table(name).assign(margin=2.0, stratum="rest")
        cases.loc[[3, 4] if name == "a" else [4, 5], "correct"] = None
        cases.loc[:11, "attribute.drawn_as"] = None
        rows = []
        for cue in ("face", "hair", "never"):
            count = tested.get(cue, 0)
            cases[f"reliance.{cue}"] = [0.6] * count + [float("nan")] * (len(cases) - count)
            rows += [{"case": case, "cue": cue} for case in cases["id"].iloc[:count]]
        cases["mass.hair"], cases["area.hair"] = 0.1, 0.1
        more = {} if name == "a" else of_b
        run = comparing.write(
            folder / name, cases, cue_sets=cue_sets, thresholds={"looks": [3, 5, 8]},
            model={"classes": ["doctor", "nurse"]}, **more,
        )  # fmt: skip
        changed = pd.DataFrame(rows).assign(
            arm="fill", attribute=None, donor=None, fill="blur", number=0
        )
        changed["logits"] = [[0.0, 0.0]] * len(changed)
        changed.to_parquet(folder / name / "interventions.parquet")
        made.append(run)
    return made[0], made[1]


OTHER = {
    "layer": {"name": "layer4", "grid": [4, 5]},
    "identity": {"dataset": "another", "weights": "w", "configuration": None},
    "regions": {"cues": ["face", "hair"]},
}
DATA = {"doctor", "nurse", "woman", "man", "drawn_as", "face", "hair", "never", "subject", "case"}
DATA |= {"gradcam", "features", "layer4", "unsupported", "auditor.compare(…).groups"}


def test_a_comparison_in_another_language(
    auditor_cli: Call, pseudo: Callable[[], None], tmp_path: Path
) -> None:
    a, b = pair(tmp_path, **OTHER)
    out = hold(auditor_cli, pseudo, DATA | {str(a.path), str(b.path)}, "compare", a.path, b.path)
    # 64 cases are judged in both: of the 45 right in both (67 in all) three are not.
    assert "70.3% → 82.8%   +12.5 ポイント（95 % 信頼区間 +" in out
    assert "判定なし" in out
    assert "A で 1 件、B で 1 件、両方で 1 件" in out
    assert "doctor · 注釈なし" in out
    assert "hair：検査した事例は A で 12 件、B で 4 件だが、10 件必要である" in out
    assert "、ほか 6 件" in out
    assert "件数のみ" in out
    assert "最低：" in out
    assert out.count(" • ") == 3  # the dataset, the maps and the cue of one run alone


def test_a_comparison_without_a_rate_or_with_nothing_changed_in_another_language(
    auditor_cli: Call, pseudo: Callable[[], None], tmp_path: Path
) -> None:
    a = comparing.write(tmp_path / "a", comparing.table("a"))
    none = comparing.write(tmp_path / "none", comparing.table("a").assign(correct=None))
    known = DATA | {str(a.path), str(none.path)}
    same = auditor_cli("compare", a.path, a.path, "--language", "ja").out
    assert "+0.0 ポイント（95 % 信頼区間 " in same
    assert "、判定の異なる事例がないため p はない" in same
    assert english([same], [str(a.path)]) == []
    out = hold(auditor_cli, pseudo, known, "compare", a.path, none.path)
    assert "不明：両ランで判定できた事例が 0 件で、1 件に満たない" in out


def test_many_groups_in_another_language(
    auditor_cli: Call, pseudo: Callable[[], None], tmp_path: Path
) -> None:
    groups = {("doctor", f"v{number:02d}"): (20, 1, 1, 1) for number in range(14)}
    a, b = (comparing.write(tmp_path / name, comparing.table(name, groups)) for name in ("a", "b"))
    known = DATA | {str(a.path), str(b.path), *(value for _, value in groups)}
    out = hold(auditor_cli, pseudo, known, "compare", a.path, b.path)
    assert "ほか 2 グループ：auditor.compare(…).groups" in out


def test_a_comparison_as_json_is_the_same_in_every_language(
    auditor_cli: Call, tmp_path: Path
) -> None:
    a, b = pair(tmp_path, **OTHER)
    plain = auditor_cli("compare", a.path, b.path, "--json")
    assert auditor_cli("compare", a.path, b.path, "--json", "--language", "ja") == plain
    told = json.loads(plain.out)["reliance"]
    assert [row["reason"] for row in told] == [
        None,
        "tested on it: 12 cases in A and 4 in B, and 10 are needed",
    ]


def test_a_group_is_named_by_what_was_annotated() -> None:
    assert group_name("doctor", None, None) == "doctor"
    assert group_name("doctor", "age", "old") == "doctor · old"
    for value in (None, "", float("nan")):
        assert str(group_name("doctor", "age", value)) == "doctor · unannotated"  # type: ignore[arg-type]


# -- check --------------------------------------------------------------------------------

EVERY = """
[verdict]
max_level = {level}
[evidence]
min_grade = "{grade}"
min_tested = {tested}
min_judged = {tested}
[reliance]
max = {high}
by_cue = {{ face = {high} }}
[spurious_errors]
max_share_of_errors = {high}
max_share_of_cases = {high}
[accuracy]
min = {low}
worst_group_min = {low}
[disparity]
max_difference = {high}
min_ratio = {low}
[baseline]
max_new_failures = {failures}
max_new_failure_share = {high}
max_drop = {high}
"""
LENIENT = {"level": 3, "grade": "B", "tested": 1, "high": 1, "low": 0.01, "failures": 400}
STRICT = {"level": 1, "grade": "A", "tested": 999, "high": 0.0, "low": 1.0, "failures": 0}
CLOSE = {"level": 2, "grade": "A", "tested": 64, "high": 0.3, "low": 0.8, "failures": 31}
CODES = {
    "doctor", "nurse", "woman", "man", "gender", "face", "case", "cluster",
    "stop-commands", "error", "warning", "title", "auditor check",
    *CONDITIONS,
}  # fmt: skip
EFFECT = policies.EFFECT | {
    "message": clauses(
        [
            phrase(
                "{effect} on average over all cases ({interval}, {n} tested)",
                effect=phrase("Cue {cue!r} being there adds {estimate:+.2f} to the margin of the "
                              "prediction", cue="face", estimate=0.6),
                interval=phrase("95 % interval {low} to {high}", low="0.40", high="0.80"),
                n=60,
            ),
            phrase("more than {delta:.2f}, the size that matters, at level {level:g}.",
                   delta=0.2, level=0.001),
        ]
    ).described()
}  # fmt: skip


def held(folder: Path, policy: str, kind: str) -> tuple[Path, Path, Path]:
    """A run, a policy and a baseline, in which that kind of outcome has its sentences."""
    none: policies.Groups = {("doctor", "man"): (0, 50), ("doctor", "woman"): (0, 50)}
    few: policies.Groups = {("doctor", "man"): (8, 9), ("nurse", None): (7, 9)}
    three: policies.Groups = {("doctor", name): (30, 50) for name in ("man", "woman", "human")}
    groups = {"none": none, "few": few, "three": three}.get(kind, policies.EVEN)
    base = policies.clustered(groups) if kind == "clusters" else policies.table(groups)
    cases = policies.changed(30, 10, 3, base) if kind in ("plain", "clusters") else base
    more: dict[str, Any] = {
        "none": {"cue_sets": [], "attributes": []},
        "few": {"verdict": {"level": 0, "grade": "A", "threshold": 0.0}},
        "three": {"verdict": {"level": 2, "grade": "C", "threshold": 0.2}},
        "clusters": {"verdict": {"level": 4, "grade": "B", "threshold": 0.2}},
    }.get(kind, {})
    findings = [] if kind in ("none", "three") else [EFFECT]
    if kind == "none":
        policy = re.sub("by_cue = .*\n", "", policy)
    run = policies.write(folder / "run", cases, findings, **more)
    baseline = policies.write(folder / "baseline", base, findings, **more)
    path = folder / "policy.toml"
    path.write_text(policy, encoding="utf-8")
    return run.path, path, baseline.path


@pytest.mark.parametrize("kind", ["plain", "clusters", "three", "few", "none"])
@pytest.mark.parametrize("decide", ["interval", "estimate"])
@pytest.mark.parametrize("limits", [LENIENT, STRICT, CLOSE], ids=["lenient", "strict", "close"])
def test_a_check_in_another_language(
    auditor_cli: Call, pseudo: Callable[[], None], tmp_path: Path, limits, decide, kind
) -> None:
    policy = f'decide = "{decide}"\n' + EVERY.format(**limits)
    run, path, baseline = held(tmp_path, policy, kind)
    known = CODES | {str(run), str(path), str(baseline), "human", "[evidence] cases"}
    hold(auditor_cli, pseudo, known, "check", run, "--policy", path, "--baseline", baseline)


def test_every_status_is_in_another_language(auditor_cli: Call, tmp_path: Path) -> None:
    run, path, baseline = held(tmp_path, EVERY.format(**CLOSE), "plain")
    arguments = ("check", run, "--policy", path, "--baseline", baseline, "--language", "ja")
    out = auditor_cli(*arguments).out
    assert out.splitlines()[-1] == "不通過：通過 8 件、不通過 1 件、判断保留 5 件。"
    for word in WORDS.values():
        assert f"   {word.written('ja')}  " in out
    out = out.replace("\n   ", "")  # where a paragraph was wrapped
    # 328 of 400, with 30 newly wrong, 10 newly right and 3 not judged any more: 305 of 397.
    assert "accuracy.min：判定できた事例のうち正解は 397 件中 305 件（76.8%、95 % 信頼区間" in out
    assert "要求：80.0% 以上。信頼区間がその両側にまたがるため、どちらとも言えない。" in out
    assert "ベースラインで正解、このランで誤分類：事例 30 件（case000；case001；" in out


def test_what_programs_read_of_a_check_is_the_same_in_every_language(
    auditor_cli: Call, tmp_path: Path
) -> None:
    run, path, baseline = held(tmp_path, EVERY.format(**CLOSE), "plain")
    asked = ("check", run, "--policy", path, "--baseline", baseline)
    plain = auditor_cli(*asked, "--json")
    assert auditor_cli(*asked, "--json", "--language", "ja") == plain
    assert plain.status == 1
    checked = check(auditor.open_run(run), read_policy(path), auditor.open_run(baseline))
    roots = [ET.fromstring(junit(checked, language)) for language in ("en", "ja")]  # noqa: S314
    for ours, theirs in zip(*(root.iter() for root in roots), strict=True):
        assert ours.tag == theirs.tag
        attributes = [dict(element.attrib) for element in (ours, theirs)]
        messages = [own.pop("message", None) for own in attributes]
        assert attributes[0] == attributes[1]
        assert (messages[0] is None) == (messages[1] is None)
        assert messages[0] is None or messages[0] != messages[1]
    lines = [github(checked, language) for language in ("en", "ja")]
    for ours, theirs in zip(*lines, strict=True):
        assert ours.split(" ")[0] == theirs.split(" ")[0]
        assert ours.split(" ")[3] == theirs.split(" ")[3]  # the name of the condition
        assert JAPANESE.search(theirs)
        assert "%" not in re.sub("%(25|3A|2C|0D|0A)", "", theirs)
    file = tmp_path / "ja.xml"
    out = auditor_cli(*asked, "--language", "ja", "--github", "--junit", file).out
    assert file.read_bytes() == junit(checked, "ja")
    assert out.splitlines()[-len(lines[1]) :] == lines[1]


def test_a_real_run_is_compared_and_checked_in_another_language(
    auditor_cli: Call, tmp_path: Path
) -> None:
    run = audited(tmp_path, 10, 4)
    assert any(finding["kind"] == "effect" for finding in run.findings)
    path = tmp_path / "policy.toml"
    path.write_text("[reliance]\nmax = 0.0\n[accuracy]\nworst_group_min = 0.9\n", encoding="utf-8")
    for arguments in (("check", run.path, "--policy", path), ("compare", run.path, run.path)):
        out = auditor_cli(*arguments, "--language", "ja").out
        assert JAPANESE.search(out)
        assert english([" ".join(out.split())], [str(run.path), str(path)]) == []
