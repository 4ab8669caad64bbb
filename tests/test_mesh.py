"""The engine on meshes of CPU devices: same tokens, and no collective that the design does not name.

`doubles.mesh_run` answers the same requests on each mesh, in a process of its own; more samples than slots, a rewind, stop
strings and a stage from a fork are among them.
"""

import functools
import json

import jax
import numpy as np
import pytest
from doubles.apart import apart
from doubles.mesh_run import SHAPE

from reasoning.decode.plan import make_plan, slots_of
from reasoning.errors import InputError
from reasoning.models.transformer import network
from reasoning.sharding import make_mesh

ONE = (0, 0, 2)
DATA = (4, 1, 8)
BOTH = (2, 2, 8)
COPIES = (1, 4, 8)  # more devices on the tensor axis than kv heads
COPIES_TOO = pytest.param(COPIES, marks=pytest.mark.slow)
L, V = SHAPE.num_layers, SHAPE.vocab_size


@functools.cache
def outcome(data, tensor, slots):
    return json.loads(apart("-m", "doubles.mesh_run", str(data), str(tensor), str(slots), devices=4))


@pytest.mark.slow
def test_a_shard_of_the_rows_is_bit_for_bit_an_engine_of_as_many_rows():
    one, four = outcome(*ONE), outcome(*DATA)
    assert four["greedy"] == one["greedy"] and four["sampled"] == one["sampled"]
    assert {reason for _, _, reason in one["greedy"].values()} == {"stop", "pattern", "length"}, "every end is tested"
    assert len({str(tokens) for tokens, _, _ in one["sampled"].values()}) == 10


@pytest.mark.parametrize("mesh", [BOTH, COPIES_TOO])
@pytest.mark.slow
def test_greedy_tokens_do_not_depend_on_the_mesh(mesh):
    tokens = [{name: (row[0], row[2]) for name, row in outcome(*shape)["greedy"].items()} for shape in (ONE, mesh)]
    assert tokens[0] == tokens[1]


def test_shards_of_rows_say_nothing_to_each_other():
    found = outcome(*DATA)
    assert found["loop"] == []
    assert found["programs"].pop("decode") == [["all-reduce", "s32[]"]], "only the count of steps, after the loop"
    assert found["programs"].pop("read") and not any(found["programs"].values())


@pytest.mark.parametrize(("mesh", "rows"), [(BOTH, 4), pytest.param(COPIES, 8, marks=pytest.mark.slow)])
def test_a_step_needs_two_sums_a_layer_and_one_for_each_end_of_the_vocabulary(mesh, rows):
    inside = [tuple(one) for one in outcome(*mesh)["loop"]]
    embedding, layer = (("all-reduce", f"f32[{rows},{axes}{SHAPE.d_model}]") for axes in ("1,", ""))
    assert inside.count(layer) == 2 * L, "attention and mlp of each layer"
    assert inside.count(embedding) == 1, "the last token's"
    assert sorted(set(inside) - {embedding, layer, ("all-reduce", "s32[]")}) == [("all-gather", f"f32[{rows},{V}]")], (
        "the logits, once"
    )
    assert inside.count(("all-gather", f"f32[{rows},{V}]")) == 1


@pytest.mark.parametrize("mesh", [DATA, BOTH, COPIES_TOO])
def test_no_program_sends_keys_or_values(mesh):
    for name, found in outcome(*mesh)["programs"].items():
        assert not any(shape.count(",") == 3 for _, shape in found), f"{name}: {found}"  # a cache leaf has four axes


@pytest.mark.parametrize("mesh", [BOTH, COPIES_TOO])
def test_every_device_holds_its_part_alone(mesh):
    rows, heads = {BOTH: (4, SHAPE.num_kv_heads // 2), COPIES: (8, 1)}[mesh]
    assert outcome(*mesh)["weight"] == [[SHAPE.d_model, SHAPE.d_ff], [SHAPE.d_model, SHAPE.d_ff // mesh[1]]]
    assert outcome(*mesh)["cache"] == [rows, heads, 64, SHAPE.head_dim]


@pytest.mark.parametrize("mesh", [ONE, DATA, BOTH, COPIES_TOO])
def test_reports_count_the_steps_of_the_slowest_shard_and_slots_are_updated_in_place(mesh):
    assert outcome(*mesh)["steps"]
    assert outcome(*mesh)["aliased"] >= 1


@pytest.mark.slow
def test_search_on_a_mesh_is_another_search():
    """Weights of policy and reward model split over four devices, more than kv heads, or the latter's copied to each."""
    one, four = (json.loads(apart("-m", "doubles.mesh_search", str(tensor), devices=4)) for tensor in (0, 4))
    assert set(one) == set(four) == {"lookahead", "apart", "likelihood"}
    for name, answers in one.items():
        for sample, (tokens, scores) in answers.items():
            assert four[name][sample][0] == tokens, (name, sample)
            np.testing.assert_allclose(four[name][sample][1], scores, atol=1e-5, err_msg=f"{name} {sample}")


class Four:
    """What a plan reads of a mesh of data 4 and tensor 2."""

    size, shape = 8, {"data": 4, "tensor": 2}


def test_rows_that_a_mesh_does_not_divide_are_refused_and_planned_ones_always_are_divided():
    with pytest.raises(InputError, match="max_slots 6 cannot be split over data 4 of the mesh; choose a multiple of 4"):
        slots_of(make_plan(0, 6, Four), network(SHAPE), 64, 4)
    assert make_plan(0, None, Four).max_slots == 32
    odd = type("Odd", (), {"size": 3, "shape": {"data": 3, "tensor": 1}})
    assert make_plan(0, None, odd).max_slots == 30


def test_memory_is_that_of_a_device_and_each_has_its_own_waiting_room():
    net = network(SHAPE)
    plan = make_plan(0, 32, Four, memory=net.cache_bytes(4 + 4, 64) // 2, prefill_rows=4)
    assert slots_of(plan, net, 64, 4, 2) == 16


def test_one_device_needs_no_mesh_and_a_mesh_of_one_is_allowed():
    assert make_mesh(1, 1).size == 1 and jax.sharding.get_abstract_mesh().empty
