"""Whether `auditor discover` finds a planted cue that nobody annotated.

    python -m benchmarks.discovery_truth                   # a quarter of an hour of one core
    python -m benchmarks.discovery_truth --seeds tuning    # models that nothing is reported of
    python -m benchmarks.discovery_truth --write           # and put the tables into the page
    python -m benchmarks.discovery_truth --kept            # the tables of the last such command

Ten small networks of `benchmarks.truth` (plain and dense take turns) learn rendered scenes with a
cue, five a tag in a corner and five the head, each with a seed of its own from 3000 on; seeds from
2000 on are for tuning. They do so at 90/10, and again at 78/93, which was added when the tuning
seeds had shown that at 90/10 the cue causes most errors, so that nearly any set of them shows it.
Nothing else was chosen by them, and discovery is as it was before. Each network is audited on 320
balanced scenes, without changing pixels, by a configuration that does not name the cue: it names
garment and equipment, and as cues face and hair (where the tag is planted) or the skin below the
head (where the head is). Its errors are clustered by `auditor.discovery` with the options that it
has by itself.

The rule was written down before any network was clustered. A cluster **shows the cue** if, by the
truth that neither audit nor discovery sees,

1. the mean mass of its members' margin maps on the cue's true mask, over that mask's mean area
   (the lift), is above 1.5,
2. this lift is higher than that of the subject (garment and equipment), and
3. at least 60 % of its members are caused by the cue: the same scene, drawn again with only the
   cue changed, is classified right.

The cue is **found** in a model if the first or second cluster shows it, in discovery's own order,
the largest first, whether or not the page says that there is structure. A model with too few
errors to be clustered counts as not found.

Where most errors are caused by the cue, most sets of errors show it, so two controls stand beside
it. *Random*: the same errors dealt at random into clusters of the same sizes, 1000 times; the share
of times that the rule finds the cue. *50/50*: the same networks, seeds and scenes where the
training had nothing to learn from the cue. And stricter: the cue is **told apart** if the first or
second cluster shows it and has a lift, or a share of caused errors, that at most 2.5 % of random
sets of as many of these errors have. Two clusters and two ways: by chance that is in one model of
ten at most.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image
from threadpoolctl import threadpool_limits

import auditor
from auditor.cli.progress import progress_bar
from auditor.discovery import DiscoveryOptions, discover
from auditor.discovery.options import FEWEST, Kind
from auditor.discovery.selection import select
from auditor.errors import AuditorError
from auditor.pipeline import Settings
from auditor.pipeline.featuring import Featuring
from auditor.scenes import REGIONS
from auditor.types import Floats
from benchmarks.pages import with_tables
from benchmarks.truth import grid
from benchmarks.truth.grid import SEEDS, UNBIASED, Cell
from benchmarks.truth.testing import PER_GROUP, SUBJECT, balanced, name_of, write_test
from benchmarks.truth.training import Weights, scenes_sha256
from benchmarks.truth.truth import known
from benchmarks.truth.variants import as_drawn

F64 = NDArray[np.float64]

ROOT = Path(__file__).resolve().parents[1]
TRUTH, OWN = ROOT / "build" / "truth", ROOT / "build" / "discovery_truth"
DOC = ROOT / "docs" / "discovery.md"
BEGIN = "<!-- python -m benchmarks.discovery_truth --write: begin -->"
END = "<!-- python -m benchmarks.discovery_truth --write: end -->"

BIASED = ("90/10", "78/93")
NAMED = {"tag": ("face", "hair"), "head": ("body",)}
"""The planted cues, and the cues that the audit is told of instead."""
ALL = (*BIASED, UNBIASED)
MODELS = 10
LIFT, PURITY, FIRST = 1.5, 0.6, 2
DEALT = 1000
TAIL = 0.025
PARTS = ["skew", "by"]
TOTALS = (
    "| trained at | by | models clustered | structure beyond chance | **found** | "
    "found in random clusters | told apart |",
    "|---|---|---|---|---|---|---|",
)
HEAD = (
    "| trained at | cue, seed, network | errors | caused | lift | maps | p | random | features | "
    "p | random |",
    "|---|---|---|---|---|---|---|---|---|---|---|",
)
KINDS: tuple[Kind, ...] = ("maps", "features")


@dataclass(frozen=True)
class Errors:
    """The clustered errors of a model, and the truth about each."""

    cue: F64
    """[errors] share of the margin map on the cue's true mask."""
    cue_area: F64
    subject: F64
    """[errors] share of the margin map on garment and equipment."""
    subject_area: F64
    caused: NDArray[np.bool_]
    """[errors] whether the scene is classified right once the cue is changed."""

    def lifts(self, some: NDArray[np.bool_]) -> tuple[float, float]:
        """Of the cue and of the subject, in these errors."""
        return (
            float(self.cue[some].mean() / self.cue_area[some].mean()),
            float(self.subject[some].mean() / self.subject_area[some].mean()),
        )

    def shows(self, some: NDArray[np.bool_]) -> bool:
        """Whether these errors show the cue."""
        cue, subject = self.lifts(some)
        return cue > LIFT and cue > subject and float(self.caused[some].mean()) >= PURITY


