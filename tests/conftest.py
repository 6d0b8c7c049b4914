"""Shared by all tests: a dataset and a classifier so small that every answer is known.

The dataset has 12 images of 32×40 pixels (height×width), six red ones labelled "warm" and
six blue ones labelled "cold"; in each, the left half is the region "coat" and the top right
quarter the region "face". The classifier compares red with blue, so it is right about all
of them unless a test paints or labels one otherwise.
"""

from __future__ import annotations

import contextlib
import csv
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

import auditor
from auditor.errors import ModelError
from auditor.models import Classifier
from auditor.models.operators import torchvision

# Before any peer imports torchvision by itself, which fails beside a CPU-only torch.
torchvision()

# The networks are tiny, and threads that wait for each other on shared cores cost most.
torch.set_num_threads(1)

HEIGHT, WIDTH, COUNT = 32, 40, 12
RED, BLUE = (200, 10, 30), (30, 10, 200)

MODEL = '''
"""Compares red with blue: logits (4 × mean red, 4 × mean blue)."""

import os
import time

import torch
from torch import nn


class Warmth(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 2, 8, 8, bias=False), nn.ReLU())
        self.fc = nn.Linear(2, 2, bias=False)

    def forward(self, images):
        time.sleep(float(os.environ.get("WARMTH_DELAY", "0")))
        return self.fc(self.features(images).mean((2, 3)))


def warmth():
    torch.manual_seed(0)
    model = Warmth()
    weight = torch.zeros(2, 3, 8, 8)
    weight[0, 0] = weight[1, 2] = 1 / 64
    with torch.no_grad():
        model.features[0].weight.copy_(weight)
        model.fc.weight.copy_(4 * torch.eye(2))
    return model


def untrained():
    model = Warmth()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    return model


class Doubtful(Warmth):
    """Gives NaN for a black image."""

    def forward(self, images):
        logits = super().forward(images)
        brightest = images.amax((1, 2, 3))[:, None]
        return logits + torch.where(brightest == 0, torch.nan, 0.0)


def doubtful():
    model = Doubtful()
    model.load_state_dict(warmth().state_dict())
    return model
'''

PREPROCESS = """
[model.preprocess]
resize = [32, 40]
crop = false
mean = [0.0, 0.0, 0.0]
std = [1.0, 1.0, 1.0]
"""

CONFIG = (
    """
[dataset]
path = "data.csv"
format = "manifest"
attributes = ["tone"]

[regions]
subject = ["coat"]
cues = ["face"]

[model]
factory = "warmth:warmth"
classes = ["warm", "cold"]
"""
    + PREPROCESS
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write the files anew that tests compare with (tests/test_report_golden.py)",
    )


@dataclass(frozen=True)
class Project:
    """A folder with images, masks, a manifest, a model and the configuration `audit.toml`."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "audit.toml"

    @property
    def manifest(self) -> Path:
        return self.folder / "data.csv"

    def image(self, number: int) -> Path:
        return self.folder / f"{number:02d}.png"

    def rows(self) -> list[dict[str, str]]:
        with self.manifest.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def write_rows(self, rows: list[dict[str, str]]) -> None:
        with self.manifest.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)

    def replace(self, old: str, new: str) -> None:
        """Change the configuration at the one place that reads `old`."""
        text = self.config.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {self.config}"
        self.config.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """The dataset and the classifier that the module's docstring describes."""
    yield make_project(tmp_path)
    # Another test's factory may have the same name.
    for name in [n for n, m in sys.modules.items() if _lies_in(m, tmp_path)]:
        del sys.modules[name]


def make_project(folder: Path) -> Project:
    made = Project(folder)
    coat = np.zeros((HEIGHT, WIDTH), np.uint8)
    coat[:, : WIDTH // 2] = 255
    face = np.zeros_like(coat)
    face[: HEIGHT // 2, WIDTH // 2 :] = 255
    Image.fromarray(coat).save(folder / "coat.png")
    Image.fromarray(face).save(folder / "face.png")
    rows = []
    for number in range(COUNT):
        colour, label = (RED, "warm") if number % 2 == 0 else (BLUE, "cold")
        Image.new("RGB", (WIDTH, HEIGHT), colour).save(made.image(number))
        rows.append(
            {
                "id": f"case{number:02d}",
                "image": made.image(number).name,
                "label": label,
                "tone": "dark" if number < COUNT // 2 else "light",
                "region.coat": "coat.png",
                "region.face": "face.png",
            }
        )
    made.write_rows(rows)
    (folder / "warmth.py").write_text(MODEL, encoding="utf-8")
    made.config.write_text(CONFIG, encoding="utf-8")
    return made


def _lies_in(module: object, folder: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).is_relative_to(folder)


class Outcome(NamedTuple):
    """How a call of the console script ended."""

    status: int
    out: str
    err: str


@pytest.fixture
def auditor_cli(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Outcome]:
    """Calls the console script in this process."""
    from auditor.cli import main

    def call(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["auditor", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as exited:
            main()
        code = exited.value.code
        return Outcome(code if isinstance(code, int) else int(bool(code)), *capsys.readouterr())

    return call


@contextlib.contextmanager
def seeded(seed: int = 0) -> Iterator[None]:
    """A random state of its own for what is built inside."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


@pytest.fixture(scope="session")
def demo_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the demo's two runs, made once; nothing is to be written in it."""
    runs = tmp_path_factory.mktemp("demo") / "runs"
    command = [sys.executable, "-m", "auditor", "demo", "--no-dashboard", "--out", str(runs)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return runs


Load = Callable[[str], Classifier]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Load the classifier of these lines under [model], beside a dataset that is not there.

    No network is asked.
    """
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    if "huggingface_hub.constants" in sys.modules:  # which has read the environment already
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    def load(lines: str) -> Classifier:
        head = '[dataset]\npath = "none.csv"\nformat = "manifest"\n[model]\n'
        (tmp_path / "audit.toml").write_text(head + lines, encoding="utf-8")
        return auditor.load_classifier(tmp_path / "audit.toml")

    return load


@pytest.fixture
def refusal(load: Load) -> Callable[[str], str]:
    """What the model of these lines is refused with."""

    def refusal(lines: str) -> str:
        with pytest.raises(ModelError) as caught:
            load(lines)
        assert "Traceback" not in str(caught.value)
        return str(caught.value)

    return refusal
