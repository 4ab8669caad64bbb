"""Rejection sampling of traces: a model answers problems many times, and what ends in a right answer becomes a trace.

Source: Zelikman et al. 2022, "STaR: Bootstrapping Reasoning With Reasoning", arXiv 2203.14465, section 3.1 (one round, without
rationalisation). The answers are a run as any other (`reasoning.evaluation.experiment`): resumable, graded by the task's scorer.

A configuration is that of a run, with the field `keep`:

    per_problem   traces of a problem at most
    choose        "shortest" (in tokens, then the lower sample number) or "random"

A response is split where the method's delimiter ends the thought, else before the line of its last answer; what comes after
that line is dropped, and so is a response without thinking. Of equal thoughts about a problem one is kept.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from reasoning.data.tasks import Problem
from reasoning.data.traces import Trace
from reasoning.data.writers.base import instance
from reasoning.data.writers.pool import to_score
from reasoning.errors import InputError
from reasoning.evaluation import experiment
from reasoning.evaluation.finished import open_finished
from reasoning.evaluation.pool import Record
from reasoning.text.answers import extract

CHOICES = ("shortest", "random")
KEEP = {"per_problem", "choose"}


def traces(config: Mapping[str, Any], workdir: Path, *, show: bool = True, engine: Any = None) -> list[Trace]:
    """Draws the samples that `workdir` lacks, and makes traces of the right ones, in the order of the task.

    Args:
      config: see the module. show, engine: of `reasoning.evaluation.experiment.evaluate`.
    Raises:
      InputError: a wrong configuration, before anything is drawn; whatever ends a run; no sample that became a trace.
    """
    keep = config.get("keep")
    if not isinstance(keep, Mapping) or keep.keys() != KEEP or keep["choose"] not in CHOICES or _bad_count(keep["per_problem"]):
        raise InputError(
            f"the config's keep is {keep!r}; it is {{per_problem: traces at most, choose: {' or '.join(CHOICES)}}}, see "
            "configs/star.py, and a pool written by programs has families instead"
        )
    run = {key: value for key, value in config.items() if key != "keep"}
    experiment.evaluate(run, workdir, show=show, engine=engine)
    return harvest(workdir, **keep)


def harvest(workdir: Path, per_problem: int, choose: str = "shortest") -> list[Trace]:
    """The traces of a finished run. Raises InputError when the run is not finished, or no sample became one."""
    run = open_finished(workdir)
    found: dict[str, list[Trace]] = {name: [] for name in run.problems}
    samples = right = 0
    for label, method in run.methods.items():
        for record in run.records(label):
            samples += 1
            right += record["correct"]
            parts = split(record["text"], method.delimiters) if record["correct"] else None
            if parts:
                problem = run.problems[record["problem"]]
                found[problem.id].append(_trace(problem, label, record, parts, run.config))
    out = [
        trace for name, group in found.items() for trace in _chosen(group, per_problem, choose, f"{run.config['seed']}/{name}")
    ]
    if not out:
        raise InputError(
            f"{workdir}: of {samples} samples {right} are right, and none of them has thinking and an answer; "
            "use a method that shows its steps, an easier task, or more samples"
        )
    return out


def split(text: str, delimiters: Sequence[str]) -> tuple[str, str] | None:
    """(thinking, answer) of a response that states an answer; None if there is no thinking, or no answer behind it.

    Args:
      delimiters: that open and close thinking; one that announces the answer itself ("Answer:") is part of the answer.
    """
    start, end = delimiters
    if end and extract(f"{end} 0") is None:
        thinking, closed, answer = text.partition(end)
        if not closed:
            return None
    else:
        lines = text.splitlines(keepends=True)
        last = next((place for place in reversed(range(len(lines))) if _states(lines, place, extract(text))), None)
        if last is None:
            return None
        thinking, answer = "".join(lines[:last]), "".join(lines[last : last + 1 + (extract(lines[last]) is None)])
    thinking = thinking.partition(start)[2] if start and start in thinking else thinking
    thinking, answer = thinking.strip(), answer.strip()
    return (thinking, answer) if thinking and extract(answer) == extract(text) is not None else None


def _states(lines: Sequence[str], place: int, answer: str | None) -> bool:
    """Whether a line states the answer, or announces it and the next line is it."""
    return answer is not None and extract(lines[place]) in (answer, None) and extract("".join(lines[place : place + 2])) == answer


def _trace(problem: Problem, label: str, record: Record, parts: tuple[str, str], config: Mapping[str, Any]) -> Trace:
    family, key = problem.metadata.get("generator"), instance(problem)
    sample = {"problem": problem.id, "method": label, "sample": record["sample"], "seed": config["seed"]}
    return Trace(
        id=f"{problem.id}/{label}/{record['sample']}",
        question=problem.question,
        thinking=parts[0],
        answer=parts[1],
        reference=problem.answer,
        source=f"star: {config['model']}",
        domain=problem.task,
        metadata={
            **({"family": family, "instance": key} if key else {}),
            **sample,
            "correct": True,
            **{name: record[name] for name in ("tokens", "logprob", "stop_reason")},
            **to_score(problem),
        },
    )


def _chosen(found: Iterable[Trace], per_problem: int, choose: str, seed: str) -> list[Trace]:
    """At most `per_problem` traces of a problem with different thoughts, in the order in which they were sampled."""
    distinct: dict[str, tuple[int, Trace]] = {}
    for place, trace in enumerate(found):
        spelling = " ".join(trace.thinking.split())
        if spelling not in distinct or trace.metadata["tokens"] < distinct[spelling][1].metadata["tokens"]:
            distinct[spelling] = place, trace
    there = list(distinct.values())
    if choose == "random":
        Random(seed).shuffle(there)
    else:
        there.sort(key=lambda pair: (pair[1].metadata["tokens"], pair[0]))
    return [trace for _, trace in sorted(there[:per_problem], key=lambda pair: pair[0])]


def _bad_count(value: Any) -> bool:
    return isinstance(value, bool) or not isinstance(value, int) or value < 1
