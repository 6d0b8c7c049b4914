"""Layers over depth: which are chosen, and what their maps say, worked out by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import auditor
from auditor.cam import Layer, find_layer
from auditor.cam.depth import layers_over_depth
from auditor.configuration import DatasetConfig
from auditor.dashboard.attention import CORRECT, ERRORS, by_depth
from auditor.errors import RunError
from auditor.figures.depth import depth_curve
from auditor.findings import Sweep, depth_findings
from auditor.language import read
from auditor.models.operators import torchvision
from auditor.pipeline import sweeping
from tests.colours import Mean, classifier, draw
from tests.conftest import seeded

ROLES = auditor.RegionRoles(subject=("thing",), cues=("cue",), rest="background")
SHAPE = (3, 32, 40)


class Deep(nn.Module):
    """Twelve convolutions, of which every fourth halves the picture."""

    def __init__(self) -> None:
        super().__init__()
        widths = [3, *[6] * 12]
        self.features = nn.Sequential(
            *(
                nn.Conv2d(a, b, 3, 2 if n % 4 == 3 else 1, 1)
                for n, (a, b) in enumerate(pairwise(widths))
            )
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(6, 2)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.pool(self.features(images)).flatten(1))


def identity(output: Tensor) -> Tensor:
    return output


def deep() -> Deep:
    with seeded():
        return Deep().eval()


# -- layers ----------------------------------------------------------------------------------


def test_layers_lie_evenly_over_depth_and_follow_the_stimulus() -> None:
    module = deep()
    own = find_layer(module, identity, SHAPE)
    layers = layers_over_depth(module, identity, SHAPE, own, 5)
    # Twelve outputs, the last of which is the container's own.
    assert own.name == "features"
    names = [layer.name for layer in layers]
    assert names == ["features.0", "features.3", "features.6", "features.8", "features"]
    assert [layer.grid for layer in layers] == [(32, 40), (16, 20), (16, 20), (8, 10), (4, 5)]
    assert layers[-1] is own
    assert all(layer.follows > 0.5 for layer in layers)


@pytest.mark.parametrize("most", [1, 2, 3, 8, 40])
def test_the_audits_own_layer_is_always_among_them(most) -> None:
    module = deep()
    own = find_layer(module, identity, SHAPE, "features.5")
    layers = layers_over_depth(module, identity, SHAPE, own, most)
    assert len(layers) == min(most, 12)
    assert [layer.name for layer in layers].count("features.5") == 1
    assert len({layer.name for layer in layers}) == len(layers)


def test_a_layer_that_is_no_candidate_stands_where_it_runs() -> None:
    class Pooled(Deep):
        def __init__(self) -> None:
            super().__init__()
            self.features.insert(6, nn.MaxPool2d(2))

    with seeded():
        module = Pooled().eval()
    own = find_layer(module, identity, SHAPE, "features.6")
    names = [layer.name for layer in layers_over_depth(module, identity, SHAPE, own, 40)]
    assert names[5:8] == ["features.5", "features.6", "features.7"]


def test_layers_that_the_logits_do_not_hang_on_are_left_out() -> None:
    with seeded():
        module = torchvision().models.VisionTransformer(
            image_size=32, patch_size=8, num_layers=3, num_heads=2, hidden_dim=8, mlp_dim=16,
            num_classes=2,
        ).eval()  # fmt: skip
        nn.init.normal_(module.heads.head.weight)
    own = find_layer(module, identity, (3, 32, 32))
    layers = layers_over_depth(module, identity, (3, 32, 32), own, 40)
    assert own.name in [layer.name for layer in layers]
    # After the last attention the class token alone counts.
    last = layers[-1]
    assert "encoder_layer_2.mlp" not in last.name
    assert all(layer.grid == (4, 4) for layer in layers)


def test_branches_that_a_path_leads_around_are_left_out() -> None:
    with seeded():
        module = torchvision().models.resnet18(num_classes=2).eval()
    own = find_layer(module, identity, (3, 64, 64))
    names = [layer.name for layer in layers_over_depth(module, identity, (3, 64, 64), own, 40)]
    assert names == ["conv1", "relu", "layer1.0", "layer1", "layer2.0", "layer2", "layer3.0",
                     "layer3", "layer4.0", "layer4"]  # fmt: skip


@pytest.mark.parametrize("name", ["layer4", "layer4.1"])
def test_a_layer_under_another_name_is_no_other_layer(name: str) -> None:
    with seeded():
        module = torchvision().models.resnet18(num_classes=2).eval()
    own = find_layer(module, identity, (3, 64, 64), name)
    names = [layer.name for layer in layers_over_depth(module, identity, (3, 64, 64), own, 40)]
    assert names == ["conv1", "relu", "layer1.0", "layer1", "layer2.0", "layer2", "layer3.0",
                     "layer3", "layer4.0", name]  # fmt: skip


def test_what_is_written_into_the_layers_tensor_is_another_layer() -> None:
    with seeded():
        module = torchvision().models.resnet18(num_classes=2).eval()
    own = find_layer(module, identity, (3, 64, 64), "bn1")  # of which `relu` keeps what is above 0
    names = [layer.name for layer in layers_over_depth(module, identity, (3, 64, 64), own, 40)]
    assert names[:4] == ["conv1", "bn1", "relu", "layer1.0"]


def test_the_module_is_left_as_it_was() -> None:
    module = deep().train()
    own = Layer("features", "NCHW", (4, 5))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with torch.inference_mode():
        layers_over_depth(module, identity, SHAPE, own)
    assert module.training
    assert all(parameter.requires_grad for parameter in module.parameters())
    assert all(not part._forward_hooks for part in module.modules())
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name])
    with pytest.raises(ValueError, match="0 layers"):
        layers_over_depth(module, identity, SHAPE, own, 0)


# -- the finding -------------------------------------------------------------------------------


def sweep(mass: np.ndarray, area: np.ndarray, wrong: list[bool]) -> Sweep:
    layers = tuple(
        {"name": name, "grid": [4, 5], "follows": 0.9, "own": name == "late", "problem": None}
        for name in ("early", "late")
    )
    return Sweep(
        "Grad-CAM", layers, np.arange(len(wrong)), np.array(wrong), ("subject", "hat"), mass, area
    )


def test_means_and_lifts_by_hand() -> None:
    wrong = [True, True, True, False]
    mass = np.full((2, 4, 2), np.nan)
    area = np.full((2, 4, 2), np.nan)
    mass[0, :, 1], area[0, :, 1] = [0.1, 0.2, 0.3, 0.5], [0.1, 0.2, 0.3, 0.25]
    mass[1, :3, 1], area[1, :3, 1] = [0.4, 0.6, np.nan], [0.2, 0.2, np.nan]
    cases = pd.DataFrame({"label": ["a"] * 4})
    (found,) = depth_findings(cases, sweep(mass, area, wrong), 0)
    assert (found.kind, found.severity, found.n, len(found.table)) == ("layers", "info", 4, 8)
    rows = {(row["layer"], row["region"], row["outcome"]): row for row in found.table}
    early = rows["early", "hat", "errors"]
    assert (early["n"], early["mass"], early["area"]) == (3, pytest.approx(0.2), pytest.approx(0.2))
    assert early["lift"] == pytest.approx(1)
    assert early["lift_low"] == pytest.approx(1)  # each case's mass is its area
    assert early["mass_low"] < 0.2 < early["mass_high"]
    late = rows["late", "hat", "errors"]
    assert (late["n"], late["mass"], late["lift"]) == (2, pytest.approx(0.5), pytest.approx(2.5))
    one = rows["early", "hat", "correct"]
    assert (one["n"], one["lift"], one["mass_low"], one["lift_low"]) == (1, 2, None, None)
    none = rows["late", "subject", "errors"]
    assert (none["n"], none["mass"], none["lift"], none["area"]) == (0, None, None, None)
    assert "Cue 'hat' has a lift of 1.00 at 'early'" in found.text
    assert "and of 2.50 at 'late'" in found.text
    assert "No verdict rests on maps from layers other than 'late'" in found.text
    described = json.loads(json.dumps(found.described(), allow_nan=False))
    assert str(read(described["message"])) == found.text


def test_clusters_are_kept_together() -> None:
    values = np.random.default_rng(0).random(10)
    mass = np.repeat(values, 4)[None, :, None].repeat(2, 0).repeat(2, 2)
    measured = sweep(mass, np.full_like(mass, 0.5), [True] * 40)
    alone = pd.DataFrame({"label": ["a"] * 40})
    together = alone.assign(cluster=np.repeat([f"c{i}" for i in range(10)], 4))
    widths = []
    for cases in (alone, together):
        row = depth_findings(cases, measured, 0)[0].table[0]
        widths.append(row["mass_high"] - row["mass_low"])
        assert row["lift_low"] <= row["lift"] <= row["lift_high"]
    assert widths[1] > 1.4 * widths[0]


# -- whole audits ------------------------------------------------------------------------------


class Edges(Mean):
    """Where colours begin on the left; colours of 4×4 pixels; those of blocks of 2×2 such cells."""

    def __init__(self) -> None:
        super().__init__()
        self.edges = nn.Conv2d(3, 3, (1, 2), bias=False)
        self.blocks = nn.Conv2d(2, 2, 2, 2, bias=False)
        with torch.no_grad():
            self.blocks.weight.zero_()
            for channel in (0, 1):
                self.blocks.weight[channel, channel] = 1
            self.edges.weight.zero_()
            for channel in (0, 1, 2):
                self.edges.weight[channel, channel, 0] = torch.tensor([-1.0, 1.0])

    def forward(self, images: Tensor) -> Tensor:
        # From the edges, the picture again: its first column is black.
        seen = nn.functional.pad(self.edges(images), (1, 0)).cumsum(3)
        return self.pool(self.blocks(self.cells(seen))).flatten(1) * 100


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six errors and two correct cases; the cue covers a block of cells, and half of another."""
    folder = tmp_path_factory.mktemp("deep")
    rows = []
    for number in range(8):
        label, other = ("red", "green") if number % 2 else ("green", "red")
        wrong = number < 6
        cue = (other if wrong else label, 4, 1, 2, 3)
        image, masks = draw({"thing": (label, 0, 6, 2, 2), "cue": cue})
        image.save(folder / f"{number}.png")
        row = {"image": f"{number}.png", "label": label}
        for region, mask in masks.items():
            Image.fromarray(mask).save(folder / f"{number}.{region}.png")
            row[f"region.{region}"] = f"{number}.{region}.png"
        rows.append(row)
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
    return folder / "manifest.csv"


