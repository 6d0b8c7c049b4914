"""What the gates of the maps measure: trained networks pass, and what they are for fails."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy.stats import spearmanr
from torch import Tensor, nn

import auditor
from auditor.cam import METHODS, Layer, Method, find_layer
from auditor.cam.methods import by_formula
from auditor.findings.gates import gates
from auditor.findings.map_gates import voided
from auditor.findings.material import MapChecks
from auditor.geometry import Preprocess
from auditor.models import Classifier
from auditor.models.operators import torchvision
from auditor.pipeline.checking import PASSES, check_maps, rank_correlation
from auditor.sample import sample_folder
from auditor.thresholds import THRESHOLDS
from tests.conftest import seeded

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
WEIGHTS = DATA / "weights" / "mobilenet_v2_coral_ptq.pt"
GRADCAM = METHODS["gradcam"]
IMAGES = 12


def _energy(activations: Tensor, _gradients: Tensor) -> Tensor:
    """Where anything is active: asks neither for a class nor for the head."""
    return (activations**2).sum(1)


ENERGY = Method("activation energy", by_formula(_energy), False, "0", "nothing more")


class Small(nn.Module):
    """Two convolutions, average, head."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 5, 4), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()
        )
        self.fc = nn.Linear(8, classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.features(images).mean((2, 3)))


