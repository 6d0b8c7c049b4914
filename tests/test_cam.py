"""Maps against closed forms, published values and independent implementations."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import captum.attr
import pytest
import pytorch_grad_cam
import torch
import torchcam.methods
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

from auditor.cam import METHODS, Layer, explain, find_layer, gradcam, inspected
from auditor.cam.leaf import forward
from auditor.errors import ModelError
from auditor.models.operators import torchvision


def same(output: Tensor) -> Tensor:
    return output


def raw_maps(model: nn.Module, layer: Layer, images: Tensor, targets: Tensor) -> Tensor:
    """Raw maps of given classes, by the path that `explain` takes."""
    with inspected(model):
        run = forward(model, layer.name, images)
        with torch.enable_grad():
            score = run.output.gather(1, targets[:, None]).sum()
        gradient = run.gradient(score)
        return gradcam(layer.spatial(run.leaf.detach()), layer.spatial(gradient))


class Toy(nn.Module):
    """The toy network of Captum's tests, outside check 1 of anchors.md."""

    def __init__(self, inplace: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 2, 3)
        self.relu1 = nn.ReLU(inplace)
        self.fc1 = nn.Linear(8, 1, bias=False)
        self.relu2 = nn.ReLU(inplace)
        nn.init.ones_(self.conv1.weight)
        with torch.no_grad():
            self.conv1.bias.copy_(torch.tensor([-50.0, -75.0]))
            self.fc1.weight.copy_(torch.tensor([[1.0] * 5 + [-1.0] * 3]))

    def forward(self, images: Tensor) -> Tensor:
        return self.relu2(self.fc1(self.relu1(self.conv1(images)).flatten(1)))


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize(
    ("layer", "expected"),
    [("conv1", [[11.25, 13.5], [20.25, 22.5]]), ("relu1", [[0, 4.0], [28, 32.5]])],
)
def test_captums_published_values(inplace: bool, layer: str, expected: list[list[float]]) -> None:
    image = torch.arange(16.0).view(1, 1, 4, 4)
    found = raw_maps(Toy(inplace), Layer(layer, "NCHW", (2, 2)), image, torch.tensor([0]))
    assert found[0].tolist() == expected


class Pooled(nn.Module):
    """1×1 convolution, mean over space, linear: everything has a closed form."""

    def __init__(self, channels: int, classes: int, relu: nn.Module | None = None) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, channels, 1)
        self.relu = relu or nn.Identity()
        self.fc = nn.Linear(channels, classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.relu(self.conv(images)).mean((2, 3)))


def test_closed_form_of_a_pooled_network() -> None:
    torch.manual_seed(0)
    model, images = Pooled(4, 3), torch.randn(2, 3, 3, 5)
    targets = torch.tensor([2, 0])
    found = raw_maps(model, Layer("conv", "NCHW", (3, 5)), images, targets)
    # dy_c/dA_k is w_ck over the 15 cells, everywhere.
    activations = model.conv(images)
    expected = torch.einsum("bk,bkhw->bhw", model.fc.weight[targets] / 15, activations)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_margin_map_is_complete_on_a_pooled_network() -> None:
    torch.manual_seed(1)
    model, images = Pooled(6, 4, nn.ReLU(inplace=True)), torch.randn(5, 3, 7, 4)
    labels = torch.tensor([0, 1, 2, 3, 0])
    with inspected(model):
        layer = Layer("relu", "NCHW", (7, 4))
        found = explain(model, same, layer, images, labels, METHODS["gradcam"])
    rows = torch.arange(5)
    margin = found.logits[rows, found.predicted] - found.logits[rows, found.contrast]
    bias = model.fc.bias[found.predicted] - model.fc.bias[found.contrast]
    torch.testing.assert_close(found.maps[:, 2].sum((1, 2)), (margin - bias).detach())


def test_margin_map_is_complete_on_a_real_architecture() -> None:
    torch.manual_seed(11)
    model = torchvision().models.get_model("shufflenet_v2_x0_5", weights=None, num_classes=5)
    images, labels = torch.randn(6, 3, 96, 64), torch.arange(6) % 5
    with inspected(model):
        found = explain(
            model, same, Layer("conv5", "NCHW", (3, 2)), images, labels, METHODS["gradcam"]
        )
    rows = torch.arange(6)
    margin = found.logits[rows, found.predicted] - found.logits[rows, found.contrast]
    bias = (model.fc.bias[found.predicted] - model.fc.bias[found.contrast]).detach()
    # Summed over cells, α·A is w·mean(A): everything of the margin but the bias.
    torch.testing.assert_close(found.maps[:, 2].sum((1, 2)), margin - bias, atol=1e-5, rtol=1e-4)


