"""Tiny models of every family against golden logits of transformers (tests/golden/models/tiny.json), in float32."""

import functools

import jax
import numpy as np
import pytest
from golden.models import ours, tiny

GOLDEN = ours.golden("tiny")
CASES = sorted(tiny.CASES)
WINDOWED = [case for case in CASES if tiny.CASES[case].get("sliding_window")]


@pytest.fixture(scope="module")
def model_and_logits():
    """case → (model, float32[3, 14, V] without cache), each computed once for both tests."""

    @functools.cache
    def of(case):
        model = ours.build(case)
        return model, np.asarray(model.logits(tiny.prompts()))

    return of


def test_every_case_has_its_golden():
    assert sorted(GOLDEN["cases"]) == CASES


@pytest.mark.parametrize("case", CASES)
def test_ragged_logits_do_not_drift_from_transformers(model_and_logits, case):
    logits = model_and_logits(case)[1][:, :, :: tiny.VOCAB_STRIDE]
    rows = np.concatenate([logits[row, :length] for row, length in enumerate(tiny.PROMPT_LENGTHS)])
    np.testing.assert_allclose(rows, np.array(GOLDEN["cases"][case]), rtol=0, atol=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_no_split_of_the_prompt_into_chunks_changes_the_logits(model_and_logits, case):
    """Every composition of 8 tokens, 128 rows of one batch, each at its own place; the window of 4 is crossed."""
    (model, uncached), length = model_and_logits(case), 8
    splits = ours.all_splits(length)
    tokens = np.tile(tiny.prompts()[:1, :length], (len(splits), 1))
    cached = ours.chunked_logits(model, tokens, splits, size=length + 3)
    np.testing.assert_allclose(cached, np.broadcast_to(uncached[:1, :length], cached.shape), rtol=0, atol=1e-4)


@pytest.mark.parametrize("case", WINDOWED)
def test_decoding_beyond_two_windows_drifts_from_transformers(model_and_logits, case):
    """One token a step through the cache, every position against the golden; all rows go on past their prompts' lengths."""
    model = model_and_logits(case)[0]
    assert 2 * model.config.window < tiny.LENGTH
    forward, cache, steps = jax.jit(model.network.forward), model.network.init_cache(3, tiny.LENGTH), []
    for at in range(tiny.LENGTH):
        hidden, cache = forward(model.params, tiny.prompts()[:, at : at + 1], np.full((3, 1), at), cache)
        steps.append(np.asarray(model.network.head(model.params, hidden))[:, 0, :: tiny.VOCAB_STRIDE])
    rows = [np.stack(steps, 1)[row, :length] for row, length in enumerate(tiny.PROMPT_LENGTHS)]
    np.testing.assert_allclose(np.concatenate(rows), np.array(GOLDEN["cases"][case]), rtol=0, atol=1e-4)
