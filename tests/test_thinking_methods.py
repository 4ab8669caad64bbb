"""Budget forcing as a method: what each form opens, closes and forces, how the records count it, and rows with other controls."""

import dataclasses
import json

import numpy as np
import pytest
from doubles.models import hash_model, scripted_model
from doubles.tokenizer import ByteTokenizer

from reasoning.data.tasks import Problem
from reasoning.decode.engine import Engine
from reasoning.decode.requests import Request
from reasoning.decode.thinking import CHAIN
from reasoning.errors import InputError
from reasoning.evaluation import experiment
from reasoning.evaluation.grading.grader import Grader
from reasoning.evaluation.reports import report
from reasoning.evaluation.run import run
from reasoning.evaluation.thoughts.thinking import recorded
from reasoning.methods.base import method

PIECES = ["<|im_start|>", "Wait"]
TOKENIZER = ByteTokenizer(PIECES)
OPENINGS = {"s1": "<|im_start|>think\n", "think": "<think>", "prompt": ""}
ENDS = {"s1": "<|im_start|>answer", "think": "</think>", "prompt": "Answer:"}
TAILS = {"s1": "\n<|im_start|>answer\nFinal Answer:", "think": "\n</think>\n\nFinal Answer:", "prompt": "\nAnswer:"}
CLOSINGS = {"s1": "<|im_start|>answer", "think": "</think>", "prompt": "\nAnswer:"}


SCRIPTS = {
    "long": "abcdefghijklmnop" * 5,
    "stopped": "abc\0" + "?" * 60,
    "twice": "abc{end}defgh{end}42",
}
ROWS = [(form, name) for form in OPENINGS for name in SCRIPTS]


class Chat(ByteTokenizer):
    """A chat whose question is a row's number is one token, so that a `scripted_model` recites that row after it."""

    def encode_chat(self, messages, **extra):
        return [int(messages[-1]["content"].split()[-1])]


def script_of(form, name):
    """Ids: the opening that the method forces or the model writes, then the script, a stop id for a zero byte."""
    ids = TOKENIZER.encode(OPENINGS[form] + SCRIPTS[name].format(end=ENDS[form]))
    return [TOKENIZER.stop_ids[0] if token == 0 else token for token in ids]


@pytest.fixture(scope="module")
def engine():
    """All scripts in all forms, one program."""
    rows = [script_of(form, name) for form, name in ROWS]
    return Engine(scripted_model(rows, TOKENIZER.size, tokenizer=Chat(PIECES)), max_slots=2)


def problem(form, name):
    """What makes the engine recite a script."""
    return Problem(f"{form}-{name}", str(ROWS.index((form, name))), "42", "sums")


def answer(engine, form, name, **arguments):
    """The response to one script under budget forcing."""
    made = method("budget_forcing", form=form, instruction="", max_tokens=90, answer_tokens=20, **arguments)
    (response,) = made.generate(engine, [vars(problem(form, name))])
    return response


def thought(response, form):
    """The response without what opens the thought."""
    assert response.text.startswith(OPENINGS[form])
    return response.text[len(OPENINGS[form]) :]


@pytest.mark.parametrize("form", OPENINGS)
def test_a_thought_is_cut_elsewhere_or_with_other_words(engine, form):
    response = answer(engine, form, "long", max_thinking=7)
    assert thought(response, form).startswith("abcdefg" + TAILS[form]) and response.thought_end == "budget"


@pytest.mark.parametrize("form", OPENINGS)
def test_a_thought_that_a_stop_id_ends_has_no_answer(engine, form):
    response = answer(engine, form, "stopped")
    assert thought(response, form).startswith("abc" + CLOSINGS[form] + "?") and response.thought_end == "stop"


@pytest.mark.parametrize("form", OPENINGS)
def test_an_end_is_suppressed_in_another_place_or_twice(engine, form):
    response = answer(engine, form, "twice", num_ignore=1)
    text = thought(response, form)
    assert text.startswith("abcWait") and text.count(ENDS[form]) == 1
    assert response.thought_end == ("stop" if form == "s1" else "itself"), "of s1's end the first token is the stop"


