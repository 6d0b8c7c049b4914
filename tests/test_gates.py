from __future__ import annotations

import json
from dataclasses import replace
from math import nan
from typing import Any

import numpy as np
import pandas as pd
import pytest

from auditor.findings import Finding, MapChecks
from auditor.findings.gates import gates
from auditor.findings.map_gates import voided
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


CHECKS = MapChecks(
    randomised=(0.0, 0.01),
    classes=0.4,
    noise=0.9,
    n=32,
    randomised_intervals=((-0.1, 0.1), (-0.1, 0.12)),
    unsigned=(0.7, 0.2),
    unsigned_intervals=((0.6, 0.8), (0.1, 0.3)),
    classes_interval=(0.3, 0.5),
    noise_interval=(0.85, 0.95),
    stages=("fc", "conv1"),
)
GOOD = pd.DataFrame({"label": ["a", "b"] * 40, "predicted": ["a", "b"] * 40})
MAP_GATES = ["gate_randomisation", "gate_maps", "gate_noise"]


def of_maps(cases: pd.DataFrame = GOOD, **changes: Any) -> dict[str, Finding]:
    """The gates of the maps, with some of the checks changed."""
    found = gates(cases, ("a", "b"), THRESHOLDS, replace(CHECKS, **changes))
    assert [f.kind for f in found] == ["gate_chance", "gate_classes", *MAP_GATES]
    for finding in found:
        json.dumps(finding.described(), allow_nan=False)
    return {f.kind: f for f in found}


def void(**changes: Any) -> list[str]:
    return voided(replace(CHECKS, **changes), THRESHOLDS)


def test_without_checks_there_are_no_gates_of_maps():
    assert [f.kind for f in gates(GOOD, ("a", "b"), THRESHOLDS)] == ["gate_chance", "gate_classes"]
    assert voided(None, THRESHOLDS) == []


def test_good_maps_pass():
    found = of_maps()
    assert {found[kind].severity for kind in MAP_GATES} == {"info"}
    assert void() == []
    random = found["gate_randomisation"]
    # The last stage counts up to sign; the first does not.
    assert (random.value, random.low, random.high, random.threshold) == (0.2, 0.1, 0.3, 0.5)
    assert random.text == (
        "Gate passed: random weights destroy the maps; a rank correlation with the maps of the "
        "trained network of 0.20 (95 % interval 0.10 to 0.30) remains at most (0 is chance, 1 the "
        "same map; over 2 stages from the output down, 32 images)."
    )
    assert random.table == (
        {"stage": 1, "random_from": "fc", "signed": 0.0, "up_to_sign": 0.7},
        {"stage": 2, "random_from": "conv1", "signed": 0.01, "up_to_sign": 0.2},
    )
    assert found["gate_noise"].text == (
        "Gate passed: a little noise does not move the maps; with noise of 2 grey levels on the "
        "image, the margin maps keep a rank correlation of 0.90 (95 % interval 0.85 to 0.95) with "
        "what they were."
    )


@pytest.mark.parametrize(
    ("gate", "changes", "told"),
    [
        (
            "gate_randomisation",
            {"randomised": (1.0, 0.4), "randomised_intervals": ((1.0, 1.0), (0.3, 0.5))},
            "with random weights in the network, a rank correlation with the maps of the trained "
            "network of 1.00 (95 % interval 1.00 to 1.00) remains",
        ),
        (
            "gate_randomisation",
            {"unsigned": (0.9, 0.8), "unsigned_intervals": ((0.8, 1.0), (0.7, 0.9))},
            "of 0.80",
        ),
        (
            "gate_maps",
            {"classes": 0.99, "classes_interval": (0.98, 1.0)},
            "maps of different classes are the same",
        ),
        (
            "gate_noise",
            {"noise": 0.1, "noise_interval": (0.0, 0.2)},
            "a little noise moves the maps",
        ),
    ],
)
def test_each_gate_of_the_maps_can_fail(gate: str, changes: dict[str, Any], told: str):
    found = of_maps(**changes)
    assert found[gate].severity == "warning"
    assert found[gate].text.startswith("Gate not passed: ")
    assert told in found[gate].text
    assert "The maps are no evidence" in found[gate].text
    assert void(**changes) == [gate]
    assert [k for k in MAP_GATES if found[k].severity != "info"] == [gate]


@pytest.mark.parametrize(
    ("gate", "changes"),
    [
        ("gate_randomisation", {"unsigned_intervals": ((0.1, 0.3), (0.1, 0.6))}),
        ("gate_randomisation", {"randomised_intervals": ((0.1, 0.6), (0.1, 0.3))}),
        ("gate_randomisation", {"unsigned": (0.2, nan), "unsigned_intervals": ((0.1, 0.3), None)}),
        ("gate_maps", {"classes_interval": (0.3, 0.96)}),
        ("gate_noise", {"noise_interval": (0.6, 0.95)}),
    ],
)
def test_what_the_interval_leaves_open_is_neither(gate: str, changes: dict[str, Any]):
    found = of_maps(**changes)
    assert found[gate].severity == "notice"
    assert found[gate].text.startswith("Not decided whether ")
    assert void(**changes) == []


def test_a_gate_that_could_not_run_is_not_passed():
    why = "the model is a stone"
    nothing = MapChecks((), None, None, 1, reasons=dict.fromkeys(("randomised", "classes"), why))
    found = gates(GOOD, ("a", "b"), THRESHOLDS, nothing)[2:]
    assert [f.kind for f in found] == MAP_GATES
    assert {f.severity for f in found} == {"notice"}
    assert {f.value for f in found} == {None}
    assert found[0].text == (
        "This gate could not run: whether random weights destroy the maps is not known, because "
        "the model is a stone."
    )
    assert found[2].text.endswith("because too few images have a map that varies.")
    assert voided(nothing, THRESHOLDS) == []


def test_a_model_that_guesses_does_not_pass_by_randomisation():
    guesses = pd.DataFrame({"label": ["a", "b"] * 40, "predicted": ["a", "a", "b", "b"] * 20})
    random = of_maps(guesses)["gate_randomisation"]
    assert random.severity == "notice"
    assert "the maps of an untrained network would be lost as well" in random.text
    # What fails, fails.
    bad = {"randomised": (1.0, 0.4), "randomised_intervals": ((1.0, 1.0), (0.3, 0.5))}
    assert of_maps(guesses, **bad)["gate_randomisation"].severity == "warning"
