"""How many tokens of a response are thinking: those before the delimiter that closes it, all of them if it never came.

The delimiter is looked for in the bytes of the tokens, so it may straddle them; the token in which it begins is not thinking any
more. The number is written into each record when the tokenizer is at hand, so that reports need none.
"""

import bisect
import itertools
from collections.abc import Callable, Sequence
from typing import Any

from reasoning.errors import InputError

Count = Callable[[Sequence[int]], int]  # token ids of a response → its thinking tokens


def tokens_before(delimiter: str, pieces: Sequence[bytes]) -> Count:
    """Counts the tokens before `delimiter`; all tokens where it is "".

    Args:
      pieces: bytes of each token id, `tokenizer.token_bytes(size)`.
    """
    wanted = delimiter.encode()

    def count(ids: Sequence[int]) -> int:
        texts = [pieces[int(token)] for token in ids]
        at = b"".join(texts).find(wanted) if wanted else -1
        return len(texts) if at < 0 else bisect.bisect_right(list(itertools.accumulate(map(len, texts))), at)

    return count


def counter(engine: Any, delimiter: str) -> Count:
    """`tokens_before` with the engine's tokenizer, which is not touched where there is no delimiter."""
    if not delimiter:
        return len
    return tokens_before(delimiter, engine.model.tokenizer.token_bytes(engine.model.config.vocab_size))


def recorded(record: dict[str, Any]) -> int:
    """What the record says. Raises InputError for one that was written before records said it."""
    if "thinking" not in record:
        raise InputError(
            f"the record of {record['problem']!r} does not say how many of its tokens are thinking, an earlier version wrote it; "
            "draw the samples again in another --workdir"
        )
    return record["thinking"]
