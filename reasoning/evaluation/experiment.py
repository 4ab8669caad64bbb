"""A configuration, run: its methods over its task with one engine, each in a directory of its own.

    config.json     what the results depend on, see `reasoning.evaluation.identity`
    <label>/        samples of one method, see `reasoning.evaluation.run`
    .processes/     while several processes are at work, see `reasoning.evaluation.team`
    report/         table and picture of all methods, see `reasoning.evaluation.reports.report`

The configuration is plain data: `model`, `dtype`, `max_slots`, `mesh`, `seed`, `task` (family and its parameters), and `methods`
({label: method and its arguments}), `sweep` where some of them are one, `match` where some are to think as long as others,
`robustness` where some are under attack, `compare` where they are compared at equal cost; configs/common.py says what each means.
"""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reasoning.data.tasks import Task, load_task
from reasoning.errors import InputError
from reasoning.evaluation import matched
from reasoning.evaluation.attacks.plan import grids
from reasoning.evaluation.grading.grader import Grader
from reasoning.evaluation.identity import check_weights, digest_of, open_identity, seal
from reasoning.evaluation.parts import gather
from reasoning.evaluation.pool import Pool
from reasoning.evaluation.run import run
from reasoning.evaluation.scoring import score
from reasoning.evaluation.sweeps.plan import plans
from reasoning.evaluation.team import Team
from reasoning.methods.base import Method, method
from reasoning.processes import ALONE, Processes
from reasoning.records import read_lines
from reasoning.sharding import AXES, make_mesh

KEYS = {"model", "dtype", "max_slots", "mesh", "seed", "task", "methods", "sweep", "match", "robustness", "compare"}


def evaluate(
    config: Mapping[str, Any],
    workdir: Path,
    *,
    show: bool = True,
    engine: Any = None,
    processes: Processes = ALONE,
) -> None:
    """Runs every method of `config` that `workdir` does not hold complete.

    Everything cheap is checked first: configuration, methods, task, directory. The model is loaded only if a sample is missing,
    and then the requests of all methods are checked before the first of them is answered.

    Args:
      config: see the module; resolved, JSON-able.
      show: progress bars on standard error.
      engine: instead of the one that `config` names (tests; a model that you have in memory).
      processes: which one this is of several that share the problems and `workdir`. All of them return once process 0 has
        put the samples together.
    Raises:
      InputError: a wrong configuration, a directory of another one, another process at work there, a full disk; one of the
        processes has failed or died.
    """
    check(config)
    methods = build_methods(config)
    task = build_task(config)
    with Team(workdir, processes, {"config": dict(config), "problems": digest_of(task.problems)}) as team:
        identity = {}
        if team.leads:
            identity.update(open_identity(workdir, config, task.problems))
            _gather(workdir, methods)
            team.tell("open")
        else:
            team.wait("open")

        @functools.cache
        def get_engine():
            if not team.leads:
                team.wait("sealed")  # the plan of process 0 is everybody's
                identity.update(open_identity(workdir, config, task.problems))
            made = engine or build_engine(config, identity.get("plan"))
            for one in methods.values():
                one.check(made, task.problems)
                if "plan" not in identity:  # a resumed run keeps the shapes of its first start
                    one.fit(made, task.problems)
            model = {"name": config["model"], "source": getattr(getattr(made, "model", None), "source", "")}
            if team.leads:
                seal(workdir, identity, made.plan, model)
                team.tell("sealed")
            else:
                check_weights(workdir, identity, model)
            return made

        with Grader() as grader:
            match, drawn = config.get("match") or {}, {}
            for label, one in methods.items():
                if label in match:
                    one = matched.as_long(one, drawn[match[label]])
                options = {"label": label, "show": show, "processes": processes, "check": team.check}
                drawn[label] = run(one, task.problems, workdir / label, get_engine, grader, **options)
        if processes.count > 1:
            _finish(team, methods, task, get_engine, show)
        else:
            _score(workdir, methods, task, get_engine, show)


