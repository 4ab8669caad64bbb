"""Published data sets through `datasets`: from a hub on this machine, from the cache, from files, and what is refused."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from doubles import fake_data_hub

from reasoning.data.hub import Source, read_rows
from reasoning.data.tasks import load_task
from reasoning.errors import InputError
from reasoning.weights import hub

ROWS = [{"Q": "one?", "A": "033"}, {"Q": "two?", "A": "None"}]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)
COMMA = 'Q,A\none?,033\n"two?",None\n'
SOURCE, LAYOUTS = Source("org/name", "main", "test"), ({"question": "Q", "answer": "A"},)
NAMED = [{**row, "question": row["Q"], "answer": row["A"]} for row in ROWS]
CARD = """---
configs:
- {config_name: first, data_files: [{split: test, path: first/a.jsonl}]}
- {config_name: second, data_files: [{split: test, path: second/a.jsonl}]}
---
"""

# In a process of its own, for the libraries read the address of the hub when they are imported.
CASES = f"""
import json, os, sys, time
from reasoning.data.hub import Source, read_rows
LAYOUTS, COMMIT = ({{"question": "Q", "answer": "A"}},), {fake_data_hub.COMMIT!r}
def ask(repo, revision, split, *configs, **options):
    start = time.monotonic()
    try:
        told = read_rows(Source(repo, revision, split, configs or ("",), **options), LAYOUTS)
    except Exception as error:
        told = f"{{type(error).__name__}} {{error}}"
    assert time.monotonic() - start < 30
    return told
told = dict(
    pinned=ask("org/name", COMMIT, "test", "first"), both=ask("org/name", COMMIT, "test", "first", "second"),
    split=ask("org/name", COMMIT, "train", "first"), config=ask("org/name", COMMIT, "test", "third"),
    gated=ask("org/closed", COMMIT, "test"))
os.environ["HF_DATASETS_OFFLINE"] = "1"
told |= dict(
    cached=ask("org/name", COMMIT, "test", "first"), other=ask("org/name", "f" * 40, "test", "first"),
    uncached=ask("org/nothing", COMMIT, "test"))
json.dump(told, sys.stdout)
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What `CASES` says, run in a directory with a folder that has the data set's name."""
    home = tmp_path_factory.mktemp("hub")
    (home / "org" / "name").mkdir(parents=True)
    files = {"README.md": CARD.encode(), "first/a.jsonl": LINES.encode(), "second/a.jsonl": b'{"Q": "three?", "A": "3"}\n'}
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))}
    with fake_data_hub.hub("org/name", files, gated="org/closed") as (endpoint, asked):
        environment |= {"HF_ENDPOINT": endpoint, "HF_HOME": str(home / "cache"), "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run([sys.executable, "-c", CASES], env=environment, cwd=home, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not done.stderr  # neither bars nor log lines
    assert any(f"/resolve/{fake_data_hub.COMMIT}/first/a.jsonl" in path for _, path in asked), done.stdout
    return json.loads(done.stdout)


def test_hub_rows_differ_from_the_published_ones(told):
    assert told["pinned"] == NAMED
    assert [row["answer"] for row in told["both"]] == ["033", "None", "3"]


def test_hub_error_is_not_one_line_that_says_what_to_do(told):
    assert "Unknown split \"train\". Should be one of ['test']" in told["split"]
    assert "'third' not found. Available: ['first', 'second']" in told["config"]
    assert (
        "org/closed is gated: accept its terms at huggingface.co/datasets/org/closed, then run `hf auth login`" in told["gated"]
    )
    for name in ("split", "config", "gated", "other", "uncached"):
        assert told[name].startswith("InputError ") and "\n" not in told[name] and "path=" in told[name]


def test_offline_run_takes_another_revision_or_misses_the_cached_one(told):
    assert told["cached"] == NAMED
    assert "HF_DATASETS_OFFLINE is set, and the cached copy is not the pinned revision ffffffff" in told["other"]
    assert "HF_DATASETS_OFFLINE is set, and no copy is cached" in told["uncached"]


def test_dead_hub_costs_minutes(monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
    import datasets

    hub._trouble.cache_clear()
    before, start = datasets.config.HF_HUB_OFFLINE, time.monotonic()
    with pytest.raises(InputError, match=rf"127.0.0.1:{port} is unreachable .* no copy is cached; connect, or give path="):
        read_rows(Source("no-such-org/no-such-name", "main", "test"), LAYOUTS)
    assert time.monotonic() - start < 30
    assert datasets.config.HF_HUB_OFFLINE is before
    hub._trouble.cache_clear()


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        import pyarrow
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)
    else:
        path.write_text(COMMA if path.suffix == ".csv" else LINES)
    return path


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.parquet", "with [brackets] *.jsonl"])
def test_cell_of_a_file_is_read_as_a_number_or_as_missing(tmp_path, name):
    assert read_rows(SOURCE, LAYOUTS, write(tmp_path / name)) == NAMED


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_directory_needs_the_published_configs(tmp_path, suffix):
    source = Source("org/name", "main", "test", ("first", "second"))
    write(tmp_path / "plain" / f"test.{suffix}")
    assert read_rows(source, LAYOUTS, tmp_path / "plain") == NAMED
    with pytest.raises(InputError, match="split 'train' .*Available splits: .*test"):
        read_rows(source, LAYOUTS, tmp_path / "plain", "train")


def test_clone_of_the_repository_mixes_its_configs(tmp_path):
    write(tmp_path / "first" / "a.jsonl")
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / "a.jsonl").write_text('{"Q": "three?", "A": "3"}\n')
    (tmp_path / "README.md").write_text(CARD)
    answers = [
        [row["answer"] for row in read_rows(Source("org/name", "main", "test", configs), LAYOUTS, tmp_path)]
        for configs in (("first",), ("second",), ("first", "second"))
    ]
    assert answers == [["033", "None"], ["3"], ["033", "None", "3"]]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.jsonl", "", "the data set is empty"),
        ("a.csv", "Q,A\n", "the data set is empty"),
        ("a.jsonl", '{"Q": "one?", "A": "1"}\n{"Q": ', "not readable, split 'test' .*JSON"),
        ("a.parquet", "PAR1", "not readable, .*Parquet"),
        ("a.jsonl", '{"problem": "one?", "A": "1"}\n', "unknown columns 'problem', 'A'; this loader knows 'Q', 'A'"),
        ("a.jsonl", '{"Q": "one?", "A": "1"}\n{"Q": "two?", "A": null}\n', "row 1: column 'A' is empty"),
        ("a.csv", "Q,A\none?,1\ntwo?,\n", "row 1: column 'A' is empty"),
        ("a.txt", "Q A", r"ends in \.parquet, \.jsonl, \.json, \.csv; convert it"),
    ],
)
def test_bad_file_is_read_or_not_explained_in_one_line(tmp_path, capfd, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_rows(SOURCE, LAYOUTS, tmp_path / name)
    assert "\n" not in str(caught.value)
    assert not capfd.readouterr().err


def test_missing_path_or_empty_directory_is_not_explained(tmp_path):
    with pytest.raises(InputError, match="no such file or directory"):
        load_task("gsm8k", path=str(tmp_path / "nothing.parquet"))
    with pytest.raises(InputError, match="doesn't contain any data files"):
        load_task("gsm8k", path=str(tmp_path))
