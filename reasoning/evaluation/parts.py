"""A file of JSON lines that several processes write, each its own part; process 0 puts them together.

generations.jsonl            the whole
generations.1-of-2.jsonl     what process 1 of 2 has added, until it is gathered
"""

from pathlib import Path

from reasoning.processes import Processes
from reasoning.records import Lines, dumps, read_lines


def part(path: Path, processes: Processes) -> Path:
    """The file that this process appends to: `path` itself if it is alone."""
    return path if processes.count == 1 else path.with_name(f"{path.stem}.{processes.index}-of-{processes.count}{path.suffix}")


def gather(path: Path) -> None:
    """Moves the lines of all parts, of runs with any number of processes, to the end of `path`; torn last lines are dropped.

    Killed half-way, the next call does the rest: a line that is in the whole already is not added again. Only one process may
    gather, and none may write meanwhile. Raises InputError for a damaged line or a full disk; the parts are then still there.
    """
    parts = sorted(path.parent.glob(f"{path.stem}.*-of-*{path.suffix}"))
    if not parts:
        return
    with Lines(path) as whole:
        there = {dumps(record) for record in whole.records}
        for one in parts:
            for record in read_lines(one)[0]:
                if dumps(record) not in there:
                    whole.append(record)
    for one in parts:  # the whole is on the disk now
        one.unlink()
