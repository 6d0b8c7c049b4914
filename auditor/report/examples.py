"""Example cases: what the run says of them, and pictures of what it rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from auditor.changes import Remaker, Stocked
from auditor.datasets import Dataset, open_dataset
from auditor.errors import AuditorError
from auditor.language import Phrase, Series, Words, clauses, counted, phrase, sentences
from auditor.reasons import recognised
from auditor.report.blocks import Block, plain, text
from auditor.report.blurring import Blurred
from auditor.report.pictures import heated, outline_colours, outlined, picture, sized
from auditor.report.review import of_case
from auditor.report.source import Source
from auditor.report.wording import listed, written
from auditor.store import Run
from auditor.types import MAPS

_MARGIN = MAPS.index("margin")

_POOLS = (
    ("spurious_error", phrase("an error that a cue caused or had a part in"), 8),
    ("wrong_reason", phrase("right for a wrong reason: a cue decided or had a part in it"), 2),
    ("attention", phrase("queued for a person: an error whose map lies on a cue"), 2),
    ("unsupported", phrase("an error for which no cue was shown to be the cause"), 0),
)
"""Where examples are taken from, why each is shown, and its share of every twelve; places that
are left over go to the pools in this order."""

_KINDS = {
    "spurious_error": phrase("errors that a cue caused or had a part in"),
    "wrong_reason": phrase("cases right for a wrong reason"),
    "attention": phrase("errors queued for a person"),
    "unsupported": phrase("errors for which no cue was shown to be the cause"),
}


def examples(source: Source) -> list[Block]:
    """The gravest cases of each kind, with pictures where they can be made."""
    wanted = source.options.examples
    if not wanted:
        return [text(phrase("No examples were asked for."))]
    picked, known = chosen(source.run, wanted)
    if not picked:
        return [text(phrase("No case is flagged and no error was tested, so there is no example."))]
    blocks = [
        text(
            phrase(
                "{examples}, the gravest of each kind: {kinds}. They show what the numbers stand "
                "for and are no sample of all cases.",
                examples=counted(len(picked), "example"),
                kinds=clauses(
                    phrase("{kind}, {n} of {total:,}", kind=told, n=n, total=known[kind])
                    for kind, n, told in _told(picked)
                ),
            ),
            "note",
        )
    ]
    if source.options.assets is not None:
        blocks.append(
            text(
                phrase(
                    "{archive} has the pictures of flagged cases that have none here, in a folder "
                    "each by its number in the appendix's table of flagged cases; its index.csv "
                    "says which is which.",
                    archive=source.options.assets,
                ),
                "note",
            )
        )
    made_by, problem = studio(source)
    if problem:
        blocks.append(text(problem, "note" if not source.options.images else "warning"))
    else:
        blocks.append(
            text(
                phrase(
                    "Pictures show the image as the model takes it. Outlines: the subject whole, "
                    "cues dashed. The map is that of the margin: what speaks for the prediction "
                    "and against the label (of a correct case, the runner-up), brighter where "
                    "there is more, scaled to its own maximum. Of the changed images the pair "
                    "with the largest difference is shown; the margins of all pairs are listed."
                ),
                "note",
            )
        )
        if source.options.blur:
            blocks.append(
                text(
                    phrase(
                        "{regions} and a margin around are made unrecognisable in all pictures, "
                        "those of donors too; the model saw them as they are, so the pictures "
                        "show less than its answers rest on.",
                        regions=listed(source.options.blur),
                    ),
                    "note",
                )
            )
    made = [_example(source, case, made_by) for case in picked]
    legend = (
        [
            {"region": name, "colour": "#{:02x}{:02x}{:02x}".format(*colour)}
            for name, colour in outline_colours(source.info["regions"]).items()
        ]
        if any(example["pictures"] for example in made)
        else []
    )
    blocks.append({"kind": "examples", "name": "examples", "examples": made, "legend": legend})
    return blocks


@dataclass(frozen=True)
class Studio:
    """What pictures of a run's cases are made from."""

    run: Run
    remaker: Remaker
    labels: Mapping[str, str]
    """Of the dataset's cases by id, as it is now."""

    def image(self, case: Mapping[str, Any]) -> Stocked:
        """A case as the model takes it. Raises `AuditorError` where it is not as it was."""
        position = self.remaker.position(case["id"])
        if self.labels[case["id"]] != case["label"]:
            raise AuditorError(
                f"the dataset now labels {case['id']!r} {self.labels[case['id']]!r}, the run has "
                f"{case['label']!r}"
            )
        return self.remaker.stock[position]


