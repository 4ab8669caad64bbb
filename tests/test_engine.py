"""The engine's laws: a row depends on its request alone, knobs are data, bad input is refused before anything runs."""

import dataclasses

import jax
import numpy as np
import pytest
from doubles.models import hash_model, scripted_model
from doubles.stages import SMALL
from doubles.tokenizer import ByteTokenizer

from reasoning.decode.engine import Engine
from reasoning.decode.requests import Request
from reasoning.errors import InputError

REQUESTS = [Request(id=f"p{i}", prompt="prompt " * i, n=3, seed=7) for i in range(1, 6)]


@pytest.fixture(scope="module")
def model():
    return hash_model(sharpness=2.0)


@pytest.fixture(scope="module")
def engine(model):
    return Engine(model, max_slots=4)


def collect(engine, requests, **knobs):
    """{(id, sample): everything about it that must not depend on the company it kept}."""
    options = {"max_tokens": 20, "temperature": 0.9, "sum_bonus": 2.0, "chain": SMALL} | knobs
    return {
        (r.id, r.sample): (r.tokens.tolist(), r.logprobs.tobytes(), r.forced.tolist(), r.stop_reason, r.text)
        for r in engine.generate(requests, **options)
    }


@pytest.fixture(scope="module")
def reference(engine):
    return collect(engine, REQUESTS)


def test_every_sample_arrives_once(reference):
    assert sorted(reference) == [(f"p{i}", sample) for i in range(1, 6) for sample in range(3)]


def test_order_of_requests_changes_no_sample(engine, reference):
    assert collect(engine, REQUESTS[::-1]) == reference


def test_a_row_alone_equals_the_row_in_company(engine, reference):
    lonely = collect(engine, [dataclasses.replace(REQUESTS[2], n=1, samples=(1,))])
    assert lonely == {("p3", 1): reference["p3", 1]}


def test_a_long_neighbour_changes_no_sample(engine, reference):
    neighbour = Request(id="long", prompt="x", n=2, max_tokens=60)
    together = collect(engine, [neighbour, *REQUESTS])
    assert {key: value for key, value in together.items() if key[0] != "long"} == reference


@pytest.mark.parametrize(
    "change",
    [{"steps": 7, "lag": 1}, {"prefill_chunk": 16}]
    + [pytest.param(change, marks=pytest.mark.slow) for change in ({"steps": 1}, {"unroll": 3}, {"prefill_rows": 1})],
)
def test_chunking_changes_no_sample(model, engine, reference, change):
    assert collect(Engine(model, plan=engine.plan | change), REQUESTS) == reference


def test_samples_of_one_prompt_differ_and_another_seed_gives_others(engine, reference):
    tokens = {tuple(value[0]) for value in reference.values()}
    assert len(tokens) == len(reference)
    other = collect(engine, [dataclasses.replace(request, seed=8) for request in REQUESTS])
    assert not tokens & {tuple(value[0]) for value in other.values()}


def test_changing_a_knob_or_a_string_compiles_nothing(engine, reference):
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *_, **__: compiled.append(event) if "backend_compile" in event else None
    )
    collect(engine, REQUESTS, temperature=0.3, stop=["never seen before", "e"], sum_bonus=1.0)
    collect(engine, REQUESTS, temperature=0.0, rewind_at=3, rewind_by=2, rewind_script=engine.script("Wait"))
    assert compiled == []


def test_greedy_follows_the_reference_forward_pass(model, engine):
    """A cache position off by one, or a KV write left out, would part the two at once."""
    prompt = "the quick brown fox"
    (response,) = engine.generate([Request(id="g", prompt=prompt)], max_tokens=16, temperature=0, chain=SMALL)
    ids = model.tokenizer.encode(prompt)
    for token in response.tokens:
        assert int(np.argmax(model.logits(np.asarray([ids], np.int32))[0, -1])) == token
        ids.append(int(token))


