"""Traces of sums and differences: running totals, then all of them undone from the last to the first.

    question  State the final answer to the following arithmetic problem: 42 - 17 + 25 - 31 =
    thinking  42 - 17 = 35
              35 + 25 = 60
              60 - 31 = 29
              Check: 29 + 31 = 60, 60 - 25 = 35, 35 + 17 = 52, but it must be 42.
              Wait, 42 - 17 = 25
              25 + 25 = 50
              50 - 31 = 19
              Check: 19 + 31 = 50, 50 - 25 = 25, 25 + 17 = 42, and the first number is 42.

A failed attempt has one wrong total. The check finds it: it undoes each step with a sum of its own and comes out beside the
total that the step began with; what follows the wrong step is computed rightly from it.
"""

from random import Random

from reasoning.data.writers.base import Written
from reasoning.errors import InputError

DOMAIN = "arithmetic"

MOST = 5  # attempts: a step has four ways to go wrong or more


def instance(entry: dict) -> str:
    """The expression without spaces: "42-17+25-31"."""
    return entry["metadata"]["expression"].replace(" ", "")


def write(entry: dict, tries: int, rng: Random) -> Written:
    """See the module. Raises InputError for a sum of one term."""
    first, *rest = entry["metadata"]["expression"].split()
    steps = list(zip(rest[::2], map(int, rest[1::2]), strict=True))
    if not steps:
        raise InputError("traces of chain_sum need two terms or more; set min_terms to 2 or more")
    totals, lines, mistakes, begin = [int(first)], [], [], 0
    tries = min(tries, MOST)
    for attempt in range(tries):
        wrong = rng.randrange(begin, len(steps)) if attempt < tries - 1 else None
        opening = "Wait, " if attempt else ""
        del totals[begin + 1 :]
        for place in range(begin, len(steps)):
            sign, term = steps[place]
            right = _apply(totals[-1], sign, term)
            total = _slip(totals[-1], sign, term, mistakes, rng) if place == wrong else right
            said = f"{totals[-1]} {sign} {term} = {total}"
            mistakes += [said] if place == wrong else []
            lines.append(opening + said)
            opening = ""
            totals.append(total)
        lines.append(_check(totals, steps, wrong))
        begin = wrong or 0
    return Written("\n".join(lines), str(totals[-1]), tries, tuple(mistakes))


def _apply(total: int, sign: str, term: int) -> int:
    return total + term if sign == "+" else total - term


def _slip(total: int, sign: str, term: int, made: list[str], rng: Random) -> int:
    """A wrong result of the kinds that people make, none twice: the other operation, a little too much or too little."""
    right, much = _apply(total, sign, term), 10 if term >= 10 else 2
    kinds = [_apply(total, "-" if sign == "+" else "+", term), right + much, right - much, right + 1, right - 1]
    return rng.choice([value for value in kinds if value != right and f"{total} {sign} {term} = {value}" not in made])


def _check(totals: list[int], steps: list[tuple[str, int]], wrong: int | None) -> str:
    """All steps undone from the last to the first, or to the wrong one."""
    said = []
    for place in range(len(steps) - 1, -1, -1):
        sign, term = steps[place]
        back = "-" if sign == "+" else "+"
        said.append(f"{totals[place + 1]} {back} {term} = {_apply(totals[place + 1], back, term)}")
        if place == wrong:
            return f"Check: {', '.join(said)}, but it must be {totals[place]}."
    return f"Check: {', '.join(said)}, and the first number is {totals[0]}."
