"""What fine-tuning exports, read by transformers: the same logits as ours; needs the extra `parity`."""

import copy

import numpy as np
import pytest
import torch
import transformers
from doubles import tiny_chat
from test_train_sft import CONFIG, TRACES

import reasoning
from reasoning.data.traces import write_traces
from reasoning.train.sft import train


@pytest.mark.parametrize("pattern", ["", r"layers/\d+/.*kernel"], ids=["all parameters", "adapters"])
def test_transformers_loads_another_model_than_was_trained(pattern, tmp_path):
    config = copy.deepcopy(CONFIG) | {"model": str(tiny_chat.write(tmp_path / "tiny")), "max_steps": 3}
    config["traces"]["file"], config["lora"]["pattern"] = str(tmp_path / "traces.jsonl"), pattern
    write_traces(tmp_path / "traces.jsonl", TRACES)
    train(config, tmp_path / "run", show=False)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "run" / "model", attn_implementation="eager").eval()
    ours = reasoning.load(tmp_path / "run" / "model", "float32")
    chat = [{"role": "user", "content": TRACES[0].question}]
    ids = transformers.AutoTokenizer.from_pretrained(tmp_path / "run" / "model").apply_chat_template(
        chat, add_generation_prompt=True, return_dict=False
    )
    assert ids == ours.tokenizer.encode_chat(chat)
    with torch.no_grad():
        wanted = theirs(torch.tensor([ids])).logits.numpy()
    np.testing.assert_allclose(ours.logits(np.array([ids])), wanted, atol=2e-5, rtol=1e-5)
    start = reasoning.load(config["model"], "float32")
    assert np.abs(np.asarray(start.logits(np.array([ids]))) - wanted).max() > 0.01
