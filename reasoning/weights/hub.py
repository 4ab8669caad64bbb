"""The Hugging Face hub: whole models for `load("hf:org/name@revision")`, single files for the catalogue.

An unreachable hub must not cost the user minutes of retries, so the endpoint is asked once with a deadline before the
client library may try; the answer holds for the rest of the process.
"""

import errno
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


class UnavailableError(Exception):
    """A source cannot be had at the moment, or not from here; the message says why in a few words."""


def snapshot(name: str) -> tuple[Path, str]:
    """Directory of the model "org/name@revision" (default revision "main") and where it came from.

    Only configuration, tokenizer and safetensors files are fetched, into the cache of huggingface_hub, and found there
    again without a network. A connection that breaks is resumed where it broke; after an error or a kill the same call
    fetches the files that are missing, each from its start. Private and gated models need a token in HF_TOKEN.
    Raises InputError.
    """
    import huggingface_hub  # imported where it is needed, for it takes a second

    match = re.fullmatch(r"([\w.-]+/[\w.-]+)(?:@([\w./-]+))?", name)
    if not match:
        raise InputError(f"hf:{name} is not of the form hf:org/name or hf:org/name@revision")
    repo, revision = match[1], match[2] or "main"
    trouble = None
    try:
        require_hub()
    except UnavailableError as error:
        trouble = str(error)
    try:
        path = huggingface_hub.snapshot_download(
            repo, revision=revision, endpoint=_endpoint(), allow_patterns=list(_FILES), local_files_only=trouble is not None
        )
    except Exception as error:  # the errors of its transport have no base class that all versions share
        if trouble:
            raise InputError(f"hf:{name}: {trouble}, and no copy is cached; connect, or load a directory") from error
        raise _refusal(repo, revision, error) from error
    return Path(path), f"hf:{repo}@{revision}"


def download(repo: str, revision: str, file: str, into: Path) -> Path:
    """One file of a repository, put below `into` (an interrupted download goes on).

    Raises UnavailableError; OSError when the disk is full.
    """
    require_hub()
    import huggingface_hub

    try:
        return Path(huggingface_hub.hf_hub_download(repo, file, revision=revision, endpoint=_endpoint(), local_dir=into))
    except Exception as error:  # as above
        if disk_full(error):
            raise
        raise UnavailableError(_brief(error)) from error


def require_hub() -> None:
    """Returns if the hub answers. Raises UnavailableError at once when HF_HUB_OFFLINE is set, else after `DEADLINE` at most."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        raise UnavailableError("HF_HUB_OFFLINE is set")
    if trouble := _trouble(_endpoint()):
        raise UnavailableError(trouble)


def disk_full(error: BaseException) -> bool:
    """Whether an error means that nothing more can be written."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def _refusal(repo: str, revision: str, error: Exception) -> InputError:
    """What the user can do about a failed download."""
    from huggingface_hub import errors

    status = getattr(getattr(error, "response", None), "status_code", None)
    token = "the one in HF_TOKEN has none" if os.environ.get("HF_TOKEN") else "none is set"
    page = f"{_endpoint()}/{repo}"
    if isinstance(error, errors.GatedRepoError):  # also a RepositoryNotFoundError
        what = f"is gated and needs a token with access ({token}); request access at {page} and set HF_TOKEN"
    elif isinstance(error, errors.RepositoryNotFoundError):
        what = f"is no model of {_endpoint()}, or a private one; check the name, or set HF_TOKEN to a token that may read it"
    elif isinstance(error, errors.RevisionNotFoundError):
        what = f"has no revision {revision!r}; name a branch, tag or commit that {page}/commits lists"
    elif status == 401:
        what = f"is refused ({_brief(error)}); the token in HF_TOKEN is not valid, make a new one"
    elif disk_full(error):
        what = "does not fit on the disk; make room or set HF_HOME to another one"
    else:
        what = f"cannot be fetched ({_brief(error)}); try again: what is complete is kept"
    return InputError(f"hf:{repo}@{revision} {what}")


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
