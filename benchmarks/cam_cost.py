"""What a batch's maps and measures cost, as a multiple of plain inference.

    python -m benchmarks.cam_cost [--batch 16] [--rounds 7] [--device cpu]
    python -m benchmarks.cam_cost --methods [--quick]

The first: for each architecture, on one machine, in one run: plain inference; this audit's compute
(maps of the predicted class, the label and the margin, and every measure of five regions);
one map of the predicted class by pytorch-grad-cam and by Captum. Time is the median over
rounds of the ratio to plain inference in the same round, the order turning from round to
round. Memory is the peak of a fresh process that runs only that, over its size with the
model loaded, as a ratio to plain inference's.

The second: every method's time on one core, as the Markdown table of docs/methods.md. For each
network, plain inference of some images and each method on the same images take turns, the order
turning from round to round. Ours twice: what an audit needs (the maps of two classes and their
margin), and the map of one class. The peers' is the map of the predicted class:
pytorch-grad-cam's as it gives it, scaled to the picture's size, Captum's raw. Each time is
processor time and includes the forward pass that decides. Methods that ask the model once for
each channel run on one image, held against inference of that. Networks are not trained.
"""

from __future__ import annotations

import argparse
import copy
import io
import json
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from auditor.cam import METHODS, Layer, explain, find_layer, inspected
from auditor.cam.explanation import view
from auditor.cam.leaf import layer_named
from auditor.models.operators import torchvision
from auditor.pipeline.rows import measure
from auditor.regions import RegionRoles
from auditor.thresholds import THRESHOLDS
from benchmarks.process_memory import high_water, resident

torchvision()  # before the peers import it
import captum.attr  # noqa: E402
import pytorch_grad_cam  # noqa: E402

ARCHITECTURES = ("resnet18", "resnet50", "vgg16", "mobilenet_v3_large")
VARIANTS = ("plain", "auditor", "pytorch-grad-cam", "captum")
ROLES = RegionRoles(subject=("thing",), cues=("face", "hair"), rest="background")

NETWORKS = {"resnet18": ("ResNet-18", "layer4"), "mobilenet_v2": ("MobileNetV2", "features")}
"""Titles, and the layers that the audit chooses in trained ones."""
SIDE = 112
COSTLY = ("ablationcam", "scorecam")
PLAIN = "plain"
COLUMNS = {
    "pair": "ours: two classes and margin",
    "one": "ours: one class",
    "pytorch-grad-cam": "pytorch-grad-cam: one class",
    "captum": "Captum: one class",
}
Call = Callable[[], object]

GRAD_CAMS = {
    "gradcam": pytorch_grad_cam.GradCAM,
    "gradcam++": pytorch_grad_cam.GradCAMPlusPlus,
    "xgradcam": pytorch_grad_cam.XGradCAM,
    "hirescam": pytorch_grad_cam.HiResCAM,
    "layercam": pytorch_grad_cam.LayerCAM,
    "ablationcam": pytorch_grad_cam.AblationCAM,
    "scorecam": pytorch_grad_cam.ScoreCAM,
    "eigencam": pytorch_grad_cam.EigenCAM,
    "fullgrad": pytorch_grad_cam.FullGrad,
}


def work(variant: str, architecture: str, batch: int, device: str) -> Callable[[], None]:
    """The work of one variant on one batch, ready to be called."""
    torch.manual_seed(0)
    model = torchvision().models.get_model(architecture, weights=None, num_classes=10)
    model = model.eval().to(device)
    images = torch.randn(batch, 3, 224, 224, device=device)
    labels = torch.arange(batch, device=device) % 10
    with inspected(model):
        layer = find_layer(model, _same, (3, 224, 224))
    part = layer_named(model, layer.name)
    random = np.random.default_rng(0)
    shares = random.dirichlet(np.ones(len(ROLES.names)), size=(batch, *layer.grid))
    coverage = shares.transpose(0, 3, 1, 2).astype(np.float32)
    status = [("ok",) * len(ROLES.names)] * batch

    def plain() -> None:
        with torch.inference_mode():
            model(images).argmax(1).cpu()

    def auditor() -> None:
        with inspected(model):
            found = explain(model, _same, layer, images, labels, METHODS["gradcam"])
        correct = (found.predicted == labels).tolist()
        measure(found.maps.cpu().numpy(), coverage, status, correct, ROLES, THRESHOLDS)

    peer: dict[str, Callable[[], None]] = {"plain": plain, "auditor": auditor}
    if variant == "pytorch-grad-cam":
        grad_cam = pytorch_grad_cam.GradCAM(model, [part])
        peer[variant] = lambda: grad_cam(images, None)
    elif variant == "captum":
        layer_grad_cam = captum.attr.LayerGradCam(model, part)

        def one_map() -> None:
            with torch.inference_mode():
                predicted = model(images).argmax(1)
            layer_grad_cam.attribute(images, predicted.clone()).detach().cpu()

        peer[variant] = one_map
    return peer[variant]


