"""Oracles for studies: whether a response is right, with noise of known size and a known bias for length.

    score = right + σ · ε + bias · tokens / 100          ε ~ N(0, 1), one number for each (seed, problem, sample)

With σ = 0 and no bias, best-of-N is pass@N; as σ grows it falls to the accuracy of one sample, and with a bias it comes to
choose by length: what over-optimisation is, with every term known (Snell et al. 2024, arXiv 2408.03314, figure 3). Scores are
no probabilities and may be negative.
"""

import hashlib
from collections.abc import Sequence

import numpy as np

from reasoning.errors import InputError
from reasoning.rewards.responses import Candidate, Judge, Reading, Readings


def make(sigma: float = 0.0, length_bias: float = 0.0, seed: int = 0, name: str = "") -> Judge:
    """The judge with noise `sigma` and `length_bias` (score for every 100 tokens). Raises InputError for a negative σ."""
    if not 0 <= sigma < float("inf") or not abs(length_bias) < float("inf"):
        raise InputError(f"an oracle needs a finite sigma ≥ 0 and a finite length_bias, got {sigma!r} and {length_bias!r}")

    def read(candidates: Sequence[Candidate]) -> Readings:
        for one in candidates:
            score = one.right + length_bias * len(one.tokens) / 100
            if sigma:
                score += sigma * noise(seed, one.problem, one.sample)
            yield one, Reading((float(score),))

    return Judge(name or f"oracle-{sigma:g}-{length_bias:g}", read)


def judge(engine, sigma: float = 0.0, length_bias: float = 0.0, seed: int = 0, name: str = "") -> Judge:
    """`make`, for a configuration."""
    del engine
    return make(sigma, length_bias, seed, name)


def noise(seed: int, problem: str, sample: int, step: int = 0) -> float:
    """A number from N(0, 1) that depends on its arguments alone."""
    digest = hashlib.sha256(f"{seed}/{problem}/{sample}/{step}".encode()).digest()
    return float(np.random.default_rng(np.frombuffer(digest, np.uint32)).standard_normal())
