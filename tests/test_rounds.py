"""Rounds over one engine: problems go in lock step, and a run stopped anywhere ends as if it had not been."""

import dataclasses
import math
import os

import numpy as np
import pytest
from doubles.models import scripted_model

from reasoning.decode.engine import Engine
from reasoning.decode.requests import Request
from reasoning.errors import InputError
from reasoning.methods.journal import Journal
from reasoning.methods.rounds import Ask, Score, drive
from reasoning.records import read_lines
from reasoning.rewards.responses import Candidate, Judge, Reading

SCRIPTS = [str((3 * number + 2) % 9) for number in range(9)]  # row i says which row to ask next
PROBLEMS = {f"p{index}": (index, index % 3 + 1) for index in range(4)}  # where each begins, and its rounds


class Counted:
    """An engine that notes the (id, sample) of every call."""

    def __init__(self, engine):
        self.engine, self.calls = engine, []

    def generate(self, requests, **options):
        requests = list(requests)
        self.calls.append([(one.id, sample) for one in requests for sample in one.samples or range(one.n)])
        return self.engine.generate(requests, **options)


@pytest.fixture(scope="module")
def engine():
    return Engine(scripted_model(SCRIPTS), max_slots=3)


def candidate(name, sample, text):
    return Candidate(name, sample, "?", "", (), (), text, None, 0, None)


def chain(name, row, rounds):
    """Asks row after row, two samples each, and adds up what they are worth."""
    path, total = [], 0.0
    for index in range(rounds):
        (responses,) = yield Ask((Request(id=f"{name}/{index}/row", tokens=[row], n=2),))
        row = int(responses[0].text)
        readings = yield Score(tuple(candidate(name, 2 * index + one.sample, one.text) for one in responses))
        path.append((row, [one.tokens.tolist() for one in responses], [float(one.logprobs.sum()) for one in responses]))
        total += sum(reading.scores[-1] for reading in readings)
    return path, total


def worth(value=lambda text: int(text) / 7):
    """A judge, and the names that it has read, a list a call."""
    calls = []

    def read(candidates):
        calls.append([(one.problem, one.sample) for one in candidates])
        for one in reversed(candidates):
            yield one, Reading((0.0, value(one.text)), question=1, tokens=2, flops=0.1)

    return Judge("worth", read), calls


def run(engine, path=None, watch=None, about=None, judge=None):
    with Journal(path, about) as journal:
        programs = {name: chain(name, *setting) for name, setting in PROBLEMS.items()}
        return dict(drive(engine, programs, judge or worth()[0], journal, watch=watch, max_tokens=4, temperature=0.0))


def test_problems_wait_for_each_other_or_are_asked_one_by_one(engine):
    counted, (judge, scored) = Counted(engine), worth()
    found = run(counted, judge=judge)
    alive = [[name for name, (_, rounds) in PROBLEMS.items() if rounds > index] for index in range(3)]
    assert counted.calls == [[(f"{name}/{i}/row", k) for name in names for k in range(2)] for i, names in enumerate(alive)]
    assert scored == [[(name, 2 * i + k) for name in names for k in range(2)] for i, names in enumerate(alive)]
    for name, (row, rounds) in PROBLEMS.items():
        path, total = found[name]
        expected = [row := int(SCRIPTS[row]) for _ in range(rounds)]
        assert [step[0] for step in path] == expected
        assert total == pytest.approx(2 * sum(expected) / 7)


def lines(path):
    """The lines of a journal in any order, without seconds."""
    found = read_lines(path)[0]
    for line in found:
        line.get("ledger", {}).pop("seconds", None)
    return sorted(map(str, found))