def _same(output: Tensor) -> Tensor:
    return output


def time_ratios(architecture: str, batch: int, rounds: int, device: str) -> dict[str, float]:
    """Median over rounds of each variant's time over plain inference's."""
    calls = {variant: work(variant, architecture, batch, device) for variant in VARIANTS}
    for call in calls.values():
        call()
    ratios: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
    for turn in range(rounds):
        order = VARIANTS[turn % len(VARIANTS) :] + VARIANTS[: turn % len(VARIANTS)]
        took = {}
        for variant in order:
            start = time.perf_counter()
            calls[variant]()
            if device != "cpu":
                torch.cuda.synchronize()
            took[variant] = time.perf_counter() - start
        for variant in VARIANTS:
            ratios[variant].append(took[variant] / took["plain"])
    return {variant: statistics.median(values) for variant, values in ratios.items()}


def peak_memory(variant: str, architecture: str, batch: int, device: str) -> float:
    """MB that a fresh process needs at most beyond its loaded model."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return float(pool.apply(_peak, (variant, architecture, batch, device)))


def _peak(variant: str, architecture: str, batch: int, device: str) -> float:
    call = work(variant, architecture, batch, device)
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    # Reset the kernel's high-water mark: finding the layer has already run the model.
    Path("/proc/self/clear_refs").write_text("5")
    before = resident()
    call()
    return (high_water() - before) / 1024


def predicted(model: nn.Module, images: Tensor) -> Tensor:
    with torch.inference_mode():
        found = model(images).argmax(1)
    return found.clone()


def ours(key: str, model: nn.Module, layer: Layer, images: Tensor) -> dict[str, Call]:
    """Our two calls: what an audit needs, and one class."""
    labels, method = torch.arange(len(images)) % 10, METHODS[key]  # any: the time is the same

    def pair() -> None:
        with inspected(model):
            explain(model, _same, layer, images, labels, method)

    def one() -> None:
        with inspected(model):
            view(model, _same, layer, images, labels, method)

    return {"pair": pair, "one": one}


def by_grad_cam(key: str, model: nn.Module, layer: Layer, images: Tensor) -> Call | None:
    """pytorch-grad-cam's map of the predicted class; None where it has none."""
    model = copy.deepcopy(model)  # it leaves hooks, and other ReLUs
    if key == "guidedbackprop":
        guided = pytorch_grad_cam.GuidedBackpropReLUModel(model, "cpu")
        return lambda: [guided(image[None].clone()) for image in images]  # it takes one image
    if key not in GRAD_CAMS:
        return None
    with redirect_stdout(io.StringIO()):  # a warning
        cam = GRAD_CAMS[key](model, [layer_named(model, layer.name)])
    cam.batch_size = 32
    return lambda: cam(images, None)


def by_captum(key: str, model: nn.Module, layer: Layer, images: Tensor) -> Call | None:
    """Captum's map of the predicted class, the forward pass that decides included."""
    model = copy.deepcopy(model)
    for part in model.modules():
        if hasattr(part, "inplace"):
            part.inplace = False  # its hooks cannot do with it
    part = layer_named(model, layer.name)
    kinds: dict[str, Callable[[], Any]] = {
        "gradcam": lambda: captum.attr.LayerGradCam(model, part),
        "guidedbackprop": lambda: captum.attr.GuidedBackprop(model),
        "guidedgradcam": lambda: captum.attr.GuidedGradCam(model, part),
    }
    if key not in kinds:
        return None
    made = kinds[key]()
    # Each call with images of its own, since it switches their gradients on.
    return lambda: made.attribute(images.clone(), predicted(model, images)).detach()


def calls_of(
    keys: tuple[str, ...], model: nn.Module, layer: Layer, images: Tensor
) -> dict[tuple[str, str], Call]:
    """Plain inference, and whatever there is of each method."""
    calls: dict[tuple[str, str], Call] = {(PLAIN, PLAIN): lambda: predicted(model, images)}
    for key in keys:
        found: dict[str, Call | None] = dict(ours(key, model, layer, images))
        if key == "scorecam":
            del found["one"]  # as many passes
        found["pytorch-grad-cam"] = by_grad_cam(key, model, layer, images)
        found["captum"] = by_captum(key, model, layer, images)
        calls.update({(key, column): call for column, call in found.items() if call})
    return calls


def ratios(calls: dict[tuple[str, str], Call], rounds: int) -> dict[tuple[str, str], list[float]]:
    """Each call's time over the same round's plain inference, round by round."""
    found: dict[tuple[str, str], list[float]] = {place: [] for place in calls}
    order = list(calls)
    for turn in range(rounds):
        first = turn * len(order) // rounds
        took = {place: _seconds(calls[place]) for place in order[first:] + order[:first]}
        # One inference is short, and all are held against it: the median of five.
        plain = statistics.median(
            [took[PLAIN, PLAIN], *(_seconds(calls[PLAIN, PLAIN]) for _ in range(4))]
        )
        for place in order:
            found[place].append(took[place] / plain)
    return found


