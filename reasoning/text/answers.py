"""Answers out of a model's text: where it says it (`extract`) and one spelling of it for votes (`normalise`).

Every scan is linear in the text, whatever a model writes. The order of places is that of s1 (arXiv 2501.19393):
`\\boxed{}`, then "Final Answer:", then "Answer:".
"""

import re

_BRACES = re.compile(r"(?P<boxed>\\f?boxed\s*\{)|\\.|(?P<open>\{)|(?P<close>\})", re.DOTALL)
_FINAL_ANSWER = re.compile(r"final\s+answer[\s*]*:", re.IGNORECASE)
_ANSWER = re.compile(r"answer[\s*]*:", re.IGNORECASE)

_WRAPPERS = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ("**", "**"), ("`", "`"))
_TEXT = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mbox)\s?\{([^{}]*)\}")
_DROPPED = re.compile(r"\\(?:left|right)(?![A-Za-z])|\\[!,;:]|\\\$|\\(?:q?quad)(?![A-Za-z])")
_FRACTION = re.compile(r"\\[dt]?frac\s?\{(\d+)\}\s?\{(\d+)\}")
_LOOSE_SPACE = re.compile(r" (?![\w\s])|(?<![\w\s]) ")  # beside a sign, not between words
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_ANY_NUMBER = re.compile(r"(?:(?<![\w)])-)?\d+(?:,\d{3})*(?:\.\d+)?")  # the minus of "5-2" belongs to the sum
_LAYERS = 8  # delimiters within delimiters; a bound, so that time stays linear in the text
_NUMBER = re.compile(r"([+-]?)(\d*)(?:\.(\d*))?")


def extract(text: str) -> str | None:
    """The last answer stated in `text`, as it is written there, or None.

    Args:
      text: a response; looked through for the last `\\boxed{…}` with balanced braces, else the line after the last
        "Final Answer:", else after the last "Answer:" (in any case). Places with nothing after them do not count.
    """
    return _last_boxed(text) or _last_line_after(_FINAL_ANSWER, text) or _last_line_after(_ANSWER, text)


def last_number(text: str) -> str | None:
    """The last number in `text`, without thousands commas, or None.

    What to read where a model gives its answer in no agreed form; the "flexible-extract" of lm-evaluation-harness's GSM8K.
    """
    found = _ANY_NUMBER.findall(text)
    return found[-1].replace(",", "") if found else None


def normalise(answer: str | None) -> str | None:
    """One spelling per answer, so that equal answers vote together; None (abstains) for an empty one.

    Takes off mathematics and markdown delimiters, `\\text{}`, dollar signs, spaces that carry nothing, a final full
    stop, thousands commas, a plus sign and idle zeros: "$+1{,}050.0$." → "1050". Letters keep their case.
    """
    before, text = None, answer or ""
    for _ in range(_LAYERS):
        if text == before:
            break
        before, text = text, _peeled(text)
    return text or None


def _peeled(text: str) -> str:
    """`text` without its outermost delimiters; unchanged when it has its one spelling."""
    text = " ".join(text.replace("{,}", ",").replace("−", "-").replace("\\ ", " ").split())
    text = text.rstrip(".").strip()
    for left, right in _WRAPPERS:
        if len(text) > len(left) + len(right) and text.startswith(left) and text.endswith(right):
            text = text[len(left) : len(text) - len(right)]
    text = _TEXT.sub(r"\1", text)
    text = _DROPPED.sub("", text).replace(r"\%", "%")
    text = _FRACTION.sub(r"\1/\2", text)
    text = _LOOSE_SPACE.sub("", text).strip("$ ")
    if _THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    return _number(text)


def _last_boxed(text: str) -> str | None:
    """Contents of the balanced, non-empty `\\boxed{…}` that opens last; escaped braces do not count."""
    last, start = None, -1
    open_braces: list[int | None] = []  # where a box's contents begin; None for any other brace
    for found in _BRACES.finditer(text):
        if found["boxed"]:
            open_braces.append(found.end())
        elif found["open"]:
            open_braces.append(None)
        elif found["close"] and open_braces:
            begin = open_braces.pop()
            if begin is not None and begin > start and text[begin : found.start()].strip():
                start, last = begin, text[begin : found.start()].strip()
    return last


def _last_line_after(marker: re.Pattern, text: str) -> str | None:
    """The first line with content after the last marker that has one, without markdown emphasis."""
    stop = len(text)
    for found in reversed(list(marker.finditer(text))):
        after = text[found.end() : stop].lstrip("* \t\r\n")
        stop = found.start()
        line = after.splitlines()[0].strip("* \t") if after else ""
        if line:
            return line
    return None


def _number(text: str) -> str:
    """A decimal number without plus sign and idle zeros; any other text as it is."""
    found = _NUMBER.fullmatch(text)
    if not found or not (found[2] or found[3]):
        return text
    sign, whole, rest = found[1], found[2].lstrip("0") or "0", (found[3] or "").rstrip("0")
    number = f"{whole}.{rest}" if rest else whole
    return f"-{number}" if sign == "-" and number != "0" else number
