"""Traces of linear equations: the constant is taken to the other side, the factor found by trying, the solution put in.

    question  Solve for k: 7*k + 4 = 67
    thinking  67 + 4 = 71, so 7*k = 71.
              Wait, 4 is added on the left, so subtract it: 67 - 4 = 63, so 7*k = 63.
              Try k = 8: 7 * 8 = 56, and 56 < 63, too small.
              Wait, try k = 9: 7 * 9 = 63, that fits.
              Check: 7 * 9 = 63, 63 + 4 = 67, and the right side is 67.

A failed attempt is a constant moved with its sign, or a value that is multiplied out and compared, each one inside what the
comparisons before it leave open; where there is no factor, a wrong difference that the check finds.
"""

import re
from random import Random
from typing import NamedTuple

from reasoning.data.writers.base import Written
from reasoning.errors import InputError

DOMAIN = "algebra"

_TERM = re.compile(r"([+-]?)(\d+)?(?:(?<=\d)\*)?([a-z])?")
SIGN_SLIPS = 0.4  # share of the failing traces with factor and constant that begin with a sign slip
FAR = 3  # how far from the solution a tried value may be
SLIPS = (-10, -2, -1, 1, 2, 10)  # what a wrong difference is off by


class Equation(NamedTuple):
    """factor · name + constant = right; `constant_first` as it is written."""

    factor: int
    name: str
    constant: int
    right: int
    constant_first: bool


def instance(entry: dict) -> str:
    """The equation without spaces, its variable called x: "7*x+4=67"."""
    metadata = entry["metadata"]
    return metadata["equation"].replace(" ", "").replace(metadata["variable"], "x")


def write(entry: dict, tries: int, rng: Random) -> Written:
    """See the module. Raises InputError for an equation that is not linear with one solution, a natural number."""
    it = _read(entry["metadata"]["equation"], entry["metadata"]["variable"])
    rest = it.right - it.constant
    if not it.factor or rest % it.factor or rest // it.factor < 1:
        text = entry["metadata"]["equation"]
        raise InputError(f"traces of simple_equations need one solution, a whole number ≥ 1, and {text!r} has none; leave it out")
    solution = rest // it.factor
    if abs(it.factor) == 1:
        lines, mistakes = _without_factor(it, tries - 1, rng)
        used = 1 + len(mistakes)
    else:
        values = _values(solution, tries - 1, rng)
        slip = bool(it.constant and values) and rng.random() < SIGN_SLIPS
        values = values[slip:]
        lines, mistakes = _moved_over(it, slip)
        lines += [f"Change both signs: {_product(-it.factor, it.name)} = {-rest}."] if it.factor < 0 else []
        lines += _tried(abs(it.factor), it.name, [*values, solution])
        used = 1 + slip + len(values)
    return Written("\n".join([*lines, _check(it, solution)]), str(solution), used, tuple(mistakes))


def _read(equation: str, name: str) -> Equation:
    left, right = equation.replace(" ", "").split("=")
    factor, constant, constant_first, place = 0, 0, False, 0
    while place < len(left):
        found = _TERM.match(left, place)
        if not (found[2] or found[3]) or found[3] not in (None, name):
            raise InputError(f"traces of simple_equations need a linear equation, and {equation!r} is none; leave it out")
        value, place = int((found[1] or "+") + (found[2] or "1")), found.end()
        if found[3]:
            factor += value
        else:
            constant_first |= not factor
            constant += value
    return Equation(factor, name, constant, int(right), constant_first)


def _product(factor: int, name: str) -> str:
    return {1: name, -1: f"-{name}"}.get(factor, f"{factor}*{name}")


def _sum(left: int, right: int, result: int | None = None) -> str:
    """ "5 - 3 = 2" for 5 and −3."""
    return f"{left} {'-' if right < 0 else '+'} {abs(right)} = {left + right if result is None else result}"


def _moved_over(it: Equation, slip: bool) -> tuple[list[str], list[str]]:
    """The constant on the other side, first with its own sign if it slips; and what is wrong about that."""
    product = _product(it.factor, it.name)
    lines = [f"{_sum(it.right, -it.constant)}, so {product} = {it.right - it.constant}."] if it.constant else []
    if not slip:
        return lines, []
    side, undo = ("added", "subtract") if it.constant > 0 else ("subtracted", "add")
    mistake = f"{product} = {it.right + it.constant}"
    reason = f"Wait, {abs(it.constant)} is {side} on the left, so {undo} it: {lines[0]}"
    return [f"{_sum(it.right, it.constant)}, so {mistake}.", reason], [mistake]


def _values(solution: int, failures: int, rng: Random) -> list[int]:
    """Up to `failures` values to try before the solution, each inside what the ones before it leave open."""
    low, high, out = max(0, solution - FAR - 1), solution + FAR + 1, []  # both exclusive
    while len(out) < failures and high - low > 2:
        out.append(rng.choice([value for value in range(low + 1, high) if value != solution]))
        low, high = (out[-1], high) if out[-1] < solution else (low, out[-1])
    return out


def _tried(factor: int, name: str, values: list[int]) -> list[str]:
    """Values multiplied out and compared with the product that is wanted, which is that of the last one."""
    lines, goal = [], factor * values[-1]
    for value in values:
        said = f"{'Wait, try' if lines else 'Try'} {name} = {value}: {factor} * {value} = {factor * value}"
        if factor * value == goal:
            lines.append(f"{said}, that fits.")
        else:
            relation, verdict = ("<", "too small") if factor * value < goal else (">", "too large")
            lines.append(f"{said}, and {factor * value} {relation} {goal}, {verdict}.")
    return lines


def _without_factor(it: Equation, failures: int, rng: Random) -> tuple[list[str], list[str]]:
    """The variable alone, perhaps negative: wrong differences, found by putting them in, and then the right one."""
    rest, lines, mistakes = it.right - it.constant, [], []
    wrong = [rest + slip for slip in rng.sample(SLIPS, min(failures, len(SLIPS)))] if it.constant else []
    for value in [*wrong, rest]:
        said = f"{_sum(it.right, -it.constant, value)}, so " if it.constant else ""
        also = f", so {it.name} = {-value}" if it.factor < 0 else ""
        step = f"{said}{_product(it.factor, it.name)} = {value}{also}"
        lines.append(f"{'Wait, ' if lines else ''}{step}.")
        if value != rest:
            mistakes.append(step)
            lines.append(f"Check: {_sum(value, it.constant)}, but the right side is {it.right}.")
    return lines, mistakes


def _check(it: Equation, solution: int) -> str:
    """The solution put in."""
    swapped = it.constant_first and it.factor < 0  # "7 - 2*q"
    factor = -it.factor if swapped else it.factor
    said = [] if abs(factor) == 1 else [f"{factor} * {solution} = {factor * solution}"]
    if swapped:
        said.append(_sum(it.constant, it.factor * solution))
    elif it.constant:
        said.append(_sum(it.factor * solution, it.constant))
    return f"Check: {', '.join([*said, f'the right side is {it.right}'])}."
