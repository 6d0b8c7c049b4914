"""What every explanation method keeps to, and what the papers prove of each."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import auditor
from auditor.cam import FOLLOWS, METHODS, Layer, Look, explain, find_layer, inspected
from auditor.cam.area import pooled, spread
from auditor.cam.explanation import view
from auditor.cam.leaf import Pass
from auditor.cam.methods import pairs
from auditor.cam.methods.fullgradient import decomposed
from auditor.cam.methods.gradients import (
    counterfactual,
    gradcam,
    gradcam_plus_plus,
    hirescam,
    layercam,
    xgradcam,
)
from auditor.cam.methods.listing import table
from auditor.errors import AuditorError, ModelError
from auditor.geometry import Preprocess
from auditor.models import Classifier
from auditor.models.operators import torchvision
from auditor.pipeline.checking import check_maps
from tests.conftest import Project, seeded

DOC = Path(__file__).parent.parent / "docs" / "methods.md"
VIEWS = {"eigencam", "guidedbackprop", "guidedgradcam", "counterfactual"}
LINEAR = ("gradcam", "cam", "xgradcam", "hirescam", "ablationcam", "fullgrad", "counterfactual")
AGAIN = ("cam", "ablationcam", "scorecam", "fullgrad", "guidedbackprop", "guidedgradcam")
"""Methods that run the model again."""

SIZE, GRID, LAYER = (16, 24), (4, 6), "features"


def same(output: Tensor) -> Tensor:
    return output


class Net(nn.Module):
    """Convolutions, a normalisation, ReLUs, the mean, a linear layer: what every method takes."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 6, 4, 4),
            nn.BatchNorm2d(6),
            nn.ReLU(inplace=True),
            nn.Conv2d(6, 8, 3, padding=1),
            nn.ReLU(inplace=True),
        )
        self.fc = nn.Linear(8, classes)
        self.fuse = -1
        """Forward passes until one fails; below 0 for never."""

    def forward(self, images: Tensor) -> Tensor:
        logits = self.fc(self.features(images).mean((2, 3)))
        self.fuse -= 1
        if self.fuse == -1:
            raise KeyError("the model has failed")
        return logits


@pytest.fixture
def net() -> Net:
    return made(Net)


def made(kind: Any, *arguments: Any) -> Any:
    """A network with statistics and biases that are not those it starts with."""
    with seeded():
        network = kind(*arguments)
        for part in network.modules():
            if isinstance(part, nn.BatchNorm2d):
                nn.init.uniform_(part.running_mean, -1, 1)
                nn.init.uniform_(part.running_var, 0.5, 2)
                nn.init.uniform_(part.weight, 0.5, 2)
                nn.init.uniform_(part.bias, -1, 1)
    return network


class Sequence(nn.Module):
    """As `Net`, of tokens that come before the batch; the class token is the first of them."""

    def __init__(self) -> None:
        super().__init__()
        self.cut = nn.Conv2d(3, 8, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.inner = nn.Sequential(nn.Linear(8, 8), nn.ReLU())
        self.features = nn.Sequential(nn.Linear(8, 8), nn.ReLU())
        self.fc = nn.Linear(8, 3)

    def forward(self, images: Tensor) -> Tensor:
        cells = self.cut(images).flatten(2).permute(2, 0, 1)
        tokens = self.inner(torch.cat([self.token.expand(-1, len(images), -1), cells]))
        tokens = self.features(tokens + tokens.mean(0))  # each token learns of the others
        return self.fc(tokens[1:].mean(0))


class Attending(nn.Module):
    """A transformer whose tokens come before the batch, and whose class token decides."""

    def __init__(self) -> None:
        super().__init__()
        self.cut = nn.Conv2d(3, 8, 8, 8)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.blocks = nn.Sequential(*(nn.TransformerEncoderLayer(8, 2, 16) for _ in range(2)))
        self.fc = nn.Linear(8, 3)

    def forward(self, images: Tensor) -> Tensor:
        cells = self.cut(images).flatten(2).permute(2, 0, 1)
        return self.fc(self.blocks(torch.cat([self.token.expand(-1, len(images), -1), cells]))[0])


def pictures(count: int = 3, size: tuple[int, int] = SIZE) -> Tensor:
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(1))


TARGETS = torch.tensor([2, 0, 1])
FIVE = torch.tensor([2, 0, 1, 2, 1])


@contextmanager
def looked(
    module: nn.Module,
    images: Tensor | None = None,
    layer: Layer | None = None,
    to_logits: Any = same,
) -> Iterator[Look]:
    images = pictures() if images is None else images
    with inspected(module), torch.enable_grad():
        yield Look.at(module, to_logits, layer or Layer(LAYER, "NCHW", GRID), images)


def maps_of(key: str, module: nn.Module, images: Tensor, targets: Tensor, **how: Any) -> Tensor:
    with looked(module, images, **how) as look:
        return METHODS[key].native(look, targets)


# -- the contract -------------------------------------------------------------------------


def test_the_table_of_methods():
    assert list(METHODS) == [
        *("gradcam", "cam", "gradcam++", "xgradcam", "hirescam", "layercam", "ablationcam"),
        *("scorecam", "eigencam", "fullgrad", "guidedbackprop", "guidedgradcam"),
        "counterfactual",
    ]
    assert {key for key, method in METHODS.items() if not method.evidence} == VIEWS
    for method in METHODS.values():
        for column in fields(method):
            assert getattr(method, column.name) not in ("", None)
        # A formula of `channels`, and of nothing else.
        assert eval(method.passes, {"__builtins__": {}}, {"channels": 512}) in (0, 6, 512)  # noqa: S307


