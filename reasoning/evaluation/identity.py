"""`config.json` of a run directory: all that its samples depend on, so that a resumed run is the same run or is refused.

It holds the resolved configuration and its hash, a hash of the problems, hashes of the files that its methods name (a probe, soft
tokens), the engine's plan (static shapes change the last bits of a float), the source of the weights, and, for the reader, the
git commits and package versions that took part.
"""

import hashlib
import json
import platform
import subprocess
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from reasoning.data.tasks import Problem
from reasoning.errors import InputError
from reasoning.records import digest, write_json

PACKAGES = ("reasoning", "jax", "jaxlib", "flax", "numpy", "tokenizers", "reasoning-gym", "math-verify")


def open_identity(workdir: Path, config: Mapping[str, Any], problems: Iterable[Problem]) -> dict[str, Any]:
    """What `config.json` holds, or the start of it.

    Raises InputError when it was written for another configuration or other problems (a configuration names a data file, it
    does not hold it), or when there are samples without it.
    """
    path = workdir / "config.json"
    config, data = json.loads(json.dumps(config)), digest_of(problems)
    if not path.exists():
        if any(path.stat().st_size for path in workdir.glob("*/generations*.jsonl")):
            raise InputError(f"{workdir} holds samples but no config.json, so nobody knows whose; choose another --workdir")
        return {"config": config, "hash": digest(config), "problems": data, "files": files_of(config), "commits": []}
    try:
        identity = json.loads(path.read_bytes())
        stored = identity["config"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged; choose another --workdir") from error
    difference = first_difference(stored, config)
    if difference:
        raise InputError(f"{workdir} holds a run of another config: {difference}; choose another --workdir, or undo the change")
    if identity.get("problems") != data:
        raise InputError(f"{workdir} was begun with other problems under the same names; choose another --workdir")
    files = files_of(config)
    other = next((name for name, known in identity.get("files", files).items() if files.get(name) != known), None)
    if other is not None:
        raise InputError(f"{workdir} was begun with another file {other}; choose another --workdir, or put that file back")
    return identity


def seal(workdir: Path, identity: dict[str, Any], plan: Mapping[str, Any], model: Mapping[str, str]) -> None:
    """Writes `config.json` before the first sample of this start. Raises InputError if the weights are not those of the first."""
    identity.setdefault("model", dict(model))
    check_weights(workdir, identity, model)
    identity["plan"] = dict(plan)
    commit = git_commit()
    if commit not in identity["commits"]:
        identity["commits"].append(commit)
    identity["versions"] = {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}
    write_json(workdir / "config.json", identity)


def check_weights(workdir: Path, identity: Mapping[str, Any], model: Mapping[str, str]) -> None:
    """Raises InputError if the weights are not those that the run was begun with."""
    stored = identity["model"]
    if stored != model:
        raise InputError(
            f"{workdir} was begun with weights from {stored['source']}, now from {model['source']}; use another --workdir"
        )


def digest_of(problems: Iterable[Problem]) -> str:
    """Hash of what the problems say."""
    return digest([[problem.id, problem.question, problem.answer] for problem in problems])


def files_of(config: Mapping[str, Any]) -> dict[str, str]:
    """{path: sha256} of the files that methods of a configuration name, wherever an argument `path` stands."""
    found: dict[str, str] = {}

    def look(part: Any) -> None:
        for key, value in part.items() if isinstance(part, Mapping) else ():
            if key == "path" and isinstance(value, str) and Path(value).is_file():
                found[value] = hashlib.sha256(Path(value).read_bytes()).hexdigest()
            look(value)

    look(config.get("methods") or {})
    return found


def first_difference(old: Any, new: Any, name: str = "") -> str:
    """The first field in which two configurations differ, as "task.size was 100, now 50"; "" if they agree."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted(old.keys() | new.keys()):
            difference = first_difference(old.get(key), new.get(key), f"{name}.{key}" if name else key)
            if difference:
                return difference
        return ""
    return "" if old == new else f"{name} was {json.dumps(old, ensure_ascii=False)}, now {json.dumps(new, ensure_ascii=False)}"


def git_commit() -> str:
    """Commit of the code that runs, with "-dirty" if files differ from it; "unknown" outside a repository."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        # An installed package may lie inside somebody else's repository.
        subprocess.run([*git, "ls-files", "--error-unmatch", Path(__file__).name], capture_output=True, check=True)
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        dirty = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{head}-dirty" if dirty else head


def version(package: str) -> str:
    """Installed version of a distribution, "unknown" if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"
