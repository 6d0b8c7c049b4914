"""What a batch's maps and measures cost, as a multiple of plain inference.

    python -m benchmarks.cam_cost [--batch 16] [--rounds 7] [--device cpu]

For each architecture, on one machine, in one run: plain inference; this audit's compute
(maps of the predicted class, the label and the margin, and every measure of five regions);
one map of the predicted class by pytorch-grad-cam and by Captum. Time is the median over
rounds of the ratio to plain inference in the same round, the order turning from round to
round. Memory is the peak of a fresh process that runs only that, over its size with the
model loaded, as a ratio to plain inference's.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from auditor.cam import METHODS, explain, find_layer, inspected
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", nargs="*", default=ARCHITECTURES, help="architectures")
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    given = parser.parse_args()
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
