"""The jitted heart: one step for all rows, and a chunk of steps as a while loop without a host read.

    feed tokens[length-1] ─► logits ─► transforms ─► sample (or the forced token) ─► controllers ─► write, or take back

Axis legend: `B` slots, `S` cache length, `V` vocabulary.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from reasoning.decode import phases
from reasoning.decode.base import Chain, Context, active, apply_gated, decide, select_rows, touched_rows
from reasoning.decode.sampling import log_prob, sample, top_log_probs, uniform
from reasoning.decode.slots import (
    DRAW,
    STOP_LENGTH,
    THOUGHT_ITSELF,
    Playing,
    Slots,
    States,
    ring_fill,
    ring_read,
    ring_size,
    ring_write,
)
from reasoning.models.network import Network
from reasoning.sharding import whole


class Report(NamedTuple):
    """What the host reads after a chunk; never donated, so it can be read while the next chunk runs.

    Attributes:
      done, pause: bool[B]. length: int32[B]. emitted: int32[B], model steps of the row
        in this chunk. steps: int32[], of the chunk.
    """

    done: jax.Array
    pause: jax.Array
    length: jax.Array
    emitted: jax.Array
    steps: jax.Array


def context_of(slots: Slots, phase: phases.PhaseState, tables: Any) -> Context:
    """What stages may see of `slots` before this step."""
    last = jax.vmap(lambda row, length: row[length - 1])(slots.tokens, slots.length)
    return Context(
        token=last,
        tokens=slots.tokens,
        forced=slots.forced,
        length=slots.length,
        prompt_length=slots.prompt_length,
        limit=slots.limit,
        phase=phase.phase,
        phase_start=phase.start,
        phase_match=phase.match,
        playing=slots.playing.active(),
        barred=slots.barred,
        tables=tables,
    )


def initial_states(chain: Chain, slots: Slots, tables: Any) -> States:
    """States of every stage for the prefixes that `slots` holds, each filling its whole ring."""
    phase = phases.init(slots.knobs, slots.tokens, slots.length, slots.prompt_length, tables)
    context = context_of(slots, phase, tables)
    states = States(
        transforms=tuple(stage.init(slots.knobs, context) for stage in chain.transforms),
        controllers=tuple(stage.init(slots.knobs, context) for stage in chain.controllers),
        phase=phase,
    )
    return ring_fill(states, ring_size(chain))


def _forced_token(playing: Playing, tables: Any) -> jax.Array:
    """int32[B]: the token that `playing` writes next; meaningless in rows where nothing is played."""
    residue = tables.patterns.residues[jnp.maximum(playing.residue, 0), playing.cursor]
    script = tables.scripts[jnp.maximum(playing.script, 0), playing.cursor]
    return jnp.where(playing.residue > 0, residue, script)


def _advance(playing: Playing, tables: Any) -> Playing:
    """`playing` after one of its tokens was written."""

    def more(table, row, cursor):
        width = table.shape[1]
        return (cursor < width) & (table[jnp.maximum(row, 0), jnp.minimum(cursor, width - 1)] >= 0)

    cursor = playing.cursor + 1
    in_residue = playing.residue > 0
    residue_goes_on = in_residue & more(tables.patterns.residues, playing.residue, cursor)
    script_goes_on = ~in_residue & (playing.script >= 0) & more(tables.scripts, playing.script, cursor)
    return dataclasses.replace(
        playing,
        residue=jnp.where(residue_goes_on, playing.residue, 0),
        script=jnp.where(in_residue | script_goes_on, playing.script, -1),
        cursor=jnp.where(residue_goes_on | script_goes_on, cursor, 0),
    )


def _deciding_states(slots: Slots, winner: jax.Array, after: tuple[Any, ...], rewinds: jax.Array) -> tuple[Any, ...]:
    """Rings of the controllers after a rewind: the decider keeps its new state at every length, so it never forgets
    that it has decided; all others find their old state at the shorter length."""
    rings = []
    for index, (ring, new) in enumerate(zip(slots.states.controllers, after, strict=True)):
        size = jax.tree.leaves(ring)[0].shape[1] if jax.tree.leaves(ring) else 1
        rings.append(select_rows(rewinds & (winner == index), ring_fill(new, size), ring))
    return tuple(rings)


def make_step(network: Network, chain: Chain, alternatives: int = 0) -> Callable[..., Slots]:
    """step(params, slots, tables, gates, touches bool[B]) → slots: one model step of every row neither done nor paused."""

    def step(params, slots: Slots, tables, gates, touches) -> Slots:
        size = slots.tokens.shape[1]
        run = ~(slots.done | slots.pause)
        before = ring_read(slots.states, slots.length)
        context = context_of(slots, before.phase, tables)

        position = jnp.where(run, slots.length - 1, size)  # = S: a row that rests writes nowhere
        hidden, cache = network.forward(params, context.token[:, None], position[:, None], slots.cache)
        logits = whole(network.head(params, hidden[:, 0]))

        usable = jnp.where(tables.samplable, logits, -jnp.inf)
        usable = phases.bar(usable, slots.barred, before.phase, slots.knobs, tables)
        edited, transforms = apply_gated(chain.transforms, gates, usable, before.transforms, slots.knobs, context)
        key = jax.vmap(jax.random.fold_in, (0, None))(slots.key, DRAW)
        sampled = sample(edited, uniform(key, slots.draws))
        playing = context.playing
        token = jnp.where(playing, _forced_token(slots.playing, tables), sampled)

        # A row that nothing touches was sampled from the model's own distribution, whatever its neighbours do.
        raw = log_prob(logits, token)
        touched = slots.barred | touches
        processed = jax.lax.cond(jnp.any(touched), lambda: jnp.where(touched, log_prob(edited, token), raw), lambda: raw)

        seen = dataclasses.replace(context, logits=logits)
        decision, controllers, winner = decide(chain.controllers, token, before.controllers, slots.knobs, seen)
        decided = decision.decides() & run & ~playing
        rewinds = decided & (decision.rewind >= 0)
        writes = run & ~rewinds

        back = jnp.clip(decision.rewind, 0, slots.length - slots.prompt_length)
        length = jnp.where(rewinds, slots.length - back, slots.length + writes)
        place = jnp.where(writes, slots.length, size)

        def put(array, value):
            return jax.vmap(lambda row, index, x: row.at[index].set(x, mode="drop"))(array, place, value)

        other_tokens, other_logprobs = slots.other_tokens, slots.other_logprobs
        if alternatives:
            likely, values = top_log_probs(logits, alternatives)
            other_tokens, other_logprobs = put(other_tokens, likely), put(other_logprobs, values)

        phase = phases.update(before.phase, token, slots.length, slots.prompt_length, slots.knobs, tables)
        thought = jnp.where(decided & (decision.thought > 0), decision.thought, slots.thought)
        by_itself = (before.phase.phase == phases.THINKING) & (phase.phase == phases.ANSWER) & writes & ~playing
        thought = jnp.where(by_itself, THOUGHT_ITSELF, thought)
        kept = _deciding_states(slots, winner, controllers, rewinds)
        rings = dataclasses.replace(slots.states, controllers=kept)
        states = ring_write(rings, slots.length + 1, States(transforms, controllers, phase), writes)

        # A decision starts its residue and script; a forced token advances them; an end waits until both are written.
        begun = Playing(decision.residue, decision.script, jnp.zeros_like(length), decision.done, decision.pause, decision.reason)
        play = select_rows(run & playing, _advance(slots.playing, tables), slots.playing)
        play = select_rows(decided, begun, play)
        settled = run & ~play.active()
        full = run & (length >= slots.limit)
        done = settled & play.done
        reason = jnp.where(done, play.reason, jnp.where(full, STOP_LENGTH, slots.reason))
        return dataclasses.replace(
            slots,
            tokens=put(slots.tokens, token),
            forced=put(slots.forced, playing),
            logprob=put(slots.logprob, jnp.where(playing, 0.0, raw)),
            processed_logprob=put(slots.processed_logprob, jnp.where(playing, 0.0, processed)),
            other_tokens=other_tokens,
            other_logprobs=other_logprobs,
            length=length,
            draws=slots.draws + run,
            discarded=slots.discarded + jnp.where(rewinds, back + 1, 0),
            barred=jnp.where(decided, decision.bar, slots.barred & ~(writes & ~playing)),
            done=slots.done | done | full,
            pause=slots.pause | (settled & play.pause),
            reason=reason,
            thought=thought,
            playing=select_rows(settled, Playing.nothing(length.shape[0]), play),
            states=states,
            cache=cache,
        )

    return step


class Teams(NamedTuple):
    """Rows that wait for each other, `width` neighbours a team: a chunk of steps ends when `share` of the teams that it began
    with have come to rest, so that few slow rows do not hold up the others."""

    width: int
    share: float


def at_rest(slots: Slots, width: int) -> jax.Array:
    """bool[B // width]: teams of which no row runs. Rows that are left over belong to none."""
    teams = slots.done.size // width
    return (slots.done | slots.pause)[: teams * width].reshape(teams, width).all(1)


def make_decode(
    network: Network,
    chain: Chain,
    alternatives: int = 0,
    unroll: int = 1,
    agree: Callable[[jax.Array], jax.Array] | None = None,
    teams: Teams | None = None,
) -> Callable[..., tuple[Slots, Report]]:
    """decode(params, slots, tables, n int32[]) → (slots, Report): up to n steps, fewer when no row is left to run.

    Args:
      teams: ends it earlier, when enough of them are at rest. Not for rows that a mesh splits.
      unroll: steps between two tests of the loop's end, static. Resting rows are masked, so it changes no token; n is
        rounded up to a multiple of it.
      agree: int32[] → int32[], of whether these rows go on, where shards of the slots must stop together (see `spread`).
    """
    step = make_step(network, chain, alternatives)

    def decode(params, slots: Slots, tables, n):
        gates = [active(stage, slots.knobs) for stage in chain.transforms]
        touches = touched_rows(chain.transforms, slots.knobs, slots.length.shape[0])
        draws = slots.draws
        resting = None if teams is None else at_rest(slots, teams.width)

        def going(carry):
            taken, slots = carry
            live = jnp.any(~(slots.done | slots.pause))
            if teams is not None:
                arrived = jnp.sum(at_rest(slots, teams.width) & ~resting)
                live &= arrived < jnp.maximum(1, jnp.ceil(teams.share * jnp.sum(~resting)))
            return (taken < n) & (live if agree is None else agree(live.astype(jnp.int32)) > 0)

        def body(carry):
            taken, slots = carry
            slots = jax.lax.fori_loop(0, unroll, lambda _, slots: step(params, slots, tables, gates, touches), slots)
            return taken + unroll, slots

        taken, slots = jax.lax.while_loop(going, body, (jnp.int32(0), slots))
        return slots, Report(slots.done, slots.pause, slots.length, slots.draws - draws, taken)

    return decode
