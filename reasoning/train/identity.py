"""`config.json` of a training run: all that its weights depend on, so that a resumed run is the same run or is refused.

It holds the resolved configuration, a hash of the examples, the source of the weights, and, for the reader, the git commits and
package versions that took part. A hash of the first three stands in every checkpoint.

Where a run lies and how its sums are cut up, such as the mesh, may change from one start to the next, for a machine may be gone:
losses are then the same but for rounding, and from that step on the bits may be others than those of a run that nobody moved.
`changes` says what changed behind which step; the hash is that of the first start.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
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


def check(workdir: Path, config: Mapping[str, Any], data: str, source: str, free: Collection[str] = ()) -> dict[str, Any]:
    """What config.json is to hold, compared with what it holds.

    Args:
      free: keys such as "mesh.fsdp" that may differ; those that do are put into `changes`, for `goes_on`.
    Raises InputError: a run of another configuration, of other traces or of another model; a directory of something else; a
    damaged file.
    """
    path, config = workdir / "config.json", json.loads(json.dumps(config))
    own = digest([_compared(config, free), data, source])
    identity = {"training": config, "data": data, "source": source, "hash": own, "commits": [], "changes": []}
    if not path.exists():
        if any((workdir / name).exists() for name in ("metrics.jsonl", "checkpoints")):
            raise InputError(f"{workdir} holds a training run but no config.json, so nobody knows whose; choose another one")
        return identity
    try:
        stored = json.loads(path.read_bytes())
        if "training" not in stored:
            raise InputError(f"{workdir} is the run directory of something else than training; choose another --workdir")
        old = [stored[name] for name in ("training", "data", "source")]
        identity |= {"hash": stored["hash"], "commits": list(stored["commits"]), "changes": list(stored.get("changes", ()))}
        compared = _compared(old[0], free)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is damaged; choose another --workdir") from error
    if difference := first_difference(compared, _compared(config, free)):
        raise InputError(f"{workdir} holds a run of another config: {difference}; choose another --workdir, or undo the change")
    if old[1] != data:
        raise InputError(f"{workdir} was begun with other traces under the same name; choose another --workdir")
    if old[2] != source:
        raise InputError(f"{workdir} was begun with weights from {old[2]}, now from {source}; use another --workdir")
    differences = (first_difference(_value(old[0], key), _value(config, key), key) for key in free)
    identity["changes"] += [{"after_step": None, "what": difference} for difference in differences if difference]
    return identity


def _compared(config: Mapping[str, Any], free: Collection[str]) -> dict[str, Any]:
    """`config` without the keys in `free`."""
    return {
        name: {key: value for key, value in part.items() if f"{name}.{key}" not in free} if isinstance(part, Mapping) else part
        for name, part in config.items()
    }


def _value(config: Mapping[str, Any], key: str) -> Any:
    part, name = key.split(".")
    return config.get(part, {}).get(name)


def goes_on(identity: dict[str, Any], step: int) -> list[str]:
    """Dates the changes, now that the run goes on behind `step`; returns the new ones.

    A run that goes on from an earlier checkpoint than it had reached takes the later steps once more, as it lies now. Behind
    step 0 nothing is left that was computed otherwise.
    """
    new = [change["what"] for change in identity["changes"] if change["after_step"] is None] if step else []
    for change in identity["changes"]:
        change["after_step"] = step if change["after_step"] is None else min(step, change["after_step"])
    identity["changes"] = [change for change in identity["changes"] if change["after_step"]]
    return new


def write(workdir: Path, identity: dict[str, Any]) -> None:
    """Writes config.json, with the commit and the versions of this start. Raises InputError."""
    if (commit := git_commit()) not in identity["commits"]:
        identity["commits"].append(commit)
    write_json(workdir / "config.json", {**identity, "versions": {name: version(name) for name in PACKAGES}})
