"""A comparison, run: the methods of each of its tasks, the scorers of its pools, the timed runs. Resumable like any run.

A configuration is one of `reasoning.evaluation.experiment` with the field `compare` (`reasoning.comparison.plan`), or several
that share a model:

    model, dtype, max_slots, mesh, seed      as there, of all
    runs         {name: {"task": …, "methods": …, "compare": …, "match": …, "sweep": …}}, a directory each
"""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from reasoning.comparison import reuse, timed
from reasoning.comparison.plan import Plan, plan, scorers
from reasoning.errors import InputError
from reasoning.evaluation import scoring
from reasoning.evaluation.experiment import build_engine, build_methods, build_task, check, evaluate
from reasoning.evaluation.finished import Finished, open_finished
from reasoning.evaluation.identity import check_weights
from reasoning.processes import ALONE, Processes

OWN = {"task", "methods", "compare", "match", "sweep"}  # of each run; the rest is shared


def configs(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """{name: configuration of a run}, the name "" for a comparison that is a single run. Raises InputError."""
    if "runs" not in config:
        return {"": dict(config)}
    shared = {key: value for key, value in config.items() if key != "runs"}
    mixed = OWN & shared.keys()
    if mixed or not config["runs"]:
        raise InputError(f"a config with runs has {', '.join(sorted(OWN))} in each of them, at least one; see configs/compare.py")
    for name, part in config["runs"].items():
        if "/" in name or name.startswith(".") or set(part) - OWN:
            raise InputError(f"runs.{name} may have {', '.join(sorted(OWN))}, and its name is that of a directory")
    return {name: {**shared, **part} for name, part in config["runs"].items()}


def compare(
    config: Mapping[str, Any],
    workdir: Path,
    *,
    show: bool = True,
    engine: Any = None,
    processes: Processes = ALONE,
    places: Path | None = None,
    tell: Callable[[str], None] = print,
) -> list[Path]:
    """Runs what is missing of a comparison and returns the run directories, for `reasoning.comparison.report`.

    Everything cheap is checked before the first model is loaded, for all runs.

    Args:
      engine: instead of the one that the configuration names.
      processes: which one this is of several; scorers and timed runs are the first one's.
      places: finished runs below it lend their samples (`reasoning.comparison.reuse`); None is the parent of `workdir`.
      tell: where a line is said about samples that are reused.
    Raises:
      InputError: see `evaluate` and `plan`.
    """
    found = configs(config)
    for part in found.values():
        check(part)
        plan(part, build_methods(part))
    out = []
    for name, part in found.items():
        place = workdir / name if name else workdir
        if processes.leads:
            problems = build_task(part).problems
            for label, source in reuse.adopt(place, part, problems, places or workdir.parent).items():
                tell(f"{label}: samples of {source}")
        evaluate(part, place, show=show, engine=engine, processes=processes)
        if processes.leads:
            run = open_finished(place)
            _complete(run, plan(part, run.methods), engine, show)
        out.append(place)
    return out


def _complete(run: Finished, planned: Plan, engine: Any, show: bool) -> None:
    """What the votes need that sampling did not give: scores of the pools, and seconds. Raises InputError."""

    @functools.cache
    def ready():
        made = engine or build_engine(run.config, run.identity.get("plan"))
        source = getattr(getattr(made, "model", None), "source", "")
        check_weights(run.workdir, run.identity, {"name": run.config["model"], "source": source})
        return made

    problems = tuple(run.problems.values())
    for label, spec in scorers(planned.lines):
        scoring.score(run.workdir / label, run.methods[label], problems, run.samples(label), spec, ready, show=show)
    if planned.timed:
        timed.measure(run.workdir, planned.lines, run.methods, problems[: planned.timed], ready, show=show)
