"""The step: packing, micro-batches, recomputation and stacked layers change nothing but speed, and what is learnt is answers."""

import dataclasses
import functools
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from doubles.mesh_run import SHAPE, random_params
from doubles.tokenizer import ChatTokenizer
from doubles.train_run import examples
from flax import nnx

from reasoning.data.traces import Trace
from reasoning.decode.engine import Engine
from reasoning.decode.requests import Request
from reasoning.errors import InputError
from reasoning.models import chunked, packed, training
from reasoning.models.model import Model
from reasoning.models.transformer import MLP, network
from reasoning.train import loss as losses
from reasoning.train import mesh
from reasoning.train.batching import Batch, Batches, Layout
from reasoning.train.examples import FORMS, encode
from reasoning.train.step import depends, make_loss, make_step

LOCAL = dataclasses.replace(
    SHAPE, num_layers=3, window=7, local_layers=(True, False, True), rope_local_theta=1e3, qk_norm=True, tie_embeddings=True
)
SGD = optax.sgd(1.0)


@functools.cache
def params(config=SHAPE):
    return random_params(config)


# Machine code that is not optimised takes half the time to make; XLA's own passes run as ever.
quick = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


@functools.cache
def step_of(config=SHAPE, **settings):
    return quick(make_step(network(config), SGD, **settings), donate_argnums=0)


def taken(batch: Batch, config=SHAPE, start=None, **settings):
    """(parameters after one step of SGD, metrics)."""
    state, metrics = step_of(config, **settings)(mesh.init(start or params(config), SGD), {}, batch)
    return state.params, jax.device_get(metrics)


def batch_of(kind="packed", rows=4, max_tokens=64) -> Batch:
    return next(Batches(examples(), Layout(kind, examples=10, rows=rows, max_tokens=max_tokens)))


def assert_same(found, wanted, rtol=1e-5):
    (left, metrics), (right, expected) = found, wanted
    assert metrics.targets == expected.targets and metrics.tokens == expected.tokens
    np.testing.assert_allclose([metrics.loss, metrics.grad_norm], [expected.loss, expected.grad_norm], rtol=rtol)
    for one, other in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=rtol)


@pytest.mark.slow
def test_the_loss_is_not_that_of_the_model_that_answers():
    """Each example alone, through the forward pass of inference, in numpy: prompts and padding are no part of it."""
    model, nats, hits = Model(SHAPE, params()), [], []
    for one in examples():
        padded = np.pad(one.ids, (0, 64 - len(one.ids)))[None, :]  # it sees nothing to its right
        logits = np.asarray(model.logits(padded), np.float64)[0, : len(one.ids) - 1]
        logits -= np.log(np.exp(logits).sum(-1, keepdims=True))
        wanted = one.loss[1:]
        nats += (-logits[np.arange(len(wanted)), one.ids[1:]])[wanted].tolist()
        hits += (logits.argmax(-1) == one.ids[1:])[wanted].tolist()
    for kind in ("packed", "padded"):
        _, metrics = taken(batch_of(kind))
        assert metrics.targets == len(nats) and metrics.tokens == sum(len(one.ids) for one in examples())
        np.testing.assert_allclose(metrics.loss, np.mean(nats), rtol=1e-5)
        np.testing.assert_allclose(metrics.token_accuracy, np.mean(hits), atol=1e-6)


