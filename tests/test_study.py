from __future__ import annotations

import errno
import json
import math
import re
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from torch import nn

from auditor.errors import AuditorError, RunError
from auditor.geometry import Preprocess
from auditor.models import Classifier
from auditor.scenes import LABELS
from auditor.study import plan as plans
from auditor.study import running
from auditor.study.arms import ARMS, QUICK, test_scenes, training_scenes
from auditor.study.cells import Pool, measure, train_arm
from auditor.study.observer import ideal
from auditor.study.plan import Plan
from auditor.study.plot import draw_plot
from auditor.study.running import run_study
from auditor.study.summary import GROUPS, Mean, by_arm, conditions, differences, per_seed
from auditor.study.writing import described, markdown, write_results

test_scenes.__test__ = False  # a function of the study, not a test

TINY = Plan(per_class=8, test_per_class=4, side=32, epochs=1, batch_size=4)


# -- arms -----------------------------------------------------------------------------------


def counts(arm: str, per_class: int = 100) -> dict[tuple[str, str | None], int]:
    scenes = training_scenes(ARMS[arm], 3, per_class, 1.0)
    found: dict[tuple[str, str | None], int] = {}
    for scene in scenes:
        found[scene.label, scene.value] = found.get((scene.label, scene.value), 0) + 1
    return found


def test_the_skewed_set_is_the_papers():
    assert counts("skewed") == {
        ("doctor", "man"): 78,
        ("doctor", "woman"): 22,
        ("nurse", "man"): 7,
        ("nurse", "woman"): 93,
    }


def test_rebalancing_exchanges_images_at_constant_class_size():
    skewed, rebalanced = (
        set(training_scenes(ARMS[arm], 3, 100, 1.0)) for arm in ("skewed", "rebalanced")
    )
    assert set(counts("rebalanced").values()) == {50}
    # Kept are 50 + 22 doctors and 7 + 50 nurses; 28 and 43 are exchanged.
    assert len(skewed & rebalanced) == 129
    assert len(rebalanced - skewed) == len(skewed - rebalanced) == 71


def test_afresh_means_that_no_image_is_shared():
    even = set(training_scenes(ARMS["even"], 3, 100, 1.0))
    assert set(counts("even").values()) == {50}
    for arm in ("skewed", "rebalanced"):
        assert not even & set(training_scenes(ARMS[arm], 3, 100, 1.0))


@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_has_classes_of_the_same_size_and_no_image_twice(arm):
    scenes = training_scenes(ARMS[arm], 3, 40, 1.0)
    assert [scene.label for scene in scenes] == ["doctor"] * 40 + ["nurse"] * 40
    assert len(set(scenes)) == 80
    assert len({scene.seed for scene in scenes}) == 80


def test_test_scenes_differ_in_the_cue_alone_and_are_never_trained_on():
    man, woman = (test_scenes("head", value, 3, 30, 1.0) for value in ("man", "woman"))
    assert [replace(scene, value=None) for scene in man] == [
        replace(scene, value=None) for scene in woman
    ]
    trained = {scene.seed for arm in ARMS.values() for scene in training_scenes(arm, 3, 100, 1.0)}
    assert not trained & {scene.seed for scene in man}
    other_seed = {scene.seed for scene in test_scenes("head", "man", 4, 30, 1.0)}
    assert not other_seed & {scene.seed for scene in man}


# -- the ideal observer ---------------------------------------------------------------------


def test_the_ideal_observer_of_the_papers_skew():
    # method.md §8: 83.8 %, by group .987/.764/.633/.967, 86 % of errors undone, and the
    # log-odds of the cue +2.41 and −1.44.
    best = ideal(0.90, (0.78, 0.07))
    assert best.accuracy == pytest.approx(0.838, abs=5e-4)
    assert best.groups == pytest.approx((0.987, 0.764, 0.633, 0.967), abs=5e-4)
    assert best.undone == pytest.approx(0.86, abs=5e-3)
    assert best.effect == pytest.approx(math.log(0.78 / 0.07) - math.log(0.22 / 0.93))
    assert best.effect == pytest.approx(2.41 + 1.44, abs=0.01)


