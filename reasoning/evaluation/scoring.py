"""A pool of finished samples, read by a scorer afterwards: resumable, and any number of scorers can read one pool.

    <label>/scores/<scorer>.jsonl            which scorer, then a line a sample: scores after each step, and what reading it cost
    <label>/scores/<scorer>.timings.jsonl    seconds of each sample, compile time apart; they differ from run to run

So best-of-N, weighted and majority votes for every N are votes over the same samples, and a scorer is compared with another on
what both have read.
"""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tqdm

from reasoning import compilation
from reasoning.data.tasks import Problem
from reasoning.decode.requests import prompt_ids
from reasoning.errors import InputError
from reasoning.evaluation.pool import Record
from reasoning.methods.base import Method
from reasoning.records import Lines, dumps, read_lines, write_atomic
from reasoning.rewards import judges
from reasoning.rewards.responses import Candidate

SCORES = "scores"


def score(
    directory: Path,
    method: Method,
    problems: Sequence[Problem],
    records: Sequence[Record],
    spec: Mapping[str, Any],
    engine: Callable[[], Any],
    *,
    show: bool = True,
) -> Path:
    """Has the scorer `spec` read the samples that it has not read yet; returns its file.

    Args:
      directory: of the method's samples. records: all of them.
      spec: of the scorer (`reasoning.rewards.judges`).
      engine: makes the engine of the policy; not called when nothing is missing.
      show: a progress bar on standard error.
    Raises:
      InputError: scores of another scorer under the same name, a damaged file, a full disk; what a scorer finds wrong.
    """
    name = judges.label(spec)
    path, header = directory / SCORES / f"{name}.jsonl", {"scorer": dict(spec)}
    with Lines(path) as lines:
        if lines.records and lines.records[0] != header:
            other = ",".join(f"{key}={value}" for key, value in lines.records[0].get("scorer", {}).items())
            raise InputError(f"{path} holds scores of another scorer of that name ({other}); give this one its own with name=…")
        there = {(one["problem"], one["sample"]): one for one in lines.records[1:]}
        missing = [one for one in records if (one["problem"], one["sample"]) not in there]
        if missing:
            ready = engine()
            judge = judges.judge(ready, spec)
            if not lines.records:  # only now: a scorer that cannot be made leaves its name free
                lines.append(header)
            found = judge.read(_candidates(method, problems, missing, ready))
            with (
                contextlib.closing(
                    tqdm.tqdm(found, desc=f"{directory.name}, {name}", total=len(missing), disable=not show)
                ) as bar,
                Lines(timings(directory, name)) as times,
            ):
                clock = _clock()
                for candidate, reading in bar:
                    which = {"problem": candidate.problem, "sample": candidate.sample}
                    line = which | vars(reading)
                    lines.append(line)
                    # Samples are read in groups; over all of them the seconds add up.
                    clock, since = _clock(), clock
                    times.append(which | {"seconds": round(max(clock - since, 0.0), 6)})
                    there[candidate.problem, candidate.sample] = line
    ordered = dumps(header) + b"".join(dumps(there[one["problem"], one["sample"]]) for one in records)
    if ordered != path.read_bytes():
        write_atomic(path, ordered)
    return path


def timings(directory: Path, name: str) -> Path:
    """The file of the seconds that the scorer `name` took for the samples in `directory`."""
    return directory / SCORES / f"{name}.timings.jsonl"


def _clock() -> float:
    return time.perf_counter() - compilation.seconds()


def attach(records: Sequence[Record], directory: Path, name: str) -> list[Record]:
    """The records with `scores` {name: scores after each step} and what they cost in their ledgers; those not scored as they are.

    Raises InputError for a damaged file.
    """
    lines = {(line["problem"], line["sample"]): line for line in read_lines(directory / SCORES / f"{name}.jsonl")[0][1:]}
    return [_attached(one, name, lines.get((one["problem"], one["sample"]))) for one in records]


def _attached(record: Record, name: str, line: Mapping[str, Any] | None) -> Record:
    if line is None:
        return record
    ledger = record["ledger"]
    paid = {
        "scorer": ledger["scorer"] + line["tokens"],
        "scorer_question": line["question"],
        "flops_prompt": ledger["flops_prompt"] + line["flops_question"],
        "flops_generated": ledger["flops_generated"] + line["flops"],
    }
    return {**record, "scores": {**record.get("scores", {}), name: line["scores"]}, "ledger": {**ledger, **paid}}


def _candidates(method: Method, problems: Sequence[Problem], records: Sequence[Record], engine) -> list[Candidate]:
    """Records as a scorer sees them. Raises InputError for those of an old run, which hold no ids."""
    by_id, model = {problem.id: problem for problem in problems}, engine.model
    wanted = [by_id[name] for name in dict.fromkeys(one["problem"] for one in records)]
    prompts = {
        request.id: tuple(prompt_ids(request, model.tokenizer, model.config.vocab_size).tolist())
        for request in method.requests(wanted)
    }
    if any("ids" not in one for one in records):
        raise InputError("these samples were written without their token ids; draw them again")
    return [
        Candidate(
            problem=one["problem"],
            sample=one["sample"],
            question=by_id[one["problem"]].question,
            reference=by_id[one["problem"]].answer,
            prompt=prompts[one["problem"]],
            tokens=tuple(one["ids"]),
            text=one["text"],
            answer=one["answer"],
            sampled=len(one["ids"]) - len(one["forced"]),
            logprob=one["logprob"],
            correct=one["correct"],
        )
        for one in records
    ]
