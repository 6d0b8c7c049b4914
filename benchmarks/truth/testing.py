"""The balanced test of a cell on disk, and the configuration that audits it."""

from __future__ import annotations

import csv
import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from auditor.scenes import CUES, LABELS, REGIONS, STRENGTH, Scene, draw
from benchmarks.truth import grid
from benchmarks.truth.grid import Cell
from benchmarks.truth.training import ATTRIBUTE
from benchmarks.truth.variants import Variant

PER_GROUP = 80
"""Test scenes of each label × value."""
SUBJECT = ("garment", "equipment")
_TEST = 2  # apart from the study's scenes, and from those of the training


def balanced(cue: str, seed: int, per_group: int) -> list[Scene]:
    """Test scenes, every one another person, so that no donor is a scene's own counterfactual."""
    return [
        Scene(label, value, (seed, _TEST, place, number, n), cue, STRENGTH)
        for n in range(per_group)
        for place, label in enumerate(LABELS)
        for number, value in enumerate(CUES[cue].values)
    ]


def name_of(scene: Scene) -> str:
    """The id of a test scene."""
    return f"{scene.label}-{scene.value}-{scene.seed[-1]:03}"


def write_test(folder: Path, cell: Cell, variant: Variant) -> Path:
    """Write the balanced test of a cell, masks and all, and return its manifest."""
    return write_scenes(folder, balanced(cell.cue, cell.seed, PER_GROUP), cell, variant)


def write_scenes(folder: Path, scenes: Sequence[Scene], cell: Cell, variant: Variant) -> Path:
    """Write images, masks and a manifest, which is returned; `folder` appears when complete."""
    manifest = folder / "test.csv"
    if folder.exists():
        return manifest
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    for name in ("images", "regions"):
        (part / name).mkdir()
    cue = [REGIONS[region] for region in grid.REGIONS[cell.cue]]
    with (part / manifest.name).open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["id", "image", "regions", "label", ATTRIBUTE])
        for number, scene in enumerate(scenes):
            name, picture = name_of(scene), draw(scene, cell.net.side, masks=True)
            assert picture.regions is not None
            files = f"images/{name}.png", f"regions/{name}.png"
            masks = variant(picture.regions, cue, number)
            for path, array in zip(files, (picture.pixels, masks), strict=True):
                _write(part / path, array)
            table.writerow([name, *files, scene.label, scene.value])
    try:
        part.rename(folder)
    except OSError:  # another process was faster, with the very same files
        shutil.rmtree(part)
    return manifest


def _write(path: Path, array: NDArray[np.uint8]) -> None:
    Image.fromarray(array).save(path, compress_level=1)


def write_configuration(path: Path, cell: Cell, manifest: Path, checkpoint: Path) -> None:
    """What `auditor audit` takes, so that any cell can be looked at by hand."""
    cues = grid.REGIONS[cell.cue]
    named = [*SUBJECT, *(cue for cue in cues if cue != "background")]
    model = f'factory = "benchmarks.truth.networks:{cell.network}"\n' if cell.net.factory else ""
    tied = cues if cell.cue != "cast" else ()
    donors = ", ".join(f"{cue} = {json.dumps(ATTRIBUTE)}" for cue in tied)
    tone = f"tone = {json.dumps(ATTRIBUTE)}\n" if cell.cue == "cast" else ""
    index = "\n".join(f"{REGIONS[name]} = {json.dumps(name)}" for name in named)
    path.write_text(
        f"""\
[dataset]
path = {json.dumps(str(manifest))}
format = "manifest"
attributes = [{json.dumps(ATTRIBUTE)}]

[regions]
subject = {json.dumps(SUBJECT)}
cues = {json.dumps(cues)}
rest = "background"

[regions.index]
{index}

[model]
{model}checkpoint = {json.dumps(str(checkpoint))}

[evidence]
donors = {{ {donors} }}
{tone}""",
        encoding="utf-8",
    )
