"""A response as pieces of text: what was forced, the words that turn to another approach, and the rest.

A piece is a string, or [kind, string] for the kinds below; joined they are the text of the record. A switch word that was
forced is forced: the model did not say it.
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reasoning.evaluation.thoughts.segments import EXPRESSIONS, segment, token_texts

FORCED, SWITCH = "forced", "switch"
Piece = str | list[str]
Span = tuple[int, int]  # characters, end exclusive
# The word at a place where `segment` found that one begins.
WORDS = re.compile("|".join(r"\s+".join(map(re.escape, one.split())) for one in sorted(EXPRESSIONS, key=len, reverse=True)))


def pieces(record: Mapping[str, Any], vocabulary: Sequence[bytes] | None) -> tuple[list[Piece], bool]:
    """The pieces of a record's text, and whether forced tokens are marked in it.

    Args:
      record: a line of generations.jsonl.
      vocabulary: bytes of each token id, `Tokenizer.token_bytes`. None, a record without ids, or ids that do not spell the
        text leave forced tokens unmarked.
    """
    texts = tokens(record, vocabulary)
    forced = list(spans(texts, record["forced"])) if texts else []
    return cut(record["text"], forced, switches(texts or [record["text"]])), texts is not None


def tokens(record: Mapping[str, Any], vocabulary: Sequence[bytes] | None) -> list[str] | None:
    """What each token of a record's text completes, without the token that ended it; None if that is not known."""
    text = record["text"]
    if vocabulary is None or not {"ids", "forced"} <= record.keys():
        return None
    texts = token_texts(vocabulary, record["ids"])
    behind = len("".join(texts)) - len(text)  # of the token that ends a response, which is no part of its text
    if texts and 0 < behind <= len(texts[-1]):
        texts[-1] = texts[-1][:-behind]
    return texts if "".join(texts) == text else None


def spans(texts: Sequence[str], places: Sequence[int]) -> Iterator[Span]:
    """Characters of the tokens at `places`."""
    ends = list(itertools.accumulate(map(len, texts), initial=0))
    return ((ends[place], ends[place + 1]) for place in places)


def switches(texts: Sequence[str]) -> list[Span]:
    """Characters of the words at which a thought begins, from the second one on."""
    thoughts = segment(texts)
    found = (WORDS.match(thoughts.text, thought.start) for thought in thoughts.parts[1:])
    return [word.span() for word in found]


def cut(text: str, forced: Sequence[Span], switch: Sequence[Span]) -> list[Piece]:
    """`text` at the ends of spans, neighbours of one kind together."""
    edges = sorted({0, len(text), *itertools.chain(*forced, *switch)})
    place = {edge: index for index, edge in enumerate(edges)}
    kinds = [""] * len(edges)
    for kind, found in ((SWITCH, switch), (FORCED, forced)):  # the later one wins
        for start, end in found:
            kinds[place[start] : place[end]] = [kind] * (place[end] - place[start])
    parts = [(kind, text[start:end]) for kind, (start, end) in zip(kinds, itertools.pairwise(edges), strict=False)]
    joined = [(kind, "".join(part for _, part in group)) for kind, group in itertools.groupby(parts, key=lambda part: part[0])]
    return [[kind, part] if kind else part for kind, part in joined]
