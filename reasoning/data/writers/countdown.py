"""Traces of countdown: numbers are combined until two are left, the larger is compared with the target, and what could still
reach it is computed.

    question  Find a way to make 24 using all of these numbers: 5, 12, 3. …
    thinking  Try 5 * 3 = 15, with 12: 15 < 24, 15 + 12 = 27, 15 * 12 > 24, no.
              Wait, try 12 + 3 = 15, with 5: 15 < 24, 15 + 5 = 20, 15 * 5 > 24, no.
              Wait, try 5 - 3 = 2, with 12: 12 < 24, 12 + 2 = 14, 12 * 2 = 24, yes.
              Check: (5 - 3) * 12 = 24 with 3, 5, 12.

A failed attempt is a branch of the search that has been looked through and holds no solution; no branch is tried twice. Only
natural numbers occur on the way: whatever reaches a positive target with others can be written without them, as
(3 - 5) + 12 is 12 - (5 - 3).
"""

import itertools
from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from reasoning.data.writers.base import Written
from reasoning.errors import InputError

DOMAIN = "search"

MOST_NUMBERS = 4  # all branches are looked through
HIGHEST = 999  # of a number on the way
FAR = 2  # times the target: no failed attempt begins with more, and a product of more is not computed


class Number(NamedTuple):
    """A value, how it is made of the numbers given, and whether that takes parentheses inside a product."""

    value: int
    text: str
    loose: bool = False


class Branch(NamedTuple):
    """Two numbers, the larger one first, and the steps that led to them, "5 * 3 = 15"."""

    steps: tuple[str, ...]
    larger: Number
    smaller: Number


def instance(entry: dict) -> str:
    """The numbers in order and the target: "3 5 12 -> 24"."""
    metadata = entry["metadata"]
    return f"{' '.join(map(str, sorted(metadata['numbers'])))} -> {metadata['target']}"


def write(entry: dict, tries: int, rng: Random) -> Written:
    """See the module. Raises InputError for fewer than 2 or more than 4 numbers, or a problem without a natural solution."""
    numbers, target = entry["metadata"]["numbers"], entry["metadata"]["target"]
    if not 2 <= len(numbers) <= MOST_NUMBERS:
        raise InputError(f"traces of countdown are written for 2 to {MOST_NUMBERS} numbers; set min_numbers and max_numbers so")
    branches = {branch.steps: branch for branch in _branches(tuple(Number(value, str(value)) for value in numbers), ())}
    solving = [branch for branch in branches.values() if _last(branch, target)[1]]
    failing = [branch for branch in branches.values() if not _last(branch, target)[1]]
    if not solving:
        raise InputError(f"countdown: no way found from {numbers} to {target} over natural numbers to {HIGHEST}; leave it out")
    failing = [branch for branch in failing if branch.larger.value <= FAR * target] or failing
    tried = rng.sample(failing, min(tries - 1, len(failing))) + [rng.choice(solving)]
    lines = [f"{'Wait, try' if place else 'Try'} {_told(branch, target)}" for place, branch in enumerate(tried)]
    answer = _last(tried[-1], target)[1]
    lines.append(f"Check: {answer} = {target} with {', '.join(map(str, sorted(numbers)))}.")
    return Written("\n".join(lines), answer, len(tried))


def _branches(numbers: tuple[Number, ...], steps: tuple[str, ...]) -> Iterator[Branch]:
    """Every way to combine all but two of the numbers."""
    if len(numbers) == 2:
        yield Branch(steps, *sorted(numbers, key=lambda number: -number.value))
        return
    for pair in itertools.combinations(range(len(numbers)), 2):
        larger, smaller = sorted((numbers[place] for place in pair), key=lambda number: -number.value)
        others = tuple(number for place, number in enumerate(numbers) if place not in pair)
        for sign in "+-*/":
            made = _combine(larger, sign, smaller)
            if made and 0 < made.value <= HIGHEST:
                yield from _branches((*others, made), (*steps, _said(larger, sign, smaller, made)))


def _combine(larger: Number, sign: str, smaller: Number) -> Number | None:
    """The two as one number; None where they do not divide."""
    a, b = larger.value, smaller.value
    if sign == "/" and (not b or a % b):
        return None
    value = {"+": a + b, "-": a - b, "*": a * b, "/": a // b if b else 0}[sign]
    left = f"({larger.text})" if larger.loose and sign in "*/" else larger.text
    bare = not smaller.loose and (sign != "/" or smaller.text.isdigit())
    right = smaller.text if sign == "+" or bare else f"({smaller.text})"
    return Number(value, f"{left} {sign} {right}", sign in "+-")


def _said(larger: Number, sign: str, smaller: Number, made: Number) -> str:
    return f"{larger.value} {sign} {smaller.value} = {made.value}"


def _last(branch: Branch, target: int) -> tuple[list[str], str | None]:
    """What the last two numbers may still give, as it is written, up to the solution if there is one; and the solution.

    A larger number below the target leaves sum and product, one above it difference and quotient.
    """
    larger, smaller = branch.larger, branch.smaller
    relation = "<" if larger.value < target else ">" if larger.value > target else "="
    said = [f"{larger.value} {relation} {target}"]
    for sign in {"<": "+*", ">": "-/", "=": "*"}[relation]:
        made = _combine(larger, sign, smaller)
        if made and made.value > FAR * target:
            said.append(f"{larger.value} {sign} {smaller.value} > {target}")
        elif made:
            said.append(_said(larger, sign, smaller, made))
            if made.value == target:
                return said, made.text
    return said, None


def _told(branch: Branch, target: int) -> str:
    said, answer = _last(branch, target)
    larger, smaller = branch.larger.value, branch.smaller.value
    if branch.steps:  # the last step says one of the two
        made = branch.steps[-1].split(" = ")[1]
        begin = f"{', '.join(branch.steps)}, with {smaller if made == str(larger) else larger}"
    else:
        begin = f"{larger} and {smaller}"
    return f"{begin}: {', '.join(said)}, {'yes' if answer else 'no'}."
