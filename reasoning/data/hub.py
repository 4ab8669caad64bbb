"""Rows of a published data set through the `datasets` library: from the hub, or from local files of the same format.

    SOURCE = Source("openai/gsm8k", "740312add88f781978c0658806c59bc2815b9866", "test", ("main",))
    rows = read_rows(SOURCE, ({"question": "question", "answer": "answer"},))

Copies of a data set name their columns differently: a loader lists the layouts that it knows, each {our name: its name},
and an unknown one is refused with the names found. Revisions are pinned, so that a table of results stays one; the
library's own fallback takes any cached revision when the hub is out of reach, and this module refuses another one.
"""

import contextlib
import dataclasses
import glob
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from reasoning.errors import InputError
from reasoning.weights.hub import UnavailableError, require_hub

BUILDERS = {".parquet": "parquet", ".jsonl": "json", ".json": "json", ".csv": "csv"}
Layout = Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Source:
    """A data set of the hub.

    Attributes:
      repo: "org/name". revision: commit, tag or branch. split: the one that is meant if the user names none.
      configs: subsets, read one after the other; "" is the only one of a repository without subsets.
      csv: its files are CSV, which tells nothing about types.
    """

    repo: str
    revision: str
    split: str
    configs: tuple[str, ...] = ("",)
    csv: bool = False


def read_rows(
    source: Source,
    layouts: Sequence[Layout],
    path: str | Path | None = None,
    split: str | None = None,
    complete: bool = True,
) -> list[dict[str, Any]]:
    """All rows in order, each with its published columns and, under our names, those of the layout that fits.

    Args:
      source: where it is published.
      layouts: {our name: published name}; the first one whose columns are all there is taken.
      path: a .parquet, .jsonl or .csv file, or a directory such as a clone of the repository, instead of the hub.
      split: default `source.split`; a single file is its own split.
      complete: refuse a row without a value in a column of the layout.
    Raises:
      InputError: no such file or split, an unreadable file, an unreachable hub without a cached copy, a gated data set,
        columns of no known layout, an empty split, a row without a value in a column of the layout.
    """
    split = split or source.split
    names = sorted({name for layout in layouts for name in layout.values()})
    where = str(path) if path else f"{source.repo}@{source.revision[:8]}, split {split}"
    with _quiet_datasets() as datasets:
        if path is None:
            rows = _from_hub(datasets, source, split, names)
        else:
            rows = _from_disk(datasets, Path(path).expanduser(), source, split, names)
    if not rows:
        raise InputError(f"{where}: the data set is empty; name another file or split")
    layout = next((layout for layout in layouts if set(layout.values()) <= rows[0].keys()), None)
    if layout is None:
        known = "; or ".join(", ".join(map(repr, layout.values())) for layout in layouts)
        raise InputError(
            f"{where}: unknown columns {', '.join(map(repr, rows[0]))}; this loader knows {known}: rename them, or name them "
            "to the task 'files'"
        )
    for number, row in enumerate(rows if complete else ()):
        empty = [name for name in layout.values() if row.get(name) in (None, "")]
        if empty:
            raise InputError(f"{where}, row {number}: column {empty[0]!r} is empty; fill it in or drop the row")
    return [{**row, **{ours: row[theirs] for ours, theirs in layout.items()}} for row in rows]


def _from_disk(datasets, path: Path, source: Source, split: str, names: Sequence[str]) -> list[dict]:
    if not path.exists():
        raise InputError(f"{path}: there is no such file or directory; give the path of a .parquet, .jsonl or .csv file")
    if path.is_file() and path.suffix not in BUILDERS:
        raise InputError(f"{path}: a file of problems ends in {', '.join(BUILDERS)}; convert it")
    csv = path.suffix == ".csv" or any(path.rglob("*.csv"))
    options = {"streaming": True, **(_as_text(names) if csv else {})}  # streaming leaves no copy in the cache
    try:
        if path.is_file():
            files = glob.escape(str(path))
            return list(datasets.load_dataset(BUILDERS[path.suffix], data_files=files, split="train", **options))
        # A clone has the published configs; a folder of collected files has one without a name.
        configs = [config for config in datasets.get_dataset_config_names(str(path)) if config in source.configs] or [None]
        return [row for config in configs for row in datasets.load_dataset(str(path), config, split=split, **options)]
    except StopIteration:  # what the library makes of a file without a line
        return []
    except Exception as error:  # its readers (pyarrow, pandas, fsspec) share no base class
        raise InputError(f"{path}: not readable, split {split!r} ({_brief(error)}); correct the file or name another") from error


