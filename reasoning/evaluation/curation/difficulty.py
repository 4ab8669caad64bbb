"""The filter for difficulty: what a model already solves teaches little (s1: 51,581 → 24,496 by two models of 7 and 32 B).

Each model tries, as any run of scripts/evaluate.py does: resumable, in a directory of its own, judged by the task's scorer. It
is the dear filter, so it comes last, and the second model tries only what the first did not solve.

    <workdir>/<label>/math/problems.jsonl    what it was asked, one directory for each kind of score
    <workdir>/<label>/math/config.json …     the run (`reasoning.evaluation.experiment`)
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from reasoning.data.curation.why import Why
from reasoning.data.traces import Trace, write_traces
from reasoning.errors import InputError
from reasoning.evaluation import experiment
from reasoning.evaluation.finished import open_finished

SCORED_WITHOUT = "reasoning_gym"  # its scorer needs no reference


def drop(
    traces: Iterable[Trace],
    models: Mapping[str, Mapping[str, Any]],
    share: float = 0.5,
    workdir: Path = Path(),
    show: bool = True,
    engine: Any = None,
) -> dict[str, Why]:
    """Drops traces whose question a model solves, and those without a reference, which nobody can judge (s1 drops them too).

    Args:
      models: {label: a configuration of `reasoning.evaluation.experiment` without its task}.
      share: of a method's samples that must be right; one right answer of one is enough by default.
      workdir, show, engine: of the runs.
    Raises InputError for a wrong configuration, and whatever ends a run.
    """
    if not models or not 0 < share <= 1:
        raise InputError(f"difficulty: {len(models)} models, share {share}; name at least one model and a share in (0, 1]")
    left, out = [], {}
    for trace in traces:
        if trace.reference or _score(trace) == SCORED_WITHOUT:
            left.append(trace)
        else:
            out[trace.id] = Why("no reference")
    for label, config in models.items():
        for score, asked in _by_score(left).items():
            directory = workdir.resolve() / label / score
            solved = _solved(asked, config, share, directory, show, engine)
            out |= {name: Why(f"solved by {label}", method) for name, method in solved.items()}
        left = [trace for trace in left if trace.id not in out]
    return out


def _solved(
    asked: Sequence[Trace], config: Mapping[str, Any], share: float, directory: Path, show: bool, engine: Any
) -> dict[str, str]:
    """{id: method that solved it}, by a run in `directory`."""
    problems = directory / "problems.jsonl"
    write_traces(problems, asked)
    experiment.evaluate({**config, "task": {"family": "traces", "path": str(problems)}}, directory, show=show, engine=engine)
    run, out = open_finished(directory), {}
    for label in run.methods:
        grades = defaultdict(list)
        for record in run.records(label):
            grades[record["problem"]].append(record["correct"])
        out |= {name: label for name, found in grades.items() if sum(found) >= share * len(found)}
    return out


def _by_score(traces: Sequence[Trace]) -> dict[str, list[Trace]]:
    out = defaultdict(list)
    for trace in traces:
        out[_score(trace)].append(trace)
    return dict(sorted(out.items()))


def _score(trace: Trace) -> str:
    return trace.metadata.get("score") or "math"
