"""Train, audit and describe both sets of real photographs; see docs/real-data.md.

    python -m benchmarks.real_data.run

Prints everything that docs/real-data.md states, and writes sheets of cases to look at by
eye to build/real_data/, and docs/images/real-data-flagged.png, which holds no pixel of a
photograph. Checkpoints that are there are used; the audits are run anew, unless `--keep` is
given and they are there. Where the data is not there, it says so and does nothing.
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

import auditor
from auditor.configuration import Config
from auditor.datasets import Dataset
from auditor.thresholds import THRESHOLDS
from benchmarks.real_data.changed import changed_sheets
from benchmarks.real_data.manifest import write_manifests
from benchmarks.real_data.sheets import Audited, bare_sheet, photo_sheets

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build" / "real_data"
DATA = ROOT.parent / "shared" / "data"
SETS = {"street": "ccp_fashion", "tomato": "plantvillage_tomato"}
SHOWN = {"street": 8, "tomato": 4}  # cases of each in the figure of docs/real-data.md
FLAGGED = ("confirmed", "probable", "attention")
A_SHEET = 10  # cases whose changed images are drawn


def main(keep: bool) -> int:
    missing = [DATA / folder for folder in SETS.values() if not (DATA / folder).is_dir()]
    if missing:
        print(f"skipped: {missing[0]} is not there; docs/real-data.md names its source.")
        return 0
    BUILD.mkdir(parents=True, exist_ok=True)
    shown = []
    write_manifests(DATA, BUILD)
    for name in SETS:
        print(f"\n## {name}")
        audited = audit(name, keep)
        print_statuses(audited)
        print_regions(audited)
        print_attention(audited)
        print_interventions(name, audited)
        shown += [(audited, position) for position in draw(name, audited)[: SHOWN[name]]]
    figure = ROOT / "docs" / "images" / "real-data-flagged.png"
    bare_sheet(shown, figure)
    print(f"\nWrote {figure.relative_to(ROOT)}: {len(shown)} cases")
    return 0


def audit(name: str, keep: bool) -> Audited:
    """Train where there is no checkpoint, then audit with the commands that a user types."""
    checkpoint, run = BUILD / f"{name}.pt", BUILD / f"{name}_run"
    if not checkpoint.exists():
        call("finetune", HERE / f"{name}_train.toml", "--out", checkpoint)
    if not (keep and run.is_dir()):
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
    print("\nMaps\n")
    rows = []
    for region in audited.dataset.roles.names[:-1]:  # neither set is padded
        for right, told in ((False, "wrong"), (True, "right")):
            group = cases[cases["correct"] == right].dropna(subset=f"mass.{region}")
            means = [
                group[f"{measure}.{region}"].mean()
                for measure in ("mass", "margin_mass", "area", "lift")
            ]
            numbers = ("–" if np.isnan(mean) else f"{mean:.3f}" for mean in means)
            rows.append((region, told, str(len(group)), *numbers))
    print_table(("region", "cases", "n", "mass", "margin mass", "area", "lift"), rows)


def print_attention(audited: Audited) -> None:
    """What the attention test said, and what it would say of a map on the cue alone."""
    cases, cues = audited.cases, audited.dataset.roles.cues
    errors = np.flatnonzero(cases["correct"] == False)  # noqa: E712 - nulls
    counts = cases["map_evidence"].iloc[errors].value_counts().to_dict()
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
                str(int((measured["map_cue"] == cue).sum())),
            )
        )
    print_table(("cue", "measured", "median p", "least p", "testable", "queued"), rows)


def print_interventions(name: str, audited: Audited) -> None:
    """What came of changing the pixels, cue by cue, and sheets of the changed images."""
    cases, made = audited.cases, audited.run.interventions
    tested = cases[cases["id"].isin(made["case"])]
    print(f"\nInterventions: {len(made)} images classified for {len(tested)} cases\n")
    rows = []
    for cue in audited.dataset.roles.cues:
        for right, told in ((False, "wrong"), (True, "right")):
            group = tested[tested["correct"].astype(bool) == right]
            reliance = group[f"reliance.{cue}"].dropna()
            found = group[group["cue"] == cue]["evidence"].value_counts()
            of_cue = made[(made["cue"] == cue) & made["case"].isin(group["id"])]
            rows.append(
                (
                    cue,
                    told,
                    str(len(group)),
                    str(of_cue.loc[of_cue["arm"] == "opposite", "case"].nunique()),
                    str(of_cue.loc[of_cue["arm"] == "fill", "case"].nunique()),
                    f"{reliance.median():.2f}" if len(reliance) else "–",
                    f"{reliance.quantile(0.9):.2f}" if len(reliance) else "–",
                    *(str(found.get(kind, 0)) for kind in ("confirmed", "probable")),
                )
            )
    print_table(
        (
            "cue",
            "cases",
            "chosen",
            "by donors",
            "by fills",
            "median ρ",
            "9 of 10 under",
            "confirmed",
            "probable",
        ),
        rows,
    )
    reasons = tested.loc[tested["evidence"] == "untestable", "reason"].value_counts()
    for reason, count in reasons.items():
        print(f"- untestable, {count}: {reason}")
    flagged = tested[tested["evidence"].isin(FLAGGED)]
    print_arms(audited, flagged)
    shown = np.flatnonzero(cases["id"].isin(flagged["id"]))
    errors = np.flatnonzero(cases["correct"] == False)  # noqa: E712 - nulls
    shown = list(dict.fromkeys([*shown.tolist(), *errors.tolist()]))[:A_SHEET]
    for path in changed_sheets(audited, shown, BUILD / f"{name}_changed"):
        print(f"Wrote {path.relative_to(ROOT)}")


def print_arms(audited: Audited, flagged: pd.DataFrame) -> None:
    """The margin of flagged cases as they are, and with the cue of donors of either value."""
    made, classes = audited.run.interventions, audited.run.info["model"]["classes"]
    print("\nFlagged: the mean margin, and how far it is spread over donors\n")
    rows = []
    for case in flagged.itertuples():
        first, second = classes.index(case.predicted), classes.index(case.contrast)
        of_case = made[(made["case"] == case.id) & (made["cue"] == case.cue)]
        told = []
        for arm in ("same", "opposite"):
            logits = of_case.loc[of_case["arm"] == arm, "logits"]
            margins = np.array([values[first] - values[second] for values in logits])
            told.append(f"{margins.mean():.1f} ± {margins.std():.1f}" if len(margins) else "–")
        rows.append(
            (
                Path(case.id).stem,
                f"{case.label} → {case.predicted}",
                str(case.cue),
                str(case.evidence),
                f"{case.margin:.1f}",
                *told,
            )
        )
    print_table(("case", "label → predicted", "cue", "evidence", "as it is", "same", "other"), rows)


def draw(name: str, audited: Audited) -> list[int]:
    """Write the sheets of photographs; the positions of all errors, the flagged ones first,
    those with most excess on a cue before the others.
    """
    cases = audited.cases
    errors = np.flatnonzero(cases["correct"] == False)  # noqa: E712 - nulls
    by_excess = sorted(errors.tolist(), key=lambda position: -audited.most_excess(position)[1])
    flagged = [p for p in by_excess if cases["evidence"].iat[p] in FLAGGED]
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
    sys.exit(main("--keep" in sys.argv[1:]))