def _from_hub(datasets, source: Source, split: str, names: Sequence[str]) -> list[dict]:
    trouble, rows = _trouble(), []
    # Without a reachable hub, only the cache is asked: the library would try again and again.
    offline, datasets.config.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE, bool(trouble)
    try:
        for config in source.configs:
            try:
                table = _load(datasets, source, config or None, split, names)
            except Exception as error:  # its transports and readers share no base class
                raise InputError(_advice(source, error, trouble)) from error
            held = Path(table.cache_files[0]["filename"]).parts if table.cache_files else (source.revision,)
            if len(source.revision) == 40 and source.revision not in held:  # directories of the cache are named by commit
                raise InputError(
                    f"{source.repo}: {trouble or 'the hub did not answer'}, and the cached copy is not the pinned revision "
                    f"{source.revision[:8]}; connect, or give path=… of a local copy"
                )
            rows += table
    finally:
        datasets.config.HF_HUB_OFFLINE = offline
    return rows


def _load(datasets, source: Source, config: str | None, split: str, names: Sequence[str]):
    try:
        # The address and not the name, which a directory of this name below the current one would shadow.
        address, options = f"hf://datasets/{source.repo}", _as_text(names) if source.csv else {}
        return datasets.load_dataset(address, config, split=split, revision=source.revision, **options)
    except ValueError as error:
        if "no data" in str(error):  # an empty split
            return datasets.Dataset.from_list([])
        raise


def _trouble() -> str:
    """Why the hub cannot be asked, "" if it can."""
    if os.environ.get("HF_DATASETS_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return "HF_DATASETS_OFFLINE is set"
    try:
        require_hub()
    except UnavailableError as error:
        return str(error)
    return ""


def _advice(source: Source, error: Exception, trouble: str) -> str:
    if trouble:
        return f"{source.repo}: {trouble}, and no copy is cached; connect, or give path=… of a local copy"
    if "gated" in str(error):
        return (
            f"{source.repo} is gated: accept its terms at huggingface.co/datasets/{source.repo}, then run `hf auth login` "
            "(or set HF_TOKEN), or give path=… of a local copy"
        )
    where = f"{source.repo}@{source.revision[:8]}"
    return f"{where}: cannot be read ({_brief(error)}); check the split, or give path=… of a local copy"


def _as_text(names: Sequence[str]) -> dict[str, Any]:
    """For CSV: cells as they are written. The reader would make 033 a number and the answer "None" a missing value."""
    return {"converters": dict.fromkeys(names, str), "keep_default_na": False}


@contextlib.contextmanager
def _quiet_datasets() -> Iterator[Any]:
    """The library, imported where it is needed (it takes seconds), without its bars and log lines, for errors are told once."""
    import datasets

    level, bars = datasets.logging.get_verbosity(), datasets.are_progress_bars_disabled()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    datasets.disable_progress_bars()
    try:
        yield datasets
    finally:
        datasets.logging.set_verbosity(level)
        if not bars:
            datasets.enable_progress_bars()


def _brief(error: BaseException) -> str:
    """The innermost reason, short: the library wraps what happened in "an error occurred while generating the dataset"."""
    while isinstance(error.__cause__, Exception):
        error = error.__cause__
    return " ".join((str(error).strip() or type(error).__name__).split())[:200]
