"""String matching inside the decode loop: one automaton step per token, and where a completed match began.

A match may begin inside a token and end inside another (`.</` … `>\\n\\n`). It is described by the tokens it touches, the
residue (text of the first token before it, to be re-emitted) and the overflow (bytes of the last token after it, dropped).
Functions are written for one row and vmapped; the tables come from `reasoning.text.patterns` as arguments.

Axis legend: `B` slots (rows), `S` cache length, `n` patterns a row watches at once.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from reasoning.text.patterns import PatternTables


class Match(NamedTuple):
    """Where a match lies, int32[B] each; all 0 where there is none.

    Attributes:
      touched: tokens that hold some of its bytes, the last one included; to un-emit them all, `rewind = touched - 1`.
      residue: row of `PatternTables.residues` that rewrites the text before it in its first token; 0 is nothing.
      overflow: bytes after it in its last token.
    """

    touched: jax.Array
    residue: jax.Array
    overflow: jax.Array


class First(NamedTuple):
    """The first match among a row's patterns, int32[B] each: the earliest end; of several there, the lowest index.

    Attributes:
      index: position in the row's list of patterns, −1 for no match.
      pattern: id of the pattern, 0 for no match.
      end: bytes of the token up to and including the match, 0 for no match.
    """

    index: jax.Array
    pattern: jax.Array
    end: jax.Array


def advance(patterns: PatternTables, pattern: jax.Array, state: jax.Array, token: jax.Array) -> tuple[jax.Array, jax.Array]:
    """One token: (pattern, state, token) int32[B] → (state, end) int32[B]; end > 0 where a match completes in the token."""

    def row(pattern, state, token):
        kind = patterns.classes[pattern, token]
        return patterns.next[pattern, state, kind].astype(jnp.int32), patterns.end[pattern, state, kind].astype(jnp.int32)

    return jax.vmap(row)(pattern, state, token)


def advance_any(patterns: PatternTables, pattern: jax.Array, state: jax.Array, token: jax.Array) -> tuple[jax.Array, First]:
    """One token against n patterns a row: pattern, state int32[B, n], token int32[B] → (state int32[B, n], First).

    A match consumes the text: it sends the states of all the row's patterns to 0.
    """
    state, end = jax.vmap(advance, in_axes=(None, 1, 1, None), out_axes=1)(patterns, pattern, state, token)
    ranked = jnp.where(end > 0, end, jnp.iinfo(jnp.int32).max)
    index = jnp.argmin(ranked, axis=1).astype(jnp.int32)
    matched = (end > 0).any(axis=1)

    def chosen(values):
        return jnp.where(matched, jnp.take_along_axis(values, index[:, None], axis=1)[:, 0], 0)

    first = First(jnp.where(matched, index, -1), chosen(pattern), chosen(end))
    return jnp.where(matched[:, None], 0, state), first


def fold_any(
    patterns: PatternTables,
    pattern: jax.Array,
    tokens: jax.Array,
    length: jax.Array,
    start: jax.Array | int = 0,
) -> jax.Array:
    """State int32[B, n] after `tokens[start:length]` of each row: `advance_any` repeated, from state 0.

    Costs as many sequential steps as the longest such span, so callers that look only at generated text pass
    `start=prompt_length` and pay nothing at admission.

    Args:
      pattern: int32[B, n].
      tokens: int32[B, S].
      length: int32[B], end of the text; start: int32[B] or a number.
    """
    start = jnp.broadcast_to(start, length.shape)

    def body(step, state):
        position = start + step
        token = jnp.take_along_axis(tokens, jnp.minimum(position, tokens.shape[1] - 1)[:, None], axis=1)[:, 0]
        after, _ = advance_any(patterns, pattern, state, token)
        return jnp.where((position < length)[:, None], after, state)

    return jax.lax.fori_loop(0, jnp.max(length - start), body, jnp.zeros(pattern.shape, jnp.int32))


def fold(
    patterns: PatternTables, pattern: jax.Array, tokens: jax.Array, length: jax.Array, start: jax.Array | int = 0
) -> jax.Array:
    """`fold_any` for one pattern a row: int32[B] → state int32[B]."""
    return fold_any(patterns, pattern[:, None], tokens, length, start)[:, 0]


def locate(
    patterns: PatternTables,
    pattern: jax.Array,
    tokens: jax.Array,
    length: jax.Array,
    token: jax.Array,
    end: jax.Array,
    reach: int | None = None,
    size: jax.Array | None = None,
) -> Match:
    """Where the match lies that `advance` reported when `token` came after `tokens[:length]`.

    Args:
      pattern: int32[B], the pattern that matched; 0 where none did.
      tokens: int32[B, S], not yet holding `token`.
      length: int32[B]; token: int32[B]; end: int32[B] from `advance`, 0 for no match.
      size: int32[B], bytes of the pattern that were matched, for the beginning of a match (then `end` is the token's size);
        None is all of them.
      reach: most tokens that a match may touch, the last included. A match that touches more is reported with touched = 0
        (rewind −1: nothing un-emitted). None takes the longest pattern's bytes, which no match exceeds.
    """
    reach = patterns.next.shape[1] if reach is None else reach
    size = patterns.size[pattern].astype(jnp.int32) if size is None else size

    def row(pattern, tokens, length, token, end, size):
        position = length - jnp.arange(reach)  # newest first; position `length` stands for `token` itself
        window = jnp.where(position == length, token, tokens[jnp.clip(position, 0, tokens.shape[0] - 1)])
        held = jnp.where(position == length, end, patterns.token_bytes[window].astype(jnp.int32))
        covered = jnp.cumsum(jnp.where(position >= 0, held, 0))
        back = jnp.argmax(covered >= size)  # the first token, walking back, that holds the pattern's first byte
        found = (end > 0) & (size > 0) & (covered[back] >= size)
        inside = jnp.where(back == 0, size, size - (covered[back] - held[back]))
        residue = patterns.residue_of[patterns.residue_row[pattern, window[back]], inside]
        match = Match(back + 1, residue, patterns.token_bytes[token] - end)
        return jax.tree.map(lambda value: jnp.where(found, value.astype(jnp.int32), 0), match)

    return jax.vmap(row)(pattern, tokens, length, token, end, size)
