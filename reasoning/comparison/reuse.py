"""Samples that another run of the same model, task, problems and method has drawn: copied, not drawn again.

A sample depends on the weights, the seed, the problem and the arguments of its method, and on nothing else that a configuration
says, so the quickstart's samples serve a comparison that has the same method among others. Static shapes may differ between the
two runs, which moves the last bits of a float; `reused.json` says where samples come from.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reasoning.data.tasks import Problem
from reasoning.evaluation.experiment import build_methods
from reasoning.evaluation.identity import digest_of, files_of
from reasoning.records import digest, read_lines, readable_errors, write_json

SHARED = ("model", "dtype", "seed", "task")  # fields of a configuration, beside the method, that a sample depends on
NOTE = "reused.json"


def adopt(workdir: Path, config: Mapping[str, Any], problems: Sequence[Problem], places: Path) -> dict[str, str]:
    """Copies the methods of `config` that some finished run below `places` holds complete; nothing where `workdir` has begun.

    Runs of other weights under one name are not mixed: all are taken from runs with the weights of the first, and the engine
    refuses others (`reasoning.evaluation.identity.seal`).

    Returns {label: run directory that its samples are from}. Raises InputError when `workdir` cannot be written.
    """
    if (workdir / "config.json").exists():
        return {}
    wanted, data, model, found = json.loads(json.dumps(config)), digest_of(problems), None, {}
    samples = {label: len(problems) * one.n for label, one in build_methods(wanted).items()}
    for path in sorted(places.glob("**/config.json")):
        other, theirs = path.parent, _identity(path)
        if other.resolve() == workdir.resolve() or theirs.get("problems") != data or model not in (None, theirs["model"]):
            continue
        if any(theirs["config"].get(key) != wanted.get(key) for key in SHARED):
            continue
        for label, arguments in wanted["methods"].items():
            source = _source(theirs["config"], arguments)
            if label in found or source is None or label in (wanted.get("match") or {}):
                continue
            mine = files_of({"methods": arguments})
            if any(theirs.get("files", {}).get(name) != content for name, content in mine.items()):
                continue
            if len(read_lines(other / source / "generations.jsonl")[0]) == samples[label]:
                _copy(other / source, workdir / label)
                found[label], model = str(other), theirs["model"]
    if found:
        write_json(workdir / NOTE, found)
        made = {"problems": data, "files": files_of(wanted), "commits": [], "model": model}
        identity = {"config": wanted, "hash": digest(wanted), **made}
        write_json(workdir / "config.json", identity)
    return found


def _identity(path: Path) -> dict[str, Any]:
    """What config.json says of a run of this repository; {} for any other file of that name."""
    try:
        identity = json.loads(path.read_bytes())
        return identity if {"config", "problems", "model"} <= identity.keys() else {}
    except (OSError, ValueError, AttributeError):
        return {}


def _source(config: Mapping[str, Any], arguments: Mapping[str, Any]) -> str | None:
    """The label under which another run has the same method."""
    apart = config.get("match") or {}
    return next((label for label, one in config["methods"].items() if one == arguments and label not in apart), None)


def _copy(source: Path, target: Path) -> None:
    """A directory as a whole or not at all."""
    partial = target.with_name(f".{target.name}.partial")
    with readable_errors(target):
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(source, partial)
        partial.replace(target)
