"""10,000 strings that try a tokeniser: made from a seed, the same on every Python, so that a golden keeps only their ids.

Nine kinds take turns: sentences, code, digits, whitespace, scripts of the world, emoji, runs of one character, tokens written
out in text, random bytes; every tenth string is a mixture of them.
"""

import hashlib
import random

COUNT, BLOCK = 10_000, 100

WORDS = tuple(
    """
    the of and to in is that it was for on are as with his they at be this from have or by one had not but what all were when
    we there can an your which their said if do will each about how up out them then she many some so these would other into
    Paris October Tuesday NASA iPhone don't we'll it's naïve café Zürich Straße reasoning tokenizer hippopotamus
    antidisestablish que los para una por der die und nicht avec dans pour être questo perché não você
    что это как для не на το και είναι
    """.split()  # noqa: SIM905 (a list to read)
)
CODE = (
    "def ", "class ", "return ", "self.", "()", "{\n", "}\n", "    ", "\t", "\n", " = ", " == ", "!=", "->", "=>", "[i]", "i++",
    ";\n", "import numpy as np\n", "for (int i = 0; i < n; ++i) ", "if x is None:\n", "// TODO: ", "# ", '"""', "'", '"%s\\n"',
    "0xFF", "1e-6", "<div class='a'>", "</div>", "<br/>", "&nbsp;", "SELECT * FROM t WHERE id=", "std::vector<int>",
    "lambda x: x**2", "${HOME}/bin",
)  # fmt: skip
SPECIAL = (
    "<bos>", "<eos>", "<pad>", "<unk>", "<mask>", "<start_of_turn>", "<end_of_turn>", "<unused0>", "<unused99>", "[multimodal]",
    "<start_of_image>", "<table>", "</table>", "<h1>", "</h6>", "<code>", "<0x0A>", "<0x00>", "<0xff>", "<s>", "</s>",
    "<|im_start|>", "<start_of_turn", "end_of_turn>", "<<bos>>", "▁", "▁▁", "<unused6242>", "<start_of_turn>user\n",
    "<end_of_turn>\n", "[@BOS@]",
)  # fmt: skip
SPACES = (" ", "  ", "\n", "\t", "\r\n", "\r", "\x0b", "\x0c", "\u00a0", "\u2003", "\u3000", "\u200b", "\u2028", "\ufeff", "\x85")
# First and last code point of stretches of Unicode, with holes and unassigned ones; surrogates are no text.
SCRIPTS = (
    (0x00A1, 0x024F), (0x0300, 0x036F), (0x0370, 0x03FF), (0x0400, 0x052F), (0x0530, 0x06FF), (0x0900, 0x0DFF),
    (0x0E00, 0x0FFF), (0x1000, 0x18AF), (0x1E00, 0x1FFF), (0x2000, 0x2BFF), (0x3000, 0x31FF), (0x4E00, 0x9FFF),
    (0xAC00, 0xD7A3), (0xE000, 0xE0FF), (0xF900, 0xFFFF), (0x10000, 0x1039F), (0x12000, 0x1237F), (0x1D400, 0x1D7FF),
    (0x20000, 0x2A6DF), (0xE0000, 0xE007F), (0, 0x7F),
)  # fmt: skip
EMOJI = ((0x1F300, 0x1F6FF), (0x1F900, 0x1FAFF), (0x2600, 0x27BF), (0x1F1E6, 0x1F1FF), (0x1F3FB, 0x1F3FF))
RUNS = "=-_.*#/!~+?:;,'\"`^|\\ \n\t0189axXzAClhfw…─—。！・ㅋ\u0e40ह%()[]{}<>$&@▁"


class _Dice(random.Random):
    """Draws by `random()` alone, whose values Python promises to keep."""

    def below(self, count: int) -> int:
        return int(self.random() * count)

    def pick(self, options):
        return options[self.below(len(options))]

    def times(self, most: int, write) -> str:
        return "".join(write() for _ in range(1 + self.below(most)))

    def character(self, ranges) -> str:
        first, last = self.pick(ranges)
        return chr(first + self.below(last - first + 1))


def _sentence(dice: _Dice) -> str:
    words = [dice.pick(WORDS) for _ in range(2 + dice.below(18))]
    return dice.pick((" ", " ", ", ", "  ", "-")).join(words).capitalize() + dice.pick(("", ".", "!", "?\n", "...", ".\n\n", " "))


def _digits(dice: _Dice) -> str:
    return dice.times(
        8, lambda: str(dice.below(10 ** (1 + dice.below(9)))) + dice.pick((" ", ",", ".", "+", "-", " = ", "/", "%", ""))
    )


def _spaces(dice: _Dice) -> str:
    return dice.times(12, lambda: dice.pick(SPACES) * (1 + dice.below(5)) + dice.pick(("", "", "a", "b.", dice.pick(WORDS))))


def _script(dice: _Dice) -> str:
    stretch = (dice.pick(SCRIPTS),)
    return dice.times(24, lambda: dice.character(stretch if dice.below(4) else SCRIPTS) + dice.pick(("", "", "", " ")))


def _emoji(dice: _Dice) -> str:
    return dice.times(10, lambda: dice.character(EMOJI) + dice.pick(("", "", "\u200d", "\ufe0f", " ")))


def _run(dice: _Dice) -> str:
    return dice.times(3, lambda: dice.pick(("", "", "a", " ", "b ")) + dice.pick(RUNS) * (1 + dice.below(80)))


def _written(dice: _Dice) -> str:
    return dice.times(8, lambda: dice.pick(SPECIAL) + dice.pick(("", "", " ", "\n", "  ", "word", dice.pick(WORDS))))


def _bytes(dice: _Dice) -> str:
    return bytes(dice.below(256) for _ in range(1 + dice.below(40))).decode("utf-8", "replace")


KINDS = (
    _sentence,
    lambda dice: dice.times(14, lambda: dice.pick(CODE) + dice.pick(("", "", dice.pick(WORDS)))),
    _digits,
    _spaces,
    _script,
    _emoji,
    _run,
    _written,
    _bytes,
    lambda dice: dice.times(4, lambda: dice.pick(KINDS[:9])(dice)),
)


def strings() -> list[str]:
    """The 10,000 strings, without half surrogate pairs."""
    dice = _Dice(3)
    return [KINDS[i % len(KINDS)](dice) for i in range(COUNT)]


def digest(lists: list[list[int]]) -> str:
    """16 hex digits for the ids of one block of strings."""
    return hashlib.sha256(";".join(",".join(map(str, ids)) for ids in lists).encode()).hexdigest()[:16]
