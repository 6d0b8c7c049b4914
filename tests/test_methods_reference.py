"""Explanation methods against pytorch-grad-cam and Captum, before anything is scaled.

Where they differ, a test says which equation of the paper theirs does not meet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import captum.attr
import numpy as np
import pytest
import pytorch_grad_cam
import torch
from captum.attr import LayerAttribution
from numpy.typing import NDArray
from pytorch_grad_cam import score_cam
from pytorch_grad_cam.ablation_layer import AblationLayer
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn
from torch.nn import functional as F

from auditor.cam import METHODS, Layer, Look, find_layer
from auditor.cam.leaf import Pass
from auditor.cam.methods.fullgradient import decomposed
from auditor.cam.methods.score import _scores
from auditor.models.operators import torchvision
from tests.test_methods import Net, looked, made, pictures, same, transformer

TARGETS = torch.tensor([3, 1])
CLASSES = 5


class Family(NamedTuple):
    build: Callable[[], nn.Module]
    layer: str
    """Behind a ReLU, so that no cell is below 0, and nothing writes into it."""
    size: tuple[int, int] = (64, 48)


def models() -> Any:
    return torchvision().models


def vgg() -> nn.Module:
    """VGG's parts, its head on 24 channels: the real one has 120 million weights."""
    features = models().vgg.make_layers([8, "M", 12, "M", 16, 16, "M", 24, "M"], batch_norm=True)
    return nn.Sequential(
        features,
        nn.AdaptiveAvgPool2d((2, 3)),
        nn.Flatten(),
        nn.Linear(144, 32),
        nn.ReLU(True),
        nn.Dropout(),
        nn.Linear(32, CLASSES),
    )


def mobilenet_v3() -> nn.Module:
    block = models().mobilenetv3.InvertedResidualConfig
    blocks = [
        block(16, 3, 24, 16, True, "RE", 2, 1, 1.0),
        block(16, 3, 48, 24, False, "HS", 2, 1, 1.0),
        block(24, 3, 48, 24, True, "HS", 1, 1, 1.0),
    ]
    return models().MobileNetV3(blocks, 32, num_classes=CLASSES)


FAMILIES = {
    "resnet": Family(
        lambda: models().ResNet(models().resnet.BasicBlock, [1, 1, 1, 1], CLASSES), "layer1"
    ),
    "vgg": Family(vgg, "0.17"),
    "mobilenet_v2": Family(
        lambda: models().MobileNetV2(CLASSES, 0.5, [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 1, 2]]),
        "features.3.conv.0",
    ),
    "mobilenet_v3": Family(mobilenet_v3, "features.1.block.0"),
    "densenet": Family(
        lambda: models().DenseNet(8, (2, 2), 16, num_classes=CLASSES),
        "features.denseblock2.denselayer2.relu2",
    ),
    "shufflenet": Family(
        lambda: models().ShuffleNetV2([2, 2, 2], [16, 24, 32, 48, 64], CLASSES), "conv5"
    ),
}
"""Small members of six families of convolutional networks, not trained."""


class Side(NamedTuple):
    """A network, looked at by both sides."""

    network: nn.Module
    part: nn.Module
    layer: Layer
    images: Tensor

    def ours(self, key: str, targets: Tensor = TARGETS) -> Tensor:
        with looked(self.network, self.images, self.layer) as look:
            return METHODS[key].native(look, targets)

    def theirs(self, method: Any, **how: Any) -> NDArray[np.float32]:
        """What a method of pytorch-grad-cam finds before its ReLU and its scaling."""
        found = []
        with method(self.network, [self.part], self.layer.spatial, **how) as cam:
            whole = cam.get_cam_image

            def keep(*arguments: Any) -> Any:
                found.append(whole(*arguments))
                return found[-1]

            cam.get_cam_image = keep
            cam(self.images.clone(), [ClassifierOutputTarget(int(t)) for t in TARGETS])
        return np.asarray(found[0])


def sides(name: str) -> Side:
    family = FAMILIES[name]
    network, images = made(family.build).eval(), pictures(2, family.size)
    layer = find_layer(network, same, (3, *family.size), family.layer)
    return Side(network, dict(network.named_modules())[family.layer], layer, images)


@pytest.fixture(params=FAMILIES)
def side(request: pytest.FixtureRequest) -> Side:
    return sides(request.param)


