"""Supervised fine-tuning on traces (s1, arXiv 2501.19393), from a configuration to a model that `transformers` loads.

    config.json           what the weights depend on (`reasoning.train.identity`)
    metrics.jsonl, …      progress (`reasoning.train.monitor`)
    checkpoints/          of the whole state (`reasoning.train.checkpoints`)
    evaluations/          tasks solved on the way (`reasoning.train.trials`)
    adapters.safetensors  what was trained, if that was adapters
    model/                the model, in the layout of Hugging Face

Killed at any moment and started again, it goes on from the last checkpoint, and on a CPU ends with the same bits. It may go on
on another mesh, with other rows a micro-batch, remat or scan_layers (`settings.LAST_BITS`): losses are then the same but for
rounding, and the bits may be others from there on. config.json and TensorBoard ("notes") say behind which step that was.
"""

import contextlib
import functools
import random
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils

import reasoning
from reasoning import compilation
from reasoning.allocator import HeapLimit
from reasoning.data.traces import Trace, read_traces
from reasoning.errors import InputError
from reasoning.models.model import Model
from reasoning.processes import ALONE, Processes
from reasoning.records import exclusive
from reasoning.train import identity, settings, speed, trials
from reasoning.train.batching import Batches, fuller
from reasoning.train.checkpoints import Checkpoints, Info
from reasoning.train.examples import FORMS, encode_all
from reasoning.train.learner import Learner
from reasoning.train.monitor import Monitor
from reasoning.train.signals import Stop, Stopped
from reasoning.train.step import Metrics
from reasoning.train.trials import HeldOut, Trials


def train(
    config: Mapping[str, Any], workdir: Path, *, show: bool = True, processes: Processes = ALONE, model: Model | None = None
) -> bool:
    """Trains until the end, or until SIGTERM; whether the end was reached.

    Args:
      config: see `reasoning.train.settings`; resolved, JSON-able.
      show: progress bars on standard error.
      processes: which one this is of several that train together; all make the same call.
      model: instead of the one that `config` names (tests; a model that you have in memory), parameters in float32.
    Raises:
      InputError: a wrong configuration or file, a directory of another run, a full disk, a loss that is not finite.
    """
    with contextlib.ExitStack() as stack:
        # ------------------------------------------------------------------ what can be wrong, before anything is loaded
        settings.check(config)
        traces = read_traces(config["traces"]["file"])
        trials.check(config["evaluation"]["tasks"])
        learnt, held_out = split(traces, config["traces"]["held_out"], config["seed"])
        if processes.leads:
            stack.enter_context(exclusive(workdir))
        compilation.enable()

        # ------------------------------------------------------------------ model and data
        model = model or reasoning.load(config["model"], "float32", place=lambda path, leaf: np.array(leaf))
        encode = functools.partial(
            encode_all, tokenizer=model.tokenizer, form=FORMS[config["traces"]["form"]],
            max_tokens=config["traces"]["max_tokens"], too_long=config["traces"]["too_long"],
        )  # fmt: skip
        encoded = encode(learnt)
        unseen = encode(held_out).examples if held_out else []
        layout = settings.layout(config)
        batches = Batches(encoded.examples, layout, processes)
        lengths = [len(example.ids) for example in encoded.examples]
        total = settings.total_steps(config, lengths)
        if processes.leads and show:
            print(f"{encoded.counts}; {total} steps of {layout.examples} examples", file=sys.stderr)
            if better := fuller(lengths, layout):
                row, then, now = better
                print(f"rows are {now:.0%} full; {then:.0%} with --config.batches.row_tokens={row}", file=sys.stderr)

        # ------------------------------------------------------------------ is it this directory's run?
        data = identity.digest_of([*encoded.examples, *unseen])
        mine = identity.check(workdir, config, data, model.source, settings.LAST_BITS)
        learner = Learner(config, model, total)  # which refuses a mesh that there is not, before it is written down
        _meet("identity")
        if processes.leads:
            identity.write(workdir, mine)

        # ------------------------------------------------------------------ where it was left
        checkpoints = stack.enter_context(Checkpoints(workdir / "checkpoints", config["checkpoints"]["keep"]))
        step, begun = 0, checkpoints.restore(learner.abstract(), mine["hash"])
        if begun:
            state, info = begun
            step = info.step
            batches.seek(info.position)
        else:
            state = learner.fresh()
        held = HeldOut(unseen, layout, learner.sums, learner.put)
        tasks = Trials(config["evaluation"], workdir / "evaluations", config["model"], config["seed"], show)
        monitor = None
        if processes.leads:
            _note(workdir, mine, step)
            monitor = stack.enter_context(Monitor(workdir, config, step, total, show, mine["changes"]))
            tasks.forget_after(step)
        log = _Log(learner, monitor, batches.steps, processes)

        # ------------------------------------------------------------------ the loop
        stop = stack.enter_context(Stop())
        score = None
        while True:
            evaluates = _due(config["evaluation"]["every"], step, total)
            if evaluates and not _told(monitor is not None and step in monitor.evaluated):
                log.flush()
                score = _evaluate(config, learner, state, step, held, tasks, monitor, stop)
            stopping = stop.asked(step, now=evaluates)
            if step and step not in checkpoints.steps and (_due(config["checkpoints"]["every"], step, total) or stopping):
                log.flush()
                checkpoints.save(state, Info(step, batches.position, mine["hash"]), score)
            if stopping or step == total:
                break
            batch = next(batches)
            score, step = None, step + 1
            state, metrics = learner.step(state, log.compiles(batch))
            log.later(step, metrics, batch)
        log.flush()
        checkpoints.wait()

        # ------------------------------------------------------------------ the model, for others
        if stopping and step < total:
            return False
        _export(config, learner, state, workdir, processes)
        _meet("exported")
        return True


