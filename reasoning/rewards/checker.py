"""A symbolic verifier for sums: which steps of a response to `chain_sum` are right, exactly, by its running totals.

    question   "… 4 + 13 - 7 ="            totals  4, 17, 10
    steps      "4 + 13 = 17" right         "17 - 7 = 10" right             "Answer: 10" right
               "17 - 7 = 11" wrong: false  "17 - 6 = 11" wrong: 6 is not the next term

A step is wrong if an equation in it is false, if it goes on from the running total with another term than the next one, or if
it states another final answer than the sum. What follows a wrong step is wrong: labels are of prefixes. True side calculations
are no mistakes. No reference answer is used.
"""

import re
from collections.abc import Sequence

from reasoning.errors import InputError
from reasoning.rewards.responses import Candidate, Judge, Reading, Readings
from reasoning.rewards.steps import SEPARATOR
from reasoning.text.answers import extract, normalise

_SIGNED = r"[+-]?\s*\d+"
_SUM = rf"{_SIGNED}(?:\s*[+-]\s*\d+)+"
_EQUATION = re.compile(rf"(?<![\d.])({_SUM})\s*=\s*(-?\d+)(?![\d.])")
_QUESTION = re.compile(rf"(?<![\d.])({_SUM})\s*=")


def terms_of(text: str) -> list[int]:
    """ "4 + 13 - 7" → [4, 13, -7]."""
    return [int(term) for term in re.findall(r"[+-]?\d+", re.sub(r"\s", "", text))]


def step_labels(question: str, steps: Sequence[str]) -> list[bool]:
    """Whether the prefix up to each step is right. Raises InputError for a question without a sum."""
    found = _QUESTION.search(question)
    if found is None:
        raise InputError(f"the question {question!r} states no sum to check; use this verifier for chain_sum")
    terms = terms_of(found[1])
    position, right, labels = 0, True, []  # `position` terms are summed up so far
    for step in steps:
        for left, value in _EQUATION.findall(step.replace("\N{MINUS SIGN}", "-")):
            position, held = _advance(terms, position, terms_of(left), int(value))
            right = right and held
        stated = normalise(extract(step))
        right = right and stated in (None, str(sum(terms)))
        labels.append(right)
    return labels


def _advance(terms: list[int], position: int, left: list[int], value: int) -> tuple[int, bool]:
    """(terms summed up after the equation left = value, whether it is right)."""
    if sum(left) != value:
        return position, False
    if left == terms[: len(left)]:
        return max(position, len(left)), True  # the beginning, maybe said again
    if position == 0 or left[0] != sum(terms[:position]):
        return position, True  # a side calculation
    following = left[1:]
    if following != terms[position : position + len(following)]:
        return position, False
    return position + len(following), True


def make(separator: str = SEPARATOR, answered: bool = False, name: str = "checker") -> Judge:
    """Scores finished responses: 1 for a prefix without mistakes, 0 from the first one on; `separator` ends a step.

    answered: a response that states no answer is wrong from its beginning, or saying nothing would be the surest way to be right.
    """

    def read(candidates: Sequence[Candidate]) -> Readings:
        for candidate in candidates:
            steps = [step for step in candidate.text.split(separator) if step.strip()] or [""]
            right = not answered or extract(candidate.text) is not None
            yield candidate, Reading(tuple(float(right and one) for one in step_labels(candidate.question, steps)))

    return Judge(name, read)


def judge(engine, separator: str = SEPARATOR, answered: bool = False, name: str = "checker") -> Judge:
    """`make`, for a configuration."""
    del engine
    return make(separator, answered, name)
