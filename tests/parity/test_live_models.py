"""Our decoder against transformers, run live on models that no golden knows; needs the extra `parity`.

The fast suite has the goldens (tests/golden/models); here the weights are transformers' own random ones, saved and read back
through our loader, the real models see other prompts, and greedy decoding goes through our cache token by token.
"""

import jax
import numpy as np
import pytest
import torch
import transformers
from golden.models import ours, regenerate, tiny

import reasoning
from reasoning.models.model import Model
from reasoning.weights import catalogue
from reasoning.weights.load import open_weights, read_params

TEXTS = (
    "import numpy as np\n\ndef softmax(x):\n    # subtract the maximum, so that exp does not overflow\n",
    "Q: A farmer has 17 sheep and buys 8 more, then sells 5. How many sheep are left?\nA: Let us think step by step. 17 + 8 =",
)


def family(kind, **more):
    """A config.json of `tiny` with everything random about it."""
    return {**tiny.CASES[kind], **more}


RANDOM = {
    "llama 8 heads on 1": family("llama_mha_untied", num_attention_heads=8, num_key_value_heads=1, head_dim=4),
    "llama head wider than D / N": family("llama_gqa_tied", head_dim=16),
    "llama one layer": family("llama_mha_untied", num_hidden_layers=1, rms_norm_eps=1e-3),
    "llama3 scaled, untied, theta 5e5": family(
        "llama_scaled_llama3",
        tie_word_embeddings=False,
        rope_parameters={**tiny.CASES["llama_scaled_llama3"]["rope_parameters"], "rope_theta": 500_000.0, "factor": 32.0},
    ),
    "qwen2 12 heads on 2": family("qwen2_tied", hidden_size=48, num_attention_heads=12, num_key_value_heads=2, head_dim=4),
    "qwen2 yarn with its own attention factor": family(
        "qwen2_scaled_yarn",
        rope_parameters={**tiny.CASES["qwen2_scaled_yarn"]["rope_parameters"], "attention_factor": 1.3, "beta_fast": 8.0},
    ),
    "qwen3 with biases": family("qwen3_tied", attention_bias=True),
    "gemma3 window 2": family("gemma3_local_global", sliding_window=2),
}


def random_model(config, seed, folder):
    """(transformers' model with its own random weights, made larger than its default, and ours, read from its files)."""
    model = regenerate.randomise(regenerate.build(config), seed)
    model.save_pretrained(folder)
    tensors, ours_config = open_weights(folder)
    return model, Model(ours_config, read_params(tensors, ours_config))


@pytest.mark.parametrize("case", sorted(RANDOM))
@pytest.mark.parametrize("seed", range(2))
def test_random_models_agree_on_ragged_prompts_and_every_split(case, seed, tmp_path):
    theirs, model = random_model(RANDOM[case], seed, tmp_path)
    wanted, got = regenerate.tiny_logits(theirs), np.asarray(model.logits(tiny.prompts()))
    for row, length in enumerate(tiny.PROMPT_LENGTHS):
        np.testing.assert_allclose(got[row, :length], wanted[row, :length], rtol=0, atol=1e-4)
    length = 9
    splits = ours.all_splits(length)
    cached = ours.chunked_logits(model, np.tile(tiny.prompts()[:1, :length], (len(splits), 1)), splits, size=length)
    np.testing.assert_allclose(cached, np.broadcast_to(wanted[:1, :length], cached.shape), rtol=0, atol=1e-4)


@pytest.fixture(scope="module", params=["smollm2-135m-instruct", "qwen2.5-coder-0.5b-instruct", "gemma3-270m"])
def real(request):
    """(transformers' model, its prompts as ids, our name) for one GGUF of the catalogue."""
    path, _ = catalogue.fetch(request.param)
    model, tokenizer = regenerate.from_gguf(path)
    return model, [tokenizer(text)["input_ids"] for text in TEXTS], request.param


def greedy_through_the_cache(model, prompts, count):
    """int32[B, count]: ragged prompts prefilled in one padded chunk, then one token a step, each row at its own position."""
    network, batch, width = model.network, len(prompts), max(map(len, prompts))
    size = width + count
    tokens, positions = np.zeros((batch, width), np.int32), np.full((batch, width), size)
    for row, ids in enumerate(prompts):
        tokens[row, : len(ids) - 1] = ids[:-1]
        positions[row, : len(ids) - 1] = np.arange(len(ids) - 1)

    @jax.jit
    def step(params, tokens, positions, cache):
        hidden, cache = network.forward(params, tokens, positions, cache)
        return network.head(params, hidden[:, -1]).argmax(-1), cache

    _, cache = step(model.params, tokens, positions, network.init_cache(batch, size))
    token, at, out = np.array([ids[-1] for ids in prompts]), np.array([len(ids) - 1 for ids in prompts]), []
    for _ in range(count):
        token, cache = step(model.params, token[:, None], at[:, None], cache)
        out.append(np.asarray(token))
        at = at + 1
    return np.stack(out, 1)


def test_real_weights_agree_in_float32_and_bfloat16(real):
    """≤ 1e-3 at every position and id, 64 equal greedy tokens, and bfloat16 at least as faithful as transformers'."""
    theirs, prompts, name = real
    model = reasoning.load(name, dtype="float32")
    greedy = [regenerate.greedy(theirs, ids, 64) for ids in prompts]
    rows = [ids + tokens for ids, tokens in zip(prompts, greedy, strict=True)]
    wanted = [regenerate.all_logits(theirs, row) for row in rows]
    for row, logits in zip(rows, wanted, strict=True):
        np.testing.assert_allclose(model.logits(np.array([row]))[0], logits, rtol=0, atol=1e-3)
    assert greedy_through_the_cache(model, prompts, 64).tolist() == greedy
    del model

    rounded, ours_rounded = theirs.to(torch.bfloat16), reasoning.load(name, dtype="bfloat16")
    same = {"transformers": 0, "ours": 0}
    for row, logits in zip(rows, wanted, strict=True):
        same["transformers"] += (regenerate.all_logits(rounded, row).argmax(-1) == logits.argmax(-1)).sum()
        same["ours"] += (np.asarray(ours_rounded.logits(np.array([row])))[0].argmax(-1) == logits.argmax(-1)).sum()
    print(name, same, "of", sum(map(len, rows)))
    assert same["ours"] >= same["transformers"]


def test_the_pinned_witness_is_the_one_that_made_the_goldens():
    """A golden says which release made it; a live run with another release compares two things at once."""
    assert f"transformers {transformers.__version__}," in ours.golden("tiny")["source"]
