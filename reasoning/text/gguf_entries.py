"""The rows of a GGUF vocabulary: text, id, kind and score, checked against each other."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from reasoning.errors import InputError

# `tokenizer.ggml.token_type`, gguf.TokenType.
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6


class Entry(NamedTuple):
    """One row that stands for something; `score` ranks the pieces of SentencePiece vocabularies and is 0 elsewhere."""

    index: int
    text: str
    kind: int
    score: float


def read(metadata: Mapping[str, Any]) -> list[Entry]:
    """The rows that stand for something; old converters called some that only pad the matrix "user defined".

    Raises InputError: no tokens, tables of different lengths, or a text that stands twice.
    """
    tokens = metadata.get("tokenizer.ggml.tokens") or ()
    if not tokens:
        raise InputError("this GGUF file lists no tokens (tokenizer.ggml.tokens); use a complete export of the model")
    kinds = metadata.get("tokenizer.ggml.token_type") or [NORMAL] * len(tokens)
    scores = metadata.get("tokenizer.ggml.scores") or [0.0] * len(tokens)
    for what, table in (("token types", kinds), ("scores", scores)):
        if len(table) != len(tokens):
            raise InputError(f"this GGUF file lists {len(tokens)} tokens but {len(table)} {what}; it is damaged, fetch it again")
    entries = [Entry(i, *row) for i, row in enumerate(zip(tokens, kinds, scores, strict=True))]
    entries = [e for e in entries if e.text and e.kind != UNUSED and (e.kind == NORMAL or e.text != f"[PAD{e.index}]")]
    ids = {e.text: e.index for e in entries}
    if len(ids) != len(entries):
        twice = next(e.text for e in entries if ids[e.text] != e.index)
        raise InputError(f"this GGUF file lists the token {twice!r} twice; it is damaged, fetch it again")
    return entries
