"""Finding task families, and what a task refuses to be."""

import sys

import pytest

from reasoning.data.tasks import Problem, Task, available, draw, load_task
from reasoning.errors import InputError


def problems(*ids, score="math"):
    return tuple(Problem(key, "1 + 1 = ?", "2", "t", score=score) for key in ids)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Task("t", ()), "empty"),
        (lambda: Task("t", problems("a", "b", "a")), "duplicate problem id 'a'"),
        (lambda: Task("t", problems("a"), score="guess"), "unknown score"),
        (lambda: Task("t", problems("a"), score="exact"), "not scored by"),
        (lambda: load_task("no_such_task"), "available: .*asdiv.*chain_sum"),
        (lambda: load_task("tasks"), "no function load"),
        (lambda: load_task("no.such.module"), "unknown task"),
        (lambda: load_task("chain_sum", digits=3), "unexpected keyword argument 'digits'; parameters: size, seed"),
        (lambda: draw(problems("a", "b"), 3), "between 1 and 2"),
        (lambda: draw(problems("a", "b"), 0), "between 1 and 2"),
    ],
)
def test_bad_tasks_are_refused_in_one_line(build, message):
    with pytest.raises(InputError, match=message) as caught:
        build()
    assert "\n" not in str(caught.value)


def test_every_listed_family_can_be_loaded_by_name():
    families = {
        "aime",
        "amc",
        "arithmetic",
        "asdiv",
        "chain_sum",
        "files",
        "gpqa",
        "gsm8k",
        "math500",
        "multiple_choice",
        "reasoning_gym",
        "strong_reject",
        "targeted",
        "traces",
    }
    assert families == set(available())


def test_a_task_outside_the_package_needs_no_registration(tmp_path, monkeypatch):
    (tmp_path / "elsewhere_tasks").mkdir()
    (tmp_path / "elsewhere_tasks" / "mine.py").write_text(
        "from reasoning.data.tasks import Problem, Task\n"
        "def load(answer='2'):\n    return Task('mine', (Problem('m-0', '1 + 1 = ?', answer, 'mine'),))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert load_task("elsewhere_tasks.mine", answer="3").problems[0].answer == "3"
    sys.modules.pop("elsewhere_tasks.mine")


def test_a_missing_dependency_of_a_task_is_not_reported_as_an_unknown_task(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "broken_package").mkdir()
    (tmp_path / "broken_package" / "task.py").write_text("import a_module_that_is_not_installed\n")
    with pytest.raises(ModuleNotFoundError, match="a_module_that_is_not_installed"):
        load_task("broken_package.task")


def test_drawing_keeps_the_order_and_depends_on_the_seed_alone():
    everything = problems(*map(str, range(100)))
    drawn = draw(everything, 20, seed=1)
    assert draw(everything, 20, seed=1) == drawn != draw(everything, 20, seed=2)
    assert [int(problem.id) for problem in drawn] == sorted(int(problem.id) for problem in drawn)
    assert draw(everything, None) == everything
