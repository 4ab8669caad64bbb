"""Beam search over steps, with the two selection rules that go by that name.

    "text"      keep the best N/M prefixes, M continuations each     Snell et al., section 5.2; huggingface/search-and-learn
    "caption"   keep the best M prefixes, N/M continuations each     Snell et al., caption of figure 2; its_hub

They agree where M = √N only. With M = 1 ("text") nothing is ever pruned: beam search is sampling.

Complete rows hold their slots, so with L rows live the best ⌈L/M⌉ ("text") or M ("caption") of these go on, in the L slots.
Scores tie in favour of the lower slot.

Source: Snell et al. 2024, "Scaling LLM Test-Time Compute Optimally can be More Effective than Scaling Model Parameters",
arXiv 2408.03314.
"""

import dataclasses

import jax.numpy as jnp

from reasoning.errors import InputError
from reasoning.search.base import Search, Selection, best, check_split

RULES = ("text", "caption")


@dataclasses.dataclass(frozen=True)
class Beam(Search):
    """Beam search of width M = `beam_width`; `rule`: see the module."""

    beam_width: int = 4
    rule: str = "text"

    def check(self, width: int) -> None:
        """Raises InputError unless M divides N."""
        check_split("beam search", width, self.beam_width)
        if self.rule not in RULES:
            raise InputError(f"beam search has the rules {' and '.join(RULES)}, got {self.rule!r}")

    def select(self, scores, rows, key, state):
        """Draws nothing."""
        keep = -(-rows.live.sum() // self.beam_width) if self.rule == "text" else jnp.asarray(self.beam_width)
        return Selection(best(scores, rows.live, keep)), state
