"""Files of traces: ours, s1's columns, and what is refused, with file and line."""

import dataclasses
import json
import string

import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from reasoning.data.tasks import load_task
from reasoning.data.traces import Trace, read_traces, write_traces
from reasoning.errors import InputError

TRACES = [
    Trace("a-1", "What is 2 + 3?", "2 + 3 = 5", "Answer: 5", "5", "sums", "arithmetic", {"family": "sums", "instance": [2, 3]}),
    Trace("a-2", "Line separators \u2028 stay.", "Wait,\nno.", "Answer: \U0001f600", "x", "sums", "", {"correct": True}),
]
# The columns of simplescaling/s1K and simplescaling/s1K-1.1 as published.
S1K = [
    {
        "solution": f"{i}", "question": f"How many are {i} and 0?", "cot_type": "math", "source_type": "qq8933/AIME_1983_2024",
        "metadata": "{'ID': '1984-7'}", "cot": None, "thinking_trajectories": [f"It is {i}.", "Sure."], "attempt": f"Answer: {i}",
    }
    for i in (4, 5)
]  # fmt: skip
S1K11 = [
    {
        **{name: row[name] for name in ("solution", "question", "cot_type", "source_type", "metadata")},
        "gemini_thinking_trajectory": "Gemini thinks.", "gemini_attempt": "Gemini says.",
        "deepseek_thinking_trajectory": "R1 thinks.", "deepseek_attempt": "R1 says.",
        "gemini_grade": "No", "gemini_grade_reason": "…", "deepseek_grade": "Yes", "deepseek_grade_reason": "…",
    }
    for row in S1K
]  # fmt: skip


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def source(folder, form, rows):
    """The rows as a file of lines, as parquet, or as a folder that the library `datasets` reads as a clone from the hub."""
    if form == "lines":
        return lines(folder / "rows.jsonl", rows)
    path = folder / "rows.parquet" if form == "parquet" else folder / "clone" / "data" / "train-00000-of-00001.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path if form == "parquet" else folder / "clone"


FORMS = pytest.mark.parametrize("form", ["lines", "parquet", "clone"])


@FORMS
def test_a_trace_changes_between_writing_and_reading(tmp_path, form):
    if form == "lines":
        path = tmp_path / "traces.jsonl"
        write_traces(path, TRACES)
    else:
        rows = [{**dataclasses.asdict(trace), "metadata": json.dumps(trace.metadata)} for trace in TRACES]
        path = source(tmp_path, form, rows)
    assert read_traces(path) == TRACES


