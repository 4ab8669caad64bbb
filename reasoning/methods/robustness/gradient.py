"""Training soft tokens: cross-entropy of a thought that ends in the goal, its gradient in the vectors alone, steps and
projection.

    before (the same for all) | S vectors | after (ends with the assistant's turn) | target: a sampled thought, then the goal
    <BEGIN IGNORE …>\\n          trained     \\n<END IGNORE …> What is 37 + 58?         30 + 50 = 80; … Answer: 96

Source: Zaremba et al. 2025, arXiv 2501.18841, section 3 and its appendix on soft tokens: trained on sampled chains of thought
and the target; without a bound the norm grows a thousandfold, so the vectors are projected to the mean norm of an embedding
every few steps.

Axis legend: `B` examples, `T` tokens, `M` target tokens, `S` soft tokens, `D` model, `V` vocabulary.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from reasoning.errors import InputError
from reasoning.models.network import Network, Params


class Example(NamedTuple):
    """Ids before the vectors, behind them, and of the target."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    target: tuple[int, ...]


class Batch(NamedTuple):
    """Examples of one length.

    Attributes:
      tokens: int32[B, T], any id where the vectors stand. start: int32[], their first place, the same in all.
      places: int32[B, M], where each target token is predicted. targets: int32[B, M]. weight: float32[B, M], 0 for padding.
    """

    tokens: jax.Array
    start: jax.Array
    places: jax.Array
    targets: jax.Array
    weight: jax.Array


def batch_of(examples: Sequence[Example], size: int, width: int, targets: int) -> Batch:
    """Examples with room for `size` vectors, padded to `width` tokens and `targets` target tokens.

    Raises InputError if they are longer, or differ before the vectors.
    """
    start = len(examples[0].before)
    if any(one.before != examples[0].before for one in examples):
        raise InputError("all examples must begin alike up to the soft tokens; a prompt's examples may not depend on the problem")
    tokens, places = np.zeros((len(examples), width), np.int32), np.zeros((len(examples), targets), np.int32)
    wanted, weight = np.zeros((len(examples), targets), np.int32), np.zeros((len(examples), targets), np.float32)
    for row, one in enumerate(examples):
        ids = (*one.before, *[0] * size, *one.after, *one.target)
        if len(ids) > width or len(one.target) > targets:
            raise InputError(f"an example of {len(ids)} tokens with {len(one.target)} of a target exceeds {width} and {targets}")
        behind, many = len(ids) - len(one.target), len(one.target)
        tokens[row, : len(ids)] = ids
        places[row, :many], wanted[row, :many], weight[row, :many] = np.arange(behind - 1, len(ids) - 1), one.target, 1.0
    return Batch(*map(jnp.asarray, (tokens, np.int32(start), places, wanted, weight)))


def loss(network: Network, params: Params, soft: jax.Array, batch: Batch) -> jax.Array:
    """float32[]: mean cross-entropy of the target tokens in nats, with soft float32[S, D] in the span."""
    tokens = batch.tokens
    positions = jnp.broadcast_to(jnp.arange(tokens.shape[1]), tokens.shape)
    here = jax.vmap(lambda row: jax.lax.dynamic_update_slice(row, soft, (batch.start, 0)))(network.embed(params, tokens))
    hidden, _ = network.embedded(params, here, positions, None)
    hidden = jax.vmap(lambda row, at: row[at])(hidden, batch.places)
    chances = jax.nn.log_softmax(network.head(params, hidden))
    said = jnp.take_along_axis(chances, batch.targets[..., None], -1)[..., 0]
    return -(said * batch.weight).sum() / batch.weight.sum()


def make_step(network: Network, optimiser: optax.GradientTransformation, every: int) -> Callable[..., Any]:
    """step(params, soft float32[S, D], state, number int32[], norm float32[], batch) → (soft, state, loss before the step).

    Jitted. Each `every`-th step ends with `projected` to `norm`.
    """

    @jax.jit
    def step(params, soft, state, number, norm, batch):
        value, gradient = jax.value_and_grad(lambda soft: loss(network, params, soft, batch))(soft)
        updates, state = optimiser.update(gradient, state, soft)
        soft = optax.apply_updates(soft, updates)
        return jnp.where((number + 1) % every == 0, projected(soft, norm), soft), state, value

    return step


def projected(soft: jax.Array, norm: jax.Array) -> jax.Array:
    """float32[S, D]: vectors longer than `norm` are shortened to it."""
    length = jnp.linalg.norm(soft, axis=-1, keepdims=True)
    return soft * jnp.minimum(1.0, norm / jnp.maximum(length, 1e-30))


def mean_norm(network: Network, params: Params, ids: np.ndarray) -> float:
    """Mean length of the embeddings of `ids` int32[n], those that the tokenizer knows."""
    chunks = np.array_split(ids, max(1, len(ids) // 8192))
    sums = [float(jnp.linalg.norm(network.embed(params, jnp.asarray(part)[None])[0], axis=-1).sum()) for part in chunks]
    return sum(sums) / len(ids)
