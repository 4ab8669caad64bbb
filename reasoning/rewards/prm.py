"""Process reward models with a KV cache of their own: a step costs its new tokens, in one compiled call for all rows.

    position      0 … q-1        q …                         each chunk is [lead] step tail, packed to the left; the score
    row           question       step tail lead step tail …  is read at its last token (`reasoning.rewards.formats`)

A chunk as wide as the longest step or question may be is mostly padding, so it is read in pieces, only as many as the longest of
this call needs: a loop on the device, whose body is one shape, so that a row does not depend on how long the others' steps are.

Scores are probabilities that the prefix is right so far (or that it will be answered right, which is what Monte-Carlo labels
teach). Reading every prefix anew would cost about half the number of steps times more.

Axis legend: `B` rows, `T` new tokens, `D` model, `C` labels.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from reasoning.models import flops
from reasoning.models.heads import at_last_token
from reasoning.models.model import Model
from reasoning.models.network import Network
from reasoning.rewards import formats
from reasoning.rewards.base import Cached, Scorer
from reasoning.rewards.responses import Judge, of_scorer
from reasoning.rewards.steps import SEPARATOR

PIECE, PIECES = 16, 4  # tokens of a piece at least, pieces of the widest chunk at most


class Small(NamedTuple):
    """What a row remembers beside its keys and values.

    Attributes:
      position: int32[B], tokens read. steps: int32[B], steps scored. score: float32[B], the last one, NaN before the first.
      room: int32[B], positions of the cache.
    """

    position: jax.Array
    steps: jax.Array
    score: jax.Array
    room: jax.Array


def make(
    model: Model, format: str | formats.Format, *, policy: Model | None = None, separator: str | None = None, ids: bool = False
) -> Scorer:
    """The scorer that reads `model` in a format.

    Args:
      format: a name of `formats.FORMATS`, or a format of your own.
      policy: whose responses are scored; checked where its ids are read as they are.
      separator: see `formats.reader`.
      ids: read the policy's own ids also where the format is one of text, so that nothing leaves the device; the model must have
        the policy's vocabulary. Its steps are then not stripped and it gets the policy's prompt: not what it was trained on.
    Raises:
      InputError: a model that cannot be read so, a vocabulary that does not fit.
    """
    reader = formats.reader(model, format, separator)
    identity = ids or reader.format.chat == "policy"
    if identity and policy is not None:
        formats.check_same_ids(model, policy)
    return Scorer(
        name=reader.format.name,
        params=model.params,
        encode=None if identity else reader.encode,
        question=None if identity else reader.question,
        extra=len(reader.lead) + len(reader.tail),
        context=model.config.context,
        flops=flops_of(model, read=flops.head_flops(model.config) if reader.verdict else None),
        partition=model.network.cache_partition if model.mesh else None,
        **incremental(model.network, reading(model.network, reader.verdict), reader.lead, reader.tail),
    )


def scorer(engine, model: str, format: str, dtype: str = "", marker: str | None = None, ids: bool = False) -> Scorer:
    """Loads a process reward model (`reasoning.load`) that scores the steps of the engine's responses, onto the engine's mesh.

    Args:
      format: a name of `formats.FORMATS`.
      dtype: of its weights; "" is that of the policy's.
      marker: what ends a step for the model, where its format lets choose (TRL's `step_separator`).
      ids: of `make`.
    Raises InputError.
    """
    from reasoning.weights.load import load

    policy = engine.model
    formats.check_trained(model, format)
    return make(load(model, dtype or policy.dtype, mesh=policy.mesh), format, policy=policy, separator=marker, ids=ids)


def judge(
    engine,
    model: str,
    format: str,
    dtype: str = "",
    separator: str = SEPARATOR,
    marker: str | None = None,
    name: str = "",
) -> Judge:
    """The same for finished responses, whose steps end with `separator`. Raises InputError."""
    made = scorer(engine, model, format, dtype, marker)
    return of_scorer(made, engine.model.tokenizer, separator=separator, name=name)


def reading(network: Network, verdict: tuple[int, int] | None):
    """(params, hidden float32[B, D]) → float32[B], the probability of "right"."""
    if verdict:
        right, wrong = verdict

        def of_tokens(params, hidden):
            logits = network.head(params, hidden)
            return jax.nn.sigmoid(logits[:, right] - logits[:, wrong])  # the softmax over the two

        return of_tokens

    def of_labels(params, hidden):
        scores = network.scores(params, hidden)
        return jax.nn.sigmoid(scores[:, 0] if scores.shape[-1] == 1 else scores[:, 1] - scores[:, 0])

    return of_labels


def incremental(network: Network, read, lead: tuple[int, ...], tail: tuple[int, ...]) -> dict:
    """`init`, `begin` and `score` of a `Scorer` that reads each token once."""

    def init(rows: int, length: int) -> Cached:
        position, steps, room = (jnp.full(rows, value, jnp.int32) for value in (0, 0, length))
        return Cached(network.init_cache(rows, length), Small(position, steps, jnp.full(rows, jnp.nan, jnp.float32), room))

    def feed(params, tokens, total, carry):
        """Writes the first `total` tokens of each row behind its position → (hidden, kv)."""
        at = jnp.arange(tokens.shape[1])
        room, position = carry.small.room[:, None], carry.small.position[:, None]
        positions = jnp.where(at < total[:, None], position + at, room)  # what is at `room` is written nowhere
        return network.forward(params, tokens, positions, carry.kv)

    def last_of(params, tokens, total, carry):
        """Feeds a chunk in pieces → (hidden state of its last token float32[B, D], kv)."""
        size = max(PIECE, -(-tokens.shape[1] // PIECES))
        tokens = jnp.pad(tokens, ((0, 0), (0, -tokens.shape[1] % size)))

        def piece(k, state):
            last, kv = state
            part = jax.lax.dynamic_slice_in_dim(tokens, k * size, size, axis=1)
            left = jnp.clip(total - k * size, 0, size)
            there = carry.small._replace(position=carry.small.position + k * size)
            hidden, kv = feed(params, part, left, Cached(kv, there))
            return jnp.where((left > 0)[:, None], at_last_token(hidden, jnp.maximum(left, 1)), last), kv

        none = jax.eval_shape(lambda: piece(0, (jnp.zeros(()), carry.kv))[0])
        needed = jnp.maximum(-(-jnp.max(total) // size), 1)
        return jax.lax.fori_loop(0, needed, piece, (jnp.zeros(none.shape, none.dtype), carry.kv))

    def begin(params, prompt, n, carry):
        _, kv = last_of(params, prompt, n, carry)
        return Cached(kv, carry.small._replace(position=carry.small.position + n))

    def score(params, new, n, ended, carry):
        del ended  # a step is read the same whether or not it is the last
        small = carry.small
        tokens, total = chunk(new, n, small.steps > 0, lead, tail)
        last, kv = last_of(params, tokens, total, carry)
        position, scored = small.position + total, n > 0
        value = read(params, last)
        value = jnp.where(position > small.room, jnp.nan, value)
        value = jnp.where(scored, value, small.score)
        return value, Cached(kv, Small(position, small.steps + scored, value, small.room))

    return {"init": init, "begin": begin, "score": score}


def chunk(new: jax.Array, n: jax.Array, later: jax.Array, lead: tuple[int, ...], tail: tuple[int, ...]):
    """What is fed for a step: int32[B, lead + T + tail] packed to the left, and how many of it, int32[B]; 0 where n = 0.

    Args:
      new: int32[B, T], of which row b has `n[b]`. later: bool[B], false at the first step of a row, which gets no `lead`.
    """
    before, after = jnp.asarray(lead, jnp.int32), jnp.asarray(tail, jnp.int32)

    def row(new, n, later):
        begin = jnp.where(later, len(lead), 0)
        out = jnp.zeros(len(lead) + new.shape[0] + len(tail), jnp.int32)
        # In this order: each part overwrites the padding behind the end of the one before.
        if lead:
            out = out.at[: len(lead)].set(before)
        out = jax.lax.dynamic_update_slice(out, new, (begin,))
        if tail:
            out = jax.lax.dynamic_update_slice(out, after, (begin + n,))
        return out, jnp.where(n > 0, begin + n + len(tail), 0)

    return jax.vmap(row)(new, n, later)


def flops_of(model: Model, read: int | None = None, every: bool = False):
    """`Scorer.flops` of a model that is read token by token: (tokens held, new tokens, reads) → FLOPs.

    Args:
      read: FLOPs of a read; None takes those of the score head.
      every: whether each new token is read where anything is, not one a step.
    """
    config = model.config
    each = 2 * config.d_model * config.num_labels if read is None else read

    def count(held: int, new: int, reads: int) -> float:
        layers = flops.prefill_flops(config, held + new) - flops.prefill_flops(config, held)
        return float(layers + each * (new if every and reads else reads))

    return count
