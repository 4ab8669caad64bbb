"""Is this answer right? Grading in a pool of worker processes that a model's answer can neither hang, kill nor make
execute anything.

    with Grader() as grader:
        grader.grade(problem, "so the sum is 42. Answer: 42")  # Grade(correct=True, score=1.0, extracted="42", status="graded")

What is graded is what `reasoning.text.answers.extract` finds: the last \\boxed{}, else after "Final Answer:", else
after "Answer:". How, by `problem.score`:

    math            equal after normalising, equal integers, or symbolically equal by math-verify
    exact           equal after normalising
    choice          the same letter ("B", "(B)", "B. Paris")
    reasoning_gym   the generator's own scorer; correct means full score

Workers are started on demand with `subprocess` (no fork of a process that has JAX threads, no import of the caller's
main module) and are kept: importing sympy costs 0.5 s, reasoning-gym 2 s, an answer about a millisecond. Plain
integers, exact and choice answers need no worker at all.
"""

import json
import os
import queue
import re
import selectors
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from reasoning.data.tasks import Problem
from reasoning.errors import InputError
from reasoning.text.answers import extract, normalise

PREPARE_SECONDS = 120.0  # a first import on a cold disk
MAX_ANSWER_CHARS = 20_000  # no reference answer that we know comes near
INTEGER = re.compile(r"[+-]?[0-9]{1,100}")
# A letter alone or before punctuation, so that "A marsh" chooses nothing; words that announce it may stand before.
LETTER = re.compile(r"\W*(?:(?:the|correct|best|answer|option|choice|is)\W+)*([A-Z])(?=\W*$|[.):,*}])", re.IGNORECASE)


@dataclass(frozen=True)
class Grade:
    """The judgement on one answer."""

    correct: bool
    score: float  # in [0, 1]; partial credit where the task's scorer gives any
    extracted: str | None  # the answer as found in the text, of a choice the letter; None when there is none
    status: str = "graded"  # or why it counts as wrong: "no answer", "too long", "timeout", "memory", "died", "error"


