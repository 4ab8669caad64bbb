"""Runs a search over the problems of one bucket: P problems of W rows at once, each swapped for the next when it is done.

`Searching` is made by a method and handed to `Engine.generate(…, group=…)`; it stands where `reasoning.decode.schedule.Group`
stands for plain sampling, so requests are checked, bucketed and prefilled in the same way.

The host looks at a round `plan.lag` rounds late, when the next may already run: a complete row does not change any more.

Axis legend: `P` problems, `W` rows per problem, `B` slots, `T` tokens of a step.
"""

import collections
import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from reasoning.decode.base import Chain
from reasoning.decode.loop import Teams
from reasoning.decode.plan import Plan
from reasoning.decode.programs import Programs, blank_admission
from reasoning.decode.requests import Job, Response
from reasoning.decode.schedule import response_of, write_admission
from reasoning.decode.spread import Spread
from reasoning.decode.waiting import Queue
from reasoning.errors import InputError
from reasoning.models.model import Model
from reasoning.rewards.base import Scorer, check_scores
from reasoning.search.arena import Arena, Report
from reasoning.search.base import AGGREGATIONS, Search
from reasoning.search.memory import left
from reasoning.search.programs import Rounds
from reasoning.search.rounds import Entry, Shape
from reasoning.search.spelling import question_ids, size
from reasoning.search.tree import Tree


