"""A model that trains in seconds, as a directory of Hugging Face files: two layers, bytes as tokens, a chat template."""

import dataclasses
import json
from pathlib import Path

import tokenizers

import reasoning
from doubles.mesh_run import random_params
from doubles.models import config
from reasoning.models.model import Model
from reasoning.text.tokenizer import Tokenizer

SPECIAL = ("<|im_start|>", "<|im_end|>")
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
CONFIG = dataclasses.replace(
    config(256 + len(SPECIAL), context=512), d_model=16, num_layers=2, num_heads=2, num_kv_heads=1, head_dim=8, d_ff=32
)


def tokenizer(path: Path) -> Tokenizer:
    """Writes the tokenizer's files to the directory `path` and reads them."""
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    made = tokenizers.Tokenizer(tokenizers.models.BPE({char: i for i, char in enumerate(alphabet)}, []))
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    made.add_special_tokens(list(SPECIAL))
    path.mkdir(parents=True)
    made.save(str(path / "tokenizer.json"))
    about = {"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": TEMPLATE, "eos_token": SPECIAL[1]}
    (path / "tokenizer_config.json").write_text(json.dumps(about))
    return Tokenizer.from_directory(path)


def write(path: Path, scale: float = 1.0) -> Path:
    """A directory that `reasoning.load` takes; weights are random, times `scale`."""
    params = random_params(CONFIG)
    if scale != 1.0:
        params["embed"]["embedding"] = params["embed"]["embedding"] * scale
    return reasoning.save(Model(CONFIG, params, tokenizer(path.with_name(f"{path.name}-tokenizer"))), path)
