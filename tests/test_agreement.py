"""Other explanation methods beside the audit's own: figures by hand, and whole audits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import cohen_kappa_score

import auditor
from auditor.configuration import DatasetConfig, read_config
from auditor.errors import AuditorError, ConfigurationError, ModelError, RunError
from auditor.findings import Compared, agreement_findings
from auditor.findings.agreement import cohens_kappa, kappa_interval
from auditor.language import read
from auditor.pipeline import agreeing
from auditor.statistics import wilson
from tests.colours import classifier, draw
from tests.conftest import Project

ROLES = auditor.RegionRoles(subject=("thing",), cues=("cue",), rest="background")
COLUMNS = [
    "kind",
    "severity",
    "message",
    "value",
    "low",
    "high",
    "n",
    "threshold",
    "query",
    "table",
]


def flags(both: int, own: int, other: int, neither: int) -> np.ndarray:
    rows = [(True, True)] * both + [(True, False)] * own
    rows += [(False, True)] * other + [(False, False)] * neither
    return np.array(rows, dtype=bool).reshape(-1, 2)


# -- figures ---------------------------------------------------------------------------------


def test_kappa_by_hand() -> None:
    # 35 of 50 agree; by chance .5 × .6 + .5 × .4 = .5 would.
    assert cohens_kappa((20, 5, 10, 15)) == pytest.approx((0.7 - 0.5) / 0.5)
    assert cohens_kappa((3, 0, 0, 4)) == 1
    assert cohens_kappa((0, 4, 4, 0)) == -1
    assert cohens_kappa((1, 1, 1, 1)) == 0


@pytest.mark.parametrize("counts", [(0, 0, 0, 0), (9, 0, 0, 0), (0, 0, 0, 9)])
def test_kappa_is_undefined_where_chance_agrees_on_all(counts) -> None:
    assert cohens_kappa(counts) is None
    assert kappa_interval(flags(*counts), None, 0) is None


def test_kappa_against_scikit_learn() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        pair = random.random((40, 2)) < random.random(2)
        counts = tuple(
            int(((pair[:, 0] == a) & (pair[:, 1] == b)).sum())
            for a, b in ((True, True), (True, False), (False, True), (False, False))
        )
        expected = cohen_kappa_score(pair[:, 0], pair[:, 1])
        assert cohens_kappa(counts) == pytest.approx(expected)


def test_an_interval_holds_kappa_and_complete_agreement_is_not_certain() -> None:
    low, high = kappa_interval(flags(20, 5, 10, 15), None, 0)
    assert low < 0.4 < high
    assert (low, high) == kappa_interval(flags(20, 5, 10, 15), None, 0)  # by the seed
    low, high = kappa_interval(flags(5, 0, 0, 5), None, 0)
    assert high == 1
    assert low == pytest.approx((wilson(10, 10)[0] - 0.5) / 0.5)


def test_clusters_are_kept_together() -> None:
    pairs = np.repeat(flags(20, 5, 10, 15), 6, axis=0)
    clusters = np.repeat(np.arange(50), 6)
    alone, together = kappa_interval(pairs, None, 0), kappa_interval(pairs, clusters, 0)
    assert together[1] - together[0] > 1.8 * (alone[1] - alone[0])
    assert kappa_interval(flags(2, 0, 0, 3), np.zeros(5, dtype=np.intp), 0) is None


@pytest.mark.parametrize("counts", [(0, 0, 1, 11), (0, 80, 0, 120), (5, 3, 0, 0), (5, 0, 3, 0)])
def test_kappa_of_a_method_that_says_the_same_of_all_has_no_interval(counts) -> None:
    # It is 0 in every resample, which tells nothing of how sure that is.
    assert cohens_kappa(counts) == 0
    assert kappa_interval(flags(*counts), None, 0) is None


def compared(**changes) -> Compared:
    given = {
        "method": "layercam",
        "title": "LayerCAM",
        "evidence": True,
        "rows": np.arange(6),
        "own": ("attention", "attention", "unsupported", "unsupported", "untestable", None),
        "own_cues": ("hat", "hat", None, None, None, None),
        "other": ("attention", "unsupported", "attention", "unsupported", "attention", "attention"),
        "cues": ("hat", None, "hat", None, "hat", "hat"),
        "correlation": np.array([1, 0.5, 0, np.nan, np.nan, 0.5]),
        "errors": 6,
        "gates": ({"gate": "gate_maps", "outcome": "passed"},),
    }
    return Compared(**(given | changes))


def test_a_finding_by_hand() -> None:
    cases = pd.DataFrame({"label": ["a"] * 8})
    (found,) = agreement_findings(cases, "Grad-CAM", [compared()], 0)
    (row,) = found.table
    assert (found.kind, found.severity, found.n, found.value) == ("method_agreement", "info", 4, 0)
    names = ("both", "own_only", "other_only", "neither", "kappa", "correlation", "correlation_n")
    assert [row[name] for name in names] == [1, 1, 1, 1, 0, 0.5, 4]
    assert row["gate_maps"] == "passed"
    assert "Both queue 1, Grad-CAM alone 1, LayerCAM alone 1, neither 1." in found.text
    assert "were compared" not in found.text
    assert "no evidence" not in found.text


def test_what_a_finding_says_of_views_samples_and_failed_gates() -> None:
    cases = pd.DataFrame({"label": ["a"] * 8})
    gates = (
        {"gate": "gate_randomisation", "outcome": "not passed"},
        {"gate": "gate_noise", "outcome": "not passed"},
    )
    other = compared(evidence=False, errors=90, gates=gates)
    refused = Compared("cam", "CAM", True, "the head is no mean.")
    found, none = agreement_findings(cases, "Grad-CAM", [other, refused], 0)
    assert (
        "Of 90 errors, 6 were compared: first those that the audit's own maps can test"
        in found.text
    )
    assert "they do not pass the gate of random weights, the gate of noise." in found.text
    assert "It is a view, and no evidence." in found.text
    assert none.text == "CAM could not be compared with Grad-CAM: the head is no mean."
    assert (none.value, none.n, none.table[0]["problem"]) == (None, 0, "the head is no mean.")
    for one in (found, none):
        described = json.loads(json.dumps(one.described(), allow_nan=False))
        assert str(read(described["message"])) == described["text"] == one.text


def test_undefined_is_null_with_its_reason() -> None:
    cases = pd.DataFrame({"label": ["a"] * 8})
    all_of_them = ("attention",) * 6
    some = [
        compared(own=all_of_them, other=all_of_them),
        compared(own=("unsupported",) * 6, other=("unsupported",) * 6),
        compared(own=("untestable",) * 6, correlation=np.full(6, np.nan)),
    ]
    every, none, untestable = agreement_findings(cases, "Grad-CAM", some, 0)
    assert every.value is none.value is untestable.value is None
    assert "since both queue every one of 6 errors." in every.text
    assert "since both queue none of 6 errors." in none.text
    assert "since no error can be tested with both." in untestable.text
    assert "is undefined, since no error has two that vary" in untestable.text


# -- whole audits ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As tests/colours.py, and in half of the errors what outweighs the subject is no cue."""
    folder = tmp_path_factory.mktemp("blobs")
    random = np.random.default_rng(0)
    rows = []
    for number in range(60):
        label, other = ("red", "green") if number % 2 else ("green", "red")
        kind = number % 3  # right, wrong by the cue, wrong by something else
        place = 1 + int(random.integers(0, 5)), int(random.integers(0, 7))
        squares = {
            "thing": (label, 0, int(random.integers(0, 3)), 1, 2),
            "cue": (other, *place, 2, 3) if kind == 1 else (label, *place, 2, 3),
        }
        if kind == 2:
            squares["blob"] = (other, 7, 0, 1, 10)
        image, masks = draw(squares)
        name = f"{number:02d}"
        image.save(folder / f"{name}.png")
        row = {"image": f"{name}.png", "label": label}
        for region in ("thing", "cue"):
            Image.fromarray(masks[region]).save(folder / f"{name}.{region}.png")
            row[f"region.{region}"] = f"{name}.{region}.png"
        rows.append(row)
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
    return folder / "manifest.csv"


