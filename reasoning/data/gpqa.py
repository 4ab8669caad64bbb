"""GPQA-Diamond, 198 questions of graduate physics, chemistry and biology with four choices (Rein et al. 2023, arXiv
2311.12022). Hub: Idavidrein/gpqa, CC BY 4.0, gated: its terms must be accepted once.

The authors ask that no question be shown where a crawler finds it, so this example of the format is made up:

    question  Which particle carries no electric charge?
              A. electron
              B. neutron
              C. proton
              D. positron
    answer    B

The file lists the right answer first; the choices are shuffled here. Of the other columns, field and subfield are kept,
and nothing else: neither the explanation nor the canary string, by which the authors find leaked copies, may end up in
an output.
"""

import random

from reasoning.data.hub import Source, read_rows
from reasoning.data.multiple_choice import ask
from reasoning.data.tasks import Problem, Task, draw

SOURCE = Source("Idavidrein/gpqa", "633f5ee89ab8ad4522a9f850766b73f62147ffdd", "train", ("gpqa_diamond",), csv=True)
CHOICES = ("Correct Answer", "Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3")
COLUMNS = ("Question", *CHOICES, "Record ID")
KEPT = {"field": "High-level domain", "subfield": "Subdomain"}


def load(path: str | None = None, split: str = SOURCE.split, size: int | None = None, seed: int = 0) -> Task:
    """All questions, or `size` of them drawn with `seed`; the answer of each is a letter and its id the file's Record ID.

    The order of a question's choices depends on `seed` and its Record ID alone, so that it is the same in every file and
    every subset. path: a file or directory of the same format, instead of the hub. Raises InputError for whatever
    `reasoning.data.hub.read_rows` refuses.
    """
    problems = []
    for row in read_rows(SOURCE, ({name: name for name in COLUMNS},), path, split):
        order = list(CHOICES)
        random.Random(f"{seed}/{row['Record ID']}").shuffle(order)
        options = {letter: str(row[name]).strip() for letter, name in zip("ABCD", order, strict=True)}
        letter = "ABCD"[order.index(CHOICES[0])]
        metadata = {"options": options, **{ours: str(row[name]) for ours, name in KEPT.items() if row.get(name)}}
        problems.append(Problem(str(row["Record ID"]), ask(row["Question"], options), letter, "gpqa", metadata, "choice"))
    return Task("gpqa", draw(problems, size, seed), score="choice")
