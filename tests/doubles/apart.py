"""Python in a process of its own: the number of CPU devices is fixed before JAX starts."""

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]


def apart(*arguments: str, devices: int) -> str:
    """What `python arguments…` prints, with the tests on its path and so many CPU devices; its errors fail the test.

    Machine code is not optimised, which halves the time: XLA's own passes, the partitioner among them, run as ever.
    """
    changes = {
        "PYTHONPATH": f"{TESTS}{os.pathsep}{TESTS.parent}",
        "JAX_PLATFORMS": "cpu",
        "JAX_NUM_CPU_DEVICES": str(devices),
        "XLA_FLAGS": "--xla_backend_optimization_level=0",
    }
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=os.environ | changes)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
