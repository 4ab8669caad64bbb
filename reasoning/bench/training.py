"""How fast this device trains: optimizer steps of `reasoning.train` with AdamW and float32 masters, and their share of the peak.

    MFU = FLOPs of forward and backward (3 × forward, recomputation not counted) / seconds / measured peak

Axis legend: `A` micro-batches, `B` rows, `T` tokens.
"""

import time
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from reasoning.models import transformer
from reasoning.models.config import ModelConfig
from reasoning.models.flops import head_flops, prefill_flops
from reasoning.models.network import Network
from reasoning.train import mesh
from reasoning.train.batching import Batch
from reasoning.train.step import default_dtype, make_step


class Training(NamedTuple):
    """seconds of a step (best of the timed ones); tokens_per_second; mfu in [0, 1]; losses of the steps taken, in nats."""

    seconds: float
    tokens_per_second: float
    mfu: float
    losses: list[float]


class Trainer:
    """Steps of AdamW from float32 parameters; `compute_dtype` and `remat` of `reasoning.train.step.make_step`."""

    def __init__(self, network: Network, params: Any, compute_dtype: str = "", remat: str = "none"):
        optimizer = optax.adamw(1e-4)
        self._state = mesh.init(params, optimizer)
        self._step = mesh.compiled(make_step(network, optimizer, compute_dtype=compute_dtype, remat=remat))
        self.losses: list[float] = []

    def seconds(self, batch: Batch) -> float:
        """Of one step on arrays [A, B, T]."""
        begin = time.perf_counter()
        self._state, metrics = self._step(self._state, {}, batch)
        self.losses.append(float(metrics.loss))
        return time.perf_counter() - begin


def full_rows(tokens: np.ndarray) -> Batch:
    """int32[B, T] → one micro-batch of rows without padding or prompt."""
    ones = np.ones((1, *tokens.shape), np.int32)
    positions = np.broadcast_to(np.arange(tokens.shape[1], dtype=np.int32), ones.shape)
    return Batch(tokens[None], ones, positions, ones.astype(bool))


def random_tokens(config: ModelConfig, batch: int, length: int) -> np.ndarray:
    """int32[B, T]."""
    return np.random.default_rng(0).integers(0, config.vocab_size, (batch, length)).astype(np.int32)


def step_flops(config: ModelConfig, batch: int, length: int) -> int:
    """FLOPs of forward and backward over B × T tokens, head included."""
    return 3 * batch * (prefill_flops(config, length) + length * head_flops(config))


def measure(config: ModelConfig, batch: int, length: int, peak: float, steps: int = 3) -> Training:
    """Trains on one batch of random tokens, whose loss must fall; `peak` in FLOP/s of a bfloat16 matrix product.

    In the platform's dtype; on accelerators products are kept for the backward pass and the rest is computed again.
    """
    masters = transformer.init_params(config, jax.random.key(0), "float32")
    trainer = Trainer(transformer.network(config), masters, remat="none" if default_dtype() == "float32" else "dots")
    del masters
    data = full_rows(random_tokens(config, batch, length))
    best = min([trainer.seconds(data) for _ in range(steps + 1)][1:])
    return Training(best, batch * length / best, step_flops(config, batch, length) / best / peak, trainer.losses)
