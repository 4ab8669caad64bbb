"""The contracts of the decode loop: knobs, context, transforms, controllers, and how they chain.

A *transform* edits the logits of a step; a *controller* looks at the token that was chosen and may take it back, force
text, stop or pause the row. Both carry small states, one per row, that the loop keeps for the last few lengths, so that
un-emitting tokens is nothing but a smaller `length` (docs/architecture.md, "Rewind").

Axis legend: `B` slots (rows), `S` cache length, `V` vocabulary.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from reasoning.errors import InputError

State = Any
Knobs = Mapping[str, jax.Array]


@dataclasses.dataclass(frozen=True)
class Knob:
    """One setting of a stage, a value per row: data, so that changing it compiles nothing.

    Attributes:
      dtype: numpy dtype name.
      shape: shape of one row's value; () for a number.
      neutral: the value at which the stage is a bitwise no-op; broadcast to `shape`.
      low, high: inclusive bounds checked on the host before a request is admitted; None is unbounded.
      meaning: one line with units, shown in errors.
      rows_of: "patterns", "scripts" or "sets" if the value is a row of that text table; the engine refuses rows that do not
        exist, which a gather on the device would clamp in silence.
    """

    dtype: str
    shape: tuple[int, ...]
    neutral: float
    low: float | None = None
    high: float | None = None
    meaning: str = ""
    rows_of: str = ""

    def fill(self, name: str, value: Any) -> np.ndarray:
        """`value` as an array of this knob's dtype and shape; short vectors are padded with `neutral`. Raises InputError."""
        array = np.asarray(value)
        if self.shape and array.ndim == 0:
            array = array[None]
        if array.ndim != len(self.shape) or any(have > room for have, room in zip(array.shape, self.shape, strict=True)):
            raise InputError(f"knob {name!r} takes shape {self.shape} ({self.meaning}), got {array.shape}; pass fewer values")
        if array.size and array.dtype.kind not in "biuf":
            raise InputError(f"knob {name!r} takes numbers ({self.meaning}), got {value!r}")
        number = array.astype(np.float64)
        if np.isnan(number).any():
            raise InputError(f"knob {name!r} is not a number; {self.meaning}")
        if (self.low is not None and (number < self.low).any()) or (self.high is not None and (number > self.high).any()):
            low = "-inf" if self.low is None else self.low
            high = "inf" if self.high is None else self.high
            raise InputError(f"knob {name!r} must lie in [{low}, {high}] ({self.meaning}), got {value!r}")
        if np.dtype(self.dtype).kind in "iu":
            bounds = np.iinfo(self.dtype)
            if (number != np.floor(number)).any() or (number < bounds.min).any() or (number > bounds.max).any():
                raise InputError(f"knob {name!r} takes whole numbers up to {bounds.max} ({self.meaning}), got {value!r}")
        out = np.full(self.shape, self.neutral, self.dtype)
        out[tuple(slice(0, n) for n in array.shape)] = array
        return out


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Context:
    """What a stage may look at. A field that no stage reads costs nothing under jit.

    Attributes:
      token: int32[B], the last token written, `tokens[length - 1]`: the one this step feeds. The first call for a row
        sees the last prompt token.
      tokens: int32[B, S] and forced: bool[B, S]; only the first `length` entries of a row are meaningful.
      length: int32[B], tokens written so far with the prompt; prompt_length: int32[B].
      limit: int32[B], length at which the row ends.
      phase: int32[B], 0 before thinking, 1 thinking, 2 answer (`reasoning.decode.phases`); phase_start: int32[B], the
        length at which the phase began; phase_match: int32[B], bytes of the delimiter that ends it, seen so far.
      playing: bool[B], the loop is forcing text in this step, so whatever a controller decides is ignored; one that
        counts its decisions must not count then.
      barred: bool[B], the token that is sampled in this step could not begin an end of thinking.
      logits: float32[B, V], raw, this step; controllers only, None in transforms and `init`.
      tables: the text tables (`reasoning.text.patterns.Tables`), arguments of the compiled loop.
    """

    token: jax.Array
    tokens: jax.Array
    forced: jax.Array
    length: jax.Array
    prompt_length: jax.Array
    limit: jax.Array
    phase: jax.Array
    phase_start: jax.Array
    phase_match: jax.Array
    playing: jax.Array
    barred: jax.Array
    tables: Any
    logits: jax.Array | None = None

    @property
    def generated_from(self) -> jax.Array:
        """int32[B], length at which the response's part of the phase begins: what a prompt says of a thought costs nothing."""
        return jnp.maximum(self.phase_start, self.prompt_length)


