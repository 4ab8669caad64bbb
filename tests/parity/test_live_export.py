"""What `reasoning.save` writes, read by transformers: equal logits, equal ids, equal chats; needs the extra `parity`."""

import dataclasses

import jax
import numpy as np
import pytest
import torch
import transformers
from golden.models import ours, regenerate, tiny

import reasoning
from reasoning.models.config import RopeScaling
from reasoning.models.model import Model
from reasoning.weights.load import open_weights, read_params

TEXTS = (
    "Hello world",
    "  two  spaces\n\n\n12345 + 67",
    "naïve 😀 é e\u0301 日本語 don't",
    "<|im_start|>user\nhi<|im_end|>\n",
    "<tool_call>{}</tool_call> <think>",
    "def f(x):\n\treturn x\r\n",
    "",
)
CHAT = (
    {"role": "user", "content": "What is 2 + 2?"},
    {"role": "assistant", "content": "4"},
    {"role": "user", "content": "And 3?"},
)
# Beyond the cases of the goldens: what a configuration may say and no golden has.
MORE = {
    "qwen2 yarn with factors of its own": (
        "qwen2_scaled_yarn",
        {"rope_scaling": RopeScaling("yarn", 4.0, 16, beta_fast=8.0, beta_slow=2.0, attention_factor=1.3)},
    ),
    "gemma3 with another query scale": ("gemma3_local_global", {"query_scale": 20**-0.5}),
    "gemma3 as a GGUF has it": ("gemma3_local_global", {"norm_offset": 0.0}),
    "qwen2 silu becomes gelu": ("qwen2_tied", {"activation": "gelu_tanh"}),
}


def compare(model, path):
    """max |Δ logit| between our model and what transformers loads, over the ragged prompts."""
    theirs = transformers.AutoModelForCausalLM.from_pretrained(path, attn_implementation="eager").eval()
    assert theirs.dtype == torch.float32
    wanted, got = regenerate.tiny_logits(theirs), np.asarray(model.logits(tiny.prompts()))
    return max(np.abs(got[row, :n] - wanted[row, :n]).max() for row, n in enumerate(tiny.PROMPT_LENGTHS))


@pytest.mark.parametrize("case", [*sorted(tiny.CASES), *MORE])
def test_transformers_reads_another_model_than_we_saved(case, tmp_path):
    name, changes = MORE.get(case, (case, {}))
    model = ours.build(name)
    model = dataclasses.replace(model, config=dataclasses.replace(model.config, **changes))
    path = reasoning.save(model, tmp_path / "out", shard_bytes=20_000)
    difference = compare(model, path)
    print(f"{case}: {difference:.1e}")
    assert difference <= 2e-5  # the largest, 1.4e-5, is Gemma's, whose embedding is scaled up


def test_transformers_writes_other_bytes_than_we_do(tmp_path):
    """transformers → ours → Hugging Face: the tensors of its own save_pretrained, one by one."""
    theirs = regenerate.build(tiny.CASES["qwen3_tied"])
    theirs.save_pretrained(tmp_path / "theirs")
    files, config = open_weights(tmp_path / "theirs")
    reasoning.save(Model(config, read_params(files, config)), tmp_path / "mine")
    mine, _ = open_weights(tmp_path / "mine")
    assert mine.shapes == files.shapes and mine.types == files.types
    assert all(mine.read(name).tobytes() == files.read(name).tobytes() for name in mine.shapes)


@pytest.mark.parametrize("name", ["smollm2-135m-instruct", "qwen2.5-coder-0.5b-instruct"])
def test_tokenizer_of_a_gguf_gives_other_ids_in_transformers(name, tmp_path):
    model = reasoning.load(name)
    # The tokenizer needs no weights: a tiny model of the same family beside it.
    small = ours.build({"llama": "llama_gqa_tied", "qwen2": "qwen2_tied"}[model.config.family])
    path = reasoning.save(dataclasses.replace(small, tokenizer=model.tokenizer), tmp_path / "out")
    theirs = transformers.AutoTokenizer.from_pretrained(path)
    assert [theirs(text)["input_ids"] for text in TEXTS] == [model.tokenizer.encode(text) for text in TEXTS]
    for prompt in (False, True):
        rendered = theirs.apply_chat_template(list(CHAT), tokenize=False, add_generation_prompt=prompt)
        assert rendered == model.tokenizer.render(CHAT, prompt)
    assert (theirs.bos_token_id, theirs.pad_token_id) == (model.tokenizer.bos_id, model.tokenizer.pad_id)
    assert theirs.eos_token_id in model.tokenizer.stop_ids
    ends = transformers.GenerationConfig.from_pretrained(path).eos_token_id
    assert tuple(ends) == model.tokenizer.stop_ids


def test_bfloat16_weights_are_widened_or_rounded_again(tmp_path):
    """SmolLM2 in bfloat16: transformers holds exactly our parameters."""
    model = reasoning.load("smollm2-135m-instruct")
    path = reasoning.save(model, tmp_path / "out", shard_bytes=100_000_000)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(path, dtype="auto").state_dict()
    assert theirs["model.norm.weight"].dtype == torch.bfloat16
    down = theirs["model.layers.7.mlp.down_proj.weight"].view(torch.int16).numpy()
    assert np.array_equal(down, np.asarray(model.params["layers"]["7"]["mlp"]["down"]["kernel"]).view(np.int16))
    for i in range(model.config.num_layers):
        norm = theirs[f"model.layers.{i}.post_attention_layernorm.weight"].float().numpy()
        assert np.array_equal(norm, jax.device_get(model.params["layers"][str(i)]["mlp_norm"]["scale"]))
