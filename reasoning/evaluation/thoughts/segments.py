"""A response cut into thoughts, at the words with which a model turns to another approach.

Source: underthinking, arXiv 2501.18585, section 2.1, where the expressions were collected by hand and a language model judged
each occurrence; here every occurrence counts, under the rules of `Switches`, so numbers compare within this repository.

Characters are those of the whole text; a token's text is what it completes (`token_texts`), so that a character split over
tokens belongs to the last of them. A switch belongs to the token in which its first letter is: " Wait" is one token, and its
thought begins with it.
"""

import bisect
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from reasoning.errors import InputError
from reasoning.text.stream import Detokenizer

EXPRESSIONS = (
    "Alternatively",
    "Another approach",
    "Another way",
    "But wait",
    "Hmm",
    "Hold on",
    "However",
    "Let me try",
    "Let's try",
    "On second thought",
    "Wait",
)
OPENING = " \t*_#>\"'“‘([-"  # what may stand between the end of a sentence and the first letter of the next one
SENTENCE_ENDS = "\n.!?…:;"


@dataclass(frozen=True)
class Switches:
    """What counts as a switch: whole words, a run of white space in the text standing for a space of the expression.

    Attributes:
      expressions: the longest that fits counts, once.
      ignore_case: False: as written above, so a capital begins it, and "I must wait" is none; True: in any case.
      sentence_start: count only what stands at the start of the text, of a line or of a sentence.

    Raises InputError when there is no expression or an empty one.
    """

    expressions: tuple[str, ...] = EXPRESSIONS
    ignore_case: bool = False
    sentence_start: bool = False

    def __post_init__(self):
        if isinstance(self.expressions, str) or not self.expressions or not all(one.strip() for one in self.expressions):
            raise InputError(f"switch expressions are a list of words, got {self.expressions!r}; write expressions=('Wait',)")

    def find(self, text: str) -> list[int]:
        """Characters at which a switch begins, ascending."""
        longest_first = sorted(self.expressions, key=len, reverse=True)
        words = "|".join(r"\s+".join(map(re.escape, one.split())) for one in longest_first)
        pattern = re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE if self.ignore_case else 0)
        starts = [found.start() for found in pattern.finditer(text)]
        return [start for start in starts if _opens(text, start)] if self.sentence_start else starts


DEFAULT = Switches()


@dataclass(frozen=True)
class Thought:
    """A piece of a response from one switch to the next.

    Attributes:
      start, end: characters, end exclusive. first, stop: tokens, stop exclusive, so `stop` is also how many tokens the response
        has through the end of this thought. Where two switches begin in one token, the earlier thought has none.
    """

    start: int
    end: int
    first: int
    stop: int


@dataclass(frozen=True)
class Thoughts:
    """A segmented response: no gap and no overlap, in characters and in tokens.

    Attributes:
      text: of all tokens. parts: at least one; the first begins with the text, and a switch that opens the text changes nothing.
      tokens: of the response.
    """

    text: str
    parts: tuple[Thought, ...]
    tokens: int

    @property
    def switches(self) -> int:
        """How often the response turned to something else."""
        return len(self.parts) - 1

    @property
    def spacing(self) -> float:
        """Mean tokens of a thought: from the start or a switch to the next switch or the end."""
        return self.tokens / len(self.parts)


def token_texts(pieces: Sequence[bytes], ids: Sequence[int]) -> list[str]:
    """The text that each token completes; joined, what the tokenizer's `decode` makes of all ids.

    Args:
      pieces: bytes of each token id, `tokenizer.token_bytes(size)`.
    """
    stream = Detokenizer(pieces)
    texts = [stream.push(int(token)) for token in ids]
    if texts:
        texts[-1] += stream.flush()
    return texts


def segment(texts: Sequence[str], switches: Switches = DEFAULT) -> Thoughts:
    """Cuts a response into thoughts.

    Args:
      texts: of each token (`token_texts`); to cut the thinking alone, pass only its tokens.
    """
    text = "".join(texts)
    ends = list(itertools.accumulate(map(len, texts)))
    cuts = [cut for cut in switches.find(text) if text[:cut].strip()]
    tokens = [bisect.bisect_right(ends, cut) for cut in cuts]  # the token in which the character is: the first that ends after it
    starts, firsts = [0, *cuts], [0, *tokens]
    stops = zip(starts, [*cuts, len(text)], firsts, [*tokens, len(texts)], strict=True)
    return Thoughts(text, tuple(Thought(*one) for one in stops), len(texts))


def mean_switches(responses: Sequence[Thoughts]) -> float:
    """Mean number of switches of a response. Raises InputError when there is none."""
    _check(responses)
    return sum(one.switches for one in responses) / len(responses)


def mean_spacing(responses: Sequence[Thoughts]) -> float:
    """Mean tokens of a thought over the thoughts of all responses. Raises InputError when there is no response."""
    _check(responses)
    return sum(one.tokens for one in responses) / sum(len(one.parts) for one in responses)


def _check(responses: Sequence[Thoughts]) -> None:
    if not responses:
        raise InputError("there are no responses to count switches in; check that the run has finished at least one")


def _opens(text: str, start: int) -> bool:
    """Whether a sentence begins at character `start`."""
    before = text[:start].rstrip(OPENING)
    return not before or before[-1] in SENTENCE_ENDS