def audited(world: Path, out: Path, *methods: str, **settings) -> auditor.Run:
    config = DatasetConfig(path=world, format="manifest")
    return auditor.audit(
        classifier(),
        auditor.open_dataset(config, regions=ROLES),
        out,
        settings=auditor.Settings(evidence=0, methods=methods, **settings),
    )


def agreements(run: auditor.Run) -> list[dict]:
    return [found for found in run.findings if found["kind"] == "method_agreement"]


@pytest.fixture(scope="module")
def run(world: Path, tmp_path_factory: pytest.TempPathFactory) -> auditor.Run:
    out = tmp_path_factory.mktemp("runs") / "run"
    return audited(world, out, "gradcam", "eigencam", "cam")


def test_the_same_method_agrees_with_itself(run: auditor.Run) -> None:
    found = agreements(run)[0]
    (row,) = found["table"]
    assert row["both"] > 3
    assert row["neither"] > 3
    assert (row["own_only"], row["other_only"]) == (0, 0)
    assert found["value"] == 1
    assert 0 < found["low"] < found["high"] == 1
    assert row["correlation"] == pytest.approx(1)
    own = run.agreement[run.agreement["method"] == "gradcam"].set_index("id")
    assert not own.index.duplicated().any()
    errors = run.cases.set_index("id").loc[own.index]
    # By the very rule of the audit, but that its own maps are void in this world.
    assert (errors["map_evidence"] == "untestable").all()
    assert set(own["map_evidence"]) == {"attention", "unsupported", "untestable"} or set(
        own["map_evidence"]
    ) == {"attention", "unsupported"}
    assert (own.loc[own["map_evidence"] == "attention", "map_cue"] == "cue").all()


