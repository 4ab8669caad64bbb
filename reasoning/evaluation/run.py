"""A method over a task, resumable: killed at any moment and started again, it ends with the same bytes.

    generations.jsonl   one record a sample (`reasoning.evaluation.pool`)
    timings.jsonl       seconds of each sample, and of each start of the program; apart, because they differ from run to run
    trees.jsonl         of a method that searches, a line a problem: what each round wrote, scored and kept
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
from reasoning.evaluation.grading import Grade, Grader
from reasoning.evaluation.parts import part
from reasoning.evaluation.pool import Pool, Record, record
from reasoning.evaluation.progress import Progress
from reasoning.evaluation.thinking import finder
from reasoning.methods.base import Method
from reasoning.processes import ALONE, Processes
from reasoning.records import Lines, dumps, write_atomic

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
            with trees(directory, method, problems, processes) as keep:
                _draw(method, problems, pool, ready, grader, progress, board, check, keep)
    return [pool.records[key] for key in pool.wanted if key in pool.records]


@contextlib.contextmanager
def trees(
    directory: Path, method: Method, problems: Sequence[Problem], processes: Processes
) -> Iterator[Callable[[dict[str, Any]], None] | None]:
    """What keeps the tree of each problem, in the order of the task once all are there; None for a method without a search.

    A problem that is searched again after a crash grows the same tree, which is kept once.
    """
    if method.search is None:
        yield None
        return
    path = part(directory / "trees.jsonl", processes)
    with Lines(path) as lines:
        there = {line["problem"]: line for line in lines.records}

        def keep(tree: dict[str, Any]) -> None:
            if tree["problem"] not in there:
                lines.append(tree)
                there[tree["problem"]] = tree

        yield keep
    if all(problem.id in there for problem in problems):
        write_atomic(path, b"".join(dumps(there[problem.id]) for problem in problems))


def _draw(method, problems, pool, engine, grader, progress, board, check, keep) -> None:
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

        for response in stack.enter_context(contextlib.closing(method.generate(engine, problems, pool.missing, keep))):
            waiting.append((response, grader.submit_answer(by_id[response.id], method.answer(response))))
            for done in [pair for pair in waiting if pair[1].done()]:
                waiting.remove(done)
                add(done[0], done[1].result())
            check()
        for response, grade in waiting:
            add(response, grade.result())
        pool.note(progress.session())