def split(traces: list[Trace], held_out: int, seed: int) -> tuple[list[Trace], list[Trace]]:
    """(traces to learn, `held_out` others drawn with `seed`), each in order. Raises InputError if nothing is left to learn."""
    if held_out >= len(traces):
        raise InputError(f"{held_out} traces held out of {len(traces)} leave none to learn; set a smaller traces.held_out")
    chosen = set(random.Random(seed).sample(range(len(traces)), held_out))
    return [t for i, t in enumerate(traces) if i not in chosen], [t for i, t in enumerate(traces) if i in chosen]


class _Pending(NamedTuple):
    step: int
    metrics: Metrics
    flops: int


class _Log:
    """Metrics of step i are read while step i + 1 runs, so that the device never waits for the host."""

    def __init__(self, learner: Learner, monitor: Monitor | None, epoch_steps: int, processes: Processes):
        self.clock = speed.Clock()
        self._learner, self._monitor, self._epoch_steps = learner, monitor, epoch_steps
        self._peak = speed.peak_flops() * jax.local_device_count() if monitor else 1.0
        self._processes, self._shapes, self._pending, self._memory = processes, set(), None, HeapLimit()

    def compiles(self, batch):
        """`batch`; the first of its shape stops the clock, for its step is compiled before it runs."""
        if batch.tokens.shape not in self._shapes:
            self.flush()
            self._memory.give_back()
            self._shapes.add(batch.tokens.shape)
        return batch

    def later(self, step: int, metrics: Metrics, batch) -> None:
        """Keeps the metrics of `step`, which runs now, and writes those of the one before."""
        flops = speed.step_flops(self._learner.config, batch) if self._monitor else 0
        self.flush(_Pending(step, metrics, flops))

    def flush(self, following: _Pending | None = None) -> None:
        """Writes what is kept. Raises InputError if that step's loss is not finite."""
        done, self._pending = self._pending, following
        if done is None:
            return
        values = {name: float(value) for name, value in done.metrics._asdict().items()}
        if not values.pop("finite"):
            raise InputError(
                f"step {done.step} gave a loss of {values['loss']} and a gradient norm of {values['grad_norm']}: training stops "
                "here and keeps its last checkpoint; lower optimizer.learning_rate, or look at the traces of that step"
            )
        self._memory.after_step()
        if self._monitor is None:
            return
        seconds = self.clock.look()
        rate, mfu = (None, None) if seconds is None else (values["tokens"] / seconds, done.flops / seconds / self._peak)
        more = {
            "epoch": done.step / self._epoch_steps,
            "learning_rate": float(self._learner.rates[done.step - 1]),
            "tokens_per_second": rate,
            "mfu": mfu,
            "memory_gb": speed.memory_gb(),
        }
        self._monitor.step(done.step, {**values, **more})
        if following is None:
            self.clock.pause()
            self._monitor.sync()


def _note(workdir: Path, mine: dict[str, Any], step: int) -> None:
    """Writes down what has changed since the last start, behind `step`."""
    if not mine["changes"]:
        return
    for what in identity.goes_on(mine, step):
        print(f"note: {what}; behind step {step} the bits may differ from those of an unchanged run", file=sys.stderr)
    identity.write(workdir, mine)


def _due(every: int, step: int, total: int) -> bool:
    return every > 0 and (step % every == 0 or step == total)


def _evaluate(config, learner, state, step, held, tasks, monitor, stop) -> float | None:
    """Scores of this state, written down by the leading process; the one by which checkpoints are compared, lower is better."""
    found = held(state.params, learner.frozen)
    model = learner.model(state, config["evaluation"]["dtype"]) if config["evaluation"]["tasks"] else None
    if monitor is not None:
        texts: dict[str, str] = {}
        with contextlib.suppress(Stopped):  # the same command goes on with it
            if model is not None:
                with stop.at_once():
                    scores, texts = tasks(model, step)
                found |= scores
            monitor.evaluation(step, found, texts)
    _meet("evaluated")
    return found.get("held_out/loss")


def _export(config, learner, state, workdir: Path, processes: Processes) -> None:
    if processes.leads:
        learner.save_adapters(state, workdir / "adapters.safetensors")
    if not (workdir / "model").exists():
        model = learner.model(state, config["export_dtype"])
        if processes.leads:
            reasoning.save(model, workdir / "model")


def _told(answer: bool) -> bool:
    """What process 0 says."""
    return answer if jax.process_count() == 1 else bool(multihost_utils.broadcast_one_to_all(np.asarray(answer)))


def _meet(name: str) -> None:
    """All processes wait for each other."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)
