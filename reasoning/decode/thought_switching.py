"""Thought-switching penalty (TIP): for β tokens after a thought began, words that would leave it for another are less likely.

    logit[v] − α   if v is a switch token and t < Ψ + β, in the thinking phase          t = length, Ψ = where the thought began

Ψ is the length at which thinking began or, after that, the length just behind the latest switch: what is counted are the
tokens of the present thought. A switch is a token of the row's set or the end of one of its phrases, sampled or forced.

Source: Wang et al. 2025, "Thoughts Are All Over the Place: On the Underthinking of o1-Like LLMs", arXiv 2501.18585, section
3.1, equation 2. The paper does not say how Ψ moves; that it follows the latest switch is how its published reproduction reads it.

Axis legend: `B` slots (rows), `S` cache length, `V` vocabulary, `n` phrases of a row.
"""

import dataclasses

import jax
import jax.numpy as jnp

from reasoning.decode.base import Context, Knob, Knobs, Transform
from reasoning.decode.matching import advance_any
from reasoning.decode.phases import THINKING
from reasoning.decode.transforms import GREEDY_BELOW, TEMPERATURE

MAX_PHRASES = 4
LARGEST = 100.0  # logits; exp(−100) is nothing, and 1e30 would be a ban, for which there is `forbidden_ids`

KNOBS = {
    "switch_penalty": Knob("float32", (), 0.0, -LARGEST, LARGEST, "logits taken from switch tokens (TIP's α); 0 is off"),
    "switch_window": Knob("int32", (), 0, 0, None, "tokens of a thought during which they are taken (TIP's β); 0 is off"),
    "switch_set": Knob("int32", (), 0, 0, None, "vocabulary set of the switch tokens; 0 is none", "sets"),
    "switch_phrases": Knob("int32", (MAX_PHRASES,), 0, 0, None, "pattern rows of switch phrases; 0 is none", "patterns"),
    "switch_reset": Knob("int32", (), 1, 0, 1, "1: a switch begins a window of its own; 0: there is one, where thinking begins"),
    "switch_from_start": Knob("int32", (), 1, 0, 1, "1: penalised from the first token of thinking; 0: after its first switch"),
    "switch_after_temperature": Knob("int32", (), 0, 0, 1, "1: the penalty holds after the temperature; 0: before it"),
    "switch_everywhere": Knob("int32", (), 0, 0, 1, "1: the whole response counts as thinking; 0: the thinking phase alone"),
    "temperature": TEMPERATURE,
}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Thought:
    """What a row remembers, whatever its phase: `update` sorts out which switches were in the thinking.

    Attributes:
      switched: int32[B], length just behind the latest generated switch, 0 for none.
      match: int32[B, n], bytes seen of each phrase.
    """

    switched: jax.Array
    match: jax.Array


