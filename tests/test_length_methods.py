"""Methods that are about length: the shortest sample, the first that fits a budget, and prompts that ask for one."""

import dataclasses
from itertools import combinations

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from doubles.fake_engine import FakeEngine

from reasoning.errors import InputError
from reasoning.evaluation.reports import scores
from reasoning.evaluation.statistics import metrics
from reasoning.evaluation.statistics.metrics import Samples
from reasoning.methods.base import cast, method
from reasoning.methods.length_prompts import SENTENCES

pools = st.lists(st.tuples(st.sampled_from([None, "1", "2"]), st.integers(1, 9)), min_size=1, max_size=6)
VOTES = {"shortest": method("shortest").vote, "rejection": method("rejection", budget=4).vote}


def winner(name, pool):
    """Index of the winning sample in plain Python, None if there is none."""
    if name == "shortest":
        order = sorted((length, index) for index, (answer, length) in enumerate(pool) if answer is not None)
        return order[0][1] if order else None
    return next((index for index, (_, length) in enumerate(pool) if length <= 4), None)


@pytest.mark.parametrize("name", VOTES)
@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(pools)
def test_vote_looks_at_another_sample(name, pool):
    answers, lengths = zip(*pool, strict=True)
    index = winner(name, pool)
    assert cast(VOTES[name], "p", answers, lengths) == (None if index is None else answers[index])
    if name == "rejection":
        assert VOTES[name].tries(lengths) == (0 if index is None else index + 1)


@pytest.mark.parametrize("name", VOTES)
def test_report_votes_without_the_lengths(name):
    """Every subset of four samples by hand; the shortest is right, and the others are wrong in the same way."""
    lengths, answers, correct = (7, 3, 5, 4), ("1", "2", "1", "1"), (False, True, False, False)
    records = [
        {"problem": "p", "sample": index, "answer": answer, "correct": right, "tokens": tokens}
        | {"ledger": dict.fromkeys(("prompt", "sampled", "forced", "discarded", "lookahead", "scorer"), 10)}
        | {"stop_reason": "stop"}
        for index, (answer, right, tokens) in enumerate(zip(answers, correct, lengths, strict=True))
    ]
    for record in records:
        record["ledger"] |= {"flops_prompt": 1.0, "flops_generated": 2.0}
    made = dataclasses.replace(method(name, n=4), vote=VOTES[name])
    for row in scores.rows(name, made, records):
        won = [winner(name, [(answers[i], lengths[i]) for i in subset]) for subset in combinations(range(4), row.samples)]
        right = [
            index is not None and correct[subset[index]]
            for index, subset in zip(won, combinations(range(4), row.samples), strict=True)
        ]
        assert row.values == (pytest.approx(np.mean(right)),)
        assert row.cost.tokens == 40 * row.samples, "all tries are paid for"
    assert [row.samples for row in scores.rows(name, made, records)] == [1, 2, 4]


def test_samples_of_one_answer_and_several_lengths_count_as_one_kind():
    """The jackknife leaves each kind out once; two right answers of unequal length are two kinds."""
    samples = Samples("p", ("1", "1", "2", "2"), (True, True, False, False), (1, 9, 5, 6))
    metric = scores.metric_of(VOTES["shortest"])
    left_out = [metric(samples.without(index), 2) for index in range(4)]
    assert left_out == pytest.approx([0, 2 / 3, 2 / 3, 2 / 3])
    assert metrics.sampling_variance(samples, metric, 2) == pytest.approx(3 / 4 * np.sum((left_out - np.mean(left_out)) ** 2))
    assert metric(samples, 2) == 1 / 2, "right in {0, 1}, {0, 2} and {0, 3}"


def test_result_of_a_method_is_not_its_shortest_or_first_fitting_sample():
    problems = [{"id": f"p{index}", "question": "?"} for index in range(12)]
    for name, arguments in (("shortest", {}), ("rejection", {"budget": 6, "max_tokens": 10})):
        made = method(name, n=5, **arguments)
        for result in made.run(FakeEngine(), problems):
            lengths = [len(response.tokens) for response in result.responses]
            if name == "shortest":
                readable = [(length, index) for index, length in enumerate(lengths) if result.answers[index] is not None]
                assert result.answer == (result.answers[min(readable)[1]] if readable else None)
            else:
                fitting = [answer for answer, length in zip(result.answers, lengths, strict=True) if length <= 6]
                assert result.answer == (fitting[0] if fitting else None)
            assert result.ledger.generated == sum(lengths)


def test_sample_that_was_cut_off_fits_a_budget():
    vote = method("rejection", budget=500, max_tokens=100).vote
    assert (vote("p", ["1", "2"], [100, 99]), vote.tries([100, 99]), vote.tries([100])) == ("2", 2, 0)
    with pytest.raises(InputError, match="budget must be a whole number of tokens ≥ 1, got 0"):
        method("rejection", budget=0)


def test_prompt_asks_for_no_length_or_asks_in_the_examples():
    made = method("length_prompts", unit="tokens", amount=512, instruction="Add.", examples=[("1 + 1", "2")])
    assert [message["content"] for message in made.prompt("2 + 2")] == [
        "Add.\n\n1 + 1",
        "2",
        "Add.\n\n2 + 2\n\nThink for up to 512 tokens.",
    ]
    assert method("length_prompts", unit="steps", amount=16).prompt("q")[-1]["content"].endswith("q\n\nThink for up to 16 steps.")
    for unit in ("short", "long"):
        assert method("length_prompts", unit=unit).prompt("q")[-1]["content"].endswith(f"q\n\n{SENTENCES[unit]}")
    with pytest.raises(InputError, match="unit must be one of tokens, steps, short, long, got 'words'"):
        method("length_prompts", unit="words")
    with pytest.raises(InputError, match="amount must be a whole number ≥ 1, got 0"):
        method("length_prompts", amount=0)
