"""Diverse verifier tree search: N/M subtrees that never mix, each keeps its best child and samples M from it.

A subtree that is complete in one row goes on with the others until all of its M are; so it returns M finished answers where
huggingface/search-and-learn returns the siblings of the last round, finished or not (its issue 57).

Subtrees are the groups of M consecutive samples, so the first n of N answers are those of a run of n (n a multiple of M).

Source: Beeching, Tunstall and Rush 2024, "Scaling test-time compute with open models" (Hugging Face blog), "Beyond beam
search"; compared in Puri et al. 2025, arXiv 2502.01618.
"""

import dataclasses

import jax
import jax.numpy as jnp

from reasoning.search.base import Search, Selection, best, check_split


@dataclasses.dataclass(frozen=True)
class Dvts(Search):
    """Subtrees of M = `beam_width` rows."""

    beam_width: int = 4

    def check(self, width: int) -> None:
        """Raises InputError unless M divides N."""
        check_split("DVTS", width, self.beam_width)

    def select(self, scores, rows, key, state):
        """Draws nothing."""
        trees = scores.reshape(-1, self.beam_width), rows.live.reshape(-1, self.beam_width)
        counts = jax.vmap(lambda scores, live: best(scores, live, jnp.asarray(1)))(*trees)
        return Selection(counts.reshape(-1)), state
