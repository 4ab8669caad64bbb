"""Continuous batching of one bucket group: a finished row's slot goes to the next sample at the next look of the host.

Prompts wait prefilled in a room (`reasoning.decode.waiting`); when every sample of the room has a slot, the next few are
prefilled. Rooms come by size, so prompts of one size follow each other.

Axis legend: `B` slots, `S` cache length.
"""

import collections
import dataclasses
import time
from collections.abc import Callable, Iterator

import jax
import numpy as np

from reasoning.decode.base import Chain
from reasoning.decode.ledger import Ledger
from reasoning.decode.loop import Report
from reasoning.decode.plan import Plan
from reasoning.decode.programs import Programs, blank_admission
from reasoning.decode.requests import Job, Response
from reasoning.decode.slots import STOP_ID, STOP_REASONS, THOUGHT_ENDS
from reasoning.decode.waiting import Queue
from reasoning.models.flops import generated_flops, prefill_flops
from reasoning.models.model import Model


@dataclasses.dataclass(eq=False)
class Sample:
    """One sample on its way: its job, its number, the room's row that holds its prompt, and the seconds charged to it."""

    job: Job
    number: int
    room_row: int
    seconds: float = 0.0


def write_admission(admission, row: int, job: Job, sample: int, room_row: int) -> None:
    """Has sample `sample` of `job`, whose prompt is in the room's row `room_row`, enter slot `row`."""
    admission.source[row] = room_row
    admission.tokens[row, : len(job.prompt)] = job.prompt
    admission.prompt_length[row] = len(job.prompt)
    admission.limit[row] = len(job.prompt) + job.max_tokens
    admission.seed[row] = job.request.seed
    admission.identity[row] = job.identity
    admission.sample[row] = sample
    for name, value in job.knobs.items():
        admission.knobs[name][row] = value