def test_all_maps_come_from_one_forward_pass() -> None:
    model = Pooled(4, 3)
    calls: list[int] = []
    model.conv.register_forward_hook(lambda *_: calls.append(1))
    with inspected(model):
        explain(
            model,
            same,
            Layer("conv", "NCHW", (4, 5)),
            torch.randn(2, 3, 4, 5),
            torch.tensor([0, 1]),
            METHODS["gradcam"],
        )
    assert len(calls) == 1


def test_contrast_is_the_label_for_an_error_and_the_runner_up_otherwise() -> None:
    model = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    nn.init.eye_(model[0].weight[:, :, 0, 0].data)
    with torch.no_grad():
        model[0].weight.copy_(torch.eye(3)[:, :, None, None])
    # Logits are the channel means: 5, 3, 1.
    image = torch.tensor([5.0, 3.0, 1.0]).view(1, 3, 1, 1).expand(1, 3, 2, 3)
    layer = Layer("0", "NCHW", (2, 3))
    for label, contrast in ((0, 1), (1, 1), (2, 2)):
        with inspected(model):
            found = explain(model, same, layer, image, torch.tensor([label]), METHODS["gradcam"])
        assert found.predicted.item() == 0
        assert found.contrast.item() == contrast
        # α is 1/6 for the class's own channel, averaged over the cells: channel value / 6.
        expected = torch.tensor([5.0, [5, 3, 1][contrast], 5 - [5, 3, 1][contrast]]) / 6
        torch.testing.assert_close(
            found.maps[0], expected[:, None, None].expand(3, 2, 3), atol=1e-6, rtol=0
        )


def test_batch_size_changes_nothing() -> None:
    torch.manual_seed(2)
    model = torchvision().models.get_model("shufflenet_v2_x0_5", weights=None, num_classes=3)
    layer = Layer("conv5", "NCHW", (3, 2))
    images, labels = torch.randn(7, 3, 96, 64), torch.arange(7) % 3
    with inspected(model):
        whole = explain(model, same, layer, images, labels, METHODS["gradcam"])
        for size in (1, 3):
            parts = [
                explain(model, same, layer, i, t, METHODS["gradcam"])
                for i, t in zip(images.split(size), labels.split(size), strict=True)
            ]
            for mine, others in zip(whole, zip(*parts, strict=True), strict=True):
                torch.testing.assert_close(torch.cat(others), mine, atol=1e-5, rtol=1e-5)


def test_target_list_shorter_than_the_batch_is_an_error() -> None:
    model = Pooled(2, 2)
    with inspected(model), pytest.raises(ValueError, match="3 images come with labels of shape"):
        explain(
            model,
            same,
            Layer("conv", "NCHW", (2, 2)),
            torch.zeros(3, 3, 2, 2),
            torch.tensor([0]),
            METHODS["gradcam"],
        )


class Broken(Pooled):
    def forward(self, images: Tensor) -> Tensor:
        super().forward(images)
        raise RuntimeError("broken head")


@pytest.mark.parametrize("kind", [Pooled, Broken])
def test_the_model_is_left_as_it_was_found(kind: type[Pooled]) -> None:
    model = kind(4, 2, nn.Dropout(0.5))
    model.train()
    model.relu.eval()
    model.conv.weight.requires_grad_(False)
    model.fc.weight.grad = torch.full_like(model.fc.weight, 7)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    layer = Layer("conv", "NCHW", (4, 3))
    images, labels = torch.randn(2, 3, 4, 3), torch.tensor([0, 1])
    expected = pytest.raises(RuntimeError, match="broken head") if kind is Broken else nullcontext()
    with expected, inspected(model):
        explain(model, same, layer, images, labels, METHODS["gradcam"])
    assert [part.training for part in model.modules()] == [True, True, False, True]
    wanted = {name: p.requires_grad for name, p in model.named_parameters()}
    assert wanted == {
        "conv.weight": False, "conv.bias": True, "fc.weight": True, "fc.bias": True,
    }  # fmt: skip
    assert (model.fc.weight.grad == 7).all()
    assert model.fc.bias.grad is None
    assert not any(part._forward_hooks for part in model.modules())
    assert torch.is_grad_enabled()
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_frozen_backbone_in_any_gradient_mode(mode: Any) -> None:
    torch.manual_seed(3)
    model, images = Pooled(4, 2), torch.randn(2, 3, 4, 4)
    layer, labels = Layer("conv", "NCHW", (4, 4)), torch.tensor([1, 0])
    free = explain(model, same, layer, images, labels, METHODS["gradcam"])
    assert free.maps.abs().max() > 0
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    with mode():
        found = explain(model, same, layer, images, labels, METHODS["gradcam"])
        layer_found = find_layer(model, same, (3, 16, 16), "conv")
    assert torch.equal(found.maps, free.maps)
    assert layer_found.follows is not None