def chosen(run: Run, wanted: int) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """The examples' rows of cases.parquet with `position` and `pool`, and each pool's size."""
    cases = run.read_cases(["flag", "evidence", "severity", "confidence", "correct"])
    grave = cases["severity"].notna()
    wrong = cases["correct"].eq(False).fillna(False).astype(bool)
    members = {
        "spurious_error": cases[grave & (cases["flag"] == "spurious_error")],
        "wrong_reason": cases[grave & (cases["flag"] == "wrong_reason")],
        "attention": cases[cases["evidence"] == "attention"],
        "unsupported": cases[wrong & (cases["evidence"] == "unsupported")],
    }
    ordered = {
        kind: pool.sort_values(["severity", "confidence"], ascending=False, kind="stable").index
        for kind, pool in members.items()
    }
    places = {kind: min(len(ordered[kind]), wanted * of12 // 12) for kind, _, of12 in _POOLS}
    for kind, _, _ in _POOLS:
        places[kind] += min(wanted - sum(places.values()), len(ordered[kind]) - places[kind])
    positions = [(kind, int(i)) for kind, n in places.items() for i in ordered[kind][:n]]
    if not positions:
        return [], {}
    rows = rows_of(run, [position for _, position in positions])
    for row, (kind, _) in zip(rows, positions, strict=True):
        row["pool"] = kind
    return rows, {kind: len(pool) for kind, pool in members.items()}


def flagged(run: Run) -> list[int]:
    """Places in cases.parquet of the flagged cases, gravest first, the queue after them."""
    flags = run.read_cases(["flag", "severity"])
    order = flags[flags["flag"].notna()].sort_values("severity", ascending=False, kind="stable")
    return [int(place) for place in order.index]


def rows_of(run: Run, places: Sequence[int]) -> list[dict[str, Any]]:
    """What examples say of the cases at these places of cases.parquet, with that `position`."""
    columns = ["id", "image", "label", "predicted", "contrast", "confidence", "margin", "correct",
               "flag", "cue", "evidence", "severity", "reason"]  # fmt: skip
    columns += [f"attribute.{name}" for name in run.info["attributes"]]
    for cues in run.info["cue_sets"]:
        columns += [f"reliance.{cues['name']}", f"reliance_se.{cues['name']}"]
    rows: list[dict[str, Any]] = [{"position": place} for place in places]
    for name in columns:  # one by one: of a million cases a dozen are wanted
        values = run.read_cases([name])[name].to_numpy()
        for row in rows:
            row[name] = plain(values[row["position"]])
    return rows


def _told(chosen: Sequence[Mapping[str, Any]]) -> list[tuple[str, int, Phrase]]:
    counts = [(kind, sum(case["pool"] == kind for case in chosen)) for kind, _, _ in _POOLS]
    return [(kind, n, _KINDS[kind]) for kind, n in counts if n]


def studio(source: Source) -> tuple[Studio | None, Phrase | None]:
    """What makes the pictures, or why there are none.

    Raises `AuditorError` for a region to blur that the dataset does not have.
    """
    if not source.options.images:
        return None, phrase("Pictures were left out, as asked.")
    run = source.run
    try:
        dataset = source.dataset or _dataset(run)
        recorded = run.info["regions"]
        roles = dataset.roles
        if [*roles.names, *roles.cues] != [*recorded["names"], *recorded["cues"]]:
            raise AuditorError(
                phrase(
                    "it now has the regions {regions}, the run {recorded}.",
                    regions=listed(roles.names),
                    recorded=listed(recorded["names"]),
                )
            )
    except (AuditorError, OSError) as error:
        return None, phrase(
            "There are no pictures, since the dataset cannot be opened: {problem}",
            problem=_said(error),
        )
    if source.options.blur:
        dataset = Blurred.of(dataset, source.options.blur)
    try:
        remaker = Remaker.of(run, dataset)
    except AuditorError as error:
        return None, phrase("There are no pictures: {problem}", problem=_said(error))
    cases = dataset.cases
    return Studio(run, remaker, dict(zip(cases["id"], cases["label"], strict=True))), None


def _dataset(run: Run) -> Dataset:
    path = run.info.get("configuration_path")
    if path is None:
        raise AuditorError(
            phrase(
                "the run was made from Python without a configuration file, which would say where "
                "its images are."
            )
        )
    if not Path(path).is_file():
        raise AuditorError(phrase("{path}: the configuration is there no more.", path=path))
    return open_dataset(path)


def _said(error: Exception) -> Words:
    """What an error says: in any language where it was raised with a text, else as it is."""
    first = error.args[0] if error.args else None
    return first if isinstance(first, Phrase | Series) else str(error)


def _example(source: Source, case: Mapping[str, Any], made_by: Studio | None) -> dict[str, Any]:
    cue = case["cue"]
    known = {key: value for key, value in case.items() if "." not in key and key != "position"}
    made: dict[str, Any] = {
        **known,
        "chosen": next(told for kind, told, _ in _POOLS if kind == case["pool"]),
        "attributes": {name: case[f"attribute.{name}"] for name in source.info["attributes"]},
        "reason": recognised(case["reason"]) if case["reason"] else None,
        "reliance": case.get(f"reliance.{cue}"),
        "reliance_se": case.get(f"reliance_se.{cue}"),
        "pair": None,
        "reviews": of_case(source.reviews, str(case["id"])),
        "pictures": [],
        "problem": None,
    }
    made["pictures"], pair, made["problem"] = drawn(source, case, made_by)
    if pair is not None:
        made["pair"] = {key: pair[key] for key in ("cue", "arms", "margins", "shown", "by")}
    return made


def drawn(
    source: Source, case: Mapping[str, Any], made_by: Studio | None
) -> tuple[list[dict[str, Any]], dict[str, Any] | None, Words | None]:
    """The pictures of a case, the pair of changed images, and why pictures are missing.

    A case without tests has no pair; without a studio there are no pictures.
    """
    pair = _pair(source, case)
    if made_by is None:
        return [], pair, None
    try:
        pictures = _pictures(made_by, case, made_by.image(case))
    except (AuditorError, OSError) as error:
        return [], pair, phrase("No pictures: {problem}", problem=_said(error))
    problems = []
    for number in range(2 if pair else 0):
        assert pair is not None
        try:
            pictures.append(_changed(made_by, case, pair, number))
        except (AuditorError, OSError) as error:  # of a donor; the case itself can be shown
            told = _told_arm(pair, number)
            problems.append(
                phrase("No picture of {which}: {problem}", which=told, problem=_said(error))
            )
    return pictures, pair, sentences(*problems) if problems else None


def _pictures(made_by: Studio, case: Mapping[str, Any], image: Stocked) -> list[dict[str, Any]]:
    """The image with its regions' outlines, and the margin map over it."""
    regions = made_by.run.info["regions"]
    shown = [name for name in outline_colours(regions) if image.regions[name].any()]
    known = {"id": str(case["id"]), "label": case["label"], "predicted": case["predicted"]}
    if shown:
        caption = phrase("The image, outlines of {regions}", regions=listed(shown))
        alt = phrase(
            "Case {id}, {label}, predicted {predicted}, with outlines of {regions}",
            **known,
            regions=listed(shown),
        )
    else:
        caption = phrase("The image, outlines of no region")
        alt = phrase(
            "Case {id}, {label}, predicted {predicted}, with outlines of no region", **known
        )
    pixels = np.repeat(image.pixels, 3 // image.pixels.shape[-1], -1)
    made = [picture("image", caption, alt, outlined(pixels, image, regions))]
    margin = np.asarray(made_by.run.maps[case["position"], _MARGIN], dtype=np.float32)
    if np.isnan(margin).all():
        return made
    if (margin > 0).any():
        caption = phrase("Margin map")
        alt = phrase(
            "Margin map of case {id} over its grey image, with the outlines", id=known["id"]
        )
    else:
        caption = phrase("Margin map: no positive evidence")
        alt = phrase(
            "Margin map: no positive evidence of case {id} over its grey image, with the outlines",
            id=known["id"],
        )
    over = heated(image.pixels, margin)
    made.append(picture("map", caption, alt, outlined(over, image, regions)))
    return made


def _pair(source: Source, case: Mapping[str, Any]) -> dict[str, Any] | None:
    """The margins of a case's changed images, and the pair that differs most."""
    own = source.interventions(str(case["id"]))
    own = own[own["cue"].notna()]
    if own.empty:
        return None
    cue = case["cue"] if case["cue"] in set(own["cue"]) else own["cue"].iloc[0]
    own = own[own["cue"] == cue]
    classes = list(source.info["model"]["classes"])
    over, under = classes.index(case["predicted"]), classes.index(case["contrast"])
    margins = [float(logits[over]) - float(logits[under]) for logits in own["logits"]]
    own = own.assign(margin=margins)
    for kept, changed, by in (("same", "opposite", "donor"), ("control", "fill", "fill")):
        a, b = own[own["arm"] == kept], own[own["arm"] == changed]
        if kept == "control":
            a = a[a["number"] == 0]
        on = ["number"] if by == "donor" else ["fill"]
        pairs = a.merge(b, on=on, suffixes=("_a", "_b"))
        pairs = pairs[np.isfinite(pairs["margin_a"]) & np.isfinite(pairs["margin_b"])]
        if pairs.empty:
            continue
        most = (pairs["margin_a"] - pairs["margin_b"]).idxmax()
        number = pairs.loc[most, on[0]]
        shown = [arm[arm[on[0]] == number].iloc[0].to_dict() for arm in (a, b)]
        return {
            "cue": str(cue),
            "by": by,
            "arms": [kept, changed],
            "margins": [_finite(pairs["margin_a"]), _finite(pairs["margin_b"])],
            "shown": [float(pairs.loc[most, f"margin_{side}"]) for side in "ab"],
            "rows": shown,
        }
    return None


def _changed(
    made_by: Studio, case: Mapping[str, Any], pair: Mapping[str, Any], number: int
) -> dict[str, Any]:
    margin = written(pair["shown"][number], "logits")
    caption = phrase("{which}: margin {margin}", which=_told_arm(pair, number), margin=margin)
    alt = phrase("Case {id}, {picture}", id=str(case["id"]), picture=caption)
    pixels = made_by.remaker.made(pair["rows"][number])
    return picture(pair["arms"][number], caption, alt, sized(pixels))


def _told_arm(pair: Mapping[str, Any], number: int) -> Phrase:
    arm, cue, row = pair["arms"][number], pair["cue"], pair["rows"][number]
    if arm == "same":
        return phrase(
            "{cue} of a donor of the same value (donor {donor})", cue=cue, donor=row["donor"]
        )
    if arm == "opposite":
        return phrase(
            "{cue} of a donor of another value (donor {donor})", cue=cue, donor=row["donor"]
        )
    if arm == "control":
        return phrase("the same fill elsewhere ({fill})", fill=row["fill"])
    return phrase("{cue} filled ({fill})", cue=cue, fill=row["fill"])


def _finite(margins: pd.Series) -> list[float]:
    return [round(float(margin), 6) for margin in margins]
