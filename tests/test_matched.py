"""Thoughts matched in length: told problem by problem, through a whole run, and refused where they cannot be."""

import dataclasses

import pytest
from doubles.models import scripted_model
from doubles.tokenizer import ByteTokenizer

from reasoning.decode.engine import Engine
from reasoning.errors import InputError
from reasoning.evaluation import experiment, matched
from reasoning.methods.base import method
from reasoning.records import read_lines

FORM = ("", "", "#", "#", "#")
SCRIPTS = ["abc#defgh#7", "ab#cdefghijklm#7", "abcdefgh#i#7"]
SHARED = {"method": "budget_forcing", "form": FORM, "instruction": "", "answer_tokens": 4, "max_tokens": 40}
CONFIG = {
    "model": "scripted",
    "task": {"family": "doubles.sums", "size": 3},
    "methods": {"free": SHARED, "wait": {**SHARED, "num_ignore": 1}, "dots": {**SHARED, "ignore_string": "."}},
    "match": {"dots": "wait"},
}


class Chat(ByteTokenizer):
    """A chat is one token, the number of its question, so that a `scripted_model` recites another row for each."""

    def encode_chat(self, messages, **extra):
        return [sum(map(ord, messages[-1]["content"])) % len(SCRIPTS)]


def records(directory, label):
    return {one["problem"]: one for one in read_lines(directory / label / "generations.jsonl")[0]}


@pytest.mark.slow
def test_the_control_thinks_longer_or_shorter_than_what_it_controls(tmp_path):
    rows = [[*ByteTokenizer().encode(text)] for text in SCRIPTS]
    engine = Engine(scripted_model(rows, tokenizer=Chat()), max_slots=2)
    experiment.evaluate(CONFIG, tmp_path, show=False, engine=engine)
    free, wait, dots = (records(tmp_path, label) for label in CONFIG["methods"])
    assert len({one["thinking"] for one in wait.values()}) > 1, "lengths differ, so one number for all would not do"
    for problem in wait:
        assert wait[problem]["thinking"] > free[problem]["thinking"]
        assert 0 <= wait[problem]["thinking"] - dots[problem]["thinking"] <= 1, "the string is one token"
        assert "." in dots[problem]["text"] and "Wait" not in dots[problem]["text"]


def test_a_problem_that_was_not_matched_thinks_as_it_likes():
    one = method("budget_forcing")
    told = matched.as_long(one, [{"problem": "a", "thinking": 5}])
    assert told.requests([{"id": "a", "question": "?"}])[0].knobs == {"min_thinking": 5, "max_thinking": 5}
    with pytest.raises(InputError, match="`each` says nothing about the problem 'b'"):
        told.requests([{"id": "b", "question": "?"}])
    told.requests([{"id": "b", "question": "?"}], samples={})


@pytest.mark.parametrize(
    ("match", "message"),
    [
        ({"dots": "weit"}, "match names 'weit', which is no method; choose from free, wait, dots"),
        ({"wait": "dots"}, "'dots' must stand before it"),
        ({"dots": "dots"}, "'dots' must stand before it"),
        (["dots"], "match is {label of a method"),
    ],
)
def test_a_wrong_match_is_found_out_in_mid_run(match, message):
    with pytest.raises(InputError, match=message):
        experiment.check({**CONFIG, "match": match})


def test_several_samples_share_one_length():
    one = method("budget_forcing")
    with pytest.raises(InputError, match="set n to 1"):
        matched.as_long(dataclasses.replace(one, n=2), [{"problem": "a", "thinking": 5}])
    with pytest.raises(InputError, match="set n to 1"):
        matched.as_long(one, [{"problem": "a", "thinking": 5}, {"problem": "a", "thinking": 6}])
    with pytest.raises(InputError, match="cannot be told how long"):
        matched.as_long(method("direct"), [{"problem": "a", "thinking": 5}])
