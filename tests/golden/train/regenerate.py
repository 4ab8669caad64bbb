"""Writes masks.json: which tokens of each form are learnt. Run on purpose, and read the difference.

COMMAND: python tests/golden/train/regenerate.py     (fetches the two models of the tests once)
"""

import json
from pathlib import Path

import reasoning
from reasoning.data.traces import Trace
from reasoning.train.examples import FORMS, encode

HERE = Path(__file__).parent
TRACE = Trace("a", "What is 2 + 3?", "2 + 3 = 5. Wait, check: 3 + 2 = 5.\n", " 5")
CASES = {"qwen05": ("qwen2.5-coder-0.5b-instruct", "s1"), "smollm2": ("smollm2-135m-instruct", "think")}
CASES |= {"smollm2-prompt": ("smollm2-135m-instruct", "prompt")}


def readable(example, tokenizer) -> dict[str, list[str]]:
    """{"not learnt": …, "learnt": …}: the text of each token, in order; every learnt token comes after every other."""
    count = int((~example.loss).sum())
    assert example.loss[count:].all()
    texts = [tokenizer.decode([token]) for token in example.ids]
    return {"not learnt": texts[:count], "learnt": texts[count:]}


def main():
    masks = {}
    for name, (model, form) in CASES.items():
        tokenizer = reasoning.load(model).tokenizer
        masks[name] = readable(encode(TRACE, tokenizer, FORMS[form]), tokenizer)
    (HERE / "masks.json").write_text(json.dumps(masks, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
