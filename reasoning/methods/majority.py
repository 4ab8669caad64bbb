"""Majority voting (self-consistency): sample several chains of thought and answer what most of them say.

Source: Wang et al. 2022, "Self-Consistency Improves Chain of Thought Reasoning in Language Models", arXiv 2203.11171,
section 2: the unweighted vote, which table 1 there finds as good as the weighted ones.
"""

import collections
import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any

from reasoning.methods import chain_of_thought
from reasoning.methods.base import Method
from reasoning.methods.signatures import extends
from reasoning.text.answers import normalise


@dataclasses.dataclass(frozen=True)
class Plurality:
    """The most frequent answer.

    An unparsable answer (None) abstains. A tie is broken at random, since "the first one wins" would favour some samples:
    the draw is keyed by run seed and problem id, and so is the same on every machine and in every order of samples.
    """

    seed: int = 0

    def __call__(self, problem: str, answers: Sequence[str | None]) -> str | None:
        """The winner as `reasoning.text.answers.normalise` spells it, None if all abstain."""
        counts = collections.Counter(answer for answer in map(normalise, answers) if answer is not None)
        if not counts:
            return None
        most = max(counts.values())
        return draw(self.seed, problem, [answer for answer, count in counts.items() if count == most])


def draw(seed: int, problem: str, tied: Sequence[str]) -> str:
    """One of `tied` answers of a problem, the same in every order of samples; one may be there several times."""
    digest = hashlib.sha256(f"{seed}/{problem}".encode()).digest()
    return sorted(tied)[int.from_bytes(digest, "big") % len(tied)]


@extends(chain_of_thought.make, n=8, temperature=0.7)
def make(*, seed: int = 0, **rest: Any) -> Method:
    """The vote of `n` sampled chains of thought.

    Args:
      n: samples per problem. A pool of n also gives the results of every smaller n (`reasoning.evaluation.reports.scores`).
      temperature: must be above 0 for samples to differ; 0.7 is the paper's (section 3.1).
      top_p: mass of the nucleus, in (0, 1].
      seed: of the samples and of the ties.
      The rest as in `reasoning.methods.chain_of_thought.make`.
    """
    one = chain_of_thought.make(seed=seed, **rest)
    return dataclasses.replace(one, name="majority", vote=Plurality(seed))
