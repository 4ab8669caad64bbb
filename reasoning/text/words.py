"""Which token ids spell a word, found by decoding the whole vocabulary and not by encoding the word.

Encoding "wait" gives one of its ids; a text writes it with five (Qwen2.5: "wait", " wait", "Wait", " Wait", " WAIT" …), and
which one depends on what stands before it. A word of several tokens has no id of its own: its parts are parts of other
words too ("altern" + "atively"), so it is returned as a phrase, to be matched as a string (`reasoning.text.patterns`). The
same word can be both: " alternatively" and "Alternatively" are tokens of Qwen2.5, "alternatively" at the start of a line is not.

Axis legend: `V` vocabulary.
"""

import collections
from collections.abc import Callable, Sequence

from reasoning.errors import InputError


def spellings(
    vocabulary: Sequence[bytes], words: Sequence[str], ignore_case: bool = True
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """(ids that spell one of `words`, ascending; the words that no single token spells, as they are written).

    Args:
      vocabulary: the V tokens' bytes (`Tokenizer.token_bytes`).
      words: spaces around a word do not matter here; in a word that becomes a phrase they are kept.
      ignore_case: "Wait" and "WAIT" spell "wait" too. Phrases have the case in which they are written, whatever this says.

    Raises InputError for a bare string and for an empty word.
    """
    if isinstance(words, str) or not all(isinstance(word, str) for word in words):
        raise InputError(f"words must be a list of strings, got {words!r}; write ({words!r},) for a single one")
    if not all(word.strip() for word in words):
        raise InputError("a word is empty; leave it out")

    def canonical(text: str) -> str:
        return text.strip().lower() if ignore_case else text.strip()

    ids = collections.defaultdict(list)
    for token, text in enumerate(vocabulary):
        ids[canonical(text.decode(errors="replace"))].append(token)
    single = {token for word in words for token in ids.get(canonical(word), ())}
    phrases = tuple(dict.fromkeys(word for word in words if canonical(word) not in ids))
    return tuple(sorted(single)), phrases


def split_forms(
    encode: Callable[[str], Sequence[int]], ids: Sequence[int], words: Sequence[str], ignore_case: bool = True
) -> tuple[str, ...]:
    """Forms of `words` that the tokenizer writes with none of `ids`, to be matched as phrases; the likeliest first.

    A form is the word with a capital, as it begins a thought, or without one, bare or behind a space. As a string the bare form
    is the end of the other, so one of the two is enough; it is found inside longer words too. In capitals throughout a word
    hardly stands in a thought: such a form has its id or nothing.

    Args:
      encode: text → ids, without the token that opens a sequence.
      ids: that spell the words (`spellings`).
      ignore_case: False: only the case in which a word is written.
    """
    bare = [word.strip() for word in words]
    cased = [word.capitalize() for word in bare] + [word.lower() for word in bare] if ignore_case else bare
    missed: list[str] = []
    for form in dict.fromkeys(cased):
        missed += [text for text in (form, f" {form}") if not set(encode(text)) & set(ids)][:1]
    return tuple(missed)