def equal(ours: Tensor, theirs: Any, tolerance: float = 1e-4) -> None:
    """Equal up to rounding errors of the map's size."""
    theirs = torch.as_tensor(np.asarray(theirs), dtype=torch.float32)
    size = float(ours.abs().max())
    assert size > 0
    assert ours.shape == theirs.shape
    assert float((ours - theirs).abs().max()) < tolerance * size


def apart(ours: Tensor, theirs: Any) -> float:
    """The largest difference of two maps, each scaled to a largest magnitude of 1."""
    theirs = torch.as_tensor(np.asarray(theirs), dtype=torch.float32)
    return float((ours / ours.abs().max() - theirs / theirs.abs().max()).abs().max())


# -- equal --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "method"),
    [
        ("gradcam", pytorch_grad_cam.GradCAM),
        ("xgradcam", pytorch_grad_cam.XGradCAM),
        ("hirescam", pytorch_grad_cam.HiResCAM),
        ("layercam", pytorch_grad_cam.LayerCAM),
    ],
)
def test_formulas_equal_pytorch_grad_cams(side: Side, key: str, method: Any):
    equal(side.ours(key), side.theirs(method))


@pytest.mark.parametrize("kind", ["vit", "swin"])
@pytest.mark.parametrize(
    ("key", "method"),
    [
        ("gradcam", pytorch_grad_cam.GradCAM),
        ("hirescam", pytorch_grad_cam.HiResCAM),
        ("layercam", pytorch_grad_cam.LayerCAM),
    ],
)
def test_formulas_equal_pytorch_grad_cams_on_transformers(kind: str, key: str, method: Any):
    network, images = transformer(kind), pictures(2, (32, 32))
    layer = find_layer(network, same, (3, 32, 32))
    side = Side(network, dict(network.named_modules())[layer.name], layer, images)
    equal(side.ours(key), side.theirs(method))


def test_gradcam_equals_captums(side: Side):
    theirs = captum.attr.LayerGradCam(side.network, side.part).attribute(side.images, TARGETS)
    equal(side.ours("gradcam"), theirs[:, 0].detach())
    equal(side.ours("counterfactual"), -theirs[:, 0].detach())


def test_gradcam_plus_plus_equals_pytorch_grad_cams_but_for_its_epsilon(side: Side):
    with looked(side.network, side.images, side.layer) as look:
        ours = METHODS["gradcam++"].native(look, TARGETS)
        values, slopes = (t.double().numpy() for t in (look.activations, look.gradients(TARGETS)))
    # α of equation 19 hangs on ΣA·g alone, so that this changes w by the same factor.
    scale = 1e6 / np.abs(slopes).max()
    weights = plus_plus(values / scale, slopes * scale) / scale
    equal(ours, np.einsum("bk,bkhw->bhw", weights, values))


def plus_plus(activations: NDArray[Any], gradients: NDArray[Any]) -> NDArray[Any]:
    """The weights that pytorch-grad-cam finds."""
    method = pytorch_grad_cam.GradCAMPlusPlus
    return np.asarray(method.get_cam_weights(None, None, None, None, activations, gradients))


def test_scorecam_equals_pytorch_grad_cams_but_for_where_corners_lie(
    side: Side, monkeypatch: pytest.MonkeyPatch
):
    class Centred(nn.Module):
        def __init__(self, size: Any) -> None:
            super().__init__()
            self.size = tuple(size)

        def forward(self, maps: Tensor) -> Tensor:
            return F.interpolate(maps, self.size, mode="bilinear", align_corners=False)

    sharpen(side)
    ours = side.ours("scorecam")
    assert apart(ours, side.theirs(pytorch_grad_cam.ScoreCAM)) > 1e-3
    monkeypatch.setattr(score_cam.torch.nn, "UpsamplingBilinear2d", Centred)
    equal(ours, side.theirs(pytorch_grad_cam.ScoreCAM), 1e-3)


def sharpen(side: Side) -> None:
    """Let the logits differ so much that Score-CAM's softmax is far from uniform."""
    with looked(side.network, side.images, side.layer) as look:
        values = look.activations
        scores = _scores(look).gather(2, TARGETS[:, None, None].expand(-1, values.shape[1], 1))
    (*_, head) = (part for part in side.network.modules() if isinstance(part, nn.Linear))
    with torch.no_grad():
        head.weight.mul_(2 / scores.std(1).mean())
    assert apart(side.ours("scorecam"), values.mean(1)) > 0.01


