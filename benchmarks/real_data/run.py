"""Train, audit and describe both sets of real photographs; see docs/real-data.md.

    python -m benchmarks.real_data.run

Prints everything that docs/real-data.md states, and writes sheets of cases to look at by
eye to build/real_data/, and docs/images/real-data-flagged.png, which holds no pixel of a
photograph. Checkpoints that are there are used; the audits are run anew. Where the data is
not there, it says so and does nothing.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import fisher_exact

import auditor
from auditor.configuration import Config
from auditor.datasets import Dataset
from auditor.groups import group_table
from auditor.thresholds import THRESHOLDS
from benchmarks.real_data.sheets import Audited, bare_sheet, photo_sheets

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build" / "real_data"
DATA = ROOT.parent / "shared" / "data"
SETS = {"street": "ccp_fashion", "tomato": "plantvillage_tomato"}
SHOWN = {"street": 8, "tomato": 4}  # cases of each in the figure of docs/real-data.md


def main() -> int:
    missing = [DATA / folder for folder in SETS.values() if not (DATA / folder).is_dir()]
    if missing:
        print(f"skipped: {missing[0]} is not there; docs/real-data.md names its source.")
        return 0
    BUILD.mkdir(parents=True, exist_ok=True)
    shown = []
    for name, folder in SETS.items():
        print(f"\n## {name}")
        audited = audit(name)
        print_statuses(audited)
        print_regions(audited)
        if name == "street":
            print_skin(audited, DATA / folder / "labels.csv")
        print_attention(audited)
        shown += [(audited, position) for position in draw(name, audited)[: SHOWN[name]]]
    figure = ROOT / "docs" / "images" / "real-data-flagged.png"
    bare_sheet(shown, figure)
    print(f"\nWrote {figure.relative_to(ROOT)}: {len(shown)} cases")
    return 0


def audit(name: str) -> Audited:
    """Train where there is no checkpoint, then audit with the commands that a user types."""
    checkpoint, run = BUILD / f"{name}.pt", BUILD / f"{name}_run"
    if not checkpoint.exists():
        call("finetune", HERE / f"{name}_train.toml", "--out", checkpoint)
    shutil.rmtree(run, ignore_errors=True)  # the numbers are to come from this code
    call("audit", HERE / f"{name}_audit.toml", "--out", run)
    config = auditor.read_config(HERE / f"{name}_audit.toml")
    audited = read(config, auditor.open_dataset(config), auditor.open_run(run))
    training = audited.run.info["model"]["training"]
    print(
        f"Trained on {training['images']} photographs; epoch {training['epoch']} kept, right on "
        f"{training['validation_accuracy']:.1%} of {training['validation_images']} others."
    )
    return audited


def call(verb: str, config: Path, option: str, out: Path) -> None:
    told = [verb, str(config.relative_to(ROOT)), option, str(out.relative_to(ROOT))]
    print(f"\n$ auditor {' '.join(told)}", flush=True)
    start = time.monotonic()
    script = Path(sys.executable).with_name("auditor")
    subprocess.run([script, *told], cwd=ROOT, check=True)  # noqa: S603 - our own arguments
    print(f"({time.monotonic() - start:.0f} s)", flush=True)


def read(config: Config, dataset: Dataset, run: auditor.Run) -> Audited:
    """Run and dataset, with the way of the photographs into the model."""
    return Audited(dataset, run, auditor.load_classifier(config).preprocess)


def print_statuses(audited: Audited) -> None:
    """In how many photographs each region can be measured."""
    print("\nRegions\n")
    statuses = ("ok", "absent", "below_resolution", "cropped_out")
    rows = []
    for region in audited.dataset.roles.names[:-1]:
        counts = audited.cases[f"status.{region}"].value_counts()
        rows.append((region, *(str(counts.get(status, 0)) for status in statuses)))
    print_table(("region", *statuses), rows)


def print_regions(audited: Audited) -> None:
    """Where the maps lie: means over errors and over correct cases, beside chance."""
    cases = audited.cases
    labels: list[str | None] = [None]
    if len(audited.dataset.labels) == 2:  # more would leave too few errors in each
        labels += audited.dataset.labels
    for label in labels:
        of_label = cases if label is None else cases[cases["label"] == label]
        print(f"\nMaps, {'all labels' if label is None else label}\n")
        rows = []
        for region in audited.dataset.roles.names[:-1]:  # neither set is padded
            for right, told in ((False, "wrong"), (True, "right")):
                group = of_label[of_label["correct"] == right].dropna(subset=f"mass.{region}")
                means = [
                    group[f"{measure}.{region}"].mean()
                    for measure in ("mass", "margin_mass", "area", "lift")
                ]
                numbers = ("–" if np.isnan(mean) else f"{mean:.3f}" for mean in means)
                rows.append((region, told, str(len(group)), *numbers))
        print_table(("region", "cases", "n", "mass", "margin mass", "area", "lift"), rows)


def print_skin(audited: Audited, labels: Path) -> None:
    """Accuracy by label × bare skin, parted at the median of the test photographs."""
    fraction = pd.read_csv(labels).set_index("image")["skin_fraction"]
    cases = audited.cases[["id", "label", "correct"]].copy()
    skin = cases["id"].map(fraction)
    median = skin.median()
    cases["bare skin"] = np.where(skin < median, "little", "much")
    cases["correct"] = cases["correct"].astype(bool)
    for label, of_label in cases.groupby("label"):
        p = fisher_exact(pd.crosstab(of_label["bare skin"], of_label["correct"])).pvalue
        print(f"\n{label}, little against much bare skin: p = {p:.3f} (Fisher, two-sided)")
    print(f"\nAccuracy by label × bare skin (little: under {median:.4f} of the photograph)\n")
    table = group_table(cases, ["label", "bare skin"])
    print_table(
        ("label", "bare skin", "right", "accuracy", "95 % interval", "precision"),
        [
            (
                row.label,
                row[2],
                f"{row.correct}/{row.judged}",
                f"{row.accuracy:.1%}",
                f"{row.low:.1%}–{row.high:.1%}",
                row.precision,
            )
            for row in table.itertuples()
        ],
    )


def print_attention(audited: Audited) -> None:
    """What the attention test said, and what it would say of a map on the cue alone."""
    cases, cues = audited.cases, audited.dataset.roles.cues
    errors = np.flatnonzero(cases["correct"] == False)  # noqa: E712 - nulls
    counts = cases["evidence"].iloc[errors].value_counts().to_dict()
    print(f"\nThe attention test over {len(errors)} errors: {counts}\n")
    rows = []
    for cue in cues:
        measured = cases.iloc[errors].dropna(subset=[f"p.{cue}"])
        p = measured[f"p.{cue}"]
        testable = measured[f"best_p.{cue}"] <= THRESHOLDS.alpha
        rows.append(
            (
                cue,
                str(len(p)),
                f"{p.median():.3f}" if len(p) else "–",
                f"{p.min():.3f}" if len(p) else "–",
                str(int(testable.sum())),
                str(int((measured["cue"] == cue).sum())),
            )
        )
    print_table(("cue", "measured", "median p", "least p", "testable", "queued"), rows)


def draw(name: str, audited: Audited) -> list[int]:
    """Write the sheets of photographs; the positions of all errors, the flagged ones first,
    those with most excess on a cue before the others.
    """
    cases = audited.cases
    errors = np.flatnonzero(cases["correct"] == False)  # noqa: E712 - nulls
    by_excess = sorted(errors.tolist(), key=lambda position: -audited.most_excess(position)[1])
    flagged = [p for p in by_excess if cases["evidence"].iat[p] == "attention"]
    others = [p for p in by_excess if p not in flagged]
    print(f"\n{len(flagged)} flagged errors, {len(others)} others, most excess on a cue first\n")
    for kind, positions in (("flagged", flagged), ("unflagged", others)):
        for position in positions:
            print(f"- {kind}: {audited.caption(position)}")
        for path in photo_sheets(audited, positions, BUILD / f"{name}_{kind}"):
            print(f"Wrote {path.relative_to(ROOT)}")
    return flagged + others


def print_table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Markdown, as it goes into the document."""
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    sys.exit(main())
