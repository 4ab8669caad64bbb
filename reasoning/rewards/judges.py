"""A scorer by name: `{"kind": "prm", "model": …, "format": …}` in a configuration is what `judge` of that file makes.

A kind is a file of this directory with a function `judge(engine, …, name)`, or a module of your own; nothing is registered. Those
that can score a search while it runs have a function `scorer(engine, …)` as well.
"""

import importlib
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

from reasoning.errors import InputError
from reasoning.rewards.responses import Judge

KINDS = ("checker", "confidence", "form", "length", "oracle", "outcome", "prm", "probe")


def judge(engine: Any, spec: Mapping[str, Any]) -> Judge:
    """The judge of a configuration: `{"kind": "prm", …}` is what `judge(engine, …)` of `reasoning/rewards/prm.py` makes.

    Args:
      engine: of the policy; scorers of its own distribution use its model.
      spec: `kind`, the name of a file in `reasoning/rewards` or the dotted name of your own module, and its arguments.
    Raises:
      InputError: see `check`, and whatever a judge finds wrong.
    """
    make, name = check(spec), label(spec)
    return make(engine, **{key: value for key, value in spec.items() if key != "kind"} | {"name": name})


def check(spec: Mapping[str, Any]) -> Callable[..., Judge]:
    """The maker of what `spec` names; nothing is loaded. Raises InputError for an unknown kind, argument or a senseless name."""
    kind = spec.get("kind") if isinstance(spec, Mapping) else None
    if not isinstance(kind, str) or ("." not in kind and kind not in KINDS):
        raise InputError(
            f"unknown kind of scorer {kind!r}; write {{kind: …}} with one of {', '.join(KINDS)}, or the dotted name of a module"
        )
    path = kind if "." in kind else f"reasoning.rewards.{kind}"
    try:
        module = importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name is None or not path.startswith(error.name):
            raise  # the module is there, one of its own imports is not
        raise InputError(f"there is no module {kind!r}; choose a kind of {', '.join(KINDS)}, or a module of your own") from error
    if not hasattr(module, "judge"):
        raise InputError(f"{kind} is no scorer: it has no judge(engine, …)")
    parameters = list(inspect.signature(module.judge).parameters.values())[1:]
    known = [one.name for one in parameters]
    unknown = next((argument for argument in spec if argument not in ("kind", *known)), None)
    if unknown is not None:
        raise InputError(f"scorer {kind!r} has no argument {unknown!r}; choose from {', '.join(known)}")
    lacking = next((one.name for one in parameters if one.default is one.empty and one.name not in spec), None)
    if lacking is not None:
        raise InputError(f"scorer {kind!r} needs the argument {lacking!r}; its arguments are {', '.join(known)}")
    label(spec)
    return module.judge


def label(spec: Mapping[str, Any]) -> str:
    """The name of a scorer: its `name`, or its kind and settings. Raises InputError for one that no file can have."""
    quiet = {"kind", "name", "model", "path", "dtype", "separator", "marker", "pattern"}
    settings = [str(value) for key, value in sorted(spec.items()) if key not in quiet]
    name = spec.get("name") or "-".join([str(spec.get("kind")), *settings])
    if not re.fullmatch(r"\w[\w.+-]*", name):
        raise InputError(f"a scorer cannot be named {name!r}, since its scores are a file of that name; give it another name")
    return name


def parse(text: str) -> dict[str, Any]:
    """ "kind=oracle,sigma=0.5" → {"kind": "oracle", "sigma": 0.5}; what reads as a number is one. Raises InputError (`check`)."""
    spec: dict[str, Any] = {}
    for part in text.split(","):
        name, given, value = part.partition("=")
        if not given:
            raise InputError(f"a scorer is written kind=…,argument=value,…; {part!r} has no value")
        spec[name.strip()] = _number(value)
    check(spec)
    return spec


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
