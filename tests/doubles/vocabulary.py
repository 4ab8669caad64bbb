"""A small byte-level vocabulary with control tokens and a chat template, as the metadata of a GGUF and as a tokenizer."""

import json
from pathlib import Path

from reasoning.text.tokenizer import Tokenizer

CROSSING = json.loads((Path(__file__).parents[1] / "golden" / "text" / "crossing.json").read_text(encoding="utf-8"))
TEXTS = [*CROSSING["texts"], "<|user|>hi<|turn|> <think>", "e\u0301 é 123"]
SIZE = 708  # rows of the embedding; the last three stand for nothing
TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|turn|>\n{% endfor %}{% if add_generation_prompt %}<|say|>{% endif %}"
)


def metadata(pre="qwen2", **changes):
    """700 ordinary tokens, four control tokens, a user-defined one and three rows of padding; `changes` without prefix."""
    specials = ["<|endoftext|>", "<|turn|>", "<|user|>", "<|say|>", "<think>", "[PAD705]", "[PAD706]", "[PAD707]"]
    values = {
        "ggml.model": "gpt2",
        "ggml.pre": pre,
        "ggml.tokens": [*CROSSING["tokens"], *specials],
        "ggml.token_type": [1] * 700 + [3] * 4 + [4, 5, 5, 5],
        "ggml.merges": CROSSING["merges"],
        "ggml.bos_token_id": 700,
        "ggml.eos_token_id": 701,
        "ggml.padding_token_id": 700,
        "ggml.add_bos_token": False,
        "ggml.add_eos_token": False,
        "chat_template": TEMPLATE,
    }
    return {f"tokenizer.{key}": value for key, value in {**values, **changes}.items() if value is not None}


def tokenizer(pre="qwen2", **changes) -> Tokenizer:
    """The tokenizer of `metadata`."""
    return Tokenizer.from_gguf(metadata(pre, **changes))
