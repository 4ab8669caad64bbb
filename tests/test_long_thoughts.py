"""Long and unequal answers: the cache set aside stays near the cache used, fits the memory, and programs stay few."""

import json
import logging

import numpy as np
import pytest
from doubles.models import hash_model
from doubles.stages import SMALL

from reasoning.decode.engine import Engine
from reasoning.decode.plan import bucket_of, fit, make_plan, room_rows, slots_of
from reasoning.decode.requests import Request
from reasoning.errors import InputError

CONTEXT = 32_768


def lognormal_lengths(median, sigma, tail, count=64, seed=0):
    """New tokens of `count` requests: lognormal, cut at `tail`, which a few of them reach."""
    lengths = np.random.default_rng(seed).lognormal(np.log(median), sigma, count - 3)
    return [*np.clip(lengths, 8, tail).astype(int).tolist(), tail, tail, tail]


@pytest.mark.slow
def test_a_few_long_answers_multiply_the_cache_of_all():
    """64 requests for real, scaled down: allocated over used at most 2 over all bucket groups together."""
    model = hash_model(context=256)
    engine = Engine(model, plan=make_plan(0, 64, smallest_bucket=64).to_json())
    requests = [
        Request(id=str(i), tokens=[1 + i % 50] * (5 + i % 20), max_tokens=length)
        for i, length in enumerate(lognormal_lengths(60, 0.9, 231))
    ]
    engine.fit(requests)
    total = sum(len(requests[int(r.id)].tokens) + len(r.tokens) for r in engine.generate(requests, chain=SMALL, stop_ids=[]))
    allocated, used = engine.cache_use
    assert used == total == sum(len(request.tokens) + request.max_tokens for request in requests)
    assert used <= allocated <= 2 * used


@pytest.mark.parametrize("memory", [20_000 * CONTEXT, 200 * CONTEXT])
def test_the_planner_sets_aside_more_than_the_memory_or_twice_what_is_used(memory):
    """The full size, planned only: medians of 2,048 tokens and a tail of 32k."""
    network, prompt = hash_model(context=CONTEXT).network, 200
    plan, samples = make_plan(0, max_slots=64, memory=memory), {}
    lengths = [prompt + length for length in lognormal_lengths(2048, 1.0, CONTEXT - prompt)]
    for length in lengths:
        bucket = bucket_of(plan, length, CONTEXT)
        samples[bucket] = samples.get(bucket, 0) + 1
    plan = fit(plan, samples)
    size = bucket_of(plan, prompt, CONTEXT)
    reserved = 0
    for bucket, count in samples.items():
        rows = slots_of(plan, network, bucket)
        assert rows <= count
        assert network.cache_bytes(rows, bucket) + network.cache_bytes(room_rows(plan, size), size) <= memory
        reserved += bucket * max(rows, count) + size * room_rows(plan, size)
    assert max(samples) == CONTEXT
    assert reserved <= 2 * sum(lengths)


@pytest.mark.slow
def test_a_second_workload_takes_rows_away_or_moves_a_bucket_in_use():
    engine = Engine(hash_model(), max_slots=8)
    engine.fit([Request(id="a", prompt="abc", n=3)], max_tokens=20)
    assert engine.plan["rows"] == ((64, 3),)
    engine.fit([Request(id="b", prompt="abc", n=2), Request(id="long", prompt="abc", max_tokens=90)], max_tokens=20)
    assert engine.plan["rows"] == ((64, 3), (96, 1))
    list(engine.generate([Request(id="c", prompt="abc")], max_tokens=20, chain=SMALL))
    engine.fit([Request(id="d", prompt="abc", n=7)], max_tokens=20)
    assert engine.plan["rows"] == ((64, 3), (96, 1))
    again = Engine(engine.model, plan=json.loads(json.dumps(engine.plan)))
    assert again.plan == engine.plan
    assert again.programs(64, SMALL).rows == 3


def test_a_plan_with_rows_that_are_no_pairs_is_refused():
    plan = Engine(hash_model()).plan
    with pytest.raises(InputError, match="pairs"):
        Engine(hash_model(), plan=plan | {"rows": [64, 3]})


@pytest.mark.slow
def test_a_sweep_of_knobs_compiles_more_than_one_decode_program_a_bucket(caplog):
    """A ceiling: three buckets and one chain are three decode programs, one room and three ways into slots."""
    engine = Engine(hash_model(sharpness=2.0), max_slots=4)
    with caplog.at_level(logging.DEBUG, logger="jax"):
        for temperature in (0.0, 0.5, 1.0):
            for top_p in (0.5, 1.0):
                for stop, penalty, tokens, seed in ((), 1.0, 9, 0), (("e",), 1.3, 40, 1), (("and", "or"), 1.1, 85, 2):
                    requests = [Request(id=f"p{i}", prompt="word " * i, n=i, seed=seed, stop=stop) for i in (1, 2, 3)]
                    knobs = {"repetition_penalty": penalty, "top_k": 3 * seed, "min_p": 0.1 * seed, "min_new_tokens": seed}
                    list(engine.generate(requests, max_tokens=tokens, temperature=temperature, top_p=top_p, **knobs))
    compiled = [record.getMessage() for record in caplog.records if "Finished XLA compilation" in record.getMessage()]
    counts = {name: sum(f"jit({name})" in text for text in compiled) for name in ("decode", "admit", "prefill")}
    assert counts == {"decode": 3, "admit": 3, "prefill": 1}, compiled
    assert sorted(bucket for _, bucket, *_ in engine._programs) == [64, 96, 128]
