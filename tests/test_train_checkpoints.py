"""Checkpoints of training: kept, restored on another mesh, refused or set aside when they are not what they should be."""

import functools
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from doubles.apart import apart

from reasoning.errors import InputError
from reasoning.train.checkpoints import Checkpoints, Info, bits
from reasoning.train.optim import optimizer

# An Orbax load that fails leaves an event loop behind, which Python mentions when it is collected.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
IDENTITY = "the run"


@functools.cache
def first_state():
    rng = np.random.default_rng(0)
    mlp = {"down": {"kernel": rng.normal(size=(8, 16)).astype(np.float32)}, "norm": {"scale": np.ones(8, np.float32)}}
    params = jax.device_put(
        {"embed": {"embedding": rng.normal(size=(256, 64)).astype(np.float32)}, "layers": {"0": {"mlp": mlp}}}
    )
    return {"params": params, "opt_state": jax.jit(optimizer(1e-3, "muon").init)(params), "step": jnp.int32(0)}


def state_of(seed=0):
    return jax.tree.map(lambda leaf: np.asarray(leaf) + np.asarray(seed, leaf.dtype), first_state())


def equal(one, other) -> bool:
    same = jax.tree.map(lambda a, b: a.dtype == b.dtype and np.array_equal(a, b), one, other)
    return jax.tree.structure(one) == jax.tree.structure(other) and jax.tree.all(same)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A directory with checkpoints of steps 1 … 4, of which two and the best are kept."""
    directory = tmp_path_factory.mktemp("run") / "checkpoints"
    with Checkpoints(directory, keep=2) as checkpoints:
        for step, score in ((1, 2.0), (2, 1.0), (3, None), (4, 3.0)):
            checkpoints.save(jax.device_put(state_of(step)), Info(step, {"epoch": 0, "index": 10 * step}, IDENTITY), score)
    return directory


@pytest.fixture
def copy(written, tmp_path):
    return shutil.copytree(written, tmp_path / "checkpoints")


def restore(directory, identity=IDENTITY):
    wanted = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), first_state())
    with Checkpoints(directory) as checkpoints:
        return checkpoints.restore(wanted, identity)


def test_best_or_last_is_deleted_and_what_comes_back_is_another_state(written):
    with Checkpoints(written) as checkpoints:
        assert checkpoints.steps == [2, 3, 4]
    state, info = restore(written)
    assert info == Info(4, {"epoch": 0, "index": 40}, IDENTITY, {})
    assert equal(state, state_of(4))


def test_half_a_checkpoint_counts(copy):
    """What a kill −9 during a save leaves."""
    shutil.copytree(copy / "4", copy / "5.orbax-checkpoint-tmp")
    assert restore(copy)[1].step == 4
    assert not (copy / "5.orbax-checkpoint-tmp").exists()


def damages(directory):
    """Files of the newest checkpoint, cut, gone or with a flipped bit, one at a time."""
    for path in sorted(path for path in (directory / "4").rglob("*") if path.is_file()):
        data, inside = path.read_bytes(), str(path.relative_to(directory / "4"))
        wanted = ("cut", "gone", "bit") if "/d/" in inside else ("cut",)
        for name in ("gone",) if inside == "state/manifest.ocdbt" else wanted:
            path.unlink() if name == "gone" else path.write_bytes(data[: len(data) // 2] if name == "cut" else _flipped(data))
            yield f"{inside} {name}"
            if (directory / "damaged-4").exists():
                shutil.move(directory / "damaged-4", directory / "4")
            path.write_bytes(data)


def _flipped(data: bytes) -> bytes:
    at = len(data) // 2
    return data[:at] + bytes([data[at] ^ 16]) + data[at + 1 :]


def test_damaged_checkpoint_gives_other_weights(copy, capfd):
    right, fell_back = {3: state_of(3), 4: state_of(4)}, []
    for name in damages(copy):
        state, info = restore(copy)
        assert equal(state, right[info.step]), name
        said = capfd.readouterr().err
        if info.step == 3:
            fell_back.append(name)
            assert said.startswith("warning: the checkpoint of step 4 is damaged") and said.count("\n") == 1, said
        else:
            assert not said, said
    assert {"_CHECKPOINT_METADATA cut", "state/_METADATA cut", "state/manifest.ocdbt gone"} <= set(fell_back)
    assert {name.split(" ")[-1] for name in fell_back if "/d/" in name} == {"cut", "gone", "bit"}


def test_last_damaged_checkpoint_starts_from_nothing(copy, capfd):
    for step in (2, 3, 4):
        (copy / str(step) / "state" / "manifest.ocdbt").write_bytes(b"")
    with pytest.raises(InputError, match="no checkpoint in .* is intact, there are damaged ones only; bring one back"):
        restore(copy)
    assert sorted(path.name for path in copy.iterdir()) == ["damaged-2", "damaged-3", "damaged-4"]
    assert capfd.readouterr().err.count("warning: the checkpoint of step") == 3


def test_checkpoint_of_another_config_is_used_or_moved(copy):
    before = sorted(path.name for path in copy.iterdir())
    with pytest.raises(InputError, match="step 4 in .* belongs to another config.*; choose another --workdir"):
        restore(copy, "another run")
    assert sorted(path.name for path in copy.iterdir()) == before


def test_sum_of_bits_overlooks_a_bit():
    state = {"a": jnp.arange(6, dtype=jnp.float32), "b": jnp.array([True, False]), "c": jnp.ones(3, jnp.bfloat16)}
    for name, index in (("a", 5), ("b", 0), ("c", 2)):
        raw = np.array(state[name])
        raw.view(np.uint8)[index * raw.itemsize] ^= 1
        assert bits({**state, name: jnp.asarray(raw)}) != bits(state)


def test_another_mesh_gives_another_state(tmp_path):
    """Four devices → two by two, each leaf where the new mesh wants it."""
    assert json.loads(apart(__file__, str(tmp_path / "checkpoints"), devices=4)) == {"equal": True, "shard": [8, 4]}


def _on_two_meshes(directory):
    from jax.sharding import AxisType, NamedSharding
    from jax.sharding import PartitionSpec as P

    kernel = np.arange(128, dtype=np.float32).reshape(16, 8)
    four = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,))
    with Checkpoints(directory) as checkpoints:
        state = {"kernel": jax.device_put(kernel, NamedSharding(four, P("data")))}
        checkpoints.save(state, Info(1, {}, IDENTITY))
    square = jax.make_mesh((2, 2), ("data", "tensor"), axis_types=(AxisType.Auto,) * 2)
    wanted = NamedSharding(square, P("data", "tensor"))
    with Checkpoints(directory) as checkpoints:
        state, _ = checkpoints.restore({"kernel": jax.ShapeDtypeStruct((16, 8), np.float32, sharding=wanted)}, IDENTITY)
    found = state["kernel"]
    print(json.dumps({"equal": bool(np.array_equal(found, kernel)), "shard": found.sharding.shard_shape(found.shape)}))


if __name__ == "__main__":
    import sys
    from pathlib import Path

    _on_two_meshes(Path(sys.argv[1]))
