"""Underthinking: the paper's example, whose responses count, whole problems in the interval, and the judge of thoughts."""

import dataclasses
import math

import numpy as np
import pytest
from doubles.models import scripted_model
from doubles.stages import SMALL

from reasoning.data.tasks import Problem
from reasoning.decode.engine import Engine
from reasoning.errors import InputError
from reasoning.evaluation.grading.grader import Grader
from reasoning.evaluation.statistics import stats
from reasoning.evaluation.thoughts.segments import segment
from reasoning.evaluation.thoughts.thinking import between, recorded
from reasoning.evaluation.thoughts.underthinking import Judged, underthinking, weighted_underthinking
from reasoning.evaluation.thoughts.verdicts import FORCED, Attempt, attempts, judge, judged, questions
from reasoning.methods.base import method


def test_the_papers_example_does_not_come_out():
    found = underthinking([Judged("p", False, 7681, 411)])
    assert found.value == pytest.approx(0.946, abs=5e-4)


def test_no_correct_thought_counts_as_underthinking_or_a_correct_response_counts_at_all():
    wrong, hopeless, right = Judged("a", False, 100, 25), Judged("b", False, 100), Judged("a", True, 100, 10)
    assert hopeless.share == 0.0 and right.share == 0.0
    assert underthinking([wrong, hopeless, right]).value == pytest.approx(0.75 / 2)
    assert underthinking([right]) is None
    assert weighted_underthinking([wrong, hopeless, right]).value == pytest.approx((0.75 / 2 + 0) / 2)
    assert weighted_underthinking([right]).value == 0.0
    for measure in (underthinking, weighted_underthinking):
        with pytest.raises(InputError, match="no problems"):
            measure([])


def test_a_thought_that_ends_with_the_response_is_given_up():
    assert Judged("p", False, 100, 100).share == 0.0
    assert Judged("p", False, 0).share == 0.0
    with pytest.raises(InputError, match="ends at token 101 of 100"):
        Judged("p", False, 100, 101)


def test_problems_count_equally_where_responses_should_and_the_other_way_round():
    many = [Judged("a", False, 100, 0)] * 9
    one = [Judged("b", False, 100), *[Judged("b", True, 100)] * 8]
    assert underthinking([*many, *one]).value == pytest.approx(0.9)
    assert weighted_underthinking([*many, *one]).value == pytest.approx(0.5)


def test_interval_resamples_responses_instead_of_problems():
    """Thirty samples of a problem that are all alike tell no more than one."""
    rng = np.random.default_rng(0)
    through = rng.integers(0, 101, 40)
    once = [Judged(f"p{i}", False, 100, int(end)) for i, end in enumerate(through)]
    single, thirty = underthinking(once), underthinking(once * 30)
    assert (single.low, single.high) == pytest.approx((thirty.low, thirty.high))
    plain = stats.estimate([one.share for one in once])
    assert (single.low, single.high, single.mde) == pytest.approx((plain.low, plain.high, plain.mde)), "one response a problem"
    assert single.low < single.value < single.high and single.n == 40
    assert underthinking([Judged("p", False, 100, 0)]).low < 0.5, "one problem is no certainty"


def test_interval_of_a_ratio_misses_the_truth():
    """95 % intervals of problems with 1 to 8 wrong responses each, correlated within the problem, 200 times."""
    rng, hits = np.random.default_rng(1), 0
    for trial in range(200):
        level, counts = rng.beta(2, 3, 60), rng.integers(1, 9, 60)
        totals = rng.binomial(counts, level)
        found = stats.ratio(totals, counts, seed=trial, resamples=400)
        hits += found.low <= 0.4 <= found.high
    assert 180 <= hits <= 198


def test_problems_without_a_wrong_response_widen_the_interval():
    totals, counts = np.arange(20) / 19, np.ones(20)
    more = stats.ratio(np.append(totals, [0, 0]), np.append(counts, [0, 0]))
    assert more == stats.ratio(totals, counts) and math.isclose(more.value, 0.5)
    with pytest.raises(InputError, match="no problems"):
        stats.ratio([0.0], [0])


@pytest.fixture(scope="module")
def grader():
    with Grader(workers=1) as one:
        yield one


PROBLEMS = {name: Problem(name, "What is 6 * 7?", "42", "sums") for name in ("a", "b")}
TEXT = "6*7 is 43. Wait, it is 42. Hmm, or 49."  # short: with the answer it fits the smallest bucket, one program
STOP = 256


def answering(text, answers):
    """What a `scripted_model` recites so that after `text` up to the end of thought i, and the forced text, comes answers[i]."""
    parts, script = segment(list(text)).parts, [ord("?")] * 400
    for part, answer in zip(parts, answers, strict=True):
        begin = part.stop + len(FORCED)
        script[begin : begin + len(answer) + 1] = [*answer.encode(), STOP]
    return script


def attempt(problem, sample=0, correct=False, row=0, text=TEXT, stop=True):
    ids = tuple(text.encode()) + (STOP,) * stop
    return Attempt(problem, sample, correct, (row,), ids, segment([*text, *[""] * stop]))


