"""Checkpoints of a training run: the last ones and the best one, written while training goes on, each whole or not there.

    checkpoints/<step>/     Orbax: the state of training, and as its metadata what belongs to it (`Info`)
    checkpoints/damaged-…/  one that could not be read, set aside and never deleted

Orbax finds most damage and not all: it reads a flipped bit of an array without a word. So the sum of all bits goes into the
metadata, which is the same on every mesh, and what is restored must have it. Orbax takes a second to import, so it is imported
where it is needed.
"""

import contextlib
import hashlib
import json
import logging
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils

from reasoning.errors import InputError
from reasoning.records import readable_errors


class Info(NamedTuple):
    """What stands beside the state of training.

    Attributes:
      step: optimiser steps taken.
      position: where the data go on (JSON-able).
      identity: hash of all that the run depends on.
      extra: whatever else the caller wants back (JSON-able).
    """

    step: int
    position: Mapping[str, Any]
    identity: str
    extra: Mapping[str, Any] = {}


class Checkpoints:
    """The checkpoints of one run. Every process of a run makes the same calls."""

    def __init__(self, directory: Path, keep: int = 2, best: bool = True):
        """Opens or makes `directory`, and removes what a kill left half-written.

        Args:
          keep: how many of the last ones stay.
          best: whether the one with the lowest `score` stays as well.
        Raises:
          InputError: `keep` < 1, a directory that cannot be written.
        """
        from orbax.checkpoint import v1 as ocp

        if keep < 1:
            raise InputError(f"at least one checkpoint must be kept to go on from, got keep {keep}")
        self.directory = Path(directory).absolute()
        self._keep, self._best = keep, best
        self._scores: dict[int, float] = {}
        options = {
            "save_decision_policy": ocp.training.save_decision_policies.FixedIntervalPolicy(1),
            "preservation_policy": self,
            "cleanup_tmp_directories": True,
        }
        with readable_errors(self.directory):
            self.directory.mkdir(parents=True, exist_ok=True)
            try:
                with _quiet():
                    self._orbax = ocp.training.Checkpointer(self.directory, **options)
            except (ValueError, TypeError, KeyError):  # it reads the metadata of all of them at once
                self._set_unreadable_aside(ocp)
                self._orbax = ocp.training.Checkpointer(self.directory, **options)
        for step in self.steps:
            if (score := self._metadata(step).get("score")) is not None:
                self._scores[step] = score

    @property
    def steps(self) -> list[int]:
        """Steps of which there is a checkpoint, ascending."""
        return [found.step for found in self._orbax.checkpoints]

    def save(self, state: Any, info: Info, score: float | None = None) -> None:
        """Begins to write a checkpoint; waits for the one before it, if that is not finished.

        Args:
          state: tree of arrays. It may be donated afterwards.
          score: the lower the better; None if this one was not measured.
        Raises:
          InputError: a full disk.
        """
        if score is not None:
            self._scores[info.step] = score
        metadata = {**info._asdict(), "bits": bits(state), "score": score}
        with readable_errors(self.directory):
            self._orbax.save_async(info.step, state, force=True, custom_metadata=metadata)

    def restore(self, abstract: Any, identity: str) -> tuple[Any, Info] | None:
        """The newest intact checkpoint, or None if there has never been one.

        One that is damaged is set aside, with a line on standard error, and the one before it is taken.

        Args:
          abstract: the state's tree of `jax.ShapeDtypeStruct` with the shardings that are wanted now.
          identity: what the run depends on now.
        Raises:
          InputError: a checkpoint of another configuration, which is left alone; none that is intact.
        """
        while self.steps:
            step = self.steps[-1]
            with _quiet():
                found = self._read(step, abstract, identity)
            if isinstance(found, tuple):
                return found
            self._set_aside(step, found)
            self._orbax.reload()
        if any(self.directory.glob("damaged-*")):
            raise InputError(
                f"no checkpoint in {self.directory} is intact, there are damaged ones only; bring one back from a backup, or "
                "train again in another --workdir"
            )
        return None

    def _read(self, step: int, abstract: Any, identity: str) -> tuple[Any, Info] | str:
        """State and info, or what is wrong. Raises InputError for a checkpoint of another configuration."""
        metadata = self._metadata(step)
        if not metadata:
            return "its metadata cannot be read"
        info = Info(**{name: metadata[name] for name in Info._fields})
        if info.identity != identity:
            raise InputError(
                f"the checkpoint of step {step} in {self.directory} belongs to another config, other traces or another model; "
                "choose another --workdir"
            )
        try:
            state, trouble = self._orbax.load(step, abstract), ""
        except Exception as error:  # Orbax and its storage raise errors of many kinds
            state, trouble = None, f"its arrays cannot be read: {_reason(error)}"
        if not _all_processes(not trouble):
            return trouble or "another process cannot read it"
        return (state, info) if bits(state) == metadata["bits"] else "its arrays have changed since they were written"

    def _metadata(self, step: int) -> Mapping[str, Any]:
        """What `save` wrote beside the state; {} if it cannot be read."""
        try:
            with _quiet():
                found = self._orbax.metadata(step).custom_metadata or {}
        except Exception:  # as above; it looks at the arrays' metadata as well
            found = {}
        return found if found.keys() >= {*Info._fields, "bits", "score"} else {}

    def _set_aside(self, step: int, trouble: str) -> None:
        name = f"damaged-{step}"
        while (self.directory / name).exists():
            name += "-again"
        _all_processes(True)  # have read it
        if jax.process_index() == 0:
            shutil.move(self.directory / str(step), self.directory / name)
            where = f"it is set aside as {self.directory / name}"
            print(f"warning: the checkpoint of step {step} is damaged ({trouble}); {where}", file=sys.stderr)
        _all_processes(True)

    def _set_unreadable_aside(self, ocp: Any) -> None:
        for path in sorted(self.directory.iterdir()):
            if path.name.isdigit():
                try:
                    with _quiet():
                        ocp.metadata(path)
                except Exception as error:  # of many kinds
                    self._set_aside(int(path.name), f"its metadata cannot be read: {_reason(error)}")

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        """Which of them stay, for Orbax, whose own rule for the best one keeps scores in files of their own."""
        del context
        steps = sorted(found.step for found in checkpoints)
        kept = set(steps[-self._keep :])
        if self._best and (scored := [step for step in steps if step in self._scores]):
            kept.add(min(scored, key=self._scores.get))
        return [found.step in kept for found in checkpoints]

    def wait(self) -> None:
        """Returns once what was begun is written. Raises InputError for a full disk."""
        with readable_errors(self.directory):
            self._orbax.wait()

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_) -> None:
        with readable_errors(self.directory):
            self._orbax.close()


def bits(state: Any) -> str:
    """Hash of the sums of the bit patterns of all leaves: another one for a changed bit, the same one on every mesh."""
    sums = [np.asarray(value).item() for value in _sums(jax.tree.leaves(state))]
    return hashlib.sha256(json.dumps(sums).encode()).hexdigest()


@jax.jit
def _sums(leaves: list[jax.Array]) -> list[jax.Array]:
    def one(leaf):
        leaf = leaf.astype(jnp.uint8) if leaf.dtype == bool else leaf
        unsigned = jnp.dtype(f"uint{8 * leaf.dtype.itemsize}")
        return jnp.sum(jax.lax.bitcast_convert_type(leaf, unsigned).astype(jnp.uint32), dtype=jnp.uint32)

    return list(map(one, leaves))


def _all_processes(good: bool) -> bool:
    """Whether it is good in every process; all of them wait for each other here."""
    return good if jax.process_count() == 1 else bool(multihost_utils.process_allgather(np.asarray(good)).all())


def _reason(error: Exception) -> str:
    """The innermost error of a chain, shortened to a part of a line."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return " ".join(f"{type(error).__name__} {error}".split())[:160]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the log lines of a library about what is reported here."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
