"""Train, audit and describe both sets of real photographs; see docs/real-data.md.

    python benchmarks/real_data/run.py

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
from pathlib import Path

import numpy as np
import pandas as pd
from sheets import Audited, bare_sheet, photo_sheets

import auditor
from auditor.configuration import Config
from auditor.datasets import Dataset
from auditor.findings import THRESHOLDS, References, reference_excess, region_p_values
from auditor.groups import group_table
from auditor.measures import excess, positive_share

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build" / "real_data"
DATA = ROOT.parent / "shared" / "data"
SETS = {"tomato": "plantvillage_tomato", "street": "ccp_fashion"}
UNFLAGGED = 10  # errors without a flag that are drawn for comparison
BARE = 12  # cases in the figure of docs/real-data.md


def main() -> int:
    missing = [DATA / folder for folder in SETS.values() if not (DATA / folder).is_dir()]
    if missing:
        print(f"skipped: {missing[0]} is not there; docs/real-data.md names its source.")
        return 0
    BUILD.mkdir(parents=True, exist_ok=True)
    flagged = []
    for name, folder in SETS.items():
        print(f"\n## {name}")
        audited = audit(name)
        print_regions(audited)
        if name == "street":
            print_skin(audited, DATA / folder / "labels.csv")
        print_attention(audited)
        flagged += [(audited, position) for position in draw(name, audited)]
    figure = ROOT / "docs" / "images" / "real-data-flagged.png"
    bare_sheet(flagged[:BARE], figure)
    print(f"\nWrote {figure.relative_to(ROOT)}: {len(flagged[:BARE])} cases")
    return 0


def audit(name: str) -> Audited:
    """Train where there is no checkpoint, then audit with the commands that a user types."""
    checkpoint, run = BUILD / f"{name}.pt", BUILD / f"{name}_run"
    if not checkpoint.exists():
        call("finetune", HERE / f"{name}_train.toml", "--out", checkpoint)
    shutil.rmtree(run, ignore_errors=True)  # the numbers are to come from this code
    call("audit", HERE / f"{name}_audit.toml", "--out", run)
    config = auditor.read_config(HERE / f"{name}_audit.toml")
    return read(config, auditor.open_dataset(config), auditor.open_run(run))


def call(verb: str, config: Path, option: str, out: Path) -> None:
    told = [verb, str(config.relative_to(ROOT)), option, str(out.relative_to(ROOT))]
    print(f"\n$ auditor {' '.join(told)}", flush=True)
    start = time.monotonic()
    script = Path(sys.executable).with_name("auditor")
    subprocess.run([script, *told], cwd=ROOT, check=True)  # noqa: S603 - our own arguments
    print(f"({time.monotonic() - start:.0f} s)", flush=True)


def read(config: Config, dataset: Dataset, run: auditor.Run) -> Audited:
    """Run and dataset, with the regions on the grid of the maps."""
    preprocess = auditor.load_classifier(config).preprocess
    names, grid = dataset.roles.names, tuple(run.info["layer"]["grid"])
    coverage = np.full((len(dataset), len(names), *grid), np.nan)
    for position in range(len(dataset)):
        case = dataset.read(position)
        if case.atoms is not None:
            place = preprocess.placement(case.picture.size)
            coverage[position] = place.coverage(case.atoms, len(names), grid)
    return Audited(dataset, run, preprocess, coverage)


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
    """What the attention test said, and the most that it could have said."""
    cases, roles = audited.cases, audited.dataset.roles
    errors = np.flatnonzero(cases["correct"] == False)  # noqa: E712 - nulls
    counts = cases["evidence"].iloc[errors].value_counts().to_dict()
    print(f"\nThe attention test over {len(errors)} errors: {counts}\n")
    columns = [roles.names.index(cue) for cue in roles.cues]
    observed = cases[[f"p.{cue}" for cue in roles.cues]].to_numpy(dtype=float)[errors]
    most = _ceiling(audited, errors)[:, columns]
    rows = []
    for i, cue in enumerate(roles.cues):
        p, best = observed[:, i], most[:, i]
        p, best = p[~np.isnan(p)], best[~np.isnan(best)]
        rows.append(
            (
                cue,
                str(len(p)),
                f"{np.median(p):.3f}" if len(p) else "–",
                f"{p.min():.3f}" if len(p) else "–",
                str(int((p <= THRESHOLDS.alpha).sum())),
                str(int((p <= THRESHOLDS.alpha / len(columns)).sum())),
                str(int((best <= THRESHOLDS.alpha / len(columns)).sum())),
            )
        )
    print_table(
        ("cue", "n", "median p", "least p", "p ≤ .05", "corrected", "map on the cue alone"), rows
    )


def _ceiling(audited: Audited, errors: np.ndarray) -> np.ndarray:
    """[errors, regions]: p if the margin map were the region itself, and nothing else."""
    cases, roles = audited.cases, audited.dataset.roles
    usable = np.stack([cases[f"status.{name}"] == "ok" for name in roles.names], axis=1)
    p = np.full((len(errors), len(roles.names)), np.nan)
    for row, position in enumerate(errors):
        of_class = np.flatnonzero(cases["label"] == cases["label"].iat[position])
        references = References(
            tuple(cases["id"].iloc[of_class]), audited.coverage[of_class], usable[of_class]
        )
        for region in np.flatnonzero(usable[position]):
            area = audited.coverage[position, region]
            own = excess((positive_share(area) * area).sum(), area.mean())
            null = reference_excess([cases["id"].iat[position]], area[None], references)
            p[row, region] = region_p_values(own, null[0, region])
    return p


def draw(name: str, audited: Audited) -> list[int]:
    """Write the sheets of photographs; the positions of the flagged cases, most excess first.

    Without a flagged case, those of the errors with most excess on a cue.
    """
    cases = audited.cases
    errors = np.flatnonzero(cases["correct"] == False)  # noqa: E712 - nulls
    by_excess = sorted(errors.tolist(), key=lambda position: -audited.most_excess(position)[1])
    flagged = [p for p in by_excess if cases["evidence"].iat[p] == "attention"]
    others = [p for p in by_excess if p not in flagged]
    chosen = np.random.default_rng(0).permutation(others)[:UNFLAGGED].tolist()
    print(f"\n{len(flagged)} flagged, {len(chosen)} of {len(others)} other errors drawn:")
    for kind, positions in (("flagged", flagged), ("unflagged", chosen)):
        for path in photo_sheets(audited, positions, BUILD / f"{name}_{kind}"):
            print(f"Wrote {path.relative_to(ROOT)}")
        for position in positions:
            print(f"  {kind}: {audited.caption(position)}")
    return flagged or by_excess[:UNFLAGGED]


def print_table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Markdown, as it goes into the document."""
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    sys.exit(main())