def test_the_ideal_observer_against_a_simulation():
    best, random = ideal(0.90, (0.78, 0.07)), np.random.default_rng(0)
    d = 1.2815515655446004  # Φ⁻¹(.90)
    x = random.normal(size=(2, 400_000)) + np.array([[d], [-d]])
    odds = {"man": math.log(0.78 / 0.07), "woman": math.log(0.22 / 0.93)}
    doctor = {value: 2 * d * x + moved > 0 for value, moved in odds.items()}
    right = {value: np.stack([said[0], ~said[1]]) for value, said in doctor.items()}
    assert [right[v][n].mean() for n in (0, 1) for v in odds] == pytest.approx(
        best.groups, abs=0.002
    )
    errors = sum((~r).sum() for r in right.values())
    assert (right["man"] != right["woman"]).sum() / errors == pytest.approx(best.undone, abs=0.005)
    changed = (doctor["man"] != doctor["woman"]).mean()
    assert changed == pytest.approx(best.changed, abs=0.002)


def test_without_skew_the_ideal_observer_ignores_the_cue():
    best = ideal(0.90, (0.5, 0.5))
    assert best.groups == pytest.approx((0.9,) * 4)
    assert (best.undone, best.changed, best.effect) == (0, 0, 0)


# -- measuring ------------------------------------------------------------------------------


@dataclass
class Written:
    """A pool whose pictures are single pixels, as a test writes them: (label, value) to levels."""

    levels: dict[tuple[str, str | None], list[int]]

    def pixels(self, scenes):
        rows = [level for label in LABELS for level in self.levels[label, scenes[0].value]]
        return np.array(rows, np.uint8)[:, None, None, None].repeat(3, 3)


class Level(nn.Module):
    """The contrast of a picture is its level minus 100: logits (level, 100)."""

    def forward(self, images):
        level = images.mean((1, 2, 3)) * 255
        return torch.stack([level, torch.full_like(level, 100.0)], 1)


def reader() -> Classifier:
    preprocess = Preprocess(resize=1, crop=1, mean=(0, 0, 0), std=(1, 1, 1))
    return Classifier(Level(), LABELS, preprocess)


def test_measures_by_hand():
    pool = Written(
        {
            # contrasts 30, 10, −5, −20 and, swapped, 10, −10, −25, −40: each is 20 less
            ("doctor", "man"): [130, 110, 95, 80],
            ("doctor", "woman"): [110, 90, 75, 60],
            # contrasts 10, −10, −30, −50, and −10, −30, −50, −70
            ("nurse", "man"): [110, 90, 70, 50],
            ("nurse", "woman"): [90, 70, 50, 30],
        }
    )
    found = measure(reader(), ARMS["skewed"], 0, TINY, pool)
    assert found["n"] == dict.fromkeys(GROUPS, 4)
    assert found["right"] == {
        "doctor · man": 2,
        "doctor · woman": 1,
        "nurse · man": 3,
        "nurse · woman": 4,
    }
    assert found["errors"] == 6  # 2 + 3 + 1 + 0
    # The second doctor is right as a man only, the first nurse as a woman only.
    assert found["undone"] == 2
    assert (found["changed"], found["pairs"]) == (2, 8)
    assert found["effect"] == pytest.approx(20)
    assert found["effect_low"] == pytest.approx(20) == found["effect_high"]


def test_without_a_cue_what_hangs_on_it_is_null():
    pool = Written({("doctor", None): [130, 90, 110, 120], ("nurse", None): [90, 110, 70, 50]})
    found = measure(reader(), ARMS["without"], 0, TINY, pool)
    assert found["right"] == {"doctor": 3, "nurse": 3}
    assert found["errors"] == 2
    for name in ("undone", "changed", "pairs", "effect", "effect_low", "effect_high"):
        assert found[name] is None


def test_training_is_reproducible_and_another_seed_differs():
    def weights(seed):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(np.random.default_rng().integers(1000)))  # must not matter
            trained = train_arm(ARMS["skewed"], seed, TINY, Pool(TINY))
        return torch.cat([p.detach().flatten() for p in trained.module.parameters()])

    once = weights(1)
    assert torch.equal(once, weights(1))
    assert not torch.equal(once, weights(2))


