"""Python in a process of its own: the number of CPU devices is fixed before JAX starts."""

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]


def apart(*arguments: str, devices: int) -> str:
    """What `python arguments…` prints, with the tests on its path and so many CPU devices; its errors fail the test."""
    changes = {
        "PYTHONPATH": f"{TESTS}{os.pathsep}{TESTS.parent}",
        "JAX_PLATFORMS": "cpu",
        "JAX_NUM_CPU_DEVICES": str(devices),
    }
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=os.environ | changes)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
