"""How a request enters a slot: its prompt waits prefilled in a room (`reasoning.decode.waiting`) and is copied from there.

Admission copies a room's row into every slot that wants that prompt, so n samples of one prompt prefill it once. The
last prompt token is left for the first decode step.

Axis legend: `B` slots, `W` rows of the waiting room, `S` cache length.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from reasoning.decode import phases
from reasoning.decode.base import Chain, Knob, select_rows
from reasoning.decode.loop import initial_states
from reasoning.decode.slots import Playing, Slots, identity_key
from reasoning.models.network import Network

# Knobs that the loop itself reads, whatever the chain.
LOOP_KNOBS = {
    **phases.KNOBS,
    "forced_start": Knob("int32", (), -1, -1, None, "script row that the response begins with; -1 for none", "scripts"),
}


def all_knobs(chain: Chain) -> dict[str, Knob]:
    """Knobs of the chain and of the loop."""
    return {**LOOP_KNOBS, **chain.knobs}


class Admission(NamedTuple):
    """One refill, written on the host; rows with `source` < 0 stay as they are.

    Attributes:
      source: int32[B], row of the waiting room. tokens: int32[B, S]; prompt_length, limit: int32[B].
      seed: uint32[B]; identity: uint32[B, 2], digest of the request's id; sample: int32[B]. knobs: {name: [B, …]}.
    """

    source: Any
    tokens: Any
    prompt_length: Any
    limit: Any
    seed: Any
    identity: Any
    sample: Any
    knobs: Any


def _blank(chain: Chain, batch: int, size: int, alternatives: int) -> Slots:
    """`batch` empty (done) slots of length 1, without states and cache."""
    zero, no = jnp.zeros(batch, jnp.int32), jnp.zeros(batch, bool)
    return Slots(
        tokens=jnp.zeros((batch, size), jnp.int32),
        forced=jnp.zeros((batch, size), bool),
        logprob=jnp.zeros((batch, size), jnp.float32),
        processed_logprob=jnp.zeros((batch, size), jnp.float32),
        other_tokens=jnp.zeros((batch, size, alternatives), jnp.int32),
        other_logprobs=jnp.zeros((batch, size, alternatives), jnp.float32),
        length=zero + 1,
        prompt_length=zero + 1,
        limit=zero + size,
        draws=zero,
        discarded=zero,
        key=jax.vmap(jax.random.key)(jnp.zeros(batch, jnp.uint32)),
        done=~no,
        pause=no,
        reason=zero,
        thought=zero,
        barred=no,
        playing=Playing.nothing(batch),
        knobs={name: jnp.full((batch, *knob.shape), knob.neutral, knob.dtype) for name, knob in all_knobs(chain).items()},
        states=(),
        cache=(),
    )


def make_empty(network: Network, chain: Chain, batch: int, size: int, alternatives: int) -> Callable[[Any], Slots]:
    """empty(tables) → `batch` empty slots of cache length `size`."""

    def empty(tables) -> Slots:
        slots = _blank(chain, batch, size, alternatives)
        return dataclasses.replace(slots, states=initial_states(chain, slots, tables), cache=network.init_cache(batch, size))

    return empty


def make_admit(chain: Chain) -> Callable[..., Slots]:
    """admit(slots, room, admission, tables) → slots in which the admitted rows stand at the end of their prompt."""

    def admit(slots: Slots, room, admission: Admission, tables) -> Slots:
        batch, size = slots.tokens.shape
        blank = _blank(chain, batch, size, slots.other_tokens.shape[2])
        source = jnp.maximum(admission.source, 0)
        fresh = dataclasses.replace(
            blank,
            tokens=admission.tokens,
            length=admission.prompt_length,
            prompt_length=admission.prompt_length,
            limit=admission.limit,
            key=jax.vmap(identity_key)(admission.seed, admission.identity, admission.sample),
            done=jnp.zeros(batch, bool),
            playing=dataclasses.replace(blank.playing, script=admission.knobs["forced_start"]),
            knobs=admission.knobs,
        )
        fresh = dataclasses.replace(fresh, states=initial_states(chain, fresh, tables))
        enters = admission.source >= 0
        cache = jax.tree.map(lambda slot, waiting: _enter(slot, waiting[source], enters), slots.cache, room)
        others = select_rows(enters, fresh, dataclasses.replace(slots, cache=()))
        return dataclasses.replace(others, cache=cache)

    return admit


def _enter(slot: jax.Array, prompt: jax.Array, enters: jax.Array) -> jax.Array:
    """`slot` [B, …] with `prompt` [B, …], which is shorter along the cache's axis, in front, in the rows `enters` bool[B].

    What a slot holds beyond is stale, finite and masked; leaving it spares a copy of the whole cache.
    """
    front = tuple(slice(0, size) for size in prompt.shape)
    return slot.at[front].set(select_rows(enters, prompt, slot[front]))
