from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import auditor

SAMPLE = Path(__file__).resolve().parent.parent / "sample_data"
sys.path.insert(0, str(SAMPLE))  # scripts, not a package: `python sample_data/demo.py`

import generate  # noqa: E402
import scenes  # noqa: E402

SCENES = [
    scenes.Scene(label, sticker, (11, number))
    for number, (label, sticker) in enumerate(
        (label, sticker) for label in scenes.FRUITS for sticker in scenes.STICKERS for _ in range(4)
    )
]


def other(scene: scenes.Scene) -> scenes.Scene:
    (sticker,) = set(scenes.STICKERS) - {scene.sticker}
    return replace(scene, sticker=sticker)


def test_a_scene_is_drawn_the_same_twice_and_differs_with_its_seed():
    for scene in SCENES[:4]:
        once, again = scenes.draw(scene), scenes.draw(scene)
        for first, second in zip(once, again, strict=True):
            np.testing.assert_array_equal(first, second)
        elsewhere = scenes.draw(replace(scene, seed=(12, 0)))
        assert (once.pixels != elsewhere.pixels).mean() > 0.5
        assert (once.sticker != elsewhere.sticker).any()


def test_fruit_and_sticker_are_inside_and_apart():
    for scene in SCENES:
        picture = scenes.draw(scene)
        assert picture.pixels.shape == (scenes.SIDE, scenes.SIDE, 3)
        assert not (picture.fruit & picture.sticker).any()
        for mask in (picture.fruit, picture.sticker):
            assert not mask[[0, -1]].any()
            assert not mask[:, [0, -1]].any()
        assert 700 < picture.sticker.sum() < 1300
        assert 1000 < picture.fruit.sum() < 5000


def test_stickers_lie_all_over_the_table():
    # The attention test compares with where the stickers of other images lie.
    covered = np.mean([scenes.draw(scene).sticker for scene in SCENES], axis=0)
    assert covered.max() < 0.5
    quarters = covered.reshape(2, scenes.SIDE // 2, 2, scenes.SIDE // 2).sum((1, 3))
    assert quarters.min() > 0.05 * quarters.sum()


def test_only_the_sticker_changes_with_its_colour():
    for scene in SCENES:
        one, two = (scenes.draw(s, noise=False) for s in (scene, other(scene)))
        np.testing.assert_array_equal(one.sticker, two.sticker)
        np.testing.assert_array_equal(one.fruit, two.fruit)
        changed = (one.pixels != two.pixels).any(axis=2)
        assert not (changed & ~one.sticker).any()
        assert changed[one.sticker].mean() > 0.97  # all but the faintest of its edge
        noisy = [scenes.draw(s).pixels for s in (scene, other(scene))]
        assert (noisy[0] == noisy[1])[~one.sticker].all()


def test_the_sticker_has_its_colour():
    for scene in SCENES:
        picture = scenes.draw(scene, noise=False)
        inside = picture.sticker.copy()
        for axis in (0, 1):  # without the edge, which is mixed with the table
            inside &= np.roll(inside, 1, axis) & np.roll(inside, -1, axis)
        seen = picture.pixels[inside].astype(float)
        # Light and print make the colour brighter or darker, but do not turn it.
        hue = seen / np.linalg.norm(seen, axis=1, keepdims=True)
        wanted = np.array(scenes.STICKERS[scene.sticker])
        np.testing.assert_allclose(hue, [wanted / np.linalg.norm(wanted)] * len(hue), atol=0.02)


@pytest.mark.parametrize(("count", "skew"), [(880, 0.9), (400, 0.5), (40, 0.75), (30, 1.0)])
def test_label_and_sticker_go_together_as_often_as_asked(count, skew):
    pairs = generate.pairs(count, skew)
    cells = Counter(pairs)
    for label in scenes.FRUITS:
        along = cells[label, generate.intended(label)]
        in_class = sum(n for (name, _), n in cells.items() if name == label)
        assert in_class == count // 2
        assert along == round(skew * in_class)
    assert len({generate.intended(label) for label in scenes.FRUITS}) == 2


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    out = tmp_path_factory.mktemp("sample") / "demo"
    generate.generate(out, generate.Sample(train=40, test=40, skew=0.9))
    return out


def test_the_folder_holds_what_its_manifests_say(sample):
    assert not sample.with_name("demo.part").exists()
    for split in ("train", "test"):
        table = pd.read_csv(sample / f"{split}.csv")
        assert tuple(table.columns) == generate.COLUMNS
        assert set(table["split"]) == {split}
        for number, row in table.iterrows():
            seed = (generate.Sample.seed, ("train", "test").index(split), number)
            picture = scenes.draw(scenes.Scene(row["label"], row["sticker"], seed))
            for column, pixels in (
                ("image", picture.pixels),
                ("region.object", picture.fruit),
                ("region.sticker", picture.sticker),
            ):
                stored = np.asarray(Image.open(sample / row[column]))
                np.testing.assert_array_equal(stored if column == "image" else stored > 0, pixels)


def test_the_sample_can_be_trained_on_and_audited(sample):
    from auditor.pipeline.finetuning import finetune

    text = (sample / "train.toml").read_text(encoding="utf-8")
    assert "epochs = 7 " in text
    quick = sample / "quick.toml"
    quick.write_text(text.replace("epochs = 7 ", "epochs = 1 "), encoding="utf-8")
    config = auditor.read_config(quick)
    finetune(config, auditor.open_dataset(config), sample / "model.pt")

    audit = auditor.read_config(sample / "audit.toml")
    run = auditor.audit(
        auditor.load_classifier(audit), auditor.open_dataset(audit), sample / "run", config=audit
    )
    cases = run.cases
    assert len(cases) == 40
    assert set(cases["predicted"]) <= set(scenes.FRUITS)
    assert set(cases["attribute.sticker"]) == set(scenes.STICKERS)
    assert (cases["status.sticker"] == "ok").all()
    assert (cases["status.subject"] == "ok").all()
    assert cases["area.sticker"].between(0.04, 0.08).all()
    shares = [f"area.{name}" for name in ("subject", "sticker", "background", "padding")]
    np.testing.assert_allclose(cases[shares].sum(axis=1), 1, atol=1e-5)
    assert {"flag", "cue", "evidence", "p.sticker", "margin_mass.sticker"} <= set(cases.columns)
    assert run.info["layer"]["grid"] == [7, 7]
    assert any(finding["kind"] == "accuracy" for finding in run.findings)
