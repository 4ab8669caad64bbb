"""Votes that see scores: what they choose, in which order of samples, and what they are expected to reach at every N."""

import dataclasses
from itertools import combinations, permutations

import numpy as np
import pytest
from doubles.fake_engine import FakeEngine
from hypothesis import given, settings
from hypothesis import strategies as st

from reasoning.errors import InputError
from reasoning.evaluation.reports import scores
from reasoning.evaluation.statistics import metrics
from reasoning.evaluation.statistics.metrics import Samples
from reasoning.methods.base import method
from reasoning.methods.best_of_n import Best, Weighted
from reasoning.methods.majority import Plurality
from reasoning.methods.shortest import Shortest
from reasoning.rewards.aggregate import aggregate

PROBLEMS = [{"id": f"p{index}", "question": f"What is {index} + 1?", "answer": str(index + 1)} for index in range(6)]
SKILL = {problem["id"]: (problem["answer"], 0.3) for problem in PROBLEMS}


def test_aggregations_are_confused():
    steps = [0.5, 0.25, 1.0, 0.25]
    assert [aggregate(name, steps) for name in ("last", "min", "prod", "mean")] == [0.25, 0.25, 0.03125, 0.5]
    assert aggregate("last", [-3.0, 2.0]) == 2.0
    with pytest.raises(InputError, match="a product needs scores that are probabilities"):
        aggregate("prod", [0.5, 1.5])
    with pytest.raises(InputError, match="unknown aggregation 'max'"):
        method("best_of_n", aggregation="max")


def test_best_and_weighted_choose_alike_or_let_the_unreadable_vote():
    answers, values = ["7", "8.0", "$8$", None], [0.9, 0.5, 0.6, 1.0]
    assert Best()("p", answers, values) == "7"
    assert Weighted()("p", answers, values) == "8"
    assert Best()("p", [None, " "], [0.1, 0.2]) is None is Weighted()("p", [None, None], [1.0, 1.0])
    assert Weighted()("p", ["7", "8"], [-5.0, 0.1]) == "8" and Best()("p", ["7", "8"], [-5.0, -6.0]) == "7"


def test_ties_favour_a_sample():
    for vote in (Best(), Weighted()):
        winners = [vote(f"p{index}", ["1", "2", "3"], [0.5] * 3) for index in range(600)]
        assert all(150 < winners.count(answer) < 250 for answer in "123")
    for order in permutations(zip(["1", "2", "2", "3"], [0.1, 0.7, 0.2, 0.9], strict=True)):
        answers, values = zip(*order, strict=True)
        assert Weighted()("p4", answers, values) == Weighted()("p4", ["1", "2", "2", "3"], [0.1, 0.7, 0.2, 0.9]), (
            "0.7 + 0.2 is 0.9"
        )
    shared = [Best()(f"p{index}", ["1", "1", "2"], [0.5] * 3) for index in range(900)]
    assert 540 < shared.count("1") < 660, "tied samples are drawn, not tied answers"


def test_weighted_with_equal_scores_is_no_majority():
    answers = ["1", "2", "2", "3", "1", "2"]
    for index in range(20):
        assert Weighted()(f"p{index}", answers, [0.3] * 6) == Plurality()(f"p{index}", answers) == "2"


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_best_at_k_is_not_the_mean_over_subsets(data):
    n = data.draw(st.integers(1, 7))
    answers = tuple(data.draw(st.lists(st.sampled_from([None, "a", "b"]), min_size=n, max_size=n)))
    correct = tuple(answer == "a" for answer in answers)
    values = tuple(data.draw(st.lists(st.sampled_from([0.1, 0.5, 0.9]), min_size=n, max_size=n)))
    k = data.draw(st.integers(1, n))

    def chosen(subset):
        readable = [i for i in subset if answers[i] is not None]
        best = [i for i in readable if values[i] == max(values[j] for j in readable)]
        return sum(correct[i] for i in best) / len(best) if best else 0.0

    wanted = np.mean([chosen(subset) for subset in combinations(range(n), k)])
    assert metrics.best_at_k(Samples("p", answers, correct, scores=values), k) == pytest.approx(wanted)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_shortest_at_k_is_not_the_mean_of_the_votes(data):
    n = data.draw(st.integers(1, 7))
    answers = tuple(data.draw(st.lists(st.sampled_from([None, "a", "b"]), min_size=n, max_size=n)))
    lengths = tuple(data.draw(st.lists(st.integers(1, 4), min_size=n, max_size=n)))
    samples, k = Samples("p", answers, tuple(one == "a" for one in answers), lengths), data.draw(st.integers(1, n))
    assert scores.metric_of(Shortest()) is metrics.shortest_at_k
    assert metrics.shortest_at_k(samples, k) == pytest.approx(scores.over_subsets(Shortest(), samples, k))


