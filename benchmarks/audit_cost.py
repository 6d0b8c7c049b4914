"""What an audit with interventions costs, as a multiple of inference.

    python -m benchmarks.audit_cost [--images 2000] [--strength 2.1] [--rounds 1]

Draws new clinic scenes (with a strength at which the sample's skewed classifier is wrong on about
a tenth of them), and takes turns, in one process: a plain inference loop over the files, an audit
without interventions, and a whole audit. Prints the error rate, the passes of each stage divided
by the number of images, the passes of a suspect, and time as a multiple of the plain loop's.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import auditor
from auditor.cam import inspected
from auditor.cli.progress import progress_bar
from auditor.configuration import Config, DatasetConfig
from auditor.pipeline.checking import SAMPLE
from auditor.pipeline.intervening import predict
from auditor.sample import sample_folder
from auditor.scenes import CUES, LABELS, Scene, draw

SEED = 600
CHECKS = 21
"""Passes of the gates' sample: 2 + 3 draws × 5 stages and gradients (docs/method.md)."""
BATCH = 32


def write(folder: Path, count: int, strength: float) -> None:
    """Balanced scenes with masks, as the sample has them."""
    groups = [(label, value) for label in LABELS for value in CUES["head"].values]
    with (
        (folder / "test.csv").open("w", newline="") as file,
        progress_bar("Drawing", "scenes") as progress,
    ):
        table = csv.writer(file)
        table.writerow(["image", "regions", "label", "drawn_as"])
        for number in range(count):
            label, value = groups[number % len(groups)]
            picture = draw(Scene(label, value, (SEED, number), strength=strength), masks=True)
            Image.fromarray(picture.pixels).save(folder / f"{number}.jpg", quality=88)
            Image.fromarray(picture.regions).save(folder / f"{number}.png")
            table.writerow([f"{number}.jpg", f"{number}.png", label, value])
            progress(number + 1, count)


def plain(classifier: auditor.Classifier, folder: Path, count: int) -> None:
    """The loop that a user would write."""
    with inspected(classifier.module):
        for start in range(0, count, BATCH):
            pixels = []
            for number in range(start, min(start + BATCH, count)):
                with Image.open(folder / f"{number}.jpg") as image:
                    pixels.append(classifier.preprocess.pixels(image.convert("RGB")))
            predict(classifier, np.stack(pixels))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--strength", type=float, default=2.1)
    parser.add_argument("--rounds", type=int, default=1)
    given = parser.parse_args()
    config: Config = auditor.read_config(sample_folder() / "skewed.toml")
    classifier = auditor.load_classifier(config)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, given.images, given.strength)
        dataset = auditor.open_dataset(
            DatasetConfig(folder / "test.csv", "manifest", attributes=("drawn_as",)),
            regions=config.regions,
        )
        took: dict[str, list[float]] = {"plain loop": [], "maps only": [], "whole audit": []}
        for turn in range(given.rounds):
            variants = list(took)
            for variant in variants[turn % 3 :] + variants[: turn % 3]:
                shutil.rmtree(folder / "run", ignore_errors=True)
                start = time.perf_counter()
                if variant == "plain loop":
                    plain(classifier, folder, given.images)
                else:
                    evidence = 0 if variant == "maps only" else None
                    settings = auditor.Settings(evidence=evidence)
                    run = auditor.audit(classifier, dataset, folder / "run", settings=settings)
                    if evidence is None:
                        counts, cases = run.info["counts"], run.read_cases()
                took[variant].append(time.perf_counter() - start)
    suspects = cases[cases["stratum"].isin(["error", "doubtful"]) & cases["passes"].notna()]
    n, changed = counts["cases"], counts["passes"]
    checks = CHECKS * min(SAMPLE, n)
    print(
        f"{n} images, {counts['errors'] / n:.1%} wrong, {torch.get_num_threads()} threads\n"
        f"passes a suspect: median {suspects['passes'].median():.0f}, mean "
        f"{suspects['passes'].mean():.1f} ({len(suspects)} suspects, {counts['tested']} tested)\n"
        f"passes ÷ images: maps 1.00, gates {checks / n:.2f}, interventions {changed / n:.2f}, "
        f"in all {1 + (checks + changed) / n:.2f}"
    )
    for variant, seconds in took.items():
        ratio = statistics.median(s / p for s, p in zip(seconds, took["plain loop"], strict=True))
        print(f"time ÷ plain loop: {variant:12} {ratio:.2f}")


if __name__ == "__main__":
    main()
