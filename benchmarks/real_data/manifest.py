"""Manifests of both sets, with an attribute for every cue, so that each has donors.

Nothing is inferred about a person: what is added is cut from what the sets' annotators outlined,
and, for the leaves, from the colour of the table beside them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

SHARES = {"bare_skin": "skin_fraction", "hair_shown": "hair_fraction"}
"""Attribute of the street photographs, and the share of the photograph that it is cut from."""


def street_manifest(labels: pd.DataFrame) -> pd.DataFrame:
    """`labels` with `bare_skin` and `hair_shown`, little or much, and `has_boots`.

    Little is under the median of the test photographs; `has_boots` is 1 where a boot is
    outlined. `has_bag` is in `labels` already.
    """
    shares = {name: labels[share] for name, share in SHARES.items()}
    added = {name: _parted(share, labels, "little", "much") for name, share in shares.items()}
    boots = labels["tags"].str.split(";").map(lambda tags: int("boots" in tags))
    return labels.assign(**added, has_boots=boots)


def tomato_manifest(labels: pd.DataFrame, data: Path) -> pd.DataFrame:
    """`labels` with `backdrop`: cool where what lies beside the leaf is bluer, red less blue on
    average, than in the median test photograph; else warm.
    """
    redness = [_redness(data / image, data / leaf) for image, leaf in _files(labels)]
    share = pd.Series(redness, index=labels.index)
    return labels.assign(backdrop=_parted(share, labels, "cool", "warm"))


def write_manifests(data: Path, out: Path) -> None:
    """Write street.csv and tomato.csv, of the photographs in `data`, to the folder `out`."""
    out.mkdir(parents=True, exist_ok=True)
    street = pd.read_csv(data / "ccp_fashion" / "labels.csv")
    street_manifest(street).to_csv(out / "street.csv", index=False)
    leaves = data / "plantvillage_tomato"
    tomato_manifest(pd.read_csv(leaves / "labels.csv"), leaves).to_csv(
        out / "tomato.csv", index=False
    )


def _parted(values: pd.Series, labels: pd.DataFrame, low: str, high: str) -> pd.Series:
    return (values < values[labels["split"] == "test"].median()).map({True: low, False: high})


def _files(labels: pd.DataFrame) -> zip[tuple[str, str]]:
    return zip(labels["image"], labels["leaf_mask"], strict=True)


def _redness(image: Path, leaf: Path) -> float:
    colours = np.asarray(Image.open(image).convert("RGB"), dtype=np.float64)
    red, _, blue = colours[np.asarray(Image.open(leaf)) == 0].mean(0)
    return float(red - blue)
