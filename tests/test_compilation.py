"""The persistent cache: a second start of the same work compiles nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from reasoning.home import cache_dir

PROGRAM = """
from doubles.models import hash_model
from doubles.stages import SMALL
from reasoning import compilation
from reasoning.decode.engine import Engine
from reasoning.decode.requests import Request
engine = Engine(hash_model(), max_slots=2)
tokens = [r.tokens.tolist() for r in engine.generate([Request(id="a", prompt="hello", n=2)], max_tokens=8, chain=SMALL)]
print(compilation.misses(), compilation.hits() > 0, tokens)
"""


@pytest.mark.slow
def test_a_second_start_compiles_nothing(tmp_path):
    here = Path(__file__).parent
    changes = {"PYTHONPATH": f"{here}{os.pathsep}{here.parent}", "REASONING_CACHE": str(tmp_path), "JAX_PLATFORMS": "cpu"}
    environment = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"} | changes

    def start():
        done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout.split(maxsplit=2)

    first, second = start(), start()
    assert int(first[0]) > 0
    assert second[:2] == ["0", "True"]
    assert second[2] == first[2]


def test_a_tilde_is_a_directory_of_that_name(monkeypatch):
    monkeypatch.setenv("REASONING_CACHE", "~/elsewhere")
    assert cache_dir() == Path.home() / "elsewhere"
    monkeypatch.setenv("REASONING_CACHE", "")
    assert cache_dir() == Path.home() / ".cache" / "reasoning"
