"""Problems from files: JSON lines, parquet, ASDiv and multiple choice, on small local copies."""

import json

import pytest

from reasoning.data.tasks import load_task
from reasoning.errors import InputError

ROWS = [
    {"uuid": "p-17", "problem": "What is the derivative of $x^2$?", "solution": "2x", "level": 1},
    {"uuid": "p-18", "problem": "Line separators \u2028 stay inside a question.", "solution": 5, "level": 2},
]
COLUMNS = {"question": "problem", "answer": "solution", "id": "uuid"}


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def write_parquet(path, rows):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist([{**row, "solution": str(row["solution"])} for row in rows]), path)
    return str(path)


@pytest.mark.parametrize(("suffix", "write"), [("jsonl", write_lines), ("parquet", write_parquet)])
def test_named_columns_are_read_and_the_others_kept(tmp_path, suffix, write):
    task = load_task("files", path=write(tmp_path / f"mine.{suffix}", ROWS), **COLUMNS)
    assert [problem.id for problem in task.problems] == ["p-17", "p-18"]
    assert task.problems[0].answer == "2x" and task.problems[1].answer == "5"
    assert task.problems[1].question == ROWS[1]["problem"] and task.problems[1].metadata == {"level": 2}
    assert task.name == "mine"


def test_rows_without_ids_are_called_by_their_number(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", [{"question": "q", "answer": "1"}] * 3)
    assert [problem.id for problem in load_task("files", path=path).problems] == ["a-0", "a-1", "a-2"]
    assert [problem.id for problem in load_task("files", path=path, size=2, seed=1).problems] != ["a-0", "a-1", "a-2"]


@pytest.mark.parametrize(
    ("text", "parameters", "message"),
    [
        ('{"question": "q", "solution": "1"}', {}, "no column 'answer'; it has 'question', 'solution'"),
        ('{"question": "q", "answer": "1"}\n{"question": "q"}', {}, "row 1: no column 'answer'"),
        ('{"question": "q", "answer": ""}', {}, "column 'answer' is empty"),
        ("", {}, "the data set is empty"),
        ("\n\n", {"size": 5}, "the data set is empty"),
        ('{"question": "q", "answer": "1"', {}, "line 1: not JSON"),
        ("[1, 2]", {}, "line 1: a list, not an object"),
        (
            '{"question": "q", "answer": "1", "i": 7}\n{"question": "r", "answer": "1", "i": 7}',
            {"id": "i"},
            "duplicate problem id '7'",
        ),
        ('{"question": "q", "answer": "1"}', {"score": "guess"}, "unknown score"),
        ('{"question": "q", "answer": "1"}', {"size": 2}, "between 1 and 1"),
    ],
)
def test_bad_files_are_refused_in_one_line(tmp_path, text, parameters, message):
    (tmp_path / "bad.jsonl").write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        load_task("files", path=str(tmp_path / "bad.jsonl"), **parameters)
    assert "\n" not in str(caught.value)


def test_files_that_are_missing_or_of_another_kind_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        load_task("files", path=str(tmp_path / "none.jsonl"))
    (tmp_path / "table.csv").write_text("question,answer\n")
    with pytest.raises(InputError, match=r"ends in \.jsonl or \.parquet"):
        load_task("files", path=str(tmp_path / "table.csv"))
    (tmp_path / "latin.jsonl").write_bytes('{"question": "é"}'.encode("latin-1"))
    with pytest.raises(InputError, match="not UTF-8"):
        load_task("files", path=str(tmp_path / "latin.jsonl"))
    pytest.importorskip("pyarrow")
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(InputError, match="not a readable parquet file"):
        load_task("files", path=str(tmp_path / "torn.parquet"))


def test_asdiv_keeps_plain_numbers_and_the_row_as_id(tmp_path):
    answers = ["9 apples", "3:30 p.m.", "8 ft; 128 sq. ft", "36 sq. inches", "Yes", "2.5", "3.333 minutes"]
    path = write_lines(
        tmp_path / "asdiv.jsonl", [{"passage": "Seven.", "question": "How many?", "answer": text} for text in answers]
    )
    task = load_task("asdiv", path=path)
    assert [(problem.id, problem.answer, problem.metadata["unit"]) for problem in task.problems] == [
        ("asdiv-0", "9", "apples"),
        ("asdiv-3", "36", "sq. inches"),
        ("asdiv-5", "2.5", None),
        ("asdiv-6", "3.333", "minutes"),
    ]
    assert task.problems[0].question == "Seven. How many?"
    assert [problem.answer for problem in load_task("asdiv", path=path, numeric=False).problems][1] == "3:30 p.m."
    with pytest.raises(InputError, match="not ASDiv as expected"):
        load_task("asdiv", path=write_lines(tmp_path / "other.jsonl", ROWS))


def test_multiple_choice_answers_are_letters_of_an_option(tmp_path):
    row = {"question": "Fog?", "options": "\nA. a marsh\nB. a desert", "answer": "B. a desert"}
    problem = load_task("multiple_choice", path=write_lines(tmp_path / "m.jsonl", [row])).problems[0]
    assert (problem.question, problem.answer, problem.score) == ("Fog?\nA. a marsh\nB. a desert", "B", "choice")
    for change, message in [({"answer": "C. the sea"}, "none of the options A, B"), ({"answer": ""}, "none of the options")]:
        with pytest.raises(InputError, match=message):
            load_task("multiple_choice", path=write_lines(tmp_path / "bad.jsonl", [{**row, **change}]))
    del row["answer"]
    with pytest.raises(InputError, match="no column 'answer'"):
        load_task("multiple_choice", path=write_lines(tmp_path / "bad.jsonl", [row]))
    with pytest.raises(InputError, match="give path"):
        load_task("multiple_choice")
