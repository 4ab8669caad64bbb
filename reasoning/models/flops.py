"""Analytic floating-point operations (a multiplication and an addition are two), the cost axis of every comparison.

What a token at a position that sees `c` keys (itself included) costs:

    matrices    2 · entries of all kernels of the layers          (q, k, v, out, gate, up, down)
    attention   4 · N · H · min(c, window) per layer              (2 for q·k, 2 for weights·v; no window: c)
    head        2 · D · V, only where logits are computed

Norms, rotations, softmax and sampling are left out (below 2 % from 100 M parameters on), and so is what padding and masked
keys make the hardware do: the figures are those of the algorithm, the same on every machine.

Axis legend: `D` model, `N` query heads, `K` kv heads, `H` head dim, `F` mlp, `V` vocabulary.
"""

from reasoning.models.config import ModelConfig


def layer_matrix_entries(config: ModelConfig) -> int:
    """Kernel entries that one token touches in one layer."""
    D, N, K, H, F = config.d_model, config.num_heads, config.num_kv_heads, config.head_dim, config.d_ff
    return D * (N + 2 * K) * H + N * H * D + 3 * D * F


def head_flops(config: ModelConfig) -> int:
    """FLOPs of the vocabulary logits of one token."""
    return 2 * config.d_model * config.vocab_size


def decode_flops(config: ModelConfig, length: int) -> int:
    """FLOPs of one decode step of a row with `length` tokens: the last one is fed, sees them all, and gets logits."""
    return _tokens_flops(config, length, length) + head_flops(config)


def prefill_flops(config: ModelConfig, tokens: int) -> int:
    """FLOPs of writing the first `tokens` positions of an empty cache, without a head."""
    return _tokens_flops(config, 1, tokens)


def generated_flops(config: ModelConfig, prompt_length: int, steps: int) -> int:
    """FLOPs of `steps` decode steps, the first with `prompt_length` tokens written: Σ decode_flops(prompt_length + i)."""
    return _tokens_flops(config, prompt_length, prompt_length + steps - 1) + steps * head_flops(config)


def _tokens_flops(config: ModelConfig, first: int, last: int) -> int:
    """FLOPs without head of tokens that see first, first + 1, …, last keys."""
    attention = sum(
        _visible(first, last, config.window if config.is_local(layer) else None) for layer in range(config.num_layers)
    )
    matrices = 2 * config.num_layers * layer_matrix_entries(config) * (last - first + 1)
    return matrices + 4 * config.num_heads * config.head_dim * attention


def _visible(first: int, last: int, window: int | None) -> int:
    """Σ min(c, window) for c = first … last."""
    if window is None or window >= last:
        return (first + last) * (last - first + 1) // 2
    inside = _visible(first, window, None) if first <= window else 0
    return inside + window * (last - max(first, window + 1) + 1)
