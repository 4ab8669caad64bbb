"""A method over a task, resumable: killed at any moment and started again, it ends with the same bytes.

    generations.jsonl   one record a sample (`reasoning.evaluation.pool`)
    timings.jsonl       seconds of each sample, and of each start of the program; apart, because they differ from run to run
    trees.jsonl         of a method that searches, a line a problem: what each round wrote, scored and kept
    rounds.jsonl        of a method in rounds, a line a sample: what each round cost and came to; journal.jsonl: all it has asked
    metrics.jsonl       progress, one line every few samples; tensorboard/ is a view of it

That the *samples* are the same is the engine's doing: a sample depends on run seed, problem and sample number, not on
what runs beside it, so a resumed run asks for the missing numbers and nothing else.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from reasoning.data.tasks import Problem
from reasoning.decode.requests import Response
from reasoning.evaluation.board import Board
from reasoning.evaluation.grading.grader import Grade, Grader
from reasoning.evaluation.parts import part
from reasoning.evaluation.pool import Pool, Record, record
from reasoning.evaluation.progress import Progress
from reasoning.evaluation.thoughts.thinking import finder
from reasoning.methods.base import Method
from reasoning.methods.journal import Journal
from reasoning.processes import ALONE, Processes
from reasoning.records import Lines, dumps, read_lines, write_atomic

LOGS = 50  # metrics lines a run


def run(
    method: Method,
    problems: Sequence[Problem],
    directory: Path,
    engine: Callable[[], Any],
    grader: Grader,
    *,
    label: str = "",
    show: bool = True,
    processes: Processes = ALONE,
    check: Callable[[], None] = lambda: None,
) -> list[Record]:
    """Draws the samples that `directory` lacks and returns all that are there, ordered by problem and sample.

    One of several processes draws its share, into a part of its own (`reasoning.evaluation.parts`); process 0 alone shows a
    bar and writes metrics, which are those of its share.

    Args:
      engine: makes the engine; not called when nothing is missing.
      label: name on the progress bar, which goes to standard error if `show`.
      check: called after every sample; raises when it is time to stop.
    Raises:
      InputError: repeated ids, a directory of another run, a full disk; what was finished stays and counts.
    """
    with Pool(directory, problems, method.n, processes) as pool:
        if pool.missing:
            ready = engine()
            progress = Progress(pool, ready, label or method.name, show and processes.leads)
            board = Board(directory, pool.records.values()) if processes.leads else None
            with histories(directory, method, problems, processes) as keep, journal(directory, method, processes) as asked:
                _draw(method, problems, pool, ready, grader, progress, board, check, keep, asked)
    return [pool.records[key] for key in pool.wanted if key in pool.records]


@contextlib.contextmanager
def histories(
    directory: Path, method: Method, problems: Sequence[Problem], processes: Processes
) -> Iterator[Callable[[dict[str, Any]], None] | None]:
    """What keeps the tree of each problem, or the rounds of each sample, in the order of the task once all are there; None for a
    method that has neither.

    A problem that is worked on again after a crash comes to the same, which is kept once.
    """
    if method.search is None and method.rounds is None:
        yield None
        return
    name, each = ("trees", 1) if method.rounds is None else ("rounds", method.n)
    path = part(directory / f"{name}.jsonl", processes)
    with Lines(path) as lines:
        there = {(line["problem"], line.get("sample", 0)): line for line in lines.records}

        def keep(line: dict[str, Any]) -> None:
            key = line["problem"], line.get("sample", 0)
            if key not in there:
                lines.append(line)
                there[key] = line

        yield keep
    wanted = [(problem.id, sample) for problem in problems for sample in range(each)]
    if all(key in there for key in wanted):
        write_atomic(path, b"".join(dumps(there[key]) for key in wanted))


@contextlib.contextmanager
def journal(directory: Path, method: Method, processes: Processes) -> Iterator[Journal | None]:
    """Where a method in rounds keeps what it has asked; None for any other."""
    if method.rounds is None:
        yield None
        return
    path = directory / "journal.jsonl"
    earlier = [] if processes.count == 1 else read_lines(path)[0]
    with Journal(part(path, processes), method.rounds.about, earlier) as made:
        yield made


def _draw(method, problems, pool, engine, grader, progress, board, check, keep, asked) -> None:
    by_id = {problem.id: problem for problem in problems}
    every = max(1, pool.total // LOGS)
    thinking = finder(engine, method.delimiters)
    waiting: list[tuple[Response, Future]] = []  # graded in other processes while the engine goes on
    with contextlib.ExitStack() as stack:
        stack.enter_context(progress.bar)
        if board:
            stack.enter_context(board)

        def add(response: Response, grade: Grade) -> None:
            first, behind = thinking(response.tokens, response.forced)
            new = record(response, grade, behind - first)
            pool.add(new, response.ledger.seconds)
            progress.add(new)
            if board and (progress.step % every == 0 or progress.step == pool.total):
                board.log(progress.step, progress.scalars(), progress.lengths, new)

        def watch(count: int) -> None:
            progress.told(count)
            check()

        drawn = method.generate(engine, problems, pool.missing, keep, asked, watch)
        for response in stack.enter_context(contextlib.closing(drawn)):
            waiting.append((response, grader.submit_answer(by_id[response.id], method.answer(response))))
            for done in [pair for pair in waiting if pair[1].done()]:
                waiting.remove(done)
                add(done[0], done[1].result())
            check()
        for response, grade in waiting:
            add(response, grade.result())
        pool.note(progress.session())