WALKED = {
    "convolutional": (Net, Layer(LAYER, "NCHW", GRID)),
    "LND": (Sequence, Layer(LAYER, "LND", GRID, prefix=1)),
}


@pytest.mark.parametrize("kind", WALKED)
@pytest.mark.parametrize("key", METHODS)
def test_contract(key: str, kind: str):
    network, layer = WALKED[kind]
    net, method, images, targets = made(network), METHODS[key], pictures(5), FIVE
    how = {"layer": layer}
    found = maps_of(key, net, images, targets, **how)
    assert found.shape == (5, *(SIZE if method.resolution == "input" else GRID))
    assert found.dtype == torch.float32
    assert not found.requires_grad
    assert bool(torch.isfinite(found).all())
    assert bool((found != 0).any())
    torch.testing.assert_close(maps_of(key, net, images, targets, **how), found, rtol=0, atol=0)
    for count in (1, 2, 4):  # the images may come in any parts
        parts = zip(images.split(count), targets.split(count), strict=True)
        apart = torch.cat([maps_of(key, net, *part, **how) for part in parts])
        torch.testing.assert_close(apart, found, rtol=1e-5, atol=1e-6)
    with looked(net, images, **how) as look:
        assert look.closes()
        assert method.maps(look, targets).shape == (5, *GRID)
        # The order of two questions to one look does not matter.
        other = method.native(look, targets.roll(1))
        torch.testing.assert_close(method.native(look, targets), found)
        if key != "eigencam":
            assert not torch.allclose(other, found)


@pytest.mark.parametrize("key", METHODS)
def test_a_turned_look_is_a_look_at_the_model_with_its_head_negated(key: str, net: Net):
    negated = copy.deepcopy(net)
    with torch.no_grad():
        negated.fc.weight.neg_()
        negated.fc.bias.neg_()
    with looked(net) as look:
        METHODS[key].native(look, TARGETS)  # what it keeps is kept for both signs
        turned = METHODS[key].native(look.turned(), TARGETS)
        back = METHODS[key].native(look.turned().turned(), TARGETS)
        as_it_is = METHODS[key].native(look, TARGETS)
    torch.testing.assert_close(turned, maps_of(key, negated, pictures(), TARGETS))
    torch.testing.assert_close(back, as_it_is)
    if key in LINEAR:
        torch.testing.assert_close(turned, -as_it_is)


def state(module: nn.Module) -> dict[str, Any]:
    """All of a module that a method could leave changed."""
    found: dict[str, Any] = {name: value.clone() for name, value in module.state_dict().items()}
    for name, part in module.named_modules():
        hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
        found[f"{name}!"] = [id(part), part.training, *(len(getattr(part, h)) for h in hooks)]
        found[f"{name}!"] += [getattr(part, "inplace", None), "forward" in vars(part)]
    for name, parameter in module.named_parameters():
        found[f"{name}?"] = [parameter.requires_grad, parameter.grad is None]
    return found


def unchanged(module: nn.Module, before: dict[str, Any]) -> bool:
    after = state(module)
    return list(after) == list(before) and all(
        torch.equal(value, before[name]) if isinstance(value, Tensor) else value == before[name]
        for name, value in after.items()
    )


@pytest.mark.parametrize("key", METHODS)
def test_the_module_is_left_as_it_was_found(key: str, net: Net):
    net.features[0].weight.requires_grad_(False)
    net.features[1].train(False)
    before, images = state(net), pictures()
    kept = images.clone()
    with looked(net, images) as look:
        held = state(net)
        METHODS[key].native(look, TARGETS)
        assert unchanged(net, held)
    assert unchanged(net, before)
    assert torch.equal(images, kept)
    assert not images.requires_grad
    assert torch.is_grad_enabled()
    assert F.relu(torch.tensor(-1.0)) == 0


@pytest.mark.parametrize("key", AGAIN)
def test_the_module_is_left_as_it_was_found_after_an_exception(key: str, net: Net):
    before = state(net)

    def fail() -> None:
        with looked(net) as look:
            net.fuse = 0
            METHODS[key].native(look, TARGETS)

    with pytest.raises(KeyError, match="the model has failed"):
        fail()
    assert unchanged(net, before)
    values = torch.tensor([-1.0, 1.0], requires_grad=True)
    F.relu(values * 1).sum().neg().backward()
    assert values.grad.tolist() == [0, -1]  # no ReLU is guided any more


@pytest.mark.parametrize("key", METHODS)
def test_constant_logits_give_maps_without_evidence(key: str, net: Net):
    nn.init.zeros_(net.fc.weight)
    flat = maps_of(key, net, pictures(), TARGETS)
    none = maps_of(key, net, pictures(), TARGETS, to_logits=lambda out: torch.ones(len(out), 3))
    for found in (flat, none):
        assert bool(torch.isfinite(found).all())
        if key not in ("scorecam", "eigencam"):
            assert found.abs().max() < 1e-6
    if key == "scorecam":  # every channel scores the same
        with looked(net) as look:
            torch.testing.assert_close(flat, look.activations.mean(1))


