"""MinHash signatures and their bands (Broder 1997; Leskovec et al., Mining of Massive Datasets, section 3.4), in numpy.

The share of equal places in two signatures estimates the Jaccard similarity s of two sets of shingles, with a standard error of
√(s(1 − s)/K). Two sets meet in at least one of `BANDS` bands of `ROWS` places with probability 1 − (1 − s^ROWS)^BANDS: 0.997 at
s = 0.8, 0.12 at s = 0.5. Axes: K places of a signature, N shingles.
"""

import hashlib
from collections.abc import Sequence

import numpy as np

BANDS, ROWS = 32, 8
K = BANDS * ROWS
_DRAWS = np.random.Generator(np.random.PCG64(20250131)).integers(0, 1 << 64, (2, K), np.uint64)
_FACTORS, _OFFSETS = _DRAWS[0][:, None] | np.uint64(1), _DRAWS[1][:, None]


def shingles(texts: Sequence[str]) -> np.ndarray:
    """uint64[N], ascending: hashes of the different texts, the same in every process."""
    hashes = {hashlib.blake2b(text.encode("utf-8", "backslashreplace"), digest_size=8).digest() for text in texts}
    return np.sort(np.frombuffer(b"".join(hashes), np.uint64))


def signature(found: np.ndarray) -> np.ndarray:
    """uint32[K]: per place the smallest image of the shingles under a random map (multiply, shift)."""
    return ((_FACTORS * found + _OFFSETS) >> np.uint64(32)).min(axis=1).astype(np.uint32)


def bands(one: np.ndarray) -> list[tuple[int, bytes]]:
    """Keys of the buckets that a signature falls into."""
    return [(band, rows.tobytes()) for band, rows in enumerate(one.reshape(BANDS, ROWS))]


def jaccard(a: np.ndarray, b: np.ndarray) -> float:
    """Similarity of two sets of shingles, exact."""
    common = len(np.intersect1d(a, b, assume_unique=True))
    return common / (len(a) + len(b) - common)
