"""What holds for every file in reasoning/methods, those of the future included; or for what `--method=NAME` names."""

import dataclasses
import importlib
import inspect
import itertools
import re

import pytest
from doubles.fake_engine import FakeEngine

from reasoning.data.tasks import Problem
from reasoning.decode.base import Chain
from reasoning.decode.engine import STANDARD
from reasoning.errors import InputError
from reasoning.methods import base
from reasoning.methods.base import Method, maker, method
from reasoning.methods.prompts import FewShot
from reasoning.methods.signatures import extends

PROBLEMS = [{"id": f"p{index}", "question": f"What is {index} + 1?", "answer": str(index + 1)} for index in range(4)]


def pytest_generate_tests(metafunc):
    """Every test with a `name` is about every method, or those that `--method` names (tests/conftest.py)."""
    if "name" in metafunc.fixturenames:
        metafunc.parametrize("name", metafunc.config.getoption("--method") or base.names())


def module_of(name):
    return importlib.import_module(name if "." in name else f"reasoning.methods.{name}")


def test_paper_is_not_named(name):
    module = module_of(name)
    assert re.search(r"arXiv \d{4}\.\d{4,5}", module.__doc__), "the first lines of a method say where it comes from"
    assert module.make.__doc__


def test_method_cannot_be_made_without_arguments_or_lacks_the_common_ones(name):
    made = method(name)
    assert made.name == name.rpartition(".")[2]
    assert {"n", "max_tokens", "seed", "knobs"} <= inspect.signature(module_of(name).make).parameters.keys()
    changed = method(name, n=3, max_tokens=7, seed=5, knobs={"min_p": 0.1})
    assert (changed.n, changed.max_tokens, changed.seed, changed.knobs["min_p"]) == (3, 7, 5, 0.1)


def test_equal_arguments_make_unequal_methods(name):
    assert method(name) == method(name)
    assert hash(method(name)) == hash(method(name))
    assert method(name, max_tokens=7) != method(name)
    with pytest.raises(dataclasses.FrozenInstanceError):
        method(name).n = 2
    with pytest.raises(TypeError):
        method(name).knobs["temperature"] = 2.0


def test_prompt_loses_the_question_or_its_turn(name):
    messages = method(name).prompt("What is 2 + 2?")
    assert "What is 2 + 2?" in messages[-1]["content"]
    assert messages[-1]["role"] == "user"
    assert {message["role"] for message in messages} <= {"system", "user", "assistant"}


def test_run_skips_a_problem_or_depends_on_their_order(name):
    made = method(name, n=3)

    def run(problems):
        return {result.id: result for result in made.run(FakeEngine(), problems)}

    forward, backward = run(PROBLEMS), run(PROBLEMS[::-1])
    assert sorted(forward) == ["p0", "p1", "p2", "p3"]
    for key, result in forward.items():
        assert [response.sample for response in result.responses] == [0, 1, 2]
        assert (result.answer, result.answers) == (backward[key].answer, backward[key].answers)
        ledgers = [response.ledger for response in result.responses]
        assert result.ledger.generated == sum(ledger.generated for ledger in ledgers)
        prompts = ledgers[0] if made.rounds is None else sum(ledgers[1:], ledgers[0])
        assert (result.ledger.prompt, result.ledger.flops_prompt) == (prompts.prompt, prompts.flops_prompt), "paid once"


def test_vote_invents_an_answer(name):
    made = method(name)
    assert made.vote("p", [None]) is None
    for answers in itertools.product([None, "1", "2"], repeat=3):
        assert made.vote("p", answers) in answers


@pytest.mark.parametrize(("field", "value"), [("n", 0), ("n", 1.5), ("n", True), ("max_tokens", 0), ("stop", "END")])
def test_senseless_number_reaches_the_engine(name, field, value):
    with pytest.raises(InputError, match=f"method '.*': {field} "):
        method(name, **{field: value})


def test_unknown_name_or_argument_does_not_say_what_there_is():
    with pytest.raises(InputError, match=r"unknown method 'majorty'; choose one of .*chain_of_thought.*direct.*majority"):
        method("majorty")
    with pytest.raises(InputError, match=r"method 'majority' has no argument 'k'; choose from seed, n, temperature, instruction"):
        method("majority", k=3)
    with pytest.raises(InputError, match=r"no module 'my.method'"):
        method("my.method")
    with pytest.raises(InputError, match=r"is no method: it has no make\(\)"):
        method("reasoning.methods.prompts")


def test_method_of_a_fork_must_live_in_this_package():
    assert method("reasoning.methods.direct", n=2) == method("direct", n=2)


def test_two_problems_with_one_id_share_their_samples():
    with pytest.raises(InputError, match="two problems have the id 'p0'"):
        method("direct").requests([PROBLEMS[0], PROBLEMS[0]])


def test_example_that_is_no_pair_is_taken_apart():
    for examples in (["question"], [("a", "b", "c")], [("a", 1)]):
        with pytest.raises(InputError, match=r"an example is a pair \(question, answer\) of strings"):
            method("direct", examples=examples)


