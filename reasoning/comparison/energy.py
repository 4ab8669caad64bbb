"""Joules that the GPUs of this machine have used, by NVIDIA's management library, where it and such a GPU are there.

The library is optional (`nvidia-ml-py`, in the extras for CUDA); without it, or a GPU that counts (from Volta on), there is none.
"""

import contextlib
import importlib
import math
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def meter(library: Any = None) -> Iterator[Callable[[], float]]:
    """A function that says how many joules were used since the block began; NaN where nobody counts.

    Args:
      library: the module pynvml, or one like it; None imports it.
    """
    library = library or _library()
    if library is None:
        yield lambda: math.nan
        return
    try:
        library.nvmlInit()
    except library.NVMLError:
        yield lambda: math.nan
        return
    try:
        devices = [library.nvmlDeviceGetHandleByIndex(index) for index in range(library.nvmlDeviceGetCount())]

        def used() -> float:
            try:
                return sum(map(library.nvmlDeviceGetTotalEnergyConsumption, devices)) / 1e3  # it counts millijoules
            except library.NVMLError:
                return math.nan

        start = used()
        yield lambda: used() - start if devices else math.nan
    finally:
        library.nvmlShutdown()


def _library() -> Any:
    try:
        return importlib.import_module("pynvml")
    except ImportError:
        return None
