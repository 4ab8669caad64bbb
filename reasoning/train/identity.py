"""`config.json` of a training run: all that its weights depend on, so that a resumed run is the same run or is refused.

It holds the resolved configuration, a hash of the examples, the source of the weights, and, for the reader, the git commits and
package versions that took part. A hash of the first three stands in every checkpoint.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from reasoning.errors import InputError
from reasoning.evaluation.identity import first_difference, git_commit, version
from reasoning.records import digest, write_json
from reasoning.train.examples import Example

PACKAGES = ("reasoning", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "tokenizers")


def digest_of(examples: Iterable[Example]) -> str:
    """Hash of what is learnt: ids of traces, tokens and targets."""
    whole = hashlib.sha256()
    for example in examples:
        whole.update(repr((example.id, len(example.ids))).encode() + example.ids.tobytes() + example.loss.tobytes())
    return whole.hexdigest()


def check(workdir: Path, config: Mapping[str, Any], data: str, source: str) -> dict[str, Any]:
    """What config.json is to hold, compared with what it holds.

    Raises InputError: a run of another configuration, of other traces or of another model; a directory of something else; a
    damaged file.
    """
    path, config = workdir / "config.json", json.loads(json.dumps(config))
    identity = {"training": config, "data": data, "source": source, "hash": digest([config, data, source]), "commits": []}
    if not path.exists():
        if any((workdir / name).exists() for name in ("metrics.jsonl", "checkpoints")):
            raise InputError(f"{workdir} holds a training run but no config.json, so nobody knows whose; choose another one")
        return identity
    try:
        stored = json.loads(path.read_bytes())
        if "training" not in stored:
            raise InputError(f"{workdir} is the run directory of something else than training; choose another --workdir")
        old = [stored[name] for name in ("training", "data", "source")]
        identity["commits"] = list(stored["commits"])
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is damaged; choose another --workdir") from error
    if difference := first_difference(old[0], config):
        raise InputError(f"{workdir} holds a run of another config: {difference}; choose another --workdir, or undo the change")
    if old[1] != data:
        raise InputError(f"{workdir} was begun with other traces under the same name; choose another --workdir")
    if old[2] != source:
        raise InputError(f"{workdir} was begun with weights from {old[2]}, now from {source}; use another --workdir")
    return identity


def write(workdir: Path, identity: dict[str, Any]) -> None:
    """Writes config.json, with the commit and the versions of this start. Raises InputError."""
    if (commit := git_commit()) not in identity["commits"]:
        identity["commits"].append(commit)
    write_json(workdir / "config.json", {**identity, "versions": {name: version(name) for name in PACKAGES}})
