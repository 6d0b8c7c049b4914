from __future__ import annotations

import numpy as np
import pandas as pd

from auditor.findings import Finding
from auditor.findings.gates import gates
from auditor.thresholds import THRESHOLDS


def passed(confusion: list[list[int]], classes: tuple[str, ...] = ("a", "b", "c")) -> list[Finding]:
    """The gates of a model that gives each label (row) each class (column) so often."""
    names = classes[: len(confusion)]
    rows = [
        {"label": names[label], "predicted": names[predicted]}
        for (label, predicted), count in np.ndenumerate(np.array(confusion))
        for _ in range(count)
    ]
    return gates(pd.DataFrame(rows, columns=["label", "predicted"]), names, THRESHOLDS)


def test_a_good_model_passes():
    chance, order = passed([[40, 2], [4, 54]])
    assert (chance.kind, chance.severity, chance.value, chance.n) == (
        "gate_chance",
        "info",
        0.94,
        100,
    )
    assert chance.threshold == 0.58
    assert chance.text == (
        "Gate passed: the model is right on 94.0% of 100 images, above the 58.0% of always saying "
        "'b'."
    )
    assert (order.kind, order.severity, order.value) == ("gate_classes", "info", 0.0)
    assert order.table is None


def test_swapped_classes_are_found():
    chance, order = passed([[2, 40], [54, 4]])
    assert chance.severity == order.severity == "warning"
    # 94 right instead of 6
    assert order.value == 0.88
    assert order.text == (
        "Gate not passed: with its outputs in another order, the model would be right on 94.0% of "
        "100 images instead of 6.0% ('a' would be 'b', 'b' would be 'a'). model.classes is "
        "probably in the wrong order; correct it before reading anything else."
    )
    assert order.table == ({"output": "a", "name": "b"}, {"output": "b", "name": "a"})


def test_a_cycle_of_three_is_named_the_right_way_round():
    # Images of b come out as a, those of c as b, those of a as c: output a is really b.
    _, order = passed([[1, 0, 30], [29, 2, 0], [0, 28, 1]])
    assert order.value == (87 - 4) / 91
    assert order.table == (
        {"output": "a", "name": "b"},
        {"output": "b", "name": "c"},
        {"output": "c", "name": "a"},
    )


def test_part_of_the_classes_can_be_in_the_wrong_order():
    _, order = passed([[30, 0, 0], [0, 1, 29], [0, 30, 0]])
    assert order.severity == "warning"
    assert "'b' would be 'c', 'c' would be 'b'" in order.text
    assert "'a' would be" not in order.text
    assert order.value == 58 / 90


def test_a_few_unlucky_images_are_no_wrong_order():
    # 4 of 12 right; the other order would have 8: McNemar's p is .39.
    _, order = passed([[2, 4], [4, 2]])
    assert (order.severity, order.value) == ("info", 4 / 12)


def test_a_constant_answer_is_not_above_chance():
    chance, order = passed([[60, 0], [40, 0]])
    assert chance.severity == "warning"
    assert chance.text.startswith(
        "Gate not passed: the model is right on 60.0% of 100 images, not shown to be above the "
        "60.0% of always saying 'a'. It names 'a' for every image."
    )
    assert order.severity == "info"


def test_one_label_shows_nothing():
    chance, _ = passed([[9, 1], [0, 0]])
    assert chance.severity == "warning"
    assert chance.text.startswith("All judged images are labelled 'a'")


def test_cases_without_a_prediction_are_left_out():
    cases = pd.DataFrame({"label": ["a", "b"] * 40, "predicted": ["a", "b"] * 40})
    spoiled = pd.DataFrame({"label": ["a"] * 50, "predicted": [None] * 50})
    chance, _ = gates(pd.concat([cases, spoiled]), ("a", "b"), THRESHOLDS)
    assert chance.n == 80
    assert gates(spoiled, ("a", "b"), THRESHOLDS) == []
