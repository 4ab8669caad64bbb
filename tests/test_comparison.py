"""Curves at equal cost: joining, contrasts and their correction, crossings, bins of difficulty, the compute-optimal choice."""

import math
import types

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasoning.comparison import choice, contrasts, crossings, difficulty, tables
from reasoning.comparison.curves import Curve, Point
from reasoning.comparison.energy import meter
from reasoning.evaluation.ledger import Cost
from reasoning.evaluation.reports.scores import Row
from reasoning.evaluation.statistics import stats

NAMES = [f"p{index}" for index in range(120)]


def point(label, flops, values, samples=1, seconds=math.nan):
    cost = Cost(samples, 10.0, flops / 10, 0.0, flops, flops, seconds)
    return Point(label, Row(label, samples, stats.estimate(values), cost, tuple(values)))


def curve(name, *points, ceiling=False):
    return Curve(name, tuple(point(name, flops, values, k + 1) for k, (flops, values) in enumerate(points)), ceiling)


def column(share, count=120, shift=0):
    """float[count] of zeros and ones, `share` of them ones, rolled by `shift`."""
    return np.roll(np.arange(count) < share * count, shift).astype(float)


def test_curve_is_joined_over_the_logarithm_so_that_no_mixture_reaches_it():
    low, high = column(0.2), column(0.6)
    one = curve("a", (100.0, low), (300.0, high))
    tossed = 0.5 * low + 0.5 * high  # half of the problems with each costs 200 on average
    np.testing.assert_allclose(one.at("flops", [200.0])[:, 0], tossed)
    np.testing.assert_array_equal(one.at("flops", [300.0, 900.0]), np.stack([high, high], 1))  # it keeps what it has
    assert np.isnan(one.at("flops", [99.0])).all()


def test_points_out_of_order_are_joined_as_listed():
    one = Curve("a", (point("dear", 300.0, column(0.6)), point("cheap", 100.0, column(0.2))))
    assert one.costs("flops").tolist() == [100.0, 300.0]
    assert one.at("flops", [100.0]).mean() == pytest.approx(0.2)


def test_pair_is_compared_at_what_one_of_them_cannot_pay():
    a, b = curve("a", (100.0, column(0.5))), curve("b", (50.0, column(0.2)), (400.0, column(0.9)))
    equal, most = contrasts.contrasts([a, b], "flops")
    assert (equal.a, equal.b, equal.budget, equal.equal) == ("b", "a", 100.0, True)
    assert equal.spent == (100.0, 100.0)
    assert equal.found.difference == pytest.approx(0.2 + 0.7 * 50 / 350 - 0.5)
    assert (most.budget, most.spent, most.equal) == (400.0, (400.0, 100.0), False)
    assert most.found.difference == pytest.approx(0.4)


def test_single_points_are_compared_twice_over():
    a, b = curve("a", (100.0, column(0.5))), curve("b", (300.0, column(0.9)))
    (only,) = contrasts.contrasts([a, b], "flops")
    assert (only.budget, only.spent) == (300.0, (300.0, 100.0))


def test_ceiling_takes_part_in_a_contrast_a_crossing_or_a_choice():
    a, b = curve("a", (100.0, column(0.5)), (200.0, column(0.6))), curve("b", (100.0, column(0.2)), (200.0, column(0.9)))
    top = curve("pass@N", (100.0, column(1.0)), (200.0, column(1.0)), ceiling=True)
    found = contrasts.contrasts([a, b, top], "flops")
    assert {(one.a, one.b) for one in found} == {("b", "a")}
    assert {(one.a, one.b) for one in crossings.crossings([a, b, top], "flops")} == {("a", "b")}
    made = choice.choices([a, b, top], "flops", np.zeros(120, int), 0.0, NAMES)
    assert all("pass" not in one.pick for one in made)


def test_primary_contrast_is_corrected_or_not_first_or_turned_round():
    lines = [curve(name, (100.0, column(share))) for name, share in (("a", 0.5), ("b", 0.55), ("c", 0.6))]
    found = contrasts.contrasts(lines, "flops", ("a", "c"))
    assert (found[0].a, found[0].b, found[0].primary) == ("a", "c", True)
    assert found[0].p_value == found[0].found.p_value
    rest = found[1:]
    assert not any(one.primary for one in rest)
    assert [one.p_value for one in rest] == contrasts.holm([one.found.p_value for one in rest])
    assert all(one.p_value >= one.found.p_value for one in rest)


def test_equal_methods_get_a_winner():
    same = column(0.5)
    (found,) = contrasts.contrasts([curve("a", (1.0, same)), curve("b", (1.0, same))], "flops")
    assert found.verdict == "not distinguishable"
    clear, none = column(0.9), column(0.1)
    (found,) = contrasts.contrasts([curve("a", (1.0, none)), curve("b", (1.0, clear))], "flops")
    assert found.verdict == "b is better" and found.needed > 0


def test_holm_differs_from_the_published_example():
    # Holm 1979: of 0.01, 0.04, 0.03, 0.005 the steps are 4 × 0.005, 3 × 0.01, 2 × 0.03, and 0.04 may not fall below.
    assert contrasts.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert contrasts.holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lets_more_through_than_bonferroni_never_less(p_values):
    corrected = contrasts.holm(p_values)
    for raw, one in zip(p_values, corrected, strict=True):
        assert raw <= one <= min(1.0, raw * len(p_values)) + 1e-12
    order = np.argsort(p_values, kind="stable")
    assert np.all(np.diff(np.array(corrected)[order]) >= 0)


