"""From a batch's maps and regions to rows of `cases.parquet`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from auditor import measures
from auditor.findings import pattern, quadrant
from auditor.regions import RegionRoles
from auditor.thresholds import Thresholds
from auditor.types import SUBJECT, Floats, RegionStatus

F64 = NDArray[np.float64]

REGION_MEASURES = (
    "mass",
    "area",
    "lift",
    "excess",
    "contrast_mass",
    "margin_mass",
    "margin_excess",
    "pointing",
    "rank",
)
"""Measures taken of each region while the maps are made, as column prefixes."""

FINISHED_MEASURES = ("centre_lift", "p", "best_p")
"""Those that need the whole dataset, and are added when the run is finished."""

SET_MEASURES = ("reliance", "reliance_se", "flips")
"""What the interventions on a cue set measure."""

SUBJECT_MEASURES = ("iou", "iou_15", "iou_75", "saliency_coverage", "region_coverage")
"""Set measures, taken of the subject alone."""


def schema(
    attributes: Sequence[str], cluster: bool, regions: Sequence[str], sets: Sequence[str]
) -> pa.Schema:
    """The columns of `cases.parquet`, in order."""
    text, number = pa.string(), pa.float64()
    fields: list[tuple[str, pa.DataType]] = [
        ("id", text),
        ("image", text),
        ("label", text),
        ("predicted", text),
        ("contrast", text),
        ("confidence", number),
        ("margin", number),
        ("correct", pa.bool_()),
        *((f"attribute.{name}", text) for name in attributes),
        *([("cluster", text)] if cluster else []),
        ("status", text),
        ("message", text),
        ("flag", text),
        ("cue", text),
        ("evidence", text),
        ("map_evidence", text),
        ("map_cue", text),
        ("severity", number),
        ("stability", number),
        ("reason", text),
        ("stratum", text),
        ("passes", pa.int32()),
        *((f"{measure}.{name}", number) for name in sets for measure in SET_MEASURES),
        ("quadrant", text),
        ("pattern", text),
        ("map_scale", number),
        *((f"{measure}.{SUBJECT}", number) for measure in SUBJECT_MEASURES),
    ]
    for region in regions:
        fields.append((f"status.{region}", text))
        fields += [(f"{m}.{region}", number) for m in (*REGION_MEASURES, *FINISHED_MEASURES)]
    return pa.schema(fields)


@dataclass(frozen=True)
class Measured:
    """Measures of a batch: column name to [cases]; NaN where undefined."""

    columns: dict[str, F64]
    quadrants: list[str | None]
    patterns: list[str | None]
    positive: NDArray[np.bool_]
    """Whether the predicted class's map has any positive evidence."""


def measure(
    maps: Floats,
    coverage: Floats,
    region_status: Sequence[Sequence[RegionStatus] | None],
    correct: Sequence[bool],
    roles: RegionRoles,
    thresholds: Thresholds,
) -> Measured:
    """Measure a batch: `maps` [cases, 3, h, w], `coverage` [cases, regions, h, w].

    A region whose status is not `ok` keeps its area, and has no other measure; nor has any
    region of a case without regions.
    """
    predicted, contrast, margin = (np.asarray(maps[:, i], dtype=np.float64) for i in range(3))
    area = measures.area(coverage)
    mass = measures.mass(predicted, coverage)
    margin_mass = measures.mass(margin, coverage)
    values = {
        "mass": mass,
        "area": area,
        "lift": measures.lift(mass, area),
        "excess": measures.excess(mass, area),
        "contrast_mass": measures.mass(contrast, coverage),
        "margin_mass": margin_mass,
        "margin_excess": measures.excess(margin_mass, area),
        "pointing": measures.pointing(predicted, coverage),
        "rank": measures.rank(predicted, coverage),
    }
    known = np.array([status is not None for status in region_status])
    usable = np.array(
        [
            [status is not None and status[region] == "ok" for region in range(len(roles.names))]
            for status in region_status
        ]
    ).reshape(area.shape)
    columns: dict[str, F64] = {}
    for name, value in values.items():
        shown = np.where(known[:, None] if name == "area" else usable, value, np.nan)
        columns |= {f"{name}.{region}": shown[:, i] for i, region in enumerate(roles.names)}

    subject = np.where(usable[:, :1, None], coverage[:, 0], np.nan)
    cut = measures.overlap(predicted, subject, thresholds.cut)
    low, high = (measures.overlap(predicted, subject, cut).iou for cut in thresholds.cuts)
    set_measures = (cut.iou, low, high, cut.saliency, cut.region)
    columns |= {
        f"{name}.{SUBJECT}": value
        for name, value in zip(SUBJECT_MEASURES, set_measures, strict=True)
    }
    cues = [columns[f"excess.{cue}"] for cue in roles.cues]
    cue_excess = np.stack(cues, axis=1) if cues else np.empty((len(maps), 0))
    return Measured(
        columns,
        [
            quadrant(right, subject_excess, others)
            for right, subject_excess, others in zip(
                correct, columns[f"excess.{SUBJECT}"], cue_excess, strict=True
            )
        ],
        [
            pattern(right, iou, saliency, region, thresholds)
            for right, iou, saliency, region in zip(
                correct, cut.iou, cut.saliency, cut.region, strict=True
            )
        ],
        predicted.max(axis=(1, 2)) > 0,
    )


def table(columns: dict[str, Any], wanted: pa.Schema) -> pa.Table:
    """Columns as a table of that schema; missing ones are null, and NaN becomes null."""
    count = len(columns["id"])
    arrays = []
    for field in wanted:
        values = columns.get(field.name)
        if values is None:
            arrays.append(pa.nulls(count, field.type))
        elif isinstance(values, np.ndarray):
            arrays.append(pa.array(values, field.type, from_pandas=True))
        else:
            arrays.append(pa.array(list(values), field.type))
    return pa.Table.from_arrays(arrays, schema=wanted)
