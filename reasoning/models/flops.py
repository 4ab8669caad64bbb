"""Analytic FLOPs of a decoder, the cost axis of every comparison.

A multiply-add counts as 2. A token that is fed at position p costs, in every layer, 2 · (weights of the layer's matrix
products) + 4 · N · H · (keys it sees), and, where logits are read, 2 · D · V. Norms, rotations, softmax and sampling are
left out (under 1 % at the sizes in use). A local layer sees at most `window` keys.

Axis legend: `D` model, `N` query heads, `K` kv heads, `H` head dim, `F` mlp, `V` vocabulary, `L` layers.
"""

from reasoning.models.config import ModelConfig


def layer_weights(config: ModelConfig) -> int:
    """Weights of one layer's matrix products: qkv, out, gate, up, down."""
    attention = config.d_model * config.head_dim * (2 * config.num_heads + 2 * config.num_kv_heads)
    return attention + 3 * config.d_model * config.d_ff


def span_flops(config: ModelConfig, start: int, stop: int, logits: bool) -> float:
    """FLOPs of feeding the tokens at positions start … stop − 1 one after another, with or without the head."""
    count = max(stop - start, 0)
    keys = sum(_keys_seen(start, stop, config.window if config.is_local(layer) else None) for layer in range(config.num_layers))
    products = 2 * count * (config.num_layers * layer_weights(config) + logits * config.d_model * config.vocab_size)
    return float(products + 4 * config.num_heads * config.head_dim * keys)


def prefill_flops(config: ModelConfig, tokens: int) -> float:
    """FLOPs of prefilling the first `tokens` tokens; prefill reads no logits."""
    return span_flops(config, 0, tokens, logits=False)


def generated_flops(config: ModelConfig, prompt_length: int, steps: int) -> float:
    """FLOPs of `steps` decode steps after a prompt: the first feeds the last prompt token, at position prompt_length − 1."""
    return span_flops(config, prompt_length - 1, prompt_length - 1 + steps, logits=True)


def _keys_seen(start: int, stop: int, window: int | None) -> int:
    """Σ over positions start ≤ p < stop of min(p + 1, window)."""

    def up_to(end):  # Σ over 0 ≤ p < end
        if window is None or end <= window:
            return end * (end + 1) // 2
        return window * (window + 1) // 2 + (end - window) * window

    return up_to(stop) - up_to(start) if stop > start else 0