def test_layer_that_runs_twice_is_refused() -> None:
    class Twice(Pooled):
        def forward(self, images: Tensor) -> Tensor:
            return self.fc(self.relu(self.relu(self.conv(images))).mean((2, 3)))

    with pytest.raises(ModelError, match=r"'relu' runs 2 times"):
        raw_maps(
            Twice(2, 2, nn.ReLU()),
            Layer("relu", "NCHW", (2, 2)),
            torch.zeros(1, 3, 2, 2),
            torch.tensor([0]),
        )


# -- independent implementations ----------------------------------------------------------

PEERS = [
    # architecture, layer that no in-place operation follows, input (height, width)
    ("resnet18", "layer4", (96, 64)),
    ("vgg11", "features.19", (64, 96)),  # its ReLU is the layer itself
    ("mobilenet_v2", "features", (96, 64)),
    ("efficientnet_b0", "features", (64, 96)),
    ("convnext_tiny", "features", (64, 96)),
    ("regnet_y_400mf", "trunk_output", (96, 64)),
    ("shufflenet_v2_x0_5", "conv5", (96, 64)),
    ("densenet121", "features.denseblock4", (64, 96)),
]


@pytest.mark.parametrize(("architecture", "name", "size"), PEERS, ids=[p[0] for p in PEERS])
def test_agreement_with_captum_pytorch_grad_cam_and_torch_cam(
    architecture: str, name: str, size: tuple[int, int]
) -> None:
    torch.manual_seed(4)
    model = torchvision().models.get_model(architecture, weights=None, num_classes=5).eval()
    images, targets = torch.randn(2, 3, *size), torch.tensor([3, 1])
    part = dict(model.named_modules())[name]
    with torch.no_grad():
        shape: list[torch.Size] = []
        handle = part.register_forward_hook(lambda *args: shape.append(args[2].shape))
        model(images)
        handle.remove()
    layer = Layer(name, "NCHW", tuple(shape[0][2:]))
    ours = raw_maps(model, layer, images, targets)
    assert ours.abs().max() > 0

    captums = captum.attr.LayerGradCam(model, part).attribute(images, targets)
    torch.testing.assert_close(ours, captums[:, 0].detach(), atol=1e-5, rtol=1e-4)

    with pytorch_grad_cam.GradCAM(model, [part]) as peer:
        peer(images, [ClassifierOutputTarget(int(t)) for t in targets])
        grads = peer.activations_and_grads
        weights = peer.get_cam_weights(
            images, part, None, grads.activations[0].numpy(), grads.gradients[0].numpy()
        )
        theirs = (weights[:, :, None, None] * grads.activations[0].numpy()).sum(1)
    torch.testing.assert_close(ours, torch.from_numpy(theirs), atol=1e-5, rtol=1e-4)

    with torchcam.methods.GradCAM(model, part) as extractor:
        scores = model(images)
        (cam,) = extractor([int(t) for t in targets], scores, normalized=False)
    torch.testing.assert_close(ours.relu(), cam.detach(), atol=1e-5, rtol=1e-4)


# -- the layer ----------------------------------------------------------------------------

FAMILIES = {
    "resnet18": ("layer4", "NCHW", (4, 6)),
    "vgg11": ("features.19", "NCHW", (8, 12)),
    "vgg11_bn": ("features.27", "NCHW", (8, 12)),
    "alexnet": ("features.11", "NCHW", (7, 11)),
    "densenet121": ("features", "NCHW", (4, 6)),
    "mobilenet_v2": ("features", "NCHW", (4, 6)),
    "mobilenet_v3_small": ("features", "NCHW", (4, 6)),
    "efficientnet_b0": ("features", "NCHW", (4, 6)),
    "convnext_tiny": ("features", "NCHW", (4, 6)),
    "shufflenet_v2_x0_5": ("conv5", "NCHW", (4, 6)),
    "squeezenet1_1": ("classifier.2", "NCHW", (7, 11)),
    "regnet_y_400mf": ("trunk_output", "NCHW", (4, 6)),
    "mnasnet0_5": ("layers", "NCHW", (4, 6)),
    "swin_t": ("norm", "NHWC", (4, 6)),
}