def test_run_that_is_stopped_anywhere_ends_otherwise_or_asks_again(engine, tmp_path):
    whole = run(engine, tmp_path / "whole.jsonl")
    expected = lines(tmp_path / "whole.jsonl")
    count = len(expected) - 1
    assert count == 2 * 2 * sum(rounds for _, rounds in PROBLEMS.values())
    for stop in range(1, count + 1):
        path, counted, (judge, scored) = tmp_path / f"{stop}.jsonl", Counted(engine), worth()

        def watch(found, stop=stop):
            if found == stop:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run(engine, path, watch)
        assert len(read_lines(path)[0]) == stop + 1
        if stop % 2:  # what kill −9 leaves of the last line
            os.truncate(path, path.stat().st_size - 5)
        kept = read_lines(path)[0][1:]
        assert run(counted, path, judge=judge) == whole
        assert lines(path) == expected
        again = [name for call in counted.calls for name in call] + [name for call in scored for name in call]
        assert len(again) == count - len(kept), "what was kept is not asked again"
    run(None, tmp_path / "whole.jsonl", judge=Judge("unwanted", None))  # nothing is missing, nobody is asked


def test_response_changes_on_its_way_through_the_file(engine, tmp_path):
    request = Request(id="p", tokens=[3], n=2, stop=("x",))
    drawn = {one.sample: one for one in engine.generate([request], max_tokens=4)}
    logprobs = np.array([-np.inf, np.nan][: len(drawn[0].tokens)], np.float32)
    drawn[0] = dataclasses.replace(drawn[0], logprobs=logprobs, forced=np.arange(len(logprobs)) == 1)
    with Journal(tmp_path / "j.jsonl") as journal:
        for one in drawn.values():
            journal.keep_response(request, one)
    with Journal(tmp_path / "j.jsonl") as journal:
        assert journal.missing(request) == ()
        assert journal.missing(dataclasses.replace(request, samples=(1, 5))) == (5,)
        for sample, one in drawn.items():
            found = journal.response(request, sample)
            for field in dataclasses.fields(one):
                ours, theirs = getattr(found, field.name), getattr(one, field.name)
                if field.name == "scores":
                    assert ours is theirs is None
                elif isinstance(theirs, np.ndarray):
                    np.testing.assert_array_equal(ours, theirs, field.name)
                    assert ours.shape == theirs.shape
                else:
                    assert ours == theirs, field.name


def test_journal_of_another_wording_prompt_or_text_is_taken_for_this_one(engine, tmp_path):
    run(engine, tmp_path / "j.jsonl", about={"loss": "a"})
    with pytest.raises(InputError, match=r"j.jsonl was begun with another wording .* use another --workdir"):
        run(engine, tmp_path / "j.jsonl", about={"loss": "b"})
    with Journal(tmp_path / "j.jsonl", {"loss": "a"}) as journal:
        with pytest.raises(InputError, match="holds an answer of 'p1/0/row' to another prompt"):
            journal.missing(Request(id="p1/0/row", tokens=[5]))
        with pytest.raises(InputError, match="a score of another text of problem 'p1', sample 0"):
            journal.reading(candidate("p1", 0, "other"))
        with pytest.raises(KeyError):
            journal.response(Request(id="p1/9/row", tokens=[1]), 0)


def test_two_requests_of_one_name_share_an_answer(engine):
    def twice():
        request = Request(id="p/row", tokens=[1])
        yield Ask((request,))
        yield Ask((request,))

    with pytest.raises(InputError, match="sample 0 of request 'p/row' is asked for twice"):
        list(drive(engine, {"p": twice()}, None, Journal(), max_tokens=2))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_score_that_is_no_number_is_kept_or_compared(engine, tmp_path, value):
    with pytest.raises(InputError, match=rf"scorer 'worth' gave {value} for problem 'p3', sample 1"):
        run(engine, tmp_path / "j.jsonl", judge=worth(lambda text: value)[0])
    assert not any("candidate" in line for line in read_lines(tmp_path / "j.jsonl")[0])


def test_program_without_a_scorer_or_with_an_odd_wish_runs_for_ever(engine):
    def score():
        yield Score((candidate("p", 0, "1"),))

    def odd():
        yield "a string"

    with pytest.raises(InputError, match="the method names no scorer"):
        list(drive(engine, {"p": score()}, None, Journal()))
    with pytest.raises(TypeError, match="neither Ask nor Score"):
        list(drive(engine, {"p": odd()}, None, Journal()))
