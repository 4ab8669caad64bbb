"""Families of prompts: each says what it is, keeps the form of the answer, and its worked example is one of its own kind."""

import re
from pathlib import Path

import pytest
from doubles.config_files import read, resolve
from doubles.sayer import Sayer

from configs import tasks
from reasoning.errors import InputError
from reasoning.evaluation import experiment
from reasoning.evaluation.reports.report import report
from reasoning.methods.base import method
from reasoning.methods.prompting import FAMILIES
from reasoning.text.answers import extract

CONFIG = Path(__file__).parents[1] / "configs" / "prompts.py"
LABELS = ["direct", "cot", "draft", "plan", "few_shot"]


def test_family_has_other_words_than_its_method_or_none():
    for name in ("direct", "chain_of_thought"):
        assert method("prompting", family=name).prompt == method(name).prompt
    words = {name: method("prompting", family=name).prompt("q")[-1]["content"] for name in FAMILIES if name != "few_shot"}
    assert len(set(words.values())) == 4 and all(text.endswith("\n\nq") for text in words.values())
    assert "five words" in words["chain_of_draft"] and "plan" in words["plan_then_solve"]
    shown = method("prompting", family="few_shot", examples=(("a", "b"),)).prompt("q")
    assert [message["content"] for message in shown] == ["a", "b", "q"]
    assert method("prompting", instruction="Say it.").prompt("q")[-1]["content"] == "Say it.\n\nq"


def test_bad_family_reaches_the_engine():
    with pytest.raises(InputError, match="family must be one of direct, .*few_shot, got 'cod'"):
        method("prompting", family="cod")
    with pytest.raises(InputError, match="few_shot has no words of its own and needs examples"):
        method("prompting", family="few_shot")


@pytest.mark.parametrize("name", tasks.TASKS)
def test_worked_example_of_a_family_is_of_another_kind_or_wrong(name):
    task = tasks.asked(name)
    ((question, answer),) = task.answer
    for family in (task.steps, task.draft, task.plan):
        ((asked, shown),) = family
        assert asked == question and extract(shown) == extract(answer)
        assert re.search(r"\nAnswer: \S+\Z", shown)
    draft, steps = task.draft[0][1].split("\nAnswer")[0], task.steps[0][1]
    assert all(len(step.split()) <= 5 for step in draft.split("; ")) and len(draft) < len(steps)
    assert task.plan[0][1].startswith("Plan: ") and task.plan[0][1].endswith(steps)


@pytest.mark.parametrize(("arguments", "labels"), [("n=2", LABELS), ("n=2,shots=0,task=asdiv", LABELS[:-1])])
def test_config_of_families_lacks_one_or_forgets_the_form(arguments, labels):
    methods = experiment.build_methods(resolve(f"--config={CONFIG}:{arguments}"))
    assert list(methods) == labels
    for label, one in methods.items():
        *examples, asked = one.prompt("q")
        assert bool(examples) == ("shots=0" not in arguments)
        assert label == "few_shot" or "in the form: Answer: <number>" in asked["content"]
    assert methods["direct"].max_tokens < methods["cot"].max_tokens == methods["draft"].max_tokens


def test_config_of_families_takes_any_number_of_examples():
    with pytest.raises(InputError, match="shots is 1 or 0"):
        read(CONFIG).get_config("shots=2")


def test_token_cost_of_a_family_is_not_reported(tmp_path):
    config = resolve(f"--config={CONFIG}:n=2", "--config.model=fake")
    config["task"] = {"family": "doubles.sums", "size": 2}

    def say(request, sample):
        text = request.messages[-1]["content"]
        return "1; 2\nAnswer: 1" if "draft" in text else "Let me think about it at length.\nAnswer: 1"

    experiment.evaluate(config, tmp_path, show=False, engine=Sayer(say))
    rows = {row.label: row for row in report(tmp_path).rows}
    assert list(rows) == LABELS
    assert rows["draft"].cost.tokens == len("1; 2\nAnswer: 1") + 1 < rows["cot"].cost.tokens
    assert rows["few_shot"].cost.prompt < rows["cot"].cost.prompt, "it has the example and no words"
    assert "prompt_tokens" in (tmp_path / "report" / "table.csv").read_text().splitlines()[0]
