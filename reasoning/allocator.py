"""On a CPU freed memory stays with the process.

XLA:CPU asks for the temporary memory of a program anew in each call. glibc gives large blocks back to the kernel, which clears
every page that is touched again: 1.2 million page faults in a training step of SmolLM2-135M over 1,024 tokens, 28 % of its time.
With one arena, no block of a mapping of its own and nothing trimmed there are none. The price: long-lived memory comes to lie in
the hole that a program's temporary memory left, the next such block goes elsewhere, and the hole counts until it is given back:
7 GB of a step became 21 within thirty steps. `HeapLimit` bounds that.
"""

import ctypes
import importlib.metadata
import importlib.util
import os
import sys
from pathlib import Path

SLACK = 1.5  # times what a step needs

# (parameter of mallopt(3), its number in malloc.h, value): one heap for all threads, which never shrinks.
KEEP = (("M_ARENA_MAX", -8, 1), ("M_MMAP_MAX", -4, 0), ("M_TRIM_THRESHOLD", -1, -1), ("M_TOP_PAD", -2, 256 << 20))


def keep_freed_memory() -> bool:
    """Whether it was done: where JAX has but the CPU, glibc is the allocator and nobody has tuned it already.

    Threads choose their arenas when they begin, so this has to come before JAX's backend starts.
    """
    mallopt = _glibc("mallopt")
    tuned = any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ)
    if mallopt is None or tuned or not _cpu_alone():
        return False
    return all(mallopt(number, value) for _, number, value in KEEP)


def give_back() -> None:
    """All that is free now goes back to the kernel."""
    trim = _glibc("malloc_trim")
    if trim is not None:
        trim(0)


class HeapLimit:
    """Freed memory of a loop of steps: at most half as much again as the largest step needs stays with the process.

    A checkpoint that is being written while a step is measured counts as its need.
    """

    def __init__(self):
        self._needed, self._measures_in = 0, 2

    def give_back(self) -> None:
        """For the moment before a program of another shape is compiled: what its second step leaves is what it needs."""
        give_back()
        self._measures_in = 2

    def after_step(self) -> None:
        """Gives memory back when it is too much."""
        if self._measures_in == 2:  # what compiling took is free now
            give_back()
        elif self._measures_in == 1:
            self._needed = max(self._needed, resident())
        elif resident() > SLACK * self._needed:
            give_back()
            self._measures_in = 2
        self._measures_in = max(0, self._measures_in - 1)


def resident() -> int:
    """Bytes of this process that are in memory now; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _glibc(name: str):
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None


def _cpu_alone() -> bool:
    chosen = os.environ.get("JAX_PLATFORMS")
    if chosen:
        return chosen == "cpu"
    return not importlib.metadata.entry_points(group="jax_plugins") and importlib.util.find_spec("libtpu") is None
