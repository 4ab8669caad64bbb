"""Rounds over one engine: ask the model, look at what came and at what a scorer says, ask again; all problems in lock step.

A program is a generator for one problem. It yields what it wants to know and is sent the answer:

    responses = yield Ask((request, …))          → a tuple of `Response`s for each request, ordered by sample
    readings = yield Score((candidate, …))       → a `Reading` for each candidate
    return outcome

`drive` collects the wishes of all programs and fulfils them with one `engine.generate` and one `judge.read` a round, so that
slots stay full. Everything that was answered is in a journal: after a kill the programs run again from their beginning against
it, and only what is missing is asked. For that a program must be a function of what it is sent, and its request ids must name
problem, round and role ("p1/2/gradient"): the random key of a sample comes from id, sample number and seed alone.
"""

import abc
import contextlib
import dataclasses
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from reasoning.decode.requests import Request, Response, sample_numbers
from reasoning.errors import InputError
from reasoning.methods.journal import Journal
from reasoning.rewards import judges
from reasoning.rewards.base import check_scores
from reasoning.rewards.responses import Candidate, Judge


@dataclasses.dataclass(frozen=True)
class Ask:
    """Wants every sample of these requests."""

    requests: tuple[Request, ...]


@dataclasses.dataclass(frozen=True)
class Score:
    """Wants these candidates read by the scorer; `problem` and `sample` name a candidate in the whole run."""

    candidates: tuple[Candidate, ...]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a program of a method returns.

    Attributes:
      response: stands for the whole work on the problem: the text that answers, and a ledger of all calls.
      history: JSON-able, a line of `rounds.jsonl`: what each round did.
    """

    response: Response
    history: Mapping[str, Any]


Program = Generator[Ask | Score, tuple, Any]
Watch = Callable[[int], None]


@dataclasses.dataclass(frozen=True)
class Rounds(abc.ABC):
    """How a method works in rounds (`Method.rounds`); a paper's file makes a subclass.

    Attributes:
      scorer: spec of who reads candidates (`reasoning.rewards.judges`); None for programs that never ask.
      width: samples that a round draws for a program at most; it says how many slots are worth having.
    """

    scorer: Mapping[str, Any] | None = dataclasses.field(default=None, hash=False)
    width: int = 1

    def __post_init__(self):
        if self.scorer is not None:
            object.__setattr__(self, "scorer", MappingProxyType(dict(self.scorer)))

    @property
    def about(self) -> Any:
        """JSON-able: what the outcome depends on and the configuration does not say, such as the text of templates."""
        return None

    @abc.abstractmethod
    def check(self, engine, problem: Mapping[str, Any], request: Request, max_tokens: int) -> None:
        """Raises InputError for what would stop a later round on the problem that `request` asks; nothing is generated."""

    @abc.abstractmethod
    def program(self, engine, problem: Mapping[str, Any], request: Request, sample: int, max_tokens: int) -> Program:
        """The program for sample `sample` of a problem, which is asked by `request`; returns an `Outcome`."""

    def generate(
        self,
        engine,
        problems: Mapping[str, Mapping[str, Any]],
        requests: Sequence[Request],
        *,
        journal: Journal | None = None,
        keep: Callable[[dict[str, Any]], None] | None = None,
        watch: Watch | None = None,
        max_tokens: int,
        stop: Sequence[str] = (),
        **options: Any,
    ) -> Iterator[Response]:
        """The responses of all programs as they finish; everything is checked before the first token.

        Args:
          problems: by id. requests: one a problem, with the samples that are wanted.
          journal: where rounds are kept; None keeps none. keep: is called with the history of each problem.
          watch: is called with the number of answers and readings after each; may raise to stop.
          max_tokens, options: of `Engine.generate`; stop: of the requests given alone, not of those of later rounds.
        """
        requests = [dataclasses.replace(request, stop=(*request.stop, *stop)) for request in requests]
        engine.generate(requests, max_tokens=max_tokens, **options).close()
        for request in requests:
            self.check(engine, problems[request.id], request, max_tokens)
        programs = {
            (request.id, sample): self.program(engine, problems[request.id], request, sample, max_tokens)
            for request in requests
            for sample in sample_numbers(request)
        }
        return self._finished(
            engine, programs, Journal() if journal is None else journal, keep, watch, {"max_tokens": max_tokens, **options}
        )

    def _finished(self, engine, programs, journal, keep, watch, options) -> Iterator[Response]:
        reader = judges.judge(engine, self.scorer) if self.scorer is not None and programs else None
        with contextlib.closing(drive(engine, programs, reader, journal, watch=watch, **options)) as outcomes:
            for (problem, sample), outcome in outcomes:
                if keep:
                    keep({"problem": problem, "sample": sample, **outcome.history})
                yield outcome.response


def drive(
    engine,
    programs: Mapping[Any, Program],
    judge: Judge | None,
    journal: Journal,
    *,
    watch: Watch | None = None,
    **options: Any,
) -> Iterator[tuple[Any, Any]]:
    """Runs programs in lock step; yields (name, what the program returned) as they finish.

    Args:
      judge: who reads candidates; None where no program asks.
      journal: of all that was answered, this time and before. watch: as in `Rounds.generate`.
      options: of `Engine.generate`.
    Raises:
      InputError: what engine, judge or journal find wrong, a sample that is asked for twice, a score that is not finite.
    """
    watch = watch or (lambda count: None)
    wishes: dict[Any, Ask | Score] = {}
    asked: set[tuple[str, int]] = set()

    def send(answers: Mapping[Any, tuple | None]) -> Iterator[tuple[Any, Any]]:
        """Sends each program its answer and yields those that end."""
        for name, answer in answers.items():
            try:
                wish = programs[name].send(answer)
            except StopIteration as end:
                wishes.pop(name, None)
                yield name, end.value
                continue
            if not isinstance(wish, Ask | Score):
                raise TypeError(f"the program {name!r} wants {wish!r}, which is neither Ask nor Score")
            wishes[name] = wish

    with contextlib.ExitStack() as stack:
        for program in programs.values():
            stack.callback(program.close)
        yield from send(dict.fromkeys(programs))
        while wishes:
            asks = {name: wish.requests for name, wish in wishes.items() if isinstance(wish, Ask)}
            if asks:  # scores wait until nobody asks: who has asked again falls back into step with the others
                yield from send(_ask(engine, asks, asked, journal, watch, options))
            else:
                scores = {name: wish.candidates for name, wish in wishes.items()}
                yield from send(_score(judge, scores, journal, watch))


def _ask(engine, asks: Mapping[Any, Sequence[Request]], asked, journal: Journal, watch, options) -> dict[Any, tuple]:
    requests = [request for wanted in asks.values() for request in wanted]
    for request in requests:
        for sample in sample_numbers(request):
            if (request.id, sample) in asked:
                raise InputError(f"sample {sample} of request {request.id!r} is asked for twice; name round and role in the id")
            asked.add((request.id, sample))
    lacking = [dataclasses.replace(one, samples=missing) for one in requests if (missing := journal.missing(one))]
    if lacking:
        by_id = {request.id: request for request in lacking}
        with contextlib.closing(engine.generate(lacking, **options)) as responses:
            for response in responses:
                journal.keep_response(by_id[response.id], response)
                watch(journal.count)
    return {
        name: tuple(tuple(journal.response(one, sample) for sample in sample_numbers(one)) for one in wanted)
        for name, wanted in asks.items()
    }


def _score(judge: Judge | None, scores: Mapping[Any, Sequence[Candidate]], journal: Journal, watch) -> dict[Any, tuple]:
    lacking = [one for wanted in scores.values() for one in wanted if journal.reading(one) is None]
    if lacking:
        if judge is None:
            raise InputError("these rounds want their candidates scored, and the method names no scorer; give it one")
        for candidate, reading in judge.read(lacking):
            check_scores(judge.name, np.array(reading.scores), [candidate.name] * len(reading.scores))
            journal.keep_reading(candidate, reading)
            watch(journal.count)
    return {name: tuple(map(journal.reading, wanted)) for name, wanted in scores.items()}
