"""MATH-500: the 500 competition problems that Lightman et al. 2023 (arXiv 2305.20050) held out of MATH (Hendrycks et al.
2021, arXiv 2103.03874). Hub: HuggingFaceH4/MATH-500; MATH is under the MIT licence (from memory).

A real example (the first row):

    question  Convert the point $(0,3)$ in rectangular coordinates to polar coordinates.  Enter your answer in the form
              $(r,\\theta),$ where $r > 0$ and $0 \\le \\theta < 2 \\pi.$
    answer    \\left( 3, \\frac{\\pi}{2} \\right)

Answers are LaTeX: tuples, intervals, words in \\text{}, amounts with a unit. Subject, level (1 to 5) and the written
solution are in the metadata.
"""

from reasoning.data.hub import Source, read_rows
from reasoning.data.tasks import Problem, Task, draw

SOURCE = Source("HuggingFaceH4/MATH-500", "6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be", "test")
COLUMNS = ("problem", "solution", "answer", "subject", "level", "unique_id")


def load(path: str | None = None, split: str = SOURCE.split, size: int | None = None, seed: int = 0) -> Task:
    """All problems, or `size` of them drawn with `seed`; an id is the file's `unique_id`, "test/precalculus/807.json".

    path: a file or directory of the same format, instead of the hub. Raises InputError for whatever
    `reasoning.data.hub.read_rows` refuses.
    """
    problems = []
    for row in read_rows(SOURCE, ({name: name for name in COLUMNS},), path, split):
        metadata = {name: row[name] for name in ("subject", "level", "solution")}
        problems.append(Problem(row["unique_id"], row["problem"], str(row["answer"]), "math500", metadata))
    return Task("math500", draw(problems, size, seed))
