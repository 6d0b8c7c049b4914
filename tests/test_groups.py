from __future__ import annotations

import numpy as np
import pytest

from auditor.groups import cluster_numbers


@pytest.mark.parametrize("nobody", ["", None, float("nan")])
def test_cases_that_belong_together_share_a_number_and_others_stand_alone(nobody):
    # a and b in order, then the two that belong to nobody, each alone.
    found = cluster_numbers(["b", nobody, "a", "b", nobody])
    np.testing.assert_array_equal(found, [1, 2, 0, 1, 3])


def test_without_any_cluster_every_case_stands_alone():
    np.testing.assert_array_equal(cluster_numbers(["", ""]), [0, 1])
    assert cluster_numbers([]).shape == (0,)