@pytest.mark.parametrize("architecture", FAMILIES)
def test_automatic_layer(architecture: str) -> None:
    torch.manual_seed(5)
    model = torchvision().models.get_model(architecture, weights=None, num_classes=4)
    found = find_layer(model, same, (3, 128, 192))
    assert (found.name, found.layout, found.grid) == FAMILIES[architecture]
    assert found.chosen == "auto"
    assert found.follows is not None
    assert found.follows > 0.6
    assert model.training


@pytest.mark.parametrize(
    ("architecture", "side", "expected"),
    [
        ("inception_v3", 192, ("Mixed_7c", "NCHW", (4, 4), 0)),
        ("googlenet", 128, ("inception5b", "NCHW", (4, 4), 0)),
    ],
)
def test_automatic_layer_beside_auxiliary_heads(
    architecture: str, side: int, expected: tuple[str, str, tuple[int, int], int]
) -> None:
    torch.manual_seed(5)
    model = torchvision().models.get_model(
        architecture, weights=None, num_classes=4, aux_logits=True, init_weights=False
    )
    found = find_layer(model, same, (3, side, side))
    assert (found.name, found.layout, found.grid, found.prefix) == expected


def vision_transformer(side: int = 64) -> nn.Module:
    torch.manual_seed(6)
    model = torchvision().models.VisionTransformer(side, 16, 3, 4, 32, 64, num_classes=4)
    nn.init.normal_(model.heads.head.weight, std=0.1)  # torchvision starts it at zero
    return model


def test_automatic_layer_of_a_vision_transformer() -> None:
    found = find_layer(vision_transformer(), same, (3, 64, 64))
    # Behind the last attention only the class token counts.
    assert found.name == "encoder.layers.encoder_layer_2.ln_1"
    assert (found.layout, found.grid, found.prefix) == ("tokens", (4, 4), 1)


def test_a_layer_that_mixes_up_space_is_noticed() -> None:
    class Shuffled(nn.Module):
        """Scatters the cells of its input over the map."""

        def __init__(self) -> None:
            super().__init__()
            self.order = torch.randperm(36, generator=torch.Generator().manual_seed(0))

        def forward(self, images: Tensor) -> Tensor:
            return images.flatten(2)[:, :, self.order].view_as(images)

    torch.manual_seed(8)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 4, 4), Shuffled(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)
    )
    named = find_layer(model, same, (3, 24, 24), "1")
    assert named.follows is not None
    assert named.follows < 0.5
    found = find_layer(model, same, (3, 24, 24))
    assert found.name == "0"
    assert found.follows is not None
    assert found.follows > 0.9


def test_non_square_token_grid_is_not_transposed() -> None:
    class Tokens(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.flatten(2).transpose(1, 2)

    class Mean(nn.Module):
        def forward(self, tokens: Tensor) -> Tensor:
            return tokens.mean(1)

    torch.manual_seed(9)
    model = nn.Sequential(nn.Conv2d(3, 8, 8, 8), Tokens(), nn.LayerNorm(8), Mean(), nn.Linear(8, 3))
    found = find_layer(model, same, (3, 32, 64))
    assert (found.name, found.layout, found.grid, found.prefix) == ("2", "tokens", (4, 8), 0)
    assert found.follows is not None
    assert found.follows > 0.9


def test_layers_that_cannot_carry_a_map() -> None:
    model = Pooled(4, 2)
    with pytest.raises(ModelError, match=r"'convs' is no layer of the model"):
        find_layer(model, same, (3, 8, 8), "convs")
    with pytest.raises(ModelError, match=r"'fc' cannot carry a map: its output has no grid"):
        find_layer(model, same, (3, 8, 8), "fc")
    nn.init.zeros_(model.fc.weight)
    with pytest.raises(ModelError, match="same logits for every image"):
        find_layer(model, same, (3, 8, 8))
    flat = nn.Sequential(nn.Flatten(), nn.Linear(48, 2))
    with pytest.raises(ModelError, match="no layer of the model can carry a map"):
        find_layer(flat, same, (3, 4, 4))
