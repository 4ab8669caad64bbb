"""`python -m doubles.documents 'OLD=>NEW' … FILE.md …`: runs the fenced blocks of documents, in their order, where it is started.

Blocks of ```python share a namespace within a document; each block of ```bash is a shell of its own, which ends at the first
command that fails; other blocks are only shown. OLD=>NEW replaces text first: what a reader waits a minute for should take a test
a second. A failing block says where it stands: in a stack trace as a line of the document, of bash by its first line.
"""

import importlib
import os
import re
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(text: str) -> Iterator[tuple[str, int, str]]:
    """(language, number of its first line, code) of every fenced block."""
    for found in FENCE.finditer(text):
        yield found[1], text.count("\n", 0, found.start(2)) + 1, found[2]


def run(path: Path, replacements: dict[str, str]) -> None:
    """Runs all blocks of a document; exits with status 1 at one that fails."""
    text, namespace = path.read_text(), {"__name__": "__main__"}
    for old, new in replacements.items():
        text = text.replace(old, new)
    folder = Path(sys.executable).parent  # where `python` is, if it is that of an environment
    shell = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    for language, line, code in blocks(text):
        print(f"## {path}:{line}", flush=True)
        if language == "bash":
            if subprocess.run(["bash", "-euo", "pipefail", "-c", code], env=shell).returncode:
                sys.exit(f"{path}:{line}: the block fails")
        elif language == "python":
            importlib.invalidate_caches()  # a shell may have written a module
            try:
                exec(compile("\n" * (line - 1) + code, str(path), "exec"), namespace)
            except Exception:
                traceback.print_exc()
                sys.exit(f"{path}:{line}: the block fails")


if __name__ == "__main__":
    files = [argument for argument in sys.argv[1:] if argument.endswith(".md")]
    changes = dict(argument.split("=>", 1) for argument in sys.argv[1:] if argument not in files)
    for file in files:
        run(Path(file), changes)
