"""Token ids to text as they arrive, never half a character.

A token may end in the middle of a UTF-8 character; its bytes wait until the next tokens complete them.
"""

import codecs
from collections.abc import Sequence


class Detokenizer:
    """Turns one stream of ids into text. All pushes and the flush, joined, equal `Tokenizer.decode` of all the ids."""

    def __init__(self, pieces: Sequence[bytes], skip: frozenset[int] = frozenset()):
        """
        Args:
          pieces: bytes of each token id; an id beyond them is written as nothing.
          skip: ids that are written as nothing, such as special tokens.
        """
        self._pieces = pieces
        self._skip = skip
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token: int) -> str:
        """The text that `token` completes; "" while a character is unfinished."""
        if token in self._skip or not 0 <= token < len(self._pieces):
            return ""
        return self._decoder.decode(self._pieces[token])

    def flush(self) -> str:
        """What is left at the end of the stream: U+FFFD for an unfinished character, else "". The stream may start anew."""
        return self._decoder.decode(b"", final=True)
