"""A probe of the policy's own hidden states, fitted to the labels of its responses (`reasoning.rewards.probe`).

    config.json       what it depends on, as in `reasoning.train.identity`
    features/         hidden states at the ends of steps, a file for some problems: what is there is not read again
    probe.npz         the probe
    report.json       AUROC, calibration and loss on questions that it was not fitted to, and the ridge that was chosen

Questions, not responses, are held out. The ridge is the one of `ridges` with the lowest loss on a fifth of the other questions;
then the probe is fitted to all of these.

Configuration, plain data: model, dtype, seed; labels as in `reasoning.train.prm`, with a judge or not; rows: responses read
at once; ridges.
"""

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import tqdm

import reasoning
from reasoning.errors import InputError
from reasoning.evaluation.finished import open_finished
from reasoning.evaluation.statistics.step_metrics import auroc, auroc_interval, calibration_error
from reasoning.models.model import Model
from reasoning.records import exclusive, write_atomic, write_json
from reasoning.rewards import probe as probes
from reasoning.train import identity
from reasoning.train.features import Group, Reader, groups_of
from reasoning.train.prm import split
from reasoning.train.step_ids import own
from reasoning.train.step_values import Valued, read_values

KEYS = ("model", "dtype", "seed", "labels", "rows", "ridges")


def train(config: Mapping[str, Any], workdir: Path, *, show: bool = True, model: Model | None = None) -> dict[str, Any]:
    """Reads what is missing, fits the probe and returns its report: model, responses, ridge, and `measure` of both parts.

    Args:
      config: see the module. model: the policy, instead of the one that `config` names. show: a progress bar.
    Raises:
      InputError: a wrong configuration, a run without labels, a directory of another run, labels that are all alike.
    """
    if unknown := set(config) ^ set(KEYS):
        raise InputError(f"a probe's config has {', '.join(KEYS)}, no other field and no fewer; see {', '.join(sorted(unknown))}")
    part = config["labels"]
    run = open_finished(Path(part["run"]))
    with exclusive(workdir):
        policy = model or reasoning.load(config["model"], config["dtype"] or None)
        which = part["values"], part["max_tokens"], part.get("judge", "")
        valued, n = read_values(run, part["label"], part["by"], own(run, part["label"], policy), *which)
        mine = identity.check(workdir, config, identity.digest_of([one for each in valued for one in each[1:]]), policy.source)
        identity.write(workdir, mine)
        groups = groups_of(valued, config["rows"])
        hidden = _read(policy, groups, workdir / "features", show)
        learnt, held = split(valued, part["held_out"], config["seed"])
        fitting, choosing = split(learnt, 0.2, config["seed"] + 1)
        of = lambda those: _stack(those, hidden, n)  # noqa: E731
        losses = {ridge: _loss(probes.fit(*of(fitting), ridge), *of(choosing)) for ridge in config["ridges"]}
        ridge = min(losses, key=losses.get)
        made = probes.fit(*of(learnt), ridge)
        report = {
            "model": policy.source,
            "responses": {"fitted": len(learnt), "held out": len(held)},
            "ridge": ridge,
            "fitted": measure(made, *of(learnt), questions_of(learnt)),
            "held out": measure(made, *of(held), questions_of(held)),
        }
        probes.save(workdir / "probe.npz", made)
        write_json(workdir / "report.json", report)
    return report


def measure(probe: probes.Probe, hidden: np.ndarray, values: np.ndarray, questions: Sequence[str]) -> dict[str, Any]:
    """Of E ends of steps: how many, share of right ones, AUROC of "any ending right" with its 95 % interval over questions,
    calibration error, loss in nats.

    Args:
      hidden: float32[E, D]. values: float[E] in [0, 1]; if all are alike, there is no AUROC (NaN). questions: of each end.
    """
    p = np.asarray(probe(hidden), np.float64)
    return {
        "steps": len(values),
        "right": float(values.mean()),
        "auroc": auroc(p, values > 0),
        "auroc_interval": auroc_interval(p, values > 0, questions),
        "calibration_error": calibration_error(p, values),
        "loss": _loss(probe, hidden, values),
    }


def questions_of(valued: Sequence[Valued]) -> list[str]:
    """The question of every end of a step."""
    return [one.problem for one in valued for _ in range(int(one.example.loss.sum()))]


def _loss(probe: probes.Probe, hidden: np.ndarray, values: np.ndarray) -> float:
    p = np.clip(np.asarray(probe(hidden), np.float64), 1e-7, 1 - 1e-7)
    return float(-np.mean(values * np.log(p) + (1 - values) * np.log1p(-p)))


def _stack(valued: Sequence[Valued], hidden: Mapping[str, np.ndarray], n: int) -> tuple[np.ndarray, np.ndarray]:
    """(hidden states float32[E, D], shares of right endings float[E]) of all ends of steps."""
    states = np.concatenate([hidden[one.example.id] for one in valued])
    return states, np.concatenate([one.right.ids[one.example.loss] for one in valued]) / n


def _read(policy: Model, groups: Sequence[Group], directory: Path, show: bool) -> dict[str, np.ndarray]:
    """{id of a response: float32[E, D]}; groups that have a file are not read again."""
    reader, found = None, {}
    for number, group in enumerate(tqdm.tqdm(groups, desc="hidden states", unit="group", disable=not show)):
        path = directory / f"{number:05d}.npz"
        names = [one.example.id for problem in group for one in problem]
        if not path.exists():
            reader = reader or Reader(policy, groups)
            out = BytesIO()
            np.savez(out, **dict(zip(map(str, range(len(names))), reader(group), strict=True)))
            write_atomic(path, out.getvalue())
        with np.load(path) as file:
            found |= {name: file[str(index)] for index, name in enumerate(names)}
    return found