class Transform(NamedTuple):
    """(knobs, init, update) of one stage on the logits.

    Attributes:
      knobs: {name: Knob}.
      init: (knobs, context) → state for rows whose next step feeds `context.token`; leaves have the slot axis first and
        none is V-sized. Law: init(prefix) == fold(update, prefix), tokens before `context.token` folded in.
      update: (logits f32[B, V], state, knobs, context) → (logits, state).
      switches: the knobs that turn the stage on when off their neutral value; None is all of them, () is always on. A
        stage that shares a knob with others (stop ids) names its own here, or it would run for theirs.
    """

    knobs: Mapping[str, Knob]
    init: Callable[[Knobs, Context], State]
    update: Callable[[jax.Array, State, Knobs, Context], tuple[jax.Array, State]]
    switches: tuple[str, ...] | None = None


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Decision:
    """What a controller wants for each row, int32[B] or bool[B].

    Attributes:
      rewind: −1 keeps the sampled token; r ≥ 0 un-emits it and the r tokens before it.
      residue: row of `tables.patterns.residues` to re-emit first (0 or less: nothing): text that stood before a match
        inside its first token.
      script: row of `tables.scripts` to force next, or −1.
      bar: the next token that is sampled (after residue and script) may not begin an end of thinking.
      done, pause: stop or pause the row, once residue and script have been played.
      reason: why it is done, one of the STOP_* codes of `reasoning.decode.slots`.
      thought: why the row's thought ends here, one of its THOUGHT_* codes; 0 it does not.
    """

    rewind: jax.Array
    residue: jax.Array
    script: jax.Array
    bar: jax.Array
    done: jax.Array
    pause: jax.Array
    reason: jax.Array
    thought: jax.Array

    @staticmethod
    def none(batch: int) -> "Decision":
        """Nothing decided for any row."""
        minus, no = jnp.full(batch, -1, jnp.int32), jnp.zeros(batch, bool)
        zero = jnp.zeros(batch, jnp.int32)
        return Decision(minus, minus, minus, no, no, no, zero, zero)

    def decides(self) -> jax.Array:
        """bool[B]: whether anything was decided."""
        return (self.rewind >= 0) | (self.residue > 0) | (self.script >= 0) | self.bar | self.done | self.pause


class Controller(NamedTuple):
    """(knobs, init, update) of one stage on the chosen token.

    Attributes:
      knobs: {name: Knob}.
      init: (knobs, context) → state, as for `Transform`.
      update: (token int32[B] about to be written at `context.length`, state, knobs, context) → (Decision, state). Called
        for forced tokens too; what it decides there is ignored.
      rewinds: the largest number of tokens `rewind` can name, R; 0 if it never takes back more than the sampled token.
    """

    knobs: Mapping[str, Knob]
    init: Callable[[Knobs, Context], State]
    update: Callable[[jax.Array, State, Knobs, Context], tuple[Decision, State]]
    rewinds: int = 0


def merge_knobs(stages: Sequence[Transform | Controller]) -> dict[str, Knob]:
    """Knobs of all stages; two stages may share a name if they mean the same knob. Raises InputError."""
    merged: dict[str, Knob] = {}
    for stage in stages:
        for name, knob in stage.knobs.items():
            if merged.setdefault(name, knob) != knob:
                raise InputError(f"two stages declare the knob {name!r} differently; rename one of them")
    return merged


def stateless(
    knobs: Mapping[str, Knob],
    edit: Callable[[jax.Array, Knobs, Context], jax.Array],
    switches: tuple[str, ...] | None = None,
) -> Transform:
    """A transform without state from `edit(logits, knobs, context) → logits`."""

    def update(logits, state, knobs, context):
        return edit(logits, knobs, context), ()

    return Transform(knobs, lambda knobs, context: (), update, switches)


