"""Simulation: do 95 % intervals hold the truth 92–98 % of the time? Problems are drawn anew in every repetition, as a
data set is from all it could hold.

Problem i is solved with probability p_i ~ Beta(a, b); wrong samples pick one of six other answers or none at all.
"""

import math

import numpy as np
import pytest

from reasoning.evaluation.statistics import metrics, stats
from reasoning.evaluation.statistics.metrics import Samples

REPETITIONS, RESAMPLES = 600, 600


def solved(generator, problems, n, a, b):
    return generator.random((problems, n)) < generator.beta(a, b, (problems, 1))


def covered(intervals, truth):
    return np.mean([result.low <= truth <= result.high for result in intervals])


@pytest.mark.parametrize(
    ("problems", "n", "a", "b"),
    [(100, 8, 1, 1), (100, 1, 1, 1), (30, 4, 0.5, 0.5), (100, 1, 0.2, 8), (100, 8, 1, 4), (100, 1, 8, 0.2)],
)
def test_accuracy_intervals_cover(problems, n, a, b):
    generator = np.random.default_rng(0)
    results = [
        stats.estimate(solved(generator, problems, n, a, b).mean(1), seed=seed, resamples=RESAMPLES)
        for seed in range(REPETITIONS)
    ]
    assert 0.92 <= covered(results, a / (a + b)) <= 0.98


@pytest.mark.parametrize(("problems", "k", "a", "b"), [(100, 4, 1, 1), (30, 4, 0.5, 0.5), (100, 8, 0.3, 3)])
def test_pass_at_k_intervals_cover(problems, k, a, b):
    generator, n = np.random.default_rng(1), 8
    values = np.array([metrics.pass_at_k(Samples("p", ("x",) * n, (True,) * c + (False,) * (n - c)), k) for c in range(n + 1)])
    results = [
        stats.estimate(values[solved(generator, problems, n, a, b).sum(1)], seed=seed, resamples=RESAMPLES)
        for seed in range(REPETITIONS)
    ]
    beta = math.lgamma(b + k) - math.lgamma(b) + math.lgamma(a + b) - math.lgamma(a + b + k)  # log E[(1 − p)^k]
    assert 0.92 <= covered(results, 1 - math.exp(beta)) <= 0.98


def majorities(generator, problems, n, k, right):
    other = generator.integers(0, 7, (problems, n))
    spelled = [
        tuple("right" if r else (str(o) if o else None) for r, o in zip(*row, strict=True))
        for row in zip(right, other, strict=True)
    ]
    return np.array([metrics.maj_at_k(Samples("p", row, tuple(map(bool, r))), k) for row, r in zip(spelled, right, strict=True)])


def test_maj_at_k_intervals_cover():
    generator, repetitions = np.random.default_rng(2), 400
    truth = majorities(generator, 30_000, 4, 4, solved(generator, 30_000, 4, 1, 1)).mean()  # k of k: no subsets, another path
    results = [
        stats.estimate(majorities(generator, 60, 8, 4, solved(generator, 60, 8, 1, 1)), seed=seed, resamples=RESAMPLES)
        for seed in range(repetitions)
    ]
    assert 0.92 <= covered(results, truth) <= 0.98


@pytest.mark.parametrize(("problems", "n", "gain"), [(100, 8, 0.1), (100, 1, 0.1), (100, 1, 0.02), (40, 4, 0.3)])
def test_paired_difference_intervals_cover_and_false_alarms_are_rare(problems, n, gain):
    generator = np.random.default_rng(3)
    results, null = [], []
    for seed in range(REPETITIONS):
        p = generator.beta(0.5, 0.5, (problems, 1)) * (1 - gain)
        luck, other, third = generator.random((3, problems, n))
        # Half of the problems share their luck between the runs, as prompts that differ little do.
        shared = np.where(np.arange(problems)[:, None] % 2, luck, other)
        results.append(stats.difference((luck < p + gain).mean(1) - (shared < p).mean(1), seed=seed, resamples=RESAMPLES))
        null.append(stats.difference((luck < p).mean(1) - (third < p).mean(1), seed=seed, resamples=RESAMPLES))
    assert 0.92 <= covered(results, gain) <= 0.98
    assert np.mean([result.distinguishable for result in null]) <= 0.08
