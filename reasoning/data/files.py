"""Your own problems: a JSON-lines or parquet file, one problem a row, in columns that you name.

    load_task("files", path="problems.jsonl", question="problem", answer="solution", id="uuid", score="math")

A real example of a line, with these names:

    {"uuid": "p-17", "problem": "What is the derivative of $x^2$?", "solution": "2x", "level": 1}

Columns that are not named (here "level") are kept in the problem's metadata.
"""

import json
from pathlib import Path

from reasoning.data.tasks import Problem, Task, draw
from reasoning.errors import InputError


def load(
    path: str,
    question: str = "question",
    answer: str = "answer",
    id: str | None = None,
    score: str = "math",
    name: str | None = None,
    size: int | None = None,
    seed: int = 0,
) -> Task:
    """The rows of `path`, or `size` of them drawn with `seed`.

    question, answer, id: column names; without an id column a problem is `<name>-<row>`. name: default the file's name
    without suffix. Raises InputError for a missing or unreadable file, a missing column, an empty answer, an empty
    file, a repeated id.
    """
    name = name or Path(path).stem
    problems = []
    for number, row in enumerate(read_rows(path)):
        wanted = [column for column in (question, answer, id) if column is not None]
        missing = [column for column in wanted if column not in row]
        if missing:
            raise InputError(
                f"{path}, row {number}: no column {missing[0]!r}; it has {', '.join(map(repr, row))}: name the one that is meant"
            )
        empty = [column for column in wanted if row[column] in (None, "")]
        if empty:
            raise InputError(f"{path}, row {number}: column {empty[0]!r} is empty; fill it in or drop the row")
        rest = {key: value for key, value in row.items() if key not in wanted}
        key = f"{name}-{number}" if id is None else str(row[id])
        problems.append(Problem(key, str(row[question]), str(row[answer]), name, rest, score))
    return Task(name, draw(problems, size if problems else None, seed), score)


def read_rows(path: str | Path) -> list[dict]:
    """Rows of a .jsonl (or .json, one object a line) or .parquet file. Raises InputError that names file and line."""
    return [row for _, row in placed_rows(path)]


def placed_rows(path: str | Path) -> list[tuple[str, dict]]:
    """(place, row) for each of `read_rows`: "line 3" of a file of lines, counted from 1, "row 2" of parquet, from 0."""
    path = Path(path).expanduser()
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; give the path of a .jsonl or .parquet file")
    if path.suffix == ".parquet":
        return [(f"row {number}", row) for number, row in enumerate(_parquet_rows(path))]
    if path.suffix not in (".jsonl", ".json"):
        raise InputError(f"{path}: a file of rows ends in .jsonl or .parquet; convert it")
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")  # splitlines would also cut at U+2028 inside a question
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start}); convert it to UTF-8") from None
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:  # also numbers of thousands of digits, and a thousand brackets
            reason = getattr(error, "msg", "") or str(error)
            raise InputError(f"{path}, line {number}: not JSON ({reason}); write one object a line") from None
        if not isinstance(row, dict):
            raise InputError(f"{path}, line {number}: a {type(row).__name__}, not an object; write one object a line")
        rows.append((f"line {number}", row))
    return rows


def _parquet_rows(path: Path) -> list[dict]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise InputError(f"{path}: reading parquet needs pyarrow ({error}); run: pip install pyarrow") from None
    try:
        return parquet.read_table(path).to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{path}: not a readable parquet file ({str(error).splitlines()[0]}); fetch or write it again") from None
