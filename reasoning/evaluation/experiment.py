"""A configuration, run: its methods over its task with one engine, each in a directory of its own.

    config.json     what the results depend on, see `reasoning.evaluation.identity`
    <label>/        samples of one method, see `reasoning.evaluation.run`
    report/         table and picture of all methods, see `reasoning.evaluation.report`

The configuration is plain data: `model`, `dtype`, `max_slots`, `mesh`, `seed`, `task` (family and its parameters), and `methods`
({label: method and its arguments}); configs/common.py says what each means.
"""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reasoning.data.tasks import Task, load_task
from reasoning.errors import InputError
from reasoning.evaluation.grading import Grader
from reasoning.evaluation.identity import open_identity, seal
from reasoning.evaluation.records import exclusive
from reasoning.evaluation.run import run
from reasoning.methods.base import Method, method
from reasoning.sharding import AXES, make_mesh

KEYS = {"model", "dtype", "max_slots", "mesh", "seed", "task", "methods"}


def evaluate(config: Mapping[str, Any], workdir: Path, *, show: bool = True, engine: Any = None) -> None:
    """Runs every method of `config` that `workdir` does not hold complete.

    Everything cheap is checked first: configuration, methods, task, directory. The model is loaded only if a sample is missing,
    and then the requests of all methods are checked before the first of them is answered.

    Args:
      config: see the module; resolved, JSON-able.
      show: progress bars on standard error.
      engine: instead of the one that `config` names (tests; a model that you have in memory).
    Raises:
      InputError: a wrong configuration, a directory of another one, another process at work there, a full disk.
    """
    check(config)
    methods = build_methods(config)
    task = build_task(config)
    with exclusive(workdir):
        identity = open_identity(workdir, config, task.problems)

        @functools.cache
        def get_engine():
            made = engine or build_engine(config, identity.get("plan"))
            for one in methods.values():
                one.check(made, task.problems)
            model = getattr(made, "model", None)
            seal(workdir, identity, made.plan, {"name": config["model"], "source": getattr(model, "source", "")})
            return made

        with Grader() as grader:
            for label, one in methods.items():
                run(one, task.problems, workdir / label, get_engine, grader, label=label, show=show)


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
        if label == "report" or "/" in label or label.startswith("."):
            raise InputError(f"{label!r} cannot name a method, since it names the directory of its results; choose another label")


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
