"""The overview of a discovery as one HTML file that needs nothing else: no script, no network."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from PIL import Image

from auditor.discovery.sheets import mean_picture
from auditor.language import counted
from auditor.report.html import pages_of
from auditor.report.wording import one_line, written

_CELL = 16  # pixels of a mean map's cell, where that is not too large
_LONGEST = 224


def page(document: Mapping[str, Any], folder: Path) -> bytes:
    """The content of clusters.json as UTF-8 HTML, with the contact sheets that lie in `folder`.

    Everything from outside is escaped.
    """

    def picture(name: str) -> dict[str, Any]:
        with Image.open(folder / name) as opened:
            return _embedded(opened)

    def mean(values: list[list[float]]) -> dict[str, Any]:
        share = np.array(values)
        cell = max(1, min(_CELL, _LONGEST // max(share.shape)))
        return _embedded(mean_picture(share, (share.shape[0] * cell, share.shape[1] * cell)))

    made = _template().render(document=document, picture=picture, mean=mean)
    return made.encode("utf-8", "replace")


def _embedded(image: Image.Image) -> dict[str, Any]:
    """An image as WebP in a data URI, with its size."""
    content = io.BytesIO()
    image.save(content, "WEBP", quality=82)
    text = base64.b64encode(content.getvalue()).decode("ascii")
    return {
        "src": f"data:image/webp;base64,{text}",
        "width": image.width,
        "height": image.height,
    }


@cache
def _template() -> jinja2.Template:
    environment = pages_of("auditor.discovery")
    environment.filters |= {"shown": one_line, "written": written, "counted": counted}
    return environment.get_template("discovery.html")
