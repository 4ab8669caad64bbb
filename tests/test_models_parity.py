"""Tiny models of every family against golden logits of transformers (tests/golden/models/tiny.json), in float32."""

import functools

import numpy as np
import pytest
from golden.models import ours, tiny

from reasoning.weights import hf_config

GOLDEN = ours.golden("tiny")
CASES = sorted(tiny.CASES)
FIRST = ("gemma3_local_global", "llama_gqa_tied", "qwen2_window", "qwen3_untied_yarn")


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


# Of every architecture one in the fast suite.
@pytest.mark.parametrize("case", [case if case in FIRST else pytest.param(case, marks=pytest.mark.slow) for case in CASES])
def test_no_split_of_the_prompt_into_chunks_changes_the_logits(model_and_logits, case):
    """129 rows of one batch, each cut in its own way; the last row is decoding token by token.

    14 tokens are more than twice the windows (4 and 6) and more than the context of the scaled models (8).
    """
    model, uncached = model_and_logits(case)
    splits = ours.long_splits()
    tokens = np.tile(tiny.prompts()[:1], (len(splits), 1))
    cached = ours.chunked_logits(model, tokens, splits, size=tiny.LENGTH + 3)
    np.testing.assert_allclose(cached, np.broadcast_to(uncached[:1], cached.shape), rtol=0, atol=1e-4)


def test_the_prompts_are_long_enough_for_what_they_are_to_show():
    for case in CASES:
        config = hf_config.from_dict(tiny.CASES[case])
        assert config.window is None or 2 * config.window < tiny.LENGTH
        assert config.rope_scaling is None or config.context / config.rope_scaling.factor < tiny.LENGTH
