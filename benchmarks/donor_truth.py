"""How near donors come to the truth: `python -m benchmarks.donor_truth`.

For clinic scenes it is known what the cue does, since the same scene can be drawn again with only
the cue changed. This audits new scenes with the sample's two classifiers, puts donors' heads into
every error and a random sample of all scenes as `auditor.evidence` does, and prints how the
estimated D goes with the true one, how well it orders the errors, and how the decisions on errors
compare with what truly happens: by each case's own control, and by what the sample tells of
splicing.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditor import load_classifier
from auditor.cli.progress import progress_bar
from auditor.evidence import (
    DonorPool,
    Looks,
    Pair,
    Piece,
    decide_by_donors,
    estimate_donors,
    margins,
    prepare,
    splice,
)
from auditor.evidence.estimates import DonorEstimate, adjust, learn_splicing
from auditor.evidence.splicing import likeness
from auditor.sample import sample_folder
from auditor.scenes import CUES, LABELS, REGIONS, Scene, draw
from auditor.study.cells import predict

STRENGTH, SEED, DONORS, SAMPLE = 1.6, 500, 200, 48
VALUES = CUES["head"].values


def piece(scene: Scene) -> Piece:
    """A scene as evidence takes it: head for the cue, aligned by the face."""
    picture = draw(scene, masks=True)
    assert picture.regions is not None

    def mask(*names: str) -> NDArray[np.bool_]:
        return np.isin(picture.regions, [REGIONS[name] for name in names])

    region, subject = mask("face", "hair"), mask("garment", "equipment")
    return Piece(picture.pixels, region, mask("face"), subject)


def scenes(count: int, part: int) -> list[Scene]:
    """Balanced over label and value."""
    groups = [(label, value) for label in LABELS for value in VALUES]
    return [
        Scene(*groups[n % len(groups)], (SEED, part, n), strength=STRENGTH) for n in range(count)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=400)
    tested = scenes(parser.parse_args().scenes, 0)
    donors = scenes(DONORS, 1)
    lent = [piece(scene) for scene in donors]
    own = [piece(scene) for scene in tested]
    swapped = [replace(s, value=VALUES[1 - VALUES.index(str(s.value))]) for s in tested]
    truth = [draw(scene).pixels for scene in swapped]
    pool = DonorPool.of(
        [s.label for s in (*tested, *donors)],
        [s.value for s in (*tested, *donors)],
        [False] * len(tested) + [True] * len(donors),
        likeness=np.array([likeness(p) for p in (*own, *lent)]),
    )
    for name in ("skewed", "rebalanced"):
        classifier = load_classifier(sample_folder() / f"{name}.toml")
        before, after = (
            predict(classifier, np.stack([p.pixels for p in own])),
            predict(classifier, np.stack(truth)),
        )
        labels = np.array([LABELS.index(s.label) for s in tested])
        wrong = before.argmax(1) != labels
        # Scenes are alike in whatever order: the first are a random sample.
        chosen = sorted({*np.flatnonzero(wrong).tolist(), *range(SAMPLE)})
        looks: list[dict[int, DonorEstimate]] = []
        with progress_bar(f"{name}: donors", "cases") as progress:
            for done, case in enumerate(chosen, 1):
                drawn = pool.draw(case, str(case), 0)
                target = prepare(own[case])
                arms = [
                    predict(
                        classifier,
                        np.stack([splice(target, lent[i - len(tested)]) for i in arm]),
                    )
                    for arm in (drawn.same, drawn.opposite)
                ]
                predicted = int(before[case].argmax())
                pair = Pair(predicted, 1 - predicted)
                looks.append(
                    {
                        n: estimate_donors(before[case], arms[0][:n], arms[1][:n], pair)
                        for n in Looks().pairs
                    }
                )
                progress(done, len(chosen))
        values = [tested[case].value for case in chosen]
        splicing = learn_splicing(
            [found[Looks().pairs[0]] for found in looks],
            values,
            [float(case < SAMPLE) for case in chosen],
        )
        for told, known in (("own control", None), ("splicing learnt", splicing)):
            rows = []
            for case, value, found in zip(chosen, values, looks, strict=True):
                have = 0
                while (wanted := Looks().next(have, Looks().pairs[-1])) is not None:
                    have = wanted
                    estimate = adjust(found[have], known, value)
                    decision = decide_by_donors(
                        estimate, Looks().pairs[-1], 1, int(labels[case]), estimate.pair.first
                    )
                    if decision.final:
                        break
                pair = estimate.pair
                rows.append(
                    Row(
                        bool(wrong[case]),
                        adjust(found[Looks().pairs[-1]], known, value).effect.value,
                        float(margins(before[case], pair) - margins(after[case], pair)),
                        estimate.effect.margin,
                        decision.outcome,
                        bool(wrong[case] and after[case].argmax() == labels[case]),
                        2 * have,
                    )
                )
            tell(f"{name}, {told}", rows)


class Row(NamedTuple):
    """What one case came to."""

    wrong: bool
    estimated: float
    """D with all donors."""
    true: float
    margin: float
    outcome: str
    caused: bool
    """Whether swapping the cue undoes the error."""
    passes: int


def tell(name: str, rows: list[Row]) -> None:
    """Print what the rows of one classifier come to."""
    estimated, true = np.array([r.estimated for r in rows]), np.array([r.true for r in rows])
    slope = np.polyfit(true, estimated, 1)[0]
    errors = [row for row in rows if row.wrong]
    caused = np.array([row.caused for row in errors])
    left = np.array([row.estimated - row.margin for row in errors])
    above = left[caused][:, None] - left[~caused]
    order = float(((above > 0) + (above == 0) / 2).mean()) if above.size else float("nan")
    print(
        f"{name}: {len(rows)} cases, {len(errors)} errors; estimated on true D: "
        f"r = {np.corrcoef(true, estimated)[0, 1]:.2f}, slope {slope:.2f}; AUROC among errors "
        f"{order:.3f}; median {np.median([row.passes for row in errors]):.0f} passes an error"
    )
    for told, outcomes, truly in (
        ("confirmed against undone by swapping", ("confirmed",), [r.caused for r in errors]),
        (
            "confirmed or probable against a true D of half the margin",
            ("confirmed", "probable"),
            [r.true >= r.margin / 2 for r in errors],
        ),
    ):
        said = [r.outcome in outcomes for r in errors]
        both = sum(a and b for a, b in zip(said, truly, strict=True))
        print(
            f"  {told}: {sum(said)} said, {sum(truly)} true, {both} both; precision "
            f"{both / max(sum(said), 1):.2f}, recall {both / max(sum(truly), 1):.2f}"
        )


if __name__ == "__main__":
    main()