def _score(workdir: Path, methods: Mapping[str, Method], task: Task, engine, show: bool) -> None:
    """Has the scorers of methods read the samples that they have not read yet. Raises InputError."""
    for label, one in methods.items():
        if one.scorer is not None:
            records = read_lines(workdir / label / "generations.jsonl")[0]
            score(workdir / label, one, task.problems, records, one.scorer, engine, show=show)


def _gather(workdir: Path, methods: Mapping[str, Method]) -> None:
    """Puts together what several processes have written. Raises InputError for a damaged line."""
    for label in methods:
        for name in ("generations.jsonl", "timings.jsonl", "trees.jsonl", "rounds.jsonl", "journal.jsonl"):
            gather(workdir / label / name)


def _finish(team: Team, methods: Mapping[str, Method], task: Task, engine, show: bool) -> None:
    """Process 0 waits for the samples of all, puts them together and scores them; the others wait for that. Raises InputError."""
    team.tell("drawn")
    if not team.leads:
        team.wait("over")
        return
    team.wait("drawn")
    _gather(team.workdir, methods)
    for label, one in methods.items():
        with Pool(team.workdir / label, task.problems, one.n) as pool:
            lacking = sum(map(len, pool.missing.values()))
        if lacking:
            raise InputError(
                f"{team.workdir / label} lacks {lacking} samples that the other processes have drawn; is it one file system that "
                "all share? The same command draws them again"
            )
    _score(team.workdir, methods, task, engine, show)
    team.tell("over")


def check(config: Mapping[str, Any]) -> None:
    """Raises InputError for missing and unknown keys."""
    for key in ("model", "task", "methods"):
        if not config.get(key):
            raise InputError(f"the config names no {key}; see configs/common.py for what it needs")
    for key in config:
        if key not in KEYS:
            raise InputError(f"the config has an unknown key {key!r}; known: {', '.join(sorted(KEYS))}")
    _check_part("task", config["task"], "family")
    mesh = config.get("mesh") or {}
    if not isinstance(mesh, Mapping) or mesh.keys() - set(AXES) or not all(isinstance(n, int) and n > 0 for n in mesh.values()):
        raise InputError(f"the config's mesh must be {{data: devices, tensor: devices}}, whole numbers ≥ 1, got {mesh!r}")
    if not isinstance(config["methods"], Mapping):
        raise InputError("the config's methods must be {label: method and its arguments}; see configs/common.py")
    for label, part in config["methods"].items():
        _check_part(f"methods.{label}", part, "method")
        if label in ("report", "comparison") or "/" in label or label.startswith("."):
            raise InputError(f"{label!r} cannot name a method, since it names the directory of its results; choose another label")
    plans(config)
    grids(config)
    matched.check(config.get("match") or {}, list(config["methods"]))


def _check_part(name: str, part: Any, field: str) -> None:
    if not isinstance(part, Mapping) or not isinstance(part.get(field), str):
        raise InputError(f"the config's {name} needs the field {field!r}; see configs/common.py")


def build_methods(config: Mapping[str, Any]) -> dict[str, Method]:
    """{label: method} of a configuration; those that set no seed take the configuration's. Raises InputError."""
    seed = config.get("seed", 0)
    parts = {label: {"seed": seed, **arguments} for label, arguments in config["methods"].items()}
    return {label: method(part.pop("method"), **part) for label, part in parts.items()}


def build_task(config: Mapping[str, Any]) -> Task:
    """The task of a configuration. Raises InputError."""
    parameters = dict(config["task"])
    return load_task(parameters.pop("family"), **parameters)


def build_engine(config: Mapping[str, Any], plan: Mapping[str, Any] | None) -> Any:
    """Loads the model and makes its engine, with the plan of the run's first start if there was one. Raises InputError."""
    import reasoning  # loading weights is only wanted here

    axes = config.get("mesh") or {}
    mesh = make_mesh(**axes) if max(axes.values(), default=1) > 1 else None
    model = reasoning.load(config["model"], config.get("dtype") or None, mesh=mesh)
    return reasoning.Engine(model, config.get("max_slots") or None, plan=plan)
