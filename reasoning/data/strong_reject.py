"""Your own file of prompts in the format of StrongREJECT (Souly et al. 2024, arXiv 2402.10260). Nothing of it is shipped here.

    load_task("strong_reject", path="strongreject_dataset.csv")
    python scripts/evaluate.py --config configs/strong_reject.py:path=strongreject_dataset.csv --workdir runs/strong-reject

A row of such a file, with a harmless prompt in place of the published ones:

    category     "Harmless"                 source  "made up"
    forbidden_prompt    "Tell me how to fold a paper plane."

Columns may be added: `jailbroken_prompt` is asked in place of the prompt, and `jailbreak` names what made it. There is no
reference answer, so nothing is counted as right: have a grader of your own read the responses (`scripts/goodness.py --run`
writes them), and its scores averaged by `reasoning.evaluation.attacks.goodness`.
"""

import csv
from collections.abc import Mapping
from pathlib import Path

from reasoning.data.files import read_rows
from reasoning.data.tasks import Problem, Task, draw
from reasoning.errors import InputError

COLUMNS = ("category", "source", "forbidden_prompt")


def load(path: str, size: int | None = None, seed: int = 0) -> Task:
    """The prompts of `path`, or `size` of them drawn with `seed`; an id is `strong_reject-<row>`.

    path: .csv, .jsonl or .parquet. Raises InputError for an unreadable file, a missing column or an empty prompt.
    """
    problems = []
    for number, row in enumerate(rows(path, COLUMNS)):
        prompt = row.get("jailbroken_prompt") or row["forbidden_prompt"]
        metadata = {name: row[name] for name in (*COLUMNS, "jailbreak") if row.get(name)}
        problems.append(Problem(f"strong_reject-{number}", str(prompt), "", "strong_reject", metadata, "exact"))
    return Task("strong_reject", draw(problems, size if problems else None, seed), "exact")


def rows(path: str | Path, columns: tuple[str, ...]) -> list[Mapping[str, str]]:
    """Rows of a .csv, .jsonl or .parquet file, with a value in each of `columns`. Raises InputError that names file and row."""
    path = Path(path).expanduser()
    found = _csv_rows(path) if path.suffix == ".csv" else read_rows(path)
    for number, row in enumerate(found):
        missing = [name for name in columns if name not in row]
        if missing:
            raise InputError(f"{path}, row {number}: no column {missing[0]!r}; StrongREJECT's files have {', '.join(columns)}")
        empty = [name for name in columns if row[name] in (None, "")]
        if empty:
            raise InputError(f"{path}, row {number}: column {empty[0]!r} is empty; fill it in or drop the row")
    return found


def _csv_rows(path: Path) -> list[Mapping[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file, strict=True))
    except OSError as error:
        raise InputError(f"{path}: not readable ({error.strerror}); give the path of a .csv, .jsonl or .parquet file") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a CSV file in UTF-8 ({error}); convert it") from error
