"""The processes of one run, meeting in its directory: who is there, who has got how far, who has died.

    .lock             held by process 0 as long as it lives
    .processes/       1.lock, 2.lock, …  held by the others;  0.json, 1.json, …  what each has to tell; gone at the end

Drawing samples needs no communication, and files need no working collectives, so a shared file system is all that is asked
for. A lock dies with its process, at once on one machine and, over NFS, when the server notices; where locks do not reach
other machines, JAX's own heartbeat (100 s) ends the processes of a broken run.
"""

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax

from reasoning.errors import InputError
from reasoning.evaluation.identity import first_difference
from reasoning.processes import Processes, leave
from reasoning.records import exclusive, write_json

POLL = 0.2  # seconds between two looks for a word
LOOK = 1.0  # seconds between two looks after the others' health
MEETING = 120.0  # seconds until all must have met; network file systems show new files late, by up to a minute
GRACE = 2.0  # seconds that a refused process 0 stays, so that the others are refused by themselves
LINGER = 10.0  # seconds that a failing process 0 waits for the others to leave, since JAX aborts them when it is gone


class Team:
    """Holds a run directory for this process and those with it; with one process it only locks.

    Use as a context. What ends it with an error ends the others too, with that error.
    """

    def __init__(self, workdir: Path, processes: Processes, about: Mapping[str, Any]):
        """`about`: what must be the same in all processes, JSON-able; the first difference is named."""
        self.workdir, self.processes, self.about = workdir, processes, dict(about)
        self.directory = workdir / ".processes"
        self._note: dict[str, Any] = {"nonce": secrets.token_hex(8), "about": self.about, "said": []}
        self._watched: list[int] = []
        self._checked = 0.0

    @property
    def leads(self) -> bool:
        """Whether this is process 0."""
        return self.processes.leads

    def __enter__(self) -> "Team":
        with contextlib.ExitStack() as stack:
            try:
                lock = self._lock(self._index)
                stack.enter_context(exclusive(lock.parent, lock.name))
            except InputError as error:
                if self.leads and self.processes.count > 1:
                    time.sleep(GRACE)
                _leave(error)
                raise
            if self.leads:
                self._clear()
            if self.processes.count > 1:
                stack.push(self._end)
                self._meet()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error) -> None:
        self._stack.__exit__(*error)

    def tell(self, word: str) -> None:
        """Lets the others know how far this process is."""
        self._note["said"].append(word)
        self._write()

    def wait(self, word: str) -> None:
        """Returns when process 0 has told `word`, or, if this is process 0, when all others have. Raises as `check` does."""
        for index in self._others():
            while word not in (self._read(index) or {}).get("said", ()):
                self.check()
                time.sleep(POLL)

    def check(self) -> None:
        """Raises InputError if another process has failed or died; cheap, looks at most every `LOOK` seconds."""
        if time.monotonic() - self._checked < LOOK:
            return
        self._checked = time.monotonic()
        for index in self._others():
            alive = index not in self._watched or held(self._lock(index))
            told = self._read(index) or {}  # after the lock: who leaves tells first
            if "error" in told:
                raise InputError(told["error"] if index == 0 else f"process {index} of {self.processes.count}: {told['error']}")
            if not alive and "left" not in told.get("said", ()):
                died = f"process {index} of {self.processes.count} has died"
                raise InputError(f"{died}; what was finished is kept, and the same command goes on from there")

    @property
    def _index(self) -> int:
        return self.processes.index

    def _others(self) -> range:
        """Those that this process listens to: all, or process 0."""
        return range(1, self.processes.count) if self.leads else range(1)

    def _lock(self, index: int) -> Path:
        return self.directory / f"{index}.lock" if index else self.workdir / ".lock"

    def _file(self, index: int) -> Path:
        return self.directory / f"{index}.json"

    def _write(self) -> None:
        if self.processes.count > 1:
            write_json(self._file(self._index), self._note)

    def _read(self, index: int) -> dict[str, Any] | None:
        try:
            return json.loads(self._file(index).read_bytes())
        except (OSError, ValueError):
            return None

    def _clear(self) -> None:
        """Removes what a killed run has left."""
        if self.processes.count == 1:
            shutil.rmtree(self.directory, ignore_errors=True)
        for old in self.directory.glob("*.json"):  # the lock files may be the others' already
            old.unlink(missing_ok=True)

    def _meet(self) -> None:
        """Process 0 answers every other one's nonce, so nobody takes the files of an earlier run for an answer."""
        if self.leads:
            there = {index: self._await(index, lambda note: True) for index in self._others()}
            self._note["crew"] = {str(index): note["nonce"] for index, note in there.items()}
            self._write()
            for index, note in there.items():
                difference = first_difference(self.about, note["about"])
                if difference:
                    raise InputError(
                        f"process {index} was started otherwise than process 0: {difference}; give all of them the same command, "
                        "or --distributed=off if they are runs of their own"
                    )
        else:
            self._await(0, lambda note: note.get("crew", {}).get(str(self._index)) == self._note["nonce"])
        self._watched = [index for index in self._others() if held(self._lock(index))]

    def _await(self, index: int, accept: Callable[[Mapping[str, Any]], bool]) -> dict[str, Any]:
        deadline = time.monotonic() + MEETING
        while time.monotonic() < deadline:
            if not self.leads and not self._file(self._index).exists():
                self._write()  # again if process 0, just started, has cleared it away
            note = self._read(index)
            if note is not None and accept(note):
                return note
            time.sleep(POLL)
        raise InputError(
            f"process {index} of {self.processes.count} has written nothing to {self.directory} within {MEETING:.0f} s; all "
            "processes need one --workdir on a file system that they share"
        )

    def _end(self, kind, error, trace) -> None:
        if error is None:
            self.tell("left")
            if self.leads:
                with contextlib.suppress(InputError):  # all is done, so nobody is needed any more
                    self.wait("left")
                shutil.rmtree(self.directory, ignore_errors=True)
            return
        with contextlib.suppress(InputError):  # of a full disk: the error at hand comes first
            text = str(error) if isinstance(error, InputError) else f"ended by {kind.__name__}: {error}"
            self._note["error"] = " ".join(text.split())
            self._write()
        if self.leads:
            deadline = time.monotonic() + LINGER
            while time.monotonic() < deadline and any(held(self._lock(index)) for index in self._watched):
                time.sleep(POLL)
        _leave(error)


def held(path: Path) -> bool:
    """Whether a living process holds the lock file `path`."""
    try:
        handle = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def _leave(error: BaseException) -> None:
    """Has the program that `error` ends go at once, with the exit status that `reasoning.command` gives it."""
    if jax.distributed.is_initialized():
        code = error.code if isinstance(error, SystemExit) else {InputError: 2, KeyboardInterrupt: 130}.get(type(error), 1)
        leave(code if isinstance(code, int) else 1)
