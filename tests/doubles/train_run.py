"""`python -m doubles.train_run DATA,FSDP,TENSOR …` trains a tiny decoder on each mesh; prints JSON. `0,0,0` is one device.

    python -m doubles.train_run 2,1,1 PORT INDEX     as process INDEX of two
    python -m doubles.train_run chunks 1,4,1         layers computed again, and short chunks of everything that has chunks

losses    of three steps, and the norms of gradient and update
sums      of the parameters' absolute values after them
shards    [whole shape, shape on one device] of an mlp kernel and of its second moment
loop      with `chunks`: what devices exchange in loops, which are those over chunks alone
"""

import json
import sys

import jax
import numpy as np
import optax
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from doubles.mesh_run import SHAPE, collectives, random_params
from reasoning.models import chunked, packed
from reasoning.models.transformer import network
from reasoning.processes import ALONE, start
from reasoning.train import loss as cross_entropy
from reasoning.train import mesh as training_mesh
from reasoning.train.batching import Batches, Layout
from reasoning.train.examples import Example
from reasoning.train.step import make_step

STEPS = 3
LENGTHS = (5, 40, 17, 23, 60, 9, 31, 12, 44, 20)


def examples() -> list[Example]:
    """Ten examples of very different lengths."""
    rng = np.random.default_rng(0)
    return [
        Example(str(i), rng.integers(0, SHAPE.vocab_size, n).astype(np.int32), np.arange(n) >= n // 3)
        for i, n in enumerate(LENGTHS)
    ]


def train(sizes, processes=ALONE) -> dict:
    mesh = None if sizes == [0, 0, 0] else training_mesh.make_mesh(*sizes)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-2))
    state = training_mesh.init(random_params(SHAPE), optimizer, mesh)
    step = training_mesh.compiled(make_step(network(SHAPE), optimizer, compute_dtype="float32"), mesh)
    batches, losses = Batches(examples(), Layout(examples=10, rows=4, max_tokens=64), processes), []
    for _ in range(STEPS):
        state, metrics = step(state, {}, next(batches))
        losses.append([float(metrics.loss), float(metrics.grad_norm), float(metrics.update_norm), int(metrics.targets)])
    kernel = state.params["layers"]["0"]["mlp"]["down"]["kernel"]
    moment = optax.tree.get(state.opt_state, "nu")["layers"]["0"]["mlp"]["down"]["kernel"]
    total = jax.jit(lambda params: [abs(leaf).sum() for leaf in jax.tree.leaves(params)])
    return {
        "losses": losses,
        "sums": [float(one) for one in total(state.params)],
        "shards": [[leaf.shape, leaf.addressable_shards[0].data.shape] for leaf in (kernel, moment)],
    }


def in_chunks(sizes) -> dict:
    """A step of one micro-batch."""
    packed.CHUNK = chunked.CHUNK = 16
    mesh = training_mesh.make_mesh(*sizes)
    state = training_mesh.init(random_params(SHAPE), optax.sgd(1e-2), mesh)
    batch = training_mesh.put_batch(next(Batches(examples(), Layout(examples=10, rows=8, max_tokens=64))), mesh)
    assert batch.tokens.shape[0] == 1
    cross_entropy.CHUNK_BYTES = 4 * 2 * 16 * SHAPE.vocab_size  # 16 tokens of two rows
    step = make_step(network(SHAPE), optax.sgd(1e-2), compute_dtype="float32", remat="full")
    where = jax.tree.map(lambda leaf: leaf.sharding, state)
    with jax.set_mesh(mesh):
        program = jax.jit(step, out_shardings=(where, NamedSharding(mesh, P()))).lower(state, {}, batch).compile()
        _, metrics = program(state, {}, batch)
    text = program.as_text()
    assert text.count(" while(") > 3
    return {"losses": [float(metrics.loss), float(metrics.grad_norm)], "loop": collectives(text, loops=True)}


def main(argv: list[str]) -> dict:
    if len(argv) == 3 and "," not in argv[1]:
        processes = start("on", f"localhost:{argv[1]}", 2, int(argv[2]), patience=120)
        return train([int(n) for n in argv[0].split(",")], processes)
    if argv[0] == "chunks":
        return in_chunks([int(n) for n in argv[1].split(",")])
    return {one: train([int(n) for n in one.split(",")]) for one in argv}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
