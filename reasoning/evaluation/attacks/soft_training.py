"""Soft tokens trained against a defender, on problems that no test has: thoughts are sampled, their answer becomes the goal.

    soft-<steps>.npz    the vectors after so many steps, float32[S, D], with what they are for: goal, rule (of the span) and op;
                        `{"kind": "soft_tokens", "path": …}` is the attack
    losses.jsonl        nats a target token, before each step

A configuration names `model`, `dtype`, `max_slots`, `seed`, `task` (with a goal, split "held_out"), `defender`, `ambiguous`,
and `soft`: tokens, steps, learning_rate, batch, project_every, snapshots. The learning rate of Adam is in units of the root
mean square of an embedding's numbers, so that it suits any model. A run that was cut off begins again, and is the same.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
import tqdm

from reasoning.data.tasks import Problem
from reasoning.decode.requests import Response
from reasoning.errors import InputError
from reasoning.evaluation.attacks.rates import goal_of
from reasoning.evaluation.experiment import build_engine, build_task
from reasoning.methods.base import Method, method
from reasoning.methods.robustness.families import target_of
from reasoning.methods.robustness.gradient import Example, batch_of, make_step, mean_norm, projected
from reasoning.methods.robustness.soft_tokens import SoftTokenizer, rule_of, words
from reasoning.models.model import Model
from reasoning.records import dumps, write_atomic

SETTINGS = {"tokens": 1, "steps": 1, "batch": 1, "project_every": 1}  # whole numbers, and the least that they may be
KEYS = {"model", "dtype", "max_slots", "seed", "task", "defender", "ambiguous", "soft"}


def train(config: Mapping[str, Any], workdir: Path, *, engine: Any = None, show: bool = True) -> list[Path]:
    """Writes the snapshots that `workdir` lacks and returns all of them, fewest steps first.

    Args:
      engine: instead of the one that `config` names. show: a progress bar on standard error.
    Raises:
      InputError: a wrong configuration, a task without goals, a model on a mesh, a full disk.
    """
    soft = check(config)
    paths = [workdir / f"soft-{steps}.npz" for steps in sorted(soft["snapshots"])]
    task = build_task(config)
    one = method("robustness", defender=dict(config["defender"]), ambiguous=config["ambiguous"], seed=config["seed"])
    for problem in task.problems:
        goal_of(problem)
    if all(path.exists() for path in paths):
        return paths
    engine = engine or build_engine(config, None)
    model = engine.model
    if model.mesh is not None or model.network.embedded is None:
        raise InputError("soft tokens are trained on one device, through a model with embeddings; run without a mesh")
    thoughts = {response.id: response for response in one.generate(engine, task.problems) if response.sample == 0}
    examples = [example(one, model, problem, thoughts[problem.id], soft["tokens"]) for problem in task.problems]
    _descend(model, examples, soft, config["seed"], workdir, show, _purpose(config, task.problems[0]))
    return paths


def check(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part `soft`. Raises InputError for missing and unknown keys and senseless numbers."""
    lacking = next((key for key in sorted(KEYS - {"dtype", "max_slots"}) if key not in config), None)
    unknown = next((key for key in config if key not in KEYS), None)
    if lacking or unknown:
        raise InputError(
            f"the config {f'names no {lacking}' if lacking else f'has an unknown key {unknown!r}'}; see configs/soft_tokens.py"
        )
    soft = config["soft"]
    wanted = {*SETTINGS, "learning_rate", "snapshots"}
    if not isinstance(soft, Mapping) or set(soft) != wanted:
        raise InputError(f"the config's soft needs the fields {', '.join(sorted(wanted))}, got {soft!r}")
    for name, least in SETTINGS.items():
        if isinstance(soft[name], bool) or not isinstance(soft[name], int) or soft[name] < least:
            raise InputError(f"the config's soft.{name} must be a whole number ≥ {least}, got {soft[name]!r}")
    if not 0 < soft["learning_rate"] < float("inf"):
        raise InputError(f"the config's soft.learning_rate must be above 0, got {soft['learning_rate']!r}")
    if not soft["snapshots"] or not all(isinstance(at, int) and 1 <= at <= soft["steps"] for at in soft["snapshots"]):
        raise InputError(f"the config's soft.snapshots are steps from 1 to {soft['steps']}, got {soft['snapshots']!r}")
    words(soft["tokens"])
    return soft


