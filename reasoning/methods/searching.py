"""What the methods that search have in common: chains of thought in steps, and a vote by the scores of the finished ones.

Source of the vote: Snell et al. 2024, arXiv 2408.03314, section 5.1 ("best-of-N weighted": the answer with the largest sum of
final scores over the solutions that give it).
"""

import collections
import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from reasoning.errors import InputError
from reasoning.methods import majority
from reasoning.methods.base import Method
from reasoning.methods.signatures import extends
from reasoning.methods.steps import Named, Steps, last_of
from reasoning.search.base import Search
from reasoning.text.answers import normalise


@dataclasses.dataclass(frozen=True)
class ByScore:
    """The answer with the largest weight: its samples' scores added up, or its best one alone.

    A sample whose answer cannot be read has no part in it, nor has one that was never scored. Ties are drawn by problem.

    Attributes:
      weighted: add up. likelihood: scores are mean log-probabilities, which weigh their exponential; other scores weigh what they
        are, and nothing below 0.
      scorer: under what name records keep the scores.
    """

    by_score: ClassVar[bool] = True
    weighted: bool = True
    likelihood: bool = False
    seed: int = 0
    scorer: str = "search"

    def value(self, scores: Sequence[float]) -> float:
        """One number for the scores of a response's steps."""
        return last_of(scores)

    def __call__(self, problem: str, answers: Sequence[str | None], scores: Sequence[float] = ()) -> str | None:
        """scores: one a sample; without them all are alike."""
        given = collections.defaultdict(list)
        for answer, score in zip(map(normalise, answers), scores or [1.0] * len(answers), strict=True):
            if answer is not None and score > -math.inf:
                given[answer].append(score)
        if not given:
            return None
        weights = {answer: self._weight(parts) for answer, parts in given.items()}
        tied = [answer for answer, weight in weights.items() if weight == max(weights.values())]
        return majority.draw(self.seed, problem, tied)

    def _weight(self, scores: Sequence[float]) -> float:
        if not self.weighted:
            return max(scores)
        return math.fsum(math.exp(score) if self.likelihood else max(score, 0.0) for score in scores)


@extends(majority.make)
def make(
    *,
    step_ends: Sequence[str] = ("\n\n",),
    step_tokens: int = 128,
    rounds: int = 40,
    aggregation: str = "last",
    scorer: Mapping[str, Any] | None = None,
    weighted: bool = True,
    seed: int = 0,
    **rest: Any,
) -> Method:
    """`n` chains of thought, grown step by step and not yet selected among; the rest are arguments of `majority.make`.

    Args:
      step_ends: strings that end a step. step_tokens: tokens of a step at most. rounds: steps at most.
      aggregation: of the scores of a row's steps, for selecting: last, min, prod or mean.
      scorer: `kind` and its arguments, see `reasoning.methods.steps.Named`; None takes the policy's own likelihood.
      weighted: the answer with the largest sum of scores; else that of the best sample.
    """
    one = majority.make(seed=seed, **rest)
    named = Named.of(scorer) if scorer else None
    steps = Steps(Search(), step_ends, step_tokens, rounds, aggregation, named)
    vote = ByScore(weighted, likelihood=named is None, seed=seed)
    return dataclasses.replace(one, name="searching", vote=vote, search=steps)


def with_search(one: Method, name: str, search: Search) -> Method:
    """The method `name` that selects by `search` among the rows of `one`. Raises InputError if it cannot."""
    search.check(one.n)
    return dataclasses.replace(one, name=name, search=dataclasses.replace(one.search, search=search))


def beam_width_of(width: int, n: int) -> int:
    """M: `width`, or for 0 the largest divisor of n up to √n (Snell et al. sweep M = √N and M = 4). Raises InputError."""
    if not isinstance(width, int) or isinstance(width, bool) or width < 0:
        raise InputError(f"beam_width must be a whole number ≥ 0, got {width!r}; 0 is about the square root of n")
    return width or max(m for m in range(1, math.isqrt(n) + 1) if n % m == 0)
