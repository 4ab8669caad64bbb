"""Questions with lettered options, in the layout of MMLU, LogiQA, CommonsenseQA and their like: JSON lines with question,
options, answer and maybe a passage.

    load_task("multiple_choice", path="openbookqa.jsonl")
    load_task("multiple_choice", name="mmlu")

A real example (OpenBookQA):

    question  There is most likely going to be fog around:
              A. a marsh
              B. a tundra
              C. the plains
              D. a desert
    answer    A                  (the file says "A. a marsh")

The catalogue has three such files, copies whose makers left out some things (counted on the files, not documented):

    mmlu           2,850 of the 14,042 test questions, so perhaps 50 of each of the 57 subjects; the file names none, and
                   its rows are in no order of subjects. Hendrycks et al. 2020, arXiv 2009.03300.
    logiqa         1,000 questions translated by a machine, which lost the first letters of some options ("0-year-old"); in
                   7 the right option reads like another one. Liu et al. 2020, arXiv 2007.08124.
    commonsenseqa  the 1,221 questions for validation; the 1,140 of the test are published without answers. In 6 the right
                   option reads like another one. Talmor et al. 2018, arXiv 1811.00937.
"""

import re
from pathlib import Path

from reasoning.data.files import read_rows
from reasoning.data.tasks import Problem, Task, draw
from reasoning.errors import InputError
from reasoning.weights import catalogue

OPTION = re.compile(r"([A-Z])[.)] ?(.*)")


def load(
    path: str | None = None, name: str | None = None, size: int | None = None, seed: int = 0, distinct: bool = False
) -> Task:
    """All problems, or `size` of them drawn with `seed`; the answer of each is a letter.

    path: the file; without it, `name` is an artefact of the catalogue. name: of the task, default the file's name
    without suffix. distinct: leave out the questions whose right option reads like another one; they are kept by default,
    with those letters in metadata["same_text"]. Raises InputError when neither path nor name is given, or for a row
    without options or with an answer that is none of its options.
    """
    if path is None and name is None:
        raise InputError("task multiple_choice: which data set? give path (a .jsonl file) or name (an artefact of the catalogue)")
    path = path or catalogue.fetch(name).path
    name = name or Path(path).stem
    problems = [_problem(path, name, number, row) for number, row in enumerate(read_rows(path))]
    if distinct:
        problems = [problem for problem in problems if "same_text" not in problem.metadata]
    return Task(name, draw(problems, size if problems else None, seed), score="choice")


def ask(question: str, options: dict[str, str]) -> str:
    """A question with its options below it, one a line, as a model reads it."""
    return "\n".join([question.strip(), *(f"{letter}. {text}" for letter, text in options.items())])


def read_options(text: str) -> dict[str, str]:
    """Letter → text. An option may go on over several lines: only the letter that comes next begins another one."""
    options: dict[str, str] = {}
    letter = ""
    for line in text.split("\n"):
        found = OPTION.fullmatch(line)
        if found and (not letter or ord(found[1]) == ord(letter) + 1):
            letter = found[1]
            options[letter] = found[2]
        elif letter:
            options[letter] += "\n" + line
    return {letter: text.strip() for letter, text in options.items()}


def _problem(path, name: str, number: int, row: dict) -> Problem:
    missing = [column for column in ("question", "options", "answer") if column not in row]
    if missing:
        raise InputError(
            f"{path}, row {number}: no column {missing[0]!r}; it has {', '.join(row)} (some published test sets have no answers)"
        )
    options = read_options(row["options"])
    letter = row["answer"].strip()[:1]
    if letter not in options:
        raise InputError(
            f"{path}, row {number}: answer {row['answer']!r} is none of the options {', '.join(options)}; correct the row"
        )
    same = [other for other, text in options.items() if other != letter and text == options[letter]]
    metadata = {"options": options, **({"same_text": same} if same else {})}
    question = "\n".join(filter(None, [row.get("passage", "").strip(), row["question"].strip()]))
    return Problem(f"{name}-{number}", ask(question, options), letter, name, metadata, "choice")
