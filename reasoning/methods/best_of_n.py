"""Best of N: sample several chains of thought and answer what a scorer likes best, or what it likes most in all.

Source: Cobbe et al. 2021, "Training Verifiers to Solve Math Word Problems", arXiv 2110.14168, section 4.2 (the best sample);
Li et al. 2022, arXiv 2206.02336, section 3.2, and Snell et al. 2024, arXiv 2408.03314, section 5.1 (weighted: the answer with the
largest sum of scores over the samples that give it). Scores of steps become one score as `reasoning.rewards.aggregate` says.
"""

import collections
import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from reasoning.methods import majority
from reasoning.methods.base import Method
from reasoning.methods.signatures import extends
from reasoning.rewards.aggregate import aggregate, check_aggregation
from reasoning.rewards.judges import check, label
from reasoning.text.answers import normalise

LIKELIHOOD = {"kind": "confidence", "measure": "likelihood"}  # the one scorer that needs nothing but the samples


@dataclasses.dataclass(frozen=True)
class Scored:
    """A vote that sees scores. A sample whose answer cannot be read (None) has no part in it.

    Attributes:
      scorer: name under which the scores are kept. aggregation: of the scores of steps.
      seed: of ties, which are drawn by problem.
    """

    by_score: ClassVar[bool] = True
    scorer: str = ""
    aggregation: str = "last"
    seed: int = 0

    def __post_init__(self):
        check_aggregation(self.aggregation)

    def value(self, scores: Sequence[float]) -> float:
        """One number for the scores of a response's steps. Raises InputError for a product of what is no probability."""
        return aggregate(self.aggregation, scores)

    def draw(self, problem: str, tied: Sequence[str]) -> str:
        """One of `tied`, the same in every order of samples."""
        return majority.draw(self.seed, problem, tied)


class Best(Scored):
    """The answer of the sample with the highest score; of equal ones, one drawn among the samples."""

    def __call__(self, problem: str, answers: Sequence[str | None], scores: Sequence[float] = ()) -> str | None:
        """scores: one a sample; without them all are alike."""
        readable = [(score, normalise(answer)) for answer, score in _pairs(answers, scores)]
        if not readable:
            return None
        best = max(score for score, _ in readable)
        return self.draw(problem, [answer for score, answer in readable if score == best])


class Weighted(Scored):
    """The answer with the largest sum of scores over its samples; of equal ones, one drawn among the answers.

    A score below 0 (of a noisy oracle) weighs nothing.
    """

    def __call__(self, problem: str, answers: Sequence[str | None], scores: Sequence[float] = ()) -> str | None:
        """scores: one a sample; without them all are alike, which is the majority vote."""
        weights = collections.defaultdict(list)
        for answer, score in _pairs(answers, scores):
            weights[normalise(answer)].append(max(score, 0.0))
        if not weights:
            return None
        sums = {answer: math.fsum(parts) for answer, parts in weights.items()}  # exact, so no order of samples shows
        return self.draw(problem, [answer for answer, total in sums.items() if total == max(sums.values())])


def _pairs(answers: Sequence[str | None], scores: Sequence[float]):
    """(answer, score) of the samples that can be read."""
    scored = zip(answers, scores or [1.0] * len(answers), strict=True)
    return [(answer, score) for answer, score in scored if normalise(answer) is not None]


@extends(majority.make)
def make(
    *,
    scorer: Mapping[str, Any] = LIKELIHOOD,
    aggregation: str = "last",
    weighted: bool = False,
    seed: int = 0,
    **rest: Any,
) -> Method:
    """The best of `n` sampled chains of thought; the rest are arguments of `majority.make`.

    Args:
      scorer: `kind` and its arguments (`reasoning.rewards.judges`): {"kind": "prm", "model": …, "format": …}.
      aggregation: of the scores of steps: last, min, prod or mean.
      weighted: the answer with the largest sum of scores instead of the best sample's.
    """
    check(scorer)
    one = majority.make(seed=seed, **rest)
    vote = (Weighted if weighted else Best)(label(scorer), aggregation, seed)
    return dataclasses.replace(one, name="best_of_n", vote=vote, scorer=scorer)