class Grader:
    """A pool of grading processes. Thread-safe; use as a context manager, or call `close`.

    workers: processes at most. seconds: wall time an answer may take. memory_bytes: address space it may take beyond
    the libraries'.
    """

    def __init__(self, workers: int = 2, seconds: float = 5.0, memory_bytes: int = 1 << 30):
        if workers < 1 or seconds <= 0 or memory_bytes <= 0:
            raise InputError(f"Grader(workers={workers}, seconds={seconds}, memory_bytes={memory_bytes}): all must be positive")
        self._limits = {"seconds": seconds, "memory_bytes": memory_bytes}
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="grading")
        self._workers: queue.LifoQueue[_Worker] = queue.LifoQueue()  # the last one used is warm
        for _ in range(workers):
            self._workers.put(_Worker())
        self._open = workers

    def __enter__(self) -> "Grader":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """Cancel what waits, finish what runs, end the processes. Harmless to repeat."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        while self._open:
            self._workers.get().stop()
            self._open -= 1

    def submit(self, problem: Problem, text: str) -> Future:
        """Grade a whole response in the background → Future[Grade]. Its result raises InputError when a library of the
        scorer is missing.
        """
        return self._submit(problem, extract(text))

    def submit_answer(self, problem: Problem, answer: str | None) -> Future:
        """As `submit`, for an answer that is extracted already, such as the winner of a vote; None is an abstention and
        wrong.
        """
        return self._submit(problem, answer)

    def grade(self, problem: Problem, text: str) -> Grade:
        """Grade a whole response now."""
        return self.submit(problem, text).result()

    def grade_many(self, pairs: Iterable[tuple[Problem, str]]) -> Iterator[Grade]:
        """Grades of (problem, response text), in the order given; all are submitted at once."""
        futures = [self.submit(problem, text) for problem, text in pairs]
        return (future.result() for future in futures)

    def _submit(self, problem: Problem, answer: str | None) -> Future:
        grade = grade_at_once(problem, answer)
        if grade is None:
            return self._threads.submit(self._grade_in_worker, problem, answer)
        future: Future = Future()
        future.set_result(grade)
        return future

    def _grade_in_worker(self, problem: Problem, answer: str) -> Grade:
        worker = self._workers.get()
        try:
            reply = worker.ask(problem, answer, self._limits)
        finally:
            self._workers.put(worker)
        if "score" not in reply:
            return Grade(False, 0.0, answer, reply["status"])
        return Grade(reply["score"] >= 1.0, reply["score"], answer)


def grade_at_once(problem: Problem, answer: str | None) -> Grade | None:
    """The grade where it takes no worker, else None. `answer` is extracted already."""
    if answer is None:
        return Grade(False, 0.0, None, "no answer")
    if len(answer) > MAX_ANSWER_CHARS:
        return Grade(False, 0.0, answer[:MAX_ANSWER_CHARS], "too long")
    if problem.score == "choice":
        letter = _letter(answer)  # this is what is kept, so that "B" and "B. Paris" are one vote
        return _whole(letter == _letter(problem.answer) is not None, letter or answer)
    ours, theirs = normalise(answer), normalise(problem.answer) or ""
    if ours is None:
        return Grade(False, 0.0, None, "no answer")
    if problem.score == "exact":
        return _whole(ours == theirs, answer)
    if INTEGER.fullmatch(ours) and INTEGER.fullmatch(theirs):
        if int(ours) == int(theirs):
            return _whole(True, answer)
        if problem.score == "math":
            return _whole(False, answer)
    return None


def _whole(correct: bool, answer: str) -> Grade:
    return Grade(correct, float(correct), answer)


def _letter(text: str) -> str | None:
    match = LETTER.match(normalise(text) or "")
    return match.group(1).upper() if match else None


class _Worker:
    """One child process, started when first needed and replaced when it had to be killed."""

    def __init__(self):
        self._process = None
        self._prepared = None
        self._served = 0

    def ask(self, problem: Problem, answer: str, limits: dict) -> dict:
        """{"score": …} or {"status": …}. Raises InputError when the scorer cannot be set up."""
        if problem.score == "reasoning_gym":
            judge = {"kind": "reasoning_gym", **{key: problem.metadata[key] for key in ("generator", "parameters")}}
            reference = problem.metadata["entry"]
        else:
            judge, reference = {"kind": "math"}, problem.answer
        request = {"answer": answer, "reference": reference, **limits}
        reply = self._ask_prepared(judge, request)
        if reply.get("status") in ("memory", "died") and self._served > 1:
            # Memory that earlier answers left behind must not decide this one: once more, in a fresh process.
            reply = self._ask_prepared(judge, request)
        return reply

    def _ask_prepared(self, judge: dict, request: dict) -> dict:
        if self._process is None or self._process.poll() is not None:
            self._start()
        if self._prepared != judge:
            reply = self._exchange({"prepare": judge}, PREPARE_SECONDS)
            if "input_error" in reply:
                raise InputError(reply["input_error"])
            if "ready" not in reply:
                raise RuntimeError(f"a grading process could not load {judge}: {reply}")
            self._prepared = judge
        self._served += 1
        reply = self._exchange(request, request["seconds"])
        if reply.get("status") in ("memory", "died", "timeout"):
            self.stop()
        return reply

    def _start(self) -> None:
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "PYTHONHASHSEED": "0",  # sympy orders some things by hash
            "PYTHONDONTWRITEBYTECODE": "1",
            "OPENBLAS_NUM_THREADS": "1",  # its threads reserve address space, and there may be none
            "OMP_NUM_THREADS": "1",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "reasoning.evaluation.grading.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,  # Ctrl-C in the terminal is for the run, which then closes the pool
        )
        self._prepared, self._served = None, 0

    def _exchange(self, message: dict, seconds: float) -> dict:
        """One request and its reply; {"status": "timeout" | "died"} when none comes."""
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            return {"status": "died"}
        deadline, line = time.monotonic() + seconds, b""
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    return {"status": "timeout"}
                piece = os.read(self._process.stdout.fileno(), 65536)
                if not piece:
                    return {"status": "died"}
                line += piece
        return json.loads(line)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process.stdin.close()
            self._process.stdout.close()
            self._process = None
