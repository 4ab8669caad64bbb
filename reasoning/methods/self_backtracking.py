"""Self-backtracking: a model that was trained to say so takes its last line back, and the search goes on from before it.

Source: Yang et al. 2025, "Step Back to Leap Forward: Self-Backtracking for Boosting Reasoning of Language Models",
arXiv 2502.04404, section 4.2. The score of an answer is the length-normalised likelihood of its samples, and equal answers add:
their likelihoods here, where the published code adds the logarithms, so that an answer found twice is worth less than once.
"""

from typing import Any

from reasoning.errors import InputError
from reasoning.methods import searching
from reasoning.methods.base import Method
from reasoning.methods.signatures import extends
from reasoning.search.backtracking import SelfBacktracking


@extends(searching.make, step_ends=("\n",), stop=("<backtrack>",))
def make(*, backtracks: int = 2, **rest: Any) -> Method:
    """Samples that go back when they say so; the rest are arguments of `searching.make`.

    Args:
      backtracks: times that a line of descent may go back, b.
      stop: the one word for going back; a row that says it once more than it may ends there.
      scorer: none; the likelihood of the policy is all that the method looks at.
    """
    one = searching.make(**rest)
    if len(one.stop) != 1:
        raise InputError(f"self_backtracking has one stop string, the word for going back, got {one.stop!r}")
    if one.search.scorer is not None:
        raise InputError("self_backtracking takes no scorer: a scorer cannot unread the line that is taken back")
    return searching.with_search(one, "self_backtracking", SelfBacktracking(backtracks=backtracks))