@pytest.mark.parametrize("key", METHODS)
def test_one_image_that_is_not_finite_does_not_touch_the_others(key: str, net: Net):
    images = pictures()
    images[1] = torch.nan
    kept = [0, 2]
    found = maps_of(key, net, images, TARGETS)
    alone = maps_of(key, net, images[kept], TARGETS[kept])
    torch.testing.assert_close(found[kept], alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("key", METHODS)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_explaining_in_any_gradient_mode(key: str, mode: Any, net: Net):
    layer, labels = Layer(LAYER, "NCHW", GRID), torch.tensor([0, 0, 0])
    with inspected(net):
        free = explain(net, same, layer, pictures(), labels, METHODS[key])
        with mode():
            found = explain(net, same, layer, pictures(), labels, METHODS[key])
    assert found.maps.shape == (3, 3, *GRID)
    assert not found.maps.requires_grad
    torch.testing.assert_close(found.maps, free.maps)
    torch.testing.assert_close(found.maps[:, 2], found.maps[:, 0] - found.maps[:, 1])


@pytest.mark.parametrize("key", METHODS)
def test_the_gates_run_with_every_method(key: str, net: Net):
    classifier = Classifier(net.eval(), ("a", "b", "c"), Preprocess(resize=SIZE, crop=None))
    pixels = np.random.default_rng(0).integers(0, 256, (5, *SIZE, 3), dtype=np.uint8)
    before = state(net)
    layer = Layer(LAYER, "NCHW", GRID)
    labels = np.arange(5) % 3
    checks = check_maps(classifier, layer, METHODS[key], pixels, labels, 0, 2)
    assert unchanged(net, before)
    if key == "eigencam":  # the maps of two classes are one map
        assert checks.classes == pytest.approx(1)
        assert set(checks.reasons) == {"noise"}
    else:
        assert checks.n == 5
        assert not checks.reasons
        assert len(checks.randomised) == 4
        assert checks.noise > 0.5
    if key in LINEAR:  # the turned map takes all likeness away
        assert max(map(abs, checks.randomised)) < 1e-6


# -- maps of one grid on another ----------------------------------------------------------


def test_area_by_hand():
    row = torch.tensor([[[1.0, 2.0, 4.0]]])  # [1, 1, 3]
    # Each of two cells covers one and a half of three.
    torch.testing.assert_close(pooled(row, (1, 2)), torch.tensor([[[2 / 1.5, 5 / 1.5]]]))
    assert spread(row, (1, 2)).tolist() == [[[2, 5]]]
    assert spread(row[..., :2], (1, 3)).tolist()[0][0] == pytest.approx([2 / 3, 1, 4 / 3])
    assert spread(row, (2, 3)).tolist() == [[[0.5, 1, 2], [0.5, 1, 2]]]


@pytest.mark.parametrize("grid", [(1, 1), (2, 3), (4, 6), (3, 7), (8, 12), (16, 25)])
def test_area_keeps_means_and_sums(grid: tuple[int, int]):
    maps = pictures(2, (8, 12))[:, 0]
    torch.testing.assert_close(pooled(maps, grid).mean((1, 2)), maps.mean((1, 2)))
    torch.testing.assert_close(spread(maps, grid).sum((1, 2)), maps.sum((1, 2)))
    if 8 % grid[0] == 0 and 12 % grid[1] == 0:
        torch.testing.assert_close(pooled(maps, grid), F.adaptive_avg_pool2d(maps, grid))


def test_maps_of_the_input_are_pooled_to_be_measured_and_whole_to_be_seen(net: Net):
    layer, labels = Layer(LAYER, "NCHW", GRID), torch.tensor([0, 0, 0])
    with inspected(net):
        found = explain(net, same, layer, pictures(), labels, METHODS["fullgrad"])
        seen = view(net, same, layer, pictures(), found.predicted, METHODS["fullgrad"])
    assert seen.shape == (3, *SIZE)
    torch.testing.assert_close(found.maps[:, 0], F.adaptive_avg_pool2d(seen, GRID))


# -- layouts ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (Layer("x", "NCHW", (2, 3)), (2, 5, 2, 3)),
        (Layer("x", "NHWC", (2, 3)), (2, 2, 3, 5)),
        (Layer("x", "tokens", (2, 3)), (2, 6, 5)),
        (Layer("x", "tokens", (2, 3), prefix=2), (2, 8, 5)),
        (Layer("x", "LND", (2, 3)), (6, 2, 5)),
        (Layer("x", "LND", (2, 3), prefix=2), (8, 2, 5)),
    ],
)
def test_placing_cells_inverts_the_layout(layer: Layer, shape: tuple[int, ...]):
    output = torch.arange(float(np.prod(shape))).view(shape)
    inside = layer.spatial(output)
    assert inside.shape == (2, 5, 2, 3)
    assert torch.equal(layer.placed(inside, output), output)
    changed = layer.placed(inside.flip(0) + 100, output)
    assert torch.equal(layer.spatial(changed), inside.flip(0) + 100)
    if layer.layout == "LND":
        assert torch.equal(changed[: layer.prefix], output[: layer.prefix])
    elif layer.prefix:
        assert torch.equal(changed[:, : layer.prefix], output[:, : layer.prefix])
    rows = torch.tensor([1, 0, 1])
    assert torch.equal(layer.spatial(layer.rows(output, rows)), inside[rows])


def transformer(kind: str, seed: int = 2) -> nn.Module:
    """A network of 32×32 pixels, not trained; "rectified" is a "vit" with a ReLU in its middle."""
    models = torchvision().models
    with seeded(seed):
        if kind == "swin":
            return models.SwinTransformer([4, 4], 16, [1, 1], [2, 2], [2, 2], num_classes=4).eval()
        network = models.VisionTransformer(32, 8, 2, 2, 32, 64, num_classes=4)
        nn.init.normal_(network.heads.head.weight)  # torchvision starts it at zero
        if kind == "rectified":
            network.encoder.layers[0] = nn.Sequential(network.encoder.layers[0], nn.ReLU())
        return network.eval()


