"""Crossings of two curves: where, on which side, and how sure."""

import numpy as np
import pytest

from reasoning.errors import InputError
from reasoning.evaluation.statistics.crossing import crossing

BUDGETS = (1, 4, 16)


def test_a_crossing_is_not_on_the_logarithm_of_the_budget():
    """a − b = 0.1, −0.1 at budgets 4 and 16: half-way on the logarithm is 8, not 10."""
    a, b = np.array([[0.5, 0.5, 0.4]] * 3), np.array([[0.4, 0.4, 0.5]] * 3)
    found = crossing(BUDGETS, a, b)
    assert found.budget == pytest.approx(8.0) and found.low == pytest.approx(8.0) == found.high
    assert found.share == 1.0 and found.ahead == "a"
    assert crossing(BUDGETS, b, a).ahead == "b"


def test_curves_that_touch_or_never_meet_are_said_to_cross():
    a = np.array([[0.5, 0.4, 0.5]])
    for b in ([[0.4, 0.4, 0.4]], [[0.4, 0.3, 0.2]], [[0.5, 0.4, 0.5]]):
        found = crossing(BUDGETS, a, np.array(b))
        assert (found.budget, found.low, found.share, found.ahead) == (None, None, 0.0, "")
    through = crossing(BUDGETS, np.array([[0.5, 0.4, 0.3]]), np.array([[0.4, 0.4, 0.4]]))
    assert through.budget == pytest.approx(4.0), "it passes through zero at a budget"


def test_a_crossing_that_noise_makes_is_taken_for_shown():
    rng = np.random.default_rng(0)
    noisy = rng.random((40, 3)) - 0.5
    found = crossing(BUDGETS, noisy, np.zeros_like(noisy))
    assert found.share < 0.95
    clear = np.array([0.3, 0.0, -0.3]) + 0.1 * noisy
    found = crossing(BUDGETS, clear, np.zeros_like(clear))
    assert found.share == 1.0 and found.low < found.budget < found.high and 3 < found.low < found.high < 6


@pytest.mark.parametrize(
    ("budgets", "shape"), [((1,), (2, 1)), ((4, 1), (2, 2)), ((0, 1), (2, 2)), ((1, 2), (2, 3)), ((1, 2), (0, 2))]
)
def test_curves_that_do_not_fit_are_compared(budgets, shape):
    with pytest.raises(InputError, match="budgets"):
        crossing(budgets, np.zeros(shape), np.zeros(shape))