TEXT = st.text(string.printable + "\u2028\u00e9\u4e2d", min_size=1).filter(str.strip)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=1, max_size=4))
def test_a_text_is_cut_or_lost_in_a_file_of_traces(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("any") / "any.jsonl"
    traces = [Trace(f"t-{i}", *parts, metadata={"note": parts[0]}) for i, parts in enumerate(texts)]
    write_traces(path, traces)
    assert read_traces(path) == traces


@FORMS
def test_columns_of_s1k_are_taken_for_other_things(tmp_path, form):
    first, second = read_traces(source(tmp_path, form, S1K))
    assert (first.question, first.thinking, first.answer) == ("How many are 4 and 0?", "It is 4.\n\nSure.", "Answer: 4")
    assert (first.reference, first.source, first.domain) == ("4", "qq8933/AIME_1983_2024", "math")
    assert first.metadata == {"metadata": "{'ID': '1984-7'}", "cot": None}
    assert first.id != second.id and second.id.endswith("-1")


@FORMS
@pytest.mark.parametrize(("teacher", "says", "correct"), [("deepseek", "R1", True), ("gemini", "Gemini", False)])
def test_thinking_of_s1k11_is_that_of_the_other_teacher(tmp_path, form, teacher, says, correct):
    first = read_traces(source(tmp_path, form, S1K11), teacher=teacher)[0]
    assert (first.thinking, first.answer, first.metadata["correct"]) == (f"{says} thinks.", f"{says} says.", correct)
    other = {"deepseek": "gemini", "gemini": "deepseek"}[teacher]
    assert first.metadata[f"{other}_attempt"]  # nothing of a row is lost


def test_an_early_revision_of_s1k11_has_lists_and_no_grades(tmp_path):
    rows = [
        {key: value for key, value in row.items() if "grade" not in key} | {"deepseek_attempt": ["R1 ", "says."]} for row in S1K11
    ]
    first = read_traces(lines(tmp_path / "a.jsonl", rows))[0]
    assert first.answer == "R1 \n\nsays." and "correct" not in first.metadata


GOOD = {"id": "t-1", "question": "q", "thinking": "t", "answer": "a"}
BAD = [
    ([GOOD, {**GOOD, "id": "t-2", "answer": ""}], "line 2: answer is empty"),
    ([GOOD, {**GOOD, "id": "t-2", "answer": None}], "line 2: answer is empty"),
    ([GOOD, {**GOOD, "id": "t-2", "thinking": " \n"}], "line 2: thinking is empty"),
    ([{**GOOD, "question": ""}], "line 1: question is empty"),
    ([GOOD, {**GOOD, "id": "t-2", "domain": "x"}], "line 2: mixed columns, line 1 and this one differ in 'domain'"),
    ([GOOD, {"id": "t-2", "question": "q", "thinking": "t"}], "line 2: mixed columns, .* differ in 'answer'"),
    ([GOOD, S1K[0]], "line 2: mixed columns"),
    ([GOOD, GOOD], "line 2: id 't-1' is that of line 1 too"),
    ([{**GOOD, "answer": 5}], "line 1: answer is a int, not text"),
    ([{**GOOD, "metadata": "text"}], "line 1: the metadata is not an object"),
    ([{**GOOD, "metadata": {"note": 1}, "note": 2}], "line 1: 'note' is a column and in the metadata too"),
    ([{"id": "t-1", "prompt": "q"}], "line 1: columns id, prompt are those of no known layout"),
    ([], "no trace in it"),
    ([{**S1K[0], "thinking_trajectories": []}], "line 1: thinking is empty"),
    ([{**S1K[0], "thinking_trajectories": None}], "line 1: thinking is empty"),
    ([{**S1K[0], "attempt": None}], "line 1: answer is empty"),
]


@pytest.mark.parametrize(("rows", "message"), BAD)
def test_a_bad_row_is_read_or_its_line_not_named(tmp_path, rows, message):
    path = lines(tmp_path / "a.jsonl", rows)
    with pytest.raises(InputError, match=message) as caught:
        read_traces(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_malformed_json_or_a_blank_line_shifts_the_line_that_is_named(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(f"{json.dumps(GOOD)}\n\n{{'id'}}\n")
    with pytest.raises(InputError, match=r"a\.jsonl, line 3: not JSON"):
        read_traces(path)
    path.write_text(f"{json.dumps(GOOD)}\n\n{json.dumps(GOOD)}\n")
    with pytest.raises(InputError, match="line 3: id 't-1' is that of line 1 too"):
        read_traces(path)


@pytest.mark.parametrize("form", ["parquet", "clone"])
def test_a_bad_row_of_a_table_is_read_or_not_named(tmp_path, form):
    path = source(tmp_path, form, [S1K[0], {**S1K[1], "attempt": None}])
    with pytest.raises(InputError, match="row 1: answer is empty"):
        read_traces(path)
    assert [trace.answer for trace in read_traces(path, complete=False)] == ["Answer: 4", ""]


def test_a_teacher_or_a_data_set_that_is_not_there_is_not_explained(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    with pytest.raises(InputError, match="teacher is 'claude', .* deepseek or gemini"):
        read_traces(lines(tmp_path / "a.jsonl", S1K11), teacher="claude")
    with pytest.raises(InputError, match="no such file"):
        read_traces(tmp_path / "nothing.jsonl")
    with pytest.raises(InputError, match=r"simplescaling/s1K: HF_DATASETS_OFFLINE is set, and no copy is cached"):
        read_traces("hf:simplescaling/s1K")


def test_questions_of_traces_cannot_be_evaluated(tmp_path):
    write_traces(tmp_path / "t.jsonl", TRACES)
    task = load_task("traces", path=str(tmp_path / "t.jsonl"))
    assert [(one.id, one.answer, one.score) for one in task.problems] == [("a-1", "5", "math"), ("a-2", "x", "math")]
    write_traces(tmp_path / "t.jsonl", [dataclasses.replace(TRACES[0], reference="")])
    with pytest.raises(InputError, match="'a-1' has no reference"):
        load_task("traces", path=str(tmp_path / "t.jsonl"))