def test_limits_of_a_scorer_are_missed():
    """A perfect score makes the best of k pass@k; one that says nothing makes it a single sample."""
    rng = np.random.default_rng(0)
    correct = tuple(bool(right) for right in rng.random(16) < 0.25)
    answers = tuple("4" if right else str(rng.integers(5, 9)) for right in correct)
    exact = Samples("p", answers, correct, scores=tuple(map(float, correct)))
    blind = dataclasses.replace(exact, scores=(0.5,) * 16)
    for k in (1, 2, 5, 16):
        assert metrics.best_at_k(exact, k) == pytest.approx(metrics.pass_at_k(exact, k))
        assert metrics.best_at_k(blind, k) == pytest.approx(metrics.accuracy(exact))
        assert scores.over_subsets(Weighted(), exact, k) == pytest.approx(metrics.pass_at_k(exact, k), abs=0.08)
        assert scores.weighted_at_k(exact, k) == pytest.approx(scores.over_subsets(Weighted(), exact, k))
    assert scores.metric_of(Best()) is metrics.best_at_k and scores.metric_of(Weighted()) is scores.weighted_at_k
    small = dataclasses.replace(exact, answers=exact.answers[:7], correct=exact.correct[:7], scores=(0.5,) * 7)
    flat = dataclasses.replace(small, scores=())
    assert scores.over_subsets(Weighted(), small, 3) == scores.over_subsets(Plurality(), flat, 3)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_weighted_at_k_is_not_the_mean_of_the_votes(data):
    """Scores that tie only if all digits are the same: then the vote and its expectation never break a tie differently."""
    n = data.draw(st.integers(1, 7))
    answers = tuple(data.draw(st.lists(st.sampled_from([None, "a", "b", "c"]), min_size=n, max_size=n)))
    correct = tuple(answer == "a" for answer in answers)
    values = tuple(data.draw(st.permutations([0.11, 0.231, -0.35, 0.4707, 0.5913, 0.73, 0.8119]))[:n])
    samples, k = Samples("p", answers, correct, scores=values), data.draw(st.integers(1, n))
    positive = dataclasses.replace(samples, scores=tuple(map(abs, values)))
    assert scores.weighted_at_k(positive, k) == pytest.approx(scores.over_subsets(Weighted(), positive, k))
    tied = dataclasses.replace(samples, scores=(0.1,) * n)
    assert scores.weighted_at_k(tied, k) == pytest.approx(metrics.maj_at_k(dataclasses.replace(tied, scores=()), k))


@pytest.mark.parametrize("weighted", [False, True])
def test_a_run_ignores_its_scorer_or_what_it_costs(weighted):
    made = method("best_of_n", n=6, scorer={"kind": "oracle"}, weighted=weighted)
    majority = {result.id: result for result in method("majority", n=6).run(FakeEngine(SKILL), PROBLEMS)}
    for result in made.run(FakeEngine(SKILL), PROBLEMS):
        right = [answer == SKILL[result.id][0] for answer in result.answers]
        assert result.scores == tuple((float(one),) for one in right)
        assert result.answers == majority[result.id].answers, "a vote draws no other samples"
        if any(right):
            assert result.answer == SKILL[result.id][0]
        assert result.ledger.scorer == 0


def test_tokens_and_flops_of_a_scorer_are_lost(tmp_path):
    """A fork's own scorer, by the dotted name of its module."""
    made = method("best_of_n", n=3, scorer={"kind": "doubles.counting_scorer"})
    plain = {result.id: result for result in method("majority", n=3).run(FakeEngine(SKILL), PROBLEMS)}
    for result in made.run(FakeEngine(SKILL), PROBLEMS):
        before = plain[result.id].ledger
        assert result.ledger.scorer == 5 + sum(len(response.tokens) for response in result.responses)
        assert result.ledger.flops_prompt == before.flops_prompt + 500.0
        assert result.ledger.flops_generated == before.flops_generated + 100.0 * (result.ledger.scorer - 5)
        best = max(range(3), key=lambda i: (result.answers[i] is not None, result.scores[i][-1]))
        assert result.answer == result.answers[best]
