"""Orbax directories: every configuration and every bit comes back, on one device and on a mesh; damage is one clear line."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import jax
import numpy as np
import pytest
from doubles import vocabulary
from golden.models import ours

import reasoning
from reasoning.errors import InputError
from reasoning.models.config import RopeScaling
from reasoning.models.model import Model
from reasoning.weights import orbax
from reasoning.weights.load import open_weights, read_params


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A bfloat16 model with float32 norms that no other format could express, and its directory."""
    model = ours.build("gemma3_scaled_linear", "bfloat16")
    model = Model(dataclasses.replace(model.config, norm_offset=0.0), model.params, vocabulary.tokenizer())
    return model, reasoning.save(model, tmp_path_factory.mktemp("orbax") / "model", "orbax")


def same_bits(a, b):
    equal = jax.tree.map(lambda x, y: x.dtype == y.dtype and np.asarray(x).tobytes() == np.asarray(y).tobytes(), a, b)
    return jax.tree.structure(a) == jax.tree.structure(b) and all(jax.tree.leaves(equal))


def test_parameter_configuration_or_tokenizer_comes_back_changed(saved):
    model, path = saved
    loaded = reasoning.load(path, "stored")
    assert loaded.config == model.config and same_bits(loaded.params, model.params) and loaded.source.endswith("(BF16)")
    assert loaded.tokenizer.encode("hi <think>") == model.tokenizer.encode("hi <think>")
    assert loaded.tokenizer.stop_ids == model.tokenizer.stop_ids
    wide = reasoning.load(path, "float32").params["embed"]["embedding"]
    assert wide.dtype == np.float32 and np.array_equal(wide, model.params["embed"]["embedding"].astype(np.float32))


def test_every_field_of_a_configuration_survives(tmp_path):
    scaling = RopeScaling("yarn", 4.0, 16, beta_fast=8.0, attention_factor=1.3)
    model = ours.build("qwen2_window")
    config = dataclasses.replace(model.config, rope_scaling=scaling, query_scale=0.3, embed_scale=2.5)
    assert orbax.read_config(reasoning.save(Model(config, model.params), tmp_path / "out", "orbax")) == config


def test_place_of_ones_own_gets_numpy_and_every_path(saved):
    model, path = saved
    seen = {}
    files, config = open_weights(path)
    read_params(files, config, "bfloat16", place=lambda name, array: seen.setdefault(name, array))
    assert len(seen) == len(jax.tree.leaves(model.params)) and all(isinstance(array, np.ndarray) for array in seen.values())
    assert (
        seen["layers/0/mlp/down/kernel"].tobytes() == np.asarray(model.params["layers"]["0"]["mlp"]["down"]["kernel"]).tobytes()
    )


def test_checkpoint_goes_through_one_device_on_its_way_to_a_mesh(saved, tmp_path):
    """Four devices: each holds its own part as soon as it is read, and the parts are the whole."""
    model, path = saved
    code = f"""
        import jax, numpy as np
        from reasoning import sharding
        from reasoning.models.placement import Placer
        from reasoning.weights.load import open_weights, read_params
        files, config = open_weights(__import__("pathlib").Path({str(path)!r}))
        place = Placer(config, sharding.make_mesh(2, 2))
        params = read_params(files, config, "bfloat16", place)
        for path, leaf in jax.tree_util.tree_leaves_with_path(params):
            name = jax.tree_util.keystr(path, simple=True, separator="/")
            assert leaf.sharding == place.sharding(name, leaf.shape), name
        kernel = params["layers"]["0"]["mlp"]["down"]["kernel"]
        assert kernel.addressable_shards[0].data.shape[1] * 2 == kernel.shape[1]
        np.save({str(tmp_path / "kernel.npy")!r}, np.asarray(kernel).view(np.uint16))
    """
    root = Path(orbax.__file__).parents[2]
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=4", "PYTHONPATH": str(root)}
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    kernel = np.asarray(model.params["layers"]["0"]["mlp"]["down"]["kernel"]).view(np.uint16)
    assert np.array_equal(np.load(tmp_path / "kernel.npy"), kernel)


def test_damaged_or_foreign_checkpoint_gives_a_stack_trace(saved, tmp_path):
    _, path = saved
    other = shutil.copytree(path, tmp_path / "other")
    values = json.loads((other / "reasoning.json").read_text())
    values["config"]["d_ff"] = 8
    (other / "reasoning.json").write_text(json.dumps(values))
    with pytest.raises(InputError, match=r"parameter layers/0/mlp/down/kernel: the configuration has \[32, 8\], the model \["):
        reasoning.load(other)
    values["config"]["colour"] = "blue"
    (other / "reasoning.json").write_text(json.dumps(values))
    with pytest.raises(InputError, match=r"reasoning\.json: not the configuration of a model .*colour"):
        reasoning.load(other)
    cut = shutil.copytree(path, tmp_path / "cut")
    for file in cut.rglob("manifest.ocdbt"):
        file.write_bytes(file.read_bytes()[:10])
    with pytest.raises(InputError, match="not a complete Orbax checkpoint .*; save the model again") as error:
        reasoning.load(cut)
    assert "\n" not in str(error.value)
    empty = shutil.copytree(path, tmp_path / "empty")
    for file in (empty / "params").rglob("*"):
        if file.is_file():
            file.unlink()
    with pytest.raises(InputError, match="not a complete Orbax checkpoint"):
        reasoning.load(empty)
