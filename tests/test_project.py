"""The repository itself: versions, warnings, layers of imports, sizes of files, the set-up script of both README commands."""

import ast
import configparser
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "reasoning").rglob("*.py"))
# From the bottom up: a package imports only packages of lower layers (docs/architecture.md, "Tree"). "" is the front door,
# reasoning/__init__.py, which opens only what is below it.
LAYERS = (
    ("errors", "home", "allocator"),
    ("compilation", "processes", "records", "sharding", "text"),
    ("events",),
    ("models",),
    ("weights", "decode"),
    ("rewards",),
    ("search",),
    ("methods", "data"),
    ("",),
    ("evaluation", "command"),
    ("comparison",),
    ("train",),
    ("bench",),
)
RANKS = {name: rank for rank, names in enumerate(LAYERS) for name in names}
# All that the compiled loop may import, so that it runs on any accelerator image.
PORTABLE = ("jax", "flax", "numpy") + tuple(
    f"reasoning.{name}"
    for name in ("errors", "home", "compilation", "processes", "sharding", "models", "decode", "text.patterns")
)


# Only these files may import the programs that we are compared with, and they are imported only when a peer is asked for.
PEERS = {"torch": "torch", "transformers": "transformers", "llama_cpp": "llama-cpp-python"}
PEER_FILES = {ROOT / "reasoning/bench/peers_transformers.py", ROOT / "reasoning/bench/peers_llama.py"}


def settings() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def normal(name: str) -> str:
    """The one spelling of a distribution's name."""
    return name.lower().replace("_", "-")


def imports(path: Path) -> set[str]:
    """Dotted names of all modules that a file imports, inside functions too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def module(path: Path) -> str:
    """Dotted name of a source file, `reasoning.decode.loop`."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def within(name: str, packages: Iterable[str]) -> bool:
    """Whether a dotted name is one of `packages` or inside it."""
    return any(f"{name}.".startswith(f"{package}.") for package in packages)


def test_a_warning_of_ours_is_an_error_and_one_of_a_dependency_is_not():
    def warn(module, category=UserWarning, text="something"):
        warnings.warn_explicit(text, category, "file.py", 1, module=module)

    for module in ("reasoning", "reasoning.decode.loop"):
        with pytest.raises(UserWarning):
            warn(module)
    with pytest.raises(UserWarning):
        warn("jax", text="Some donated buffers were not usable: float32[8]")
    with warnings.catch_warnings(record=True) as seen:
        warn("reasoning_gym.data")
        warn("reasoning.decode.loop", DeprecationWarning, "jax.something is going away")
    assert len(seen) == 2


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_constraints_pin_every_requirement_inside_its_range(version):
    config = settings()
    assert f"Python :: {version}" in config["metadata"]["classifiers"]
    lines = (ROOT / f"constraints/constraints-{version}.txt").read_text().splitlines()
    pins = dict(normal(line).split("==") for line in lines if not line.startswith("#"))
    wanted = config["options"]["install_requires"] + config["options.extras_require"]["test"]
    for requirement in map(Requirement, filter(None, wanted.splitlines())):
        pin = pins[normal(requirement.name)]
        assert requirement.specifier.contains(pin), f"{requirement} is pinned to {pin}"


def test_every_import_is_a_declared_requirement():
    """What is imported only because something else happens to install it breaks with that something's next release."""
    config, distributions = settings(), importlib.metadata.packages_distributions()
    wanted = config["options"]["install_requires"] + config["options.extras_require"]["test"]
    declared = {normal(Requirement(line).name) for line in wanted.splitlines() if line}
    bench = {normal(Requirement(line).name) for line in config["options.extras_require"]["bench"].splitlines() if line}
    known = {*sys.stdlib_module_names, "reasoning", "configs", "tests", "doubles", "golden", "test_methods_common"}
    folders = ("reasoning", "scripts", "configs", "tests", "tests/doubles")
    for path in [*SOURCES, *(path for folder in folders for path in (ROOT / folder).glob("*.py"))]:
        tops = {name.split(".")[0] for name in imports(path)}
        if path in PEER_FILES:
            assert {PEERS[top] for top in tops & PEERS.keys()} <= bench
            tops -= PEERS.keys()
        for top in tops - known:
            owners = {normal(owner) for owner in distributions.get(top, ())}
            assert owners & declared, f"{path.relative_to(ROOT)} imports {top}, which setup.cfg does not require"


def test_constraints_name_versions_and_no_address():
    for path in (ROOT / "constraints").iterdir():
        for line in path.read_text().splitlines():
            assert line.startswith("#") or re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9A-Za-z.]+", line), f"{path.name}: {line}"


