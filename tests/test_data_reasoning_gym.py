"""Generated problems: stable between processes, gradable from their record, and refused clearly."""

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("reasoning_gym")

from reasoning.data import reasoning_gym
from reasoning.data.tasks import load_task
from reasoning.errors import InputError


def test_chain_sum_is_the_documented_one_and_its_ids_are_stable():
    task = load_task("chain_sum", size=3)
    first = task.problems[0]
    assert first.id == "chain_sum-0-0" and first.answer == "-114" and first.metadata["expression"] == "15 - 43 - 75 - 72 + 61"
    assert load_task("chain_sum", size=2).problems == tuple(
        type(p)(p.id, p.question, p.answer, p.task, {**p.metadata, "parameters": {**p.metadata["parameters"], "size": 2}}, p.score)
        for p in task.problems[:2]
    )
    assert json.loads(json.dumps(first.metadata)) == first.metadata


def test_problems_do_not_depend_on_the_hash_seed_of_the_process():
    code = "from reasoning.data.tasks import load_task; print(load_task('reasoning_gym', name='word_ladder', size=3, seed=5))"
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(printed) == 1


@pytest.mark.parametrize("name", ["knights_knaves", "codeio", "arc_agi", "graph_color"])
def test_an_entry_that_json_would_change_still_scores_its_own_answer(name):
    problem = load_task("reasoning_gym", name=name, size=1, seed=3).problems[0]
    metadata = json.loads(json.dumps(problem.metadata))
    scorer = reasoning_gym.scorer(metadata["generator"], json.dumps(metadata["parameters"]))
    entry = reasoning_gym.read_entry(metadata["entry"])
    if problem.answer:
        assert scorer.score_answer(problem.answer, entry) == 1.0
    else:  # any valid colouring counts, there is no reference
        assert scorer.score_answer("{}", entry) < 1.0


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"name": "chain_summ"}, "no generator 'chain_summ'.*did you mean chain_sum"),
        ({"name": "chain_sum", "min_terms": 9, "max_terms": 2}, "max_terms must be >= min_terms"),
        ({"name": "chain_sum", "digits": 2}, "unexpected keyword argument 'digits'; its parameters: min_terms"),
        ({"name": "chain_sum", "size": 0}, "size is 0"),
    ],
)
def test_bad_generators_and_parameters_are_refused_in_one_line(parameters, message):
    with pytest.raises(InputError, match=message) as caught:
        load_task("reasoning_gym", **parameters)
    assert "\n" not in str(caught.value)


def test_a_missing_reasoning_gym_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "reasoning_gym").mkdir()
    (tmp_path / "reasoning_gym" / "__init__.py").write_text("raise ImportError('it is not here')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match="pip install reasoning-gym"):
        load_task("chain_sum", size=1)
