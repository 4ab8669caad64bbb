"""AMC 2023: the 40 problems of the American Mathematics Competition 12 of 2023 whose answers are numbers, asked without
their five choices. The problems are the Mathematical Association of America's.

A real example (the first row of math-ai/amc23):

    question  Cities $A$ and $B$ are $45$ miles apart. Alicia lives in $A$ and Beth lives in $B$. Alicia bikes towards $B$
              at 18 miles per hour. Leaving at the same time, Beth bikes toward $A$ at 12 miles per hour. How many miles
              from City $A$ will they be when they meet?
    answer    27                 (the file says 27.0)
"""

from reasoning.data.hub import Source, read_rows
from reasoning.data.tasks import Problem, Task, draw
from reasoning.errors import InputError
from reasoning.text.answers import normalise

SOURCES = (  # the first one is taken if the user names none; nobody could check a commit of the second
    Source("math-ai/amc23", "80815d37005feb82cd7f8fbc6901d5d3eff43057", "test"),
    Source("zwhe99/amc23", "main", "test"),
)
LAYOUTS = ({"question": "question", "answer": "answer"}, {"question": "problem", "answer": "answer"})


def load(
    path: str | None = None, split: str | None = None, size: int | None = None, seed: int = 0, repo: str | None = None
) -> Task:
    """All problems, or `size` of them drawn with `seed`; ids are `amc23-<row>`.

    path: a file or directory of the same format, instead of the hub. split: default that of the copy. repo: one of the
    copies in `SOURCES`. Raises InputError for another repo, for whatever `reasoning.data.hub.read_rows` refuses, and for
    an answer that is no number.
    """
    known = {source.repo: source for source in SOURCES}
    if repo is not None and repo not in known:
        raise InputError(f"amc: {repo!r} is no known copy; choose one of {', '.join(known)}")
    problems = []
    for number, row in enumerate(read_rows(known[repo or SOURCES[0].repo], LAYOUTS, path, split)):
        answer = normalise(str(row["answer"]))
        try:
            float(answer or "")
        except ValueError:
            raise InputError(f"amc23, row {number}: {row['answer']!r} is no number; correct the row") from None
        problems.append(Problem(f"amc23-{number}", row["question"], answer, "amc23"))
    return Task("amc23", draw(problems, size, seed))
