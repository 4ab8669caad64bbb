"""Why a trace was dropped, and the lot of a trace: what every filter and every selection share."""

import hashlib
from typing import Any, NamedTuple

from reasoning.data.traces import Trace


class Why(NamedTuple):
    """`kind` is counted in the report, `detail` helps whoever looks one up."""

    kind: str
    detail: str = ""


def lot(seed: Any, name: str) -> bytes:
    """A uniform random number of its own for each name: the smallest lots of a set are a draw that no order can change."""
    return hashlib.sha256(f"{seed}/{name}".encode("utf-8", "backslashreplace")).digest()


def family_of(trace: Trace) -> str:
    """The program that wrote the question, else the source."""
    return trace.metadata.get("family") or trace.source