class Group:
    """Runs the jobs of one bucket. `live` is the number of rows that were running at the last look.

    Attributes:
      compile_seconds: spent compiling programs of its own: none. teams: rows that wait for each other: none.
      reserved: cache positions set aside: a row for each sample, the rows that no sample needed, and waiting rooms.
      used: positions that the finished samples had filled in the end.
    """

    compile_seconds = 0.0
    teams = None

    @staticmethod
    def check(model: Model, slots: int, chain: Chain, jobs: list[Job]) -> None:
        """Nothing that a request may say stops it; a search is asked in this place whether it can run."""

    @staticmethod
    def plan(model: Model, plan: Plan, bucket: int) -> Plan:
        """The plan for its slots: as it is, since it needs memory for nothing else; a search does."""
        return plan

    def __init__(self, model: Model, programs: Programs, entrance: Callable, chain: Chain, plan: Plan, tables, jobs: list[Job]):
        """entrance: prompt length → (RoomPrograms, admit) for such prompts."""
        self._model, self._programs = model, programs
        self._chain, self._plan, self._tables = chain, plan, tables
        self._queue = Queue(jobs, entrance, model.params)
        self._waiting: collections.deque[Sample] = collections.deque()
        self._occupants: list[Sample | None] = [None] * programs.rows
        self._steps = jax.device_put(np.int32(plan.steps))
        self.live = 0
        self._rows_reserved = programs.bucket * max(programs.rows, sum(len(job.samples) for job in jobs))
        self.used = 0

    @property
    def reserved(self) -> int:
        """See the class."""
        return self._rows_reserved + self._queue.reserved

    def run(self) -> Iterator[Response]:
        """Responses as they finish."""
        slots = self._programs.empty(self._tables)
        reports: collections.deque[tuple[Report, list[Sample | None]]] = collections.deque()
        clock = time.perf_counter()
        while True:
            slots = self._refill(slots)
            if any(self._occupants):
                slots, report = self._programs.decode(self._model.params, slots, self._tables, self._steps)
                reports.append((report, list(self._occupants)))
            elif not reports:
                return
            if len(reports) <= self._plan.lag and any(self._occupants):
                continue
            report, then = reports.popleft()
            done = np.asarray(report.done)  # waits for this chunk, while the next one may already run
            emitted, paused = np.asarray(report.emitted), np.asarray(report.pause)
            clock, since = time.perf_counter(), clock
            self._charge(then, emitted, clock - since)
            if paused.any():  # nobody selects among rows here, so a pause is only a rest until the next look
                slots = self._programs.resume(slots, jax.device_put(paused))
            self.live = int((~done & np.array([sample is not None for sample in then])).sum())
            for row, sample in enumerate(then):
                # A report that is one chunk old may show a row done that has a new occupant by now.
                if sample is None or not done[row] or self._occupants[row] is not sample:
                    continue
                self._occupants[row] = None
                values = jax.device_get(self._programs.read(slots, jax.device_put(np.int32(row))))
                handed_over = time.perf_counter()
                yield self._response(sample, values)
                clock += time.perf_counter() - handed_over  # the consumer's time is not ours

    def _refill(self, slots):
        """Gives every free slot to the next waiting sample, prefilling prompts as they are needed."""
        free = [row for row, occupant in enumerate(self._occupants) if occupant is None]
        while free and (self._waiting or self._queue):
            if not self._waiting:
                found = enumerate(self._queue.prefill())
                self._waiting.extend(Sample(job, number, row) for row, job in found for number in job.samples)
            admission = blank_admission(self._chain, self._programs.rows, self._programs.bucket)
            while free and self._waiting:
                row, sample = free.pop(0), self._waiting.popleft()
                self._occupants[row] = sample
                write_admission(admission, row, sample.job, sample.number, sample.room_row)
            slots = self._queue.admit(slots, self._queue.room.cache, jax.device_put(admission), self._tables)
        return slots

    @staticmethod
    def _charge(then: list[Sample | None], emitted: np.ndarray, seconds: float):
        """Splits the seconds between two looks, prefill included, among the rows in proportion to their steps."""
        total = sum(int(emitted[row]) for row, sample in enumerate(then) if sample is not None)
        for row, sample in enumerate(then):
            if sample is not None and total:
                sample.seconds += seconds * int(emitted[row]) / total

    def _response(self, sample: Sample, values) -> Response:
        begin, end = int(values["prompt_length"]), int(values["length"])
        self.used += end
        forced = int(values["forced"][begin:end].sum())
        ledger = Ledger(
            prompt=begin,
            sampled=end - begin - forced,
            forced=forced,
            discarded=int(values["discarded"]),
            flops_prompt=prefill_flops(self._model.config, begin - 1),
            flops_generated=generated_flops(self._model.config, begin, int(values["draws"])),
            seconds=sample.seconds,
        )
        return response_of(self._model.tokenizer, sample.job.request.id, sample.number, values, ledger)


def response_of(tokenizer, name: str, sample: int, values, ledger: Ledger, **more) -> Response:
    """The response to sample `sample` of request `name` from what `Programs.read` gave of its row; `more`: further fields."""
    begin, end, reason = (int(values[field]) for field in ("prompt_length", "length", "reason"))
    tokens = values["tokens"][begin:end]
    shown = tokens[:-1] if reason == STOP_ID and len(tokens) else tokens
    return Response(
        id=name,
        sample=sample,
        text="" if tokenizer is None else tokenizer.decode(shown.tolist()),
        tokens=tokens,
        forced=values["forced"][begin:end],
        logprobs=values["logprob"][begin:end],
        processed_logprobs=values["processed_logprob"][begin:end],
        stop_reason=STOP_REASONS[reason],
        thought_end=THOUGHT_ENDS[int(values["thought"])],
        ledger=ledger,
        other_tokens=values["other_tokens"][begin:end],
        other_logprobs=values["other_logprobs"][begin:end],
        **more,
    )
