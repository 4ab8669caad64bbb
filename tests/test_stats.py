"""Estimates and comparisons: the edges where intervals go wrong, reproducibility, and what must be refused."""

import math

import numpy as np
import pytest

from reasoning.errors import InputError
from reasoning.evaluation.statistics import metrics, power, stats
from reasoning.evaluation.statistics.metrics import Samples


def run_of(rights, n=4):
    """One problem per entry: how many of n samples are right; the wrong ones all differ."""
    return [
        Samples(f"p{index}", ("a",) * right + tuple(map(str, range(n - right))), (True,) * right + (False,) * (n - right))
        for index, right in enumerate(rights)
    ]


def accuracy(run):
    return stats.measure(run, metrics.accuracy)


def metrics_of(run):
    return [metrics.accuracy(one) for one in run]


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_none_or_all_right_has_an_interval_of_positive_width(share):
    result = stats.estimate(np.full(100, share))
    assert result.value == share and result.low <= share <= result.high
    assert 0.02 < result.high - result.low < 0.06  # Wilson: 0.037
    assert result.mde > 0.02


def test_two_runs_that_agree_everywhere_are_not_certain_to_be_equal():
    result = stats.difference(np.zeros(100))
    assert result.difference == 0 and result.p_value == 1.0 and not result.distinguishable
    assert result.low < -0.01 and result.high > 0.01


def test_one_problem_gives_a_wide_interval_and_no_warning():
    assert stats.estimate([1.0]).low < 0.5
    assert stats.difference([1.0]).low <= 0.0


def test_the_same_seed_gives_the_same_interval_and_order_of_chunks_does_not_matter(monkeypatch):
    values = np.random.default_rng(0).random(300)
    whole = stats.estimate(values, seed=3)
    assert stats.estimate(values, seed=3) == whole
    assert stats.estimate(values, seed=4) != whole
    assert whole.low < whole.value < whole.high
    assert abs((whole.high - whole.low) - 2 * 1.96 * values.std() / math.sqrt(300)) < 0.004


def test_samples_inside_a_problem_are_not_resampled():
    # One right of four each: problems do not differ, pass@2 is 1/2. Resampling samples would draw one twice and give 1
    # − (3/4)² = 0.4375.
    run = run_of([1] * 30 + [2] * 20)
    result = stats.pass_at_k(run, k=2, seed=1)
    assert math.isclose(result.value, (30 * 1 / 2 + 20 * 5 / 6) / 50)
    over_problems = stats.estimate([1 / 2] * 30 + [5 / 6] * 20, seed=1)
    assert math.isclose(result.low, over_problems.low) and math.isclose(result.high, over_problems.high)


def test_noise_is_told_apart_and_shrinks_with_samples():
    few, many = accuracy(run_of([2] * 30, n=4)), accuracy(run_of([20] * 30, n=40))
    assert math.isclose(few.noise, math.sqrt(30 * 0.25 / 3) / 30)
    assert many.noise < few.noise / 3
    assert accuracy(run_of([1] * 30, n=1)).noise is None


def test_pairing_finds_what_two_separate_intervals_hide():
    generator = np.random.default_rng(0)
    a = generator.integers(0, 8, 100)
    b = a + (generator.random(100) < 0.3)
    ours, theirs = run_of(b, n=8), run_of(a, n=8)
    result = stats.paired(*(metrics_of(run) for run in (ours, theirs)))
    assert result.distinguishable and result.low > 0 and result.n == 100
    assert accuracy(ours).low < accuracy(theirs).high  # the separate intervals overlap
    assert result.mde < accuracy(ours).mde / 2
    backwards = stats.paired(*(metrics_of(run) for run in (theirs, ours)))
    assert math.isclose(backwards.difference, -result.difference) and math.isclose(backwards.p_value, result.p_value)


def test_values_equal_but_for_rounding_count_as_equal():
    run = run_of([1, 3, 2, 5, 6] * 8, n=7)  # maj@2 is maj@1 in other floating point
    result = stats.paired([metrics.maj_at_k(one, 2) for one in run], [metrics.maj_at_k(one, 1) for one in run])
    assert result.difference == 0 and result.p_value == 1.0 and result.high - result.low > 0.01
    nearly = stats.estimate(1.0 - 1e-15 * np.random.default_rng(0).random(100))
    assert nearly.high - nearly.low > 0.02


def test_sign_flip_p_values_of_few_differences_are_exact():
    assert stats.sign_flip_p_value(np.ones(5)) == 2 / 2**5
    assert stats.sign_flip_p_value(np.array([1.0, 1, 1, -1, 0, 0])) == 10 / 16
    assert stats.sign_flip_p_value(np.array([0.1] * 7 + [0.3])) == 2 / 2**8  # equal sums that round differently


def test_many_sign_flips_agree_with_the_exact_test():
    values = np.random.default_rng(2).normal(0.25, 1, 60)
    z = abs(values.sum()) / math.sqrt((values**2).sum())
    assert abs(stats.sign_flip_p_value(values) - math.erfc(z / math.sqrt(2))) < 0.015


@pytest.mark.filterwarnings("error")
def test_bad_tables_are_refused_in_one_line():
    run = run_of([1, 2, 3])
    for call, message in [
        (lambda: accuracy([]), "no problems"),
        (lambda: accuracy(run + run[:1]), "more than once"),
        (lambda: stats.pass_at_k(run, 5), "has 4 samples"),
        (lambda: stats.paired([0.0, 1.0], [1.0]), "values of 2 and of 1 problems cannot be paired"),
        (lambda: stats.paired([], []), "no problems"),
        (lambda: power.minimum_detectable_effect(0.1, alpha=0.0), "strictly between"),
        (lambda: power.problems_needed(0.0, 0.5), "infinitely many"),
    ]:
        with pytest.raises(InputError, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_the_minimum_detectable_effect_is_found_four_times_out_of_five():
    assert power.problems_needed(power.minimum_detectable_effect(0.5 / math.sqrt(400)), 0.5) == 400
    generator = np.random.default_rng(5)
    effect = power.minimum_detectable_effect(0.5 / math.sqrt(80))
    found = [stats.difference(generator.normal(effect, 0.5, 80), seed=i, resamples=400).distinguishable for i in range(500)]
    assert 0.75 < np.mean(found) < 0.85
