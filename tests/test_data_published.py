"""Published data sets, on local fixtures with their columns: what is asked, what counts as right, and what is refused.

The fixtures are made up but for the first rows of GSM8K and MATH-500.
"""

import importlib
import json
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("math_verify")

from reasoning.data.tasks import Problem, load_task
from reasoning.errors import InputError
from reasoning.evaluation.grading.grader import Grader

FIXTURES = Path(__file__).parent / "golden" / "data"
# family, parameters, fixture, answers; 4 rows or more each
CASES = {
    "gsm8k": ("gsm8k", {}, "gsm8k.jsonl", ["18", "1000", "-5", "2.5"]),
    "math500": ("math500", {}, "math500.jsonl", None),  # as they are in the file
    "aime24": ("aime", {"year": 2024}, "aime_2024.jsonl", ["204", "33", "0", "999"]),
    "aime24, other names": ("aime", {"year": 2024}, "aime_2024_capital.jsonl", ["204", "33", "0", "999"]),
    "aime25": ("aime", {"year": 2025}, "aime_2025.jsonl", ["70", "33", "336", "999"]),
    "amc23": ("amc", {}, "amc23.jsonl", ["27", "36", "0", "1624", "4.5"]),
    "gpqa": ("gpqa", {}, "gpqa.csv", None),  # letters
    "multiple choice": ("multiple_choice", {}, "multiple_choice.jsonl", ["C", "B", "A", "A"]),
}
EVERY = pytest.mark.parametrize("case", CASES)


def load(case, **more):
    family, parameters, file, _ = CASES[case]
    return load_task(family, path=str(FIXTURES / file), **parameters, **more)


def lines(file):
    return [json.loads(line) for line in (FIXTURES / file).read_text(encoding="utf-8").splitlines()]


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture(scope="module")
def grader():
    with Grader(seconds=30) as grader:
        yield grader


@EVERY
def test_reference_answer_is_graded_as_wrong(case, grader):
    task = load(case)
    assert len(task) >= 4
    spellings = ["Answer: {}", r"so \boxed{{{}}}.", "**Final Answer:** ${}$"]
    pairs = [(problem, text.format(problem.answer)) for problem in task.problems for text in spellings]
    for (problem, text), grade in zip(pairs, grader.grade_many(pairs), strict=True):
        assert grade.correct, f"{text} for {problem.answer}"


@EVERY
def test_another_answer_is_graded_as_right(case, grader):
    task = load(case)
    others = {problem.id: next(one.answer for one in task.problems if one.answer != problem.answer) for problem in task.problems}
    pairs = [(problem, f"Answer: {others[problem.id]}") for problem in task.problems]
    assert not any(grade.correct for grade in grader.grade_many(pairs))


@EVERY
def test_columns_or_numbers_are_read_wrongly(case):
    task, expected = load(case), CASES[case][3]
    if expected:
        assert [problem.answer for problem in task.problems] == expected
    assert json.loads(json.dumps([problem.metadata for problem in task.problems])) == [one.metadata for one in task.problems]
    assert load(case, size=2, seed=3).problems == load(case, size=2, seed=3).problems
    assert {problem.id for problem in load(case, size=2).problems} < {problem.id for problem in task.problems}


@pytest.mark.parametrize(
    ("reference", "right", "wrong"),
    [
        (r"\left( 3, \frac{\pi}{2} \right)", r"(3,\pi/2)", r"(\pi/2, 3)"),
        (r"\text{Evelyn}", "Evelyn", "Ann"),
        ("6 - 5i", "-5i + 6", "6 + 5i"),
        ("p - q", "-q + p", "q - p"),
        (r"1\frac{1}{2}", "3/2", r"\frac{11}{2}"),
        (r"\$32,\!348", "32348", "32.348"),
        (r"x \in [-2,7]", "[-2,7]", "(-2,7)"),
        (r"10\%", "10%", "11%"),
        (r"90^\circ", "90", "80"),
        (r"5.4 \text{ cents}", "5.4", "54"),
    ],
)
def test_usual_spelling_of_a_math500_answer_is_wrong(grader, reference, right, wrong):
    problem = Problem("p", "?", reference, "math500")
    assert grader.grade(problem, rf"\boxed{{{right}}}").correct
    assert not grader.grade(problem, rf"\boxed{{{wrong}}}").correct


def test_three_digits_of_the_examination_are_wrong(grader):
    assert grader.grade(load("aime24").problems[1], "Answer: 033").correct
    assert grader.grade(load("aime25").problems[2], r"\boxed{336^\circ}").correct
    assert grader.grade(load("amc23").problems[0], "Answer: 27.0").correct
    assert grader.grade(load("gsm8k").problems[1], "Answer: $1,000").correct


def test_metadata_lacks_what_analyses_need():
    first = load("math500").problems[0]
    assert (first.id, first.metadata["subject"], first.metadata["level"]) == ("test/precalculus/807.json", "Precalculus", 2)
    assert load("gsm8k").problems[3].metadata["solution"].startswith("The mark #### may stand in a solution too.")
    assert load("gsm8k", split="train").problems[0].id == "gsm8k-train-0"


