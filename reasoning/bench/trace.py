"""Where the time of a call goes: a profiler trace read back as seconds by kernel."""

import collections
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax

_OTHER = ("ThunkExecutor", "ThreadpoolListener", "end: ", "H2D", "D2H", "$", "PjRt", "TfrtCpu")


def kernel_seconds(prepare: Callable[[], Any], call: Callable[[Any], Any]) -> dict[str, tuple[int, float]]:
    """Kernel name → (launches, seconds) of `call(prepare())`, the longest first, after one such call that is not traced.

    On an accelerator the events of its streams; on the CPU the thunks of XLA's threads, where a parallel kernel shows the time
    of the thread that waits for it, and a loop or conditional that of all it holds.
    """
    call(prepare())
    prepared = prepare()
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            call(prepared)
        return _read(jax.profiler.ProfileData.from_file(str(next(Path(folder).rglob("*.xplane.pb")))))


def by_operation(kernels: Mapping[str, tuple[int, float]], operations: Mapping[str, str]) -> dict[str, tuple[int, float]]:
    """`kernels` summed over those of one operation (`reasoning.bench.hlo.operations`); a kernel without one keeps its name."""
    counts, seconds = collections.Counter(), collections.Counter()
    for name, (count, spent) in kernels.items():
        operation = operations.get(name, name)
        counts[operation] += count
        seconds[operation] += spent
    return {operation: (counts[operation], spent) for operation, spent in seconds.most_common()}


def _read(data) -> dict[str, tuple[int, float]]:
    planes = list(data.planes)
    devices = [plane for plane in planes if plane.name.startswith("/device:")]
    found: dict[str, list[float]] = collections.defaultdict(list)
    for plane in devices or [plane for plane in planes if plane.name == "/host:CPU"]:
        for line in plane.lines:
            if not (line.name.startswith("Stream") if devices else line.name.startswith("tf_XLA")):
                continue
            for event in line.events:
                if not event.name.startswith(_OTHER):
                    found[event.name].append(event.duration_ns / 1e9)
    totals = {name: (len(seconds), sum(seconds)) for name, seconds in found.items()}
    return dict(sorted(totals.items(), key=lambda item: -item[1][1]))
