"""A set of traces in a small table: what there is of each family or source."""

from collections.abc import Sequence

from reasoning.data.traces import Trace

HEAD = ("family", "traces", "with a failed attempt", "mean attempts", "words of thinking, mean", "longest")


def summary(traces: Sequence[Trace]) -> str:
    """A line a family (metadata["family"], else the source), then all; attempts where the metadata counts them."""
    groups: dict[str, list[Trace]] = {}
    for trace in traces:
        groups.setdefault(trace.metadata.get("family") or trace.source, []).append(trace)
    rows = [HEAD, *(_row(name, group) for name, group in {**groups, "all": list(traces)}.items() if group)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows)


def _row(name: str, traces: Sequence[Trace]) -> tuple[str, ...]:
    tries = [trace.metadata["tries"] for trace in traces if "tries" in trace.metadata]
    words = [len(trace.thinking.split()) for trace in traces]
    share = f"{sum(count > 1 for count in tries) / len(tries):.2f}" if tries else "–"
    mean = f"{sum(tries) / len(tries):.2f}" if tries else "–"
    return name, f"{len(traces):,}", share, mean, f"{sum(words) / len(words):.0f}", str(max(words))
