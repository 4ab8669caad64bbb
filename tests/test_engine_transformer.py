"""The engine's laws on a real decoder, where float32 sums would show a change of shape or neighbour in their last bits."""

import dataclasses

import jax
import pytest
from doubles.models import config
from doubles.tokenizer import ByteTokenizer

from reasoning.decode.base import Chain
from reasoning.decode.controllers import stop_ids
from reasoning.decode.engine import Engine
from reasoning.decode.requests import Request
from reasoning.decode.transforms import temperature, top_p
from reasoning.models.model import Model
from reasoning.models.transformer import init_params

CHAIN = Chain((temperature(), top_p()), (stop_ids(),))
REQUESTS = [Request(id=f"p{i}", prompt="some words " * i, n=2) for i in range(1, 4)]


@pytest.fixture(scope="module", params=["float32", pytest.param("bfloat16", marks=pytest.mark.slow)])
def engine(request):
    shape = dataclasses.replace(
        config(257), d_model=32, num_layers=2, num_heads=4, num_kv_heads=2, head_dim=8, d_ff=64, qkv_bias=True
    )
    return Engine(Model(shape, init_params(shape, jax.random.key(1), request.param), ByteTokenizer(), "tiny"), max_slots=3)


def collect(engine, requests, **knobs):
    options = {"max_tokens": 24, "temperature": 1.0, "chain": CHAIN} | knobs
    return {(r.id, r.sample): (r.tokens.tolist(), r.logprobs.tobytes()) for r in engine.generate(requests, **options)}


def test_neighbours_order_and_refill_change_no_bit(engine):
    reference = collect(engine, REQUESTS)
    assert len({tokens for tokens, _ in ((tuple(t), b) for t, b in reference.values())}) == 6
    assert collect(engine, REQUESTS[::-1]) == reference
    mixed = [Request(id="cut", prompt="other", n=4, max_tokens=30, knobs={"top_p": 0.5}), *REQUESTS]
    assert {key: value for key, value in collect(engine, mixed).items() if key[0] != "cut"} == reference
    alone = collect(engine, [dataclasses.replace(REQUESTS[1], samples=(1,))])
    assert alone == {("p2", 1): reference["p2", 1]}


@pytest.mark.parametrize("change", [pytest.param({"steps": 1}, marks=pytest.mark.slow), {"unroll": 2, "lag": 1}])
def test_chunks_of_steps_change_no_bit(engine, change):
    again = Engine(engine.model, plan=engine.plan | change)
    assert collect(again, REQUESTS) == collect(engine, REQUESTS)


def test_greedy_engine_agrees_with_the_uncached_forward_pass(engine):
    prompt = engine.model.tokenizer.encode("the cache must not matter")
    (response,) = engine.generate([Request(id="g", tokens=prompt)], max_tokens=12, temperature=0, chain=CHAIN)
    logits = engine.model.logits(jax.numpy.asarray([prompt + response.tokens.tolist()]))[0, len(prompt) - 1 : -1]
    chosen = jax.numpy.take_along_axis(logits, jax.numpy.asarray(response.tokens)[:, None], 1)[:, 0]
    assert float((logits.max(-1) - chosen).max()) < (
        1e-4 if engine.model.params["embed"]["embedding"].dtype == "float32" else 0.05
    )
