"""The Hugging Face hub: whole models for `load("hf:org/name@revision")`, single files for the catalogue.

An unreachable hub must not cost the user minutes of retries, so the endpoint is asked once with a deadline before the
client library may try; the answer holds for the rest of the process.
"""

import functools
import os
import re
import threading
import urllib.error
import urllib.request
from pathlib import Path

from reasoning.errors import InputError

DEADLINE = 8.0  # seconds for the first answer, name lookup and proxy included
_FILES = ("config.json", "model*.safetensors", "model.safetensors.index.json", "chat_template*", "generation_config.json")
_FILES += ("tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt")


class Unavailable(Exception):
    """A source cannot be had at the moment, or not from here; the message says why in a few words."""


def snapshot(name: str) -> tuple[Path, str]:
    """Directory of the model "org/name@revision" (default revision "main") and where it came from.

    Only configuration, tokenizer and safetensors files are fetched, into the cache of huggingface_hub, and found there
    again without a network. Raises InputError.
    """
    import huggingface_hub  # a second of import time that only this function needs
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    match = re.fullmatch(r"([\w.-]+/[\w.-]+)(?:@([\w./-]+))?", name)
    if not match:
        raise InputError(f"hf:{name} is not of the form hf:org/name or hf:org/name@revision")
    repo, revision = match[1], match[2] or "main"
    trouble = None
    try:
        require_hub()
    except Unavailable as error:
        trouble = str(error)
    try:
        path = huggingface_hub.snapshot_download(
            repo, revision=revision, endpoint=_endpoint(), allow_patterns=list(_FILES), local_files_only=trouble is not None
        )
    except LocalEntryNotFoundError as error:
        raise InputError(f"hf:{name} is not in the local cache, and {trouble or error}; connect, or load a directory") from error
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise InputError(f"hf:{name} cannot be fetched ({_brief(error)}); check name, revision and access rights") from error
    return Path(path), f"hf:{repo}@{revision}"


def download(repo: str, revision: str, file: str, into: Path) -> Path:
    """One file of a repository, put below `into` (an interrupted download goes on). Raises Unavailable."""
    require_hub()
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return Path(huggingface_hub.hf_hub_download(repo, file, revision=revision, endpoint=_endpoint(), local_dir=into))
    except (HfHubHTTPError, ValueError, ConnectionError, FileNotFoundError) as error:
        raise Unavailable(_brief(error)) from error


def require_hub() -> None:
    """Returns if the hub answers. Raises Unavailable at once when HF_HUB_OFFLINE is set, else after `DEADLINE` at most."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        raise Unavailable("HF_HUB_OFFLINE is set")
    if trouble := _trouble(_endpoint()):
        raise Unavailable(trouble)


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


@functools.cache
def _trouble(endpoint: str) -> str:
    """Why `endpoint` does not answer, "" if it does: any reply below 500 will do, also an error page."""
    answer = [f"no answer within {DEADLINE:.0f} s"]

    def ask():
        try:
            request = urllib.request.Request(endpoint, method="HEAD")
            with urllib.request.urlopen(request, timeout=DEADLINE):
                answer[0] = ""
        except urllib.error.HTTPError as error:
            answer[0] = "" if error.code < 500 else f"status {error.code}"
        except (OSError, ValueError) as error:
            answer[0] = _brief(error)

    # In a thread, for a name lookup knows no timeout; a daemon, so that a stuck one does not hold up the exit.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(DEADLINE)
    return f"{endpoint} is unreachable ({answer[0]})" if answer[0] else ""


def _brief(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
