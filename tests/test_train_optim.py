"""Optimisers and schedules against a few lines of numpy; what decays and what Muon turns is said by the path alone."""

import dataclasses
import math

import jax
import numpy as np
import optax
import pytest
from doubles.mesh_run import random_params
from doubles.models import config as tiny

from reasoning.errors import InputError
from reasoning.models.transformer import abstract_params
from reasoning.train import optim, parameters
from reasoning.weights.export import flat

CONFIG = dataclasses.replace(
    tiny(vocab_size=32), qkv_bias=True, out_bias=True, qk_norm=True, post_norms=True, tie_embeddings=False, num_labels=2,
    score_bias=True,
)  # fmt: skip


def transformers_schedule(name, peak, steps, warmup):
    """`get_…_schedule_with_warmup` of transformers, as `LambdaLR` calls it before each step."""
    rising, rates = math.ceil(warmup * steps), []
    for step in range(steps):
        if step < rising:
            rates.append(peak * step / rising)
        elif name == "constant":
            rates.append(peak)
        else:
            done = (step - rising) / max(1, steps - rising)
            rates.append(peak * ((1 - done) if name == "linear" else 0.5 * (1 + math.cos(math.pi * done))))
    return rates


@pytest.mark.parametrize("name", optim.SCHEDULES)
@pytest.mark.parametrize(("steps", "warmup"), [(315, 0.05), (10, 0.0), (1, 0.05), (7, 1.0)])
def test_schedule_is_not_that_of_the_paper(name, steps, warmup):
    schedule = optim.schedule(name, 1e-5, steps, warmup)
    rates = [float(schedule(step)) for step in range(steps)]
    np.testing.assert_allclose(rates, transformers_schedule(name, 1e-5, steps, warmup), rtol=2e-6, atol=1e-12)


def test_constant_of_s1_is_another():
    """Appendix D: β 0.9 and 0.95, decay 1e-4; ε and the clipping norm are transformers' defaults."""
    rng, rate = np.random.default_rng(0), 1e-2
    params = {"layers": {"0": {"mlp": {"down": {"kernel": rng.normal(size=(3, 4)), "norm": {"scale": rng.normal(size=3)}}}}}}
    params = jax.tree.map(np.float32, params)
    made = optim.optimizer(rate)
    state, got = made.init(params), params
    mean, square, want = (jax.tree.map(np.zeros_like, params), jax.tree.map(np.zeros_like, params), params)
    for step in range(1, 4):
        gradient = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), params)
        updates, state = made.update(gradient, state, got)
        got = optax.apply_updates(got, updates)
        norm = math.sqrt(sum(float((g**2).sum()) for g in jax.tree.leaves(gradient)))
        gradient = jax.tree.map(lambda g, norm=norm: g / max(1.0, norm), gradient)
        mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, gradient)
        square = jax.tree.map(lambda v, g: 0.95 * v + 0.05 * g**2, square, gradient)

        def move(path, p, m, v, step=step):
            decay = 1e-4 * p if "kernel" in str(path[-1]) else 0
            return p - rate * (m / (1 - 0.9**step) / (np.sqrt(v / (1 - 0.95**step)) + 1e-8) + decay)

        want = jax.tree_util.tree_map_with_path(move, want, mean, square)
    for name, leaf in flat(got).items():
        np.testing.assert_allclose(leaf, flat(want)[name], rtol=1e-5, err_msg=name)


def test_norm_bias_or_embedding_decays():
    decays = flat(optim.decays(abstract_params(CONFIG)))
    assert {path for path, one in decays.items() if one} == {
        "layers/0/attention/qkv/kernel", "layers/0/attention/out/kernel", "layers/0/mlp/gate_up/kernel",
        "layers/0/mlp/down/kernel", "head/kernel", "score/kernel",
    }  # fmt: skip
    assert {path.split("/")[-1] for path, one in decays.items() if not one} == {"embedding", "scale", "bias"}


