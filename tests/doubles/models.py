"""Two networks without weights to load: one that hashes its whole history, one that recites a script.

`hash_model`: the logits of a step depend on every token that was written into the cache and on its position, so a
missing, misplaced or stale KV write changes everything after it. `scripted_model`: row text is known beforehand, chosen by
the first prompt token, so the expected result of any controller can be written down. Both count forward positions.

Axis legend: `B` sequences, `T` new tokens, `S` cache length, `V` vocabulary.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from doubles.tokenizer import ByteTokenizer
from reasoning.models.config import ModelConfig
from reasoning.models.model import Model
from reasoning.models.network import Network


def config(vocab_size: int = 257, context: int = 2048) -> ModelConfig:
    """A tiny configuration for what only needs sizes (FLOPs, bounds)."""
    return ModelConfig(
        family="llama", vocab_size=vocab_size, d_model=8, num_layers=1, num_heads=2, num_kv_heads=1, head_dim=4, d_ff=16,
        context=context, rope_theta=1e4, norm_eps=1e-5, tie_embeddings=True,
    )  # fmt: skip


class DoubleModel(Model):
    """A `Model` whose network is given."""

    def __init__(self, network: Network, params, tokenizer, vocab_size: int, context: int):
        super().__init__(config(vocab_size, context), params, tokenizer, "double")
        self.__dict__["network"] = network


def _cache(batch: int, length: int):
    return {"seen": jnp.zeros((batch, length), jnp.int32), "fed": jnp.zeros(batch, jnp.int32)}


def _write(tokens, positions, cache):
    """Stores token + 1 at its position, as a KV cache would; counts positions that were really written."""

    def row(seen, token, at):
        return seen.at[at].set(token + 1, mode="drop")

    size = cache["seen"].shape[1]
    return {"seen": jax.vmap(row)(cache["seen"], tokens, positions), "fed": cache["fed"] + (positions < size).sum(1)}


def _network(hidden_of, head, vocab_size: int) -> Network:
    def forward(params, tokens, positions, cache):
        cache = _write(tokens, positions, _cache(*tokens.shape) if cache is None else cache)
        visible = jnp.arange(cache["seen"].shape[1])[None, None] <= positions[:, :, None]
        return hidden_of(params, jnp.where(visible, cache["seen"][:, None], 0), positions), cache

    return Network(forward, head, _cache, lambda batch, length: batch * (length + 1) * 4, vocab_size)


def hash_model(vocab_size: int = 257, context: int = 2048, seed: int = 0, tokenizer=None, sharpness: float = 3.0) -> DoubleModel:
    """Logits are a random row of a table, chosen by a hash of all visible (token, position) pairs."""
    rng = np.random.default_rng(seed)
    params = {
        "weights": jnp.asarray(rng.integers(1, 2**31 - 1, context, dtype=np.int64).astype(np.uint32) | 1),
        "table": jnp.asarray(sharpness * rng.standard_normal((4099, vocab_size)), jnp.float32),
    }

    def hidden_of(params, seen, positions):
        products = seen.astype(jnp.uint32) * params["weights"][: seen.shape[-1]]
        mixed = jnp.sum(products ^ (products >> 15), axis=-1, dtype=jnp.uint32) * jnp.uint32(2654435761)
        return ((mixed >> 8) % 4099).astype(jnp.float32)[..., None]

    def head(params, hidden):
        return params["table"][hidden[..., 0].astype(jnp.int32)]

    tokenizer = ByteTokenizer() if tokenizer is None and vocab_size >= 257 else tokenizer
    return DoubleModel(_network(hidden_of, head, vocab_size), params, tokenizer, vocab_size, context)


def scripted_model(
    scripts: Sequence[Sequence[int] | str], vocab_size: int = 257, context: int = 2048, tokenizer=None
) -> DoubleModel:
    """Row whose first prompt token is i recites scripts[i]: token t of the script is certain at generated index t.

    The index counts from the end of a one-token prompt, so prompts must be `[i]`. After its end a script says the last id
    of the vocabulary (the byte tokenizer's stop id). The script goes by position: forced text displaces what it covers.
    """
    tokenizer = tokenizer or ByteTokenizer()
    rows = [tokenizer.encode(script) if isinstance(script, str) else list(script) for script in scripts]
    table = np.full((len(rows), context), vocab_size - 1, np.int32)
    for index, row in enumerate(rows):
        table[index, : len(row)] = row

    def hidden_of(params, seen, positions):
        return jnp.stack([seen[..., 0] - 1, jnp.minimum(positions, context - 1)], -1).astype(jnp.float32)

    def head(params, hidden):
        row, position = hidden[..., 0].astype(jnp.int32), hidden[..., 1].astype(jnp.int32)
        return 100.0 * jax.nn.one_hot(params["script"][row, position], vocab_size)

    return DoubleModel(_network(hidden_of, head, vocab_size), {"script": jnp.asarray(table)}, tokenizer, vocab_size, context)
