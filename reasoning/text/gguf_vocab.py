"""A GGUF vocabulary (byte-level BPE) rebuilt into the `tokenizers` library.

A GGUF file carries tokens, merges and token types, but only the *name* of the pre-tokeniser. The patterns behind the
names are those of the published `tokenizer.json` files, which llama.cpp's `src/llama-vocab.cpp` quotes beside its own
adaptations; so is the normaliser, which llama.cpp leaves out (Qwen: NFC).
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from reasoning.errors import InputError

# `tokenizer.ggml.token_type`, gguf.TokenType. The others (unknown, byte) do not occur in byte-level files.
NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5

# Names that chat templates use ↔ `tokenizer.ggml.<key>_token_id`.
SPECIAL_KEYS = {"bos_token": "bos", "eos_token": "eos", "pad_token": "padding", "unk_token": "unknown"}

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_TAIL = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_TAIL_SLASH = r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_CASED_1 = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
_CASED_2 = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"


class PreTokenizer(NamedTuple):
    """How text is cut before the merges.

    Attributes:
      splits: patterns applied one after the other; matches and the gaps between them become pieces.
      nfc: compose characters first.
      ignore_merges: a piece that is a whole vocabulary entry is that entry, whatever the merges say.
      add_bos: the default of `tokenizer.ggml.add_bos_token`.
    """

    splits: tuple[str, ...]
    nfc: bool = False
    ignore_merges: bool = False
    add_bos: bool = False


_GPT2_FAMILY = PreTokenizer((GPT2,))
_DIGIT_FAMILY = PreTokenizer((r"\p{N}", GPT2))  # each digit alone, then as GPT-2
_LLAMA3_FAMILY = PreTokenizer(
    (rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,3}}|{_TAIL}",), ignore_merges=True, add_bos=True
)
_QWEN2_FAMILY = PreTokenizer((rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}|{_TAIL}",), nfc=True)

PRE_TOKENIZERS: dict[str, PreTokenizer] = {
    "default": PreTokenizer((r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", r"[0-9][0-9][0-9]")),
    **dict.fromkeys(("gpt-2", "phi-2", "mpt", "olmo"), _GPT2_FAMILY),
    **dict.fromkeys(("smollm", "starcoder", "refact", "codeshell"), _DIGIT_FAMILY),
    **dict.fromkeys(("llama-bpe", "llama3", "llama-v3"), _LLAMA3_FAMILY),
    **dict.fromkeys(("dbrx", "smaug-bpe"), _LLAMA3_FAMILY._replace(ignore_merges=False, add_bos=False)),
    **dict.fromkeys(("qwen2", "deepseek-r1-qwen"), _QWEN2_FAMILY),
    "qwen35": PreTokenizer(
        (
            rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+|\p{{N}}"
            r"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ),
        nfc=True,
    ),
    "tekken": PreTokenizer((rf"{_CASED_1}|{_CASED_2}|\p{{N}}|{_TAIL_SLASH}",), ignore_merges=True, add_bos=True),
    **dict.fromkeys(
        ("gpt-4o", "llama4"),
        PreTokenizer((rf"{_CASED_1}{_CONTRACTIONS}?|{_CASED_2}{_CONTRACTIONS}?|\p{{N}}{{1,3}}|{_TAIL_SLASH}",)),
    ),
}


def build(metadata: Mapping[str, Any]) -> Tokenizer:
    """The `tokenizers` pipeline that a GGUF file describes; unused rows are left out of its vocabulary.

    Args:
      metadata: GGUF key-value pairs as Python objects; `tokenizer.ggml.{model,pre,tokens,token_type,merges}` are read.

    Raises InputError: no vocabulary, another tokeniser family, an unknown pre-tokeniser, or tables that do not fit.
    """
    family = metadata.get("tokenizer.ggml.model")
    if family is None:
        raise InputError("this GGUF file has no vocabulary (tokenizer.ggml.model); use a complete export of the model")
    if family != "gpt2":
        raise InputError(
            f"this GGUF file has a {family!r} vocabulary (SentencePiece or other) and only byte-level BPE ('gpt2') can be "
            "rebuilt; load the model from a directory with tokenizer.json"
        )
    name = metadata.get("tokenizer.ggml.pre", "default")
    pre = PRE_TOKENIZERS.get(name)
    if pre is None:
        raise InputError(
            f"unknown pre-tokeniser {name!r} in this GGUF file (known: {', '.join(sorted(PRE_TOKENIZERS))}); load the model "
            "from a directory with tokenizer.json, or add its pattern to PRE_TOKENIZERS"
        )
    entries = _entries(metadata)
    backend = Tokenizer(_bpe(entries, metadata.get("tokenizer.ggml.merges"), pre))
    if pre.nfc:
        backend.normalizer = normalizers.NFC()
    splits = [pre_tokenizers.Split(Regex(pattern), behavior="isolated") for pattern in pre.splits]
    backend.pre_tokenizer = pre_tokenizers.Sequence([*splits, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    backend.decoder = decoders.ByteLevel()
    # They are in the vocabulary already, so each keeps its id; now they are also found whole in text.
    backend.add_special_tokens([AddedToken(e.text, normalized=False, special=True) for e in entries if e.kind == CONTROL])
    backend.add_tokens([AddedToken(e.text, normalized=False) for e in entries if e.kind == USER_DEFINED])
    _add_ends(backend, metadata, {e.index: e.text for e in entries}, pre)
    return backend


class _Entry(NamedTuple):
    index: int
    text: str
    kind: int


def _entries(metadata: Mapping[str, Any]) -> list[_Entry]:
    """The rows that stand for something; old converters called some that only pad the matrix "user defined"."""
    tokens = metadata.get("tokenizer.ggml.tokens") or ()
    if not tokens:
        raise InputError("this GGUF file lists no tokens (tokenizer.ggml.tokens); use a complete export of the model")
    kinds = metadata.get("tokenizer.ggml.token_type") or [NORMAL] * len(tokens)
    if len(kinds) != len(tokens):
        raise InputError(f"this GGUF file lists {len(tokens)} tokens but {len(kinds)} token types; it is damaged, fetch it again")
    entries = [_Entry(i, text, kind) for i, (text, kind) in enumerate(zip(tokens, kinds, strict=True))]
    return [e for e in entries if e.text and e.kind != UNUSED and (e.kind == NORMAL or e.text != f"[PAD{e.index}]")]


def _bpe(entries: Sequence[_Entry], merges: Sequence[str] | None, pre: PreTokenizer) -> models.BPE:
    if merges is None:
        raise InputError("this GGUF file lists no merges (tokenizer.ggml.merges); use a complete export of the model")
    vocabulary = {e.text: e.index for e in entries}
    if len(vocabulary) != len(entries):
        twice = next(e.text for e in entries if vocabulary[e.text] != e.index)
        raise InputError(f"this GGUF file lists the token {twice!r} twice; it is damaged, fetch it again")
    pairs = [tuple(merge.split(" ")) for merge in merges]
    odd = next((merge for merge, pair in zip(merges, pairs, strict=True) if len(pair) != 2), None)
    if odd is not None:
        raise InputError(f"this GGUF file lists the merge {odd!r}, which is not two tokens; it is damaged, fetch it again")
    try:
        return models.BPE(vocabulary, pairs, ignore_merges=pre.ignore_merges)
    except Exception as error:  # the library raises bare Exception
        raise InputError(f"this GGUF file's merges do not fit its tokens ({error}); it is damaged, fetch it again") from error


def _add_ends(backend: Tokenizer, metadata: Mapping[str, Any], text_of: Mapping[int, str], pre: PreTokenizer) -> None:
    """Writes the beginning and end tokens around a text where the file demands them."""
    names = {}
    for end, default in (("bos", pre.add_bos), ("eos", False)):
        index = metadata.get(f"tokenizer.ggml.{end}_token_id")
        if index is None or not metadata.get(f"tokenizer.ggml.add_{end}_token", default):
            continue
        if index not in text_of:
            raise InputError(f"this GGUF file's {end} id {index} is not one of its tokens; it is damaged, fetch it again")
        names[end] = {"id": end, "ids": [index], "tokens": [text_of[index]]}
    if names:
        template = [name for name in ("bos", "$A", "eos") if name in names or name == "$A"]
        backend.post_processor = processors.TemplateProcessing(single=template, special_tokens=list(names.values()))
