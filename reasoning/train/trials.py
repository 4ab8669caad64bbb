"""How good the model is while it is trained: loss on traces held out, and tasks solved by our own engine.

evaluations/<step>/<label>/   a run directory as scripts/evaluate.py makes it: the same files, the same reports
"""

import dataclasses
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from reasoning.decode.engine import Engine
from reasoning.errors import InputError
from reasoning.evaluation import experiment
from reasoning.evaluation.finished import open_finished
from reasoning.evaluation.statistics.stats import estimate
from reasoning.models.model import Model
from reasoning.train.batching import Batch, Batches, Layout
from reasoning.train.examples import Example

TEXTS = 2  # samples of a task that TensorBoard shows


class HeldOut:
    """Mean loss in nats a target, and token accuracy, of examples that are not trained on."""

    def __init__(self, examples: Sequence[Example], layout: Layout, sums: Callable[..., Any], put: Callable[[Batch], Batch]):
        """`sums`: (state's params, frozen, batch [A, B, T]) → (nats, right, targets) of a whole batch; `put` places one."""
        self._sums = sums
        batches = Batches(examples, dataclasses.replace(layout, seed=0)) if examples else None
        self._batches = [put(next(batches)) for _ in range(batches.steps)] if batches else []

    def __call__(self, params: Any, frozen: Any) -> dict[str, float]:
        """{} without examples."""
        if not self._batches:
            return {}
        parts = [self._sums(params, frozen, batch) for batch in self._batches]
        nats, right, targets = (sum(float(part[i]) for part in parts) for i in range(3))
        return {"held_out/loss": nats / max(targets, 1), "held_out/token_accuracy": right / max(targets, 1)}


def batch_sums(loss: Callable[..., Any], prepare: Callable[[Any, Any], Any], targets_of: Callable[[Batch], jax.Array]):
    """(params, frozen, batch [A, B, T]) → sums of nats, of right targets and of targets, float32[].

    Args:
      loss: (working parameters, micro-batch) → (nats, right), `reasoning.train.step.make_loss`.
      prepare: (params, frozen) → working parameters.
    """

    def sums(params, frozen, batch):
        working = prepare(params, frozen)
        parts = jax.lax.map(lambda micro: (*loss(working, micro), jnp.sum(targets_of(micro), dtype=jnp.float32)), batch)
        return tuple(jnp.sum(part) for part in parts)

    return sums


def check(tasks: Mapping[str, Any]) -> None:
    """Builds every task and method once. Raises InputError for what cannot be built."""
    for label, part in tasks.items():
        if not isinstance(part, Mapping) or part.keys() != {"task", "method"}:
            raise InputError(f"the config's evaluation.tasks.{label} needs a task and a method; see configs/sft.py")
        config = _experiment(part, "", 0)
        experiment.check(config)
        experiment.build_methods(config)
        experiment.build_task(config)


class Trials:
    """Tasks that are solved again and again by one engine, whose programs are compiled once."""

    def __init__(self, settings: Mapping[str, Any], directory: Path, name: str, seed: int, show: bool):
        """`settings`: the config's `evaluation`; `name` and `seed` of the run."""
        self._settings, self._directory, self._show = settings, directory, show
        self._name, self._seed, self._engine = name, seed, None

    def forget_after(self, step: int) -> None:
        """Removes evaluations of steps beyond `step`, which will be taken again."""
        for path in self._directory.glob("*"):
            if path.name.isdigit() and int(path.name) > step:
                shutil.rmtree(path)

    def __call__(self, model: Model, step: int) -> tuple[dict[str, float], dict[str, str]]:
        """({"label/accuracy": …}, {label: texts of some samples}); goes on where a killed process stopped.

        Args:
          model: in host arrays; the engine's device takes a copy while the tasks are solved.

        Raises InputError.
        """
        scores, texts = {}, {}
        for label, part in self._settings["tasks"].items():
            engine = self._ready(model)
            workdir = self._directory / str(step) / label
            experiment.evaluate(_experiment(part, self._name, self._seed), workdir, show=self._show, engine=engine)
            records = open_finished(workdir).records(label="method")
            by_problem: dict[str, list[bool]] = {}
            for record in records:
                by_problem.setdefault(record["problem"], []).append(record["correct"])
            found = estimate([float(np.mean(one)) for one in by_problem.values()])
            scores[f"{label}/accuracy"], scores[f"{label}/low"], scores[f"{label}/high"] = found.value, found.low, found.high
            scores[f"{label}/tokens"] = float(np.mean([record["tokens"] for record in records]))
            texts[label] = "\n\n".join(map(_shown, records[:TEXTS]))
        if self._engine is not None:
            self._engine.model = model
        return scores, texts

    def _ready(self, model: Model) -> Engine:
        params = jax.device_put(model.params, jax.local_devices()[0])
        model = dataclasses.replace(model, params=params)
        if self._engine is None:
            self._engine = Engine(model, self._settings["max_slots"] or None)
        self._engine.model = model  # parameters are arguments of the compiled programs
        return self._engine


def _experiment(part: Mapping[str, Any], name: str, seed: int) -> dict[str, Any]:
    name = name or "the model in training"
    return json.loads(json.dumps({"model": name, "seed": seed, "task": part["task"], "methods": {"method": part["method"]}}))


def _shown(record: Mapping[str, Any]) -> str:
    verdict = "right" if record["correct"] else "wrong"
    return f"**{record['problem']}: {record['answer']} ({verdict})**\n\n{record['text']}"
