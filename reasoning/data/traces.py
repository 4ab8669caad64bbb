"""Reasoning traces: a question, the thinking and the answer that a model is to learn, and where they come from.

A file of traces is JSON lines, a line a trace with the fields of `Trace`.
"""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from reasoning.errors import InputError
from reasoning.records import dumps, read_lines, write_atomic


@dataclasses.dataclass(frozen=True)
class Trace:
    """One example.

    Attributes:
      id: unique in its file.
      question: as it is asked, without a template.
      thinking: the reasoning, without delimiters. answer: what follows it, the final answer included.
      reference: the answer that is counted as right, for a scorer; "" if there is none.
      source: data set or program that it comes from. domain: subject, "" if unknown.
      metadata: JSON-able; what scorers and analyses need.
    """

    id: str
    question: str
    thinking: str
    answer: str
    reference: str = ""
    source: str = ""
    domain: str = ""
    metadata: dict[str, Any] = dataclasses.field(default_factory=dict, hash=False)


def write_traces(path: Path, traces: Iterable[Trace]) -> None:
    """Writes a file of traces as a whole or not at all. Raises InputError."""
    write_atomic(path, b"".join(dumps(dataclasses.asdict(trace)) for trace in traces))


def read_traces(path: str | Path) -> list[Trace]:
    """All traces of a file. Raises InputError."""
    if not Path(path).is_file():
        raise InputError(f"{path}: there is no such file; name a file of traces")
    traces = [Trace(**line) for line in read_lines(Path(path))[0]]
    if not traces:
        raise InputError(f"{path}: there is no trace in it; name another file")
    return traces
