"""A GGUF vocabulary rebuilt into the `tokenizers` library: byte-level BPE here, SentencePiece pieces in `gguf_pieces`.

For byte-level BPE a GGUF file carries tokens, merges and token types, but only the *name* of the pre-tokeniser. The
patterns behind the names are those of the published `tokenizer.json` files, which llama.cpp's `src/llama-vocab.cpp`
quotes beside its own adaptations; so is the normaliser, which llama.cpp leaves out (Qwen: NFC).
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from reasoning.errors import InputError
from reasoning.text import gguf_entries, gguf_pieces
from reasoning.text.gguf_entries import CONTROL, UNKNOWN, USER_DEFINED, Entry

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
      metadata: GGUF key-value pairs as Python objects; `tokenizer.ggml.{model,pre,tokens,token_type,merges,scores,…}`.

    Raises InputError: no vocabulary, another tokeniser family, an unknown pre-tokeniser, or tables that do not fit.
    """
    family = metadata.get("tokenizer.ggml.model")
    if family is None:
        raise InputError("this GGUF file has no vocabulary (tokenizer.ggml.model); use a complete export of the model")
    if family not in ("gpt2", "llama"):
        raise InputError(
            f"this GGUF file has a {family!r} vocabulary and only byte-level BPE ('gpt2') and SentencePiece BPE ('llama') can "
            "be rebuilt; load the model from a directory with tokenizer.json"
        )
    entries = gguf_entries.read(metadata)
    if family == "llama":
        backend, add_bos = gguf_pieces.pipeline(entries, metadata), True
    else:
        pre = _pre_tokenizer(metadata)
        backend, add_bos = _byte_level(entries, metadata.get("tokenizer.ggml.merges"), pre), pre.add_bos
    # They are in the vocabulary already, so each keeps its id; now they are also found whole in text.
    control = [e for e in entries if e.kind in (CONTROL, UNKNOWN)]
    backend.add_special_tokens([AddedToken(e.text, normalized=False, special=True) for e in control])
    backend.add_tokens([AddedToken(e.text, normalized=False) for e in entries if e.kind == USER_DEFINED])
    _add_ends(backend, metadata, {e.index: e.text for e in entries}, add_bos)
    return backend


def _pre_tokenizer(metadata: Mapping[str, Any]) -> PreTokenizer:
    name = metadata.get("tokenizer.ggml.pre", "default")
    if name not in PRE_TOKENIZERS:
        raise InputError(
            f"unknown pre-tokeniser {name!r} in this GGUF file (known: {', '.join(sorted(PRE_TOKENIZERS))}); load the model "
            "from a directory with tokenizer.json, or add its pattern to PRE_TOKENIZERS"
        )
    return PRE_TOKENIZERS[name]


def _byte_level(entries: Sequence[Entry], merges: Sequence[str] | None, pre: PreTokenizer) -> Tokenizer:
    if merges is None:
        raise InputError("this GGUF file lists no merges (tokenizer.ggml.merges); use a complete export of the model")
    pairs = [tuple(merge.split(" ")) for merge in merges]
    odd = next((merge for merge, pair in zip(merges, pairs, strict=True) if len(pair) != 2), None)
    if odd is not None:
        raise InputError(f"this GGUF file lists the merge {odd!r}, which is not two tokens; it is damaged, fetch it again")
    try:
        backend = Tokenizer(models.BPE({e.text: e.index for e in entries}, pairs, ignore_merges=pre.ignore_merges))
    except Exception as error:  # the library raises bare Exception
        raise InputError(f"this GGUF file's merges do not fit its tokens ({error}); it is damaged, fetch it again") from error
    if pre.nfc:
        backend.normalizer = normalizers.NFC()
    splits = [pre_tokenizers.Split(Regex(pattern), behavior="isolated") for pattern in pre.splits]
    backend.pre_tokenizer = pre_tokenizers.Sequence([*splits, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    backend.decoder = decoders.ByteLevel()
    return backend


def _add_ends(backend: Tokenizer, metadata: Mapping[str, Any], text_of: Mapping[int, str], add_bos: bool) -> None:
    """Writes the beginning and end tokens around a text where the file demands them; `add_bos` is the file's default."""
    names = {}
    for end, default in (("bos", add_bos), ("eos", False)):
        index = metadata.get(f"tokenizer.ggml.{end}_token_id")
        if index is None or not metadata.get(f"tokenizer.ggml.add_{end}_token", default):
            continue
        if index not in text_of:
            raise InputError(f"this GGUF file's {end} id {index} is not one of its tokens; it is damaged, fetch it again")
        names[end] = {"id": end, "ids": [index], "tokens": [text_of[index]]}
    if names:
        template = [name for name in ("bos", "$A", "eos") if name in names or name == "$A"]
        backend.post_processor = processors.TemplateProcessing(single=template, special_tokens=list(names.values()))
