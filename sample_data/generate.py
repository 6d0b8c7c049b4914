"""Make the sample again: `python sample_data/generate.py` (some ten minutes on two cores).

Draws the training scenes of the study's arms "skewed" and "rebalanced" into
`build/clinic-training`, trains a ShuffleNet on each with `auditor finetune`, and writes
`sample_data/clinic`: test scenes with region masks, a manifest, one configuration a
checkpoint, and the two checkpoints. Everything follows from seeds. The images are the same on
every machine; trained weights differ in their last digits from one processor to another.

    python sample_data/generate.py --training FOLDER   # the training images alone, to try
                                                       # `auditor finetune --balance` on
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image

from auditor import open_dataset, read_config
from auditor.cli.progress import progress_bar
from auditor.errors import AuditorError
from auditor.pipeline.finetuning import finetune
from auditor.scenes import CUES, LABELS, Picture, Scene, draw
from auditor.study.arms import ARMS, training_scenes

HERE = Path(__file__).resolve().parent
CLINIC = HERE / "clinic"
TRAINING = HERE.parent / "build" / "clinic-training"

SEED = 2024
"""Apart from the seeds of the study and of its calibration."""
STRENGTH = 1.6
"""Below the study's 1.9, which was calibrated at 112 pixels: at 224 the network reads garment and
equipment better, and is to be wrong about as often."""
PER_CLASS = 1000
PER_GROUP = 80
"""Test images of each label × value."""
CHECKPOINTS = ("skewed", "rebalanced")

Progress = Callable[[int, int], None]


def training_set(arm: str) -> list[Scene]:
    """The training scenes of an arm."""
    return training_scenes(ARMS[arm], SEED, PER_CLASS, STRENGTH)


def test_set() -> list[Scene]:
    """The test scenes, every one another person; the groups in turn, so that any part is mixed."""
    return [
        Scene(
            label,
            value,
            (SEED, 2, LABELS.index(label), CUES["head"].values.index(value), n),
            strength=STRENGTH,
        )
        for n in range(PER_GROUP)
        for label in LABELS
        for value in CUES["head"].values
    ]


def name_of(scene: Scene) -> str:
    """The file name of a scene, without a suffix."""
    return f"{scene.label}-{scene.value}-{scene.seed[-1]:04}"


def write_training(out: Path, progress: Progress) -> None:
    """Write images, a manifest for each arm and how to train; `out` appears when complete."""
    part = _part_of(out)
    arms = {arm: training_set(arm) for arm in CHECKPOINTS}
    scenes = list(dict.fromkeys(scene for arm in arms.values() for scene in arm))
    (part / "images").mkdir()
    for number, scene in enumerate(scenes, 1):
        _write_image(part / "images" / f"{name_of(scene)}.jpg", draw(scene))
        progress(number, len(scenes))
    for arm, chosen in arms.items():
        _write_manifest(part / f"{arm}.csv", chosen, masks=False)
        text = _TRAIN.replace("ARM", arm).replace("TOLD", ARMS[arm].told)
        (part / f"{arm}.toml").write_text(text, encoding="utf-8", newline="\n")
    beside = os.path.relpath(CLINIC, out.parent.resolve() / out.name)
    (part / "audit.toml").write_text(
        _audit("balanced", "the skewed set, drawn from in equal shares", Path(beside).as_posix()),
        encoding="utf-8",
        newline="\n",
    )
    part.rename(out)


def write_test(out: Path, checkpoints: Path, progress: Progress) -> None:
    """Write the sample that is shipped; `out` appears when it is complete."""
    part = _part_of(out)
    for folder in ("images", "regions"):
        (part / folder).mkdir()
    scenes = test_set()
    for number, scene in enumerate(scenes, 1):
        picture = draw(scene, masks=True)
        _write_image(part / "images" / f"{name_of(scene)}.jpg", picture)
        Image.fromarray(picture.regions).save(
            part / "regions" / f"{name_of(scene)}.png", optimize=True
        )
        progress(number, len(scenes))
    _write_manifest(part / "test.csv", scenes, masks=True)
    for name in CHECKPOINTS:
        text = _audit(name, ARMS[name].told, ".")
        (part / f"{name}.toml").write_text(text, encoding="utf-8", newline="\n")
        shutil.copyfile(checkpoints / f"{name}.pt", part / f"{name}.pt")
    shutil.rmtree(out, ignore_errors=True)
    part.rename(out)


def _part_of(out: Path) -> Path:
    part = out.with_name(out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    return part


def _write_image(path: Path, picture: Picture) -> None:
    # Colour at full resolution: the default would bleed hair into the wall beside it.
    Image.fromarray(picture.pixels).save(path, quality=88, subsampling=0, optimize=True)


def _write_manifest(path: Path, scenes: Sequence[Scene], masks: bool) -> None:
    columns = ["id", "image", "label", "drawn_as", *(["regions"] if masks else [])]
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, columns, lineterminator="\n")
        table.writeheader()
        for scene in scenes:
            name = name_of(scene)
            row = {"id": name, "image": f"images/{name}.jpg", "label": scene.label}
            row["drawn_as"] = str(scene.value)
            table.writerow(row | ({"regions": f"regions/{name}.png"} if masks else {}))


def _audit(checkpoint: str, told: str, folder: str) -> str:
    """The configuration that audits a checkpoint beside it, on the test set in `folder`."""
    manifest = "test.csv" if folder == "." else f"{folder}/test.csv"
    text = _AUDIT.replace("NAME", checkpoint).replace("TOLD", told)
    return text.replace("MANIFEST", manifest)


_TRAIN = """\
# How the checkpoint "ARM" of the sample is trained: TOLD.
#
#   auditor finetune ARM.toml --out ARM.pt
#   auditor finetune ARM.toml --out balanced.pt --balance drawn_as

