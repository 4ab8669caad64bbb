"""The chain that users get, through the whole engine: frequencies are right, whoever shares the batch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from doubles.models import hash_model
from scipy import stats

from reasoning.decode.engine import STANDARD, Engine
from reasoning.decode.requests import Request

VOCAB, PROMPT, DRAWS = 12, [1, 2, 3], 3000


@pytest.fixture(scope="module")
def engine():
    return Engine(hash_model(VOCAB, sharpness=1.5, seed=5), max_slots=64)


def expected(logits, temperature=1.0, top_k=0, top_p=1.0):
    """Hugging Face's order in five lines: temperature, top-k, top-p."""
    logits = np.asarray(logits, np.float64) / temperature
    order = np.argsort(-logits)
    keep = order[: top_k or VOCAB]
    p = np.exp(logits[keep]) / np.exp(logits[keep]).sum()
    keep = keep[: int(np.searchsorted(np.cumsum(p), top_p)) + 1] if top_p < 1 else keep
    p = np.zeros(VOCAB)
    p[keep] = np.exp(logits[keep])
    return p / p.sum()


SETTINGS = {
    "neutral": {},
    "cold": {"temperature": 0.5},
    "nucleus": {"temperature": 1.7, "top_p": 0.8},
    "few": {"temperature": 0.7, "top_k": 4},
}


@pytest.mark.slow
def test_frequencies_are_right_when_rows_with_other_settings_share_the_batch(engine):
    """Temperature applied twice, an inverted mask or a neighbour's threshold would all skew these counts."""
    requests = [Request(id=name, tokens=PROMPT, n=DRAWS, knobs=knobs) for name, knobs in SETTINGS.items()]
    mixed = [
        Request(id=f"{name}-{part}", tokens=PROMPT, n=50, knobs=SETTINGS[name])
        for part in range(DRAWS // 50)
        for name in SETTINGS
    ]
    assert len(requests) * DRAWS == sum(request.n for request in mixed)
    counts = {name: np.zeros(VOCAB) for name in SETTINGS}
    for response in engine.generate(mixed, max_tokens=1):
        counts[response.id.split("-")[0]][response.tokens[0]] += 1
    logits = engine.model.logits(jnp.asarray([PROMPT]))[0, -1]
    for name, knobs in SETTINGS.items():
        p = expected(logits, **knobs)
        assert counts[name][p == 0].sum() == 0, name
        assert stats.chisquare(counts[name][p > 0], DRAWS * p[p > 0]).pvalue > 1e-4, name


def test_greedy_ignores_every_truncation_and_takes_the_largest_logit(engine):
    best = int(np.argmax(engine.model.logits(jnp.asarray([PROMPT]))[0, -1]))
    requests = [Request(id="g", tokens=PROMPT, n=8, knobs={"temperature": 0, "top_p": 0.3, "top_k": 2, "min_p": 0.2})]
    assert {int(response.tokens[0]) for response in engine.generate(requests, max_tokens=1)} == {best}


@pytest.mark.slow
def test_ids_that_the_tokenizer_does_not_know_are_never_sampled():
    model = hash_model(300, sharpness=0.1)  # 257 ids of the byte tokenizer, 43 rows of padding
    assert model.tokenizer.size == 257
    responses = Engine(model, max_slots=32).generate([Request(id="p", prompt="x", n=64)], max_tokens=30, temperature=5.0)
    assert max(int(response.tokens.max()) for response in responses) < 257


def test_min_new_tokens_holds_back_the_stop_id_and_allowed_sets_hold_back_the_rest(engine):
    logits = engine.model.logits(jnp.asarray([PROMPT]))[0, -1]
    likeliest = int(np.argmax(logits))
    options = {"max_tokens": 6, "temperature": 0, "stop_ids": [likeliest]}
    (short,) = engine.generate([Request(id="s", tokens=PROMPT)], **options)
    (longer,) = engine.generate([Request(id="s", tokens=PROMPT)], min_new_tokens=3, **options)
    assert (len(short.tokens), short.stop_reason) == (1, "stop")
    assert likeliest not in longer.tokens[:3].tolist()


def test_allowed_set_of_one_row_restricts_no_other(engine):
    digits = engine.allowed_set([3, 4])
    requests = [Request(id="set", tokens=PROMPT, n=20, knobs={"allowed_set": digits}), Request(id="free", tokens=PROMPT, n=20)]
    seen = {"set": set(), "free": set()}
    for response in engine.generate(requests, max_tokens=8, temperature=3.0):
        seen[response.id] |= set(response.tokens.tolist())
    assert seen["set"] == {3, 4}
    assert len(seen["free"]) > 6


@pytest.mark.slow
def test_a_pause_without_a_search_does_not_hang(engine):
    model = hash_model(sharpness=0.5)
    pausing = Engine(model, max_slots=2)
    options = {"max_tokens": 20, "temperature": 1.0, "allowed_set": pausing.allowed_set([ord("e"), ord("f")])}
    (paused,) = pausing.generate([Request(id="p", prompt="x")], step_ends=[pausing.pattern("e")], **options)
    (plain,) = pausing.generate([Request(id="p", prompt="x")], **options)
    assert "e" in paused.text
    assert paused.tokens.tolist() == plain.tokens.tolist()


def test_the_standard_loop_holds_no_large_constant_and_no_callback(engine):
    programs = engine.programs(64)
    text = programs.decode.as_text()
    assert "callback" not in text
    sizes = [leaf.nbytes for leaf in jax.tree.leaves(engine.model.params)]
    assert programs.decode.memory_analysis().argument_size_in_bytes > sum(sizes)
    assert len(STANDARD.transforms) >= 10