def test_crossing_is_missed_or_named_the_wrong_way_round():
    a = curve("steady", (100.0, column(0.5)), (400.0, column(0.5)))
    b = curve("late", (100.0, column(0.1)), (400.0, column(0.9)))
    (found,) = crossings.crossings([a, b], "flops")
    assert found.found.budget == pytest.approx(250.0, rel=0.02)  # half-way over the cost, not over its logarithm (200)
    assert found.found.low < 250 < found.found.high
    assert found.verdict == "steady before, late after"
    flat = curve("flat", (100.0, column(0.95)), (400.0, column(0.95)))
    (none,) = crossings.crossings([a, flat], "flops")
    assert none.found.budget is None and none.verdict == "no crossing"


def test_curves_that_share_no_budget_cross():
    assert (
        crossings.crossings([curve("a", (1.0, column(0.1))), curve("b", (5.0, column(0.2)), (9.0, column(0.3)))], "flops") == []
    )


def test_bin_has_fewer_problems_than_it_needs_or_depends_on_their_order():
    easy = np.linspace(1, 0, 120)
    assert np.bincount(difficulty.bins_of(easy, NAMES)).tolist() == [30, 30, 30, 30]  # not five of 24
    assert np.bincount(difficulty.bins_of(easy[:59], NAMES[:59])).tolist() == [59]
    assert difficulty.bins_of(easy, NAMES)[0] == 0, "0 is the easiest"
    tied = np.zeros(120)
    order = np.random.default_rng(0).permutation(120)
    shuffled = difficulty.bins_of(tied, [NAMES[index] for index in order])
    np.testing.assert_array_equal(shuffled, difficulty.bins_of(tied, NAMES)[order])


def test_one_bin_is_shown_as_a_difficulty():
    assert difficulty.cells([curve("a", (1.0, column(0.5)))], np.ones(120), np.zeros(120, int)) == []


def halves():
    """Two methods, each right on the half of the problems that the other gets wrong, at the same cost."""
    first = np.repeat([1.0, 0.0], 60)
    return [curve("easy", (100.0, first)), curve("hard", (100.0, 1 - first))], np.repeat([0, 1], 60)


def test_adaptive_choice_gains_nothing_where_bins_tell_everything_or_knows_them_for_nothing():
    curves, bins = halves()
    made = choice.choices(curves, "flops", bins, 20.0, NAMES)
    dear = made[-1]
    assert dear.budget == pytest.approx(120.0)
    assert dear.adaptive.value == 1.0 and dear.picks == ("easy", "hard")
    assert dear.gain.difference > 0.3 and dear.gain.distinguishable
    cheap = made[0]
    assert cheap.budget == pytest.approx(100.0)
    assert cheap.adaptive is None, "100 does not pay for the 20 of knowing and the 100 of a method"


def test_choice_is_judged_on_the_problems_that_made_it():
    looks, found = [], []
    for seed in range(12):
        coins = (np.random.default_rng(seed).random((30, 60)) < 0.5).astype(float)
        (made,) = choice.choices(
            [curve(f"m{index}", (100.0, one)) for index, one in enumerate(coins)], "flops", np.zeros(60, int), 0.0, NAMES[:60]
        )
        looks.append(coins.mean(1).max())
        found.append(made.fixed.value)
    assert np.mean(looks) > 0.6, "the best of thirty coins looks good"
    assert abs(np.mean(found) - 0.5) < 0.06, "and is a coin on other problems"


def test_table_hides_that_seconds_are_amortised_or_a_price_that_was_set():
    curves = (Curve("a", (point("a", 1e9, column(0.5), seconds=10.0),)),)
    found = types.SimpleNamespace(plan=types.SimpleNamespace(price=36.0, axis="flops"), curves=curves, devices="", spread=2)
    part = tables.points(found)
    line = dict(zip(part.header, part.lines[0], strict=True))
    assert line["seconds"] == "10.0 *" and line["price"] == "0.200 *", "each of two devices costs 36 an hour"
    assert "amortised" in part.note and "36 for an hour of a device, on 2 of them" in part.note
    assert len(part.values[0]) == len(part.fields)


class BrokenError(Exception):
    pass


def counter(broken=False):
    """pynvml with one GPU that uses 5 J between two looks."""
    used, opened = [0], [0]

    def start():
        if broken:
            raise BrokenError
        opened[0] += 1

    def read(device):
        used[0] += 5000
        return used[0]

    made = types.SimpleNamespace(NVMLError=BrokenError, nvmlInit=start, nvmlDeviceGetTotalEnergyConsumption=read, opened=opened)
    made.nvmlShutdown = lambda: opened.__setitem__(0, opened[0] - 1)
    made.nvmlDeviceGetCount, made.nvmlDeviceGetHandleByIndex = lambda: 1, lambda index: index
    return made


def test_joules_are_millijoules_or_made_up_where_nobody_counts():
    library = counter()
    with meter(library) as joules:
        assert joules() == 5.0
    assert library.opened == [0]
    with meter(counter(broken=True)) as joules:
        assert math.isnan(joules())
