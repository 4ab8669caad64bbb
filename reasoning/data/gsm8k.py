"""GSM8K, word problems of primary school with written solutions: 1,319 for the test, 7,473 for training (Cobbe et al.
2021, arXiv 2110.14168). Hub: openai/gsm8k, MIT licence.

A real example (the first row of the test split):

    question  Janet’s ducks lay 16 eggs per day. She eats three for breakfast every morning and bakes muffins for her
              friends every day with four. She sells the remainder at the farmers' market daily for $2 per fresh duck
              egg. How much in dollars does she make every day at the farmers' market?
    answer    18                 (the file has the solution, which ends in "#### 18"; it goes to metadata["solution"])
"""

from reasoning.data.hub import Source, read_rows
from reasoning.data.tasks import Problem, Task, draw
from reasoning.errors import InputError

SOURCE = Source("openai/gsm8k", "740312add88f781978c0658806c59bc2815b9866", "test", ("main",))
LAYOUTS = ({"question": "question", "solution": "answer"},)
MARK = "####"  # the answer stands behind it


def load(path: str | None = None, split: str = SOURCE.split, size: int | None = None, seed: int = 0) -> Task:
    """All problems of a split ("test" or "train"), or `size` of them drawn with `seed`; ids are `gsm8k-<split>-<row>`.

    path: a file or directory of the same format, instead of the hub. Raises InputError for whatever
    `reasoning.data.hub.read_rows` refuses, and for a solution without "####".
    """
    problems = []
    for number, row in enumerate(read_rows(SOURCE, LAYOUTS, path, split)):
        steps, mark, answer = row["solution"].rpartition(MARK)
        answer = answer.strip().replace(",", "")
        if not mark or not answer:
            raise InputError(f"gsm8k, row {number}: the answer must end in {MARK!r} and a number; correct the row")
        metadata = {"solution": steps.strip()}
        problems.append(Problem(f"gsm8k-{split}-{number}", row["question"], answer, "gsm8k", metadata))
    return Task("gsm8k", draw(problems, size, seed))
