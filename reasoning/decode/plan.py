"""How much runs at once: buckets, slots for each, the prefill shape. Planned once from model and memory, then kept.

The plan is part of a run's resolved configuration: a resumed run reuses it, since the number of rows in a program and
the length of its cache change the last bits of a float, and with them, now and then, a sample. `fit` narrows a plan to a
workload once, before the run.
"""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh

from reasoning.errors import InputError
from reasoning.models.network import Network


@dataclasses.dataclass(frozen=True)
class Plan:
    """Static shapes of an engine.

    Attributes:
      platform: "cpu", "gpu" or "tpu".
      max_slots: rows a program may have, if memory allows.
      smallest_bucket: cache length of the shortest requests; longer ones take the next of × 3/2, × 4/3, × 3/2, …
      memory: bytes for slots and waiting room on each device; None is unlimited.
      prefill_rows, prefill_chunk: rows and tokens of a prefill call.
      room_tokens: tokens that a waiting room holds; where prompts are so long that `prefill_rows` would exceed it, fewer wait.
      steps: decode steps between two looks of the host. unroll: steps between two tests of the loop's end.
      lag: chunks dispatched ahead of the one that the host reads; 0 reads at once.
      rows: (bucket, rows) pairs, caps that `fit` took from a workload; a bucket that is not named has `max_slots`.
    """

    platform: str
    max_slots: int
    smallest_bucket: int
    memory: int | None
    prefill_rows: int
    prefill_chunk: int
    room_tokens: int
    steps: int
    unroll: int
    lag: int
    rows: tuple[tuple[int, int], ...] = ()

    def __post_init__(self):
        for name in ("max_slots", "smallest_bucket", "prefill_rows", "prefill_chunk", "room_tokens", "steps", "unroll"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise InputError(f"the plan's {name} must be a whole number ≥ 1, got {value!r}")

    def to_json(self) -> dict:
        """A dict of plain values; `read_plan` reads it back."""
        return dataclasses.asdict(self)


_PLATFORMS = {
    "cpu": {
        "max_slots": 32,
        "smallest_bucket": 64,
        "prefill_rows": 4,
        "prefill_chunk": 32,
        "room_tokens": 8192,
        "steps": 8,
        "unroll": 1,
        "lag": 0,
    },
    "gpu": {
        "max_slots": 256,
        "smallest_bucket": 128,
        "prefill_rows": 8,
        "prefill_chunk": 256,
        "room_tokens": 65536,
        "steps": 32,
        "unroll": 4,
        "lag": 1,
    },
    "tpu": {
        "max_slots": 256,
        "smallest_bucket": 128,
        "prefill_rows": 8,
        "prefill_chunk": 256,
        "room_tokens": 65536,
        "steps": 32,
        "unroll": 1,
        "lag": 1,
    },
}


def read_plan(fields: Mapping[str, Any]) -> Plan:
    """The plan that `Plan.to_json` wrote. Raises InputError for missing, unknown or impossible fields."""
    names = {field.name for field in dataclasses.fields(Plan)}
    if set(fields) != names:
        wrong = sorted(set(fields) ^ names)[0]
        raise InputError(f"the plan has no field {wrong!r}, or lacks it; a plan is what `Engine.plan` returned")
    try:
        rows = tuple((int(bucket), int(count)) for bucket, count in fields["rows"])  # JSON has lists
    except (TypeError, ValueError) as error:
        raise InputError(f"the plan's rows are (bucket, rows) pairs, got {fields['rows']!r}") from error
    return Plan(**{**fields, "rows": rows})


def make_plan(params_bytes: int, max_slots: int | None = None, mesh: Mesh | None = None, **overrides) -> Plan:
    """The plan for this machine, or for a mesh of it; `params_bytes` are those on each device.

    Raises InputError for a count below 1 or an unknown field.
    """
    devices, data = (1, 1) if mesh is None else (mesh.size, mesh.shape["data"])
    platform = {"cuda": "gpu", "rocm": "gpu"}.get(jax.default_backend(), jax.default_backend())
    fields = dict(
        _PLATFORMS.get(platform, _PLATFORMS["cpu"]), platform=platform, memory=_free_memory(platform, params_bytes, devices)
    )
    fields["max_slots"] = max(fields["max_slots"] // data, 1) * data
    if max_slots is not None:
        fields["max_slots"] = max_slots
    unknown = sorted(set(overrides) - {field.name for field in dataclasses.fields(Plan)})
    if unknown:
        raise InputError(f"unknown plan field {unknown[0]!r}; fields are {', '.join(sorted(fields))}")
    fields.update(overrides)
    return Plan(**fields)


def _free_memory(platform: str, params_bytes: int, devices: int) -> int | None:
    """Bytes that slots may take on each device: what it has left beside the parameters, less a margin for temporaries."""
    if platform == "cpu":
        return _available_ram() // 2 // devices  # they share it
    stats = jax.local_devices()[0].memory_stats() or {}
    limit = stats.get("bytes_limit")
    return None if limit is None else int(0.85 * max(limit - max(params_bytes, stats.get("bytes_in_use", 0)), 0))


def _available_ram() -> int:
    """Bytes that can be had without swapping; half the machine's memory where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def bucket_of(plan: Plan, tokens: int, context: int) -> int:
    """Cache length for a request of `tokens` = prompt + maximum new tokens: 64, 96, 128, 192, 256, 384, … or the context.

    A function of the request alone, so that neighbours never change a row's bits.
    """
    size, between = plan.smallest_bucket, False
    while size < tokens:
        size = size * 4 // 3 if between else size * 3 // 2
        between = not between
    return max(min(size, context), tokens)


def room_rows(plan: Plan, size: int) -> int:
    """Prompts that wait at once in a room for prompts of up to `size` tokens."""
    return max(1, min(plan.prefill_rows, plan.room_tokens // size))


def fit(plan: Plan, samples: Mapping[int, int]) -> Plan:
    """The plan with no more rows in a bucket than a workload can fill, nor fewer than an earlier workload got.

    Args:
      samples: {bucket: samples of the workload that need it}.
    """
    named = dict(plan.rows)
    for bucket, count in samples.items():
        named[bucket] = max(named.get(bucket, 1), min(count, plan.max_slots))
    return dataclasses.replace(plan, rows=tuple(sorted(named.items())))


def slots_of(plan: Plan, network: Network, bucket: int, data: int = 1, parts: int = 1) -> int:
    """Rows of the program for `bucket`: what the plan names or max_slots, halved until slots and waiting room fit the memory.

    Args:
      data: shards of the slots, all of one size; each keeps a waiting room of its own. parts: shards of a row's cache.

    Raises InputError if none fits, or if `data` does not divide max_slots.
    """
    if plan.max_slots % data:
        raise InputError(f"max_slots {plan.max_slots} cannot be split over data {data} of the mesh; choose a multiple of {data}")
    rows, waiting = -(-dict(plan.rows).get(bucket, plan.max_slots) // data), room_rows(plan, bucket)
    while plan.memory is not None and network.cache_bytes(rows + waiting, bucket) > plan.memory * parts:
        if rows == 1:
            need = network.cache_bytes(1 + waiting, bucket) / parts
            raise InputError(
                f"a sequence of {bucket} tokens needs {need / 1e9:.1f} GB of cache and {plan.memory / 1e9:.1f} GB are free; "
                "lower max_tokens or use a smaller model"
            )
        rows = (rows + 1) // 2
    return rows * data
