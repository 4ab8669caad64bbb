"""Files of a run that survive a kill at any moment: atomic whole files and append-only JSON lines.

A line is one `write` and ends in a newline, so kill −9 leaves whole lines and at most one torn tail, which the next
start drops. A full disk becomes one clear line for the user, and the file is cut back to its last whole line.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from reasoning.errors import InputError

SYNC_SECONDS = 5.0
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
FORBIDDEN = {
    *(errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR, errno.EISDIR),
    *(errno.EEXIST, errno.ENOENT, errno.ENAMETOOLONG),
}


@contextlib.contextmanager
def readable_errors(path: Path) -> Iterator[None]:
    """Turns a full disk or a forbidden directory into `InputError`; other errors pass."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise InputError(
                f"no room left to write {path}: free some space and run the same command again; what was finished is kept"
            ) from error
        if error.errno in FORBIDDEN:
            raise InputError(f"cannot write {path} ({error.strerror}); choose another --workdir") from error
        raise


def dumps(record: Mapping[str, Any]) -> bytes:
    """One record as a line of JSON with its newline; keys keep their order, so equal records are equal bytes."""
    # A lone surrogate is written as \udc80, which is also how JSON escapes it.
    return json.dumps(record, ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace") + b"\n"


def digest(value: Any) -> str:
    """sha256 of a JSON-able value, hexadecimal; the order of keys does not matter."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def write_atomic(path: Path, data: bytes | str) -> None:
    """Replaces `path` by `data` as a whole or not at all, also when the process or the machine dies. Raises InputError."""
    data = data.encode() if isinstance(data, str) else data
    with readable_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def write_json(path: Path, value: Any) -> None:
    """`write_atomic` of indented JSON."""
    write_atomic(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_lines(path: Path) -> tuple[list[dict[str, Any]], int]:
    """Records of a JSON-lines file and the number of bytes they take; a torn last line is left out.

    Raises InputError: a line before the last is not a JSON object.
    """
    data = path.read_bytes() if path.exists() else b""
    whole = data[: data.rfind(b"\n") + 1]
    records = []
    for number, line in enumerate(whole.split(b"\n")[:-1], start=1):
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if not isinstance(record, dict):
            raise InputError(f"line {number} of {path} is damaged; delete that line and run again, it will be generated anew")
        records.append(record)
    return records, len(whole)


class Lines:
    """An append-only JSON-lines file.

    Attributes:
      records: what the file held when it was opened.
    """

    def __init__(self, path: Path):
        """Opens or makes `path` and cuts a torn last line off. Raises InputError."""
        self.path = path
        with readable_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self.records, self._size = read_lines(path)
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            os.ftruncate(self._file, self._size)
        self._synced = time.monotonic()

    def append(self, record: Mapping[str, Any]) -> None:
        """Adds a record. It survives the process at once and the machine within `SYNC_SECONDS`. Raises InputError."""
        line = dumps(record)
        with readable_errors(self.path):
            try:
                rest = line
                while rest:
                    rest = rest[os.write(self._file, rest) :]
            except BaseException:
                os.ftruncate(self._file, self._size)
                raise
            self._size += len(line)
            if time.monotonic() - self._synced > SYNC_SECONDS:
                os.fsync(self._file)
                self._synced = time.monotonic()

    def sync(self) -> None:
        """Puts what was written on the disk now. Raises InputError."""
        with readable_errors(self.path):
            os.fsync(self._file)
        self._synced = time.monotonic()

    def close(self) -> None:
        """Puts what was written on the disk. Closing twice is harmless."""
        if self._file >= 0:
            handle, self._file = self._file, -1
            with readable_errors(self.path), contextlib.ExitStack() as stack:
                stack.callback(os.close, handle)
                os.fsync(handle)

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, *_) -> None:
        self.close()


@contextlib.contextmanager
def exclusive(directory: Path, name: str = ".lock") -> Iterator[None]:
    """Holds a run directory by its file `name`; the lock dies with the process. Raises InputError if another process holds it."""
    with readable_errors(directory):
        directory.mkdir(parents=True, exist_ok=True)
        handle = os.open(directory / name, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(f"another process is writing to {directory}; wait for it or choose another --workdir") from error
        yield
    finally:
        os.close(handle)