def test_logprobs_are_those_of_the_reference_forward_pass(model, engine):
    prompt = model.tokenizer.encode("once upon a time")
    (response,) = engine.generate([Request(id="l", tokens=prompt)], max_tokens=12, temperature=1.3, chain=SMALL)
    logits = np.asarray(
        model.logits(np.asarray([prompt + response.tokens.tolist()], np.int32))[0, len(prompt) - 1 : -1], np.float64
    )
    expected = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    np.testing.assert_allclose(response.logprobs, expected[np.arange(12), response.tokens], atol=1e-4)


def test_alternatives_hold_the_likeliest_tokens(model, engine):
    keeper = Engine(model, plan=engine.plan, alternatives=3)
    (response,) = keeper.generate([Request(id="a", prompt="abc")], max_tokens=5, temperature=0, chain=SMALL)
    assert (response.other_tokens[:, 0] == response.tokens).all()
    np.testing.assert_allclose(response.other_logprobs[:, 0], response.logprobs, atol=1e-5)
    assert (np.diff(response.other_logprobs, axis=1) <= 0).all()


def test_abandoned_generate_leaves_the_engine_usable(engine, reference):
    half = engine.generate(REQUESTS, max_tokens=20, chain=SMALL)
    next(half)
    half.close()
    assert engine.live == 0
    assert collect(engine, REQUESTS) == reference


def test_a_later_generate_ends_an_earlier_one_with_a_clear_error(engine, reference):
    half = engine.generate(REQUESTS, max_tokens=20, chain=SMALL)
    next(half)
    assert collect(engine, REQUESTS) == reference
    with pytest.raises(InputError, match="later generate"):
        next(half)


def test_stop_string_that_straddles_tokens_is_cut_out_and_the_text_before_it_kept():
    tokenizer = ByteTokenizer(["it.\n", "\nnext", "42"])
    model = scripted_model(["the answer is 42 in it.\n\nnext step"], tokenizer.size, tokenizer=tokenizer)
    (response,) = Engine(model, max_slots=1).generate([Request(id="s", tokens=[0])], stop=["\n\n"], temperature=0, chain=SMALL)
    assert (response.text, response.stop_reason) == ("the answer is 42 in it.", "pattern")
    assert response.forced[-3:].all() and not response.forced[:-3].any()  # "it." is written again as bytes
    assert response.ledger.discarded == 2


def test_stop_id_ends_the_row_and_stays_out_of_the_text():
    (response,) = Engine(scripted_model(["done."]), max_slots=1).generate(
        [Request(id="s", tokens=[0])], temperature=0, chain=SMALL
    )
    assert (response.text, response.stop_reason, len(response.tokens)) == ("done.", "stop", 6)


def test_max_tokens_is_never_exceeded_even_inside_a_script(engine):
    script = engine.script("a forced text of many bytes")
    for limit in range(1, 9):
        (response,) = engine.generate([Request(id="m", prompt="x")], max_tokens=limit, forced_start=script, chain=SMALL)
        assert (len(response.tokens), response.stop_reason) == (limit, "length")
        assert response.text == "a forced text of many bytes"[:limit]