# -- running --------------------------------------------------------------------------------


def test_a_study_is_run_kept_and_gone_on_with(tmp_path, monkeypatch):
    out, told = tmp_path / "study", []
    cells = run_study(out, TINY, [0, 1], QUICK[:2], 1, lambda *done: told.append(done))
    assert [(cell["arm"], cell["seed"]) for cell in cells] == [
        ("skewed", 0),
        ("skewed", 1),
        ("rebalanced", 0),
        ("rebalanced", 1),
    ]
    assert told[0] == (0, 4)
    assert told[-1] == (4, 4)
    (out / "cells" / "skewed.1.json").unlink()
    ran = []
    real = running.run_cell
    monkeypatch.setattr(
        running,
        "run_cell",
        lambda arm, seed, *rest: ran.append((arm.name, seed)) or real(arm, seed, *rest),
    )
    again = run_study(out, TINY, [0, 1], QUICK[:2], 1)
    assert ran == [("skewed", 1)]
    for before, after in zip(cells, again, strict=True):
        assert before | {"seconds": 0} == after | {"seconds": 0}


def test_several_processes_come_to_the_same_cells(tmp_path):
    one = run_study(tmp_path / "one", TINY, [0, 1], ["skewed"], 1)
    two = run_study(tmp_path / "two", TINY, [0, 1], ["skewed"], 2)
    assert [c | {"seconds": 0} for c in one] == [c | {"seconds": 0} for c in two]


