"""What a method costs on a problem, for any number of samples up to the pool that was drawn.

Axis legend: `P` problems, `W` samples per problem.

A pool of W samples gives the cost of every k ≤ W without running again: the expectation over subsets of size k is the
prompt plus k times the mean sample. With a cached prefix the prompt is paid once, without it k times.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Cost:
    """Mean cost of one problem.

    Attributes:
      samples: per problem, k.
      prompt: prompt tokens, counted once.
      tokens: that went through the model after the prompt: sampled, forced, taken back and looked ahead, all k samples.
      scorer: tokens read by a scorer: the question once, the responses of all k samples.
      flops: analytic, the prompt prefilled once; flops_uncached: the prompt prefilled for each sample.
      seconds: of the whole machine, compile time apart; NaN if no time was kept.
    """

    samples: int
    prompt: float
    tokens: float
    scorer: float
    flops: float
    flops_uncached: float
    seconds: float


def cost(records: Sequence[Sequence[dict[str, Any]]], k: int, seconds: float = float("nan")) -> Cost:
    """Expected cost of k samples.

    Args:
      records: P problems of W samples each, as `reasoning.evaluation.run` writes them.
      k: samples per problem, 1 ≤ k ≤ W.
      seconds: mean seconds of one sample.
    """

    def mean(*fields: str) -> float:
        return float(np.mean([np.mean([sum(sample["ledger"][field] for field in fields) for sample in row]) for row in records]))

    asked = float(
        np.mean([row[0]["ledger"].get("scorer_question", 0) for row in records])
    )  # of a pool that was scored afterwards
    prompt, generated = mean("flops_prompt"), mean("flops_generated")
    return Cost(
        samples=k,
        prompt=mean("prompt"),
        tokens=k * mean("sampled", "forced", "discarded", "lookahead"),
        scorer=asked + k * mean("scorer"),
        flops=prompt + k * generated,
        flops_uncached=k * (prompt + generated),
        seconds=k * seconds,
    )