def example(one: Method, model: Model, problem: Problem, response: Response, size: int) -> Example:
    """The prompt with `size` soft tokens in its span, and the response with the goal in place of its answer."""
    size_of = model.config.vocab_size
    tokenizer = SoftTokenizer(model.tokenizer, size_of)
    messages = one.span.wrap(one.prompt(problem.question), words(size))
    ids = tokenizer.encode_chat(messages)
    places = [place for place, token in enumerate(ids) if token >= size_of]
    target = model.tokenizer.encode(persuaded(response.text, one.delimiters[1], goal_of(problem)), bos=False)
    if response.stop_reason == "stop":
        target = [*target, int(response.tokens[-1])]
    return Example(tuple(ids[: places[0]]), tuple(ids[places[-1] + 1 :]), tuple(target))


def persuaded(text: str, end: str, goal: str) -> str:
    """A response whose thought, up to its end, is followed by the goal; the goal alone where no thought ended."""
    thought = text[: text.find(end)] if end and end in text else ""
    if re.search(r"answer[\s*]*:$", end, re.IGNORECASE):
        return f"{thought}{end} {goal}"
    return f"{thought}{end}\n\nAnswer: {goal}" if thought else f"Answer: {goal}"


def _purpose(config: Mapping[str, Any], problem: Problem) -> dict[str, str]:
    """What the vectors are trained for, as `soft_tokens.purpose` reads it."""
    rule = rule_of(config["ambiguous"])
    return {"goal": target_of(dataclasses.asdict(problem))["rule"], "rule": rule, "op": str(config["task"].get("op", ""))}


def _descend(
    model: Model,
    examples: Sequence[Example],
    soft: Mapping[str, Any],
    seed: int,
    workdir: Path,
    show: bool,
    purpose: Mapping[str, str],
) -> None:
    network, params, rng = model.network, model.params, np.random.default_rng(seed)
    known = np.flatnonzero(np.asarray(model.tokenizer.real_ids)[: model.config.vocab_size]).astype(np.int32)
    norm = mean_norm(network, params, known)
    start = network.embed(params, jnp.asarray(rng.choice(known, soft["tokens"]))[None])[0]
    vectors = projected(start, jnp.float32(norm))
    optimiser = optax.adam(soft["learning_rate"] * norm / model.config.d_model**0.5)
    step, state = make_step(network, optimiser, soft["project_every"]), optimiser.init(vectors)
    batches, losses = _batches(examples, soft["tokens"], soft["batch"], rng), []
    for number in tqdm.trange(soft["steps"], desc="soft tokens", disable=not show):
        vectors, state, value = step(params, vectors, state, jnp.int32(number), jnp.float32(norm), next(batches))
        losses.append({"step": number, "loss": float(value), "norm": float(jnp.linalg.norm(vectors, axis=-1).mean())})
        if number + 1 in soft["snapshots"]:
            write_atomic(workdir / "losses.jsonl", b"".join(map(dumps, losses)))
            _write(workdir / f"soft-{number + 1}.npz", projected(vectors, jnp.float32(norm)), purpose)


def _batches(examples: Sequence[Example], size: int, rows: int, rng: np.random.Generator):
    """Batches without end, each pass over the examples in another order, all of one shape."""
    longest = max(len(one.before) + size + len(one.after) + len(one.target) for one in examples)
    width, targets = -(-longest // 32) * 32, -(-max(len(one.target) for one in examples) // 16) * 16
    waiting: list[int] = []
    while True:
        while len(waiting) < rows:
            waiting += rng.permutation(len(examples)).tolist()
        yield batch_of([examples[index] for index in waiting[:rows]], size, width, targets)
        waiting = waiting[rows:]


def _write(path: Path, vectors: Any, purpose: Mapping[str, str]) -> None:
    out = BytesIO()
    np.savez(out, soft=np.asarray(vectors, np.float32), **purpose)
    write_atomic(path, out.getvalue())
