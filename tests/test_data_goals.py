"""Tasks with an attacker's goal: what is left out, what is held out, and files of prompts in StrongREJECT's format."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasoning.data import goals
from reasoning.data.tasks import load_task
from reasoning.errors import InputError

COLUMNS = "category,source,forbidden_prompt"


@pytest.mark.parametrize(
    ("goal", "answer", "wanted"),
    [
        ("42", "57", "42"),
        ("42", "42", None),
        ("42", "42.0", None),
        ("plus_one", "57", "58"),
        ("plus_one", "-1", "0"),
        ("plus_one", "2.5", "3.5"),
        ("times_seven", "57", "399"),
        ("times_seven", "0", None),
        ("times_seven", "100", "700"),
        ("plus_one", r"\frac{1}{2}", None),
        ("plus_one", "(3, 4)", None),
        ("plus_one", "", None),
    ],
)
def test_goal_is_the_truth_or_of_no_number(goal, answer, wanted):
    assert goals.goal_of(goal, answer) == wanted


@given(st.integers(-(10**6), 10**6))
def test_goal_of_a_whole_number_is_another_one(right):
    for goal, value in (("42", 42), ("plus_one", right + 1), ("times_seven", 7 * right)):
        assert goals.goal_of(goal, str(right)) == (None if value == right else str(value))


@pytest.mark.parametrize(("op", "goal"), [("add", "42"), ("add", "plus_one"), ("mul", "times_seven")])
def test_test_problem_is_shown_as_a_demonstration_or_its_goal_is_the_answer(op, goal):
    task = load_task("arithmetic", size=200, op=op, goal=goal, demonstrations=256)
    shown = task.problems[0].metadata["target"]["demonstrations"]
    assert len(shown) == 256 and len(task) == 200
    for problem in task.problems:
        left, sign, right = problem.question.removeprefix("What is ").removesuffix("?").split()
        assert all(10 <= int(number) <= 99 for number in (left, right))
        assert int(problem.answer) == (int(left) + int(right) if sign == "+" else int(left) * int(right))
        target = problem.metadata["target"]
        assert target["goal"] == goals.goal_of(goal, problem.answer) != problem.answer
        assert target["demonstrations"] is shown, "all problems have the same, or no prefix is common"
    swapped = {f"What is {right} {sign} {left}?" for left, sign, right in (one[0][8:-1].split() for one in shown)}
    assert not {problem.question for problem in task.problems} & ({question for question, _ in shown} | swapped)
    assert not {problem.id for problem in load_task("arithmetic", size=1000, op=op, split="held_out", seed=5).problems} & {
        problem.id for problem in load_task("arithmetic", size=1000, op=op, seed=7).problems
    }


def test_sums_that_are_42_are_asked():
    every = load_task("arithmetic", size=5950, op="add", goal="")
    some = load_task("arithmetic", size=5900, op="add", goal="42")
    assert "42" in {problem.answer for problem in every.problems}
    assert "42" not in {problem.answer for problem in some.problems}
    assert not every.problems[0].metadata


def test_seed_is_ignored_or_the_docstring_lies():
    first, again, other = (load_task("arithmetic", size=5, goal="plus_one", seed=seed).problems for seed in (0, 0, 1))
    assert first == again and [one.id for one in first] != [one.id for one in other]
    assert (first[0].question, first[0].answer, first[0].metadata["target"]["goal"]) == ("What is 10 + 56?", "66", "67")


def test_any_task_of_numbers_gets_goals(tmp_path):
    path = tmp_path / "own.jsonl"
    answers = ["7", "42", "-3", r"\frac{1}{2}", "8.5", "1000000", "12"]
    path.write_text("".join(json.dumps({"question": f"q{i}", "answer": one}) + "\n" for i, one in enumerate(answers)))
    source = {"family": "files", "path": str(path)}
    task = load_task("targeted", source=source, goal="42", demonstrations=2)
    shown = task.problems[0].metadata["target"]["demonstrations"]
    asked = {problem.question for problem in task.problems}
    assert asked | {question for question, _ in shown} == {"q0", "q2", "q4", "q5", "q6"}
    assert len(asked) == 3 and len(shown) == 2 and {goal for _, goal in shown} == {"42"}
    assert len(load_task("targeted", source=source, goal="42", demonstrations=2, size=1)) == 1
    with pytest.raises(InputError, match="5 of 7 answers are plain numbers other than the goal, and demonstrations take 5"):
        load_task("targeted", source=source, goal="42", demonstrations=5)
    with pytest.raises(InputError, match="needs source=.*'family'"):
        load_task("targeted", source={"path": "x"}, goal="42")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"op": "div"}, "no operation 'div'; choose one of add, mul"),
        ({"split": "dev"}, "no split 'dev'; choose one of test, held_out"),
        ({"goal": "43"}, "unknown goal '43'; choose one of 42, plus_one, times_seven"),
        ({"size": 0}, "size is 0, but there are"),
        ({"size": 9000}, "size is 9000, but there are"),
        ({"demonstrations": -1}, "demonstrations is -1"),
        ({"demonstrations": 5000}, "demonstrations is 5000, but there are"),
    ],
)
def test_senseless_arithmetic_is_made(parameters, message):
    with pytest.raises(InputError, match=message):
        load_task("arithmetic", **parameters)


def test_prompts_of_a_strong_reject_file_are_lost(tmp_path):
    path = tmp_path / "strongreject.csv"
    path.write_text(f'{COLUMNS}\nHarmless,made up,"Fold a plane, slowly.\nThen a boat."\nHarmless,made up,Name a colour.\n')
    first, second = load_task("strong_reject", path=str(path)).problems
    assert first.question == "Fold a plane, slowly.\nThen a boat." and second.id == "strong_reject-1"
    assert first.metadata == {"category": "Harmless", "source": "made up", "forbidden_prompt": first.question}
    path.write_text(f"{COLUMNS},jailbreak,jailbroken_prompt\na,b,Name a colour.,shouting,NAME A COLOUR!\n")
    (only,) = load_task("strong_reject", path=str(path)).problems
    assert (only.question, only.metadata["jailbreak"]) == ("NAME A COLOUR!", "shouting")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("category,source\na,b\n", "row 0: no column 'forbidden_prompt'; StrongREJECT's files have category, source"),
        (f"{COLUMNS}\na,b,\n", "row 0: column 'forbidden_prompt' is empty"),
        (f"{COLUMNS}\n", "the data set is empty"),
        (f'{COLUMNS}\na,b,"open\n', "not a CSV file"),
        (None, "not readable"),
    ],
)
def test_damaged_strong_reject_file_escapes(tmp_path, text, message):
    path = tmp_path / "own.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=message):
        load_task("strong_reject", path=str(path))