def rank(errors: Errors, clusters: NDArray[np.intp]) -> int | None:
    """The number of the first cluster that shows the cue; `clusters` counts from 1."""
    numbers = range(1, int(clusters.max()) + 1)
    return next((n for n in numbers if errors.shows(clusters == n)), None)


def is_found(first: int | None) -> bool:
    """Whether the first cluster that shows the cue is early enough."""
    return first is not None and first <= FIRST


def dealt(errors: Errors, clusters: NDArray[np.intp], times: int = DEALT) -> float:
    """The share of random deals into clusters of the same sizes in which the cue is found."""
    random = np.random.default_rng(0)
    return float(
        np.mean([is_found(rank(errors, random.permutation(clusters))) for _ in range(times)])
    )


def tails(errors: Errors, some: NDArray[np.bool_], times: int = DEALT) -> tuple[float, float]:
    """How often a random set of so many errors has a lift, and a share caused, as large."""
    random = np.random.default_rng(1)
    lift, caused = errors.lifts(some)[0], errors.caused[some].mean()
    others = [random.permutation(some) for _ in range(times)]
    return (
        (1 + sum(errors.lifts(other)[0] >= lift - 1e-12 for other in others)) / (1 + times),
        (1 + sum(errors.caused[other].mean() >= caused - 1e-12 for other in others)) / (1 + times),
    )


def told_apart(errors: Errors, clusters: NDArray[np.intp]) -> bool:
    """Whether an early cluster shows the cue, and more of it than chance would give."""
    early = [clusters == n for n in range(1, min(FIRST, int(clusters.max())) + 1)]
    return any(errors.shows(some) and min(tails(errors, some)) <= TAIL for some in early)


def judged(errors: Errors, clusters: NDArray[np.intp]) -> dict[str, object]:
    """One clustering against the truth; of the first that shows the cue, None where none does."""
    first = rank(errors, clusters)
    some = clusters == (first or 1)
    lifts = errors.lifts(some)
    return {
        "clusters": int(clusters.max()),
        "rank": first,
        "found": is_found(first),
        "told_apart": told_apart(errors, clusters),
        "random": dealt(errors, clusters),
        "n": int(some.sum()),
        "caused": float(errors.caused[some].mean()),
        "lift": lifts[0],
        "subject_lift": lifts[1],
    }


def models(seeds: Sequence[int], skew: str) -> list[Cell]:
    """Half of them with each cue, and of each in turns of both makes."""
    half = MODELS // len(NAMED)
    return [
        Cell(cue, skew, seeds[part * half + n], grid.SMALL[n % 2])
        for part, cue in enumerate(NAMED)
        for n in range(half)
    ]


