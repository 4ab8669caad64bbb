"""The files of a curation: whose they are, and what is finished in them (`reasoning.evaluation.curation.funnel`)."""

import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reasoning.data.curation.why import Why
from reasoning.errors import InputError
from reasoning.evaluation.identity import first_difference, git_commit, version
from reasoning.records import digest, write_json

PACKAGES = ("reasoning", "numpy", "tokenizers", "reasoning-gym")


class Files:
    """A directory, opened for one configuration over one pool. Every file appears whole or not at all."""

    def __init__(self, workdir: Path, config: Mapping[str, Any], pool: str, against: Mapping[str, str]):
        """`pool`, `against`: hashes. Raises InputError for a directory of another configuration, pool or evaluation set."""
        self.workdir = workdir
        about = {"config": json.loads(json.dumps(config)), "pool": pool, "against": dict(against)}
        path = workdir / "curation.json"
        stored = _read(path) if path.exists() else {**about, "commits": []}
        if path.exists():
            difference = first_difference(stored.get("config"), about["config"])
            if difference:
                raise InputError(
                    f"{workdir} was begun with another config: {difference}; choose another --workdir, or undo the change"
                )
            for name, what in (("pool", "traces in the pool"), ("against", "evaluation sets")):
                if stored.get(name) != about[name]:
                    raise InputError(f"{workdir} was begun with other {what} under the same names; choose another --workdir")
        elif any(workdir.glob("steps/*.json")):
            raise InputError(f"{workdir} holds steps but no curation.json, so nobody knows whose; choose another --workdir")
        self.identity = digest(about)
        commit = git_commit()
        if commit not in stored["commits"]:
            stored["commits"].append(commit)
            versions = {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}
            write_json(path, {**stored, "versions": versions})

    def step(self, number: int, name: str) -> dict[str, Why] | None:
        """What the filter dropped, None if it has not run. Raises InputError."""
        found = self._load(self._step(number, name))
        return None if found is None else {key: Why(*why) for key, why in found["dropped"].items()}

    def keep_step(self, number: int, name: str, entered: int, dropped: Mapping[str, Why]) -> None:
        """Writes what a filter dropped of `entered` traces. Raises InputError."""
        counts = {"in": entered, "out": entered - len(dropped)}
        write_json(self._step(number, name), {"identity": self.identity, **counts, "dropped": dict(sorted(dropped.items()))})

    def selection(self) -> dict[str, Any] | None:
        """Unit, lengths and ids; None if nothing is selected yet. Raises InputError."""
        return self._load(self.workdir / "selection.json")

    def keep_selection(self, found: Mapping[str, Any]) -> None:
        """Writes unit, lengths and ids. Raises InputError."""
        write_json(self.workdir / "selection.json", {"identity": self.identity, **found})

    def _step(self, number: int, name: str) -> Path:
        return self.workdir / "steps" / f"{number}-{name}.json"

    def _load(self, path: Path) -> dict[str, Any] | None:
        if not path.exists():
            return None
        found = _read(path)
        if found.get("identity") != self.identity:
            raise InputError(f"{path} is of another run; remove it, and it will be made again")
        return found


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InputError(f"{path} is damaged; remove it if it is a step, or choose another --workdir")
    return found
