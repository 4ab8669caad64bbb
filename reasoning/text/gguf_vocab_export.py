"""A `tokenizers` pipeline written down as the vocabulary of a GGUF file: the inverse of `gguf_vocab.build`.

A GGUF names its pre-tokeniser and holds no pattern, so a pipeline can be written down only if its patterns are those of a
name in `gguf_vocab.PRE_TOKENIZERS`, in our spelling or in that of the published tokenizer.json files.
"""

import json
from typing import Any

import tokenizers

from reasoning.errors import InputError
from reasoning.text import gguf_vocab
from reasoning.text.gguf_entries import CONTROL, NORMAL, UNUSED, USER_DEFINED
from reasoning.text.gguf_vocab import PRE_TOKENIZERS, SPECIAL_KEYS
from reasoning.text.tokenizer import END_OF_TEXT, Tokenizer


def describe(tokenizer: Tokenizer, vocab_size: int) -> dict[str, Any]:
    """GGUF key-value pairs of `tokenizer` with `vocab_size` rows, those that stand for nothing marked as unused.

    Raises InputError: no byte-level BPE, patterns without a name, more tokens than rows, other text around a sequence than
    bos and eos.
    """
    backend = tokenizer.backend
    state = json.loads(backend.to_str())
    model = state["model"]
    decoder = (state["decoder"] or {}).get("type")
    if model["type"] != "BPE" or decoder != "ByteLevel":
        raise _error(f"it is not byte-level BPE (model {model['type']}, decoder {decoder})")
    if tokenizer.size > vocab_size:
        raise _error(f"it has {tokenizer.size:,} tokens and the embedding {vocab_size:,} rows")
    added = backend.get_added_tokens_decoder()
    texts, kinds = [f"[PAD{i}]" for i in range(vocab_size)], [UNUSED] * vocab_size
    for text, i in backend.get_vocab(with_added_tokens=True).items():
        texts[i] = added[i].content if i in added else text
        kinds[i] = (CONTROL if added[i].special else USER_DEFINED) if i in added else NORMAL
    metadata = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": _name(state),
        "tokenizer.ggml.tokens": texts,
        "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.merges": [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]],
    }
    ids = {key: backend.token_to_id(tokenizer.special_tokens.get(role, "")) for role, key in SPECIAL_KEYS.items()}
    others = [i for i in tokenizer.stop_ids if i != ids["eos"] and backend.id_to_token(i) not in END_OF_TEXT]
    ids |= dict(zip(("eot", "eom"), others, strict=False))
    metadata |= {f"tokenizer.ggml.{key}_token_id": i for key, i in ids.items() if i is not None}
    metadata |= _ends(backend, ids)
    return metadata if tokenizer.chat_template is None else {**metadata, "tokenizer.chat_template": tokenizer.chat_template}


def _name(state: dict[str, Any]) -> str:
    """The pre-tokeniser with the patterns of the pipeline."""
    normalizer = (state["normalizer"] or {}).get("type")
    if normalizer not in (None, "NFC"):
        raise _error(f"its normaliser {normalizer} has no place in a GGUF")
    found = (_splits(state["pre_tokenizer"] or {}), normalizer == "NFC", state["model"].get("ignore_merges", False))
    for name, pre in PRE_TOKENIZERS.items():
        if found == (pre.splits, pre.nfc, pre.ignore_merges):
            return name
    raise _error(
        f"no pre-tokeniser of llama.cpp is known that cuts at {' then '.join(found[0])} (NFC {found[1]}, "
        f"whole entries first {found[2]}); add it to PRE_TOKENIZERS in reasoning/text/gguf_vocab.py"
    )


def _splits(pre: dict[str, Any]) -> tuple[str, ...]:
    """Patterns that cut text one after the other, however the pipeline spells them."""
    steps, patterns = pre.get("pretokenizers", [pre]), []
    for step in steps:
        kind = step.get("type")
        if kind == "Split" and step["behavior"] == "Isolated" and not step["invert"] and "Regex" in step["pattern"]:
            patterns.append(step["pattern"]["Regex"])
        elif kind == "Digits":
            patterns.append(r"\p{N}" if step["individual_digits"] else r"\p{N}+")
        elif kind == "ByteLevel" and not step["add_prefix_space"]:
            patterns += [gguf_vocab.GPT2] if step["use_regex"] else []
        else:
            raise _error(f"its pre-tokeniser has a step {kind} that cuts otherwise than llama.cpp's")
    return tuple(patterns)


def _ends(backend: tokenizers.Tokenizer, ids: dict[str, int | None]) -> dict[str, bool]:
    """Which of bos and eos the pipeline writes around a text."""
    inner, whole = (backend.encode("a", add_special_tokens=add).ids for add in (False, True))
    for bos in (False, True):
        for eos in (False, True):
            if whole == [ids["bos"]] * bos + inner + [ids["eos"]] * eos:
                return {"tokenizer.ggml.add_bos_token": bos, "tokenizer.ggml.add_eos_token": eos}
    raise _error(f"it writes {backend.decode(whole, skip_special_tokens=False)!r} for 'a', which is more than bos and eos")


def _error(what: str) -> InputError:
    return InputError(f"this tokeniser cannot be written into a GGUF: {what}; save the model as hf or orbax")
