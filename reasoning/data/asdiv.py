"""ASDiv, 2,305 English word problems of primary school (Miao, Liang and Su 2020, "A Diverse Corpus for Evaluating and
Developing English Math Word Problem Solvers").

A real example (the first row):

    question  Seven red apples and two green apples are in the basket. How many apples are in the basket?
    answer    9                  (the file says "9 apples"; the unit goes to metadata["unit"])

The file comes through the catalogue (artefact "asdiv"); it is its authors' under their own licence and is not
redistributed here. It has no ids, so a problem is called by its row.
"""

import re

from reasoning.data.files import read_rows
from reasoning.data.tasks import Problem, Task, draw
from reasoning.errors import InputError
from reasoning.weights import catalogue

NUMBER = re.compile(r"(-?\d+(?:\.\d+)?)(?:\s+([^\d;]+))?")


def load(size: int | None = None, seed: int = 0, numeric: bool = True, path: str | None = None) -> Task:
    """All problems, or `size` of them drawn with `seed`.

    numeric: only those with one plain number as answer (names, times of day, ratios and lists are left out); else all,
    judged by math-verify all the same. path: a copy of the file, instead of the catalogue's. Raises InputError when the
    file cannot be had or is another one.
    """
    path = path or catalogue.fetch("asdiv").path
    problems = []
    for number, row in enumerate(read_rows(path)):
        if not {"passage", "question", "answer"} <= row.keys():
            raise InputError(
                f"{path}: not ASDiv as expected, row {number} has {', '.join(row)}; it needs passage, question and answer"
            )
        found = NUMBER.fullmatch(row["answer"].strip())
        if numeric and not found:
            continue
        answer, unit = found.groups() if found else (row["answer"], None)
        metadata = {"unit": unit, "original_answer": row["answer"]}
        problems.append(Problem(f"asdiv-{number}", f"{row['passage']} {row['question']}".strip(), answer, "asdiv", metadata))
    return Task("asdiv", draw(problems, size if problems else None, seed))