@pytest.mark.parametrize("name", optim.OPTIMIZERS)
def test_parameter_without_a_rule_is_trained_all_the_same(name):
    params = {"layers": {"0": {"mlp": {"side": {"kernel": np.zeros((2, 2), np.float32)}}}}}
    with pytest.raises(InputError, match="no rule says what the parameter 'layers/0/mlp/side/kernel' is to an optimiser; add"):
        optim.optimizer(1e-3, name).init(params)


def test_muon_turns_a_kernel_along_the_wrong_axes():
    """The first update of every matrix has singular values near 0.2 · √(larger side); elsewhere it is Adam's, ± the rate."""
    params = random_params(CONFIG)
    made = optim.optimizer(1.0, "muon", weight_decay=0.0, clip=0.0)
    rng = np.random.default_rng(1)
    gradient = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), params)
    updates, _ = jax.jit(made.update)(gradient, jax.jit(made.init)(params), params)
    matrices = {
        "layers/0/attention/qkv/kernel": lambda x: x.transpose(1, 0, 2, 3).reshape(x.shape[1], -1, x.shape[3]),  # [M, K·H, D]
        "layers/0/attention/out/kernel": lambda x: x.reshape(1, x.shape[0], -1),
        "layers/0/mlp/gate_up/kernel": lambda x: x,
        "layers/0/mlp/down/kernel": lambda x: x[None],
    }
    for path, update in flat(updates).items():
        update = np.asarray(update)
        if path in matrices:
            for matrix in matrices[path](update):
                values = np.linalg.svd(matrix, compute_uv=False) / (optim.MUON_RMS * math.sqrt(max(matrix.shape)))
                assert values.min() > 0.6 and values.max() < 1.3, path
        else:
            assert np.all(np.sign(update) == -np.sign(flat(gradient)[path])), path
            np.testing.assert_allclose(np.abs(update), np.abs(update).max(), rtol=1e-3)


def test_stacked_layers_are_one_matrix():
    """A leading axis of layers is no side of a matrix."""
    rng = np.random.default_rng(0)
    stacked = {"layers": {"0": {"mlp": {"down": {"kernel": rng.normal(size=(3, 4, 6)).astype(np.float32)}}}}}
    made = optim.optimizer(1.0, "muon", clip=0.0)
    together = np.asarray(flat(made.update(stacked, made.init(stacked), stacked)[0])["layers/0/mlp/down/kernel"])
    for layer in range(3):
        one = jax.tree.map(lambda leaf, layer=layer: leaf[layer], stacked)
        alone = flat(made.update(one, made.init(one), one)[0])["layers/0/mlp/down/kernel"]
        np.testing.assert_allclose(together[layer], alone, rtol=1e-5)


def test_every_parameter_of_every_family_has_a_rule():
    gemma = dataclasses.replace(CONFIG, family="gemma3", num_layers=2, window=8, local_layers=(True, False))
    for config in (CONFIG, gemma):
        for path in jax.tree.leaves(parameters.paths(abstract_params(config))):
            found = parameters.kind(path)
            assert found.decays == path.endswith("kernel"), path
            assert bool(found.outputs) == ("layers/" in path and path.endswith("kernel")), path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optim.optimizer(1e-3, "sgd"), "unknown optimizer 'sgd'; choose one of adamw, muon"),
        (lambda: optim.optimizer(1e-3, b2=1.0), "needs 0 ≤ b1, b2, momentum < 1"),
        (lambda: optim.schedule("step", 1e-3, 10), "unknown schedule 'step'; choose one of constant, linear, cosine"),
        (lambda: optim.schedule("cosine", 0.0, 10), "the learning rate must be a number > 0"),
        (lambda: optim.schedule("cosine", 1e-3, 10, 5), "0 ≤ warmup ≤ 1"),
    ],
)
def test_wrong_setting_is_not_explained(make, message):
    with pytest.raises(InputError, match=message):
        make()