def audited(manifest: Path, out: Path, layers: bool = True, **settings) -> auditor.Run:
    config = DatasetConfig(path=manifest, format="manifest")
    return auditor.audit(
        classifier(module=Edges(), layer="blocks"),
        auditor.open_dataset(config, regions=ROLES),
        out,
        settings=auditor.Settings(evidence=0, layers=layers, **settings),
    )


@pytest.fixture(scope="module")
def run(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> auditor.Run:
    return audited(manifest, tmp_path_factory.mktemp("runs") / "run")


def rows_of(run: auditor.Run) -> dict[tuple[str, str, str], dict]:
    (found,) = [found for found in run.findings if found["kind"] == "layers"]
    return {(row["layer"], row["region"], row["outcome"]): row for row in found["table"]}


def test_mass_by_layer_by_hand(run: auditor.Run) -> None:
    rows = rows_of(run)
    assert list(dict.fromkeys(layer for layer, _, _ in rows)) == ["edges", "cells", "blocks"]
    assert [rows[layer, "cue", "errors"]["own"] for layer in ("edges", "cells", "blocks")] == [
        False,
        False,
        True,
    ]
    # On cells the map is the cue; blocks hold a cell outside it: half a block of value 2, and
    # a whole one of value 4.
    cells, blocks = rows["cells", "cue", "errors"], rows["blocks", "cue", "errors"]
    assert (cells["n"], cells["mass"], cells["lift"]) == (
        6,
        pytest.approx(1),
        pytest.approx(80 / 6),
    )
    assert blocks["mass"] == pytest.approx((2 / 2 + 4) / 6)
    assert blocks["area"] == pytest.approx(6 / 80)
    assert rows["blocks", "subject", "errors"]["mass"] == 0
    right = rows["cells", "cue", "correct"]
    assert (right["n"], right["mass"]) == (2, pytest.approx(6 / 10))
    assert rows["cells", "subject", "correct"]["mass"] == pytest.approx(4 / 10)
    # Early, only where the cue begins: in cells of 40/39 pixels, a tenth of which is the cue's.
    edges = rows["edges", "cue", "errors"]
    assert (edges["mass"], edges["lift"]) == (pytest.approx(0.1), pytest.approx(0.1 / 0.075))
    assert [(row["height"], row["width"]) for row in (edges, cells, blocks)] == [
        (32, 39),
        (8, 10),
        (4, 5),
    ]
    assert run.info["layers"] is True


def test_nothing_else_changes_and_batch_size_does_not_matter(
    manifest: Path, run: auditor.Run, tmp_path: Path
) -> None:
    plain = audited(manifest, tmp_path / "plain", layers=False)
    pd.testing.assert_frame_equal(plain.cases, run.cases, check_exact=True)
    assert plain.findings == [found for found in run.findings if found["kind"] != "layers"]
    assert by_depth(plain) is None
    ones = rows_of(audited(manifest, tmp_path / "ones", batch_size=1))
    for key, row in rows_of(run).items():
        for name in ("n", "mass", "lift", "area"):
            assert ones[key][name] == pytest.approx(row[name], abs=1e-6)


def test_the_sample_is_half_errors(manifest: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(sweeping, "MOST", 4)
    rows = rows_of(audited(manifest, tmp_path / "run"))
    assert [rows["cells", "cue", outcome]["n"] for outcome in ("errors", "correct")] == [2, 2]
    monkeypatch.setattr(sweeping, "MOST", 7)
    rows = rows_of(audited(manifest, tmp_path / "more"))
    assert [rows["cells", "cue", outcome]["n"] for outcome in ("errors", "correct")] == [5, 2]


class Stop(Exception):
    pass


def test_an_interrupted_sweep_gives_the_same(
    manifest: Path, run: auditor.Run, tmp_path: Path
) -> None:
    def stop(stage: str, done: int, total: int) -> None:
        if stage == "layers" and done:
            raise Stop

    dataset = auditor.open_dataset(DatasetConfig(path=manifest, format="manifest"), regions=ROLES)
    settings = auditor.Settings(evidence=0, layers=True, batch_size=3)
    with pytest.raises(Stop):
        auditor.audit(
            classifier(module=Edges(), layer="blocks"),
            dataset,
            tmp_path / "run",
            settings=settings,
            progress=stop,
        )
    with pytest.raises(RunError, match="layers was true, is false"):
        audited(manifest, tmp_path / "run", layers=False)
    assert audited(manifest, tmp_path / "run").findings == run.findings


def test_a_layer_at_which_the_method_cannot_be_had_is_said() -> None:
    nothing = np.full((2, 2, 2), np.nan)
    measured = sweep(nothing, nothing, [True, False])
    early, late = measured.layers
    refused = replace(measured, layers=({**early, "problem": "CAM needs more."}, late))
    (found,) = depth_findings(pd.DataFrame({"label": ["a"] * 2}), refused, 0)
    told = {(row["layer"], row["problem"], row["n"]) for row in found.table}
    assert told == {("early", "CAM needs more.", 0), ("late", None, 0)}


def test_without_a_case_with_regions_it_is_said() -> None:
    none = Sweep(
        "Grad-CAM",
        (),
        np.zeros(0, np.intp),
        np.zeros(0, bool),
        ("subject",),
        *[np.zeros((0, 0, 1))] * 2,
    )
    (found,) = depth_findings(pd.DataFrame({"label": []}), none, 0)
    assert (found.n, found.table) == (0, ())
    assert "since no case has both regions and a prediction" in found.text


# -- the chart ---------------------------------------------------------------------------------


def test_the_chart_shows_every_layer_and_marks_the_audits_own(run: auditor.Run) -> None:
    table = by_depth(run)
    assert set(table["outcome"]) == {ERRORS, CORRECT}
    cue = table[table["region"] == "cue"]
    figure = depth_curve(cue, "lift")
    errors = next(trace for trace in figure.data if trace.name == ERRORS)
    assert list(errors.x) == [0, 1, 2]
    assert errors.y[1] == pytest.approx(80 / 6)
    assert errors.hovertext[1].startswith("cells: lift 13.33")
    assert [text.split("<br>")[0] for text in figure.layout.xaxis.ticktext] == [
        "edges",
        "cells",
        "blocks",
    ]
    lines = [shape for shape in figure.layout.shapes if shape.x0 == shape.x1 == 2]
    assert len(lines) == 1
    mass = depth_curve(cue, "mass")
    chance = next(trace for trace in mass.data if trace.name == "chance (mean area)")
    assert chance.y[1] == pytest.approx(6 / 80)
