"""Where downloads and compiled programs live."""

import os
from pathlib import Path


def cache_dir() -> Path:
    """`$REASONING_CACHE`, default ~/.cache/reasoning."""
    return Path(os.environ.get("REASONING_CACHE") or "~/.cache/reasoning").expanduser()
