"""Audits with interventions, in a world where what they give can be worked out by hand.

The model counts red and green cells (see tests/colours.py): the subject has four of the label's
colour, the cue six of the colour that the attribute `tint` names. So an image whose tint is not
its label is misclassified by a margin of (6 - 4) / 80 · 100 = 2.5, and one whose tint is its label
is right by 12.5. Exchanging the cue moves the margin by 15 either way.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

import auditor
from auditor.changes import Remaker
from auditor.configuration import AuditConfig, Config, DatasetConfig, EvidenceConfig, ModelConfig
from auditor.errors import AuditorError
from auditor.pipeline import intervening
from auditor.pipeline.intervening import predict
from tests.colours import classifier, draw

ROLES = auditor.RegionRoles(subject=("thing",), cues=("cue",), rest="background")
OTHER = {"red": "green", "green": "red"}


def write(
    folder: Path,
    pairs: Sequence[tuple[str, str | None]],
    size: tuple[int, int] = (2, 3),
    places: int = 3,
) -> Path:
    """One image a pair of label and tint; the cue is as the tint says, green without one."""
    rows = []
    for number, (label, tint) in enumerate(pairs):
        squares = {
            "thing": (label, number % 2, number % 4, 2, 2),
            "cue": (tint or "green", 5, number % places, *size),
        }
        image, masks = draw(squares)
        name = f"{number:03d}"
        image.save(folder / f"{name}.png")
        row = {"image": f"{name}.png", "label": label, "tint": tint or ""}
        for region, mask in masks.items():
            Image.fromarray(mask).save(folder / f"{name}.{region}.png")
            row[f"region.{region}"] = f"{name}.{region}.png"
        rows.append(row)
    path = folder / "manifest.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def pairs(right: int, wrong: int) -> list[tuple[str, str]]:
    """So many images of either label with its own colour as tint, and with the other."""
    return [
        (label, tint)
        for label in OTHER
        for tint, count in ((label, right), (OTHER[label], wrong))
        for _ in range(count)
    ]


def opened(path: Path, attributes: tuple[str, ...] = ("tint",), **roles: object) -> auditor.Dataset:
    config = DatasetConfig(path=path, format="manifest", attributes=attributes)
    given = {"subject": ("thing",), "cues": ("cue",), "rest": "background"} | roles
    return auditor.open_dataset(config, regions=auditor.RegionRoles(**given))


@pytest.fixture(scope="module")
def skewed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("skewed"), pairs(40, 15))


def test_every_number_of_a_case_by_hand(skewed: Path, tmp_path: Path) -> None:
    run = auditor.audit(
        classifier(), opened(skewed), tmp_path / "run", settings=auditor.Settings(evidence="all")
    )
    cases = run.cases
    wrong = cases["label"] != cases["attribute.tint"]
    assert (cases["correct"] == ~wrong).all()
    assert cases["margin"].tolist() == pytest.approx(np.where(wrong, 2.5, 12.5).tolist())
    assert (cases["reliance.cue"] * cases["margin"]).tolist() == pytest.approx([15.0] * 110)
    assert cases["reliance_se.cue"].tolist() == pytest.approx([0] * 110)
    assert (cases["flips.cue"] == 1).all()
    # One pass for the image as it is, two arms of three donors, and four fills of the subject
    # of a correct case, which without it is still its cue's colour.
    assert cases["passes"].tolist() == np.where(wrong, 7, 11).tolist()
    assert (cases["evidence"] == "confirmed").all()
    assert (cases["cue"] == "cue").all()
    assert (cases["flag"] == np.where(wrong, "spurious_error", "wrong_reason")).all()
    assert cases["severity"].tolist() == pytest.approx(cases["confidence"].tolist())
    assert "D = 15.00 of a margin of 2.50" in cases.loc[wrong, "reason"].iloc[0]
    assert run.info["counts"]["passes"] == cases["passes"].sum()


def test_the_rows_of_interventions_are_what_the_decision_rests_on(
    skewed: Path, tmp_path: Path
) -> None:
    run = auditor.audit(classifier(), opened(skewed), tmp_path / "run")
    rows, cases = run.interventions, run.cases.set_index("id")
    assert rows.columns.tolist() == ("case cue arm attribute donor fill number logits".split())
    # Every suspect, and what is left of the correct cases to be sampled.
    assert (cases["correct"] == False)[rows["case"]].groupby(level=0).size().shape == (30 + 64 + 8,)  # noqa: E712
    for case, own in rows.groupby("case"):
        told = cases.loc[case]
        original = own[own["arm"] == "original"]
        assert original["logits"].iloc[0].tolist() == pytest.approx(
            [told["margin"] * s / 2 for s in ((1, -1) if told["predicted"] == "red" else (-1, 1))],
            abs=20,
        )
        for arm, tint in (
            ("same", told["attribute.tint"]),
            ("opposite", OTHER[told["attribute.tint"]]),
        ):
            donors = cases.loc[own.loc[own["arm"] == arm, "donor"]]
            assert len(donors) == 3
            assert (donors["attribute.tint"] == tint).all()
            assert case not in donors.index
        labels = [
            cases.loc[own.loc[own["arm"] == arm, "donor"], "label"].tolist()
            for arm in ("same", "opposite")
        ]
        assert labels[0] == labels[1]


def test_the_verdict_names_cue_effect_and_group(skewed: Path, tmp_path: Path) -> None:
    run = auditor.audit(classifier(), opened(skewed), tmp_path / "run")
    first = run.findings[0]
    assert (first["kind"], first["value"], first["severity"]) == ("verdict", 4.0, "warning")
    told = run.info["verdict"]
    assert (told["level"], told["grade"], told["cue"]) == (4, "A", "cue")
    # Of "green" against "red", on the logit of red less that of green.
    assert told["effect"] == pytest.approx(-15)
    assert told["threshold"] == pytest.approx(1.25)
    assert "annotated as tint 'green' are classified right in 0 of 15 (0.0%)" in told["text"]
    assert "15 of that group's 15 tested errors come right" in told["text"]


def test_a_cue_too_small_to_decide_confirms_no_error(tmp_path: Path) -> None:
    run = auditor.audit(
        classifier(), opened(write(tmp_path, pairs(20, 20), (1, 2))), tmp_path / "r"
    )
    assert run.cases["correct"].all()
    # Right by 7.5 with a helping cue of 2.5, by 2.5 against it: D is 5 or -5.
    tested = run.cases[run.cases["passes"].notna()]
    helping = tested["label"] == tested["attribute.tint"]
    assert (tested["reliance.cue"] * tested["margin"]).tolist() == pytest.approx(
        np.where(helping, 5.0, -5.0).tolist()
    )
    assert (tested.loc[~helping, "evidence"] == "unsupported").all()
    assert (tested.loc[helping, "evidence"] == "probable").all()
    assert run.info["verdict"]["level"] == 3


def test_without_an_attribute_fills_decide(tmp_path: Path) -> None:
    path = write(tmp_path, pairs(40, 15), places=2)
    run = auditor.audit(classifier(), opened(path, attributes=()), tmp_path / "run")
    wrong = run.cases[~run.cases["correct"].astype(bool)]
    rows = run.interventions.merge(wrong, left_on="case", right_on="id")
    own = rows["label"].map({"red": 0, "green": 1})
    rows["against"] = [
        logits[1 - i] - logits[i] for logits, i in zip(rows["logits"], own, strict=True)
    ]
    # Black in the cue's place leaves the subject's four cells, a margin of -5; black on black
    # elsewhere changes nothing. A blur leaves some of the cue.
    sharp = rows[rows["fill"].isin(["border_mean", "noise", "inpaint"])]
    for arm, margin in (("fill", -5.0), ("control", 2.5)):
        margins = sharp.loc[sharp["arm"] == arm, "against"]
        assert len(margins) == 30 * 3 * (1 if arm == "fill" else 2)
        assert margins.tolist() == pytest.approx([margin] * len(margins))
    assert (wrong["reliance.cue"] > 1).all()
    assert (wrong["evidence"] == "confirmed").all()
    # What the blur leaves still decides.
    assert (wrong["flips.cue"] == 0.75).all()
    # The image, and four fills on the region and on two controls.
    assert (wrong["passes"] == 13).all()
    arms = run.interventions.query("arm in ['fill', 'control']")
    assert arms["fill"].nunique() == 4
    assert run.info["verdict"]["grade"] == "B"
    # Where nothing says which groups there are, none can be shown to be harmed.
    assert run.info["verdict"]["level"] == 3


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([("red", "red"), ("green", "red")] * 12, "no image has another value"),
        (pairs(12, 1), "too few donors"),
        ([("red", None), ("green", None)] * 12, "own value of the attribute is unknown"),
    ],
)
def test_what_donors_cannot_say_fills_do(
    tmp_path: Path, given: list[tuple[str, str | None]], told: str
) -> None:
    run = auditor.audit(classifier(), opened(write(tmp_path, given)), tmp_path / "run")
    arms = set(run.interventions["arm"])
    if told != "too few donors":
        assert not arms & {"same", "opposite"}
    assert "fill" in arms
    assert len(run.by_group(["label", "tint"])) == len(set(given))


def test_a_cue_that_fits_nowhere_else_is_untestable_and_says_why(tmp_path: Path) -> None:
    path = write(tmp_path, [("red", "red"), ("green", "red")] * 10, (3, 8), places=1)
    run = auditor.audit(classifier(), opened(path, attributes=()), tmp_path / "run")
    tested = run.cases[run.cases["passes"].notna()]
    assert (tested["evidence"] == "untestable").all()
    assert (tested["reason"].str.contains("fits nowhere else")).all()
    assert tested["reliance.cue"].isna().all()
    assert run.info["verdict"]["grade"] == "C"


def test_a_cue_that_covers_the_subject_is_untestable(tmp_path: Path) -> None:
    path = write(tmp_path, pairs(10, 5))
    # The subject's own mask is called the cue: nothing of it would be left.
    table = pd.read_csv(path).rename(columns={"region.thing": "region.cue", "region.cue": "x"})
    table["region.thing"] = table["region.cue"]
    table.drop(columns="x").to_csv(path, index=False)
    run = auditor.audit(
        classifier(),
        opened(path, precedence="subject"),
        tmp_path / "run",
    )
    assert set(run.cases["evidence"].dropna()) <= {"untestable"}


def test_without_a_subject_beside_the_cue_nothing_is_tested(tmp_path: Path) -> None:
    path = write(tmp_path, pairs(10, 5))
    # The cue's mask is drawn over the subject as well: cues come first, so no subject is left.
    for file in tmp_path.glob("*.cue.png"):
        thing = np.asarray(Image.open(file.with_name(file.name.replace("cue", "thing"))))
        Image.fromarray(np.asarray(Image.open(file)) | thing).save(file)
    run = auditor.audit(classifier(), opened(path), tmp_path / "run")
    tested = run.cases[run.cases["passes"].notna()]
    assert len(tested) == 30
    assert (tested["evidence"] == "untestable").all()
    assert tested["reason"].str.contains("nothing of the subject lies beside the cue").all()
    (told,) = [f for f in run.findings if f["kind"] == "spurious_error"]
    assert "it is covered, or not annotated (10)" in told["text"]


def test_zero_is_none_and_a_number_is_a_cap(skewed: Path, tmp_path: Path) -> None:
    none = auditor.audit(
        classifier(), opened(skewed), tmp_path / "none", settings=auditor.Settings(evidence=0)
    )
    assert none.cases["passes"].isna().all()
    assert none.interventions.empty
    assert none.info["verdict"]["grade"] == "C"
    some = auditor.audit(
        classifier(), opened(skewed), tmp_path / "some", settings=auditor.Settings(evidence=20)
    )
    assert some.cases["passes"].notna().sum() == 20
    tested = some.cases[some.cases["passes"].notna()]
    assert tested["stratum"].value_counts().to_dict() == {"error": 15, "rest": 5}


def test_batch_size_and_order_change_nothing(skewed: Path, tmp_path: Path) -> None:
    runs = [
        auditor.audit(
            classifier(),
            opened(skewed),
            tmp_path / str(size),
            settings=auditor.Settings(batch_size=size, workers=size),
        )
        for size in (1, 7)
    ]
    pd.testing.assert_frame_equal(runs[0].cases, runs[1].cases, rtol=0, atol=1e-6)
    left, right = (run.interventions.drop(columns="logits") for run in runs)
    pd.testing.assert_frame_equal(left, right)


class Stop(Exception):
    pass


@pytest.mark.parametrize("after", [0, 16, 40, 102])
def test_interrupted_tests_are_continued(
    skewed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    monkeypatch.setattr(intervening, "CHUNK", 16)
    dataset = opened(skewed)
    whole = auditor.audit(classifier(), dataset, tmp_path / "whole")

    def stop(stage: str, done: int, _total: int) -> None:
        if stage == "changes" and done >= after:
            raise Stop

    with pytest.raises(Stop):
        auditor.audit(classifier(), dataset, tmp_path / "run", progress=stop)
    seen: list[tuple[str, int]] = []
    run = auditor.audit(
        classifier(),
        dataset,
        tmp_path / "run",
        progress=lambda stage, done, _total: seen.append((stage, done)),
    )
    pd.testing.assert_frame_equal(run.cases, whole.cases, check_exact=True)
    pd.testing.assert_frame_equal(run.interventions, whole.interventions)
    first = next(done for stage, done in seen if stage == "changes")
    assert first == max(after - 1, 0) // 16 * 16


def test_another_budget_is_another_run(skewed: Path, tmp_path: Path) -> None:
    auditor.audit(classifier(), opened(skewed), tmp_path / "run")
    with pytest.raises(AuditorError, match="evidence"):
        auditor.audit(
            classifier(), opened(skewed), tmp_path / "run", settings=auditor.Settings(evidence=5)
        )


def test_a_tie_to_nothing_is_refused(skewed: Path, tmp_path: Path) -> None:
    dataset = opened(skewed)
    for donors, told in (
        (
            {"hat": "tint"},
            r"^evidence.donors.hat is no cue; name one of regions.cues \(cue\), or correct these.$",
        ),
        (
            {"cue": "gender"},
            r"^evidence.donors.cue is 'gender'; name one of dataset.attributes \(.*tint.*\), "
            r"or correct these.$",
        ),
    ):
        config = Config(
            skewed,
            "0" * 64,
            dataset.config,
            ROLES,
            ModelConfig(),
            AuditConfig(),
            EvidenceConfig(donors=donors),
        )
        with pytest.raises(AuditorError, match=told):
            auditor.audit(classifier(), dataset, tmp_path / "run", config=config)


def test_interventions_hold_no_class_twice_and_are_read_by_pyarrow(
    skewed: Path, tmp_path: Path
) -> None:
    run = auditor.audit(classifier(), opened(skewed), tmp_path / "run")
    table = pq.read_table(run.path / "interventions.parquet")
    assert table.num_rows == run.info["counts"]["passes"]
    assert {len(logits) for logits in table["logits"].to_pylist()} == {2}


def test_a_colour_cast_is_tested_over_the_whole_image(tmp_path: Path) -> None:
    # Every picture is grey, in a cast that its tint names, and the model sees nothing else.
    rows, rng = [], np.random.default_rng(0)
    for number, (label, tint) in enumerate(pairs(40, 15)):
        grey = rng.integers(90, 130, (32, 40, 1)).astype(float)
        cast = np.array([1.2, 1.0, 1.0] if tint == "red" else [1.0, 1.2, 1.0])
        Image.fromarray((grey * cast).astype(np.uint8)).save(tmp_path / f"{number}.png")
        mask = np.zeros((32, 40), bool)
        mask[8:16, 8:16] = True
        Image.fromarray(mask).save(tmp_path / f"{number}.thing.png")
        rows.append({"image": f"{number}.png", "label": label, "tint": tint})
        rows[-1]["region.thing"] = f"{number}.thing.png"
    path = tmp_path / "manifest.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    dataset = opened(path, cues=())
    config = Config(
        path, "0" * 64, dataset.config, dataset.roles, ModelConfig(), AuditConfig(),
        EvidenceConfig(tone="tint"),
    )  # fmt: skip
    run = auditor.audit(classifier(), dataset, tmp_path / "run", config=config)
    wrong = run.cases[run.cases["correct"] == False]  # noqa: E712
    assert len(wrong) == 30
    assert (wrong["cue"] == "tone").all()
    assert (wrong["evidence"] == "confirmed").all()
    # The cast exchanged: the margin is turned, so D is about twice the margin.
    assert wrong["reliance.tone"].to_numpy() == pytest.approx(np.full(30, 2.0), abs=0.1)
    assert run.info["verdict"]["level"] == 4


def remade_as_recorded(run: auditor.Run, dataset: auditor.Dataset) -> set[str]:
    """Hold every image that a run's reader makes again against the logits that it got then."""
    remaker, model = Remaker.of(run, dataset), classifier()
    for row in run.interventions.to_dict("records"):
        again = predict(model, remaker.made(row)[None])[0]
        assert again.tolist() == pytest.approx(row["logits"].tolist()), row
    return set(run.interventions["arm"])


def test_changed_images_are_made_again_as_they_were(skewed: Path, tmp_path: Path) -> None:
    dataset = opened(skewed)
    run = auditor.audit(classifier(), dataset, tmp_path / "run")
    assert remade_as_recorded(run, dataset) == {"original", "same", "opposite", "subject"}


def test_filled_images_are_made_again_as_they_were(tmp_path: Path) -> None:
    dataset = opened(write(tmp_path, pairs(40, 15), places=2), attributes=())
    run = auditor.audit(classifier(), dataset, tmp_path / "run")
    assert {"original", "fill", "control"} <= remade_as_recorded(run, dataset)


def test_cues_are_told_apart_on_some_cases_errors_first() -> None:
    strata = ["rest", "error", "doubtful", "error", "error", "error", "rest"]
    assert intervening._attributed(strata, 2) == {1, 4}
    assert intervening._attributed(strata, 5) == {0, 1, 3, 4, 5}
    assert intervening._attributed(strata, 99) == set(range(7))
    assert intervening._attributed(strata, 0) == set()