def measured(cell: Cell) -> list[dict[str, object]]:
    """Train the model if need be, audit it without its cue, cluster its errors, and judge."""
    checkpoint = Weights(TRUTH / "weights", ROOT / "absent").trained(cell)
    place = f"{cell.cue}_{cell.seed}_{cell.net.side}_as-drawn"
    manifest = write_test(TRUTH / "tests" / scenes_sha256()[:12] / place, cell, as_drawn)
    OWN.mkdir(parents=True, exist_ok=True)
    config, folder = OWN / f"{cell.name}.toml", OWN / cell.name
    _write_configuration(config, cell, manifest, checkpoint)
    shutil.rmtree(folder, ignore_errors=True)
    classifier = auditor.load_classifier(config)
    settings = Settings(device="cpu", workers=1, fresh=True, evidence=0)
    run = auditor.audit(classifier, auditor.open_dataset(config), folder / "run", settings=settings)
    wrong = (run.cases["correct"] == False).to_numpy(dtype=bool)  # noqa: E712 - nullable
    scenes = balanced(cell.cue, cell.seed, PER_GROUP)
    names = [name_of(scene) for scene in scenes]
    caused = pd.Series(known(classifier, scenes, cell.net.side).caused, index=names)
    told = {
        "cue": cell.cue,
        "skew": cell.skew,
        "seed": cell.seed,
        "network": cell.network,
        "errors": int(wrong.sum()),
        "base": float(caused[run.cases["id"].astype(str)[wrong]].mean()) if wrong.any() else None,
    }
    options = DiscoveryOptions(images=False)
    try:
        selection = select(run, options)
    except AuditorError:
        shutil.rmtree(folder)
        return [told | {"by": kind, "clusters": 0, "found": False} for kind in KINDS]
    done = discover(run, folder / "out", options, features=Featuring.of(run, "cpu").under)
    ids = selection.cases["id"].astype(str).tolist()
    cue, cue_area = _on(selection.shares, manifest, ids, grid.REGIONS[cell.cue])
    subject, subject_area = _on(selection.shares, manifest, ids, SUBJECT)
    errors = Errors(cue, cue_area, subject, subject_area, caused[ids].to_numpy(dtype=bool))
    table = pd.read_parquet(done.folder / "clusters.parquet").set_index("id")
    rows: list[dict[str, object]] = []
    for kind in done.document["kinds"]:
        clusters = table.loc[table["by"] == kind["by"], "cluster"][ids].to_numpy(dtype=np.intp)
        whole = errors.lifts(np.ones(len(ids), dtype=np.bool_))
        rows.append(
            told
            | {"by": kind["by"], "structure": kind["structure"], "p": kind["p"]}
            | {"base_lift": whole[0], "sizes": np.bincount(clusters)[1:].tolist()}
            | judged(errors, clusters)
        )
    shutil.rmtree(folder)
    return rows


