"""How many tokens of a response are thinking: those behind the delimiter that opens it and before the one that closes it.

Delimiters are looked for in the bytes of the tokens, so they may straddle them; the token in which one begins or ends is not
thinking. Nor is white space that was forced with the closing one: budgets do not count it. The number is written into each record
when the tokenizer is at hand, so that reports need none.
"""

import bisect
import itertools
from collections.abc import Callable, Sequence
from typing import Any

from reasoning.errors import InputError

Span = Callable[[Sequence[int], Sequence[bool]], tuple[int, int]]  # ids of a response, which are forced → its thinking tokens


def between(start: str, end: str, pieces: Sequence[bytes]) -> Span:
    """Finds the tokens between two delimiters: (first, behind the last).

    Args:
      start: thinking begins with the response where this is "" or does not occur.
      end: thinking goes to the end of the response where this is "" or does not occur.
      pieces: bytes of each token id, `tokenizer.token_bytes(size)`.
    """
    opening, closing = start.encode(), end.encode()

    def span(ids: Sequence[int], forced: Sequence[bool]) -> tuple[int, int]:
        texts = [pieces[int(token)] for token in ids]
        text, ends = b"".join(texts), list(itertools.accumulate(map(len, texts)))
        opens = text.find(opening) + len(opening) if opening and opening in text else 0
        first = bisect.bisect_left(ends, opens) + 1 if opens else 0
        closes = text.find(closing, opens) if closing else -1
        if closes < 0:
            return first, len(texts)
        last = bisect.bisect_right(ends, closes)
        if forced[last]:
            while last > first and forced[last - 1] and not texts[last - 1].strip():
                last -= 1
        return first, max(first, last)

    return span


def finder(engine: Any, delimiters: tuple[str, str]) -> Span:
    """`between` with the engine's tokenizer, which is not touched where there is no delimiter."""
    if not any(delimiters):
        return lambda ids, forced: (0, len(ids))
    return between(*delimiters, engine.model.tokenizer.token_bytes(engine.model.config.vocab_size))


def recorded(record: dict[str, Any]) -> int:
    """What the record says. Raises InputError for one that was written before records said it."""
    if "thinking" not in record:
        raise InputError(
            f"the record of {record['problem']!r} does not say how many of its tokens are thinking, an earlier version wrote it; "
            "draw the samples again in another --workdir"
        )
    return record["thinking"]
