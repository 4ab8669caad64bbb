"""Training on meshes of CPU devices and in two processes: the numbers of one device, each device its part alone."""

import functools
import json
import re
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
import pytest
from doubles.apart import apart
from doubles.mesh_run import SHAPE
from doubles.ports import free_port

from reasoning.errors import InputError
from reasoning.models.transformer import abstract_params
from reasoning.sharding import check_coverage
from reasoning.train import mesh

pytestmark = pytest.mark.slow

MESHES = ("4,1,1", "2,1,2", "1,1,4", "1,2,2")


@functools.cache
def outcomes():
    return json.loads(apart("-m", "doubles.train_run", "0,0,0", *MESHES, devices=4))


def assert_close(found, wanted):
    np.testing.assert_allclose(found["losses"], wanted["losses"], rtol=1e-5)
    np.testing.assert_allclose(found["sums"], wanted["sums"], rtol=1e-5)


@pytest.mark.parametrize("sizes", MESHES)
def test_the_loss_depends_on_the_mesh(sizes):
    assert_close(outcomes()[sizes], outcomes()["0,0,0"])


def test_a_device_holds_what_is_another_ones():
    D, F = SHAPE.d_model, SHAPE.d_ff
    parts = {sizes: found["shards"] for sizes, found in outcomes().items()}
    for sizes, part in {"2,1,2": [D, F // 2], "1,1,4": [D, F // 4], "1,2,2": [D // 2, F // 2]}.items():
        assert parts[sizes] == [[[D, F], part]] * 2, "the weight and its moment"
    assert parts["4,1,1"] == parts["0,0,0"] == [[[D, F], [D, F]]] * 2


@pytest.mark.parametrize("sizes", ["1,4,1", "2,2,1"])
def test_weights_or_their_gradients_move_in_every_chunk(sizes):
    """As they did: the head of 32B was gathered, and its gradient added up over all devices, 2,560 times a micro-batch."""
    found = json.loads(apart("-m", "doubles.train_run", "chunks", sizes, devices=4))
    assert found["loop"] == []
    np.testing.assert_allclose(found["losses"], outcomes()["0,0,0"]["losses"][0][:2], rtol=1e-5)


def test_two_processes_are_not_one():
    """Each feeds its rows of every batch, and holds half of every weight."""
    port, sizes = free_port(), "1,2,1"
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(apart, "-m", "doubles.train_run", sizes, str(port), str(index), devices=1) for index in range(2)]
        found = [json.loads(re.findall(r"^\{.*\}$", run.result(), re.M)[-1]) for run in runs]
    assert found[0] == found[1]
    assert_close(found[0], outcomes()["0,0,0"])
    assert found[0]["shards"][0][1] == [SHAPE.d_model // 2, SHAPE.d_ff]


def test_a_parameter_without_a_rule_is_copied_everywhere():
    paths = [mesh.path_of(path) for path, _ in jax.tree_util.tree_leaves_with_path(abstract_params(SHAPE))]
    assert set(check_coverage(paths, mesh.RULES)) == set(paths)
    with pytest.raises(InputError, match="no sharding rule matches the parameter 'layers/0/new/kernel'"):
        mesh.shardings({"layers": {"0": {"new": {"kernel": np.zeros(3)}}}}, mesh.make_mesh())
    with pytest.raises(InputError, match=r"data 99 × fsdp 1 × tensor 1 needs 99 devices and there"):
        mesh.make_mesh(99)