def _on(
    shares: Floats, manifest: Path, ids: Sequence[str], regions: Sequence[str]
) -> tuple[F64, F64]:
    """Each map's share on regions as they were drawn, and the regions' share of the picture."""
    values = [REGIONS[region] for region in regions]
    height, width = shares.shape[1:]
    mass, area = [], []
    for share, name in zip(shares, ids, strict=True):
        with Image.open(manifest.parent / "regions" / f"{name}.png") as picture:
            mask = np.isin(np.asarray(picture), values)
        cells = mask.reshape(height, mask.shape[0] // height, width, -1).mean((1, 3))
        mass.append(float((share * cells).sum()))
        area.append(float(mask.mean()))
    return np.array(mass), np.array(area)


def _write_configuration(path: Path, cell: Cell, manifest: Path, checkpoint: Path) -> None:
    cues = NAMED[cell.cue]
    index = "\n".join(f"{REGIONS[name]} = {json.dumps(name)}" for name in (*SUBJECT, *cues))
    path.write_text(
        f"""\
[dataset]
path = {json.dumps(str(manifest))}
format = "manifest"

[regions]
subject = {json.dumps(SUBJECT)}
cues = {json.dumps(cues)}

[regions.index]
{index}

[model]
factory = "benchmarks.truth.networks:{cell.network}"
checkpoint = {json.dumps(str(checkpoint))}
""",
        encoding="utf-8",
    )


def results_of(cells: Sequence[Cell]) -> list[dict[str, object]]:
    """A row a model and kind of clustering."""
    torch.set_num_threads(1)
    rows = []
    with threadpool_limits(1), progress_bar("Discovery", "models") as progress:
        for done, cell in enumerate(cells):
            progress(done, len(cells))
            rows += measured(cell)
        progress(len(cells), len(cells))
    return rows


def markdown(found: pd.DataFrame) -> str:
    """The tables: totals, and each biased model."""
    totals = [_total(skew, by, some) for (skew, by), some in found.groupby(PARTS, sort=False)]
    biased = found[found["skew"] != UNBIASED].groupby(["skew", "cue", "seed"], sort=False)
    lines = [_line(some) for _, some in biased]
    return "\n\n".join(
        (
            "\n".join((*TOTALS, *totals)),
            "Each model: its errors, the share of them that the cue causes and the lift on the cue "
            "in all of them; the first cluster that shows the cue, of how many, with its size, "
            "share caused, lift on cue / subject; p of the structure; and how often random "
            "clusters would find the cue.",
            "\n".join((*HEAD, *lines)),
        )
    )


def _total(skew: str, by: str, some: pd.DataFrame) -> str:
    of = len(some)
    counts = [
        sum(value is True or value == 1 for value in some[name])
        for name in ("structure", "found", "told_apart")
    ]
    return (
        f"| {skew} | {by} | {int((some['clusters'] > 0).sum())} of {of} | {counts[0]} | "
        f"**{counts[1]} of {of}** | {some['random'].fillna(0).sum():.1f} | {counts[2]} |"
    )


def _line(rows: pd.DataFrame) -> str:
    """One model, by each kind of clustering."""
    told = []
    row = rows.iloc[0]
    lift = "–" if pd.isna(row["base_lift"]) else f"{row['base_lift']:.1f}"
    for _, one in rows.iterrows():
        if not one["clusters"]:
            told.append(f"under {FEWEST} errors | – | –")
        elif pd.isna(one["rank"]):
            told.append(f"none of {one['clusters']:.0f} | {one['p']:.2f} | {one['random']:.2f}")
        else:
            told.append(
                f"{one['rank']:.0f} of {one['clusters']:.0f}: {one['n']:.0f}, "
                f"{_percent(one['caused'])}, {one['lift']:.1f} / {one['subject_lift']:.1f} | "
                f"{one['p']:.2f} | {one['random']:.2f}"
            )
    model = f"{row['cue']}, {row['seed']}, {row['network']}"
    start = f"| {row['skew']} | {model} | {row['errors']} | {_percent(row['base'])} | {lift} | "
    return start + " | ".join(told) + " |"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def written(page: str, tables: str) -> str:
    """The page with its tables between the two marks exchanged."""
    return with_tables(page, BEGIN, END, tables, DOC)


def main() -> int:
    """Read the command line, measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.discovery_truth",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seeds", choices=tuple(SEEDS), default="reporting")
    parser.add_argument("--skews", nargs="+", choices=ALL, default=ALL)
    parser.add_argument("--kept", action="store_true", help="measure nothing anew")
    parser.add_argument("--write", action="store_true", help="put the tables into the page")
    given = parser.parse_args()
    if given.write and (given.seeds != "reporting" or tuple(given.skews) != ALL):
        parser.error("--write takes all models on reporting seeds")
    file = OWN / f"{given.seeds}.json"
    if given.kept:
        rows = json.loads(file.read_text(encoding="utf-8"))
    else:
        cells = [cell for skew in given.skews for cell in models(SEEDS[given.seeds], skew)]
        rows = results_of(cells)
        file.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    tables = markdown(pd.DataFrame(rows))
    print(tables)
    if given.write:
        DOC.write_text(written(DOC.read_text(encoding="utf-8"), tables), encoding="utf-8")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except AuditorError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
