"""Files to finished run, as a multiple of a plain torchvision inference loop.

    python -m benchmarks.end_to_end [--images 320] [--architecture resnet18] [--rounds 3]

Writes photograph-sized JPEGs (500×375 of smooth noise) with masks of two regions, and then
takes turns, in one process: the loop that a user would write (Pillow, the weights' own
transforms, batches of 32, `inference_mode`), on one thread and with torch's DataLoader and
two workers, and a whole audit of the same files without interventions, from opening the
manifest to the finished run. Ratios are of each to the plain loop in the same round.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader

import auditor
from auditor.configuration import DatasetConfig
from auditor.models.architectures import preset
from auditor.models.operators import torchvision

WIDTH, HEIGHT = 500, 375
ROLES = auditor.RegionRoles(subject=("thing",), cues=("cue",), rest="background")


def write_images(folder: Path, count: int) -> None:
    """JPEGs and two masks each, with a manifest."""
    random = np.random.default_rng(0)
    rows = []
    for number in range(count):
        coarse = random.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
        noise = random.normal(0, 6, (HEIGHT, WIDTH, 3))
        pixels = np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.jpg", quality=90)
        row = {"image": f"{number}.jpg", "label": f"class {number % 10}"}
        for region, (tall, wide) in {"thing": (200, 220), "cue": (80, 90)}.items():
            mask = np.zeros((HEIGHT, WIDTH), bool)
            top = random.integers(0, HEIGHT - tall)
            left = random.integers(0, WIDTH - wide)
            mask[top : top + tall, left : left + wide] = True
            Image.fromarray(mask).save(folder / f"{number}.{region}.png")
            row[f"region.{region}"] = f"{number}.{region}.png"
        rows.append(row)
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)


class Files(torch.utils.data.Dataset):  # type: ignore[type-arg]
    """What a user's inference script reads."""

    def __init__(self, folder: Path, architecture: str) -> None:
        table = pd.read_csv(folder / "manifest.csv")
        self.paths = [folder / name for name in table["image"]]
        weights = torchvision().models.get_model_weights(architecture)
        self.transform = weights.IMAGENET1K_V1.transforms()

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, position: int) -> torch.Tensor:
        with Image.open(self.paths[position]) as image:
            return self.transform(image.convert("RGB"))


def plain(model: nn.Module, files: Files, workers: int) -> None:
    batches = DataLoader(files, batch_size=32, num_workers=workers)
    with torch.inference_mode():
        torch.cat([model(batch).argmax(1) for batch in batches])


def audited(model: nn.Module, folder: Path, architecture: str, out: Path) -> None:
    dataset = auditor.open_dataset(
        DatasetConfig(path=folder / "manifest.csv", format="manifest"), regions=ROLES
    )
    classes = tuple(f"class {i}" for i in range(10))
    classifier = auditor.Classifier(model, classes, preset(architecture))
    auditor.audit(classifier, dataset, out, settings=auditor.Settings(evidence=0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=320)
    parser.add_argument("--architecture", default="resnet18")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    torch.manual_seed(0)
    model = torchvision().models.get_model(given.architecture, weights=None, num_classes=10).eval()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_images(folder, given.images)
        files = Files(folder, given.architecture)
        work = {
            "plain": lambda: plain(model, files, 0),
            "plain, 2 workers": lambda: plain(model, files, 2),
            "audit": lambda: audited(model, folder, given.architecture, folder / "run"),
        }
        plain(model, files, 0)  # warms the page cache and torch
        ratios: dict[str, list[float]] = {variant: [] for variant in work}
        for turn in range(given.rounds):
            took = {}
            variants = list(work)
            for variant in variants[turn % 3 :] + variants[: turn % 3]:
                shutil.rmtree(folder / "run", ignore_errors=True)
                start = time.perf_counter()
                work[variant]()
                took[variant] = time.perf_counter() - start
            for variant, seconds in took.items():
                ratios[variant].append(seconds / took["plain"])
            told = ", ".join(f"{v} {s:.1f} s" for v, s in took.items())
            print(f"round {turn + 1}: {told}", flush=True)
    print(f"{given.architecture}, {given.images} files, time ÷ plain loop, median of rounds:")
    for variant, values in ratios.items():
        spread = f"({min(values):.2f} to {max(values):.2f})"
        print(f"  {variant:20}{statistics.median(values):.2f}  {spread}")


if __name__ == "__main__":
    main()
