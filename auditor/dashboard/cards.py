"""What galleries and the viewer are given of a run's cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from auditor.dashboard.case import CaseView
from auditor.dashboard.colours import heat_gradient, hexadecimal, region_colours
from auditor.dashboard.components import Card
from auditor.dashboard.index import Coded
from auditor.dashboard.media import image_address, outlines_address, overlay_address
from auditor.dashboard.opened import Opened
from auditor.dashboard.pictures import SIDES
from auditor.dashboard.words import EVIDENCE, FLAGS
from auditor.errors import AuditorError
from auditor.reviews import VERDICTS

SMALL, LARGE = SIDES


def cards(
    opened: Opened, rows: Sequence[int], verdicts: Coded | None, current: int | None = None
) -> list[Card]:
    """A card for each row; `verdicts` are the reviewer's own."""
    made = []
    texts = opened.index.texts
    for row in rows:
        label, predicted = texts["label"].at(row), texts["predicted"].at(row)
        case = opened.index.case(row)
        flag, evidence, cue = (texts[name].at(row) for name in ("flag", "evidence", "cue"))
        badges = []
        if flag and evidence:
            badges.append((evidence, EVIDENCE.get(evidence, evidence)))
        if cue:
            badges.append(("cue", cue))
        verdict = verdicts.at(row) if verdicts is not None else None
        if verdict:
            badges.append(("verdict", VERDICTS[verdict]))
        decision = _decision(label, predicted)
        made.append(
            Card(
                row,
                image_address(opened, row, SMALL),
                f"{case}: {decision}",
                decision,
                tuple(filter(None, (_short(case), FLAGS.get(flag or "")))),
                tuple(badges),
                row == current,
            )
        )
    return made


def viewer_data(opened: Opened, view: CaseView, ahead: Sequence[int]) -> Mapping[str, Any]:
    """What `viewer.js` reads: the image, where the model's input lies in it, maps, outlines.

    `ahead` are rows whose images a browser should fetch meanwhile.
    """
    try:
        frame = opened.pictures.frame(view.row)
        size = {"width": frame.width, "height": frame.height}
        place = [frame.left, frame.top, frame.right, frame.bottom]
        missing = ""
    except AuditorError as error:
        size, place, missing = {"width": 4, "height": 3}, None, str(error)
    maps = []
    if view.maps and place:
        named = [("margin", "the decision"), ("predicted", view.predicted or "")]
        named += [("contrast", view.contrast or "")] if view.contrast else []
        maps = [
            {"name": name, "told": told, "src": overlay_address(opened, view.row, name)}
            for name, told in named
        ]
    cues = [
        cue
        for cue in opened.run.info["regions"]["cues"]
        if cue != opened.run.info["regions"]["rest"]
    ]
    legend = [
        {"name": name, "colour": hexadecimal(colour)}
        for name, colour in region_colours(cues).items()
    ]
    return {
        **size,
        "src": image_address(opened, view.row, LARGE),
        "alt": f"{view.case}: {view.decision}",
        "missing": missing or "the image cannot be read",
        "frame": place,
        "maps": maps,
        "outlines": outlines_address(opened, view.row) if place else "",
        "legend": legend,
        "ramp": heat_gradient(),
        "ahead": [image_address(opened, row, LARGE) for row in ahead],
    }


def _decision(label: str | None, predicted: str | None) -> str:
    if predicted is None:
        return f"{label} → not classified"
    return f"{label} → {predicted}" if predicted != label else f"{label}, right"


def _short(case: str) -> str:
    """The end of an id, where paths differ."""
    return case if len(case) <= 34 else f"…{case[-33:]}"
