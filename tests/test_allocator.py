"""Memory that a script frees: kept on a CPU, for the kernel clears what it hands out again."""

import os
import subprocess
import sys

import pytest

BLOCK = 64 << 20  # bytes; glibc would map each of its own and give it back
SCRIPT = f"""
import resource
from reasoning import command

def faults(argv):
    made = lambda: len(b"x" * {BLOCK})
    made()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    made(), made()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

command.run(faults)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's")
@pytest.mark.parametrize(
    ("environment", "kept"),
    [
        pytest.param({"JAX_PLATFORMS": "cpu"}, True, id="cpu"),
        pytest.param({"JAX_PLATFORMS": "cuda"}, False, id="accelerator"),
        pytest.param({"JAX_PLATFORMS": "cpu", "MALLOC_ARENA_MAX": "4"}, False, id="tuned"),
    ],
)
def test_freed_memory_goes_back_to_the_kernel(environment, kept):
    """A training step of 135M parameters spent 28 % of its time in page faults. Where users have tuned it, they have."""
    there = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=there | environment, capture_output=True, text=True, check=True)
    assert (int(done.stdout) < 100) == kept
