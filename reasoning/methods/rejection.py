"""Rejection sampling to a length budget: draw until a sample is short enough, and answer what that one says.

Source: Muennighoff et al. 2025, "s1: Simple test-time scaling", arXiv 2501.19393, section 5 and appendix E. It scales the
wrong way there: the tighter the budget, the *better* the answers (AIME 2024 from 23 to 40), since short samples are those of
lucky beginnings, and the dearer, from 1 to 655 tries a question.

All tries are samples of one request, drawn side by side, and all of them are paid for, also those behind the first that fits.
Length is that of the whole response, thinking and answer.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

from reasoning.errors import InputError
from reasoning.methods import chain_of_thought
from reasoning.methods.base import Method
from reasoning.methods.signatures import extends


@dataclasses.dataclass(frozen=True)
class FirstThatFits:
    """The answer of the first sample of at most `budget` tokens; None if there is none, or if that one has no answer."""

    budget: int
    by_length: ClassVar[bool] = True

    def __call__(self, problem: str, answers: Sequence[str | None], lengths: Sequence[int] = ()) -> str | None:
        """lengths: tokens of each sample; without them all fit."""
        index = self.tries(lengths or (0,) * len(answers)) - 1
        return answers[index] if index >= 0 else None

    def tries(self, lengths: Sequence[int]) -> int:
        """Samples up to the first that fits, it included; 0 if none of them does."""
        return next((index for index, length in enumerate(lengths, start=1) if length <= self.budget), 0)


@extends(chain_of_thought.make, n=8, temperature=1.0)
def make(*, budget: int = 128, **rest: Any) -> Method:
    """The first of at most `n` chains of thought that fits.

    Args:
      budget: tokens. A sample that `max_tokens` cut off never fits.
      n: tries at most.
      temperature: 1 in the paper.
      The rest as in `reasoning.methods.chain_of_thought.make`.

    Raises InputError for a budget below 1.
    """
    if isinstance(budget, bool) or not isinstance(budget, int) or budget < 1:
        raise InputError(f"method 'rejection': budget must be a whole number of tokens ≥ 1, got {budget!r}")
    one = chain_of_thought.make(**rest)
    return dataclasses.replace(one, name="rejection", vote=FirstThatFits(min(budget, one.max_tokens - 1)))