def following(key: str, network: nn.Module, layer: Layer) -> list[float]:
    """How a patch's place correlates with the centre of a map's answer, by rows and columns."""
    generator = torch.Generator().manual_seed(3)
    images = 0.1 * torch.randn(1, 3, 32, 32, generator=generator).repeat(10, 1, 1, 1)
    patch = 2 * torch.randn(3, 10, 10, generator=generator)
    places = torch.tensor([(row, column) for row in (0, 11, 22) for column in (0, 11, 22)])
    for image, (row, column) in zip(images[1:], places.tolist(), strict=True):
        image[:, row : row + 10, column : column + 10] += patch
    answer = torch.zeros(9, *layer.grid)
    with looked(network, images, layer) as look:
        for target in range(4):
            maps = METHODS[key].native(look, torch.full((10,), target))
            change = (maps[1:] - maps[:1]).square()
            answer += change / change.sum((1, 2), keepdim=True)
    centres = [(answer.sum(3 - axis) * torch.arange(4)).sum(1) / 4 for axis in (1, 2)]
    pairs_of = zip(centres, places.T.float(), strict=True)
    return [float(torch.corrcoef(torch.stack(pair))[0, 1]) for pair in pairs_of]


LAYERS_ONLY = [key for key in METHODS if METHODS[key].resolution == "layer" and key != "cam"]
FOLLOWED = [
    *(("vit", key) for key in LAYERS_ONLY if key != "xgradcam"),
    # Its weights are unbounded where channels cancel, as they do in a layer normalisation.
    ("rectified", "xgradcam"),
    *(("swin", key) for key in LAYERS_ONLY),
]


@pytest.mark.parametrize(("kind", "key"), FOLLOWED)
def test_maps_follow_a_patch_that_is_moved(kind: str, key: str):
    found = []
    for seed in range(5):  # networks that are not trained differ much
        network = transformer(kind, seed)
        name = "encoder.layers.encoder_layer_0" if kind == "rectified" else "auto"
        layer = find_layer(network, same, (3, 32, 32), name)
        assert layer.grid == (4, 4)
        found.append(following(key, network, layer))
    assert np.mean(found, axis=0).min() > FOLLOWS


def test_what_a_transformer_cannot_serve_is_said():
    images = pictures(2, (32, 32))
    for kind in ("vit", "swin"):
        network = transformer(kind)
        layer = find_layer(network, same, (3, 32, 32))
        how = {"layer": layer}
        for key in ("guidedbackprop", "guidedgradcam"):
            with pytest.raises(ModelError, match=r"needs ReLUs .* GELU or SiLU have none"):
                maps_of(key, network, images, TARGETS[:2], **how)
        with pytest.raises(ModelError, match=r"FullGrad's terms miss \d+% of this model's logits"):
            maps_of("fullgrad", network, images, TARGETS[:2], **how)
        if kind == "vit":
            with pytest.raises(ModelError, match="CAM needs a model that takes the mean"):
                maps_of("cam", network, images, TARGETS[:2], **how)


# -- the formulas by hand -----------------------------------------------------------------


def values(*channels: list[list[float]]) -> Tensor:
    return torch.tensor([channels], dtype=torch.float32)


A = values([[1, 2, 0], [0, 1, 4]], [[3, 0, 1], [1, 1, 0]])
G = values([[1, 0, -1], [2, 0, 4]], [[-1, 3, 0], [0, -2, 0]])


def test_formulas_by_hand():
    # Means of the gradients: 1 and 0.
    assert gradcam(A, G).tolist() == [[[1, 2, 0], [0, 1, 4]]]
    assert counterfactual(A, G).tolist() == [[[-1, -2, 0], [0, -1, -4]]]
    # 1·1 − 3·1, 0 + 0, 0 + 0; 0 + 0, 0 − 1·2, 4·4 + 0.
    assert hirescam(A, G).tolist() == [[[-2, 0, 0], [0, -2, 16]]]
    assert layercam(A, G).tolist() == [[[1, 0, 0], [0, 0, 16]]]
    # Channel sums 8 and 6; ΣA·g is 17 and −5.
    weights = [17 / 8, -5 / 6]
    torch.testing.assert_close(xgradcam(A, G)[0], weights[0] * A[0, 0] + weights[1] * A[0, 1])
    # α ReLU(g) = g / (2 + ΣA·g): of g = 1, 2, 4 at a sum of 8; of g = 3 at a sum of 6.
    weights = [1 / 10 + 2 / 18 + 4 / 34, 3 / 20]
    torch.testing.assert_close(
        gradcam_plus_plus(A, G)[0], weights[0] * A[0, 0] + weights[1] * A[0, 1]
    )


def test_formulas_where_a_denominator_is_0():
    nothing = torch.zeros_like(A)
    for formula in (gradcam, counterfactual, hirescam, layercam, xgradcam, gradcam_plus_plus):
        assert formula(nothing, G).tolist() == nothing[:, 0].tolist()
        assert formula(A, nothing).abs().max() == 0
    cancelled = values([[1, -1], [2, -2]])
    assert xgradcam(cancelled, torch.ones_like(cancelled)).abs().max() == 0
    pole = values([[-1, 0], [-1, 0]])  # 2 + ΣA·g = 0
    assert gradcam_plus_plus(pole, torch.ones_like(pole)).abs().max() == 0


