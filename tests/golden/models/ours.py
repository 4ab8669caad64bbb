"""The tiny models of `tiny.py` in our own code, and every way of feeding a prompt to a cache."""

import itertools
import json
import pathlib

import jax
import numpy as np
from golden.models import tiny

from reasoning.models import transformer
from reasoning.models.model import Model
from reasoning.weights import hf_config, names
from reasoning.weights.load import assemble


class Weights:
    """What the loader reads from, without a file: tensors made from their names."""

    path = "tiny"

    def __init__(self, wanted):
        self._shapes = {name: place.shape for name, place in wanted.items()}

    def read(self, name, dtype):
        """One tensor cast to `dtype`."""
        return tiny.weight(name, self._shapes[name]).astype(dtype)


def build(case: str, dtype="float32") -> Model:
    """The tiny model `case` through our configuration reader, name table and assembly."""
    return build_from(tiny.CASES[case], dtype)


def build_from(values: dict, dtype="float32") -> Model:
    """The same for any config.json."""
    config = hf_config.from_dict(values)
    wanted = names.placements(config, "hf")
    abstract = transformer.abstract_params(config, dtype)
    return Model(config, assemble(Weights(wanted), wanted, abstract, names.axis_sizes(config)))


def chunked_logits(model: Model, tokens: np.ndarray, splits: np.ndarray, size: int) -> np.ndarray:
    """Logits of cached prefill, each row cut into chunks of its own; float32[B, T, V].

    One program serves all: a chunk is padded to T tokens, padding stands at position `size` (the cache length) and must be
    written nowhere.

    Args:
      tokens: int32[B, T].
      splits: bool[B, T], true where a chunk of row b begins; the first column is true.
    """
    batch, length = tokens.shape
    network, chunk = model.network, np.cumsum(splits, axis=1) - 1
    cache, out = network.init_cache(batch, size), np.zeros((batch, length, model.config.vocab_size), np.float32)

    @jax.jit
    def step(params, tokens, positions, cache):
        hidden, cache = network.forward(params, tokens, positions, cache)
        return network.head(params, hidden), cache

    for index in range(chunk.max() + 1):
        mine = chunk == index
        first = np.argmax(mine, axis=1)[:, None]
        take = np.minimum(first + np.arange(length), length - 1)  # the chunk moved to the front
        valid = np.take_along_axis(mine, take, 1) & (first + np.arange(length) < length)
        fed = np.where(valid, np.take_along_axis(tokens, take, 1), 0)
        logits, cache = step(model.params, fed, np.where(valid, take, size), cache)
        rows, columns = np.nonzero(valid)
        out[rows, take[rows, columns]] = np.asarray(logits)[rows, columns]
    return out


def all_splits(length: int) -> np.ndarray:
    """bool[2^(length-1), length]: every way of cutting `length` tokens into chunks."""
    return np.array([(True, *cuts) for cuts in itertools.product((False, True), repeat=length - 1)])


def long_splits(seed: int = 0) -> np.ndarray:
    """bool[129, 14]: every way of cutting the last 8 of 14 tokens behind random cuts of the first 6; and one token a chunk."""
    tails = all_splits(8)
    heads = np.random.default_rng(seed).random((len(tails), 6)) < 0.5
    heads[:, 0] = True
    # The seventh token begins a chunk in every other row; in the rest the first of the 8 goes on with the chunk before it.
    tails[1::2, 0] = False
    return np.concatenate([np.concatenate([heads, tails], axis=1), np.ones((1, 14), bool)])


def golden(name: str) -> dict:
    """The content of tests/golden/models/<name>.json."""
    return json.loads((pathlib.Path(__file__).parent / f"{name}.json").read_text("utf-8"))