def test_an_interruption_keeps_what_is_done(tmp_path, monkeypatch):
    real = running.run_cell

    def interrupted(arm, seed, plan, pool):
        if seed == 1:
            raise KeyboardInterrupt
        return real(arm, seed, plan, pool)

    monkeypatch.setattr(running, "run_cell", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_study(tmp_path / "study", TINY, [0, 1], ["skewed"], 1)
    assert [p.name for p in (tmp_path / "study" / "cells").iterdir()] == ["skewed.0.json"]


def test_what_cannot_be_gone_on_with_is_refused_and_left_alone(tmp_path):
    out = tmp_path / "study"
    run_study(out, TINY, [0], ["skewed"], 1)
    with pytest.raises(RunError, match=r"another plan \(epochs 1 there, 2 here\); give another"):
        run_study(out, replace(TINY, epochs=2), [0], ["skewed"], 1)
    (out / "cells" / "skewed.0.json").write_text("{", encoding="utf-8")
    with pytest.raises(RunError, match=r"skewed\.0\.json: is damaged or of another plan; remove"):
        run_study(out, TINY, [0], ["skewed"], 1)
    foreign = tmp_path / "thesis"
    foreign.mkdir()
    (foreign / "chapter.tex").write_text("mine", encoding="utf-8")
    with pytest.raises(RunError, match="exists and holds no study; give another --out"):
        run_study(foreign, TINY, [0], ["skewed"], 1)
    assert [p.name for p in foreign.iterdir()] == ["chapter.tex"]
    (out / "plan.json").write_text("{", encoding="utf-8")
    with pytest.raises(RunError, match=r"plan\.json: is damaged"):
        run_study(out, TINY, [0], ["skewed"], 1)


def test_a_place_that_cannot_be_written_is_found_before_the_training(tmp_path, monkeypatch):
    monkeypatch.setattr(running, "run_cell", lambda *_: pytest.fail("trains"))
    touch = Path.touch

    def full(self, *_, **__):
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    monkeypatch.setattr(Path, "touch", full)
    with pytest.raises(AuditorError, match="there is no space left"):
        run_study(tmp_path / "new" / "study", TINY, [0], ["skewed"], 1)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(Path, "touch", touch)
    out = tmp_path / "study"
    out.mkdir()
    (out / "plan.json").write_text(json.dumps(asdict(TINY)), encoding="utf-8")
    (out / "cells").touch()  # it is gone on with
    with pytest.raises(AuditorError, match=f"^{re.escape(str(out))}: cannot be written"):
        run_study(out, TINY, [0], ["skewed"], 1)


def test_unknown_arms_and_no_seeds_are_refused(tmp_path):
    with pytest.raises(AuditorError, match="there is no arm 'tilted'; choose from skewed"):
        run_study(tmp_path / "study", TINY, [0], ["tilted"], 1)
    with pytest.raises(AuditorError, match="no seeds"):
        run_study(tmp_path / "study", TINY, [], ["skewed"], 1)
    assert not (tmp_path / "study").exists()


# -- summary --------------------------------------------------------------------------------


def cell(arm: str, seed: int, right: tuple[int, int, int, int], effect: float, undone=6):
    return {
        "arm": arm,
        "seed": seed,
        "n": dict.fromkeys(GROUPS, 10),
        "right": dict(zip(GROUPS, right, strict=True)),
        "errors": 40 - sum(right),
        "undone": undone,
        "pairs": 20,
        "changed": undone,
        "effect": effect,
        "torch": "2",
        "numpy": "2",
    }


CELLS = [
    cell("skewed", 0, (10, 8, 6, 10), 2.0),
    cell("skewed", 1, (9, 7, 5, 9), 4.0, undone=5),
    cell("rebalanced", 0, (9, 9, 9, 9), 0.1, undone=0),
    cell("rebalanced", 1, (9, 9, 8, 8), 0.3, undone=0),
]


def test_a_cell_as_a_row_by_hand():
    row = per_seed(CELLS).iloc[0]
    assert row["accuracy"] == 34 / 40
    assert [row[group] for group in GROUPS] == [1.0, 0.8, 0.6, 1.0]
    assert row["worst"] == "nurse · man"
    # (.78 × 1 + .22 × .8 + .07 × .6 + .93 × 1) / 2
    assert row["like_training"] == pytest.approx((0.78 + 0.176 + 0.042 + 0.93) / 2)
    assert row["undone"] == 1.0
    assert row["changed"] == 0.3
    assert row["effect"] == 2.0


def test_means_and_differences_by_hand():
    table = per_seed(CELLS)
    accuracy = by_arm(table)["skewed"]["accuracy"]
    # .85 and .75: mean .8, standard deviation .0707, standard error .05, t(1) 12.706
    assert accuracy.mean == pytest.approx(0.80)
    assert accuracy.sd == pytest.approx(0.0707, abs=1e-4)
    assert accuracy.low == pytest.approx(0.80 - 12.706 * 0.05, abs=1e-3)
    assert accuracy.n == 2
    gain = next(d for d in differences(table) if d.column == "accuracy")
    # .90 − .85 and .85 − .75
    assert (gain.first, gain.second) == ("rebalanced", "skewed")
    assert gain.value.mean == pytest.approx(0.075)


def test_a_mean_of_one_seed_has_no_interval():
    accuracy = by_arm(per_seed(CELLS[:1]))["skewed"]["accuracy"]
    assert accuracy == Mean(0.85, None, None, None, 1)


def test_arms_without_the_cue_have_no_groups():
    plain = {
        **CELLS[0],
        "arm": "without",
        "n": {"doctor": 20, "nurse": 20},
        "right": {"doctor": 18, "nurse": 17},
        "errors": 5,
        **dict.fromkeys(("undone", "pairs", "changed", "effect")),
    }
    row = per_seed([plain]).iloc[0]
    assert row["accuracy"] == 35 / 40
    for column in (*GROUPS, "like_training", "undone", "changed", "effect"):
        assert math.isnan(row[column])
    assert row["worst"] is None


def ten(skewed=(10, 8, 6, 9), rebalanced=(9, 9, 9, 9), effect=2.0, even=0.05):
    return [
        made
        for seed in range(10)
        for made in (
            cell("skewed", seed, skewed, effect + 0.01 * seed),
            cell("rebalanced", seed, rebalanced, 0.0),
            cell("even", seed, (9, 9, 9, 9), even),
        )
    ]


def test_conditions_are_met_or_not():
    assert [c.met for c in conditions(per_seed(ten()))] == [True] * 6
    low = {c.told: c.met for c in conditions(per_seed(ten(skewed=(10, 8, 2, 9))))}
    assert low["skewed training reaches .80 to .88 on the balanced test"] is False
    other_worst = {c.told: c for c in conditions(per_seed(ten(skewed=(10, 6, 8, 9))))}
    worst = other_worst["nurses drawn as men are the worst group in at least 8 of 10 seeds"]
    assert (worst.seen, worst.met) == ("0 of 10", False)
    reversed_effect = [c.met for c in conditions(per_seed(ten(effect=-0.05)))]
    assert reversed_effect[4] is False
    assert conditions(per_seed(ten(even=0.3)))[-1].met is False


def test_few_seeds_judge_nothing():
    assert {c.met for c in conditions(per_seed(CELLS))} == {None}
    assert conditions(per_seed(CELLS[:2])) == []


def test_results_are_written_as_page_json_and_picture(tmp_path):
    page = write_results(tmp_path, TINY, ten())
    text = page.read_text(encoding="utf-8")
    assert text == markdown(TINY, ten())
    assert "| skewed | 10 | 82.5 ± 0.0 |" in text
    assert "| 83.8 | 82 |" in text  # the ideal observer and the paper
    written = json.loads((tmp_path / "study.json").read_text(encoding="utf-8"))
    assert written == json.loads(json.dumps(described(TINY, ten())))
    assert written["arms"]["skewed"]["accuracy"]["mean"] == pytest.approx(0.825)
    assert written["ideal"]["skewed"]["accuracy"] == pytest.approx(0.838, abs=5e-4)
    picture = ElementTree.parse(tmp_path / "study.svg").getroot()  # noqa: S314 - our own
    told = picture.find("{http://www.w3.org/2000/svg}desc").text
    assert "skewed: accuracy 0.825 on the balanced test" in told


def test_the_picture_shows_a_dot_for_every_seed():
    svg = ElementTree.fromstring(draw_plot(per_seed(ten())))  # noqa: S314 - our own
    dots = svg.findall("{http://www.w3.org/2000/svg}circle")
    small = [dot for dot in dots if dot.get("r") == "2.5"]
    # Accuracy of 3 arms, 4 groups of 2 arms, effects of skewed and even: 13 × 10.
    assert len(small) == 130


def test_the_published_results_are_what_their_cells_come_to():
    folder = Path(__file__).resolve().parent.parent / "docs" / "study"
    published = json.loads((folder / "study.json").read_text(encoding="utf-8"))
    plan, cells = Plan(**published["plan"]), published["cells"]
    assert plan == Plan()  # what `auditor study` runs today
    again = described(plan, cells)["arms"]
    for arm, columns in published["arms"].items():
        assert columns["accuracy"]["mean"] == pytest.approx(again[arm]["accuracy"]["mean"])
    assert (folder / "study.md").read_text(encoding="utf-8") == markdown(plan, cells)
    assert (folder / "study.svg").read_text(encoding="utf-8") == draw_plot(per_seed(cells))
    prose = (folder.parent / "study.md").read_text(encoding="utf-8")
    rows = [row for row in markdown(plan, cells).splitlines() if row.startswith("| skewed | 10 |")]
    assert rows[0].split(" | ")[2:] == ["86.2 ± 1.3", "91.7 ± 1.1", "83.8", "82 |"]
    assert "| skewed | 86.2 ± 1.3 | 91.7 ± 1.1 | 83.8 | 82 |" in prose


# -- command --------------------------------------------------------------------------------


def test_the_command_prints_its_table_and_goes_on(auditor_cli, tmp_path, monkeypatch):
    monkeypatch.setattr(plans, "Plan", partial(replace, TINY))
    monkeypatch.chdir(tmp_path)
    first = auditor_cli("study", "--quick", "--seeds", 1, "--jobs", 1)
    assert first.status == 0, first.err
    assert "4 networks to train (4 arms × 1 seed)" in first.out
    assert "balanced test" in first.out
    assert (tmp_path / "auditor-study-quick" / "study.md").is_file()
    again = auditor_cli("study", "--quick", "--seeds", 1, "--jobs", 1)
    assert again.status == 0
    assert again.out.splitlines()[2:] == first.out.splitlines()[2:]


def test_the_command_refuses_a_folder_of_something_else(auditor_cli, tmp_path):
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    refused = auditor_cli("study", "--quick", "--out", tmp_path)
    assert refused.status == 2
    assert "exists and holds no study; give another --out" in refused.err
