"""How vocabulary entries spell bytes: GPT-2's byte alphabet, and SentencePiece's "▁" and <0x0A>.

In the byte alphabet a printable byte stands for itself and the other 68 are spelled U+0100 onwards in byte order, so a
space is "Ġ" and a line feed "Ċ". Source: openai/gpt-2, src/encoder.py, `bytes_to_unicode`.
"""

import json
import re
from collections.abc import Callable

import tokenizers

from reasoning.errors import InputError

_PRINTABLE = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
_OTHERS = [byte for byte in range(256) if byte not in _PRINTABLE]
_BYTE_OF = {chr(byte): byte for byte in _PRINTABLE} | {chr(256 + rank): byte for rank, byte in enumerate(_OTHERS)}
_TO_LATIN = str.maketrans({char: chr(byte) for char, byte in _BYTE_OF.items()})
_ALPHABET = frozenset(_BYTE_OF)
_HEX_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def byte_level(token: str) -> bytes:
    """ "Ġthe" → b" the". A token with a character outside the alphabet stands for its own text."""
    if _ALPHABET.issuperset(token):
        return token.translate(_TO_LATIN).encode("latin-1")
    return token.encode()


def sentencepiece(token: str) -> bytes:
    """ "▁the" → b" the"; "<0x0A>" → one byte."""
    found = _HEX_BYTE.fullmatch(token)
    return bytes.fromhex(found[1]) if found else token.replace("▁", " ").encode()


def of(backend: tokenizers.Tokenizer) -> Callable[[str], bytes]:
    """The spelling that the backend's decoder undoes. Raises InputError for a decoder that is not a map of single tokens."""
    state = json.loads(backend.decoder.__getstate__()) if backend.decoder is not None else {"type": "none"}
    steps = {step["type"] for step in state.get("decoders", [state])}
    if steps == {"ByteLevel"}:
        return byte_level
    if "ByteFallback" in steps and steps <= {"Replace", "ByteFallback", "Fuse"}:
        return sentencepiece
    raise InputError(
        f"this tokeniser decodes with {' + '.join(sorted(steps))}, which does not give each token its own bytes; "
        "use a model with byte-level BPE, or with SentencePiece pieces and byte fallback"
    )
