"""Diverse verifier tree search: N/M subtrees that never mix, each continuing its best child M times.

Source: Beeching, Tunstall and Rush 2024, "Scaling test-time compute with open models" (Hugging Face); its figures beside others
are in Puri et al. 2025, arXiv 2502.01618, table 1. What a subtree returns is said in `reasoning.search.dvts`.
"""

from typing import Any

from reasoning.methods import searching
from reasoning.methods.base import Method
from reasoning.methods.signatures import extends
from reasoning.search.dvts import Dvts


@extends(searching.make)
def make(*, beam_width: int = 0, **rest: Any) -> Method:
    """DVTS with N = `n` rows in subtrees of M = `beam_width`, 0: the largest divisor of n up to √n; else as `searching.make`."""
    one = searching.make(**rest)
    return searching.with_search(one, "dvts", Dvts(beam_width=searching.beam_width_of(beam_width, one.n)))