def test_gradients_too_small_to_be_squared():
    # g² underflows in float32; 1 / (2 + ΣA·g) does not.
    tiny = torch.full_like(A, 1e-30)
    torch.testing.assert_close(gradcam_plus_plus(A, tiny)[0] * 1e30, 3 * A[0].sum(0))


# -- what the papers prove ----------------------------------------------------------------


def target_logits(look: Look) -> Tensor:
    return look.logits.detach().gather(1, TARGETS[:, None])[:, 0]


def test_cam_is_gradcam_on_a_pooled_head(net: Net):
    with looked(net) as look:
        cam, grad = (METHODS[key].native(look, TARGETS) for key in ("cam", "gradcam"))
        torch.testing.assert_close(cam, grad, rtol=1e-5, atol=1e-7)
        total = cam.sum((1, 2)) + net.fc.bias[TARGETS]
        torch.testing.assert_close(total, target_logits(look))


@pytest.mark.parametrize(
    ("architecture", "name", "layout"),
    [
        ("resnet18", "layer4", "NCHW"),
        ("shufflenet_v2_x0_5", "conv5", "NCHW"),
        ("swin", "norm", "NHWC"),
    ],
)
def test_cam_is_gradcam_on_architectures(architecture: str, name: str, layout: Any):
    get_model = torchvision().models.get_model
    if architecture == "swin":
        network = transformer("swin")
    else:
        network = made(lambda: get_model(architecture, num_classes=4))
    layer = Layer(name, layout, (4, 4) if architecture == "swin" else (2, 2))
    images = pictures(3, (32, 32) if architecture == "swin" else (64, 64))
    with looked(network, images, layer) as look:
        cam, grad = (METHODS[key].native(look, TARGETS) for key in ("cam", "gradcam"))
    assert grad.abs().max() > 1e-3
    torch.testing.assert_close(cam, grad, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("threshold", [None, 0.8])
def test_cam_of_a_single_logit_and_a_moved_threshold(threshold: float | None):
    net = made(Net, 1)
    classifier = Classifier(
        net, ("no", "yes"), Preprocess(resize=SIZE, crop=None), threshold=threshold
    )
    targets = torch.tensor([0, 1, 1])
    with looked(net, to_logits=classifier.logits) as look:
        cam, grad = (METHODS[key].native(look, targets) for key in ("cam", "gradcam"))
        full = decomposed(look, targets)
        against = METHODS["counterfactual"].native(look, targets)
        other = METHODS["gradcam"].native(look, 1 - targets)
    torch.testing.assert_close(cam, grad)
    torch.testing.assert_close(full.parts.sum(0), full.logits)
    # Of two classes, what argues against one is what speaks for the other.
    torch.testing.assert_close(against, other)


class Around(Net):
    """A path leads around the last layer."""

    def forward(self, images: Tensor) -> Tensor:
        start = self.features[:3](images)
        return self.fc(self.features[3:](start).mean((2, 3)) + start.mean((1, 2, 3))[:, None])


class Late(Net):
    """The pooled values are changed before the linear layer."""

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.features(images).mean((2, 3)).tanh())


class Squashed(Net):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).tanh()


class Convolved(Net):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Conv2d(8, 3, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.features(images)).mean((2, 3))


@pytest.mark.parametrize(
    ("kind", "layer", "why"),
    [
        (Around, "features.4", "a path leads around the layer"),
        (Late, LAYER, "the last linear layer is given something else"),
        (Net, "features.2", "the last linear layer is given something else"),
        (Squashed, LAYER, "what the last linear layer gives is changed"),
        (Convolved, LAYER, "it has no linear layer"),
    ],
)
def test_cam_refuses_other_heads(kind: Any, layer: str, why: str):
    network = made(kind)
    with pytest.raises(ModelError, match=f"from '{layer}' on this model is not so: {why}") as error:
        maps_of("cam", network, pictures(), TARGETS, layer=Layer(layer, "NCHW", GRID))
    assert 'choose audit.method = "gradcam"' in str(error.value)


