"""Adapters: nothing changes at first, merged equals unmerged, saved equals loaded, and a pattern must match."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from doubles.mesh_run import random_params
from doubles.models import config as tiny

from reasoning.errors import InputError
from reasoning.models.layers import Linear, Pair, product
from reasoning.models.transformer import network
from reasoning.train import lora
from reasoning.weights.export import flat

CONFIG = dataclasses.replace(tiny(vocab_size=32), num_layers=2, num_heads=4, num_kv_heads=2)
PATTERN = r"layers/\d+/(attention|mlp)/.*"


@pytest.fixture(scope="module")
def base():
    return random_params(CONFIG)


def adapters_of(base, pattern=PATTERN, rank=2):
    """Adapters whose `up` is not zero."""
    rng = np.random.default_rng(0)
    made = lora.init(base, pattern, rank, jax.random.key(1))
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), jnp.float32), made)


def eager_logits(params):
    run = network(CONFIG)
    tokens = jnp.arange(12).reshape(2, 6) % 32
    hidden, _ = run.forward(params, tokens, jnp.broadcast_to(jnp.arange(6), tokens.shape), None)
    return run.head(params, hidden)


logits = jax.jit(eager_logits)


@pytest.mark.slow
def test_new_adapters_change_the_model(base):
    fresh = lora.init(base, PATTERN, 2, jax.random.key(1))
    assert np.array_equal(logits(lora.merge(fresh, base, 2.0)), logits(base))
    assert not np.allclose(logits(lora.merge(adapters_of(base), base, 2.0)), logits(base), atol=0.1)


def test_merged_model_is_another_than_the_unmerged_one(base, monkeypatch):
    """The side path x → down → up, computed beside every kernel, in place of a merged kernel."""
    adapters, scale, sides = flat(adapters_of(base)), 0.5, {}
    for path, kernel in flat(base).items():
        if f"{path}/up" in adapters:
            side = adapters[f"{path}/up"], adapters[f"{path}/down"]
            sides[float(np.asarray(kernel).ravel()[0])] = side  # the first number of a kernel tells which it is

    def aside(self, x):
        up, down = sides[float(np.asarray(self.kernel[...]).ravel()[0])]
        if self.kernel.ndim == 4 and len(self.outputs) == 3:  # qkv [K, M, H, D]
            return scale * jnp.einsum("btd,mrd,kmhr->btkmh", x, down, up)
        if self.kernel.ndim == 4:  # out [D, K, G, H]
            return scale * jnp.einsum("btkgh,rkgh,dr->btd", x.reshape(*x.shape[:2], *self.kernel.shape[1:]), down, up)
        return scale * jnp.einsum("btf,rf,dr->btd", x, down, up)

    linear = Linear.__call__
    monkeypatch.setattr(Linear, "__call__", lambda self, x: linear(self, x) + aside(self, x))

    def pair(self, x):
        up, down = sides[float(np.asarray(self.kernel[...]).ravel()[0])]
        rows = x.reshape(-1, x.shape[-1])
        main = product(jnp.broadcast_to(rows, (2, *rows.shape)), self.kernel[...])
        return (main + scale * jnp.einsum("nd,brd,bfr->bnf", rows, down, up)).reshape(2, *x.shape[:2], -1)

    monkeypatch.setattr(Pair, "__call__", pair)
    with jax.disable_jit():
        unmerged = eager_logits(base)
    monkeypatch.undo()
    np.testing.assert_allclose(logits(lora.merge(adapters_of(base), base, scale)), unmerged, atol=2e-4, rtol=1e-4)


def test_what_is_not_named_is_adapted(base):
    adapters = adapters_of(base, r".*mlp/down/kernel")
    assert set(flat(adapters)) == {f"layers/{layer}/mlp/down/kernel/{part}" for layer in (0, 1) for part in ("down", "up")}
    merged, before = flat(lora.merge(adapters, base, 1.0)), flat(base)
    changed = {path for path in before if not np.array_equal(merged[path], before[path])}
    assert changed == {"layers/0/mlp/down/kernel", "layers/1/mlp/down/kernel"}


def test_bfloat16_base_becomes_float32(base):
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), base)
    merged = lora.merge(adapters_of(base), half, 1.0)
    assert all(leaf.dtype == jnp.bfloat16 for leaf in jax.tree.leaves(merged))


def test_gradient_goes_to_the_base(base):
    def loss(adapters):
        return jnp.sum(logits(lora.merge(adapters, base, 1.0)) ** 2)

    gradient = flat(jax.grad(loss)(lora.init(base, PATTERN, 2, jax.random.key(1))))
    assert all(np.any(leaf) for path, leaf in gradient.items() if path.endswith("up"))  # down's is zero while up is


def test_saved_adapters_are_others(base, tmp_path):
    adapters = adapters_of(base)
    lora.save(adapters, tmp_path / "adapters.safetensors", rank=2, scale=0.5, base="tiny")
    loaded, about = lora.load(tmp_path / "adapters.safetensors")
    assert about == {"rank": 2, "scale": 0.5, "base": "tiny"}
    once, again = lora.merge(adapters, base, 0.5), lora.merge(loaded, base, about["scale"])
    assert jax.tree.all(jax.tree.map(np.array_equal, once, again))


@pytest.mark.parametrize(
    ("pattern", "rank", "message"),
    [
        ("layers/.*/q_proj", 2, r"matches none of the model's matrices; they are layers/\\d\+/attention/out/kernel, layers/"),
        ("layers/(", 2, "is not a regular expression"),
        (PATTERN, 0, "the rank of adapters must be from 1 to 8, that of layers/0/attention"),
        (PATTERN, 9, "the rank of adapters must be from 1 to 8, that of layers/0/attention"),
    ],
)
def test_wrong_pattern_trains_nothing(base, pattern, rank, message):
    with pytest.raises(InputError, match=message):
        lora.init(base, pattern, rank, jax.random.key(0))


def test_other_file_is_taken_for_adapters(tmp_path):
    path = tmp_path / "adapters.safetensors"
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match="holds no adapters"):
        lora.load(path)