@pytest.mark.parametrize(("form", "budget"), [(form, budget) for form in OPENINGS for budget in (0, 1, 7)])
def test_records_count_what_was_forced_as_thinking(engine, tmp_path, form, budget):
    """A budget that is kept is kept in the records as well, or Control would say that nobody obeys."""
    made = method("budget_forcing", form=form, instruction="", max_tokens=90, answer_tokens=20, max_thinking=budget)
    with Grader(workers=1) as grader:
        (found,) = run(made, [problem(form, "long")], tmp_path, lambda: engine, grader, show=False)
    assert (recorded(found), found["thought_end"]) == (budget, "budget")
    assert [TOKENIZER.token_bytes(TOKENIZER.size)[found["ids"][place]] for place in found["forced"]][-1] == b":"


def test_sweep_of_budgets_disobeys_itself(engine, tmp_path):
    shared = {"method": "budget_forcing", "form": "prompt", "instruction": "", "max_tokens": 90, "answer_tokens": 20}
    methods = {f"budget_{budget}": {**shared, "max_thinking": budget} for budget in (0, 3, 9)}
    path = tmp_path / "problems.jsonl"
    path.write_text(json.dumps({"question": problem("prompt", "long").question, "answer": "42"}))
    config = {
        "model": "scripted", "task": {"family": "files", "path": str(path)}, "methods": methods,
        "sweep": {"truncation": {label: one["max_thinking"] for label, one in methods.items()}},
    }  # fmt: skip
    experiment.evaluate(config, tmp_path / "run", show=False, engine=engine)
    (sweep,) = report.report(tmp_path / "run").sweeps
    assert [one.tokens for one in sweep.runs] == [0, 3, 9] and sweep.control == 1.0


@pytest.mark.slow
def test_controls_of_one_row_disturb_another_or_each_other():
    """Budget and penalty in one row of the chain that all share: each does what it does alone, whatever the neighbours do."""
    engine = Engine(hash_model(TOKENIZER.size, tokenizer=TOKENIZER), max_slots=4)
    cut = {"thinking_end": engine.pattern("~~~"), "max_thinking": 6, "tail_script": engine.script("~~~"), "temperature": 0}
    (free,) = engine.generate([Request(id="plain", prompt="q")], chain=CHAIN, max_tokens=3, temperature=0)
    first = set(free.tokens.tolist())
    switch = {"switch_set": engine.allowed_set(sorted(first)), "switch_penalty": 50.0, "switch_window": 3}
    rows = {"plain": {"temperature": 0}, "cut": cut, "both": cut | switch, "loop": cut | {"loop_repeats": 2}}
    requests = [Request(id=name, prompt="q", knobs=knobs) for name, knobs in rows.items()]
    together = {one.id: one for one in engine.generate(requests, chain=CHAIN, max_tokens=16)}
    for request in requests:
        (alone,) = engine.generate([request], chain=CHAIN, max_tokens=16)
        assert alone.tokens.tolist() == together[request.id].tokens.tolist(), request.id
    assert together["cut"].tokens[:6].tolist() == together["plain"].tokens[:6].tolist()
    for name in ("cut", "both"):
        assert np.flatnonzero(together[name].forced).tolist() == [6, 7, 8]
    assert set(together["cut"].tokens[:3].tolist()) == first and not set(together["both"].tokens[:3].tolist()) & first


def test_budget_forcing_takes_the_penalty_of_words(engine):
    both = method("budget_forcing", form="prompt", switch_penalty=3.0, switch_words=("Wait",), max_thinking=4)
    assert both.texts(engine)["switch_set"] > 0 and both.knobs["switch_penalty"] == 3.0
    assert "switch_set" not in method("budget_forcing", form="prompt").texts(engine)
    assert dataclasses.replace(both).chain is CHAIN


def test_form_without_its_strings_fails_in_the_loop():
    with pytest.raises(InputError, match="choose one of"):
        method("budget_forcing", form="r1")
    with pytest.raises(InputError, match="hold the delimiter"):
        method("budget_forcing", form=["", "", "</t>", "x", "</t>"])
    with pytest.raises(InputError, match="has the fields opening, start"):
        method("budget_forcing", form=["", "</t>"])
    with pytest.raises(InputError, match="would end the thought"):
        method("budget_forcing", ignore_string="No.</think>")
    hash(method("budget_forcing", form=["", "", "</t>", "</t>", "</t>", ["<stop>"]]).texts)
