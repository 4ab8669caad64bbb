"""Self-backtracking: the model itself says that its last step was wrong, and the search goes on from before that step.

A row that writes the word for going back (a stop string, so it is cut out again) is dead. Its prefix without the last whole
line is a state to be expanded again, unless it was before; at most √W states a round share the slots of all dead rows. A row
may go back `backtracks` times in its line of descent; what cannot go back any more stays dead and is a final that abstains.

Compared with the published code: there each of the ≤ √k states of a round is sampled k times, here all live rows together are
W, and rows go back line by line as they ask for it instead of in rounds of whole answers. Going back to the prompt itself is
no new state, there as here.

Source: Yang et al. 2025, "Step Back to Leap Forward: Self-Backtracking for Boosting Reasoning of Language Models",
arXiv 2502.04404, section 4.2 ("expansion", "backtracking", "selection").
"""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from reasoning.decode.slots import STOP_PATTERN
from reasoning.errors import InputError
from reasoning.search.base import Search, Selection, best, parents_of

REMEMBERED = 256  # states of a problem that were expanded; older ones are forgotten


class Walk(NamedTuple):
    """State of one problem: of each row times that it went back int32[W], steps that it had int32[W] and whether it was dead
    bool[W] a round ago; digests uint32[n] of the states that were expanded and their number int32[]."""

    used: jax.Array
    steps: jax.Array
    dead: jax.Array
    seen: jax.Array
    count: jax.Array


def digest(tokens: jax.Array, length: jax.Array) -> jax.Array:
    """uint32[W], never 0: a hash of `tokens[:length]`, int32[W, S] and int32[W]."""
    place = jnp.arange(tokens.shape[1], dtype=jnp.uint32)
    mixed = (tokens.astype(jnp.uint32) + 1) * (place * jnp.uint32(2654435761) + jnp.uint32(2246822519))
    mixed = jnp.where(place[None] < length[:, None].astype(jnp.uint32), mixed ^ (mixed >> 15), 0)
    return jnp.sum(mixed, 1, dtype=jnp.uint32) * jnp.uint32(3266489917) | jnp.uint32(1)


@dataclasses.dataclass(frozen=True)
class SelfBacktracking(Search):
    """Goes back at most `backtracks` times in a line of descent; the only stop string of its requests is the word for it."""

    backtracks: int = 2

    @property
    def cuts(self) -> bool:
        """It takes steps back."""
        return True

    def check(self, width: int) -> None:
        """Raises InputError for a number of backtracks that is none."""
        if not isinstance(self.backtracks, int) or isinstance(self.backtracks, bool) or self.backtracks < 0:
            raise InputError(f"self-backtracking goes back a whole number of times ≥ 0, got {self.backtracks!r}")

    def init(self, width: int) -> Walk:
        """Nothing visited."""
        zero = jnp.zeros(width, jnp.int32)
        return Walk(zero, zero, jnp.zeros(width, bool), jnp.zeros(REMEMBERED, jnp.uint32), jnp.int32(0))

    def select(self, scores, rows, key, state):
        """Draws nothing and does not look at the scores: who is dead has said so."""
        width = scores.size
        dead = rows.done & (rows.reason == STOP_PATTERN)
        # A line that was being written when the row gave up goes, and the last whole one before it.
        unfinished = rows.steps > state.steps
        last = rows.steps - 1 - unfinished
        start = jnp.take_along_axis(rows.starts, jnp.maximum(last, 0)[:, None], 1)[:, 0]
        length = jnp.where(last >= 0, start, rows.prompt_length)

        name = digest(rows.tokens, length)
        first = ~((name[None] == name[:, None]) & (dead & ~state.dead)[None] & jnp.tri(width, k=-1, dtype=bool)).any(1)
        known = (name[:, None] == state.seen[None]).any(1) | (length <= rows.prompt_length)
        new = dead & ~state.dead & first & ~known & (state.used < self.backtracks)
        new &= jnp.cumsum(new) <= math.isqrt(width)

        shares = best(-jnp.arange(width, dtype=jnp.float32) - 1e6 * ~new, dead, new.sum())  # the new ones come first
        counts = jnp.where(dead & new.any(), shares, 1)
        parents = parents_of(counts)
        place = jnp.where(new, (state.count + jnp.cumsum(new) - 1) % REMEMBERED, REMEMBERED)
        length = jnp.where(new, length, rows.length)
        walk = Walk(
            used=(state.used + new)[parents],
            steps=jnp.where(new, jnp.maximum(last, 0), rows.steps)[parents],
            dead=(dead & ~new)[parents],
            seen=state.seen.at[place].set(name, mode="drop"),
            count=state.count + new.sum(),
        )
        return Selection(counts, length), walk
