"""AIME 2024 and 2025, the American Invitational Mathematics Examination: two papers of 15 problems a year, each answer an
integer from 0 to 999. Nobody licences the problems explicitly; they are the Mathematical Association of America's.

A real example (2024, the first row of HuggingFaceH4/aime_2024):

    question  Every morning Aya goes for a $9$-kilometer-long walk and stops at a coffee shop afterwards. When she walks at
              a constant speed of $s$ kilometers per hour, the walk takes her 4 hours, including $t$ minutes spent in the
              coffee shop. When she walks $s+2$ kilometers per hour, the walk takes her 2 hours and 24 minutes, including
              $t$ minutes spent in the coffee shop. Suppose Aya walks at $s+\\frac{1}{2}$ kilometers per hour. Find the
              number of minutes the walk takes her, including the $t$ minutes spent in the coffee shop.
    answer    204

The examination writes three digits ("033"); here an answer is a plain integer ("33"), and both grade alike. One
published copy has an answer with its unit, "336^\\circ"; the unit is taken off.
"""

import re

from reasoning.data.hub import Source, read_rows
from reasoning.data.tasks import Problem, Task, draw
from reasoning.errors import InputError

SOURCES = {  # by year; the first one is taken if the user names none
    2024: (
        Source("HuggingFaceH4/aime_2024", "2fe88a2f1091d5048c0f36abc874fb997b3dd99a", "train"),
        Source("Maxwell-Jia/AIME_2024", "8d88b2876a82a080e2f172cc9b25d0d9d2cb4792", "train"),
    ),
    2025: (
        Source("math-ai/aime25", "563bb8404243c5f09de6ec262f2db674fe5bce9b", "test"),
        Source("yentinglin/aime_2025", "6f71d77b0b89b9dabe07ab466c51df33f514df7f", "train"),
        Source("opencompass/AIME2025", "a6ad95f611d72cf628a80b58bd0432ef6638f958", "test", ("AIME2025-I", "AIME2025-II")),
    ),
}
LAYOUTS = (
    {"question": "problem", "answer": "answer"},  # HuggingFaceH4, math-ai, yentinglin
    {"question": "Problem", "answer": "Answer"},  # Maxwell-Jia
    {"question": "question", "answer": "answer"},  # opencompass
)
ANSWER = re.compile(r"(\d{1,3})(?:\.0+)?(?:\s*\^\s*\{?\s*\\circ\s*\}?)?")


def load(
    year: int = 2024,
    path: str | None = None,
    split: str | None = None,
    size: int | None = None,
    seed: int = 0,
    repo: str | None = None,
) -> Task:
    """The problems of a year, or `size` of them drawn with `seed`; ids are `aime<year>-<row>`.

    path: a file or directory of the same format, instead of the hub. split: default that of the copy. repo: one of the
    copies in `SOURCES`. Raises InputError for another year or repo, for whatever `reasoning.data.hub.read_rows` refuses,
    and for an answer that is no integer from 0 to 999.
    """
    if year not in SOURCES:
        raise InputError(f"aime: no source is known for {year}; choose {' or '.join(map(str, SOURCES))}, or the task 'files'")
    name, known = f"aime{year}", {source.repo: source for source in SOURCES[year]}
    if repo is not None and repo not in known:
        raise InputError(f"aime {year}: {repo!r} is no known copy; choose one of {', '.join(known)}")
    problems = []
    for number, row in enumerate(read_rows(known[repo or SOURCES[year][0].repo], LAYOUTS, path, split)):
        found = ANSWER.fullmatch(str(row["answer"]).strip())
        if not found:
            raise InputError(f"{name}, row {number}: {row['answer']!r} is no integer from 0 to 999; correct the row")
        problems.append(Problem(f"{name}-{number}", row["question"], str(int(found[1])), name))
    return Task(name, draw(problems, size, seed))
