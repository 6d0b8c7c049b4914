"""A discovery: cases → clusters → what they are like → a folder of files."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from auditor.datasets import Dataset
from auditor.discovery.clusters import (
    HINT,
    NEXT,
    NO_STRUCTURE,
    described,
    nearest,
    off_subject,
    ordered,
)
from auditor.discovery.options import FINE, MOST_CLUSTERS, DiscoveryOptions, Kind
from auditor.discovery.page import page
from auditor.discovery.selection import (
    Features,
    Selection,
    feature_vectors,
    map_vectors,
    select,
)
from auditor.discovery.sheets import Tile, sheet
from auditor.discovery.spectral import ALPHA, NULLS, Grouping, grouped
from auditor.discovery.tasks import places, task, written_task
from auditor.errors import AuditorError, CaseError, RunError
from auditor.exports.identity import identity
from auditor.exports.request import Request
from auditor.files import folders_above, writable
from auditor.geometry import Preprocess
from auditor.language import counted
from auditor.report.blurring import Blurred
from auditor.report.wording import written
from auditor.store import Run

VERSION = 1
"""Of clusters.json: grows when a reader of it would have to change."""

_OUTLINED = "outlined: where the map holds half of its maximum or more."

Step = Literal["comparing", "drawing"]
Progress = Callable[[Step, int, int], None]
"""Called with (step, done, in all): chance data clustered, contact sheets drawn."""


@dataclass(frozen=True)
class Discovered:
    """A folder that was written."""

    folder: Path
    document: Mapping[str, Any]
    """What clusters.json holds."""


def discover(
    run: Run,
    out: str | Path,
    options: DiscoveryOptions | None = None,
    *,
    dataset: Dataset | None = None,
    features: Features | None = None,
    progress: Progress | None = None,
) -> Discovered:
    """Cluster the errors of a finished run, and write `out`, a folder that does not exist.

    What it holds is listed in docs/discovery.md. `dataset` is given where it is open; otherwise it
    is opened from the run's configuration. `features` gives the features under maps, which
    `auditor.pipeline.featuring` makes; it is needed unless cases are clustered by maps alone.
    The folder appears whole or not at all; where it cannot be written, that is found before
    anything is clustered. Raises `AuditorError`, for instance for fewer than 20 errors.
    """
    out, options = Path(out), options or DiscoveryOptions()
    told = progress or (lambda _step, _done, _total: None)
    _check(run, out, options, features)
    selection = select(run, options)
    opened, notes = _opened(run, dataset, options)
    height, width = selection.shares.shape[1:]
    if min(height, width) < FINE:
        notes.append(
            f"The maps have {height} by {width} cells, each a large part of the picture: what is "
            "smaller they do not tell apart. A larger input ([model.preprocess]) or a finer "
            "model.layer gives more."
        )
    if opened is not None:
        _refuse_missing(run, opened, selection)
    # Made first: a place that cannot be written is found now, not after the clustering.
    with (
        writable(out),
        folders_above(out),
        tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as temporary,
    ):
        part = Path(temporary) / "made"
        part.mkdir()
        groupings: dict[Kind, Grouping] = {}
        for number, kind in enumerate(options.kinds):
            vectors = _vectors(kind, selection, features)
            found = grouped(vectors, options.seed, options.clusters, _part(told, number, options))
            if found is None:
                notes.append(f"All {len(selection.cases)} cases have the same {kind}: no clusters.")
            else:
                groupings[kind] = ordered(selection, found)
        if not groupings:
            raise RunError(f"{run.path}: {notes[-1]}")
        kinds = [_kind(run, selection, kind, grouping) for kind, grouping in groupings.items()]
        least = off_subject(selection)
        if opened is not None:
            notes += _sheets(run, opened, selection, groupings, least, kinds, options, part, told)
            made = task(run, opened, selection, groupings)
            (part / "coco.json").write_text(written_task(made), "ascii", newline="\n")
            if made.problems:
                notes.append(
                    f"{counted(made.problems, 'image')} or its masks cannot be read, and "
                    "coco.json lacks them."
                )
        document = _document(run, options, selection, least, kinds, notes, opened is not None)
        text = json.dumps(document, indent=1, allow_nan=False)
        (part / "clusters.json").write_text(text + "\n", "ascii", newline="\n")
        pq.write_table(_table(selection, groupings), part / "clusters.parquet")
        (part / "index.html").write_bytes(page(document, part))
        if out.exists():
            out.rmdir()  # empty, as was checked
        shutil.move(part, out)
    return Discovered(out, document)


def _check(run: Run, out: Path, options: DiscoveryOptions, features: Features | None) -> None:
    if out.resolve().is_relative_to(run.path.resolve()):
        raise AuditorError(f"{out}: lies in the run, which is never changed; give another place.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise AuditorError(f"{out}: exists; choose another name, or remove it.")
    if features is None and "features" in options.kinds:
        raise AuditorError(
            "cases cannot be clustered by features without the model; give features=, or by='maps'."
        )


def _opened(
    run: Run, dataset: Dataset | None, options: DiscoveryOptions
) -> tuple[Dataset | None, list[str]]:
    """The dataset, and notes; None where it cannot be opened and no picture is wanted."""
    try:
        opened = Request(run, dataset).opened()
    except AuditorError as error:
        if options.images:
            raise type(error)(f"{error} Or give --no-images.") from None
        return None, [f"coco.json is not written, since the dataset cannot be opened: {error}"]
    notes = []
    at = places(opened)
    ids = [at.get(case) for case in run.read_cases(["id"])["id"].astype(str)]
    known = np.array([place for place in ids if place is not None], dtype=np.intp)
    if opened.fingerprint(known) != run.info["identity"]["dataset"]:
        notes.append(
            "The dataset is not as it was audited (its fingerprint differs): images and masks are "
            "today's, maps those of the audit."
        )
    if options.blur:
        Blurred.of(opened, options.blur)  # refuses an unknown region
    return opened, notes


def _refuse_missing(run: Run, dataset: Dataset, selection: Selection) -> None:
    at = places(dataset)
    for case in selection.cases["id"].astype(str):
        if case not in at:
            raise RunError(
                f"{dataset.config.path}: holds no case {case!r} any more, which {run.path} "
                "audited; restore the dataset, or audit again."
            )


def _vectors(kind: Kind, selection: Selection, features: Features | None) -> NDArray[np.float64]:
    if kind == "maps":
        return map_vectors(selection.shares)
    assert features is not None  # checked before
    ids = [str(case) for case in selection.cases["id"]]
    return feature_vectors(features(ids, selection.shares))


def _part(told: Progress, number: int, options: DiscoveryOptions) -> Callable[[int, int], None]:
    """Tells of one kind as a part of all."""
    kinds = len(options.kinds)
    return lambda done, total: told("comparing", number * total + done, kinds * total)


def _kind(run: Run, selection: Selection, kind: Kind, grouping: Grouping) -> dict[str, Any]:
    clusters = described(selection, grouping, run.info["attributes"])
    for cluster in clusters:
        cluster["sheet"] = None
    p = written(grouping.p, "p")
    bound = (
        " So many are the most that are looked for: they may be parts of a continuum."
        if grouping.count == MOST_CLUSTERS
        else ""
    )
    verdict = (
        f"{grouping.count} clusters, better than those of data without any (p = {p}).{bound}"
        if grouping.structure
        else f"{NO_STRUCTURE.capitalize()} (p = {p}): data without clusters, cut in the same way, "
        f"give groups as good. The {grouping.count} below only put similar cases side by side."
    )
    return {
        "by": kind,
        "structure": grouping.structure,
        "text": verdict,
        "p": grouping.p,
        "p_silhouette": grouping.p_silhouette,
        "p_eigengap": grouping.p_eigengap,
        "silhouette": grouping.silhouette,
        "eigengap": grouping.eigengap,
        "eigenvalues": [round(value, 6) for value in grouping.eigenvalues],
        "neighbours": grouping.neighbours,
        "dimensions": grouping.dimensions,
        "tested": grouping.tested,
        "clusters": clusters,
    }


def _sheets(
    run: Run,
    dataset: Dataset,
    selection: Selection,
    groupings: Mapping[Kind, Grouping],
    least: dict[str, Any] | None,
    kinds: list[dict[str, Any]],
    options: DiscoveryOptions,
    folder: Path,
    told: Progress,
) -> list[str]:
    """Draw the contact sheets, name them in `least` and `kinds`, and return notes."""
    if not options.images:
        return []
    shown = Blurred.of(dataset, options.blur) if options.blur else dataset
    preprocess = Preprocess.read(run.info["model"]["preprocess"])
    at = places(dataset)
    wanted = [] if least is None else [_off_subject(selection, least)]
    wanted += [
        _of_cluster(groupings[kind["by"]], kind, cluster)
        for kind in kinds
        for cluster in kind["clusters"]
    ]
    hidden = 0
    for done, one in enumerate(wanted):
        told("drawing", done, len(wanted))
        tiles = []
        for row, more in zip(one.rows, one.more, strict=True):
            case = selection.cases.iloc[int(row)]
            pixels = _pixels(shown, preprocess, at[str(case["id"])])
            hidden += pixels is None
            subtitle = f"{case['label']} → {case['predicted']}{more}"
            tiles.append(Tile(pixels, selection.shares[row], str(case["id"]), subtitle))
        mean = np.array(one.entry["mean_map"])
        sheet(one.title, one.lines, mean, tiles).save(folder / one.name)
        one.entry["sheet"] = one.name
    told("drawing", len(wanted), len(wanted))
    if not hidden:
        return []
    return [
        f"{counted(hidden, 'picture')} on the contact sheets cannot be shown: the image cannot be "
        "read, or a region that was to be made unrecognisable is not annotated in it."
    ]


@dataclass(frozen=True)
class _Sheet:
    """What a contact sheet is to show."""

    name: str
    title: str
    lines: Sequence[str]
    rows: Sequence[int]
    """Of the selection, in the order of the sheet."""
    more: Sequence[str]
    """What stands beside label and prediction of each."""
    entry: dict[str, Any]
    """Of clusters.json, with `mean_map`, and `sheet` to be filled in."""


def _of_cluster(grouping: Grouping, kind: Mapping[str, Any], cluster: dict[str, Any]) -> _Sheet:
    rows = nearest(grouping, cluster["number"]).tolist()
    warning = "" if kind["structure"] else f"{NO_STRUCTURE.capitalize()}. "
    return _Sheet(
        f"{kind['by']}-cluster-{cluster['number']:02}.png",
        f"By {kind['by']}: cluster {cluster['number']} of {grouping.count}",
        [
            cluster["text"],
            f"{warning}A hint, not a finding: a cluster is no cause. Shown: "
            f"{counted(len(rows), 'case')} nearest the centre; {_OUTLINED}",
        ],
        rows,
        [""] * len(rows),
        cluster,
    )


def _off_subject(selection: Selection, least: dict[str, Any]) -> _Sheet:
    place = {case: row for row, case in enumerate(selection.cases["id"].astype(str))}
    cases = least["cases"]
    return _Sheet(
        "off-subject.png",
        "Evidence that lies least on the subject",
        [
            f"The {len(cases)} of {counted(least['n'], 'case')} whose margin maps have the lowest "
            "lift on the annotated subject, whatever they lie on instead.",
            f"A hint, not a finding: a map is no cause. Shown with the lift of each; {_OUTLINED}",
        ],
        [place[case["id"]] for case in cases],
        [f", lift {case['lift']:.2f}" for case in cases],
        least,
    )


def _pixels(dataset: Dataset, preprocess: Preprocess, place: int) -> NDArray[np.uint8] | None:
    try:
        return preprocess.pixels(dataset.read(place).picture.image)
    except CaseError:
        return None


def _document(
    run: Run,
    options: DiscoveryOptions,
    selection: Selection,
    least: dict[str, Any] | None,
    kinds: list[dict[str, Any]],
    notes: list[str],
    with_task: bool,
) -> dict[str, Any]:
    return {
        "auditor_discovery": VERSION,
        "hint": HINT,
        "next": list(NEXT),
        "run": identity(run),
        "options": asdict(options) | {"blur": list(options.blur)},
        "method": {
            "source": "SpRAy: Lapuschkin et al. 2019, Nature Communications 10:1096",
            "maps": "margin maps, positive part, each summing to 1",
            "order": "by the lift of the maps on the subject, the lowest first",
            "layer": run.info["layer"]["name"],
            "grid": list(selection.shares.shape[1:]),
            "nulls": NULLS,
            "alpha": ALPHA,
        },
        "cases": {
            "considered": selection.considered,
            "without_positive_evidence": selection.without_evidence,
            "left_out": selection.left_out,
            "clustered": len(selection.cases),
        },
        "off_subject": least,
        "kinds": kinds,
        "task": "coco.json" if with_task else None,
        "notes": notes,
    }


def _table(selection: Selection, groupings: Mapping[Kind, Grouping]) -> pa.Table:
    """A row a case and kind: `id`, `by`, `cluster`, `distance` to the cluster's centre."""
    ids = selection.cases["id"].astype(str).tolist()
    kinds = list(groupings)
    return pa.table(
        {
            "id": pa.array([case for _ in kinds for case in ids], pa.string()),
            "by": pa.array([kind for kind in kinds for _ in ids], pa.string()),
            "cluster": pa.array(
                np.concatenate([one.clusters for one in groupings.values()]), pa.int32()
            ),
            "distance": pa.array(
                np.concatenate([one.distances for one in groupings.values()]), pa.float64()
            ),
        }
    )
