"""Questions with lettered options, in the layout of MMLU, LogiQA, OpenBookQA and their like: JSON lines with question,
options, answer and maybe a passage.

    load_task("multiple_choice", path="openbookqa.jsonl")

A real example (OpenBookQA):

    question  There is most likely going to be fog around:
              A. a marsh
              B. a tundra
              C. the plains
              D. a desert
    answer    A                  (the file says "A. a marsh")
"""

import re
from pathlib import Path

from reasoning.data.files import read_rows
from reasoning.data.tasks import Problem, Task, draw
from reasoning.errors import InputError
from reasoning.weights import catalogue

OPTION = re.compile(r"^([A-Z])[.)] ?(.*)$", re.MULTILINE)


def load(path: str | None = None, name: str | None = None, size: int | None = None, seed: int = 0) -> Task:
    """All problems, or `size` of them drawn with `seed`; the answer of each is a letter.

    path: the file; without it, `name` is an artefact of the catalogue. name: of the task, default the file's name
    without suffix. Raises InputError when neither is given, or for a row without options or with an answer that is none
    of its options.
    """
    if path is None and name is None:
        raise InputError("task multiple_choice: which data set? give path (a .jsonl file) or name (an artefact of the catalogue)")
    path = path or catalogue.fetch(name).path
    name = name or Path(path).stem
    problems = [_problem(path, name, number, row) for number, row in enumerate(read_rows(path))]
    return Task(name, draw(problems, size if problems else None, seed), score="choice")


def _problem(path, name: str, number: int, row: dict) -> Problem:
    missing = [column for column in ("question", "options", "answer") if column not in row]
    if missing:
        raise InputError(
            f"{path}, row {number}: no column {missing[0]!r}; it has {', '.join(row)} (some published test sets have no answers)"
        )
    options = dict(OPTION.findall(row["options"]))
    letter = row["answer"].strip()[:1]
    if letter not in options:
        raise InputError(
            f"{path}, row {number}: answer {row['answer']!r} is none of the options {', '.join(options)}; correct the row"
        )
    listed = "\n".join(f"{key}. {text}" for key, text in options.items())
    question = "\n".join(filter(None, [row.get("passage", "").strip(), row["question"].strip(), listed]))
    return Problem(f"{name}-{number}", question, letter, name, {"options": options}, "choice")