def test_published_first_rows_are_another_question_than_the_docstring_says():
    for name in ("gsm8k", "math500"):
        doc = " ".join(importlib.import_module(f"reasoning.data.{name}").__doc__.split())
        problem = load(name).problems[0]
        assert " ".join(problem.question.split()) in doc and f"answer {problem.answer}" in doc


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_another_file_format_gives_other_problems(tmp_path, suffix):
    import pyarrow
    from pyarrow import csv, parquet

    for case, file in (("gsm8k", "gsm8k.jsonl"), ("math500", "math500.jsonl"), ("aime24", "aime_2024.jsonl")):
        table = pyarrow.Table.from_pylist(lines(file))
        path = tmp_path / f"{case}.{suffix}"
        parquet.write_table(table, path) if suffix == "parquet" else csv.write_csv(table, path)
        family, parameters, *_ = CASES[case]
        task = load_task(family, path=str(path), **parameters)
        assert [(one.id, one.question, one.answer) for one in task.problems] == [
            (one.id, one.question, one.answer) for one in load(case).problems
        ]


def test_choices_depend_on_the_other_rows_or_always_stand_in_one_order(tmp_path):
    names = ("Record ID", "Question", "Correct Answer", "Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3")
    rows = [dict(zip(names, (f"rec{i}", f"Which {i}?", "right", "x", "y", "z"), strict=True)) for i in range(400)]
    whole = load_task("gpqa", path=write(tmp_path / "all.jsonl", rows)).problems
    turned = load_task("gpqa", path=write(tmp_path / "some.jsonl", rows[300:100:-3])).problems
    assert {one.id: one for one in turned}.items() <= {one.id: one for one in whole}.items()
    other = load_task("gpqa", path=str(tmp_path / "all.jsonl"), seed=1).problems
    assert 200 < sum(a.answer != b.answer for a, b in zip(whole, other, strict=True)) < 400
    for problems in (whole, other):
        counts = Counter(one.answer for one in problems)
        assert set(counts) == set("ABCD") and sum((count - 100) ** 2 / 100 for count in counts.values()) < 16.3  # p = 0.001
        assert all(one.metadata["options"][one.answer] == "right" for one in problems)
    assert len({"".join(one.metadata["options"].values()) for one in whole}) == 24


def test_gpqa_gives_away_its_canary_or_its_explanation():
    problems = load("gpqa").problems
    written = repr(problems)
    assert "CANARY" not in written and "Because" not in written
    assert problems[0].metadata["field"] == "Physics" and problems[0].id == "recMadeUp0"
    assert problems[0].question.startswith("Made up: which particle\ncarries no charge?\nA. ")
    assert set(problems[2].metadata["options"].values()) == {"None", "NA", "null", "nan"}
    assert set(problems[1].metadata["options"].values()) == {"033", "0.50", "1e5", "12"}
    assert problems[3].metadata["options"][problems[3].answer] == "1"


def test_option_of_several_lines_is_cut_or_twins_are_not_marked():
    program, twins = load("multiple choice").problems[2:]
    assert program.metadata["options"]["A"] == "x ← sort(x)\n x ← distinct(x)"
    assert program.question.endswith("B. x ← distinct(x)\n x ← reverse(x)\nC. x ← sort(x)\n x ← reverse(x)")
    assert "same_text" not in program.metadata and twins.metadata["same_text"] == ["C"]
    assert [one.id for one in load("multiple choice", distinct=True).problems] == [f"multiple_choice-{i}" for i in range(3)]


@pytest.mark.parametrize(
    ("family", "parameters", "row", "message"),
    [
        ("gsm8k", {}, {"question": "q", "answer": "18"}, "row 0: the answer must end in '####' and a number"),
        ("gsm8k", {}, {"question": "q", "answer": "18 ####"}, "row 0: the answer must end in"),
        ("gsm8k", {}, {"question": "q", "solution": "18"}, "unknown columns 'question', 'solution'"),
        ("math500", {}, {"problem": "q", "answer": "1"}, "this loader knows 'problem', 'solution', 'answer', 'subject'"),
        ("aime", {"year": 2024}, {"problem": "q", "answer": "1000"}, "aime2024, row 0: '1000' is no integer from 0 to 999"),
        ("aime", {"year": 2025}, {"question": "q", "answer": "-1"}, "is no integer"),
        ("aime", {"year": 2025}, {"question": "q", "answer": 3.5}, "is no integer"),
        ("aime", {"year": 2024}, {"id": 1, "problem": "q", "final": 3}, "knows 'problem', 'answer'; or 'Problem', 'Answer'; or"),
        ("aime", {"year": 1983}, {"problem": "q", "answer": "1"}, "no source is known for 1983; choose 2024 or 2025"),
        ("aime", {"year": 2025, "repo": "a/b"}, {"problem": "q", "answer": "1"}, "no known copy; choose one of math-ai/aime25"),
        ("amc", {}, {"question": "q", "answer": "B"}, "amc23, row 0: 'B' is no number"),
        ("amc", {"repo": "a/b"}, {"question": "q", "answer": "1"}, "choose one of math-ai/amc23, zwhe99/amc23"),
        ("gpqa", {}, {"Question": "q", "Correct Answer": "a"}, "unknown columns 'Question', 'Correct Answer'; this loader knows"),
        ("gsm8k", {"size": 3}, {"question": "q", "answer": "#### 1"}, "between 1 and 1"),
    ],
)
def test_bad_row_or_argument_is_not_explained_in_one_line(tmp_path, family, parameters, row, message):
    with pytest.raises(InputError, match=message) as caught:
        load_task(family, path=write(tmp_path / "bad.jsonl", [row]), **parameters)
    assert "\n" not in str(caught.value)
