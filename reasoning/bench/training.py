"""How fast this device trains: one AdamW step of the network in bfloat16 with float32 masters, and its share of the peak.

    MFU = FLOPs of forward and backward (3 × forward, recomputation not counted) / seconds / measured peak

Outputs of matrix products are kept for the backward pass, all else is computed again (`jax.checkpoint`).

Axis legend: `B` sequences, `T` tokens.
"""

import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from reasoning.models import transformer
from reasoning.models.config import ModelConfig
from reasoning.models.flops import head_flops, prefill_flops


class Training(NamedTuple):
    """seconds of a step (best of the timed ones); tokens_per_second; mfu in [0, 1]; losses of the steps taken, in nats."""

    seconds: float
    tokens_per_second: float
    mfu: float
    losses: list[float]


def step_flops(config: ModelConfig, batch: int, length: int) -> int:
    """FLOPs of forward and backward over B × T tokens, head included."""
    return 3 * batch * (prefill_flops(config, length) + length * head_flops(config))


def measure(config: ModelConfig, batch: int, length: int, peak: float, steps: int = 3) -> Training:
    """Trains on one batch of random tokens, whose loss must fall; `peak` in FLOP/s of a bfloat16 matrix product."""
    network, optimiser = transformer.network(config), optax.adamw(1e-4)
    dtypes = jax.tree.map(lambda leaf: leaf.dtype, transformer.abstract_params(config, "bfloat16"))
    masters = transformer.init_params(config, jax.random.key(0), "float32")
    tokens = jnp.asarray(np.random.default_rng(0).integers(0, config.vocab_size, (batch, length)), jnp.int32)

    def loss(masters, tokens):
        params = jax.tree.map(lambda leaf, dtype: leaf.astype(dtype), masters, dtypes)
        positions = jnp.broadcast_to(jnp.arange(length), tokens.shape)
        hidden, _ = network.forward(params, tokens, positions, None)
        logits = network.head(params, hidden)
        return optax.softmax_cross_entropy_with_integer_labels(logits[:, :-1], tokens[:, 1:]).mean()

    kept = jax.checkpoint_policies.dots_with_no_batch_dims_saveable
    value_and_grad = jax.value_and_grad(jax.checkpoint(loss, policy=kept))

    def step(masters, state, tokens):
        value, gradient = value_and_grad(masters, tokens)
        updates, state = optimiser.update(gradient, state, masters)
        return optax.apply_updates(masters, updates), state, value

    run = jax.jit(step, donate_argnums=(0, 1))
    state, losses, seconds = jax.jit(optimiser.init)(masters), [], []
    for _ in range(steps + 1):
        begin = time.perf_counter()
        masters, state, value = jax.block_until_ready(run(masters, state, tokens))
        seconds.append(time.perf_counter() - begin)
        losses.append(float(value))
    best = min(seconds[1:])
    return Training(best, batch * length / best, step_flops(config, batch, length) / best / peak, losses)