def test_ablationcam_equals_pytorch_grad_cams_but_for_its_division(side: Side):
    with looked(side.network, side.images, side.layer) as look:
        assert look.activations.min() == 0  # where theirs sets a channel to 0
        logits = look.logits.detach().gather(1, TARGETS[:, None])[:, :, None]
    theirs = side.theirs(pytorch_grad_cam.AblationCAM, ablation_layer=AblationLayer())
    equal(side.ours("ablationcam"), theirs * logits.numpy(), 1e-3)


def test_eigencam_equals_pytorch_grad_cams_where_the_activations_are_centred(side: Side):
    with looked(side.network, side.images, side.layer) as look:
        centred = look.activations - look.activations.mean((2, 3), keepdim=True)
        there = Look(side.network, same, side.layer, look.images, Pass(None, centred), look.logits)
        ours = METHODS["eigencam"].native(there, TARGETS)
    theirs = torch.from_numpy(side.theirs(pytorch_grad_cam.EigenCAM))
    assert all(
        min(float((a - b).abs().max()), float((a + b).abs().max())) < 1e-3 * float(b.abs().max())
        for a, b in zip(ours, theirs, strict=True)
    )


def test_the_terms_of_fullgrad_are_those_of_captum_and_pytorch_grad_cam(side: Side):
    with looked(side.network, side.images, side.layer) as look:
        terms = decomposed(look, TARGETS)
    product = captum.attr.InputXGradient(side.network).attribute(
        side.images.clone().requires_grad_(), TARGETS
    )
    equal(terms.image, product.detach())
    cam = pytorch_grad_cam.FullGrad(side.network, [])
    cam(side.images.clone(), [ClassifierOutputTarget(int(t)) for t in TARGETS])
    slopes = [slope.numpy() for slope in cam.activations_and_grads.gradients]
    assert len(terms.biases) == len(slopes)
    largest = max(float(term.abs().max()) for term in terms.biases)
    for term, bias, slope in zip(terms.biases, cam.bias_data, slopes, strict=True):
        theirs = torch.from_numpy(bias[None, :, None, None] * slope)
        torch.testing.assert_close(term, theirs, rtol=1e-3, atol=1e-4 * largest)
    assert bool(terms.ceilings) == any(isinstance(p, nn.ReLU6) for p in side.network.modules())
    cam.activations_and_grads.release()


@pytest.mark.parametrize("name", ["resnet", "vgg", "mobilenet_v3"])
def test_guided_backprop_equals_captums(name: str):
    side = sides(name)
    theirs = captums(captum.attr.GuidedBackprop(side.network), side.images)
    equal(side.ours("guidedbackprop"), theirs)
    guided = captum.attr.GuidedGradCam(side.network, side.part)
    theirs = captums(guided, side.images, interpolate_mode="bilinear")
    equal(side.ours("guidedgradcam"), theirs)


def captums(method: Any, images: Tensor, **how: Any) -> Tensor:
    with pytest.warns(UserWarning, match="Setting backward hooks on ReLU"):
        return method.attribute(images.clone(), TARGETS, **how).detach().sum(1)


# -- completeness -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["resnet", "vgg", "mobilenet_v2", "densenet", "shufflenet"])
def test_fullgrad_is_complete_on_networks_of_relus(name: str):
    side = sides(name)
    with looked(side.network, side.images, side.layer) as look:
        terms = decomposed(look, TARGETS)
        maps = METHODS["fullgrad"].native(look, TARGETS)
    assert len(terms.biases) >= 5
    size = terms.parts.abs().sum(0)
    for total in (terms.parts.sum(0), maps.sum((1, 2)) + terms.unplaced):
        assert ((total - terms.logits).abs() / size).max() < 1e-4


# -- apart: which equation theirs does not meet ---------------------------------------------


