"""scripts/convert.py from outside: between all three formats, one line for every mistake, nothing overwritten."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from doubles import vocabulary, weight_files

from reasoning.models.model import Model
from reasoning.weights import export
from reasoning.weights.load import open_weights, read_params

SCRIPT = Path(__file__).parents[1] / "scripts/convert.py"


def convert(*arguments):
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parents[1])}
    return subprocess.run([sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True, env=environment)


def tiny(path):
    """A GGUF with a tokenizer."""
    tensors = weight_files.tensors("llama")
    tensors["model.embed_tokens.weight"] = np.random.default_rng(3).normal(size=(vocabulary.SIZE, weight_files.D)).astype("f4")
    source = weight_files.write_hf(path / "source", weight_files.config("llama", vocab_size=vocabulary.SIZE), tensors)
    files, config = open_weights(source)
    return export.save(Model(config, read_params(files, config), vocabulary.tokenizer()), path / "tiny.gguf", "gguf")


@pytest.mark.slow
def test_three_conversions_do_not_lead_back(tmp_path):
    source = tiny(tmp_path)
    hf = convert("--model", source, "--to", "hf", "--out", tmp_path / "hf")
    assert hf.returncode == 0, hf.stderr
    digest = hashlib.sha256((tmp_path / "hf/model.safetensors").read_bytes()).hexdigest()
    lines = hf.stdout.splitlines()
    assert lines[0].startswith(digest) and lines[-1].startswith(f"{tmp_path / 'hf'}: hf, 7 files, ") and "(F32)" in lines[-1]
    orbax = convert("--model", tmp_path / "hf", "--to", "orbax", "--out", tmp_path / "orbax")
    assert orbax.returncode == 0, orbax.stderr
    back = convert("--model", tmp_path / "orbax", "--to", "gguf", "--out", tmp_path / "back.gguf")
    assert back.returncode == 0, back.stderr
    assert (tmp_path / "back.gguf").read_bytes() == source.read_bytes()


def test_mistake_gives_a_stack_trace_or_costs_a_file(tmp_path):
    (tmp_path / "mine.gguf").write_text("mine")
    taken = convert("--model", tmp_path, "--to", "gguf", "--out", tmp_path / "mine.gguf")
    assert taken.returncode == 2 and taken.stderr.count("\n") == 1 and "never overwritten" in taken.stderr
    assert (tmp_path / "mine.gguf").read_text() == "mine"
    quantised = convert("--to", "Q4_K", "--out", tmp_path / "x")
    assert quantised.returncode == 2 and "Traceback" not in quantised.stderr and "hf|gguf|orbax" in quantised.stderr
