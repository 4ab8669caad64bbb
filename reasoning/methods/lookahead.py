"""Lookahead search: beam search whose prefixes are scored where a rollout of k more steps from them ends.

Source: Snell et al. 2024, arXiv 2408.03314, section 5.2: rollouts at temperature 0, k = 1 and 3 in the sweep. It costs up to
k + 1 times as much as beam search of the same width, and there it was the worst of the three at equal cost.
"""

import dataclasses
from typing import Any

from reasoning.methods import beam_search, searching
from reasoning.methods.base import Method
from reasoning.methods.signatures import extends


@extends(beam_search.make)
def make(*, lookahead: int = 1, rollout_temperature: float = 0.0, **rest: Any) -> Method:
    """Beam search that looks ahead; the rest are arguments of `beam_search.make`.

    Args:
      lookahead: steps of a rollout, k; 0 is beam search.
      rollout_temperature: of these steps.
    """
    one = beam_search.make(**rest)
    search = dataclasses.replace(one.search.search, rollout=lookahead, rollout_temperature=rollout_temperature)
    return searching.with_search(one, "lookahead", search)
