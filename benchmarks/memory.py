"""Whether an audit's memory grows with the number of images.

    python -m benchmarks.memory [--cases 2000 20000]

Audits so many cases (one image and mask file, listed under many ids) in fresh processes
with a small network, and prints each one's peak resident memory and their ratio.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import nn

import auditor
from auditor.configuration import DatasetConfig
from benchmarks.process_memory import high_water

DISTINCT = 64


def audit_many(cases: int) -> float:
    """Peak resident memory in MB of a process that audits so many cases."""
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(DISTINCT):
            pixels = random.integers(0, 256, (120, 160, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.jpg")
            mask = np.zeros((120, 160), bool)
            mask[number : number + 40, 20 : 60 + number] = True
            Image.fromarray(mask).save(folder / f"{number}.png")
        pd.DataFrame(
            {
                "id": [f"case {i}" for i in range(cases)],
                "image": [f"{i % DISTINCT}.jpg" for i in range(cases)],
                "label": [f"class {i % 2}" for i in range(cases)],
                "place": [f"place {i % 3}" for i in range(cases)],
                "region.cue": [f"{i % DISTINCT}.png" for i in range(cases)],
            }
        ).to_csv(folder / "manifest.csv", index=False)
        config = DatasetConfig(folder / "manifest.csv", "manifest", attributes=("place",))
        roles = auditor.RegionRoles(cues=("cue",), rest="background")
        model = nn.Sequential(
            nn.Conv2d(3, 16, 8, 8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
            nn.Linear(16, 2),
        )  # fmt: skip
        classifier = auditor.Classifier(
            model, ("class 0", "class 1"), auditor.Preprocess(resize=64, crop=56)
        )
        auditor.audit(classifier, auditor.open_dataset(config, regions=roles), folder / "run")
    return high_water() / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, nargs="+", default=[2_000, 20_000])
    given = parser.parse_args()
    peaks = []
    for cases in given.cases:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            peaks.append(pool.apply(audit_many, (cases,)))
        ratio = peaks[-1] / peaks[0]
        print(f"{cases:>9,} cases: peak {peaks[-1]:,.0f} MB, {ratio:.3f} of the first")


if __name__ == "__main__":
    main()
