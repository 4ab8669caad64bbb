"""Questions made comparable: what two wordings must share to count as the same text."""

import re
import unicodedata

WORD = re.compile(r"[^\W_]+")
TOKEN = re.compile(r"[^\W_]+|[^\w\s]|_")


def plain(text: str) -> str:
    """One case, one form of each character, single spaces; signs stay, for 15 - 43 is not 15 + 43."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def words(text: str) -> list[str]:
    """Runs of letters and digits of `plain`: what n-grams are made of."""
    return WORD.findall(plain(text))


def tokens(text: str) -> list[str]:
    """Words and single signs of `plain`."""
    return TOKEN.findall(plain(text))


def runs(parts: list[str], n: int) -> list[str]:
    """All runs of `n` parts; of a shorter text the text itself."""
    return [" ".join(parts[i : i + n]) for i in range(max(1, len(parts) - n + 1))]
