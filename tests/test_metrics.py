"""Accuracy, pass@k and maj@k of one problem against enumeration of every subset."""

from collections import Counter
from itertools import combinations
from math import isclose
from statistics import mean, pvariance

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reasoning.errors import InputError
from reasoning.evaluation.statistics import metrics
from reasoning.evaluation.statistics.metrics import Samples


def samples_of(answers, right="a"):
    return Samples("p", tuple(answers), tuple(answer == right for answer in answers))


def enumerated_pass(samples, k):
    return mean(float(any(subset)) for subset in combinations(samples.correct, k))


def enumerated_majority(samples, k, right="a"):
    def vote(subset):
        counts = Counter(answer for answer in subset if answer is not None)
        winners = [answer for answer, count in counts.items() if count == max(counts.values())]
        return winners.count(right) / len(winners) if winners else 0.0

    return mean(vote(subset) for subset in combinations(samples.answers, k))


answers_of_a_problem = st.lists(st.sampled_from(["a", "b", "c", "d", None]), min_size=1, max_size=8)


@given(answers_of_a_problem, st.data())
@settings(max_examples=300, deadline=None)
def test_metrics_equal_the_mean_over_all_subsets(answers, data):
    samples, k = samples_of(answers), data.draw(st.integers(1, len(answers)))
    assert isclose(metrics.pass_at_k(samples, k), enumerated_pass(samples, k), abs_tol=1e-12)
    assert isclose(metrics.maj_at_k(samples, k), enumerated_majority(samples, k), abs_tol=1e-12)


@given(st.lists(st.sampled_from("abcd"), min_size=2, max_size=40))
@settings(max_examples=200, deadline=None)
def test_maj_at_2_does_not_differ_from_accuracy_when_every_answer_is_read(answers):
    samples = samples_of(answers)
    assert isclose(metrics.maj_at_k(samples, 2), metrics.accuracy(samples), abs_tol=1e-12)
    assert isclose(metrics.maj_at_k(samples, 1), metrics.accuracy(samples), abs_tol=1e-12)


def test_an_unread_answer_abstains_and_does_not_vote():
    assert isclose(metrics.maj_at_k(samples_of(["a", None, None]), 3), 1.0)  # two abstentions do not outvote one answer
    assert metrics.maj_at_k(samples_of([None, None]), 2) == 0.0  # all abstain: wrong
    assert isclose(metrics.maj_at_k(samples_of(["a", None]), 2), 1.0)


def test_one_spelling_graded_both_ways_counts_in_part():
    samples = Samples("p", ("7", "7", "8"), (True, False, False))
    assert isclose(metrics.maj_at_k(samples, 3), 0.5)


def test_many_samples_neither_overflow_nor_lose_precision():
    answers = ["a"] * 900 + ["b"] * 700 + ["c"] * 500 + [None] * 100 + [str(index) for index in range(300)]
    samples = samples_of(answers)
    generator = np.random.default_rng(0)
    codes = np.array([0] * 900 + [1] * 700 + [2] * 500 + [-1] * 100 + list(range(3, 303)))
    wins = 0.0
    for _ in range(2000):
        counts = np.bincount(drawn[drawn >= 0]) if len(drawn := generator.choice(codes, 40, replace=False)) else []
        wins += (counts[0] == counts.max()) / (counts == counts.max()).sum()
    assert abs(metrics.maj_at_k(samples, 40) - wins / 2000) < 0.035
    assert isclose(metrics.maj_at_k(samples, len(answers)), 1.0)
    assert isclose(metrics.pass_at_k(samples, 2), 1 - (1600 / 2500) * (1599 / 2499))


def test_too_few_samples_for_k_is_one_clear_line():
    for metric in (metrics.pass_at_k, metrics.maj_at_k):
        with pytest.raises(InputError, match="has 2 samples"):
            metric(samples_of(["a", "b"]), 3)
        with pytest.raises(InputError, match="k must be"):
            metric(samples_of(["a", "b"]), 0)
    with pytest.raises(InputError, match="2 answers and 1 grades"):
        Samples("p", ("a", "b"), (True,))


def test_sampling_variance_of_accuracy_is_the_textbook_one():
    samples = samples_of(["a", "a", "b", "b", "b"])
    assert isclose(metrics.sampling_variance(samples, metrics.accuracy, 1), pvariance([1, 1, 0, 0, 0]) / 4)
    assert metrics.sampling_variance(samples_of(["a"]), metrics.accuracy, 1) is None  # one sample cannot tell
    assert metrics.sampling_variance(samples_of(["a", "b"]), metrics.maj_at_k, 2) is None


def test_sampling_variance_is_the_spread_over_repeated_draws():
    generator = np.random.default_rng(1)
    draws = [samples_of(["a" if value else "b" for value in generator.random(20) < 0.3]) for _ in range(1500)]
    for metric, k in ((metrics.pass_at_k, 3), (metrics.maj_at_k, 5)):
        spread = np.var([metric(samples, k) for samples in draws])
        told = np.mean([metrics.sampling_variance(samples, metric, k) for samples in draws])
        assert 0.85 < told / spread < 1.25
