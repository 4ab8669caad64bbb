"""Seconds of a method at one N, from a run of its own: what waiting for its answers takes, not how long slots were busy.

    timed.jsonl    a line for each method and N: seconds and joules of a problem, how many problems, on which device

The seconds of samples in `timings.jsonl` were taken while all samples shared the machine; here the method draws N samples for
some problems and nothing else runs. The first problems are answered once before, so that no compiling is in it, and what
is compiled all the same is taken off. Resumable: a line that is there is not measured again.
"""

import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import tqdm

from reasoning import compilation
from reasoning.comparison.curves import Time
from reasoning.comparison.energy import meter
from reasoning.comparison.plan import Line
from reasoning.data.tasks import Problem
from reasoning.evaluation.reports.scores import sizes
from reasoning.methods.base import Method
from reasoning.records import Lines, read_lines

NAME = "timed.jsonl"


def runs(lines: Sequence[Line], methods: Mapping[str, Method]) -> list[tuple[str, int]]:
    """(label, N) of all points, each once: what drawing N samples costs. `curves` adds what a vote had them read for."""
    labels = dict.fromkeys(label for line in lines if not line.ceiling for label in line.labels)
    return [(label, n) for label in labels for n in sizes(methods[label])]


def measure(
    workdir: Path,
    lines: Sequence[Line],
    methods: Mapping[str, Method],
    problems: Sequence[Problem],
    engine: Callable[[], Any],
    *,
    show: bool = True,
) -> None:
    """Times what `timed.jsonl` does not hold yet, on `problems`. Raises InputError when the disk is full."""
    with Lines(workdir / NAME) as file:
        there = {(line["label"], line["samples"]) for line in file.records if line["problems"] == len(problems)}
        missing = [(label, n) for label, n in runs(lines, methods) if (label, n) not in there]
        for label, n in tqdm.tqdm(missing, desc="timed runs", disable=not show or not missing):
            method, ready = dataclasses.replace(methods[label], n=n), engine()
            for _ in method.run(ready, problems[:1]):
                pass
            compiled, start = compilation.seconds(), time.perf_counter()
            with meter() as joules:
                for _ in method.run(ready, problems):
                    pass
                used = joules()
            seconds = time.perf_counter() - start - (compilation.seconds() - compiled)
            file.append(
                {
                    "label": label,
                    "samples": n,
                    "problems": len(problems),
                    "seconds": round(seconds / len(problems), 6),
                    "joules": None if used != used else round(used / len(problems), 6),
                    "device": jax.devices()[0].device_kind,
                }
            )


def read(workdir: Path) -> dict[tuple[str, int], Time]:
    """{(label, N): the last measurement}; none where nothing was timed. Raises InputError for a damaged file."""
    found = {}
    for line in read_lines(workdir / NAME)[0]:
        joules = float("nan") if line["joules"] is None else line["joules"]
        found[line["label"], line["samples"]] = Time(line["seconds"], joules)
    return found


def devices(workdir: Path) -> str:
    """The devices of the timed runs, as JSON text for a note; "" without any."""
    kinds = sorted({line["device"] for line in read_lines(workdir / NAME)[0]})
    return ", ".join(json.dumps(kind, ensure_ascii=False) for kind in kinds)
