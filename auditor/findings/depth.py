"""What maps say at layers over the depth of the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from auditor.findings.finding import Finding
from auditor.findings.intervals import decimal, written_interval
from auditor.findings.means import interval_of_mean, mean_columns
from auditor.groups import clusters_of
from auditor.language import Phrase, Text, counted, phrase, sentences
from auditor.types import SUBJECT, Floats

_OUTCOMES = ("errors", "correct")


@dataclass(frozen=True)
class Sweep:
    """Measures of the predicted class's maps of a sample, at several layers."""

    method: str
    """Its title."""
    layers: tuple[Mapping[str, Any], ...]
    """In the order in which the model runs them: `name`, `grid` ([height, width]), `follows`
    (null where the map gave no answer), `own` (whether the audit's maps are made there), and
    `problem` (why the method cannot be had there; null where it can)."""
    rows: NDArray[np.intp]
    """[cases] positions in the cases."""
    wrong: NDArray[np.bool_]
    """[cases] whether each is an error."""
    regions: tuple[str, ...]
    """The subject and the cues."""
    mass: Floats
    """[layers, cases, regions], 0 to 1; NaN where the region or the map says nothing."""
    area: Floats
    """[layers, cases, regions], 0 to 1, of the same cases; NaN with the mass."""


def depth_findings(cases: pd.DataFrame, sweep: Sweep, seed: int) -> list[Finding]:
    """The finding `layers`: mean mass and lift of each region by layer, errors beside correct.

    Its table has a row a layer, region and outcome: `layer`, `place` (0 for the first that runs),
    `height`, `width`, `follows`, `own`, `region`, `outcome` ("errors" or "correct"), `n`, `mass`,
    `area` and `lift` (mean mass over mean area: 1 is chance) with `mass_low`, `mass_high`,
    `lift_low` and `lift_high` (95 %), and `problem`. Means are null without a case. `cases` needs
    `cluster` where cases belong together.
    """
    clusters = clusters_of(cases)
    units = None if clusters is None else clusters[sweep.rows]
    table = [
        {
            "layer": layer["name"],
            "place": place,
            "height": layer["grid"][0],
            "width": layer["grid"][1],
            "follows": layer["follows"],
            "own": layer["own"],
            "region": region,
            "outcome": outcome,
            **_measured(sweep, place, number, sweep.wrong == (outcome == "errors"), units, seed),
            "problem": layer["problem"],
        }
        for place, layer in enumerate(sweep.layers)
        for number, region in enumerate(sweep.regions)
        for outcome in _OUTCOMES
    ]
    message = _told(sweep, table, units is not None)
    return [Finding("layers", "info", message, n=len(sweep.rows), table=tuple(table))]


def _measured(
    sweep: Sweep,
    place: int,
    region: int,
    some: NDArray[np.bool_],
    clusters: NDArray[np.intp] | None,
    seed: int,
) -> dict[str, float | int | None]:
    mass, area = (values[place, :, region][some] for values in (sweep.mass, sweep.area))
    units = None if clusters is None else clusters[some]
    columns = mean_columns("mass", mass, units, seed, 0.0, 1.0)
    n = columns.pop("mass_n")
    share = columns["mass"]
    if share is None:
        return {"n": n, **columns, "area": None, "lift": None, "lift_low": None, "lift_high": None}
    of_area = float(area[~np.isnan(area)].mean())
    lift = share / of_area
    # Linearised: a ratio of means moves by its residuals.
    moved = interval_of_mean(mass - lift * area, units, seed)
    low, high = (None, None) if moved is None else (lift + end / of_area for end in moved)
    return {
        "n": n,
        **columns,
        "area": of_area,
        "lift": lift,
        "lift_low": None if low is None else max(min(low, lift), 0.0),
        "lift_high": None if high is None else max(high, lift),
    }


def _told(sweep: Sweep, table: Sequence[Mapping[str, Any]], clustered: bool) -> Text:
    errors = int(sweep.wrong.sum())
    if not len(sweep.rows):
        return phrase(
            "How maps change with depth cannot be said, since no case has both regions and a "
            "prediction."
        )
    own = next(layer["name"] for layer in sweep.layers if layer["own"])
    first, last = sweep.layers[0]["name"], sweep.layers[-1]["name"]
    if len(sweep.layers) == 1:
        return phrase("Maps can be made at one layer alone, {own!r}.", own=own)
    return sentences(
        phrase(
            "{title} maps were made at {n} layers, from {first!r} to {last!r}, for {errors} and "
            "{right} correct, drawn at random.",
            title=sweep.method,
            n=len(sweep.layers),
            first=first,
            last=last,
            errors=counted(errors, "error"),
            right=len(sweep.rows) - errors,
        ),
        *(
            _cue_told(region, own, table, "errors" if errors else "correct", clustered)
            for region in sweep.regions
            if region != SUBJECT
        ),
        phrase(
            "No verdict rests on maps from layers other than {own!r}: early layers answer to edges "
            "and colours, whatever the class, so their maps are views.",
            own=own,
        ),
    )


def _cue_told(
    cue: str, own: str, table: Sequence[Mapping[str, Any]], outcome: str, clustered: bool
) -> Phrase | None:
    """From the first layer at which the cue has a lift to the audit's own."""
    rows = [row for row in table if (row["region"], row["outcome"]) == (cue, outcome)]
    known = [row for row in rows if row["lift"] is not None]
    at_own = next((row for row in known if row["layer"] == own), None)
    first = known[0] if known else None
    if first is None or at_own is None or first is at_own:
        return None
    written = [
        written_interval(
            None if row["lift_low"] is None else (row["lift_low"], row["lift_high"]),
            clustered,
            decimal,
        )
        for row in (first, at_own)
    ]
    values = {
        "cue": cue,
        "first": first["layer"],
        "early": first["lift"],
        "early_interval": written[0],
        "own": own,
        "late": at_own["lift"],
        "late_interval": written[1],
    }
    if outcome == "errors":
        return phrase(
            "Cue {cue!r} has a lift of {early:.2f} at {first!r} ({early_interval}) and of "
            "{late:.2f} at {own!r} ({late_interval}) in errors; 1 is chance.",
            **values,
        )
    return phrase(
        "Cue {cue!r} has a lift of {early:.2f} at {first!r} ({early_interval}) and of {late:.2f} "
        "at {own!r} ({late_interval}) in correct cases; 1 is chance.",
        **values,
    )
