"""A process reward model, trained on labels of the policy's own responses, Monte-Carlo or exact, from any model's weights.

    config.json, metrics.jsonl, evaluations.jsonl, tensorboard/, checkpoints/     as in `reasoning.train.sft`
    model/    the model with the lowest held-out loss: a score head in place of its language head, in the layout of Hugging Face

Questions, not responses, are held out. Training ends early when the held-out loss has not fallen for `patience` evaluations.
Killed and started again it goes on from the last checkpoint. One process.

Configuration, plain data: model, seed; format, how it reads responses (`reasoning.rewards.formats`): "own" is the policy's prompt
and ids, the others read text, so that a small model can judge a large one; labels (run, label, by, judge, values, max_tokens as
`read_values` has them, held_out: share of questions); batches (layout, examples, rows); epochs, every (steps between
evaluations, and checkpoints), patience; optimizer and step as in `reasoning.train.settings`; export_dtype.

Source: Snell et al. 2024, arXiv 2408.03314, appendix D (soft values, early stop on the loss of held-out questions); Wang et al.
2023, arXiv 2312.08935 (Math-Shepherd); Zhang et al. 2025, arXiv 2501.07301 (consensus of labels and a judge).
"""

import contextlib
import dataclasses
import math
import random
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import reasoning
from reasoning.allocator import HeapLimit
from reasoning.errors import InputError
from reasoning.evaluation.finished import open_finished
from reasoning.evaluation.statistics.step_metrics import auroc, calibration_error
from reasoning.models.model import Model
from reasoning.models.transformer import abstract_params
from reasoning.records import exclusive, write_json
from reasoning.rewards import formats
from reasoning.train import identity
from reasoning.train import mesh as meshes
from reasoning.train.batching import Layout
from reasoning.train.checkpoints import Checkpoints, Info
from reasoning.train.monitor import Monitor
from reasoning.train.optim import optimizer, schedule
from reasoning.train.signals import Stop
from reasoning.train.step_ids import labels_of, spelling
from reasoning.train.step_values import ValueBatches, Valued, make_scores, make_step, read_values, scored
from reasoning.weights.load import load_tokenizer

KEYS = {
    "": ("model", "format", "seed", "labels", "batches", "epochs", "every", "patience", "optimizer", "step", "export_dtype"),
    "labels": ("run", "label", "by", "judge", "values", "held_out", "max_tokens"),
    "batches": ("layout", "examples", "rows"),
    "step": ("compute_dtype", "remat"),
}


def train(config: Mapping[str, Any], workdir: Path, *, show: bool = True, model: Model | None = None) -> bool:
    """Trains until the end or until SIGTERM; whether the end was reached.

    Args:
      config: see the module; resolved, JSON-able.
      show: a progress bar on standard error.
      model: that learns, instead of the one that `config` names; parameters in float32.
    Raises:
      InputError: a wrong configuration, a run without labels, a directory of another run, a loss that is not finite.
    """
    check(config)
    part = config["labels"]
    with contextlib.ExitStack() as stack:
        # ------------------------------------------------------------------ labels and model
        run = open_finished(Path(part["run"]))
        stack.enter_context(exclusive(workdir))
        begun_from = model or reasoning.load(config["model"], "float32")
        judge = with_score_head(begun_from, labels_of(config["format"]), config["seed"])
        policy = run.config["model"]
        spell = spelling(run, part["label"], judge, config["format"], lambda: load_tokenizer(policy))
        valued, n = read_values(run, part["label"], part["by"], spell, part["values"], part["max_tokens"], part["judge"])
        learnt, held = split(valued, part["held_out"], config["seed"])
        made = config["batches"]
        layout = Layout(made["layout"], made["examples"], made["rows"], seed=config["seed"])
        batches = ValueBatches(learnt, layout)
        total = config["epochs"] * batches.steps
        data = identity.digest_of([example for one in valued for example in one[1:]])
        mine = identity.check(workdir, config, data, begun_from.source)
        identity.write(workdir, mine)

        # ------------------------------------------------------------------ what learns, and where it was left
        settings = dict(config["optimizer"])
        rates = schedule(settings.pop("schedule"), settings.pop("learning_rate"), total, settings.pop("warmup"))
        optimise = optimizer(rates, **settings)
        step_of = jax.jit(make_step(judge.network, optimise, n, **config["step"]), donate_argnums=0)
        scores = jax.jit(make_scores(judge.network, **config["step"]))
        state = meshes.init(judge.params, optimise)
        checkpoints = stack.enter_context(Checkpoints(workdir / "checkpoints", keep=1, best=False))
        places = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), state)
        begun = checkpoints.restore(places, mine["hash"])
        step, losses = 0, []
        if begun:
            state, info = begun
            step, losses = info.step, list(info.extra["losses"])
            batches.seek(info.position)
        monitor = stack.enter_context(Monitor(workdir, config, step, total, show))
        stop, memory = stack.enter_context(Stop()), HeapLimit()

        # ------------------------------------------------------------------ the loop
        while step < total and not over(losses, config["patience"]):
            batch, begin = next(batches), time.perf_counter()
            state, metrics = step_of(state, jax.tree.map(jnp.asarray, batch))
            step += 1
            if not bool(metrics.finite):
                raise InputError(f"step {step} gave a loss of {float(metrics.loss)}; lower optimizer.learning_rate")
            values = {name: float(getattr(metrics, name)) for name in ("loss", "accuracy", "targets", "grad_norm")}
            speed = int(np.sum(batch.segments > 0)) / (time.perf_counter() - begin)
            more = {"learning_rate": float(rates(step - 1)), "epoch": step / batches.steps, "tokens_per_second": speed}
            monitor.step(step, values | more)
            memory.after_step()
            due = step % config["every"] == 0 or step == total
            if due:
                found = measure(scores, state.params, held, layout, n)
                losses.append(found["held_out/loss"])
                monitor.evaluation(step, found, {})
                if losses[-1] == min(losses):
                    export(judge, state.params, workdir / "model", config["export_dtype"], config["format"])
            if due or stop.asked(step):
                monitor.sync()
                checkpoints.save(state, Info(step, batches.position, mine["hash"], {"losses": losses}))
                checkpoints.wait()
            if stop.asked(step):
                break
        return step == total or over(losses, config["patience"])


