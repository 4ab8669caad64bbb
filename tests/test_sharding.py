"""The sharding table covers every parameter of every family, and a parameter's shard is really smaller."""

import dataclasses

import jax
import pytest
from doubles import weight_files
from doubles.apart import apart
from doubles.models import config

from reasoning import sharding
from reasoning.errors import InputError
from reasoning.models.transformer import abstract_params


def paths(tree):
    return [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in jax.tree_util.tree_leaves_with_path(tree)]


@pytest.mark.parametrize(
    "switches",
    [
        {"tie_embeddings": False, "qkv_bias": True, "out_bias": True},
        {"qk_norm": True, "post_norms": True},
        {"language_head": False, "num_labels": 3, "score_bias": True},
    ],
)
def test_no_parameter_is_left_without_a_rule(switches):
    names = paths(abstract_params(dataclasses.replace(config(), **switches)))
    assert set(sharding.check_coverage(names)) == set(names)


def test_a_renamed_parameter_is_refused_and_not_replicated_in_silence():
    with pytest.raises(InputError, match="no sharding rule matches the parameter 'layers/0/mlp/sideways/kernel'"):
        sharding.check_coverage(["layers/0/mlp/sideways/kernel"])


def test_a_mesh_larger_than_the_machine_is_one_clear_error():
    with pytest.raises(InputError, match="needs 4096 devices"):
        sharding.make_mesh(64, 64)


LOAD = """
import sys, numpy as np, reasoning
from reasoning.sharding import make_mesh
from reasoning.weights import load
load._tokenizer = lambda tensors: None  # tiny files have none
one = reasoning.load(sys.argv[1], "float32")
two = reasoning.load(sys.argv[1], "float32", mesh=make_mesh(1, 2))
whole, split = (model.params["layers"]["0"]["mlp"]["down"]["kernel"] for model in (one, two))
assert split.addressable_shards[0].data.shape[1] * 2 == whole.shape[1]
four = reasoning.load(sys.argv[1], "float32", mesh=make_mesh(1, 4))
assert four.params["layers"]["0"]["attention"]["out"]["kernel"].shape[1] == 4 == 2 * four.config.num_kv_heads
tokens = np.arange(12, dtype=np.int32)[None]
for model in (two, four):
    np.testing.assert_allclose(model.logits(tokens), one.logits(tokens), rtol=1e-5, atol=1e-4)  # logits up to 17
print("equal")
"""


def test_loading_onto_a_mesh_gives_each_device_its_part_and_the_same_logits(tmp_path):
    weight_files.write_hf(tmp_path, weight_files.config("qwen2"), weight_files.tensors("qwen2"))
    assert apart("-c", LOAD, str(tmp_path), devices=4).strip() == "equal"
