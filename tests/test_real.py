"""A slice of the audits of docs/real-data.md, on real photographs with real masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import auditor
from auditor.pipeline.finetuning import finetune
from benchmarks.real_data.manifest import street_manifest, tomato_manifest
from benchmarks.real_data.probe import border_places, features

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
WEIGHTS = DATA / "weights" / "mobilenet_v2_coral_ptq.pt"
PHOTOGRAPHS = 24
CHANGED = 8  # cases whose pixels are changed
STREET_ATTRIBUTES = ["bare_skin", "hair_shown", "has_bag", "has_boots"]

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not WEIGHTS.is_file(), reason=f"the photographs and weights are not in {DATA}"
    ),
]


def _labels(data: str) -> pd.DataFrame:
    return pd.read_csv(DATA / data / "labels.csv")


def _slice(
    folder: Path, data: str, labels: pd.DataFrame, size: str, attributes: str, roles: str
) -> pd.DataFrame:
    """Write a manifest of some test photographs, and the two configurations over it.

    `attributes` goes on in `[dataset]`, down to `[dataset.columns]`.
    """
    of_class = labels[labels["split"] == "test"].groupby("label", sort=True)
    chosen = of_class.head(PHOTOGRAPHS // of_class.ngroups).reset_index(drop=True)
    chosen.to_csv(folder / "slice.csv", index=False)
    dataset = f'[dataset]\npath = "slice.csv"\nformat = "manifest"\nimage_root = "{DATA / data}"\n'
    (folder / "train.toml").write_text(
        f'{dataset}\n[model]\narchitecture = "mobilenet_v2"\n'
        f"[model.preprocess]\nresize = {size}\ncrop = false\n"
        f'[finetune]\nstart = "{WEIGHTS}"\ntrunk = "frozen"\nepochs = 1\n'
        "batch_size = 8\nvalidation = 0.34\n",
        encoding="utf-8",
    )
    (folder / "audit.toml").write_text(
        f'{dataset}{attributes}\n\n{roles}\n[model]\ncheckpoint = "slice.pt"\n',
        encoding="utf-8",
    )
    return chosen


def _audited(folder: Path) -> auditor.Run:
    train = auditor.read_config(folder / "train.toml")
    finetune(train, auditor.open_dataset(train), folder / "slice.pt")
    config = auditor.read_config(folder / "audit.toml")
    return auditor.audit(
        auditor.load_classifier(config),
        auditor.open_dataset(config),
        folder / "run",
        config=config,
        settings=auditor.Settings(evidence=CHANGED),
    )


@pytest.fixture(scope="module")
def tomato(tmp_path_factory) -> tuple[pd.DataFrame, auditor.Run]:
    folder = tmp_path_factory.mktemp("tomato")
    chosen = _slice(
        folder,
        "plantvillage_tomato",
        _labels("plantvillage_tomato"),
        "[224, 224]",
        '[dataset.columns]\n"region.leaf" = "leaf_mask"',
        '[regions]\nsubject = ["leaf"]\nrest = "background"\ncues = ["background"]\n',
    )
    return chosen, _audited(folder)


@pytest.fixture(scope="module")
def street(tmp_path_factory) -> tuple[pd.DataFrame, auditor.Run]:
    folder = tmp_path_factory.mktemp("street")
    # Regions and donors of the whole audit, so that its configuration is tested along.
    whole = (ROOT / "benchmarks" / "real_data" / "street_audit.toml").read_text(encoding="utf-8")
    roles = whole[whole.index("[regions]") : whole.index("[model]")]
    labels = street_manifest(_labels("ccp_fashion"))
    attributes = f'attributes = {STREET_ATTRIBUTES}\n[dataset.columns]\nregions = "labelmap"'
    chosen = _slice(folder, "ccp_fashion", labels, "[384, 256]", attributes, roles)
    return chosen, _audited(folder)


def _label_map(row: pd.Series) -> np.ndarray:
    return np.asarray(Image.open(DATA / "ccp_fashion" / row["labelmap"]))


def _masses_sum_to_one(run: auditor.Run) -> int:
    """How many cases have all their regions measured; asserts that their masses sum to 1."""
    names = run.info["regions"]["names"]
    status = run.cases[[f"status.{name}" for name in names]]
    whole = status.isin(["ok", "absent"]).all(axis=1) & (run.cases["status"] == "ok")
    for measure in ("mass", "contrast_mass", "margin_mass"):
        masses = run.cases.loc[whole, [f"{measure}.{name}" for name in names]]
        masses = masses[masses.notna().any(axis=1)]
        np.testing.assert_allclose(masses.sum(axis=1), 1, atol=1e-5)
    areas = run.cases[[f"area.{name}" for name in names]].sum(axis=1)
    np.testing.assert_allclose(areas, 1, atol=1e-5)
    return int(whole.sum())


def test_every_photograph_gets_a_case_and_maps(tomato, street):
    for (chosen, run), grid in ((tomato, (7, 7)), (street, (12, 8))):
        assert run.cases["image"].tolist() == chosen["image"].tolist()
        assert run.cases["label"].tolist() == chosen["label"].tolist()
        assert set(run.cases["status"]) <= {"ok", "no_positive_evidence"}
        assert run.cases["predicted"].isin(chosen["label"]).all()
        assert run.maps.shape == (PHOTOGRAPHS, 3, *grid)
        assert np.isfinite(run.maps).all()
        assert run.info["counts"]["judged"] == PHOTOGRAPHS
        assert run.info["layer"]["verified"]
        assert run.info["verdict"]["level"] in range(5)
        assert run.cases["passes"].notna().sum() == CHANGED


def test_masses_of_all_regions_sum_to_one(tomato, street):
    assert _masses_sum_to_one(tomato[1]) >= PHOTOGRAPHS - 2
    assert _masses_sum_to_one(street[1]) > 0


def test_leaf_areas_are_those_of_the_annotation(tomato):
    chosen, run = tomato
    np.testing.assert_allclose(run.cases["area.subject"], chosen["leaf_fraction"], atol=1e-4)
    np.testing.assert_allclose(run.cases["area.background"], 1 - chosen["leaf_fraction"], atol=1e-4)
    assert (run.cases["area.padding"] == 0).all()


def test_skin_and_hair_areas_are_those_of_the_annotation(street):
    chosen, run = street
    for region in ("skin", "hair"):
        np.testing.assert_allclose(
            run.cases[f"area.{region}"], chosen[f"{region}_fraction"], atol=1e-4
        )


def test_the_subject_is_the_garment_of_the_label(street):
    chosen, run = street
    assert chosen["subject_ids"].nunique() > 2
    for position, row in chosen.iterrows():
        garment = [int(tag) for tag in str(row["subject_ids"]).split(";")]
        expected = np.isin(_label_map(row), garment).mean()
        assert run.cases["area.subject"][position] == pytest.approx(expected, abs=1e-5)
        assert run.cases["status.subject"][position] == "ok"


def test_cues_that_a_photograph_lacks_are_absent(street):
    chosen, run = street
    for position, row in chosen.iterrows():
        worn = set(row["tags"].split(";"))
        bagged = bool(worn & {"bag", "purse", "wallet"})
        assert (run.cases["status.bag"][position] == "absent") == (not bagged)
        assert (run.cases["status.hair"][position] == "absent") == ("hair" not in worn)
    assert (run.cases["status.bag"] == "absent").any()
    assert run.cases.loc[run.cases["status.bag"] == "absent", "mass.bag"].isna().all()


def test_photographs_higher_than_wide_keep_height_and_width_apart(street):
    chosen, run = street
    config = run.path.parent / "audit.toml"
    dataset, preprocess = auditor.open_dataset(config), auditor.load_classifier(config).preprocess
    names, grid = dataset.roles.names, tuple(run.info["layer"]["grid"])
    heights = np.arange(grid[0])
    shod = 0
    for position, row in chosen.iterrows():
        case = dataset.read(position)
        height, width = _label_map(row).shape
        assert case.picture.size == case.atoms.shape == (height, width)
        assert height > 1.4 * width
        coverage = preprocess.placement(case.picture.size).coverage(case.atoms, len(names), grid)
        subject, shoes = (coverage[names.index(name)].sum(1) for name in ("subject", "shoes"))
        if shoes.sum():  # below the garment, in the lower half: swapped axes would show here
            assert (shoes @ heights) / shoes.sum() > (subject @ heights) / subject.sum()
            assert (shoes @ heights) / shoes.sum() > grid[0] / 2
            shod += 1
    assert shod > PHOTOGRAPHS / 2


def test_a_background_around_every_leaf_has_no_place_to_be_filled(tomato):
    run = tomato[1]
    tested = run.cases[run.cases["reason"].notna()]
    assert (tested["evidence"] == "untestable").all()
    assert run.info["verdict"]["level"] == 0
    assert run.info["verdict"]["grade"] == "C"
    assert set(run.interventions["arm"]) == {"original"}


def test_donors_have_the_value_of_their_arm_and_the_original_its_margin(street):
    run = street[1]
    cases, made = run.cases.set_index("id"), run.interventions
    assert set(made["arm"]) >= {"original", "same", "opposite"}
    classes = run.info["model"]["classes"]
    for row in made[made["arm"] == "original"].itertuples():
        case = cases.loc[row.case]
        pair = classes.index(case["predicted"]), classes.index(case["contrast"])
        margin = row.logits[pair[0]] - row.logits[pair[1]]
        assert margin == pytest.approx(case["margin"], abs=1e-3)
    lent = made[made["arm"].isin(["same", "opposite"])]
    for row in lent.itertuples():
        assert row.donor != row.case
        values = cases.loc[[row.case, row.donor], f"attribute.{row.attribute}"]
        assert (values.iloc[0] == values.iloc[1]) == (row.arm == "same")


def test_attributes_are_cut_at_the_median_of_the_test_photographs():
    labels = _labels("ccp_fashion")
    street = street_manifest(labels)
    test = street[street["split"] == "test"]
    for name, share in (("bare_skin", "skin_fraction"), ("hair_shown", "hair_fraction")):
        little = test[test[name] == "little"][share]
        assert little.max() < test[test[name] == "much"][share].min()
        assert abs(len(little) - len(test) / 2) <= 2
    assert (street["has_boots"] == labels["tags"].str.contains(r"\bboots\b")).all()
    some = _labels("plantvillage_tomato").iloc[::23]
    colours = tomato_manifest(some, DATA / "plantvillage_tomato")
    assert set(colours["backdrop"]) == {"cool", "warm"}


def test_the_probe_sees_corners_and_middles_of_sides():
    rows, columns = border_places()
    assert set(zip(rows.tolist(), columns.tolist(), strict=True)) == {
        (0, 0), (0, 128), (0, 255), (128, 0), (128, 255), (255, 0), (255, 128), (255, 255)
    }  # fmt: skip
    some = _labels("plantvillage_tomato").iloc[::160]
    seen = features(some)
    first = np.asarray(Image.open(DATA / "plantvillage_tomato" / some["image"].iloc[0]))
    np.testing.assert_array_equal(seen["8 border pixels"][0, :3], first[0, 0])
    assert seen["8 background pixels"].shape == (len(some), 24)
    assert seen["mean and deviation, leaf"].shape == (len(some), 6)
