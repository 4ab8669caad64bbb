"""Beam search over steps against a scorer: prefixes are scored at the end of each step, and the best of them are continued.

Source: Snell et al. 2024, "Scaling LLM Test-Time Compute Optimally can be More Effective than Scaling Model Parameters",
arXiv 2408.03314, section 5.2. The two selection rules that go by this name are told apart in `reasoning.search.beam`.
"""

from typing import Any

from reasoning.methods import searching
from reasoning.methods.base import Method
from reasoning.methods.signatures import extends
from reasoning.search.beam import Beam


@extends(searching.make)
def make(*, beam_width: int = 0, rule: str = "text", **rest: Any) -> Method:
    """Beam search with N = `n` rows; the rest are arguments of `searching.make`.

    Args:
      beam_width: M, a divisor of n; 0 is the largest one up to √n.
      rule: "text" keeps N/M prefixes and continues each M times, "caption" keeps M and continues each N/M times.
    """
    one = searching.make(**rest)
    return searching.with_search(one, "beam_search", Beam(beam_width=searching.beam_width_of(beam_width, one.n), rule=rule))