def test_examples_or_system_turn_are_dropped():
    messages = FewShot("Be brief.", (("q1", "a1"),), "You are exact.")("q2")
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user"]
    assert [message["content"] for message in messages] == ["You are exact.", "Be brief.\n\nq1", "a1", "Be brief.\n\nq2"]
    assert FewShot("")("q") == [{"role": "user", "content": "q"}]


class Recorder(FakeEngine):
    """Keeps what `generate` was given."""

    def generate(self, requests, **options):
        self.requests, self.options = list(requests), options
        return super().generate(self.requests, **options)


@dataclasses.dataclass(frozen=True)
class Cue:
    """`Method.texts` for a text to force."""

    text: str

    def __call__(self, engine):
        return {"cue": engine.script(self.text), "min_p": 0.2, "top_k": 7}


def test_a_part_of_the_method_does_not_reach_the_engine():
    chain = Chain(STANDARD.transforms, STANDARD.controllers)
    made = dataclasses.replace(
        method("majority", n=2, max_tokens=9, seed=4, stop=["\n\n"], temperature=0.3, top_p=0.9),
        chain=chain,
        delimiters=("<think>", "</think>"),
    )
    engine = Recorder()
    assert (engine.pattern("x"), engine.pattern("y")) == (1, 2)
    list(made.generate(engine, PROBLEMS, {"p1": [1], "p2": []}))
    assert engine.options["chain"] is chain
    assert engine.options["stop"] == ("\n\n",)
    assert {name: engine.options[name] for name in ("max_tokens", "temperature", "top_p", "thinking_start", "thinking_end")} == {
        "max_tokens": 9, "temperature": 0.3, "top_p": 0.9, "thinking_start": 3, "thinking_end": 4,
    }  # fmt: skip
    assert [(request.id, request.samples, request.seed) for request in engine.requests] == [("p1", (1,), 4)]
    assert engine.served == [("p1", 1)]


def test_a_string_of_the_method_becomes_no_row_of_the_engine_or_hides_a_knob():
    engine = Recorder()
    engine.script("of an earlier method")
    made = dataclasses.replace(method("direct", knobs={"min_p": 0.1}), texts=Cue("Wait"))
    list(made.generate(engine, PROBLEMS))
    assert {name: engine.options[name] for name in ("cue", "min_p", "top_k")} == {"cue": 1, "min_p": 0.1, "top_k": 7}
    assert made == dataclasses.replace(made, texts=Cue("Wait")) != dataclasses.replace(made, texts=Cue("Hmm"))
    assert hash(made) == hash(dataclasses.replace(made, texts=Cue("Wait")))


def test_majority_ignores_counts_spelling_or_abstentions():
    vote = method("majority").vote
    assert vote("p", ["7", "8", "8"]) == "8"
    assert vote("p", ["8.0", "7", "$8$", "7.", "+8"]) == "8"
    assert vote("p", [None, None, "7"]) == "7"
    assert vote("p", [None, None]) is None


def test_ties_favour_a_sample_or_differ_between_machines():
    vote = method("majority").vote
    winners = [vote(f"p{index}", ["1", "2", "3"]) for index in range(600)]
    for answer in "123":
        assert 150 < winners.count(answer) < 250, "three tied answers share 600 problems evenly"
    assert winners == [vote(f"p{index}", ["3", "1", "2"]) for index in range(600)]
    assert "".join(winners[:12]) == "323221131133"
    other = method("majority", seed=1).vote
    assert winners != [other(f"p{index}", ["1", "2", "3"]) for index in range(600)]


def test_method_is_any_callable_bundle():
    custom = Method(
        "custom",
        lambda question: [{"role": "user", "content": question}],
        lambda problem, answers: max(filter(None, answers), default=None),
    )
    results = list(custom.run(FakeEngine(), PROBLEMS))
    assert [result.answer for result in results] == [result.answers[0] for result in results]


def test_problem_without_a_question_escapes_as_a_key_error():
    with pytest.raises(InputError, match="needs the fields id and question, one has id, text"):
        method("direct").requests([{"id": "a", "text": "1 + 1"}])
    with pytest.raises(InputError, match="needs the fields id and question, one has question"):
        list(method("direct").run(FakeEngine(), [{"question": "1 + 1"}]))


def test_problems_of_a_task_can_be_graded_and_not_run():
    """A `Problem` is no mapping; `run` takes it as `requests` does."""
    problem = Problem("a", "1 + 1", "2", "sums")
    (result,) = method("direct").run(FakeEngine(), [problem])
    assert result.id == "a"


def test_argument_of_the_method_below_is_lost_or_keeps_its_default():
    assert method("majority").n == 8 and method("majority").knobs["temperature"] == 0.7
    assert method("shortest").knobs == {**method("majority").knobs, "top_p": 0.95}
    assert method("budget_forcing", form="prompt", knobs={"top_k": 5}).knobs["top_k"] == 5
    assert method("rejection", system="Be brief.").prompt("Why?")[0] == {"role": "system", "content": "Be brief."}
    with pytest.raises(TypeError, match="chain_of_thought.make has no argument samples"):
        extends(maker("chain_of_thought"), samples=3)(lambda **rest: None)
    with pytest.raises(TypeError, match="budge"):
        maker("rejection")(budge=3)
