"""Lookahead: a prefix is scored where a rollout from it ends, k steps further on; the rollout is then forgotten.

Any search looks ahead if its `rollout` is k > 0. In a round each live row, at the end of its new step, runs k steps more, at
temperature 0 unless told otherwise, and less where the response ends before; the score at the end stands for the new step's.
Then the rows are what they were: the cache only grew behind their length, so it is kept as it is and copied never, and
everything else is taken from before. k = 0 is the search without it, bit for bit. A rollout draws in a key domain of its own
(LOOKAHEAD), so that what it saw is not what the row will write.

A rollout that ends nowhere better costs as much as one that does: a round costs N (k + 1) steps, less where responses end.

Source: Snell et al. 2024, arXiv 2408.03314, section 5.2 ("lookahead search"). In huggingface/search-and-learn the beam search
generates rollouts and scores the prefix without them, so its lookahead changes nothing but the cost.

Axis legend: `B` slots.
"""

import dataclasses

import jax
import jax.numpy as jnp

from reasoning.decode.slots import Slots, resume
from reasoning.search.base import LOOKAHEAD


def look(small: Slots, temperature: float) -> Slots:
    """The rows of `small` (slots without their cache) as they set out on a rollout; leaves are copies, never `small`'s own.

    So what follows may be donated while `small` waits for the way back (`reasoning.decode.slots.rollback`).
    """
    ahead = jax.tree.map(jnp.copy, small)
    keys = jax.vmap(jax.random.fold_in, (0, None))(ahead.key, LOOKAHEAD)
    knobs = ahead.knobs | {"temperature": jnp.full_like(ahead.knobs["temperature"], temperature)}
    return resume(dataclasses.replace(ahead, key=keys, knobs=knobs), jnp.ones_like(ahead.done))