def test_their_gradcam_plus_plus_is_not_equation_19_where_gradients_are_small():
    """α = g² / (2 g² + ΣA g³ + 10⁻⁶): 10⁻⁶ is more than all the rest where g is below 10⁻³."""
    values = np.array([[[[1.0, 0, 2]], [[0, 1, 0]]]])
    slopes = np.array([[[[1e-4, 1e-4, 0]], [[1e-4, 1e-4, 1e-3]]]])
    exact = [2e-4 / (2 + 3e-4), 2e-4 / (2 + 1e-4) + 1e-3 / (2 + 1e-3)]
    theirs = plus_plus(values, slopes)[0]
    assert theirs[0] < 0.02 * exact[0]
    # Their two channels are not even in proportion.
    assert abs(theirs[1] / theirs[0] / (exact[1] / exact[0]) - 1) > 5
    weights = torch.einsum(
        "bkhw->bk",
        torch.from_numpy(slopes).relu()
        / (2 + torch.from_numpy(values).sum((2, 3), keepdim=True) * torch.from_numpy(slopes)),
    )
    assert weights[0].tolist() == pytest.approx(exact)


def test_their_xgradcam_does_not_conserve_the_logit_where_activations_are_small():
    """The weights are defined so that Σ_k w_k ΣA_k = ΣA·g; theirs divides by ΣA + 10⁻⁷."""
    values, slopes = torch.full((1, 1, 2, 3), 1e-8), torch.ones(1, 1, 2, 3)
    method = pytorch_grad_cam.XGradCAM
    (weight,) = method.get_cam_weights(None, None, None, None, values.numpy(), slopes.numpy())
    assert float(weight[0]) < 0.5
    look = by_formula("xgradcam", values, slopes)
    assert float(look.sum()) == pytest.approx(6e-8)


def by_formula(key: str, values: Tensor, slopes: Tensor) -> Tensor:
    """A method's map where the logit is Σ slopes·values."""
    leaf = values.clone().requires_grad_()
    logits = (leaf * slopes).flatten(1).sum(1, keepdim=True)
    layer = Layer("x", "NCHW", (values.shape[2], values.shape[3]))
    look = Look(nn.Identity(), same, layer, values, Pass(None, leaf), logits)
    return METHODS[key].native(look, torch.tensor([0]))


def test_their_scorecam_lays_masks_beside_what_they_show():
    """Their enlarging puts the outermost cells' centres on the picture's edge; a cell's centre
    lies half a cell within it, so that the mask H_k is not where A_k is."""
    one = torch.zeros(1, 1, 2, 4)
    one[..., 0, 0] = 1
    # Cell 0 ends after pixel 3, where the mask is at a half.
    theirs = torch.nn.UpsamplingBilinear2d(size=(8, 16))(one)[0, 0, 0, :6]
    assert theirs.tolist() == pytest.approx([1, 0.8, 0.6, 0.4, 0.2, 0], abs=1e-6)
    ours = F.interpolate(one, (8, 16), mode="bilinear", align_corners=False)[0, 0, 0, :6]
    assert ours.tolist() == pytest.approx([1, 1, 0.875, 0.625, 0.375, 0.125])


