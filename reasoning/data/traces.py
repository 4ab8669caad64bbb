"""Reasoning traces: a question, the thinking and the answer that a model is to learn, and where they come from.

A file of traces is JSON lines, a line a trace with the fields of `Trace`, or parquet with the same columns (`metadata` an
object, or text that is one in JSON). It is a task too, of its questions and references:

    load_task("traces", path="pool.jsonl", size=200)
"""

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from reasoning.data import s1k
from reasoning.data.files import placed_rows
from reasoning.data.hub import Source, read_rows
from reasoning.data.tasks import Problem, Task, draw
from reasoning.errors import InputError
from reasoning.records import dumps, write_atomic


@dataclasses.dataclass(frozen=True)
class Trace:
    """One example.

    Attributes:
      id: unique in its file.
      question: as it is asked, without a template.
      thinking: the reasoning, without delimiters. answer: what follows it, the final answer included.
      reference: the answer that is counted as right, for a scorer; "" if there is none.
      source: data set or program that it comes from. domain: subject, "" if unknown.
      metadata: JSON-able; what scorers and analyses need. Known names: "score" (how an answer is judged,
        `reasoning.data.tasks.SCORES`, else "math"), "correct" (whether this answer is right), "family" and "instance" (program
        that wrote the question, and its numbers in a canonical form).
    """

    id: str
    question: str
    thinking: str
    answer: str
    reference: str = ""
    source: str = ""
    domain: str = ""
    metadata: dict[str, Any] = dataclasses.field(default_factory=dict, hash=False)


FIELDS = tuple(field.name for field in dataclasses.fields(Trace))
OURS = FIELDS[:4]  # what a file must have
LAYOUTS = (OURS, s1k.S1K, s1k.S1K11)
Rows = list[tuple[str, dict[str, Any]]]  # with the place of each in its file


def write_traces(path: Path, traces: Iterable[Trace]) -> None:
    """Writes a file of traces as a whole or not at all. Raises InputError."""
    write_atomic(path, b"".join(dumps(dataclasses.asdict(trace)) for trace in traces))


def read_traces(
    source: str | Path, *, teacher: str = s1k.TEACHERS[0], split: str | None = None, complete: bool = True
) -> list[Trace]:
    """All traces of a source, in its order.

    Columns are those of `Trace` (more of them go to the metadata) or those of s1K and s1K-1.1 (`reasoning.data.s1k`), where an
    id is `<name>-<row>`.

    Args:
      source: a .jsonl or .parquet file, a directory such as a clone from the hub, or "hf:org/name@revision".
      teacher: "deepseek" or "gemini", where a row has the thinking of both.
      split: of a directory or a data set of the hub, default "train".
      complete: False also reads traces without thinking or answer, as "", for a filter to count.
    Raises:
      InputError: no such source, unknown columns, columns that differ between rows, a row without question, thinking or answer,
        a value that is not text, a repeated id, a malformed line; it names the file and the line.
    """
    name, rows = _open(source, split)
    traces, places = [], {}
    expected = rows[0][1].keys() if rows else ()
    layout = next((layout for layout in LAYOUTS if set(layout) <= set(expected)), None)
    for number, (place, row) in enumerate(rows):
        where = f"{source}, {place}"
        if row.keys() != expected:
            odd = ", ".join(map(repr, sorted(row.keys() ^ expected)))
            raise InputError(f"{where}: mixed columns, {rows[0][0]} and this one differ in {odd}; give all rows the same columns")
        if layout is None:
            known = "; or ".join(", ".join(layout) for layout in LAYOUTS)
            raise InputError(f"{where}: columns {', '.join(row)} are those of no known layout ({known}); rename them")
        fields = _ours(row, where) if layout is OURS else {"id": f"{name}-{number}", **s1k.fields(row, teacher)}
        trace = _checked(Trace(**fields), where, complete)
        if trace.id in places:
            raise InputError(f"{where}: id {trace.id!r} is that of {places[trace.id]} too; make ids unique")
        places[trace.id] = place
        traces.append(trace)
    if not traces:
        raise InputError(f"{source}: there is no trace in it; name another file or split")
    return traces


def load(path: str, size: int | None = None, seed: int = 0) -> Task:
    """The questions of a file of traces, or `size` of them drawn with `seed`, judged as metadata["score"] says.

    Raises InputError for what `read_traces` refuses, and for a trace without a reference to be judged by.
    """
    name = Path(path).stem
    problems = [problem(trace, name) for trace in read_traces(path, complete=False)]
    return Task(name, draw(problems, size, seed), problems[0].score)


def problem(trace: Trace, task: str) -> Problem:
    """The question of a trace as a problem of `task`. Raises InputError if nothing can judge its answer."""
    score = trace.metadata.get("score") or "math"
    if not trace.reference and score != "reasoning_gym":
        raise InputError(f"{task}: trace {trace.id!r} has no reference, so no answer can be judged; fill it in or drop the trace")
    return Problem(trace.id, trace.question, trace.reference, task, trace.metadata, score)


def _open(source: str | Path, split: str | None) -> tuple[str, Rows]:
    """A short name of the source, and its rows."""
    text, layouts = str(source), tuple({column: column for column in layout} for layout in LAYOUTS)
    if text.startswith("hf:"):
        repo, _, revision = text.removeprefix("hf:").partition("@")
        known = s1k.SOURCES.get(repo, Source(repo, "main", "train"))
        path, wanted = None, dataclasses.replace(known, revision=revision or known.revision)
    else:
        path, wanted = Path(text).expanduser(), Source(text, "", "train")
        if not path.is_dir():
            return path.stem, placed_rows(path)
    rows = read_rows(wanted, layouts, path, split, complete=False)  # what must not be empty is checked here
    return Path(wanted.repo).name, [(f"row {number}", row) for number, row in enumerate(rows)]


def _ours(row: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The fields of a trace; columns that are none of them join the metadata."""
    fields = {name: "" if row.get(name) is None else row[name] for name in FIELDS}
    metadata = fields["metadata"] or {}
    if isinstance(metadata, str):
        try:
            metadata = json.loads(metadata)
        except ValueError:
            metadata = None
    if not isinstance(metadata, dict):
        raise InputError(f"{where}: the metadata is not an object; write {{}} if there is none")
    more = {name: value for name, value in row.items() if name not in FIELDS}
    if more.keys() & metadata.keys():
        raise InputError(f"{where}: {min(more.keys() & metadata.keys())!r} is a column and in the metadata too; rename one")
    key = fields["id"]
    return {**fields, "id": str(key) if isinstance(key, int) else key, "metadata": metadata | more}


def _checked(trace: Trace, where: str, complete: bool) -> Trace:
    for name, value in _texts(trace):
        if not isinstance(value, str):
            raise InputError(f"{where}: {name} is a {type(value).__name__}, not text; correct the row")
        if name in ("id", "question", *(("thinking", "answer") if complete else ())) and not value.strip():
            raise InputError(f"{where}: {name} is empty; fill it in or drop the row")
    return trace


def _texts(trace: Trace) -> Iterator[tuple[str, Any]]:
    return ((name, getattr(trace, name)) for name in FIELDS if name != "metadata")
