"""What a scorer is worth on the samples of a finished run: best-of-N and weighted votes beside majority and pass@N, at every N.

<label>/scores/<scorer>.md, .csv    the table; each row has the cost of the samples, and of reading them where the vote needs it
"""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reasoning.errors import InputError
from reasoning.evaluation import scoring
from reasoning.evaluation.experiment import build_engine
from reasoning.evaluation.finished import Finished, open_finished
from reasoning.evaluation.identity import check_weights
from reasoning.evaluation.ledger import cost
from reasoning.evaluation.pool import Record
from reasoning.evaluation.reports import scores, tables
from reasoning.evaluation.reports.scores import Row, sample_seconds
from reasoning.evaluation.scoring import SCORES, attach
from reasoning.evaluation.statistics import metrics, stats
from reasoning.methods.base import Method
from reasoning.methods.best_of_n import Best, Weighted
from reasoning.methods.majority import Plurality
from reasoning.records import write_atomic
from reasoning.rewards.aggregate import AGGREGATIONS


def score(workdir: Path, label: str, spec: Mapping[str, Any], engine: Any = None, *, show: bool = True) -> Path:
    """Has the scorer `spec` read the samples of a finished run; returns the file of its scores (`reasoning.evaluation.scoring`).

    Args:
      engine: of the policy, instead of the one that the run's configuration names.
      show: a progress bar on standard error.
    Raises InputError.
    """
    run = open_finished(workdir)
    method = run.method(label)

    def ready():
        made = engine or build_engine(run.config, run.identity.get("plan"))
        check_weights(workdir, run.identity, {"name": run.config["model"], "source": getattr(made.model, "source", "")})
        return made

    samples = run.samples(label)
    return scoring.score(workdir / label, method, tuple(run.problems.values()), samples, spec, ready, show=show)


def report(workdir: Path, label: str, scorer: str) -> str:
    """Writes and returns the table of a scored pool. Raises InputError if it is not scored, or was drawn one sample a problem."""
    run = open_finished(workdir)
    made = rows(run, label, scorer)
    lines = [_with_scorer(tables.cells(row), f"{row.cost.scorer:.0f}") for row in made]
    differences = [(row, other, stats.paired(row.values, other.values)) for row, other in pairs(made)]
    parts = [
        f"{label}, {len(run.problems)} problems, scored by {scorer}",
        tables.aligned(_with_scorer(tables.HEADER, "scorer"), lines),
        tables.aligned(tables.VERSUS_HEADER, [tables.versus_cells(one) for one in differences]),
    ]
    text = "\n\n".join(parts)
    directory = workdir / label / SCORES
    write_atomic(directory / f"{scorer}.md", text + "\n")
    write_atomic(directory / f"{scorer}.csv", tables.rows_csv(made))
    return text


def rows(run: Finished, label: str, scorer: str) -> list[Row]:
    """A row for each vote and N: majority, best-of-N and weighted with every aggregation that means something, and pass@N.

    Raises InputError.
    """
    method, plain = run.method(label), run.samples(label)
    if method.n < 2:
        raise InputError(f"{label!r} draws one sample of each problem, and votes are over several; name another method")
    read, seconds = attach(plain, run.workdir / label, scorer), sample_seconds(run.workdir / label / "timings.jsonl")
    reading = seconds + sample_seconds(scoring.timings(run.workdir / label, scorer))
    names, out = aggregations(read, scorer), []
    pool = dataclasses.replace(method, vote=Plurality(method.seed))
    out += scores.rows("majority", pool, plain, seconds)
    for title, kind in (("best-of-N", Best), ("weighted", Weighted)):
        for name in names:
            vote = kind(scorer, name, method.seed)
            wide = f"{title}, {name}" if len(names) > 1 else title
            out += scores.rows(wide, dataclasses.replace(method, vote=vote), read, reading)
    return out + oracle_rows(pool, plain, seconds)


def aggregations(records: Sequence[Record], scorer: str) -> list[str]:
    """Those that differ on these scores: one for a scorer of whole responses, no product of what is no probability."""
    steps = [scores.steps_of(one, scorer) for one in records]
    if all(len(one) == 1 for one in steps):
        return ["last"]
    probable = all(0.0 <= score <= 1.0 for score in itertools.chain.from_iterable(steps))
    return [name for name in AGGREGATIONS if name != "prod" or probable]


def oracle_rows(method: Method, records: Sequence[Record], seconds: float) -> list[Row]:
    """pass@N: what the best vote there can be would reach."""
    groups = scores.by_problem(records)
    table = [scores.samples_of(group) for group in groups]
    return [
        Row("pass@N", k, stats.pass_at_k(table, k), cost(groups, k, seconds), tuple(metrics.pass_at_k(one, k) for one in table))
        for k in scores.sizes(method)
    ]


def _with_scorer(cells: Sequence[str], cell: str) -> list[str]:
    """A line of `tables` with one more cell behind the tokens: those that the scorer read."""
    at = tables.HEADER.index("tokens") + 1
    return [*cells[:at], cell, *cells[at:]]


def pairs(made: Sequence[Row]) -> list[tuple[Row, Row]]:
    """Every vote by scores with the majority vote, both over all samples."""
    last: dict[str, Any] = {row.label: row for row in made}
    return [(row, last["majority"]) for name, row in last.items() if name not in ("majority", "pass@N")]
