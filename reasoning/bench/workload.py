"""What every contestant is given: the same prompts, as ids, and how many tokens each is to write.

Axis legend: `B` prompts, `P` prompt length in tokens.
"""

from typing import Any

import numpy as np

from reasoning.errors import InputError


def prompts(count: int, length: int, tokenizer: Any, vocab_size: int, seed: int = 0) -> np.ndarray:
    """int32[B, P]: `count` different prompts of exactly `length` ids, the same for the same arguments.

    Sums in words and digits, cut to length; random ids where there is no tokenizer. Text, because on random ids the two
    likeliest tokens often differ by less than bfloat16 resolves, and then equal models would write different tokens.
    """
    if count < 1 or length < 1:
        raise InputError(f"a workload has at least one prompt of one token, got {count} of {length}")
    rng = np.random.default_rng([seed, count, length])
    if tokenizer is None:
        return rng.integers(0, vocab_size, (count, length), dtype=np.int32)
    rows = []
    for _ in range(count):
        ids: list[int] = []
        while len(ids) < length:
            a, b, c = rng.integers(2, 99, 3).tolist()
            text = f"Question: Anna has {a} apples and buys {b} more, then gives {c} away. How many are left? "
            ids += tokenizer.encode(text + f"Answer: {a} + {b} = {a + b}, and {a + b} - {c} = {a + b - c}.\n", bos=False)
        rows.append(ids[:length])
    return np.asarray(rows, np.int32)


def lognormal_lengths(count: int, median: int, sigma: float, low: int, high: int, seed: int = 0) -> list[int]:
    """`count` lengths in tokens, lognormal with this median and this standard deviation of the logarithm, in [low, high]."""
    if not 1 <= low <= median <= high:
        raise InputError(f"lengths need 1 ≤ low ≤ median ≤ high, got {low}, {median}, {high}")
    drawn = median * np.exp(sigma * np.random.default_rng(seed).standard_normal(count))
    return np.clip(np.rint(drawn), low, high).astype(int).tolist()
