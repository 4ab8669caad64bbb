"""A reward for the form of a response: 1 if a regular expression is found in it, else 0, whatever it says.

By default the last line must state the answer, "Answer: …", and nothing may come after it.

Source: the format rewards of Guo et al. 2025, "DeepSeek-R1", arXiv 2501.12948, section 2.2.2, which look for tags.
"""

import re
from collections.abc import Sequence

from reasoning.errors import InputError
from reasoning.rewards.responses import Candidate, Judge, Reading, Readings

LAST_LINE = r"(?m)^Answer: \S.*\s*\Z"


def make(pattern: str = LAST_LINE, name: str = "form") -> Judge:
    """The judge that looks for `pattern`, in the syntax of Python's `re`. Raises InputError if it is none."""
    try:
        wanted = re.compile(pattern)
    except (re.error, TypeError) as error:
        raise InputError(f"a format reward needs a regular expression, {pattern!r} is none ({error})") from error

    def read(candidates: Sequence[Candidate]) -> Readings:
        for one in candidates:
            yield one, Reading((float(wanted.search(one.text) is not None),))

    return Judge(name, read)


def judge(engine, pattern: str = LAST_LINE, name: str = "form") -> Judge:
    """`make`, for a configuration. Raises InputError."""
    del engine
    return make(pattern, name)
