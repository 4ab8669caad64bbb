"""A reward for the length of a response: 1 at a target, falling evenly to 0 on either side, or only above it.

    score = max(0, 1 − |tokens − target| / target)        `at_most=True`: 1 up to the target

Source: the length terms of Aggarwal and Welleck 2025, "L1: Controlling How Long A Reasoning Model Thinks With Reinforcement
Learning", arXiv 2503.04697, section 3 (exact, and at most), here without the term for being right, and within [0, 1].
"""

from collections.abc import Sequence

from reasoning.errors import InputError
from reasoning.rewards.responses import Candidate, Judge, Reading, Readings


def make(target: int, at_most: bool = False, name: str = "") -> Judge:
    """The judge that wants `target` tokens, or at most so many. Raises InputError for a target below 1."""
    if isinstance(target, bool) or not isinstance(target, int) or target < 1:
        raise InputError(f"a length reward needs a target of tokens, a whole number ≥ 1, got {target!r}")

    def read(candidates: Sequence[Candidate]) -> Readings:
        for one in candidates:
            off = len(one.tokens) - target
            yield one, Reading((max(0.0, 1 - (max(off, 0) if at_most else abs(off)) / target),))

    return Judge(name or f"length-{target}", read)


def judge(engine, target: int, at_most: bool = False, name: str = "") -> Judge:
    """`make`, for a configuration. Raises InputError."""
    del engine
    return make(target, at_most, name)
