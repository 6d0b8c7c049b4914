"""The changed images of an audit, made again to look at them by eye."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from auditor.changes import Remaker
from benchmarks.real_data.sheets import Audited

A_ARM = 3
"""Donors of either arm that are shown."""
_FONT = 13


def changed_sheets(audited: Audited, positions: Sequence[int], stem: Path) -> list[Path]:
    """A page a cue: in each row a case as it is, then with the cue of donors of its own value
    of the attribute, then of the other value.
    """
    for old in stem.parent.glob(f"{stem.name}_*.png"):
        old.unlink()
    made = audited.run.interventions
    made = made[made["arm"].isin(["same", "opposite"]) & (made["number"] < A_ARM)]
    ids = audited.cases["id"].tolist()
    remaker = Remaker.of(audited.run, audited.dataset)
    pages = []
    for cue in audited.dataset.roles.cues:
        of_cue = made[made["cue"] == cue]
        rows = []
        for position in positions:
            rows_of_case = of_cue[of_cue["case"] == ids[position]]
            if len(rows_of_case):
                rows.append(_row(audited, remaker, position, rows_of_case))
        if rows:
            pages.append(stem.with_name(f"{stem.name}_{cue}.png"))
            _stacked(rows).save(pages[-1])
    return pages


def _row(
    audited: Audited, remaker: Remaker, position: int, made: pd.DataFrame
) -> list[tuple[Image.Image, str]]:
    case = audited.cases.iloc[position]
    classes = audited.run.info["model"]["classes"]
    pair = classes.index(case["predicted"]), classes.index(case["contrast"])
    original = remaker.stock[position].pixels
    shown = [(Image.fromarray(original), f"{Path(case['id']).stem} m {case['margin']:.1f}")]
    for arm in ("same", "opposite"):
        for row in made[made["arm"] == arm].sort_values("number").to_dict("records"):
            margin = row["logits"][pair[0]] - row["logits"][pair[1]]
            shown.append((Image.fromarray(remaker.made(row)), f"{arm}, m {margin:.1f}"))
    return shown


def _stacked(rows: Sequence[Sequence[tuple[Image.Image, str]]]) -> Image.Image:
    font = ImageFont.load_default(_FONT)
    width, height = rows[0][0][0].size
    sheet = Image.new(
        "RGB", (max(map(len, rows)) * (width + 4), len(rows) * (height + 22)), "white"
    )
    pen = ImageDraw.Draw(sheet)
    for down, row in enumerate(rows):
        for across, (image, told) in enumerate(row):
            corner = across * (width + 4), down * (height + 22)
            sheet.paste(image, corner)
            pen.text((corner[0] + 2, corner[1] + height + 2), told, fill="black", font=font)
    return sheet
