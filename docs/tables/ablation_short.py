"""The tables by kind of problem of docs/results.md, "Which traces?": what each set teaches, what its models get right.

Reads what LEVEL=short scripts/ablation.sh left; the archive beside this file has all of it but the sets, which the script draws
anew, the same ones:

    .venv/bin/python docs/tables/ablation_short.py [runs/ablation-short]
"""

import collections
import re
import sys
from pathlib import Path

from reasoning.data.traces import read_traces
from reasoning.data.writers.base import instance
from reasoning.evaluation.finished import open_finished
from reasoning.evaluation.reports import tables

SETS = {
    "curated": "curated/curated",
    "kept": "kept/curated",
    "longest": "curated/longest",
    "random": "curated/random",
    "random-tokens": "curated/random",
}
FAMILIES = ("chain_sum", "simple_equations")


def kind(family: str, numbers: str) -> str:
    """Of a problem: how many numbers of how many digits are added, or what the unknown is multiplied by."""
    if family == "chain_sum":
        terms = re.findall(r"[0-9]+", numbers.split(":")[-1])
        return f"{len(terms)} numbers, digits {max(map(len, terms))}"
    sign, factor = re.search(r"([+-]?)(\d*)\*?x", numbers.split(":")[-1]).groups()
    return "factor ±1" if factor in ("", "1") else "factor < −1" if sign == "-" else "factor > 1"


def first_answer(text: str) -> str | None:
    """What the first attempt at a sum comes to: the last result before it is checked."""
    found = re.findall(r"= (-?\d+)$", text.partition("\nCheck")[0].partition("\nWait")[0], re.MULTILINE)
    return found[-1] if found else None


def held(root: Path, part: str) -> collections.Counter:
    return collections.Counter(
        kind(trace.metadata["family"], trace.metadata["instance"]) for trace in read_traces(root / f"{part}.jsonl")
    )


def answered(root: Path, name: str, family: str) -> list[tuple[str, bool, bool, bool]]:
    """(kind of problem, right, first attempt right, and rejected) of every response of every training."""
    out = []
    for workdir in sorted(root.glob(f"{name}-[0-9]*-{family}")):
        run = open_finished(workdir)
        for one in run.samples("free"):
            problem = run.problems[one["problem"]]
            first = first_answer(one["text"]) == problem.answer
            asked = kind(family, instance(problem))
            out.append((asked, one["correct"], first, first and "Wait" in one["text"]))
    return out


def share(rows: list[bool]) -> str:
    return f"{sum(rows) / len(rows):.3f}" if rows else "–"


def main(root: Path) -> None:
    """Prints both tables."""
    found = {name: {family: answered(root, name, family) for family in FAMILIES} for name in SETS}
    found = {name: by for name, by in found.items() if all(by.values())}
    asked = collections.Counter(row[0] for family in FAMILIES for row in found["curated"][family])
    trainings = len(list(root.glob(f"curated-[0-9]*-{FAMILIES[0]}")))
    rows = [("asked, of 200", *(str(asked[one] // trainings) for one in sorted(asked)))]
    for name in found:
        counts = held(root, SETS[name])
        rows.append((f"{name}: traces", *(str(counts[one]) for one in sorted(asked))))
    for name, by in found.items():
        every = by[FAMILIES[0]] + by[FAMILIES[1]]
        rows.append((f"{name}: accuracy", *(share([row[1] for row in every if row[0] == one]) for one in sorted(asked))))
    print(tables.markdown(("", *sorted(asked)), rows), end="\n\n")

    rows = []
    for name, by in found.items():
        for one in sorted(asked):
            if "numbers" in one:
                mine = [row for row in by["chain_sum"] if row[0] == one]
                right = [row for row in mine if row[2]]
                rejected = f"{sum(row[3] for row in right)} of {len(right)}"
                rows.append((name, one, share([row[2] for row in mine]), rejected, share([row[1] for row in mine])))
    print(tables.markdown(("set", "asked", "first attempt right", "and rejected", "accuracy"), rows))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/ablation-short"))
