"""What was measured, as Markdown."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose columns line up in a terminal too."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [header, ["-" * width for width in widths], *rows]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    )


def spread(triple: Sequence[float], digits: int = 2) -> str:
    """ "2.51 (2.40 … 2.66)": median and range."""
    median, low, high = (f"{value:.{digits}f}" for value in triple)
    return f"{median} ({low} … {high})"


def decode_table(entries: Sequence[Mapping[str, Any]]) -> str:
    """Of `reasoning.bench.decode.decode`."""
    header = ("batch", "program", "ms/step", "tokens/s", "ours / it", "of the roofline", "same tokens")
    rows = [
        (
            str(e["batch"]),
            e["contestant"],
            f"{e['ms_per_step']:.1f}",
            f"{e['tokens_per_second']:.0f}",
            spread(e["ours_over_it"]),
            f"{100 * e['roofline']:.0f} %",
            "–" if e["agreement"] is None else f"{100 * e['agreement']:.0f} %",
        )
        for e in entries
    ]
    return markdown(header, rows)


def prefill_table(entries: Sequence[Mapping[str, Any]]) -> str:
    """Of `reasoning.bench.decode.prefill`."""
    header = ("batch × prompt", "program", "tokens/s", "ours / it")
    rows = [
        (f"{e['batch']} × {e['prompt']}", e["contestant"], f"{e['tokens_per_second']:.0f}", spread(e["ours_over_it"]))
        for e in entries
    ]
    return markdown(header, rows)


def mixed_table(entry: Mapping[str, Any]) -> str:
    """Of `reasoning.bench.mixed.mixed`."""
    header = ("requests", "slots", "tokens", "continuous tokens/s", "static tokens/s", "continuous / static", "bound")
    row = [str(entry[name]) for name in ("requests", "slots", "tokens")]
    row += [f"{entry[f'{name}_tokens_per_second']:.0f}" for name in ("continuous", "static")]
    return markdown(header, [(*row, spread(entry["speedup"]), f"{entry['bound']:.2f}")])


def stages_table(entries: Sequence[Mapping[str, Any]]) -> str:
    """Of `reasoning.bench.stages.stages`."""
    header = ("setting", "batch", "ms/step", "over greedy, %")
    rows = [(e["setting"], str(e["batch"]), f"{e['ms_per_step']:.2f}", spread(e["overhead_percent"], 1)) for e in entries]
    return markdown(header, rows)


def forcing_table(entry: Mapping[str, Any]) -> str:
    """Of `reasoning.bench.forcing.forcing`."""
    header = ("dtype", "batch", "budget", "Waits", "tokens, ours", "tokens, transformers", "seconds, ours", "transformers / ours")
    row = (*(str(entry[name]) for name in ("dtype", "batch", "budget", "waits")), *(str(n) for n in entry["tokens"].values()))
    return markdown(header, [(*row, f"{statistics.median(entry['seconds']['ours']):.1f}", spread(entry["theirs_over_ours"]))])


def long_table(entry: Mapping[str, Any]) -> str:
    """Of `reasoning.bench.long.long`."""
    header = ("requests", "longest", "tokens", "tokens/s", "rows of each bucket", "cache allocated / used")
    groups = " ".join(f"{bucket}×{rows}" for bucket, rows in entry["groups"])
    speed, ratio = entry["tokens"] / entry["seconds"], entry["allocated"] / entry["used"]
    row = (str(entry["requests"]), str(entry["longest"]), str(entry["tokens"]), f"{speed:.0f}", groups, f"{ratio:.2f}")
    return markdown(header, [row])


def search_table(entry: Mapping[str, Any]) -> str:
    """Of `reasoning.bench.search.search`."""
    header = ("N", "slots", "batched, s", "one by one, s", "one by one / batched", "outside decoding and scoring, %")
    rows = [
        (
            str(e["n"]),
            str(e["slots"]),
            *(f"{statistics.median(e['seconds'][name]):.1f}" for name in ("batched", "one by one")),
            spread(e["speedup"]),
            spread([100 * share for share in e["outside"]], 1),
        )
        for e in entry["batched"]
    ]
    found = entry["scoring"]
    heads = ("scoring", "rows", "steps", "tokens", "seconds", "whole text / it")
    faster = {"each step once": spread(found["speedup"]), "whole text": "1"}
    lines = [
        (
            name,
            str(found["rows"]),
            str(found["steps"]),
            str(found["tokens"][name]),
            f"{statistics.median(found['seconds'][name]):.2f}",
            faster[name],
        )
        for name in ("each step once", "whole text")
    ]
    return f"{markdown(header, rows)}\n\n{markdown(heads, lines)}"