[dataset]
path = "ARM.csv"          # one row an image; relative to this file
format = "manifest"
label = "label"           # the column that holds the class
attributes = ["drawn_as"] # how hair and face are drawn: a rendered attribute with two values

[model]
architecture = "shufflenet_v2_x0_5"   # any of torchvision's classification models
classes = ["doctor", "nurse"]         # in the order of the model's outputs

[model.preprocess]        # the checkpoint carries this along
resize = 224              # the shorter side, in pixels
crop = 224                # from the centre; the images are square, so nothing is lost

[finetune]                # from random weights, since the sample works without a connection
epochs = 8
learning_rate = 0.002
batch_size = 32
validation = 0.15         # share of the images that only measures; as skewed as the rest
seed = 0
"""

_AUDIT = """\
# What to audit, and which regions of the images should matter.
#
# The classifier "NAME" was trained on: TOLD.

[dataset]
path = "MANIFEST"         # one row an image; relative to this file
format = "manifest"
label = "label"           # the column that holds the class
attributes = ["drawn_as"] # columns to break the accuracy down by: here, how hair and face
                          # are drawn; a rendered attribute that says nothing about people

[regions]                 # the column `regions` names an indexed mask for every image
subject = ["garment", "equipment"]    # what should decide
cues = ["face", "hair"]               # what should not, but might
rest = "background"                   # everything else is known to be background

[regions.index]           # the values of the masks' pixels; 0 and 1 (wall, bare skin) have no
2 = "garment"             # role here and belong to the background
3 = "equipment"
4 = "face"
5 = "hair"

[model]
checkpoint = "NAME.pt"    # from `auditor finetune`: carries architecture, classes, preprocessing

[audit]
method = "gradcam"
seed = 0
"""


def main() -> int:
    """Read the command line and write the sample."""
    parser = argparse.ArgumentParser(description="Make the sample of clinic scenes.")
    parser.add_argument(
        "--training", type=Path, metavar="FOLDER", help="write the training images alone, to FOLDER"
    )
    only = parser.parse_args().training
    training = only or TRAINING
    if only and only.exists():
        print(f"{only}: exists; choose another folder or remove it.", file=sys.stderr)
        return 2
    if not training.exists():
        with progress_bar("Drawing training scenes", "images") as progress:
            write_training(training, progress)
    if only:
        skewed, balanced = only / "skewed.toml", only / "balanced.pt"
        print(
            f"Wrote {only}. Next: auditor finetune {skewed} --out {balanced} --balance drawn_as, "
            f"and then auditor audit {only / 'audit.toml'} --out runs/balanced"
        )
        return 0
    for name in CHECKPOINTS:
        checkpoint = training / f"{name}.pt"
        if checkpoint.exists():
            continue
        config = read_config(training / f"{name}.toml")
        with progress_bar(f"Training {name}", "images") as progress:
            finetune(config, open_dataset(config), checkpoint, print, progress)
    with progress_bar("Drawing test scenes", "images") as progress:
        write_test(CLINIC, training, progress)
    print(f"Wrote {CLINIC}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except AuditorError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("\nInterrupted; the same command goes on from here.", file=sys.stderr)
        sys.exit(130)