def test_the_gradient_is_not_that_of_the_model_that_answers():
    """Through the forward pass of inference and a plain loss; the embedding is the head as well and gets both gradients."""
    padded, net = jax.tree.map(lambda leaf: leaf[0], batch_of("padded", rows=10)), network(LOCAL)

    def plain(params):
        hidden, _ = net.forward(params, padded.tokens, padded.positions, None)
        each = optax.softmax_cross_entropy_with_integer_labels(net.head(params, hidden)[:, :-1], padded.tokens[:, 1:])
        return jnp.where(padded.loss[:, 1:], each, 0).sum() / padded.loss.sum()

    wanted = jax.tree.map(lambda leaf, gradient: leaf - gradient, params(LOCAL), quick(jax.grad(plain))(params(LOCAL)))
    for one, other in zip(jax.tree.leaves(taken(batch_of(), LOCAL)[0]), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_packing_changes_the_gradient():
    assert_same(taken(batch_of("packed")), taken(batch_of("padded")))


def test_a_token_sees_another_segment():
    batch = jax.tree.map(lambda leaf: leaf[0], batch_of())
    row = int(np.argmax(batch.segments.max(axis=1)))
    forward = quick(network(LOCAL).training().hidden)
    before = forward(params(LOCAL), batch.tokens, batch.positions, batch.segments)
    for segment in range(1, batch.segments[row].max() + 1):
        inside = batch.segments[row] == segment
        changed = batch.tokens.copy()
        changed[row, inside] = (changed[row, inside] + 7) % SHAPE.vocab_size
        after = forward(params(LOCAL), changed, batch.positions, batch.segments)
        assert np.array_equal(before[row, ~inside], after[row, ~inside]), "bit for bit"
        assert not np.allclose(before[row, inside], after[row, inside])


def test_padding_is_learnt_from():
    batch = batch_of()
    noisy = batch._replace(tokens=np.where(batch.segments == 0, 77, batch.tokens), loss=batch.loss | (batch.segments == 0))
    assert (batch.segments == 0).any()
    for one, other in zip(jax.tree.leaves(taken(noisy)), jax.tree.leaves(taken(batch)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_micro_batches_are_averaged_as_means_or_empty_ones_count():
    one, four = batch_of("padded", rows=10), batch_of("padded")
    targets = four.loss.sum(axis=(1, 2)).tolist()
    assert one.tokens.shape[0] == 1 and len(targets) == len(set(targets)) == 4 and targets[3] == 0
    assert_same(taken(four), taken(one))


@pytest.mark.parametrize("settings", [{"remat": "dots"}, {"scan_layers": True, "remat": "full"}])
@pytest.mark.slow
def test_saving_memory_or_compile_time_changes_the_gradient(settings):
    assert_same(taken(batch_of(), LOCAL, **settings), taken(batch_of(), LOCAL))


DEEP = dataclasses.replace(SHAPE, num_layers=7)  # three spans of two, and one layer left over


@pytest.mark.slow
def test_a_loop_of_loops_skips_layers(monkeypatch):
    """Chunks of tokens in the feed-forward part, too."""
    plain = taken(batch_of(), DEEP)
    monkeypatch.setattr(chunked, "CHUNK", 24)
    assert_same(taken(batch_of(), DEEP, scan_layers=True, remat="spans"), plain)


@pytest.mark.parametrize(("remat", "kept"), [("full", {7}), ("spans", {1, 2, 3})])
def test_the_inputs_of_all_layers_are_kept(remat, kept):
    """Of a loop over layers, whatever has the shape of their inputs with an axis before it."""
    batch = jax.tree.map(lambda leaf: leaf[0], batch_of())
    loss, net = make_loss(network(DEEP), remat=remat, scan_layers=True), network(DEEP).training()
    program = jax.make_jaxpr(jax.grad(lambda params: loss(net.stack(params), batch)[0]))(params(DEEP))
    shape = (*batch.tokens.shape, DEEP.d_model)
    found = re.findall(rf"f32\[(\d+),{','.join(map(str, shape))}\]", str(program))
    assert {int(n) for n in found} == kept


def test_the_mlp_of_a_chunk_loses_its_gradient(monkeypatch):
    mlp = MLP(SHAPE, "float32", nnx.Rngs(0))
    x, out = (jnp.asarray(one, jnp.float32) for one in np.random.default_rng(0).standard_normal((2, 3, 23, SHAPE.d_model)))

    @quick
    def both(*inputs):
        monkeypatch.setattr(chunked, "CHUNK", 5)
        found = [jax.vjp(run, *inputs) for run in (chunked.in_chunks, lambda mlp, x: mlp(x))]
        return [jax.tree.leaves((value, pull(out))) for value, pull in found]

    ours, plain = both(mlp, x)
    assert len(ours) == 4
    for one, other in zip(ours, plain, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_masks_of_all_chunks_are_kept(monkeypatch):
    """Where layers are a loop, JAX made them in one of their own: T × T for every head, 9 GB for 32B over 20,480 tokens."""
    monkeypatch.setattr(packed, "CHUNK", 8)
    monkeypatch.setattr(packed, "BANDS", 1)
    batch = jax.tree.map(lambda leaf: leaf[0], batch_of(max_tokens=91))
    loss, net = make_loss(network(SHAPE), remat="full", scan_layers=True), network(SHAPE).training()
    program = jax.make_jaxpr(jax.grad(lambda params: loss(net.stack(params), batch)[0]))(params())
    masks = [[int(n) for n in dims.split(",")] for dims in re.findall(r"bool\[([\d,]+)\]", str(program))]
    of_keys = [math.prod(dims) for dims in masks if SHAPE.vocab_size not in dims and dims[-1] > 8]
    B, T = batch.tokens.shape
    assert of_keys and max(of_keys) < B * T * T


def test_stacked_layers_are_mixed_up():
    assert training.period(LOCAL) == 2 and training.period(SHAPE) == 1
    net = network(LOCAL).training()
    stacked = net.stack(params(LOCAL))
    assert sorted(stacked["layers"]) == ["0", "1", "2"] and stacked["layers"]["1"]["mlp"]["down"]["kernel"].shape[0] == 1
    jax.tree.map(np.testing.assert_array_equal, net.unstack(stacked), params(LOCAL))


def test_chunks_of_queries_see_other_keys(monkeypatch):
    batch = jax.tree.map(lambda leaf: leaf[0], batch_of(max_tokens=91))
    forward = network(LOCAL).training().hidden
    arguments = (params(LOCAL), batch.tokens, batch.positions, batch.segments)
    whole = quick(lambda *a: forward(*a))(*arguments)
    monkeypatch.setattr(packed, "CHUNK", 10)
    monkeypatch.setattr(packed, "BANDS", 3)
    np.testing.assert_allclose(quick(lambda *a: forward(*a))(*arguments), whole, atol=2e-5)


@pytest.mark.parametrize(("length", "chunk"), [(257, 256), (576, 256), (600, 256), (91, 10)])
def test_the_rest_behind_whole_chunks_is_attended_wrongly(length, chunk, monkeypatch):
    """Outputs and gradients of rows of several chunks (of several a band, where chunks are small) against the whole square."""
    monkeypatch.setattr(packed, "CHUNK", chunk)
    monkeypatch.setattr(packed, "BANDS", 3)
    rng, window = np.random.default_rng(0), 90 if chunk == 256 else 20
    q, out = (jnp.asarray(rng.standard_normal((2, length, 1, 2, 4)), jnp.float32) for _ in range(2))
    k, v = (jnp.asarray(rng.standard_normal((2, length, 1, 4)), jnp.float32) for _ in range(2))
    ends = np.array([[length // 3, length - 5], [length - 1, length]])  # two segments, and padding behind the first row's
    at = np.arange(length)
    segments = np.where(at < ends[:, :1], 1, np.where(at < ends[:, 1:], 2, 0)).astype(np.int32)
    positions = np.where(segments == 2, at - ends[:, :1], at).astype(np.int32)
    seen = (segments[:, :, None] == segments[:, None]) & (at[:, None] >= at) & (at[:, None] - at < window)

    def plain(q, k, v):
        scores = jnp.einsum("btkgh,bskh->bkgts", q, k)
        weights = jax.nn.softmax(jnp.where(seen[:, None, None], scores, -jnp.inf), axis=-1)
        return jnp.einsum("bkgts,bskh->btkgh", weights, v)

    def ours(q, k, v):
        return packed.Packed(jnp.asarray(segments)).attend(q, k, v, jnp.asarray(positions), window, "float32")

    @quick
    def both(*inputs):
        found = [jax.vjp(attend, *inputs) for attend in (ours, plain)]
        return [(value, *pull(out)) for value, pull in found]

    for one, other in zip(*both(q, k, v), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)


@pytest.mark.parametrize("size", [1 << 30, 4 * 3 * 40 * 4])
def test_chunks_of_logits_have_another_gradient(size, monkeypatch):
    monkeypatch.setattr(losses, "CHUNK_BYTES", size)
    rng = np.random.default_rng(0)
    hidden, kernel = (jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in ((3, 13, 8), (40, 8)))
    labels, wanted = rng.integers(0, 40, (3, 13)), rng.random((3, 13)) < 0.3
    wanted[1] = False

    def plain(hidden, kernel):
        logits = hidden @ kernel.T
        each = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return jnp.where(wanted, each, 0).sum(), jnp.where(wanted, logits.argmax(-1) == labels, False).sum()

    def ours(hidden, kernel):
        sums = losses.cross_entropy(hidden, kernel, jnp.asarray(labels), jnp.asarray(wanted))
        return 3.0 * sums.loss, sums.correct

    found, gradients = quick(jax.value_and_grad(ours, (0, 1), has_aux=True))(hidden, kernel)
    expected, wanted_gradients = quick(jax.value_and_grad(plain, (0, 1), has_aux=True))(hidden, kernel)
    np.testing.assert_allclose([found[0] / 3, found[1]], expected, rtol=1e-6)
    np.testing.assert_allclose(quick(ours)(hidden, kernel)[0], found[0], rtol=1e-6)
    for one, other in zip(gradients, wanted_gradients, strict=True):
        np.testing.assert_allclose(one / 3, other, atol=1e-5)


@pytest.mark.slow
def test_bfloat16_products_lose_the_gradient():
    exact, (rough, metrics) = taken(batch_of()), taken(batch_of(), compute_dtype="bfloat16")
    np.testing.assert_allclose(metrics.loss, exact[1].loss, rtol=1e-2)
    assert all(leaf.dtype == np.float32 for leaf in jax.tree.leaves(rough)), "masters"
    for one, other, start in zip(*map(jax.tree.leaves, (rough, exact[0], params())), strict=True):
        one, other = np.ravel(one - start), np.ravel(other - start)
        assert one @ other > 0.999 * np.linalg.norm(one) * np.linalg.norm(other)


def test_a_step_that_is_not_finite_poisons_the_weights():
    start = jax.tree.map(jnp.array, params())
    start["final_norm"]["scale"] = start["final_norm"]["scale"].at[0].set(jnp.inf)
    after, metrics = taken(batch_of(), start=start)
    assert not metrics.finite and metrics.update_norm == 0
    jax.tree.map(np.testing.assert_array_equal, after, start)
    assert taken(batch_of())[1].finite


@pytest.mark.slow
def test_what_is_frozen_gets_a_gradient():
    def merge(scales, base):
        layer = base["layers"]["1"]
        down = {"kernel": layer["mlp"]["down"]["kernel"] * scales["s"]}
        return {**base, "layers": {**base["layers"], "1": {**layer, "mlp": {**layer["mlp"], "down": down}}}}

    scales = {"s": jnp.ones(())}
    learnt = depends(merge, scales, params())
    paths = [mesh.path_of(path) for path, _ in jax.tree_util.tree_leaves_with_path(params())]
    assert [path for path, one in zip(paths, learnt, strict=True) if one] == ["layers/1/mlp/down/kernel"]
    step = quick(make_step(network(SHAPE), SGD, merge=merge, scan_layers=True))
    state, metrics = step(mesh.init(scales, SGD), params(), batch_of())

    targets = batch_of().loss.sum()

    @quick
    def plain(s):
        micro = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), batch_of(rows=8))
        return make_loss(network(SHAPE))(merge({"s": s}, params()), micro)[0] / targets

    slope = (plain(1.02) - plain(0.98)) / 0.04
    np.testing.assert_allclose(1 - state.params["s"], slope, rtol=2e-2)
    np.testing.assert_allclose(metrics.grad_norm, abs(1 - state.params["s"]), rtol=1e-4)


def test_settings_that_there_are_not_are_refused():
    with pytest.raises(InputError, match="none, dots, full, spans, got 'some'"):
        make_step(network(SHAPE), SGD, remat="some")
    with pytest.raises(InputError, match="layers in a loop; set step.scan_layers"):
        make_step(network(SHAPE), SGD, remat="spans")
    scores = dataclasses.replace(SHAPE, language_head=False, num_labels=1)
    with pytest.raises(InputError, match="no language head to train"):
        make_step(network(scores), SGD)


@pytest.mark.slow
def test_what_was_learnt_is_not_what_the_engine_says():
    """Across the whole repository: traces → examples → packed batches → steps → engine."""
    chat, form = ChatTokenizer(), FORMS["think"]
    traces = [Trace(str(i), f"{i} + {i}?", f"{i} and {i} is {2 * i}.", str(2 * i)) for i in range(8)]
    learnt = [encode(trace, chat, form) for trace in traces]
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(6e-3, b2=0.95))
    state = mesh.init(jax.tree.map(lambda leaf: leaf * 0.5, params()), optimizer)
    step = mesh.compiled(make_step(network(SHAPE), optimizer))
    batches = Batches(learnt, Layout(examples=8, rows=4, max_tokens=192))
    for _ in range(300):
        state, metrics = step(state, {}, next(batches))
        if metrics.loss < 0.02:
            break
    assert metrics.loss < 0.05 and metrics.token_accuracy > 0.99
    engine = Engine(Model(SHAPE, state.params, chat, "learnt"), max_slots=8)
    requests = [Request(id=trace.id, messages=form.messages(trace.question), max_tokens=80) for trace in traces]
    said = {response.id: response for response in engine.generate(requests, temperature=0)}
    for trace in traces:
        assert said[trace.id].text.removesuffix("<stop>") == form.response(trace)
        assert said[trace.id].stop_reason == "stop"