def _seconds(call: Call) -> float:
    """Processor time, which other work on the machine moves less than the clock's."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):  # progress bars
        start = time.process_time()
        call()
        return time.process_time() - start


def _cell(values: list[float] | None) -> str:
    if not values:
        return "–"
    middle, low, high = (_short(f(values)) for f in (statistics.median, min, max))
    return middle if low == high else f"{middle} ({low} to {high})"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 20 else f"{value:.1f}"


def started(name: str, side: int) -> nn.Module:
    """A network, not trained, with the statistics of its own activations.

    Without these, what MobileNetV2 computes fades to numbers that are slow to compute with.
    """
    torch.manual_seed(0)
    model: nn.Module = torchvision().models.get_model(name, weights=None, num_classes=10)
    with torch.no_grad():
        for part in model.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.momentum = None  # the mean over all batches
        for _ in range(2):
            model(torch.randn(8, 3, side, side))
    return model.eval()


def every_method(quick: bool) -> None:
    """Measure and print the table."""
    torch.set_num_threads(1)
    batch, few, side = (2, 1, 64) if quick else (8, 1, SIDE)
    rounds, costly_rounds = (1, 1) if quick else (5, 3)
    start = time.perf_counter()
    rows: list[list[str]] = []
    for name, (title, layer_name) in NETWORKS.items():
        model = started(name, side)
        with inspected(model):
            layer = find_layer(model, _same, (3, side, side), layer_name)
        images = torch.randn(batch, 3, side, side)
        with torch.inference_mode():
            channels = len(layer_output(model, layer, images[:1])[0])
        cheap = tuple(key for key in METHODS if key not in COSTLY)
        found: dict[tuple[str, str], list[float]] = {}
        for keys, count, turns in ((cheap, batch, rounds), (COSTLY, few, costly_rounds)):
            calls = calls_of(keys, model, layer, images[:count])
            if keys is cheap:
                for call in calls.values():
                    _seconds(call)  # first runs are slow
            found |= ratios(calls, turns)
        for key, method in METHODS.items():
            cells = [_cell(found.get((key, column))) for column in COLUMNS]
            rows.append([f"{title}, {channels} channels", method.title, f"`{key}`", *cells])
    print(
        f"{_machine()}; torch {torch.__version__}, pytorch-grad-cam "
        f"{version('grad-cam')}, Captum {version('captum')}; one core, {side}×{side}; "
        f"{batch} images, {rounds} rounds; {METHODS['ablationcam'].title} and "
        f"{METHODS['scorecam'].title} {few} image, {costly_rounds} rounds; "
        f"median (least to most); {time.perf_counter() - start:.0f} s"
    )
    print()
    for row in [["network", "method", "key", *COLUMNS.values()], ["---"] * 7, *rows]:
        print(f"| {' | '.join(row)} |")


def layer_output(model: nn.Module, layer: Layer, images: Tensor) -> Tensor:
    """The layer's output, [batch, channels, h, w]."""
    found: list[Tensor] = []
    hook = layer_named(model, layer.name).register_forward_hook(lambda *run: found.append(run[2]))
    try:
        model(images)
    finally:
        hook.remove()
    return layer.spatial(found[0])


def _machine() -> str:
    """What the machine calls itself, and how busy it is."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor()
    return f"{name}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", nargs="*", default=ARCHITECTURES, help="architectures")
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    parser.add_argument("--methods", action="store_true", help="every method, as a table")
    parser.add_argument("--quick", action="store_true", help="with --methods: one round, small")
    given = parser.parse_args()
    if given.methods:
        every_method(given.quick)
        return
    print(f"batch {given.batch}, {given.rounds} rounds, {given.device}, torch {torch.__version__}")
    print(f"{'':20}{'time ÷ plain inference':^46}   {'peak memory ÷ plain inference':^46}")
    head = "".join(f"{variant:>18}" for variant in VARIANTS[1:])
    print(f"{'':20}{head}{head}")
    results = {}
    for architecture in given.only:
        times = time_ratios(architecture, given.batch, given.rounds, given.device)
        peaks = {
            variant: peak_memory(variant, architecture, given.batch, given.device)
            for variant in VARIANTS
        }
        memory = {variant: peaks[variant] / peaks["plain"] for variant in VARIANTS}
        results[architecture] = {"time": times, "memory": memory, "peak_mb": peaks}
        cells = [f"{group[v]:18.2f}" for group in (times, memory) for v in VARIANTS[1:]]
        print(f"{architecture:20}{''.join(cells)}", flush=True)
    if given.json:
        given.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
