"""A GGUF vocabulary of SentencePiece pieces (`tokenizer.ggml.model` = "llama": Gemma, Llama 2) as BPE with byte fallback.

SentencePiece joins, again and again, the adjacent pair whose joined piece has the best score, the leftmost of equals
(llama.cpp, src/llama-vocab.cpp, `llm_tokenizer_spm_session`). A list of merges says the same if it has every way of
cutting every piece in two pieces, the best piece first; the published `tokenizer.json` files of these models have that.

The cuts of one piece need no order, although they share a score. Merges inside a stretch that no merge has left depend on
its text alone, so wherever a piece's text lies as two symbols they are the same two: er|e and e|re never stand together.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers

from reasoning.errors import InputError
from reasoning.text.gguf_entries import BYTE, NORMAL, Entry

SPACE = "▁"


def pipeline(entries: Sequence[Entry], metadata: Mapping[str, Any]) -> Tokenizer:
    """Normaliser, merges and decoder; the caller adds the tokens that are found whole in text.

    A space is written "▁", and one is put before every stretch of text between such tokens if the file says so
    (`tokenizer.ggml.add_space_prefix`, by default true). A character that is no piece is written in bytes. Control,
    user-defined and byte tokens take no part in merges; pieces of characters that are no pieces are never made
    (llama.cpp can make them, but SentencePiece trains none).

    Raises InputError: no scores, pieces whose scores do not rank them, or characters that would be lost.
    """
    if not metadata.get("tokenizer.ggml.scores"):
        raise InputError("this GGUF file lists no scores (tokenizer.ggml.scores); use a complete export of the model")
    index = metadata.get("tokenizer.ggml.unknown_token_id")
    unknown = next((e.text for e in entries if e.index == index), None)
    if unknown is None and sum(e.kind == BYTE for e in entries) != 256:
        raise InputError("this GGUF file has neither 256 byte tokens nor an unknown token; use a complete export of the model")
    vocabulary = {e.text: e.index for e in entries}
    pairs = list(merges({e.text: e.score for e in entries if e.kind == NORMAL}))
    backend = Tokenizer(models.BPE(vocabulary, pairs, unk_token=unknown, fuse_unk=True, byte_fallback=True))
    backend.normalizer = normalizers.Replace(" ", SPACE)
    if metadata.get("tokenizer.ggml.add_space_prefix", True):
        backend.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE), backend.normalizer])
    backend.decoder = decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()])
    return backend


def merges(scores: Mapping[str, float]) -> Iterator[tuple[str, str]]:
    """Every pair of pieces that joins to a piece, by falling score of the joined one. Raises InputError for equal scores."""
    before = None
    for piece in sorted(scores, key=scores.__getitem__, reverse=True):
        pairs = [
            (left, right) for cut in range(1, len(piece)) if (left := piece[:cut]) in scores and (right := piece[cut:]) in scores
        ]
        if pairs and before is not None and scores[before] == scores[piece]:
            raise InputError(
                f"this GGUF file gives the pieces {before!r} and {piece!r} one score, which does not say which is merged "
                "first; load the model from a directory with tokenizer.json"
            )
        before = piece if pairs else before
        yield from pairs
