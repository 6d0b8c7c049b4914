"""How near donors come to the truth: `python -m benchmarks.donor_truth`.

For clinic scenes it is known what the cue does, since the same scene can be drawn again with only
the cue changed. This audits new scenes with the sample's two classifiers, puts donors' heads into
every error and some correct cases as `auditor.evidence` does, and prints how the estimated D goes
with the true one, and how the decisions on errors compare with what truly happens.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

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
from auditor.sample import sample_folder
from auditor.scenes import CUES, LABELS, REGIONS, Scene, draw
from auditor.study.cells import predict

STRENGTH, SEED, DONORS, CORRECT = 1.6, 500, 200, 30
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
    )
    for name in ("skewed", "rebalanced"):
        classifier = load_classifier(sample_folder() / f"{name}.toml")
        before, after = (
            predict(classifier, np.stack([p.pixels for p in own])),
            predict(classifier, np.stack(truth)),
        )
        labels = np.array([LABELS.index(s.label) for s in tested])
        wrong = before.argmax(1) != labels
        chosen = [*np.flatnonzero(wrong), *np.flatnonzero(~wrong)[:CORRECT]]
        rows = []
        with progress_bar(f"{name}: donors", "cases") as progress:
            for done, case in enumerate(chosen, 1):
                drawn = pool.draw(int(case), str(case), 0)
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
                have, passes = 0, 0
                while (wanted := Looks().next(have, len(drawn.same))) is not None:
                    have, passes = wanted, 2 * wanted
                    estimate = estimate_donors(before[case], arms[0][:have], arms[1][:have], pair)
                    decision = decide_by_donors(
                        estimate, len(drawn.same), 1, int(labels[case]), predicted
                    )
                    if decision.final:
                        break
                full = estimate_donors(before[case], *arms, pair).effect.value
                true = float(margins(before[case], pair) - margins(after[case], pair))
                caused = bool(wrong[case] and after[case].argmax() == labels[case])
                rows.append(
                    (
                        bool(wrong[case]),
                        full,
                        true,
                        estimate.effect.margin,
                        decision.outcome,
                        caused,
                        passes,
                    )
                )
                progress(done, len(chosen))
        tell(name, rows)


def tell(name: str, rows: list[tuple[bool, float, float, float, str, bool, int]]) -> None:
    """Print what the rows of one classifier come to."""
    estimated, true = (np.array([row[i] for row in rows]) for i in (1, 2))
    slope = np.polyfit(true, estimated, 1)[0]
    errors = [row for row in rows if row[0]]
    print(
        f"{name}: {len(rows)} cases, {len(errors)} errors; estimated on true D: "
        f"r = {np.corrcoef(true, estimated)[0, 1]:.2f}, slope {slope:.2f}; "
        f"median {np.median([row[6] for row in rows]):.0f} passes a case"
    )
    for told, outcomes, truly in (
        ("confirmed against undone by swapping", ("confirmed",), [r[5] for r in errors]),
        (
            "confirmed or probable against a true D of half the margin",
            ("confirmed", "probable"),
            [r[2] >= r[3] / 2 for r in errors],
        ),
    ):
        said = [r[4] in outcomes for r in errors]
        both = sum(a and b for a, b in zip(said, truly, strict=True))
        print(
            f"  {told}: {sum(said)} said, {sum(truly)} true, {both} both; precision "
            f"{both / max(sum(said), 1):.2f}, recall {both / max(sum(truly), 1):.2f}"
        )


if __name__ == "__main__":
    main()
