"""Applies one fault at a time to a copy of the tree and shows that the tests notice: `python tests/mutants/run.py [WORD …]`.

Words choose faults by name; none takes all. Exit status 1 if any fault survives.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

SECONDS = 180  # for the tests of one fault
ROOT = Path(__file__).resolve().parents[2]


def copy_tree(target: Path) -> None:
    """What the tests need, and nothing that is large."""
    for name in ("reasoning", "tests", "configs", "scripts", "third_party", "setup.cfg", "pyproject.toml", "ruff.toml"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, target / name)


def survives(fault: dict, tree: Path) -> bool:
    """Whether the tests pass with the fault in place; the tree is whole again afterwards."""
    path = tree / fault["file"]
    sound = path.read_text()
    if sound.count(fault["old"]) != 1:
        raise SystemExit(
            f"{fault['name']}: {fault['file']} holds the text to replace {sound.count(fault['old'])} times; mend faults.toml"
        )
    path.write_text(sound.replace(fault["old"], fault["new"]))
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *fault["tests"]]
    try:
        environment = os.environ | {"PYTHONPATH": str(tree)}
        done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return False  # it hangs, which nobody would overlook
    finally:
        path.write_text(sound)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{fault['name']}: pytest could not run (status {done.returncode})\n{done.stdout[-2000:]}")
    return done.returncode == 0


def main(words: list[str]) -> int:
    faults = tomllib.loads((Path(__file__).parent / "faults.toml").read_text())["fault"]
    chosen = [fault for fault in faults if not words or any(word in fault["name"] for word in words)]
    with tempfile.TemporaryDirectory() as directory:
        tree = Path(directory)
        copy_tree(tree)
        alive = []
        for fault in chosen:
            alive += [fault["name"]] if survives(fault, tree) else []
            print(f"{'SURVIVED' if fault['name'] in alive else 'caught':9} {fault['name']}", flush=True)
    print(f"{len(chosen) - len(alive)} of {len(chosen)} faults caught")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
