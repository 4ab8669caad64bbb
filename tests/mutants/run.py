"""Applies one fault at a time to a copy of the tree and shows that the tests notice: `python tests/mutants/run.py [WORD …]`.

Words choose faults by name; none takes all. The tests of a fault run once without it: what fails anyway notices nothing, and
how long they take says when a run hangs. Exit status 1 unless every fault is caught; a run that hangs is none that caught it,
since a slow machine hangs as well.
"""

import functools
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

SECONDS = 180  # for the tests of one fault, or thrice what they take without it
CLEAN_SECONDS = 900
ROOT = Path(__file__).resolve().parents[2]
CAUGHT, SURVIVED, TIMEOUT = "caught", "SURVIVED", "TIMEOUT"


def read_faults() -> list[dict]:
    """The faults of faults.toml: name, file, old, new, tests."""
    return tomllib.loads((Path(__file__).parent / "faults.toml").read_text())["fault"]


def copy_tree(target: Path) -> None:
    """What the tests need, and nothing that is large."""
    for name in ("reasoning", "tests", "configs", "scripts", "third_party", "setup.cfg", "pyproject.toml", "ruff.toml"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, target / name)


def run_tests(tests: tuple[str, ...], tree: Path, seconds: float) -> subprocess.CompletedProcess:
    """pytest up to the first failure. Raises subprocess.TimeoutExpired."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    environment = os.environ | {"PYTHONPATH": str(tree)}
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=seconds)


@functools.cache
def clean_seconds(tests: tuple[str, ...], tree: Path) -> float:
    """How long the tests take without a fault; they must pass."""
    begin = time.perf_counter()
    try:
        done = run_tests(tests, tree, CLEAN_SECONDS)
    except subprocess.TimeoutExpired:
        raise SystemExit(f"{' '.join(tests)}: not done in {CLEAN_SECONDS} s without any fault") from None
    if done.returncode:
        raise SystemExit(f"{' '.join(tests)}: status {done.returncode} without any fault\n{done.stdout[-2000:]}")
    return time.perf_counter() - begin


def outcome(fault: dict, tree: Path) -> str:
    """CAUGHT, SURVIVED or TIMEOUT: what the tests make of the fault; the tree is whole again afterwards."""
    path, tests = tree / fault["file"], tuple(fault["tests"])
    sound = path.read_text()
    if sound.count(fault["old"]) != 1:
        raise SystemExit(
            f"{fault['name']}: {fault['file']} holds the text to replace {sound.count(fault['old'])} times; mend faults.toml"
        )
    seconds = max(SECONDS, 3 * clean_seconds(tests, tree))
    path.write_text(sound.replace(fault["old"], fault["new"]))
    try:
        done = run_tests(tests, tree, seconds)
    except subprocess.TimeoutExpired:
        return TIMEOUT
    finally:
        path.write_text(sound)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{fault['name']}: pytest could not run (status {done.returncode})\n{done.stdout[-2000:]}")
    return CAUGHT if done.returncode else SURVIVED


def main(words: list[str]) -> int:
    chosen = [fault for fault in read_faults() if not words or any(word in fault["name"] for word in words)]
    with tempfile.TemporaryDirectory() as directory:
        tree = Path(directory)
        copy_tree(tree)
        found = []
        for fault in chosen:
            found.append(outcome(fault, tree))
            print(f"{found[-1]:9} {fault['name']}", flush=True)
    hung = f", {found.count(TIMEOUT)} not done in time" if TIMEOUT in found else ""
    print(f"{found.count(CAUGHT)} of {len(found)} faults caught{hung}")
    return 0 if found.count(CAUGHT) == len(found) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