class Flat(Net):
    """Linear from the layer, and every cell has weights of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8 * GRID[0] * GRID[1], 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.features(images).flatten(1))


def test_hirescam_is_complete_where_the_head_is_linear():
    network = made(Flat)
    with looked(network) as look:
        maps = METHODS["hirescam"].native(look, TARGETS)
        total = maps.sum((1, 2)) + network.fc.bias[TARGETS]
        torch.testing.assert_close(total, target_logits(look))
        # Grad-CAM is not: it gives all cells of a channel one weight.
        blurred = METHODS["gradcam"].native(look, TARGETS).sum((1, 2)) + network.fc.bias[TARGETS]
        assert (blurred - target_logits(look)).abs().min() > 1e-3


class Deep(nn.Module):
    """ReLUs behind the layer, no bias behind it: conservation holds exactly."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 5, 4, 4), nn.ReLU())
        self.rest = nn.Sequential(
            nn.Conv2d(5, 6, 3, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(48, 3, bias=False)
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.rest(self.features(images))


def test_xgradcam_meets_its_axioms():
    network = made(Deep)
    with looked(network) as look:
        maps = METHODS["xgradcam"].native(look, TARGETS)
        torch.testing.assert_close(maps.sum((1, 2)), target_logits(look))  # conservation
        grad = METHODS["gradcam"].native(look, TARGETS).sum((1, 2))
        assert (grad - target_logits(look)).abs().min() > 1e-4
    linear = made(Flat)
    with looked(linear) as look:  # sensitivity: a channel's part is what its ablation takes away
        gradients = look.gradients(TARGETS)
        part = (look.activations * gradients).sum((2, 3))
        without = ablated_by_loop(linear, look)
        lost = target_logits(look)[:, None] - without[torch.arange(3), :, TARGETS]
        torch.testing.assert_close(part, lost, rtol=1e-4, atol=1e-5)


def test_fullgrad_is_complete(net: Net):
    with looked(net) as look:
        terms = decomposed(look, TARGETS)
        torch.testing.assert_close(terms.logits, target_logits(look))
        torch.testing.assert_close(terms.parts.sum(0), terms.logits)
        # Two convolutions and what a batch normalisation subtracts.
        assert [tuple(term.shape[1:]) for term in terms.biases] == [(6, 4, 6), (6, 4, 6), (8, 4, 6)]
        torch.testing.assert_close(terms.unplaced, net.fc.bias[TARGETS])
        maps = METHODS["fullgrad"].native(look, TARGETS)
        torch.testing.assert_close(maps.sum((1, 2)) + terms.unplaced, terms.logits)


def test_counterfactual_is_what_argues_against(net: Net):
    with looked(net) as look:
        found = METHODS["counterfactual"].native(look, TARGETS)
        torch.testing.assert_close(found, -METHODS["gradcam"].native(look, TARGETS))


# -- slow references ----------------------------------------------------------------------


def ablated_by_loop(module: nn.Module, look: Look) -> Tensor:
    """[batch, channels, classes]: one image and one channel at a time, as the paper has it."""
    part = dict(module.named_modules())[look.layer.name]
    batch, channels = look.activations.shape[:2]
    found = torch.zeros(batch, channels, look.logits.shape[1])
    for image in range(batch):
        for channel in range(channels):

            def ablate(_part: nn.Module, _inputs: Any, output: Tensor, k: int = channel) -> Tensor:
                output = output.clone()
                if look.layer.layout == "NCHW":
                    output[:, k] = 0
                elif look.layer.layout == "NHWC":
                    output[..., k] = 0
                elif look.layer.layout == "LND":
                    output[look.layer.prefix :, :, k] = 0
                else:
                    output[:, look.layer.prefix :, k] = 0
                return output

            handle = part.register_forward_hook(ablate)
            with torch.no_grad():
                found[image, channel] = module(look.images[image : image + 1])[0]
            handle.remove()
    return found


def scored_by_loop(module: nn.Module, look: Look) -> Tensor:
    batch, channels = look.activations.shape[:2]
    found = torch.zeros(batch, channels, look.logits.shape[1])
    for image in range(batch):
        for channel in range(channels):
            mask = look.activations[image : image + 1, channel : channel + 1]
            mask = F.interpolate(mask, look.images.shape[2:], mode="bilinear", align_corners=False)
            if mask.max() > mask.min():
                mask = (mask - mask.min()) / (mask.max() - mask.min())
            else:
                mask = torch.zeros_like(mask)
            with torch.no_grad():
                seen = module(look.images[image : image + 1] * mask)[0]
                nothing = module(0 * look.images[:1])[0]
            found[image, channel] = seen - nothing
    return found


NETWORKS = {
    "convolutional": (lambda: made(Net), SIZE, "auto"),
    "around": (lambda: made(Around), SIZE, "features.4"),
    "inside a block": (lambda: made(Residual), SIZE, "inner.1"),
    "tokens": (lambda: transformer("vit"), (32, 32), "auto"),
    "NHWC": (lambda: transformer("swin"), (32, 32), "features.1.0"),
    "LND": (lambda: made(Sequence), SIZE, LAYER),
    "LND, class token": (lambda: made(Attending).eval(), (32, 48), "blocks.0"),
}


class Residual(nn.Module):
    """The layer lies on one of two paths that are added, and once more concatenated."""

    def __init__(self) -> None:
        super().__init__()
        self.start = nn.Conv2d(3, 4, 4, 4)
        self.inner = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU())
        self.fc = nn.Linear(8, 3)

    def forward(self, images: Tensor) -> Tensor:
        start = self.start(images)
        inner = self.inner(start)
        return self.fc(torch.cat([start + inner, inner], 1).relu().mean((2, 3)))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("most", [1, 7, 10**6])
def test_ablation_and_score_are_what_a_slow_loop_finds(
    name: str, most: int, monkeypatch: pytest.MonkeyPatch
):
    build, size, layer_name = NETWORKS[name]
    count = 5 if name.startswith("LND") else 2
    network, images = build(), pictures(count, size)
    layer = find_layer(network, same, (3, *size), layer_name)
    monkeypatch.setattr(pairs, "FEWEST", most)
    monkeypatch.setattr("auditor.cam.methods.ablation.ELEMENTS", most)
    targets = FIVE[:count]
    with looked(network, images, layer) as look:
        assert (layer.layout == "LND") == name.startswith("LND")
        assert look.closes() == (name not in ("around", "inside a block", "tokens"))
        logits = look.logits.detach().gather(1, targets[:, None])
        rows = torch.arange(count)
        drops = logits - ablated_by_loop(network, look)[rows, :, targets]
        expected = torch.einsum("bk,bkhw->bhw", drops, look.activations)
        found = METHODS["ablationcam"].native(look, targets)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
        assert found.abs().max() > 1e-3
        if most < 7 and name == "tokens":
            return  # the same passes once more, one at a time
        weights = scored_by_loop(network, look)[rows, :, targets].softmax(1)
        expected = torch.einsum("bk,bkhw->bhw", weights, look.activations)
        found = METHODS["scorecam"].native(look, targets)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def passes_of(network: nn.Module, ask: Any) -> int:
    """Images that go through a network's first layer."""
    first, seen = next(part for part in network.modules() if isinstance(part, nn.Conv2d)), []
    handle = first.register_forward_hook(lambda _part, inputs, _out: seen.append(len(inputs[0])))
    ask()
    handle.remove()
    return sum(seen)


@pytest.mark.parametrize(
    ("key", "kind", "cost"),
    [
        ("gradcam", Net, 0),
        ("eigencam", Net, 0),
        ("scorecam", Net, 3 * 8),
        ("ablationcam", Around, 3 * 8 + 1),
        # The layers before run for one image in each of two chunks, and to find that they may.
        ("ablationcam", Net, 4 + 2),
        ("cam", Net, 1),
        ("fullgrad", Net, 2 * 3),
        ("guidedgradcam", Net, 2 * 3),
    ],
)
def test_passes(key: str, kind: Any, cost: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("auditor.cam.methods.ablation.ELEMENTS", 16 * 8 * 24)
    network = made(kind)
    layer = Layer(LAYER if kind is Net else "features.4", "NCHW", GRID)
    with looked(network, layer=layer) as look:

        def ask() -> None:
            for targets in (TARGETS, TARGETS.roll(1)):  # two classes an image, as in an audit
                METHODS[key].native(look, targets)

        assert passes_of(network, ask) == cost


class Weak(Net):
    """A weak path leads around the layers, and past what all images share."""

    def __init__(self, share: float, common: float) -> None:
        super().__init__()
        self.beside = nn.Conv2d(3, 3, 4, 4)
        self.share, self.common = share, common

    def forward(self, images: Tensor) -> Tensor:
        beside = self.share * self.beside(images).mean((2, 3))
        return super().forward(images) + beside + self.common


@pytest.mark.parametrize(
    ("share", "common", "closes"),
    [
        (0, 0, True),
        (0, 10, True),
        (1, 0, False),
        (1e-4, 0, False),
        (1e-5, 0, False),
        (1, 1e4, False),  # all images have nearly the same logits
        (1e-3, 100, False),
        (0, 1e6, False),  # it closes; that cannot be told, and the slow way is right too
    ],
)
def test_a_weak_path_around_the_layer_is_noticed(share: float, common: float, closes: bool):
    network = made(Weak, share, common)
    with looked(network) as look:
        assert look.closes() == closes
        drops = (look.logits.detach()[:, None] - ablated_by_loop(network, look))[
            torch.arange(3), :, TARGETS
        ]
        expected = torch.einsum("bk,bkhw->bhw", drops, look.activations)
        found = METHODS["ablationcam"].native(look, TARGETS)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5 + 1e-6 * common)


def test_a_model_of_constant_logits_is_not_called_closed(net: Net):
    nn.init.zeros_(net.fc.weight)
    with looked(net) as look:
        assert not look.closes()


@pytest.mark.parametrize(
    ("architecture", "name", "grid"),
    [
        ("resnet18", "layer3", (4, 4)),
        ("shufflenet_v2_x0_5", "stage3", (4, 4)),
        ("densenet121", "features.denseblock3", (4, 4)),
        ("convnext_tiny", "features.5", (4, 4)),
        ("vit", "encoder.layers.encoder_layer_0", (4, 4)),
        ("rectified", "encoder.layers.encoder_layer_0", (4, 4)),
    ],
)
def test_layers_that_nothing_leads_around_are_known_as_such(
    architecture: str, name: str, grid: tuple[int, int]
):
    small = architecture in ("vit", "rectified")
    build = torchvision().models.get_model
    network = transformer(architecture) if small else made(lambda: build(architecture))
    layer = Layer(name, "tokens", grid, 1) if small else Layer(name, "NCHW", grid)
    with looked(network.eval(), pictures(3, (32, 32) if small else (64, 64)), layer) as look:
        assert look.closes()


def test_eigencam_is_the_first_right_singular_vectors_projection():
    network = made(Net)
    with looked(network) as look:
        found = METHODS["eigencam"].native(look, TARGETS)
        for image, activations in enumerate(look.activations):
            cells = activations.flatten(1).T.double().numpy()
            first = np.linalg.svd(cells)[2][0]
            expected = torch.from_numpy(cells @ first).float().view(GRID)
            torch.testing.assert_close(found[image], expected * expected.sum().sign())
        assert bool((found >= -1e-6).all())  # behind a ReLU
        signed = Look(network, same, look.layer, look.images, turned_about(look), look.logits)
        torch.testing.assert_close(METHODS["eigencam"].native(signed, TARGETS), found)


def turned_about(look: Look) -> Pass:
    return Pass(None, -look.run.leaf.detach())


def test_the_sign_of_an_eigencam_whose_cells_cancel():
    layer = Layer("x", "NCHW", (1, 4))
    for signs in (1, -1):
        leaf = signs * torch.tensor([[[[3.0, -2, -1, 0]], [[6.0, -4, -2, 0]]]])
        look = Look(nn.Identity(), same, layer, leaf, Pass(None, leaf), torch.zeros(1, 2))
        found = METHODS["eigencam"].native(look, TARGETS[:1])
        expected = torch.tensor([[[3.0, -2, -1, 0]]]) * 5**0.5
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


# -- guided -------------------------------------------------------------------------------


class Rectified(nn.Module):
    """One ReLU after another, written in every way in which a ReLU can be."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.module = nn.ReLU(inplace=way.endswith("_"))
        self.features = nn.Conv2d(3, 6, 4, 4)
        self.fc = nn.Linear(6, 3)

    def relu(self, values: Tensor) -> Tensor:
        return {
            "module": self.module,
            "module_": self.module,
            "F.relu": F.relu,
            "F.relu_": F.relu_,
            "F.relu inplace": lambda v: F.relu(v, inplace=True),
            "F.relu positional": lambda v: F.relu(v, True),
            "torch.relu": torch.relu,
            "torch.relu input": lambda v: torch.relu(input=v),
            "torch.relu_": torch.relu_,
            "method": lambda v: v.relu(),
            "method_": lambda v: v.relu_(),
        }[self.way](values)

    def forward(self, images: Tensor) -> Tensor:
        values = self.features(images)
        changed = self.relu(values)
        # What shares the tensor sees an in-place change, guided or not.
        return self.fc((changed + 0.5 * values).mean((2, 3)))


WAYS = ("module", "F.relu", "torch.relu", "torch.relu input", "method")
IN_PLACE = ("module_", "F.relu_", "F.relu inplace", "F.relu positional", "torch.relu_", "method_")


def guided_by_hand(network: Rectified, images: Tensor, targets: Tensor, in_place: bool) -> Tensor:
    """The rule of the paper's figure 1, written out for one ReLU."""
    values = network.features(images)
    upper = network.fc.weight[targets][:, :, None, None].expand_as(values) / values[0, 0].numel()
    through = torch.where((values > 0) & (upper > 0), upper, 0)
    whole = 1.5 * through if in_place else through + 0.5 * upper
    back = F.conv_transpose2d(whole, network.features.weight, stride=4)
    return back.sum(1)


@pytest.mark.parametrize("way", [*WAYS, *IN_PLACE])
def test_guided_backprop_by_hand(way: str):
    network = made(Rectified, way)
    found = maps_of(
        "guidedbackprop", network, pictures(), TARGETS, layer=Layer(LAYER, "NCHW", GRID)
    )
    expected = guided_by_hand(network, pictures(), TARGETS, way in IN_PLACE)
    torch.testing.assert_close(found, expected.detach(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("six", [nn.ReLU6(), nn.ReLU6(inplace=True), F.relu6, nn.Hardtanh(0, 6)])
def test_guided_backprop_at_a_relu_with_a_ceiling(six: Any):
    class Capped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Conv2d(3, 6, 4, 4)
            self.fc = nn.Linear(6, 3)

        def forward(self, images: Tensor) -> Tensor:
            return self.fc(six(4 * self.features(images)).mean((2, 3)))

    network, images = made(Capped), pictures()
    found = maps_of("guidedbackprop", network, images, TARGETS, layer=Layer(LAYER, "NCHW", GRID))
    values = 4 * network.features(images)
    assert bool((values > 6).any())
    upper = network.fc.weight[TARGETS][:, :, None, None].expand_as(values) / 24
    through = torch.where((values > 0) & (values < 6) & (upper > 0), 4 * upper, 0)
    expected = F.conv_transpose2d(through, network.features.weight, stride=4).sum(1).detach()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_guided_gradcam_is_the_product(net: Net):
    with looked(net) as look:
        keys = ("gradcam", "guidedbackprop", "guidedgradcam")
        grad, fine, product = (METHODS[key].native(look, TARGETS) for key in keys)
    coarse = F.interpolate(grad.relu()[:, None], SIZE, mode="bilinear", align_corners=False)[:, 0]
    torch.testing.assert_close(product, coarse * fine)


# -- audits -------------------------------------------------------------------------------


def audited_by(key: str, project: Project) -> auditor.Run:
    """An audit of the tiny project by a method."""
    start = "[model]\nfactory"
    project.replace(start, f'[audit]\nmethod = "{key}"\n\n{start}')
    dataset = auditor.open_dataset(project.config)
    classifier = auditor.load_classifier(project.config)
    return auditor.audit(classifier, dataset, project.folder / "run")


@pytest.mark.parametrize("key", ["scorecam", "fullgrad"])
def test_an_audit_by_another_method(key: str, project: Project):
    run = audited_by(key, project)
    assert run.info["identity"]["method"] == key
    assert (run.cases["status"] == "ok").all()
    assert run.maps.shape == (12, 3, 4, 5)
    assert bool(np.isfinite(run.maps).all())
    # One colour everywhere, and weights of one channel a class: the map is the same in each cell.
    maps = run.maps[:, 0]
    np.testing.assert_allclose(maps, maps[:, :1, :1] + 0 * maps, rtol=1e-4)
    np.testing.assert_allclose(run.cases["mass.face"], run.cases["area.face"], rtol=1e-4)


@pytest.mark.parametrize("key", sorted(VIEWS))
def test_an_audit_by_a_view_is_refused(key: str, project: Project):
    with pytest.raises(AuditorError) as error:
        audited_by(key, project)
    assert str(error.value).startswith(
        f"audit.method: {key} is a view, never evidence; use it in audit.methods ("
    )
    assert not (project.folder / "run").exists()


def test_a_method_that_is_not_known(project: Project):
    with pytest.raises(AuditorError, match="'gradcan' is not known; choose gradcam, cam, "):
        audited_by("gradcan", project)


# -- the document -------------------------------------------------------------------------


def test_the_documents_table_is_that_of_the_code():
    text = DOC.read_text(encoding="utf-8")
    start = text.index("| method |")
    assert text[start : text.index("\n\n", start)] == table()
