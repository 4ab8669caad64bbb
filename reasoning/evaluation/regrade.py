"""A finished run graded anew, reading the last number where a response states no answer; nothing is generated.

Shows how much of a result is form: a model that solves a problem and does not write "Answer:" is wrong to the first grading and
right to this one. lm-evaluation-harness reports both, as "strict-match" and "flexible-extract".
"""

import shutil
from pathlib import Path

from reasoning.errors import InputError
from reasoning.evaluation.finished import open_finished
from reasoning.evaluation.grading.grader import Grader
from reasoning.evaluation.scoring import SCORES
from reasoning.records import dumps, write_atomic, write_json
from reasoning.text.answers import extract, last_number


def regrade(workdir: Path, target: Path) -> dict[str, int]:
    """Writes the run of `workdir` to `target`, with new answers and grades; returns how many samples of each method changed.

    Only samples without a stated answer are graded again. Raises InputError for a directory that is no run or an unfinished one,
    or a taken target.
    """
    if target.exists():
        raise InputError(f"{target} exists already; choose another --to")
    run = open_finished(workdir)
    samples, changed = {label: run.samples(label) for label in run.methods}, {}
    with Grader() as grader:
        for label, records in samples.items():
            silent = [one for one in records if extract(one["text"]) is None]
            grades = [grader.submit_answer(run.problems[one["problem"]], last_number(one["text"])) for one in silent]
            for one, future in zip(silent, grades, strict=True):
                grade = future.result()
                one |= {"correct": grade.correct, "score": grade.score, "answer": grade.extracted, "grading": grade.status}
            (target / label).mkdir(parents=True)
            write_atomic(target / label / "generations.jsonl", b"".join(map(dumps, records)))
            shutil.copyfile(workdir / label / "timings.jsonl", target / label / "timings.jsonl")
            if (workdir / label / SCORES).exists():
                shutil.copytree(workdir / label / SCORES, target / label / SCORES)
            changed[label] = sum(one["answer"] is not None for one in silent)
    write_json(target / "config.json", {**run.identity, "regraded": "the last number where no answer is stated"})
    return changed
