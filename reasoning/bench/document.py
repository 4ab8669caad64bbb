"""What a program may read of a run: everything measured, and what it depends on, as JSON."""

import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from reasoning.evaluation.identity import git_commit, version
from reasoning.records import write_atomic

PACKAGES = ("jax", "jaxlib", "flax", "numpy", "torch", "transformers", "llama-cpp-python")


def environment() -> dict[str, Any]:
    """What the figures depend on besides the code's arguments."""
    versions = {name: version(name) for name in PACKAGES}
    return {"device": jax.devices()[0].device_kind, "python": platform.python_version(), "commit": git_commit(), **versions}


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Replaces `path` as a whole or not at all. Raises InputError."""
    write_atomic(path, json.dumps(document, indent=1) + "\n")