def thinking(context: Context, everywhere: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(bool[B], whether the next token is thought; int32[B], the length at which thinking began), by `everywhere` int32[B]."""
    whole = everywhere > 0
    return whole | (context.phase == THINKING), jnp.where(whole, context.prompt_length, context.phase_start)


def members(context: Context, index: jax.Array) -> jax.Array:
    """bool[B, V]: the vocabulary set `index` int32[B] of each row; nothing for 0."""
    return context.tables.sets[index] & (index > 0)[:, None]


def thought_switching() -> Transform:
    """The penalty of the module's docstring, on the model's raw logits: put it first in the chain.

    Equation 2 has no temperature. Before it an offset of α becomes α / T; `switch_after_temperature` takes α · T here, so
    that α is what is left of it (in a greedy row, of which no temperature is left, α itself).

    A phrase is matched as a string and only its end is penalised: a token that would complete it when earlier tokens have
    begun it. So its first token, with which other phrases begin as well, never is. Write a phrase with its leading space if
    it must not begin inside a word ("hold on" ends "threshold on").

    Knobs: `KNOBS`. The window of 0 and the penalty of 0 are neutral.
    """

    def init(knobs: Knobs, context: Context) -> Thought:
        last = context.length - 1  # `context.token` is folded in by the first update
        position = jnp.arange(context.tokens.shape[1])
        generated = (position >= context.prompt_length[:, None]) & (position < last[:, None])
        in_set = jax.vmap(lambda members, tokens: members[tokens])(members(context, knobs["switch_set"]), context.tokens)
        single = jnp.max(jnp.where(in_set & generated, position + 1, 0), axis=1)
        match, phrase = _phrases(knobs, context, last)
        return Thought(jnp.maximum(single, phrase).astype(jnp.int32), match)

    def update(logits: jax.Array, state: Thought, knobs: Knobs, context: Context) -> tuple[jax.Array, Thought]:
        switches, now = members(context, knobs["switch_set"]), context.length
        match, first = advance_any(context.tables.patterns, knobs["switch_phrases"], state.match, context.token)
        switch = (first.end > 0) | jax.vmap(lambda members, token: members[token])(switches, context.token)
        new = now > context.prompt_length  # a prompt's last token is no switch of the row's
        state = Thought(
            jnp.where(switch & new, now, state.switched),
            jnp.where(new[:, None], match, state.match),
        )

        inside, start = thinking(context, knobs["switch_everywhere"])
        switched = state.switched > start
        began = jnp.where(switched & (knobs["switch_reset"] > 0), state.switched, start)
        inside &= (now - began < knobs["switch_window"]) & (switched | (knobs["switch_from_start"] > 0))
        heat = jnp.where(knobs["temperature"] < GREEDY_BELOW, 1.0, knobs["temperature"])
        offset = knobs["switch_penalty"] * jnp.where(knobs["switch_after_temperature"] > 0, heat, 1.0)
        # Not by subtracting 0 elsewhere, which would turn a −0 into a +0.
        penalised = _or_completes(switches, inside, knobs, state, context) & (inside & (offset != 0))[:, None]
        return jnp.where(penalised, logits - offset[:, None], logits), state

    return Transform(KNOBS, init, update, switches=("switch_penalty",))


def _phrases(knobs: Knobs, context: Context, stop: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(match int32[B, n], int32[B] length just behind the latest phrase) of the generated tokens before `stop` int32[B]."""
    patterns, rows = context.tables.patterns, knobs["switch_phrases"]

    def body(step, carry):
        match, found = carry
        position = context.prompt_length + step
        token = jnp.take_along_axis(context.tokens, jnp.minimum(position, context.tokens.shape[1] - 1)[:, None], axis=1)[:, 0]
        after, first = advance_any(patterns, rows, match, token)
        written = position < stop
        found = jnp.where(written & (first.end > 0), position + 1, found)
        return jnp.where(written[:, None], after, match), found

    steps = jnp.max(stop - context.prompt_length)  # none at admission
    return jax.lax.fori_loop(0, steps, body, (jnp.zeros(rows.shape, jnp.int32), jnp.zeros_like(stop)))


def _or_completes(switches: jax.Array, inside: jax.Array, knobs: Knobs, state: Thought, context: Context) -> jax.Array:
    """`switches` bool[B, V], and the tokens that would complete a phrase that is under way in a row where `inside`."""
    patterns, rows = context.tables.patterns, knobs["switch_phrases"]
    completing = patterns.end[rows, state.match] > 0  # bool[B, n, C], by class of token
    under_way = (state.match > 0) & inside[:, None]
    # Most beginnings are a letter that happens to fit, which no token completes; only the others look at the vocabulary.
    wanted = under_way & completing.any(-1)

    def row(pattern, completing, wanted):
        return completing[patterns.classes[pattern]] & wanted

    def body(n, switches):
        def add(switches):
            return switches | jax.vmap(row)(rows[:, n], completing[:, n], wanted[:, n])

        return jax.lax.cond(wanted[:, n].any(), add, lambda switches: switches, switches)

    return jax.lax.fori_loop(0, MAX_PHRASES, body, switches)