@dataclasses.dataclass(frozen=True, eq=False)
class Searching:
    """A search with all that it needs; called with what the engine gives a group, it makes the group.

    Attributes:
      search: how rows are selected. width: rows per problem, N. step_tokens: tokens of a step at most, T.
      rounds: after so many rounds what still runs is ended, with the stop reason "length".
      aggregation: of the scores of a row's steps, one of `AGGREGATIONS`.
      scorer: None scores a prefix by the policy's own mean log-probability.
      keep: called with the `Tree.record` of each problem before its responses are handed out.
      share: of the problems that are under way, how many must come to the end of a step before there is a round; the others are
        then in the middle of theirs and go on behind it. 1 waits for the longest step of all. It changes no result. None: 0.5,
        but 1 on a CPU with a scorer that reads, since a read of all rows costs more there than waiting.
    """

    search: Search
    width: int
    step_tokens: int = 256
    rounds: int = 40
    aggregation: str = "last"
    scorer: Scorer | None = None
    keep: Callable[[dict[str, Any]], None] | None = None
    share: float | None = None

    def __post_init__(self):
        """Raises InputError for what cannot be searched, whatever the problems."""
        for name in ("width", "step_tokens", "rounds"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise InputError(f"a search's {name} must be a whole number ≥ 1, got {value!r}")
        if self.share is not None and not 0 < self.share <= 1:
            raise InputError(f"a search's share of problems must lie in (0, 1], got {self.share!r}")
        if self.aggregation not in AGGREGATIONS:
            raise InputError(f"scores of steps are aggregated by {', '.join(AGGREGATIONS)}, got {self.aggregation!r}")
        if self.search.cuts and self.scorer is not None:
            raise InputError(
                f"a search that takes steps back cannot use the scorer {self.scorer.name!r}, which cannot unread them"
            )
        self.search.check(self.width)

    @property
    def teams(self) -> Teams | None:
        """What decoding waits for; None is everybody, as for a lookahead, which puts no row aside in the middle of a step."""
        dear = self.scorer is not None and self.scorer.reads and jax.default_backend() == "cpu"
        share = self.share or (1.0 if dear else 0.5)
        return None if self.search.rollout or share == 1 else Teams(self.width, share)

    def plan(self, model: Model, plan: Plan, bucket: int) -> Plan:
        """`plan` with the memory that is left beside the scorer and a second copy of all caches."""
        if plan.memory is None:
            return plan
        shape = Shape(1, self.width, self.step_tokens, self.rounds, self.aggregation)
        ids = size(self.scorer, self.step_tokens)
        return dataclasses.replace(plan, memory=left(plan.memory, model, self.scorer, self.search, shape, bucket, ids))

    def __call__(self, model: Model, programs: Programs, entrance: Callable, chain: Chain, plan: Plan, tables, jobs: list[Job]):
        """The group of one bucket. Raises InputError where its slots, chain or knobs do not serve."""
        self.check(model, programs.rows, chain, jobs)  # the memory may hold fewer rows than the plan has slots
        return SearchGroup(self, model, programs, entrance, chain, plan, tables, jobs)

    def check(self, model: Model, slots: int, chain: Chain, jobs: Sequence[Job]) -> None:
        """Raises InputError for what this search cannot run; the engine asks before the first token."""
        if model.mesh is not None and model.mesh.shape["data"] > 1:
            raise InputError("a search moves rows among all of its slots, so data of the mesh must be 1; use tensor instead")
        if slots < self.width:
            raise InputError(
                f"a search of width {self.width} needs as many slots, there are {slots}; raise max_slots, or lower max_tokens "
                "where the memory holds no more"
            )
        if {"step_ends", "step_tokens", "temperature"} - chain.knobs.keys():
            raise InputError("a search needs `steps.step_ends()` and `transforms.temperature()` in its chain")
        for job in jobs:
            self.check_job(job)

    def check_job(self, job: Job) -> None:
        """Raises InputError for a request that this search cannot run."""
        where, tokens = f"request {job.request.id!r}", int(job.knobs["step_tokens"])
        if job.samples != tuple(range(self.width)):
            raise InputError(f"{where}: a search of width {self.width} draws all of its samples together; ask for n={self.width}")
        if not 0 < tokens <= self.step_tokens:
            raise InputError(f"{where}: the knob step_tokens must lie in 1 … {self.step_tokens}, the search's, got {tokens}")
        if int(job.knobs["forced_start"]) >= 0:
            raise InputError(f"{where}: a search cannot begin with forced text; write it at the end of the prompt")


@dataclasses.dataclass(eq=False)
class Active:
    """A problem on its way; emitted: int32[W], model steps of its rows since its last round."""

    job: Job
    tree: Tree
    emitted: Any = 0


class SearchGroup:
    """Searches the jobs of one bucket; attributes as of `reasoning.decode.schedule.Group`, and `arena`."""

    def __init__(self, setting: Searching, model, programs, entrance, chain, plan, tables, jobs: list[Job]):
        self._setting, self._model, self._programs = setting, model, programs
        self._chain, self._plan, width = chain, plan, setting.width
        shape = Shape(programs.rows // width, width, setting.step_tokens, setting.rounds, setting.aggregation)
        scorer, ids = setting.scorer, size(setting.scorer, setting.step_tokens)
        # Other weights of a scorer are no other program.
        functions = scorer and (scorer.init, scorer.begin, scorer.score, scorer.extra, scorer.peek)
        key, made = (setting.search, functions, shape, ids), programs.more
        self._compiled = made[key].compile_seconds if key in made else 0.0
        if key not in made:
            spread = Spread(model.mesh, model.network.cache_partition)
            made[key] = Rounds(setting.search, setting.scorer, chain, shape, programs.slots, tables, ids, spread)
        self._rounds = made[key]
        self.arena = Arena(model, programs, self._rounds, setting.scorer, setting.search.rollout, tables)
        self._queue = Queue(jobs, entrance, model.params)
        self._waiting: collections.deque[tuple[Job, int]] = collections.deque()
        self._occupants: list[Active | None] = [None] * shape.problems
        self._rows_reserved = programs.bucket * max(programs.rows, width * len(jobs))
        self.used = self.live = 0

    @property
    def compile_seconds(self) -> float:
        """Spent compiling programs of its own."""
        return self._rounds.compile_seconds - self._compiled

    @property
    def reserved(self) -> int:
        """Cache positions set aside: of all rows, and of waiting rooms."""
        return self._rows_reserved + self._queue.reserved

    def run(self) -> Iterator[Response]:
        """The W responses of a problem as soon as all of them are complete."""
        reports: collections.deque[tuple[Report, list[Active | None]]] = collections.deque()
        clock = time.perf_counter()
        while True:
            compiled = self.compile_seconds
            self.refill()
            clock += self.compile_seconds - compiled  # nobody's time: it is counted apart
            if any(self._occupants):
                reports.append((self.arena.round(), list(self._occupants)))
            elif not reports:
                return
            if len(reports) <= self._plan.lag and any(self._occupants):
                continue
            report, then = reports.popleft()
            seen = plain(jax.device_get(report))  # waits for this round, while the next one may already run
            clock, since = time.perf_counter(), clock
            mine = [problem for problem, active in enumerate(then) if active and self._occupants[problem] is active]
            self._grow(seen, mine, clock - since)
            self.live = int(sum((~seen["done"][self._rows(problem)]).sum() for problem in mine))
            for problem in mine:
                if seen["done"][self._rows(problem)].all():
                    responses = self._finish(problem)
                    handed_over = time.perf_counter()
                    yield from responses
                    clock += time.perf_counter() - handed_over  # the consumer's time is not ours

    def refill(self) -> None:
        """Gives the rows of every problem that is done to the next one, prefilling prompts as they are needed."""
        free = [problem for problem, active in enumerate(self._occupants) if active is None]
        while free and (self._waiting or self._queue):
            if not self._waiting:
                self._waiting.extend((job, row) for row, job in enumerate(self._queue.prefill()))
            entering = []
            while free and self._waiting:
                entering.append((free.pop(0), *self._waiting.popleft()))
            self._enter(entering)

    def _enter(self, entering: list[tuple[int, Job, int]]) -> None:
        """(problem's place, job, row of the room) of each that enters."""
        width, places = self._setting.width, len(self._occupants)
        admission = blank_admission(self._chain, self._programs.rows, self._programs.bucket)
        questions = [question_ids(self._setting.scorer, job) for _, job, _ in entering]
        room = self._queue.room.programs.size
        longest = -(-max(map(len, questions)) // room) * room or 1  # a multiple, so that few shapes are compiled
        entry = Entry(
            prompts=np.zeros((places, longest), np.int32),
            n=np.zeros(places, np.int32),
            length=np.zeros(places, np.int32),
            seed=np.zeros(places, np.uint32),
            identity=np.zeros((places, 2), np.uint32),
        )
        for (place, job, row), question in zip(entering, questions, strict=True):
            for sample in range(width):
                write_admission(admission, place * width + sample, job, sample, row)
            entry.prompts[place, : len(question)], entry.n[place] = question, len(question)
            entry.length[place], entry.seed[place], entry.identity[place] = len(job.prompt), job.request.seed, job.identity
            self._occupants[place] = Active(job, Tree(job.request.id, width, len(job.prompt), len(question)))
        self.arena.enter(self._queue.admit, self._queue.room.cache, admission, entry)

    def _rows(self, problem: int) -> slice:
        return slice(problem * self._setting.width, (problem + 1) * self._setting.width)

    def _grow(self, seen: dict[str, np.ndarray], problems: list[int], seconds: float) -> None:
        """Adds a round to the trees, and splits its seconds among the problems in proportion to their model steps."""
        tokenizer, scorer = self._model.tokenizer, self._setting.scorer
        decode = (lambda ids: tokenizer.decode(ids)) if tokenizer else (lambda ids: " ".join(map(str, ids)))
        if scorer is None or not scorer.reads:
            seen["read"] = seen["reads"] * bool(scorer)  # one that peeks feeds a token a read
        else:
            seen["read"] = seen["read"] + scorer.extra * seen["reads"]
        work = (seen["emitted"] + seen["looked"]).astype(float)
        total = sum(work[self._rows(problem)].sum() for problem in problems)
        for problem in problems:
            rows, active = self._rows(problem), self._occupants[problem]
            active.tree.seconds += float(seconds * work[rows].sum() / total) if total else 0.0
            active.emitted = active.emitted + seen["emitted"][rows]
            if not seen["ready"][rows].all():
                continue
            mine = {name: values[rows] for name, values in seen.items()}
            where = f"problem {active.job.request.id!r}, round {len(active.tree.rounds)}, row"
            names = [f"{where} {row}" for row in range(self._setting.width)]
            wrote = np.flatnonzero(mine["n"])  # an empty response has nothing to be scored
            check_scores(scorer.name if scorer else "likelihood", mine["value"][wrote], [names[row] for row in wrote])
            active.tree.add(mine | {"emitted": active.emitted}, decode)
            active.emitted = 0

    def _finish(self, problem: int) -> list[Response]:
        """The responses of a problem that is done; its rows are free."""
        active, self._occupants[problem] = self._occupants[problem], None
        setting, rows = self._setting, range(self._programs.rows)[self._rows(problem)]
        ledgers = active.tree.ledgers(self._model.config, setting.scorer)
        scores, steps = jax.device_get((self.arena.paths.scores, self.arena.paths.steps))
        responses = []
        for sample, row in enumerate(rows):
            values = jax.device_get(self._programs.read(self.arena.slots, jax.device_put(np.int32(row))))
            self.used += int(values["length"])
            more = {"scores": scores[row, : steps[row]]}
            name = active.job.request.id
            responses.append(response_of(self._model.tokenizer, name, sample, values, ledgers[sample], **more))
        if setting.keep is not None:
            setting.keep(active.tree.record())
        return responses


def plain(report: Report) -> dict[str, np.ndarray]:
    """All fields of a report that was read, [B, …] each; `looked` and `read` summed, `reads` the number of steps read."""
    n = np.stack(report.read)
    sums = {"looked": sum(report.looked, np.zeros_like(report.emitted)), "read": n.sum(0), "reads": (n > 0).sum(0)}
    return {**report.window._asdict(), **report.choice._asdict(), "scores": report.scores, "emitted": report.emitted, **sums}
