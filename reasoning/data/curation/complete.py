"""Traces that lack something: a teacher that failed to answer (s1: 59,029 → 54,116)."""

from collections.abc import Iterable

from reasoning.data.curation.why import Why
from reasoning.data.traces import Trace


def drop(traces: Iterable[Trace], reference: bool = False) -> dict[str, Why]:
    """Drops traces without thinking or answer, and without a reference if `reference`."""
    needed = ("thinking", "answer", "reference") if reference else ("thinking", "answer")
    out = {}
    for trace in traces:
        lacks = next((name for name in needed if not getattr(trace, name).strip()), None)
        if lacks:
            out[trace.id] = Why(f"no {lacks}")
    return out
