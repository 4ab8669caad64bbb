"""Where the steps of a finished response end, by its token ids: a text is never decoded, split and encoded again.

    ids     "Add"  ".\\n\\n"  "\\n\\n"  "So"  " 5.\\n\\nThen"  " done"  <stop>        separator "\\n\\n"
    ends            2                            5                         7

The rule is that of the controller that pauses rows in a search: a step ends with the token in which the separator is
complete; text behind it in the same token begins the next step. An end right after an end is no step, and what is blank behind
the last one, a stop id included, belongs to the last step: no step is ever empty.
"""

import itertools
from collections.abc import Collection, Sequence
from typing import Any

SEPARATOR = "\n\n"


def step_ends(ids: Sequence[int], pieces: Sequence[bytes], separator: str = SEPARATOR, silent: Collection[int] = ()) -> list[int]:
    """Tokens up to and with the end of each step, ascending; the last is `len(ids)`. Empty for a response that says nothing.

    Args:
      ids: of the response. pieces: bytes of every id (`Tokenizer.token_bytes`).
      separator: what ends a step.
      silent: ids without text (stop ids and other control tokens).
    """
    mark, unsaid, text, ends = separator.encode(), set(silent), b"", []
    for at, token in enumerate(ids, start=1):
        text += b"" if token in unsaid else pieces[token]
        said = False
        while mark in text:
            before, text = text.split(mark, 1)
            said = said or bool(before.strip())
        if said:
            ends.append(at)
    if text.strip():
        ends += [len(ids)] if not ends or ends[-1] < len(ids) else []
    if ends:
        ends[-1] = len(ids)
    return ends


def step_texts(ids: Sequence[int], ends: Sequence[int], tokenizer: Any) -> list[str]:
    """The text of each step of a response, which end at `ends` (`step_ends`), without the stop ids of its `tokenizer`."""
    silent = set(tokenizer.stop_ids)
    pieces = (ids[start:stop] for start, stop in itertools.pairwise([0, *ends]))
    return [tokenizer.decode([token for token in piece if token not in silent]) for piece in pieces]