@pytest.mark.parametrize(
    ("request_", "knobs", "message"),
    [
        (Request(id="x", prompt="a", n=0), {}, "n must be a whole number ≥ 1"),
        (Request(id="x", prompt="a"), {"temperature": -0.5}, "temperature"),
        (Request(id="x", prompt="a"), {"temperature": float("nan")}, "temperature"),
        (Request(id="x", prompt="a"), {"temperature": "hot"}, "temperature"),
        (Request(id="x", prompt="a"), {"top_p": 1.5}, "top_p"),
        (Request(id="x", prompt="a"), {"top_p": 0.0}, "top_p"),
        (Request(id="x", prompt="a", knobs={"tmperature": 1}), {}, "unknown knob 'tmperature'"),
        (Request(id="x", prompt="a"), {"max_tokens": 0}, "max_tokens"),
        (Request(id="x", prompt="a" * 3000), {}, "exceeds the model's context"),
        (Request(id="x", prompt=""), {}, "empty prompt"),
        (Request(id="x", prompt="a", tokens=[1]), {}, "exactly one of"),
        (Request(id="x"), {}, "exactly one of"),
        (Request(id="x", tokens=[999]), {}, "token ids outside"),
        (Request(id="x", prompt="a", seed=-1), {}, "seed"),
        (Request(id="x", prompt="a", samples=(1, 1)), {}, "samples must be distinct"),
        (Request(id=3, prompt="a"), {}, "id is a printable string"),
        (Request(id="x", prompt=b"a"), {}, "prompt is a str"),
        (Request(id="x", prompt="a", seed="1"), {}, "seed must be a whole number"),
        (Request(id="x", prompt="a", samples=(1.5,)), {}, "samples is a list of whole numbers"),
        (Request(id="x", prompt="a", samples=(2**31,)), {}, "samples must be distinct"),
        (Request(id="x", tokens=["a"]), {}, "tokens is a list of whole numbers"),
        (Request(id="x", prompt="a", stop="is"), {}, "stop is a list of strings"),
        (Request(id="x", prompt="a", stop=[1]), {}, "stop is a list of strings"),
        (Request(id="x", prompt="a", knobs=None), {}, "knobs is a mapping"),
        (Request(id="x", prompt="a"), {"stop": "answer"}, "stop is a list of strings"),
        (Request(id="x", prompt="a"), {"top_k": 2**32 + 1}, "whole numbers up to 2147483647"),
        (Request(id="x", prompt="a"), {"top_k": float("inf")}, "whole numbers up to"),
        ({"id": "x", "prompt": "a"}, {}, "generate takes Request objects"),
        (Request(id="x", prompt="a"), {"allowed_set": 9}, "row 9 of the sets, which does not exist"),
        (Request(id="x", prompt="a"), {"forced_start": 99}, "row 99 of the scripts"),
        (Request(id="x", prompt="a"), {"thinking_end": 99}, "row 99 of the patterns"),
    ],
)
def test_bad_request_is_refused_in_one_line_before_anything_runs(engine, request_, knobs, message):
    with pytest.raises(InputError, match=message) as error:
        engine.generate([Request(id="good", prompt="fine"), request_], **knobs)
    assert "\n" not in str(error.value)
    assert engine.live == 0


def test_stop_strings_of_earlier_calls_take_no_room(model, engine):
    """The tables have 16 rows for patterns; rows that were never freed would end the engine's life after 16 strings."""
    keeper = Engine(model, plan=engine.plan)
    held = keeper.pattern("kept")
    for turn in range(20):
        stop = [f"never {turn}", f"again {turn}"]
        assert next(keeper.generate([Request(id="s", prompt="x")], max_tokens=1, stop=stop, chain=SMALL)).stop_reason == "length"
    assert keeper.pattern("kept") == held
    with pytest.raises(InputError, match="capacity=reasoning.text.patterns.Capacity"):
        keeper.generate([Request(id=str(i), prompt="x", stop=[f"string {i}"]) for i in range(17)])


def test_a_single_request_or_a_negative_number_of_alternatives_is_refused(model, engine):
    with pytest.raises(InputError, match="write generate"):
        engine.generate(Request(id="x", prompt="a"))
    with pytest.raises(InputError, match="alternatives"):
        Engine(model, alternatives=-1)
    with pytest.raises(InputError, match="max_slots must be a whole number"):
        Engine(model, plan=engine.plan | {"max_slots": 0})


def test_duplicate_ids_would_share_a_random_key(engine):
    with pytest.raises(InputError, match="appears 2 times"):
        engine.generate([Request(id="x", prompt="a"), Request(id="x", prompt="b")])
