"""The sharding table covers every parameter of every family, and a parameter's shard is really smaller."""

import dataclasses
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import jax
import pytest
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


def test_loading_onto_a_mesh_gives_each_device_its_part_and_the_same_logits():
    """Run apart: the number of CPU devices is fixed before JAX starts."""
    program = textwrap.dedent("""
        import jax, numpy as np, dataclasses
        jax.config.update("jax_num_cpu_devices", 4)
        from doubles.models import config
        from reasoning import sharding
        from reasoning.models.transformer import init_params, network
        shape = dataclasses.replace(config(256), num_heads=4, num_kv_heads=2, tie_embeddings=False)
        params = init_params(shape, jax.random.key(0))
        place = sharding.placer(sharding.make_mesh(1, 2))
        named = lambda path: jax.tree_util.keystr(path, simple=True, separator="/")
        placed = jax.tree_util.tree_map_with_path(lambda path, leaf: place(named(path), np.asarray(leaf)), params)
        whole = params["layers"]["0"]["mlp"]["down"]["kernel"]
        part = placed["layers"]["0"]["mlp"]["down"]["kernel"].addressable_shards[0].data
        assert part.shape[0] * 2 == whole.shape[0], part.shape
        tokens = np.arange(12, dtype=np.int32)[None]
        def logits(params):
            net = network(shape)
            return net.head(params, net.forward(params, tokens, np.arange(12)[None], None)[0])
        np.testing.assert_allclose(jax.jit(logits)(placed), jax.jit(logits)(params), atol=1e-5)
        print("equal")
    """)
    here = Path(__file__).parent
    environment = os.environ | {"PYTHONPATH": f"{here}{os.pathsep}{here.parent}", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == "equal", done.stderr[-2000:]