def test_imports_only_go_down():
    for path in SOURCES:
        package = module(path).split(".")[1]
        if package == "__init__":
            continue
        assert package in RANKS, f"give reasoning.{package} its place in LAYERS"
        for name in imports(path):
            top, _, inside = name.partition(".")
            imported = inside.split(".")[0]
            if top == "reasoning" and imported != package:
                assert RANKS[imported] < RANKS[package], f"{module(path)} imports {name}"


def test_the_compiled_loop_needs_jax_flax_and_numpy_only():
    for path in SOURCES:
        if within(module(path), PORTABLE):
            for name in imports(path):
                assert within(name, PORTABLE) or within(name, sys.stdlib_module_names), f"{module(path)} imports {name}"


def test_importing_the_package_loads_nothing_heavy():
    code = "import reasoning, sys; sys.exit(' '.join({'jax', 'flax', 'datasets', 'tokenizers'} & sys.modules.keys()) or None)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_scripts_find_the_configs_from_any_directory(tmp_path):
    done = subprocess.run([sys.executable, "-P", "-c", "import configs.common"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_no_file_outgrows_its_idea():
    mains = (ROOT / "scripts").glob("*.py")
    limits = dict.fromkeys(SOURCES, 450) | dict.fromkeys(mains, 60) | {ROOT / "README.md": 200}
    for path, limit in limits.items():
        lines = len(path.read_text().splitlines())
        assert lines <= limit, f"{path.relative_to(ROOT)} has {lines} lines, more than {limit}"
        assert path.name != "utils.py"


def test_documents_name_files_that_exist():
    for document in ("README.md", "CONTRIBUTING.md", "docs/fork.md", "docs/tutorial.md"):
        text = (ROOT / document).read_text()
        for name in re.findall(r"`((?:reasoning|scripts|configs|docs|tests|third_party|constraints)/[\w./-]*)`", text):
            assert (ROOT / name).exists(), f"{document} names {name}"


class Sandbox:
    """A copy of what setup_env.sh reads, and an environment whose pip only counts how often it is asked to install."""

    def __init__(self, root: Path):
        self.root, self.count = root, root / "count"
        (root / "venv/bin").mkdir(parents=True)
        (root / "scripts").mkdir()
        for name in ("scripts/setup_env.sh", "setup.cfg", "pyproject.toml"):
            shutil.copy(ROOT / name, root / name)
        shutil.copytree(ROOT / "constraints", root / "constraints")
        self.count.write_text("")
        self.pip("")

    def pip(self, then: str):
        """`pip install` in this environment counts, then runs the shell command `then`."""
        python = self.root / "venv/bin/python"
        python.write_text(
            f'#!/bin/sh\nif [ "$1 $2 $3" = "-m pip install" ]; then echo "$*" >>"{self.count}"; {then}\n'
            f'else exec "{sys.executable}" "$@"; fi\n'
        )
        python.chmod(0o755)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        environment = {**os.environ, "REASONING_VENV": str(self.root / "venv"), **environment}
        command = ["bash", str(self.root / "scripts/setup_env.sh"), *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    def installs(self) -> list[str]:
        return self.count.read_text().splitlines()


@pytest.fixture
def sandbox(tmp_path) -> Sandbox:
    return Sandbox(tmp_path)


def test_setup_installs_once_and_again_only_when_versions_changed(sandbox):
    python = str(sandbox.root / "venv/bin/python")
    assert [sandbox.run().stdout.strip() for _ in range(2)] == [python, python]
    assert len(sandbox.installs()) == 1
    with (sandbox.root / "setup.cfg").open("a") as file:
        file.write("# another version\n")
    sandbox.run()
    assert len(sandbox.installs()) == 2


def test_setup_installs_with_the_constraints_of_its_python_and_extras(sandbox):
    sandbox.run("parity")
    sandbox.run("parity")
    sandbox.run()
    parity, plain = sandbox.installs()
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert f"constraints-{version}.txt" in parity and "constraints-parity.txt" in parity and "[test,parity]" in parity
    assert f"constraints-{version}.txt" in plain and "parity" not in plain


def test_a_failed_install_is_reported_and_tried_again(sandbox):
    sandbox.pip("echo no network; exit 1")
    failed = sandbox.run()
    assert failed.returncode == 1 and not failed.stdout
    assert "no network" in failed.stderr and "could not install" in failed.stderr
    sandbox.pip("")
    assert sandbox.run().returncode == 0
    assert len(sandbox.installs()) == 2


def test_a_python_that_is_too_old_is_refused_in_one_line(tmp_path, sandbox):
    done = sandbox.run(REASONING_VENV=str(tmp_path / "other"), PYTHON="false")
    assert done.returncode == 1 and not (tmp_path / "other").exists()
    assert len(done.stderr.splitlines()) == 1 and "older than Python 3.11" in done.stderr
