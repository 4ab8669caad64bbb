"""Searches as methods: the front door, resumable runs, votes by score, and what over-optimisation comes to in the limit."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from doubles.branching import CHAIN, branching_model, engine_of, letter_scorer, search
from doubles.fake_engine import FakeEngine
from scipy import stats

from reasoning.data.tasks import Problem
from reasoning.errors import InputError
from reasoning.evaluation.grading.grader import Grader
from reasoning.evaluation.reports.scores import rows
from reasoning.evaluation.run import run
from reasoning.methods.base import method
from reasoning.methods.searching import ByScore
from reasoning.records import read_lines
from reasoning.search.beam import Beam
from reasoning.search.driver import Searching
from reasoning.search.spelling import question_ids

PROBLEMS = [Problem(f"p{index}", f"{index} + 1 =", str(index + 1), "sums") for index in range(3)]
SMALL = {"n": 4, "max_tokens": 20, "step_tokens": 6, "step_ends": ("\n",), "instruction": "", "rounds": 12}
SCORER = {"kind": "doubles.branching", "letters": "abc"}


@pytest.fixture(scope="module")
def engine():
    return engine_of(branching_model({"": {"a": 1, "b": 1, "c": 1}}, depth=500))


def small(name, **arguments):
    """The method on a chain that compiles in no time."""
    return dataclasses.replace(method(name, **SMALL | arguments), chain=CHAIN, knobs={"temperature": 1.0})


def test_search_by_name_does_not_reach_the_engine(engine):
    """Results with scores and one ledger, of a scorer that a configuration names; k = 0 is beam search bit for bit."""
    plain = {one.id: one for one in small("beam_search", scorer=SCORER, weighted=False).run(engine, [vars(p) for p in PROBLEMS])}
    none = small("lookahead", lookahead=0, scorer=SCORER, weighted=False).run(engine, [vars(p) for p in PROBLEMS])
    assert sorted(plain) == ["p0", "p1", "p2"]
    for other in none:
        for a, b in zip(plain[other.id].responses, other.responses, strict=True):
            for field in ("tokens", "scores", "logprobs"):
                np.testing.assert_array_equal(getattr(a, field), getattr(b, field))
            assert dataclasses.replace(a.ledger, seconds=0) == dataclasses.replace(b.ledger, seconds=0)
    ledger = plain["p0"].ledger
    assert ledger.scorer > ledger.prompt == plain["p0"].responses[0].ledger.prompt
    assert all(len(response.scores) >= 3 for response in plain["p0"].responses)


def test_a_scorer_of_texts_reads_the_instruction_as_part_of_the_question():
    """It reads the same question while a search runs as afterwards, in a finished pool (`Candidate.question`)."""
    (request,) = method("beam_search", instruction="Be brief.", examples=(("1 + 1 =", "2"),)).requests(PROBLEMS[:1])
    text = dataclasses.replace(letter_scorer({}), question=lambda text: list(text.encode()))
    assert bytes(question_ids(text, SimpleNamespace(request=request)).tolist()).decode() == PROBLEMS[0].question


def test_answer_of_a_search_is_the_majority():
    """The scores of the search reach its vote."""
    skill = {problem.id: (problem.answer, 0.5) for problem in PROBLEMS}
    made = method("beam_search", n=8, weighted=False)
    for result in made.run(FakeEngine(skill), [vars(problem) for problem in PROBLEMS]):
        pairs = zip(result.responses, result.answers, strict=True)
        assert result.answer == max((one.scores[-1], answer) for one, answer in pairs if answer is not None)[1]


def test_killed_search_ends_with_other_bytes(engine, tmp_path):
    """Problems that lack a sample are searched again as a whole and hand out what was missing."""
    made = small("beam_search")

    def attempt(directory, stop_after=None):
        count = 0

        def check():
            nonlocal count
            count += 1
            if count == stop_after:
                raise KeyboardInterrupt

        with Grader() as grader:
            return run(made, PROBLEMS, directory, lambda: engine, grader, show=False, check=check)

    records = attempt(tmp_path / "whole")
    for stop_after in (2, 5):
        with pytest.raises(KeyboardInterrupt):
            attempt(tmp_path / "torn", stop_after)
    attempt(tmp_path / "torn")
    for name in ("generations.jsonl", "trees.jsonl"):
        assert (tmp_path / "torn" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    trees, _ = read_lines(tmp_path / "whole" / "trees.jsonl")
    assert [tree["problem"] for tree in trees] == ["p0", "p1", "p2"]
    assert all(record["scores"]["search"] for record in records)
    (row,) = rows("beam", made, records)  # smaller beams are other searches, so the pool says nothing about them
    assert row.samples == 4
    assert row.cost.tokens == pytest.approx(
        sum(sum(one["ledger"][kind] for kind in ("sampled", "forced", "discarded", "lookahead")) for one in records) / 3
    )


def test_row_that_goes_back_keeps_its_line():
    """Each line is a letter; "c" is the word for going back and "b" the wrong line before it."""
    lines = branching_model({"": {"a": 1}, "a": {"b": 1, "d": 3}, "b": {"c": 1}, "d": {"e": 1}, "e": {"e": 1}}, depth=3)
    made = method("self_backtracking", n=8, max_tokens=20, step_tokens=6, stop=("c",), backtracks=5)
    engine = engine_of(lines)
    setting = made.search.group(engine, made.n, None)
    found, trees = search(engine, setting, [1, 2, 3], stop_patterns=[engine.pattern("c")])
    texts = [response.text for responses in found.values() for response in responses]
    assert set(texts) <= {"a\nd\ne\n", "a\nb\n"}
    assert texts.count("a\nd\ne\n") > 22  # without going back one in four would be a dead end
    assert sum(one["complete"].count(True) for one in trees["p1"]["rounds"][:-1]) > 0
    for responses in found.values():
        total = sum(response.ledger.sampled + response.ledger.discarded for response in responses)
        assert total > sum(len(set(response.text)) for response in responses) / 8
        assert all(len(response.scores) == response.text.count("\n") for response in responses)


def test_vote_adds_log_probabilities_or_lets_the_unreadable_in():
    answers, scores = ["1", "2", "2", None, "3"], [0.9, 0.6, 0.5, 1.0, -np.inf]
    assert ByScore()("p", answers, scores) == "2"  # 1.1 against 0.9
    assert ByScore(weighted=False)("p", answers, scores) == "1"
    logs = [float(np.log(score)) if score > 0 else score for score in scores]
    assert ByScore(likelihood=True)("p", answers, logs) == "2"  # added up as logarithms, it would be "1"
    assert ByScore()("p", [None, "x"], [1.0, -np.inf]) is None
    assert {ByScore(seed=seed)("p", ["1", "2"], [0.5, 0.5]) for seed in range(8)} == {"1", "2"}


@pytest.fixture(scope="module")
def judged():
    """accuracy(sigma, beam width): of the best-scored of 4 on 40 problems, right where all four letters are "a", p = 1/16."""
    engine = engine_of(branching_model({"": {"a": 1, "b": 1}}, depth=4))

    def accuracy(sigma, width):
        scorer = letter_scorer({"a": 1.0}, noise=sigma)
        found, _ = search(engine, Searching(Beam(beam_width=width), 4, step_tokens=6, rounds=8, scorer=scorer), range(130, 170))
        return np.mean([max(group, key=lambda one: one.scores[-1]).text == "a\n" * 4 for group in found.values()])

    return accuracy


def test_an_exact_scorer_makes_beam_search_worse_than_best_of_n(judged):
    best, beam = judged(0.0, 1), judged(0.0, 2)
    assert beam > best + 0.15
    assert stats.binomtest(round(40 * best), 40, 1 - (15 / 16) ** 4).pvalue > 1e-3  # best-of-N is pass@N


def test_a_scorer_of_noise_alone_is_worth_more_than_one_sample(judged):
    for width in (1, 2):
        assert stats.binomtest(round(40 * judged(1e6, width)), 40, 1 / 16).pvalue > 1e-3


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("beam_search", {"n": 6, "beam_width": 4}, "no multiple of the beam width 4"),
        ("dvts", {"n": 2, "beam_width": 4}, "fewer than the beam width"),
        ("beam_search", {"beam_width": -1}, "0 is about the square root"),
        ("beam_search", {"scorer": {"model": "x"}}, "its kind and arguments"),
        ("beam_search", {"step_ends": "\n"}, "write step_ends="),
        ("lookahead", {"lookahead": -1}, "whole number of steps"),
        ("self_backtracking", {"stop": ()}, "one stop string"),
        ("self_backtracking", {"scorer": SCORER}, "cannot unread"),
        ("particle_filtering", {"resampling": "x"}, "multinomial or systematic"),
    ],
)
def test_senseless_method_is_made(name, arguments, says):
    with pytest.raises(InputError, match=says):
        method(name, **arguments)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"kind": "no.such.module"}, "no module 'no.such.module'"),
        ({"kind": "doubles.models"}, r"has no scorer\(engine"),
        ({"kind": "doubles.branching", "x": 1}, "no argument 'x'; choose from letters"),
    ],
)
def test_scorer_that_does_not_exist_is_met_in_the_middle_of_a_run(engine, spec, says):
    with pytest.raises(InputError, match=says):
        small("beam_search", scorer=spec).check(engine, [vars(p) for p in PROBLEMS])