@pytest.fixture(scope="module")
def engine():
    rows = [
        answering(TEXT, [" 4\n42", " 42", " 42"]),
        answering(TEXT, [" 7", " 8", "\\boxed{42}"]),
        answering(TEXT, [" 1"] * 3),
    ]
    return Engine(scripted_model(rows), max_slots=4)


@pytest.mark.slow
def test_the_judge_asks_elsewhere_than_at_the_end_of_a_thought(engine, grader):
    asked = [attempt("a"), attempt("a", 1, row=1), attempt("b", row=2), attempt("b", 1, correct=True)]
    found = judge(engine, grader, asked, PROBLEMS, max_tokens=10, chain=SMALL)
    _, second, third = asked[0].thoughts.parts
    assert TEXT[second.start : second.start + 4] == "Wait" and third.stop == len(TEXT) + 1
    assert [one.through for one in found] == [second.stop, third.stop, None, None]
    assert [(one.problem, one.correct, one.tokens) for one in found] == [
        *[("a", False, len(TEXT) + 1)] * 2,
        *[("b", correct, len(TEXT) + 1) for correct in (False, True)],
    ]
    assert underthinking(found).value == pytest.approx((1 - second.stop / (len(TEXT) + 1)) / 3)


def test_all_correct_asks_the_engine_anyway(engine, grader):
    assert [one.through for one in judge(engine, grader, [attempt("a", correct=True)], PROBLEMS, chain=SMALL)] == [None]


def test_a_prefix_goes_on_after_a_stop_id_or_does_not_fit():
    forced = tuple(FORCED.encode())
    asked = questions([attempt("a")], forced, stop_ids=(STOP,), max_tokens=8)
    assert [bytes(one.request.tokens[1:]) for one in asked] == [
        (TEXT[: part.end] + FORCED).encode() for part in attempt("a").thoughts.parts
    ]
    assert all(one.request.knobs == {"temperature": 0.0} and one.request.max_tokens == 8 for one in asked)
    room = len(asked[1].request.tokens) + 8
    assert questions([attempt("a")], forced, stop_ids=(STOP,), max_tokens=8, context=room) == asked[:2]


def test_a_lost_response_counts_as_a_wrong_thought(grader):
    asked = questions([attempt("a")], [1])
    with pytest.raises(InputError, match="3 of 3 thoughts have no response, e.g. 'a/0/thought 0'"):
        judged([attempt("a")], asked, [], PROBLEMS, grader)


def test_attempts_are_not_what_the_model_read_and_wrote(engine):
    chain = method("chain_of_thought")
    record = {"problem": "a", "sample": 3, "correct": False, "ids": [*TEXT.encode(), STOP], "forced": []}
    (found,) = attempts([record], PROBLEMS, chain, engine)
    assert bytes(found.prompt) == engine.model.tokenizer.render(chain.prompt("What is 6 * 7?")).encode()
    assert found.tokens == tuple(record["ids"]) and found.thoughts.text == TEXT and found.sample == 3
    (short,) = attempts([record], PROBLEMS, dataclasses.replace(chain, delimiters=("", " Hmm")), engine)
    assert short.tokens == found.tokens and short.thoughts.text == "6*7 is 43. Wait, it is 42.", "no thought behind the thinking"
    del record["ids"]
    with pytest.raises(InputError, match="holds no token ids"):
        attempts([record], PROBLEMS, chain, engine)


def test_thinking_tokens_miss_a_delimiter_that_straddles_tokens():
    pieces = [b"a", b".</", b"think", b">", b"b", b"", b"</think>"]
    span = between("", "</think>", pieces)
    free = [False] * 9
    assert span([0, 0, 5, 1, 2, 3, 4], free) == (0, 3)
    assert span([0, 0, 5, 6, 4], free) == (0, 3)
    assert span([1, 2, 3, 1, 2, 3], free) == (0, 0), "the first one closes"
    assert span([0, 4, 2, 3], free) == (0, 4), "it never came"
    assert span([], free) == (0, 0) and between("", "", pieces)([0, 1, 2, 3], free) == (0, 4)


def test_forced_text_around_a_thought_counts_as_thinking():
    pieces = [b"a", b"\n", b"Answer", b":", b"<t", b"hink>", b"</think>", b"."]
    span = between("<think>", "Answer:", pieces)
    opened = [4, 5, 0, 0, 1, 2, 3, 0]
    assert span(opened, [True, True, *[False] * 6]) == (2, 5), "a line break of the model's own is thinking"
    assert span(opened, [True, True, False, False, True, True, True, False]) == (2, 4)
    assert span([0, 7, 1, 2, 3], [False, True, True, True, True]) == (0, 2), "text that was taken back is written again by force"
    assert span([0, 0], [False] * 2) == (0, 2), "never opened, never closed"
    assert span([4, 5, 1, 2, 3], [True] * 5) == (2, 2)
    with pytest.raises(InputError, match="an earlier version wrote it"):
        recorded({"problem": "a", "tokens": 3})
