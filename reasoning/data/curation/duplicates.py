"""Questions that are there already, word for word and sign for sign."""

from collections.abc import Iterable

from reasoning.data.curation.normal import plain
from reasoning.data.curation.why import Why
from reasoning.data.traces import Trace


def drop(traces: Iterable[Trace]) -> dict[str, Why]:
    """Drops all but the first of the traces whose questions differ in nothing but case, spaces and forms of characters."""
    first: dict[str, str] = {}
    same = {trace.id: first.setdefault(plain(trace.question), trace.id) for trace in traces}
    return {key: Why("repeated question", of) for key, of in same.items() if key != of}
