"""A finished run graded anew, reading the last number where a response states no answer; nothing is generated.

Shows how much of a result is form: a model that solves a problem and does not write "Answer:" is wrong to the first grading and
right to this one. lm-evaluation-harness reports both, as "strict-match" and "flexible-extract".
"""

import json
import shutil
from pathlib import Path

from reasoning.errors import InputError
from reasoning.evaluation.experiment import build_methods, build_task
from reasoning.evaluation.grading import Grader
from reasoning.evaluation.records import dumps, read_lines, write_atomic, write_json
from reasoning.text.answers import extract, last_number


def regrade(workdir: Path, target: Path) -> dict[str, int]:
    """Writes the run of `workdir` to `target`, with new answers and grades; returns how many samples of each method changed.

    Only samples without a stated answer are graded again. Raises InputError for a directory that is no run, or a taken target.
    """
    try:
        identity = json.loads((workdir / "config.json").read_bytes())
    except OSError as error:
        raise InputError(
            f"{workdir} holds no run ({error.strerror}: config.json); name a --workdir of scripts/evaluate.py"
        ) from error
    if target.exists():
        raise InputError(f"{target} exists already; choose another --to")
    problems = {problem.id: problem for problem in build_task(identity["config"]).problems}
    changed = {}
    with Grader() as grader:
        for label in build_methods(identity["config"]):
            records, _ = read_lines(workdir / label / "generations.jsonl")
            silent = [one for one in records if extract(one["text"]) is None]
            grades = [grader.submit_answer(problems[one["problem"]], last_number(one["text"])) for one in silent]
            for one, future in zip(silent, grades, strict=True):
                grade = future.result()
                one |= {"correct": grade.correct, "score": grade.score, "answer": grade.extracted, "grading": grade.status}
            (target / label).mkdir(parents=True)
            write_atomic(target / label / "generations.jsonl", b"".join(map(dumps, records)))
            shutil.copyfile(workdir / label / "timings.jsonl", target / label / "timings.jsonl")
            changed[label] = sum(one["answer"] is not None for one in silent)
    write_json(target / "config.json", {**identity, "regraded": "the last number where no answer is stated"})
    return changed