def switches_of(stage: Transform) -> tuple[str, ...]:
    """Names of the knobs that turn `stage` on; none of them means always on."""
    return tuple(stage.knobs) if stage.switches is None else stage.switches


def active(stage: Transform, knobs: Knobs) -> jax.Array:
    """bool[]: whether any row sets a switch of `stage` off its neutral value. Knobs are constant during a chunk."""
    off = [jnp.any(knobs[name] != jnp.asarray(stage.knobs[name].neutral, knobs[name].dtype)) for name in switches_of(stage)]
    return jnp.any(jnp.stack(off)) if off else jnp.array(True)


def touched_rows(stages, knobs: Knobs, batch: int) -> jax.Array:
    """bool[B]: whether some stage is on in the row: a switch off its neutral value, or none to turn it off."""
    rows = jnp.zeros(batch, bool)
    for stage in stages:
        for name in switches_of(stage):
            off = knobs[name] != jnp.asarray(stage.knobs[name].neutral, knobs[name].dtype)
            rows |= jnp.any(off.reshape(batch, -1), axis=1)
        rows |= not switches_of(stage)
    return rows


def chain(*stages: Transform) -> Transform:
    """Stages one after the other. A stage whose knobs are neutral in every row is skipped as a whole (`active` says which)."""

    def init(knobs, context):
        return tuple(stage.init(knobs, context) for stage in stages)

    def update(logits, state, knobs, context):
        return apply_gated(stages, [active(stage, knobs) for stage in stages], logits, state, knobs, context)

    names = [switches_of(stage) for stage in stages]
    switches = tuple(dict.fromkeys(sum(names, ()))) if all(names) else ()
    return Transform(merge_knobs(stages), init, update, switches)


def apply_gated(stages, gates, logits, state, knobs, context):
    """`chain`'s update with the gates computed by the caller, once a chunk: in the loop body they would be a collective."""
    states = []
    for stage, gate, before in zip(stages, gates, state, strict=True):

        def run(operand, stage=stage):
            return stage.update(*operand, knobs, context)

        logits, after = jax.lax.cond(gate, run, lambda operand: operand, (logits, before))
        states.append(after)
    return logits, tuple(states)


def select_rows(mask, new, old):
    """Row by row, `new` where `mask` bool[B] holds and `old` elsewhere; both are trees of [B, …] arrays."""

    def select(a, b):
        return jnp.where(mask.reshape(mask.shape + (1,) * (b.ndim - 1)), a, b)

    return jax.tree.map(select, new, old)


def decide(stages, token, state, knobs, context):
    """All controllers on one token: (Decision, states, int32[B] index of the stage that decided, −1 none).

    In each row the first stage that decides wins and the others' decisions are dropped.
    """
    batch = token.shape[0]
    chosen, winner, states = Decision.none(batch), jnp.full(batch, -1, jnp.int32), []
    for index, (stage, before) in enumerate(zip(stages, state, strict=True)):
        decision, after = stage.update(token, before, knobs, context)
        takes = decision.decides() & (winner < 0)
        chosen = select_rows(takes, decision, chosen)
        winner = jnp.where(takes, index, winner)
        states.append(after)
    return chosen, tuple(states), winner


@dataclasses.dataclass(frozen=True, eq=False)
class Chain:
    """The stages of one compiled program. Compared by identity: build it once and reuse it, or every use compiles again.

    Attributes:
      transforms, controllers: in the order in which they act.
    """

    transforms: tuple[Transform, ...]
    controllers: tuple[Controller, ...]

    @functools.cached_property
    def knobs(self) -> dict[str, Knob]:
        """All knobs of all stages. Raises InputError when two stages disagree about a name."""
        return merge_knobs((*self.transforms, *self.controllers))

    @property
    def reach(self) -> int:
        """Tokens that a controller may take back besides the sampled one, R."""
        return max((stage.rewinds for stage in self.controllers), default=0)
