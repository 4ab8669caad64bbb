"""Every script says what it is when it is asked with --help, and does nothing else."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from doubles.config_files import resolve

SCRIPTS = Path(__file__).parents[1] / "scripts"
SHELL = sorted(path.name for path in SCRIPTS.glob("*.sh"))
MAINS = sorted(path.name for path in SCRIPTS.glob("*.py"))
TOOLS = ("bash", "cat", "dirname", "sed")  # without any Python, pip or driver to start


@pytest.mark.parametrize("name", SHELL)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_of_a_shell_script_starts_its_work(tmp_path, name, flag):
    for tool in TOOLS:
        (tmp_path / tool).symlink_to(shutil.which(tool))
    there = {"PATH": str(tmp_path), "HOME": str(tmp_path), "REASONING_VENV": str(tmp_path / "venv"), "TMPDIR": str(tmp_path)}
    command = [str(tmp_path / "bash"), name, flag]
    done = subprocess.run(command, cwd=SCRIPTS, env=there, capture_output=True, text=True, timeout=20)
    header = (SCRIPTS / name).read_text().splitlines()[1].removeprefix("# ")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] in (header, f"usage: scripts/{name} [--model NAME] [arguments of scripts/compare.py …]")
    assert "set -euo" not in done.stdout and len(done.stdout.splitlines()) > 1
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(TOOLS), "nothing was made"


@pytest.mark.slow
@pytest.mark.parametrize("name", MAINS)
def test_help_of_a_main_is_not_its_docstring(tmp_path, name):
    command = [sys.executable, str(SCRIPTS / name), "--help"]
    done = subprocess.run(command, cwd=tmp_path, env={**os.environ, "JAX_PLATFORMS": "cpu"}, capture_output=True, text=True)
    first = (SCRIPTS / name).read_text().splitlines()[0].removeprefix('"""').removesuffix('"""')
    assert done.returncode in (0, 1), done.stderr  # absl's --help exits with 1
    assert first and first in done.stdout and "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir()), "nothing was made"


def test_a_study_prints_a_command_that_does_not_run():
    sweep = lambda *given: subprocess.run(  # noqa: E731
        [sys.executable, "scripts/sweep.py", *given], cwd=SCRIPTS.parent, capture_output=True, text=True
    )
    done = sweep(
        "--study", "configs/majority.py:n=20", "--more", "--config.dtype=float32 --config.seed=3", "--runs", "some where"
    )
    commands = [shlex.split(line) for line in done.stdout.splitlines()]
    assert len({one[-1] for one in commands}) == 4 and commands[0][-1] == "--workdir=some where/majority-sweep-0"
    found = [resolve(*one[2:-1]) for one in commands]
    assert [one["methods"]["majority"]["temperature"] for one in found] == [0.3, 0.5, 0.7, 1.0]
    assert all((one["task"]["size"], one["dtype"], one["seed"]) == (20, "float32", 3) for one in found)
    for given, message in (((), "--study=FILE.py is needed"), (("--study=no.py",), "no.py is no file")):
        done = sweep(*given)
        assert done.returncode == 2 and message in done.stderr and not done.stdout