class Signed(nn.Module):
    """A layer with cells below 0, and a head that bends."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 6, 4, 4)
        self.relu = nn.ReLU()
        self.fc = nn.Linear(6, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.relu(self.features(images)).mean((2, 3)))


def test_their_ablationcam_does_not_set_channels_to_0_where_cells_are_below():
    """In w_k = y − y_k, y_k is the logit with A_k set to 0; theirs sets it to the least cell of
    what the layer gives − 10⁷, and takes the least again from what it has just changed: the k-th
    in a batch gets about −k·10⁷, so that a linear model's weights hang on the batch size."""
    network = nn.Sequential(
        nn.Conv2d(3, 6, 4, 4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, CLASSES)
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for parameter in network.parameters():
            nn.init.normal_(parameter)
    side = Side(network.eval(), network[0], Layer("0", "NCHW", (4, 6)), pictures(2, (16, 24)))
    weights = []
    for size in (1, 3, 6):
        with pytorch_grad_cam.AblationCAM(
            network, [network[0]], ablation_layer=AblationLayer(), batch_size=size
        ) as cam:
            kept = cam.get_cam_weights
            cam.get_cam_weights = lambda *a, kept=kept: weights.append(kept(*a)) or weights[-1]
            cam(side.images.clone(), [ClassifierOutputTarget(int(t)) for t in TARGETS])
    assert np.abs(weights[0]).min() > 1e3  # of a logit of about 1
    ratios = weights[2] / weights[0]
    np.testing.assert_allclose(ratios, np.tile(np.arange(1, 7), (2, 1)), rtol=0.2)
    np.testing.assert_allclose(weights[1] / weights[0], np.tile([1, 2, 3], (2, 2)), rtol=0.2)
    # Ours: what the channel's mean adds.
    with looked(network, side.images, side.layer) as look:
        means = look.activations.mean((2, 3))
        drops = network[3].weight[TARGETS].detach() * means
        expected = torch.einsum("bk,bkhw->bhw", drops, look.activations)
    equal(side.ours("ablationcam"), expected)


def test_their_ablationcam_turns_the_map_of_a_class_whose_logit_is_below_0():
    """w = (y − y_k) / y, as the paper has it: a number added to all logits changes no softmax and
    must not change a map, and this one it turns about."""
    network = made(Net, CLASSES).eval()
    part, layer = network.features, Layer("features", "NCHW", (4, 6))
    side = Side(network, part, layer, pictures(2, (16, 24)))
    found = []
    for shift in (50.0, -50.0):
        with torch.no_grad():
            network.fc.bias.fill_(shift)
        found.append((side.ours("ablationcam"), side.theirs(pytorch_grad_cam.AblationCAM)))
    (ours, theirs), (ours_below, theirs_below) = found
    equal(ours, ours_below.numpy(), 1e-3)
    size = np.abs(theirs).max()
    np.testing.assert_allclose(theirs / size, -theirs_below / size, atol=0.1)


def test_their_eigencam_centres_what_the_paper_does_not():
    """L = O V₁ of the activations O as they are; theirs takes each channel's mean away first, so
    that its map sums to 0 whatever the image, and its sign is the decomposition's."""
    side = sides("shufflenet")
    theirs = side.theirs(pytorch_grad_cam.EigenCAM)
    assert np.abs(theirs.sum((1, 2))).max() < 1e-3 * np.abs(theirs).sum((1, 2)).min()
    with looked(side.network, side.images, side.layer) as look:
        cells = look.activations[0].flatten(1).T
        first = torch.linalg.svd(cells)[2][0]
        expected = (cells @ first).view(side.layer.grid)
    ours = side.ours("eigencam")
    equal(ours[:1], (expected * expected.sum().sign())[None])
    assert bool((ours >= -1e-6 * ours.max()).all())
    assert apart(ours[0], np.abs(theirs[0])) > 0.1


def test_their_fullgrad_gives_every_channel_the_same_weight():
    """Proposition 1 sums the terms as they are; theirs scales each channel's from its minimum to
    its maximum, so that one which adds 10⁻⁹ to the logit counts like one that adds it all."""
    big = np.array([[[[0.0, 8.0], [1.0, 2.0]], [[0.0, 1e-3], [8e-3, 2e-3]]]], np.float32)
    scaled = pytorch_grad_cam.fullgrad_cam.scale_accross_batch_and_channels(big, (2, 2))
    assert scaled.max(axis=(2, 3)).tolist() == [[pytest.approx(1), pytest.approx(1, rel=1e-3)]]
    assert abs(scaled.sum(1) - big.sum(1)).max() > 5


def test_their_fullgrad_pairs_biases_with_gradients_by_order_of_registration():
    """The term of a layer is its bias times the gradient at that layer; a network that lists its
    layers in another order than it runs them gets the one's bias and the other's gradient."""

    class Backwards(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.second = nn.Conv2d(4, 4, 3, padding=1)
            self.features = nn.Conv2d(3, 4, 4, 4)
            self.fc = nn.Linear(4, CLASSES)

        def forward(self, images: Tensor) -> Tensor:
            return self.fc(self.second(self.features(images).relu()).relu().mean((2, 3)))

    network = made(Backwards).eval()
    side = Side(network, network.features, Layer("features", "NCHW", (4, 6)), pictures(2, (16, 24)))
    with looked(network, side.images, side.layer) as look:
        terms = decomposed(look, TARGETS)
        torch.testing.assert_close(terms.parts.sum(0), terms.logits)
    cam = pytorch_grad_cam.FullGrad(network, [])
    cam(side.images.clone(), [ClassifierOutputTarget(int(t)) for t in TARGETS])
    pairs = zip(cam.bias_data, cam.activations_and_grads.gradients, strict=True)
    theirs = [torch.from_numpy(bias)[None, :, None, None] * slope for bias, slope in pairs]
    cam.activations_and_grads.release()
    for ours, other in zip(terms.biases, theirs, strict=True):
        assert apart(ours, other) > 0.1


def test_captum_and_pytorch_grad_cam_do_not_guide_at_relus_that_are_functions_or_capped():
    """Figure 1 of the paper sets gradients below 0 to 0 at every ReLU. At `F.relu` and at ReLU6
    (all of MobileNetV2's) theirs gives the plain gradient, and says nothing."""

    class Plain(nn.Module):
        def __init__(self, relu: Callable[[Tensor], Tensor]) -> None:
            super().__init__()
            self.features = nn.Conv2d(3, 6, 4, 4)
            self.relu = relu
            self.fc = nn.Linear(6, CLASSES)

        def forward(self, images: Tensor) -> Tensor:
            return self.fc(self.relu(self.features(images)).mean((2, 3)))

    layer, images = Layer("features", "NCHW", (4, 6)), pictures(2, (16, 24))
    found = []
    for relu in (nn.ReLU(), nn.ReLU6(), F.relu):
        network = made(Plain, relu).eval()
        side = Side(network, network.features, layer, images)
        theirs = captums(captum.attr.GuidedBackprop(network), images)
        plain = captum.attr.Saliency(network).attribute(
            images.clone().requires_grad_(), TARGETS, abs=False
        )
        found.append((side.ours("guidedbackprop"), theirs, plain.detach().sum(1)))
    (ours, theirs, _), *others = found
    equal(ours, theirs)
    for same_as_ever, unguided, gradient in others:
        equal(same_as_ever, ours.numpy())
        equal(unguided, gradient.numpy())
        assert apart(ours, unguided) > 0.1


def test_captum_does_not_guide_all_of_a_densenet():
    """Its last ReLU is a function, and decides what goes back through all the others."""
    side = sides("densenet")
    theirs = captums(captum.attr.GuidedBackprop(side.network), side.images)
    assert apart(side.ours("guidedbackprop"), theirs) > 0.01


def test_pytorch_grad_cams_guided_backprop_explains_one_image_and_changes_the_model():
    network = made(Net, CLASSES).eval()
    images = pictures(2, (16, 24))
    layer = Layer("features", "NCHW", (4, 6))
    ours = Side(network, network.features, layer, images).ours("guidedbackprop")
    before = [part for part in network.modules() if isinstance(part, nn.ReLU)]
    assert all(part.inplace for part in before)
    theirs = pytorch_grad_cam.GuidedBackpropReLUModel(network, "cpu")(
        images[:1].clone(), int(TARGETS[0])
    )
    equal(ours[0], theirs.sum(2))
    after = [part for part in network.modules() if isinstance(part, nn.ReLU)]
    assert len(after) == 1  # one for all
    assert not after[0].inplace


def test_an_in_place_relu_does_not_reach_our_activations_and_does_theirs():
    """The methods are defined on A; theirs has ReLU(A), since it keeps no copy."""
    network = nn.Sequential(
        nn.Conv2d(3, 6, 4, 4), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    network = made(lambda: network.append(nn.Linear(6, CLASSES))).eval()
    side = Side(network, network[0], Layer("0", "NCHW", (4, 6)), pictures(2, (16, 24)))
    with torch.no_grad():
        values = network[0](side.images)
    positive = network[4].weight[TARGETS].detach().relu()[:, :, None, None] * (values > 0) / 24
    equal(side.ours("layercam"), (values * positive).sum(1))
    slopes = network[4].weight[TARGETS].detach()[:, :, None, None] * (values > 0) / 24
    equal(side.ours("gradcam"), torch.einsum("bk,bkhw->bhw", slopes.mean((2, 3)), values))
    theirs = side.theirs(pytorch_grad_cam.GradCAM)
    spoiled = torch.einsum("bk,bkhw->bhw", slopes.mean((2, 3)), values.relu())
    equal(spoiled, theirs)
    assert apart(side.ours("gradcam"), theirs) > 0.01


def test_captums_guided_gradcam_is_not_bilinear_unless_told():
    """The paper enlarges bilinearly; by default each cell is repeated."""
    side = sides("resnet")
    guided = captum.attr.GuidedGradCam(side.network, side.part)
    theirs = captums(guided, side.images)
    coarse = LayerAttribution.interpolate(side.ours("gradcam").relu()[:, None], (64, 48))[:, 0]
    equal(coarse * side.ours("guidedbackprop"), theirs)
    assert apart(side.ours("guidedgradcam"), theirs) > 0.01