def check(config: Mapping[str, Any]) -> None:
    """Raises InputError for missing and unknown keys, and for numbers that cannot be."""
    for name, wanted in KEYS.items():
        part = config if not name else config[name]
        for key in wanted:
            if key not in part:
                raise InputError(f"the config lacks {name and name + '.'}{key}; see configs/prm.py for what it needs")
        unknown = next((key for key in part if key not in wanted), None)
        if unknown is not None:
            raise InputError(f"the config has an unknown key {name and name + '.'}{unknown}; known: {', '.join(wanted)}")
    for name in ("epochs", "every", "patience"):
        if isinstance(config[name], bool) or not isinstance(config[name], int) or config[name] < 1:
            raise InputError(f"the config's {name} must be a whole number ≥ 1, got {config[name]!r}")
    if not config["labels"]["run"]:
        raise InputError("the config names no run with labels; write --config configs/prm.py:run=DIRECTORY")


def split(valued: list[Valued], share: float, seed: int) -> tuple[list[Valued], list[Valued]]:
    """(responses to learn, those of a `share` of the questions, drawn with `seed`). Raises InputError if either is empty."""
    questions = sorted({one.problem for one in valued})
    count = math.ceil(share * len(questions))
    if not 0 < count < len(questions):
        raise InputError(
            f"labels.held_out {share} leaves {count} of {len(questions)} questions held out; both parts need one at least"
        )
    chosen = set(random.Random(seed).sample(questions, count))
    return [one for one in valued if one.problem not in chosen], [one for one in valued if one.problem in chosen]


def with_score_head(model: Model, labels: int, seed: int) -> Model:
    """The model with `labels` numbers a token in place of its language head; a new head is small and random.

    A reward model that has such a head already is taught further.
    """
    if not model.config.language_head and model.config.num_labels == labels:
        return model
    config = dataclasses.replace(model.config, language_head=False, num_labels=labels, score_bias=True)
    kernel = 0.02 * jax.random.normal(jax.random.key(seed), (labels, config.d_model), jnp.float32)
    params = {name: part for name, part in model.params.items() if name != "head"}
    params["score"] = {"kernel": kernel, "bias": jnp.zeros(labels, jnp.float32)}
    return dataclasses.replace(model, config=config, params=params)


def measure(scores, params, held: list[Valued], layout: Layout, n: int) -> dict[str, float]:
    """Loss in nats a step, AUROC of "any ending right" and calibration error, on responses that are not trained on."""
    batches = ValueBatches(held, dataclasses.replace(layout, seed=0))
    probability, right = scored(scores, params, [jax.tree.map(jnp.asarray, next(batches)) for _ in range(batches.steps)])
    value, p = right / n, np.clip(probability.astype(np.float64), 1e-7, 1 - 1e-7)
    loss = -np.mean(value * np.log(p) + (1 - value) * np.log1p(-p))
    return {
        "held_out/loss": float(loss),
        "held_out/auroc": auroc(probability, right > 0),
        "held_out/calibration_error": calibration_error(p, value),
    }


def over(losses: list[float], patience: int) -> bool:
    """Whether the last `patience` evaluations were all worse than the best one before them."""
    return len(losses) > patience and min(losses[-patience:]) > min(losses[:-patience])


def export(judge: Model, params: Any, path: Path, dtype: str, format: str) -> None:
    """Writes the model to `path`, in place of an earlier one, and which format it reads. Raises InputError."""
    fresh = path.with_name(f".{path.name}")
    shutil.rmtree(fresh, ignore_errors=True)
    cast = jax.tree.map(lambda leaf, spec: np.asarray(leaf).astype(spec.dtype), params, abstract_params(judge.config, dtype))
    reasoning.save(dataclasses.replace(judge, params=cast), fresh)
    write_json(fresh / formats.RECORD, {"format": format})
    shutil.rmtree(path, ignore_errors=True)
    fresh.rename(path)