class Trembling(nn.Module):
    """Sees nothing but the finest noise, blown up."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 16, 4, 4)
        self.fc = nn.Linear(16, 2)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(torch.sin(self.layer(3000 * images)).mean((2, 3)))


def small_classifier(module: nn.Module | None = None, classes: int = 3) -> Classifier:
    with seeded():
        module = module or Small(classes)
    return Classifier(
        module.eval(),
        tuple("abc"[:classes]),
        Preprocess(resize=(32, 40), crop=None, mean=(0.5,) * 3, std=(0.5,) * 3),
    )


def pictures(count: int = IMAGES) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 32, 40, 3), dtype=np.uint8)


def checked(
    classifier: Classifier, layer: str = "features.3", method=GRADCAM, images=None, batch=5, seed=0
) -> MapChecks:
    images = pictures() if images is None else images
    labels = np.arange(len(images)) % len(classifier.classes)
    shape = (3, *classifier.input_size)
    found = find_layer(classifier.module, classifier.logits, shape, layer)
    return check_maps(classifier, found, method, images, labels, seed, batch)


@pytest.fixture(scope="module", params=["skewed", "rebalanced"])
def trained(request) -> tuple[Classifier, Layer, np.ndarray, np.ndarray]:
    config = sample_folder() / f"{request.param}.toml"
    dataset, classifier = auditor.open_dataset(config), auditor.load_classifier(config)
    chosen = np.random.default_rng(0).choice(len(dataset), IMAGES, replace=False)
    images = [classifier.preprocess.pixels(dataset.read(int(i)).picture.image) for i in chosen]
    labels = [classifier.classes.index(dataset.cases["label"].iloc[int(i)]) for i in chosen]
    shape = (classifier.channels, *classifier.input_size)
    layer = find_layer(classifier.module, classifier.logits, shape)
    return classifier, layer, np.stack(images), np.array(labels)


def test_trained_networks_pass(trained):
    classifier, layer, images, labels = trained
    checks = check_maps(classifier, layer, GRADCAM, images, labels, 0, 4)
    assert checks.n == IMAGES
    assert checks.reasons == {}
    assert len(checks.stages) == len(checks.randomised) == len(checks.unsigned) == 5
    assert checks.stages[0] == "fc"
    assert max(checks.randomised) < 1e-6  # linear in the gradient
    assert checks.unsigned_intervals[-1][1] < THRESHOLDS.remaining
    assert checks.classes < -0.9  # two classes that share a head's margin
    assert checks.noise > 0.85
    assert voided(checks, THRESHOLDS) == []


def test_a_map_of_activations_alone_fails(trained):
    classifier, layer, images, labels = trained
    checks = check_maps(classifier, layer, ENERGY, images, labels, 0, 4)
    # Another head leaves such a map as it was, and so does another class.
    assert checks.randomised[0] == pytest.approx(1)
    assert checks.classes == pytest.approx(1)
    assert voided(checks, THRESHOLDS) == ["gate_randomisation", "gate_maps"]
    # Its margin map is 0 everywhere.
    assert checks.noise is None
    assert "0 images have margin maps that vary" in str(checks.reasons["noise"])
    assert np.isnan(checks.unsigned).all()


def test_a_map_of_the_first_layer_alone_fails():
    # As an edge detector is: nothing that comes after the first layer matters to it.
    checks = checked(small_classifier(), "features.1", ENERGY)
    assert checks.stages == ("fc", "features.2", "features.0")
    assert checks.randomised[:2] == pytest.approx((1, 1), abs=1e-3)
    assert voided(checks, THRESHOLDS) == ["gate_randomisation", "gate_maps"]


def test_noise_moves_a_network_that_answers_to_noise():
    checks = checked(small_classifier(Trembling(), 2), "layer")
    assert abs(checks.noise) < 0.3
    assert voided(checks, THRESHOLDS)[-1] == "gate_noise"


def test_fixed_features_fail_though_the_head_is_random():
    """A network that looks through filters that are no weights shows the picture."""

    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.brightness = nn.AvgPool2d(4)
            self.fc = nn.Linear(1, 2)

        def forward(self, images: Tensor) -> Tensor:
            grey = self.brightness(images.mean(1, keepdim=True))
            return self.fc(grey.mean((2, 3)))

    checks = checked(small_classifier(Fixed(), 2), "brightness")
    assert checks.unsigned == pytest.approx((1,), abs=1e-3)
    assert "gate_randomisation" in voided(checks, THRESHOLDS)


def test_unrelated_maps_score_0_whatever_the_grid():
    random = np.random.default_rng(0)
    for grid in ((2, 3), (4, 4), (7, 7)):
        some, others = random.normal(size=(2, 4000, *grid))
        found = rank_correlation(some, others)
        assert abs(found.mean()) < 0.03
        chance = 1 / (grid[0] * grid[1] - 1)
        assert (found**2).mean() == pytest.approx(chance, rel=0.1)


def test_rank_correlation_is_spearmans():
    some, others = np.random.default_rng(0).integers(0, 5, (2, 6, 3, 4)).astype(float)
    expected = [
        spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(some, others, strict=True)
    ]
    assert rank_correlation(some, others) == pytest.approx(expected)
    some[1], others[2, 0, 0] = 7, np.nan  # the same everywhere; not finite
    some[3] = 1e3 + 1e-4 * some[3]  # rounding error
    found = rank_correlation(some, others)
    assert np.isnan(found).tolist() == [False, True, True, True, False, False]
    assert rank_correlation(some[:0], others[:0]).shape == (0,)


def test_the_classifier_is_left_as_it_was():
    classifier = small_classifier()
    module = classifier.module
    module.train()
    module.fc.weight.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    state = torch.get_rng_state()
    checked(classifier)
    assert all(torch.equal(t, before[name]) for name, t in module.state_dict().items())
    assert [part.training for part in module.modules()] == [True] * 7
    assert [p.requires_grad for p in module.parameters()] == [True] * 4 + [False, True]
    assert all(p.grad is None for p in module.parameters())
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())
    assert torch.equal(torch.get_rng_state(), state)


def test_seed_and_batch_size():
    classifier = small_classifier()
    first = checked(classifier)
    assert checked(classifier) == first
    other = checked(classifier, batch=IMAGES)
    assert other.unsigned == pytest.approx(first.unsigned, abs=1e-3)
    assert other.noise == pytest.approx(first.noise, abs=1e-3)
    assert checked(classifier, seed=1).unsigned != first.unsigned
    with torch.inference_mode():  # as a caller may have it
        assert checked(classifier) == first


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_images_are_null(count: int):
    checks = checked(small_classifier(), images=pictures(count))
    assert (checks.randomised, checks.classes, checks.noise, checks.n) == ((), None, None, count)
    told = str(checks.reasons["noise"])
    assert told.startswith(f"{count} of {count} images in the sample have a map")
    assert voided(checks, THRESHOLDS) == []


def test_maps_without_any_shape_are_null():
    # Uniform pictures give uniform maps.
    images = np.full((IMAGES, 32, 40, 3), 128, np.uint8)
    checks = checked(small_classifier(), "features.0", images=images)
    assert checks.n == 0
    assert set(checks.reasons) == {"randomised", "classes", "noise"}


def test_images_that_are_not_finite_are_left_out():
    class Doubtful(Small):
        def forward(self, images: Tensor) -> Tensor:
            dark = images.amax((1, 2, 3))[:, None] == -1
            return super().forward(torch.where(dark[..., None, None], torch.nan, images))

    images = pictures()
    images[3] = 0
    checks = checked(small_classifier(Doubtful()), images=images)
    assert checks.n == IMAGES - 1
    assert np.isfinite([*checks.randomised, checks.classes, checks.noise]).all()


def test_a_network_without_weights_cannot_be_randomised():
    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cells = nn.AvgPool2d(4)

        def forward(self, images: Tensor) -> Tensor:
            return (self.cells(images) ** 2).mean((2, 3))

    checks = checked(small_classifier(Plain()), "cells")
    assert checks.randomised == checks.unsigned == ()
    told = {figure: str(why) for figure, why in checks.reasons.items()}
    assert told == {"randomised": "no layer of the model has weights that could be replaced"}
    assert checks.classes is not None


def test_weights_that_do_nothing_are_told():
    class Frozen(nn.Module):
        """Its weights were written into the code; what it lists is not used."""

        def __init__(self) -> None:
            super().__init__()
            self.cells = nn.AvgPool2d(4)
            self.fc = nn.Linear(3, 3)

        def forward(self, images: Tensor) -> Tensor:
            return (self.cells(images) ** 2).mean((2, 3))

    checks = checked(small_classifier(Frozen()), "cells")
    assert checks.randomised == ()
    told = str(checks.reasons["randomised"])
    assert told.startswith("other weights do not change the model's answer")


def test_torchscript_cannot_be_checked():
    classifier = small_classifier()
    script = replace(classifier, module=torch.jit.script(classifier.module))
    layer = find_layer(classifier.module, classifier.logits, (3, 32, 40), "features.3")
    checks = check_maps(script, layer, GRADCAM, pictures(), np.zeros(IMAGES, np.intp), 0, 4)
    assert (checks.n, checks.classes) == (0, None)
    assert "TorchScript" in str(checks.reasons["randomised"])


def test_labels_of_another_length_are_an_error():
    classifier = small_classifier()
    layer = find_layer(classifier.module, classifier.logits, (3, 32, 40), "features.3")
    with pytest.raises(ValueError, match=r"12 images come with labels of shape \(3,\)"):
        check_maps(classifier, layer, GRADCAM, pictures(), np.zeros(3, np.intp), 0, 4)


def test_a_single_logit_and_a_threshold():
    with seeded():
        module = Small(1)
    classifier = replace(small_classifier(module, 2), threshold=0.4)
    checks = checked(classifier)
    assert checks.classes == pytest.approx(-1)  # the pair (-y/2, y/2)
    assert len(checks.randomised) == 3


def test_exported_programs_are_randomised(tmp_path):
    program = torch.export.export(
        Small().eval(),
        (torch.zeros(2, 3, 32, 40),),
        dynamic_shapes=({0: torch.export.Dim("batch")},),
    )
    checks = checked(small_classifier(torch.export.unflatten(program)), "features.3")
    assert checks.stages == ("fc", "features.2", "features.0")
    assert checks.reasons == {}


def test_an_untrained_network_does_not_pass():
    classifier = small_classifier()
    checks = checked(classifier)
    guesses = pd.DataFrame({"label": ["a", "b"] * 20, "predicted": ["a"] * 40})
    found = {f.kind: f for f in gates(guesses, classifier.classes, THRESHOLDS, checks)}
    assert found["gate_chance"].severity == "warning"
    assert found["gate_randomisation"].severity != "info"
    assert not found["gate_randomisation"].text.startswith("Gate passed")


@pytest.mark.real
@pytest.mark.skipif(not WEIGHTS.is_file(), reason=f"the photographs and weights are not in {DATA}")
@pytest.mark.parametrize("data", ["plantvillage_tomato", "ccp_fashion"])
def test_photographs_under_real_weights(data: str):
    module = torchvision().models.get_model("mobilenet_v2", weights=None).eval()
    module.load_state_dict(torch.load(WEIGHTS, weights_only=True))
    classifier = Classifier(
        module, tuple(map(str, range(1000))), Preprocess(resize=(224, 224), crop=None)
    )
    names = pd.read_csv(DATA / data / "labels.csv")["image"]
    read = []
    for name in names.iloc[:: len(names) // 8][:8]:
        with Image.open(DATA / data / name) as image:
            read.append(classifier.preprocess.pixels(image.convert("RGB")))
    images = np.stack(read)
    with torch.no_grad():
        labels = module(classifier.inputs(images)).argmax(1).numpy()
    layer = find_layer(module, classifier.logits, (3, 224, 224))
    checks = check_maps(classifier, layer, GRADCAM, images, labels, 0, 8)
    assert (checks.n, checks.reasons) == (8, {})
    assert checks.unsigned[-1] < 0.3
    assert checks.classes_interval[1] < THRESHOLDS.classes_alike
    assert checks.noise_interval[0] > THRESHOLDS.steadiness


def test_checks_say_how_far_they_are(trained):
    classifier, layer, images, labels = trained
    told: list[int] = []
    check_maps(classifier, layer, GRADCAM, images, labels, 0, 4, told.append)
    assert max(told) <= 4  # a batch at a time
    assert sum(told) == PASSES * IMAGES