def test_the_rule_is_that_of_the_audit(world: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("auditor.pipeline.writing.voided", lambda *_: [])
    run = audited(world, tmp_path / "run", "gradcam")
    errors = run.cases[run.cases["correct"] == False].set_index("id")  # noqa: E712
    own = run.agreement.set_index("id").loc[errors.index]
    assert own["map_evidence"].tolist() == errors["map_evidence"].tolist()
    assert own["map_cue"].fillna("").tolist() == errors["map_cue"].fillna("").tolist()


def test_a_view_that_knows_no_class_has_no_margin_map(run: auditor.Run) -> None:
    found = agreements(run)[1]
    (row,) = found["table"]
    assert (found["value"], found["n"], row["correlation"]) == (None, 0, None)
    assert "It is a view, and no evidence." in found["text"]
    assert row["gate_maps"] == "not passed"
    eigen = run.agreement[run.agreement["method"] == "eigencam"]
    assert (eigen["map_evidence"] == "untestable").all()
    assert eigen["correlation"].isna().all()


def test_a_method_that_the_model_cannot_serve_is_said(run: auditor.Run) -> None:
    found = agreements(run)[2]
    assert found["value"] is None
    assert found["text"].startswith("CAM could not be compared with Grad-CAM: CAM needs a model")
    assert "cam" not in set(run.agreement["method"])


def test_what_a_later_image_shows_a_method_to_lack_stops_no_audit(
    world: Path, tmp_path: Path, monkeypatch
) -> None:
    def late(*_: object) -> None:
        raise ModelError("its terms miss the logit")

    monkeypatch.setattr(agreeing, "explained", late)
    (found,) = agreements(audited(world, tmp_path / "run", "layercam"))
    assert found["text"] == (
        "LayerCAM could not be compared with Grad-CAM: its terms miss the logit"
    )
    assert (found["value"], found["table"][0]["problem"]) == (None, "its terms miss the logit")


def test_no_flag_hangs_on_it(world: Path, run: auditor.Run, tmp_path: Path) -> None:
    plain = audited(world, tmp_path / "plain")
    pd.testing.assert_frame_equal(plain.cases, run.cases, check_exact=True)
    np.testing.assert_array_equal(plain.maps, run.maps)
    assert plain.findings == [f for f in run.findings if f["kind"] != "method_agreement"]
    assert (plain.agreement, plain.info["methods"]) == (None, [])
    assert run.info["methods"] == ["gradcam", "eigencam", "cam"]


def test_a_sample_is_drawn_by_the_seed_those_first_that_can_be_tested(
    world: Path, run: auditor.Run, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(agreeing, "MOST", 7)
    few = audited(world, tmp_path / "few", "layercam")
    again = audited(world, tmp_path / "again", "layercam", batch_size=3)
    (found,) = agreements(few)
    assert found["n"] == 7
    assert "Of 40 errors, 7 were compared: first those that the audit's own" in found["text"]
    assert set(few.agreement["method"]) == {"gradcam", "layercam"}  # its own beside it
    pd.testing.assert_frame_equal(few.agreement, again.agreement, rtol=0, atol=1e-9)
    assert agreements(again)[0]["text"] == found["text"]


def test_a_costly_method_is_run_on_few(world: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(agreeing, "MOST_COSTLY", 5)
    run = audited(world, tmp_path / "run", "scorecam")
    assert (run.agreement["method"] == "scorecam").sum() == 5


class Stop(Exception):
    pass


def test_a_method_that_was_compared_is_not_compared_again(
    world: Path, run: auditor.Run, tmp_path: Path, monkeypatch
) -> None:
    seen: list[tuple[int, int]] = []

    def stop(stage: str, done: int, total: int) -> None:
        if stage == "agreement":
            seen.append((done, total))
            if done > total / 2:
                raise Stop

    out = tmp_path / "run"
    dataset = auditor.open_dataset(DatasetConfig(path=world, format="manifest"), regions=ROLES)
    settings = auditor.Settings(evidence=0, methods=("gradcam", "eigencam", "cam"))
    with pytest.raises(Stop):
        auditor.audit(classifier(), dataset, out, settings=settings, progress=stop)
    assert seen[0][0] == 0
    written = [path.stem for path in (tmp_path / "run.part" / "views").iterdir()]
    assert "agreement-gradcam" in written
    with pytest.raises(RunError, match="methods was"):
        audited(world, out, "gradcam")
    judged: list[str] = []
    compare = agreeing.Agreeing._compare

    def counting(self, method, *rest):
        judged.append(method.title)
        return compare(self, method, *rest)

    monkeypatch.setattr(agreeing.Agreeing, "_compare", counting)
    continued = audited(world, out, "gradcam", "eigencam", "cam")
    assert "Grad-CAM" not in judged
    assert continued.findings == run.findings
    pd.testing.assert_frame_equal(continued.agreement, run.agreement, check_exact=True)
    with pytest.raises(RunError, match="methods differ"):
        audited(world, out, "gradcam")


def test_without_an_error_nothing_is_said_of_flags(project: Project) -> None:
    run = auditor.audit(
        auditor.load_classifier(project.config),
        auditor.open_dataset(project.config),
        project.folder / "run",
        settings=auditor.Settings(evidence=0, methods=("layercam",)),
    )
    (found,) = agreements(run)
    assert (found["value"], found["n"]) == (None, 0)
    assert "since no error can be tested with both" in found["text"]
    assert found["table"][0]["gate_randomisation"] in ("passed", "undecided", "not passed")
    assert len(run.agreement) == 0


def test_an_unknown_method_is_refused(world: Path, tmp_path: Path, project: Project) -> None:
    with pytest.raises(AuditorError, match=r"audit\.methods holds 'magic', which is not known"):
        audited(world, tmp_path / "run", "magic")
    project.replace("[regions]", '[audit]\nmethods = ["layercam"]\nlayers = 1\n\n[regions]')
    with pytest.raises(ConfigurationError, match=r"audit.layers is 1; give true or false"):
        read_config(project.config)
    project.replace("layers = 1", "layers = true\nfaithfulness = 3")
    asked = read_config(project.config).audit
    assert (asked.methods, asked.layers, asked.faithfulness) == (("layercam",), True, 3)
