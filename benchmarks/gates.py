"""What the gates of the maps measure on networks of known worth: `python -m benchmarks.gates`.

For each network and each way to make a map: the likeness of the maps to those of randomised
networks (the greatest over the stages, signed; and with all weights gone, up to sign), of the
maps of two classes, and of the maps under noise, with what the gates say. Trained networks with
Grad-CAM have to pass. What is there to fail: "activation energy", which never asks for the class,
as an edge detector does not; "LayerCAM" and the size of the gradient, which credit only what
speaks for a class; and a network that answers to noise. Untrained networks pass these gates, and
the gate of the predictions has to catch them. The photographs and weights that lie beside the
repository are used where they are there; labels are then the network's own predictions.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

import auditor
from auditor.cam import METHODS, Layer, find_layer
from auditor.cam.methods import Method, by_formula
from auditor.findings.map_gates import voided
from auditor.findings.material import MapChecks
from auditor.geometry import Preprocess
from auditor.models import Classifier
from auditor.models.operators import torchvision
from auditor.pipeline.checking import SAMPLE, check_maps
from auditor.sample import sample_folder
from auditor.thresholds import THRESHOLDS

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
WEIGHTS = {
    "mobilenet_v2": "mobilenet_v2_coral_ptq.pt",
    "squeezenet1_0": "squeezenet1_0_deepcompression.pt",
}
UNTRAINED = ("resnet18", "vgg11", "mobilenet_v2", "vit_b_16", "swin_t")


class Trial(NamedTuple):
    """A network, and images for it with their labels."""

    name: str
    classifier: Classifier
    pixels: NDArray[np.uint8]
    labels: NDArray[np.intp]


def energy(activations: Tensor, _gradients: Tensor) -> Tensor:
    """Where anything at all is active; asks for no class. Eigen-CAM is of its kind."""
    return (activations**2).sum(1)


def layercam(activations: Tensor, gradients: Tensor) -> Tensor:
    """LayerCAM (Jiang et al. 2021): only what speaks for the class counts."""
    return (gradients.relu() * activations).sum(1)


def saliency(_activations: Tensor, gradients: Tensor) -> Tensor:
    """The size of the gradient."""
    return gradients.abs().sum(1)


MADE: dict[str, Method] = {
    "Grad-CAM": METHODS["gradcam"],
    **{
        name: Method(name, by_formula(formula), False, "0", "nothing more")
        for name, formula in (
            ("activation energy", energy),
            ("LayerCAM", layercam),
            ("|gradient|", saliency),
        )
    },
}

# |gradient| is the same in every cell below a global average.
PHOTOGRAPHS = ("Grad-CAM", "activation energy", "LayerCAM")


def of_sample(name: str, images: int) -> Trial:
    config = sample_folder() / f"{name}.toml"
    dataset, classifier = auditor.open_dataset(config), auditor.load_classifier(config)
    chosen = np.random.default_rng(0).choice(len(dataset), images, replace=False)
    read = [classifier.preprocess.pixels(dataset.read(int(i)).picture.image) for i in chosen]
    labels = [classifier.classes.index(dataset.cases["label"].iloc[int(i)]) for i in chosen]
    return Trial(name, classifier, np.stack(read), np.array(labels))


def photographs(data: str, images: int) -> NDArray[np.uint8]:
    names = pd.read_csv(DATA / data / "labels.csv")["image"]
    preprocess = Preprocess(resize=(224, 224), crop=None)
    chosen = np.random.default_rng(0).choice(len(names), images, replace=False)
    read = []
    for name in names.iloc[chosen]:
        with Image.open(DATA / data / name) as image:
            read.append(preprocess.pixels(image.convert("RGB")))
    return np.stack(read)


def of_weights(name: str, module: nn.Module, pixels: NDArray[np.uint8]) -> Trial:
    """A network with its own predictions as labels."""
    module = module.eval()
    size = (int(pixels.shape[1]), int(pixels.shape[2]))
    classifier = Classifier(
        module,
        tuple(f"class {number}" for number in range(1000)),
        Preprocess(resize=size, crop=None),
    )
    with torch.no_grad():
        logits = torch.cat([module(classifier.inputs(part)) for part in np.array_split(pixels, 8)])
    return Trial(name, classifier, pixels, logits.argmax(1).numpy())


def untrained(trial: Trial) -> Trial:
    """The same with other weights, drawn as training would begin."""
    for part in trial.classifier.module.modules():
        if hasattr(part, "reset_parameters"):
            part.reset_parameters()
    return trial._replace(name=f"{trial.name}, untrained")


class Trembling(nn.Module):
    """A network that sees nothing but the finest noise, blown up."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 16, 8, 8)
        self.fc = nn.Linear(16, 2)

    def forward(self, images: Tensor) -> Tensor:
        """Logits [batch, 2]."""
        return self.fc(torch.sin(self.layer(300 * images)).relu().mean((2, 3)))  # type: ignore[no-any-return]


