"""`python -m doubles.mesh_run DATA TENSOR SLOTS`: a tiny decoder answers on a mesh (0 0: on the default device); prints JSON.

greedy, sampled   {request/sample: [tokens, log-probabilities in hexadecimal, stop reason]}
programs          {program: [operation, shape] of every collective in its compiled code}
loop              those inside of a while loop of the decode program
steps             whether every chunk's `Report.steps` was the largest number of steps of one row
weight            [whole shape, shape on one device] of an mlp kernel; cache: the latter of a cache leaf
aliased           share of the slots' bytes that decode updates in place
"""

import dataclasses
import json
import re
import sys

import jax
import numpy as np

from doubles.models import config
from doubles.stages import rewind_once, running_sum
from doubles.tokenizer import ByteTokenizer
from reasoning.decode.base import Chain
from reasoning.decode.controllers import stop_ids, stop_patterns
from reasoning.decode.engine import Engine
from reasoning.decode.requests import Request
from reasoning.decode.transforms import temperature, top_p
from reasoning.models.config import ModelConfig
from reasoning.models.model import Model
from reasoning.models.network import Params
from reasoning.models.transformer import abstract_params
from reasoning.sharding import device_bytes, make_mesh

BUCKET = 64
CHAIN = Chain((running_sum(), temperature(), top_p()), (stop_ids(), stop_patterns(4), rewind_once()))
# G = 3 queries a kv head: with tensor 4 each of two copies has room for 2, so one place is padding. V > the 128 best tokens.
SHAPE = dataclasses.replace(
    config(512), d_model=32, num_layers=2, num_heads=6, num_kv_heads=2, head_dim=8, d_ff=64, qkv_bias=True, tie_embeddings=False
)
REQUESTS = [
    Request(id=f"p{i}", prompt="words " * i, n=i, max_tokens=6 + 4 * i, knobs={"rewind_at": 4, "rewind_by": 2})
    for i in range(1, 5)
]


def random_params(config: ModelConfig, seed: int = 0) -> Params:
    """Parameters without a program to make them; biases and norms too, for zeros and ones would hide where they went."""
    rng = np.random.default_rng(seed)

    def one(path, leaf):
        noise = rng.standard_normal(leaf.shape, np.float32) * (0.2 if len(leaf.shape) > 1 else 0.3)
        return jax.numpy.asarray(noise + (jax.tree_util.keystr(path, simple=True).endswith("scale")))

    return jax.tree_util.tree_map_with_path(one, abstract_params(config))


def collectives(text: str, loops: bool) -> list[tuple[str, str]]:
    """(operation, shape) of the collectives in compiled HLO; with `loops` only those in while loops and what they call."""
    computations, name = {}, ""
    for line in text.splitlines():
        header = re.match(r"(?:ENTRY )?%([\w.-]+) \(.*\{$", line)
        name = header[1] if header else name
        computations.setdefault(name, []).append(line)
    chosen = set() if loops else set(computations)
    reached = [
        one for line in text.splitlines() if " while(" in line for one in re.findall(r"(?:body|condition)=%([\w.-]+)", line)
    ]
    while reached:
        one = reached.pop()
        if one in computations and one not in chosen:
            chosen.add(one)
            reached += re.findall(r"%([\w.-]+)", "\n".join(computations[one][1:]))
    operation = r"= (.*?) (all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute)(?:-start)?\("
    found = (match for one in sorted(chosen) for line in computations[one] for match in re.finditer(operation, line))
    return [(match[2], shape) for match in found for shape in re.findall(r"\w+\[[\d,]*\]", match[1])]  # one may move several


def answers(engine: Engine, **knobs) -> dict:
    responses = engine.generate(REQUESTS, chain=CHAIN, stop=["k\x15S", "z"], **knobs)
    return {f"{r.id}/{r.sample}": [r.tokens.tolist(), r.logprobs.tobytes().hex(), r.stop_reason] for r in responses}


def main(data: int, tensor: int, slots: int) -> dict:
    model = Model(SHAPE, random_params(SHAPE, seed=9), ByteTokenizer(), "tiny")  # greedy rows end in all three ways
    engine = Engine(model, max_slots=slots, mesh=make_mesh(data, tensor) if data else None)
    programs, honest = engine.programs(BUCKET, CHAIN), []

    def decode(*arguments):
        state, report = programs.decode(*arguments)
        honest.append(int(report.steps) == int(np.max(report.emitted)))
        return state, report

    engine._programs[CHAIN, BUCKET, None, programs.rows] = dataclasses.replace(programs, decode=decode)
    room, admit = engine.entrance(CHAIN, programs, BUCKET)
    compiled = {name: getattr(programs, name) for name in ("empty", "decode", "read", "resume")}
    compiled |= {"admit": admit, "room": room.empty, "prefill": room.prefill, "fork": room.fork}
    text = {name: program.as_text() for name, program in compiled.items()}
    state = programs.empty(jax.device_put(engine._builder.build()))
    kernel = engine.model.params["layers"]["0"]["mlp"]["down"]["kernel"]
    return {
        "greedy": answers(engine, temperature=0),
        "sampled": answers(engine, temperature=1.0, top_p=0.9, sum_bonus=2.0),
        "programs": {name: collectives(hlo, loops=False) for name, hlo in text.items()},
        "loop": collectives(text["decode"], loops=True),
        "steps": all(honest) and len(honest) > 4,
        "weight": [kernel.shape, kernel.addressable_shards[0].data.shape],
        "cache": state.cache[0].v.addressable_shards[0].data.shape,
        "aliased": programs.decode.memory_analysis().alias_size_in_bytes / device_bytes(state),
    }


if __name__ == "__main__":
    print(json.dumps(main(*map(int, sys.argv[1:]))))
