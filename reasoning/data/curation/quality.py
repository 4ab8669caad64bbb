"""Format: questions that lost a figure or hold several problems, and traces that would break a template.

s1's rules (data/filter.ipynb; 54,116 → 51,581) drop a question with "[asy]" (AIME's are kept), "![Image]", "p1." … "p999." or
a bold run with a digit. Rules of your own are regular expressions.
"""

import re
from collections.abc import Iterable, Sequence

from reasoning.data.curation.why import Why
from reasoning.data.traces import Trace
from reasoning.errors import InputError

S1_RULES = (r"!\[Image\]", r"p[1-9]\d{0,2}\.", r"\*\*(?=.*\d)[^\s\]]*\*\*")
DRAWING, KEEPS_DRAWINGS = "[asy]", "aime"


def drop(
    traces: Iterable[Trace],
    s1_rules: bool = True,
    question: Sequence[str] = (),
    thinking: Sequence[str] = (),
    answer: Sequence[str] = (),
    delimiters: Sequence[str] = ("<think>", "</think>", "<|im_start|>", "<|im_end|>"),
    min_words: int = 0,
    max_words: int = 0,
) -> dict[str, Why]:
    """Drops traces by the first rule that they break.

    Args:
      question, thinking, answer: regular expressions that must not be found there.
      delimiters: texts that must be nowhere, for a model would learn them as words.
      min_words, max_words: of the thinking; max_words 0 is no bound.
    Raises InputError for an expression that is none.
    """
    rules = {
        "question": _compiled([*(S1_RULES if s1_rules else ()), *question]),
        "thinking": _compiled(thinking),
        "answer": _compiled(answer),
    }
    out = {}
    for trace in traces:
        why = _drawing(trace) if s1_rules else None
        why = why or _forbidden(trace, rules) or _delimiter(trace, delimiters) or _length(trace, min_words, max_words)
        if why:
            out[trace.id] = why
    return out


def _compiled(rules: Sequence[str]) -> list[re.Pattern]:
    try:
        return [re.compile(rule) for rule in rules]
    except re.error as error:
        raise InputError(f"quality: {error.pattern!r} is no regular expression ({error}); correct it") from None


def _drawing(trace: Trace) -> Why | None:
    kept = KEEPS_DRAWINGS in trace.source.lower()
    return Why("drawing in the question") if DRAWING in trace.question and not kept else None


def _forbidden(trace: Trace, rules: dict[str, list[re.Pattern]]) -> Why | None:
    for name, patterns in rules.items():
        for pattern in patterns:
            if pattern.search(getattr(trace, name)):
                return Why(f"format of the {name}", pattern.pattern)
    return None


def _delimiter(trace: Trace, delimiters: Sequence[str]) -> Why | None:
    found = next((one for one in delimiters for text in (trace.question, trace.thinking, trace.answer) if one in text), None)
    return Why("delimiter in the text", found) if found else None


def _length(trace: Trace, least: int, most: int) -> Why | None:
    count = len(trace.thinking.split())
    if count < least:
        return Why("short thinking", f"{count} words")
    return Why("long thinking", f"{count} words") if 0 < most < count else None