def trials(images: int) -> Iterator[tuple[Trial, tuple[str, ...]]]:
    """Each network, and the methods to try it with."""
    for name in ("skewed", "rebalanced"):
        trial = of_sample(name, images)
        yield trial, tuple(MADE)
        if name == "skewed":
            yield untrained(trial), ("Grad-CAM",)
            shaky = replace(trial.classifier, module=Trembling().eval(), layer="layer")
            yield trial._replace(name="trembling", classifier=shaky), ("Grad-CAM",)
    build = torchvision().models.get_model
    for architecture, file in WEIGHTS.items():
        for data in ("plantvillage_tomato", "ccp_fashion"):
            if not (DATA / "weights" / file).is_file():
                print(f"{architecture} on {data}: left out, {DATA} is not there")
                continue
            network = build(architecture, weights=None)
            network.load_state_dict(torch.load(DATA / "weights" / file, weights_only=True))
            pixels = photographs(data, images)
            yield of_weights(f"{architecture}, {data}", network, pixels), PHOTOGRAPHS
    if (DATA / "ccp_fashion").is_dir():
        pixels = photographs("ccp_fashion", min(images, 8))
        for architecture in UNTRAINED:
            network = build(architecture, weights=None)
            if architecture == "vit_b_16":  # its head begins as zeros, and zeros explain nothing
                nn.init.normal_(network.heads.head.weight, std=0.02)
            yield of_weights(f"{architecture}, untrained", network, pixels), ("Grad-CAM",)
            if architecture == "resnet18":
                small = np.ascontiguousarray(pixels[:, ::2, ::2])
                yield (
                    of_weights(f"{architecture} at 112 px, untrained", network, small),
                    ("Grad-CAM",),
                )


def table(images: int, wanted: str, write: Callable[[str], None]) -> None:
    write(
        "| network | layer | maps | method | signed, by stage | up to sign, by stage | classes | "
        "noise | not passed |"
    )
    write("|---|---|---|---|---|---|---|---|---|")
    for trial, methods in trials(images):
        if wanted not in trial.name:
            continue
        classifier = trial.classifier
        shape = (classifier.channels, *classifier.input_size)
        layer = find_layer(classifier.module, classifier.logits, shape, classifier.layer)
        for method in methods:
            began = time.perf_counter()
            checks = check_maps(classifier, layer, MADE[method], trial.pixels, trial.labels, 0, 8)
            write(
                row(trial, layer, method, checks) + f" <!-- {time.perf_counter() - began:.0f} s -->"
            )


def row(trial: Trial, layer: Layer, method: str, checks: MapChecks) -> str:
    def told(value: float | None) -> str:
        return "–" if value is None or np.isnan(value) else f"{value:.2f}"

    stages, unsigned = (" ".join(map(told, f)) for f in (checks.randomised, checks.unsigned))
    grid = f"{layer.grid[0]}×{layer.grid[1]}"
    failed = ", ".join(voided(checks, THRESHOLDS)) or "none"
    return (
        f"| {trial.name} | {layer.name} | {grid} × {checks.n} | {method} | {stages} | {unsigned} | "
        f"{told(checks.classes)} | {told(checks.noise)} | {failed} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=SAMPLE)
    parser.add_argument("--network", default="", help="only those whose name holds this")
    given = parser.parse_args()
    torch.manual_seed(0)
    torchvision()
    table(given.images, given.network, lambda line: print(line, flush=True))


if __name__ == "__main__":
    main()
