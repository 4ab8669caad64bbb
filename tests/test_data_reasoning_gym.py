"""Generated problems: stable between processes, gradable from their record, and refused clearly."""

import json

import pytest

pytest.importorskip("reasoning_gym")

from reasoning.data import reasoning_gym
from reasoning.data.tasks import load_task
from reasoning.errors import InputError


def test_chain_sum_is_the_documented_one_and_its_record_is_json():
    first, second = load_task("chain_sum", size=2).problems
    assert (first.id, second.id) == ("chain_sum-0-0", "chain_sum-0-1")
    assert first.question == "State the final answer to the following arithmetic problem: 15 - 43 - 75 - 72 + 61 ="
    assert first.answer == "-114" and first.metadata["expression"] == "15 - 43 - 75 - 72 + 61"
    assert json.loads(json.dumps(first.metadata)) == first.metadata


def test_problems_do_not_depend_on_the_hash_seed_of_the_process(monkeypatch):
    made = []
    for seed in ("1", "2"):
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        made.append(load_task("reasoning_gym", name="word_ladder", size=3, seed=5))
    assert made[0] == made[1]


@pytest.mark.parametrize("name", ["knights_knaves", "codeio", "arc_agi", "graph_color"])
def test_an_entry_that_json_would_change_still_scores_its_own_answer(name):
    parameters = {"size": 1, "seed": 3}
    (problem,) = reasoning_gym._generate({"generator": name, "parameters": parameters})
    entry = reasoning_gym.read_entry(json.loads(json.dumps(problem))["entry"])
    score_answer = reasoning_gym.scorer(name, json.dumps(parameters)).score_answer
    if problem["answer"]:
        assert score_answer(problem["answer"], entry) == 1.0
    else:  # any valid colouring counts: there is no reference, but the vertices must still be the entry's integers
        assert name == "graph_color" and all(isinstance(vertex, int) for vertex in entry["metadata"]["puzzle"]["vertices"])


def test_a_bad_generator_is_refused_in_one_line_across_the_process_boundary():
    with pytest.raises(InputError, match=r"no generator 'chain_summ'.*did you mean chain_sum") as caught:
        load_task("reasoning_gym", name="chain_summ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"min_terms": 9, "max_terms": 2}, "max_terms must be >= min_terms"),
        ({"digits": 2}, "unexpected keyword argument 'digits'; its parameters: min_terms"),
    ],
)
def test_parameters_that_a_generator_refuses_are_told_with_those_it_has(parameters, message):
    with pytest.raises(InputError, match=message) as caught:
        reasoning_gym.scorer("chain_sum", json.dumps(parameters))
    assert "\n" not in str(caught.value)


def test_no_problems_at_all_are_refused_before_anything_starts():
    with pytest.raises(InputError, match="size is 0"):
        load_task("chain_sum", size=0)


def test_a_missing_reasoning_gym_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "reasoning_gym").mkdir()
    (tmp_path / "reasoning_gym" / "__init__.py").write_text("raise ImportError('it is not here')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match="pip install reasoning-gym"):
        load_task("chain_sum", size=1)
