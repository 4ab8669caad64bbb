"""The engine: requests in, responses out as they finish; slots are refilled from the queue at every look of the host.

One bucket group at a time, requests in their given order. What a row computes depends on its request alone, never on
neighbours, slot, order or refill history (docs/architecture.md, "Laws").

Axis legend: `B` slots, `W` rows of the waiting room, `S` cache length.
"""

import collections
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding

from reasoning import compilation
from reasoning.decode import controllers, transforms
from reasoning.decode.admission import all_knobs
from reasoning.decode.base import Chain
from reasoning.decode.loop import Teams
from reasoning.decode.plan import Plan, bucket_of, fit, make_plan, read_plan, slots_of
from reasoning.decode.programs import Programs, compile_admit, compile_programs
from reasoning.decode.requests import (
    Job,
    Request,
    Response,
    check_request,
    check_types,
    fill_knobs,
    prompt_ids,
    sample_numbers,
    stop_strings,
)
from reasoning.decode.schedule import Group
from reasoning.decode.spread import WHOLE, Spread
from reasoning.decode.waiting import RoomPrograms, compile_room
from reasoning.errors import InputError
from reasoning.models.model import Model
from reasoning.sharding import device_bytes
from reasoning.text.patterns import Capacity, TableBuilder, Tables

STANDARD = Chain(transforms.standard(), controllers.standard())


class Engine:
    """Owns the compiled programs and the text tables of one model.

    Args:
      model: what `reasoning.load` returned. If it was loaded onto a mesh, the engine runs there.
      mesh: puts the model on this mesh first (`reasoning.sharding.make_mesh`); None leaves it where it is.
      max_slots: sequences that run at once, if memory allows; None plans from the device.
      plan: a plan to reuse (`Engine.plan` of an earlier run); overrides `max_slots`.
      alternatives: how many of the likeliest tokens to keep beside each emitted one.
      capacity: room in the text tables; a larger one is another compiled program.

    Raises InputError for a model without a language head.

    Attributes:
      plan: JSON-able dict of static shapes. compile_seconds: spent compiling so far. live: rows running now.
      cache_use: (positions of KV cache set aside, of these filled in the end) of the bucket groups of the latest `generate`.
    """

    def __init__(
        self,
        model: Model,
        max_slots: int | None = None,
        plan: Mapping[str, Any] | None = None,
        alternatives: int = 0,
        capacity: Capacity | None = None,
        mesh: Mesh | None = None,
    ):
        model.check_generates()
        if not isinstance(alternatives, int) or not 0 <= alternatives <= model.config.vocab_size:
            raise InputError(f"alternatives must be a whole number from 0 to the vocabulary's size, got {alternatives!r}")
        compilation.enable()
        self.model = model = model if mesh is None else model.on(mesh)
        self.compile_seconds = 0.0
        self.live = 0
        self.cache_use = (0, 0)
        self._alternatives = alternatives
        size = device_bytes(model.params)
        self._plan = read_plan(plan) if plan is not None else make_plan(size, max_slots, model.mesh)
        self._programs: dict[tuple[Chain, int, Teams | None, int], Programs] = {}
        self._rooms: dict[int, RoomPrograms] = {}
        self._admits: dict[tuple[Chain, int, int, int], Callable[..., Any]] = {}
        self._builder = TableBuilder(*_vocabulary(model), capacity=capacity or Capacity())
        self._latest: tuple[tuple, TableBuilder] | None = None
        self._turn = 0

    @property
    def plan(self) -> dict:
        """Static shapes of this engine; pass it to another engine to get the same bits."""
        return self._plan.to_json()

    def pattern(self, text: str) -> int:
        """Row of the text tables for `text`, to be used as a knob value. Compiles nothing."""
        return self._builder.pattern(text)

    def script(self, text: str) -> int:
        """Row of the text tables for the forced text `text`. Compiles nothing."""
        return self._builder.script(text)

    def allowed_set(self, ids: Sequence[int]) -> int:
        """Row of the vocabulary set that holds `ids` alone, for the knob `allowed_set`. Compiles nothing."""
        return self._builder.vocabulary_set(ids)

    def generate(
        self,
        requests: Iterable[Request],
        *,
        max_tokens: int = 256,
        stop: Sequence[str] = (),
        chain: Chain = STANDARD,
        group: Callable[..., Any] = Group,
        **knobs: Any,
    ) -> Iterator[Response]:
        """Answers every sample of every request; responses come as they finish, so in no particular order.

        Everything is checked before the first token. One live `generate` an engine: a later call ends an earlier one,
        and closing or abandoning the iterator leaves the engine as good as new.

        Args:
          max_tokens: new tokens at most, where a request names none. stop: strings that end a response.
          chain: transforms and controllers; another chain is another set of compiled programs.
          group: who runs the jobs of one bucket, made and used as `reasoning.decode.schedule.Group` is; a search brings its own.
          **knobs: settings for all requests (temperature, top_p, …); a request's own override them.

        Raises:
          InputError: for anything wrong with a request; nothing has run then.
        """
        if isinstance(requests, (Request, Mapping, str)):
            raise InputError("generate takes a list of requests; write generate([request])")
        requests, stop = [check_types(request) for request in requests], stop_strings(stop, "generate")
        strings = (text for request in requests for text in (*stop, *request.stop))
        builder = self._with_patterns(tuple(dict.fromkeys(strings)))
        jobs = [self._job(request, max_tokens, stop, chain, knobs, builder) for request in requests]
        names = collections.Counter(job.request.id for job in jobs)
        twice = [name for name, count in names.items() if count > 1]
        if twice:
            raise InputError(f"request id {twice[0]!r} appears {names[twice[0]]} times; ids name the random key and must differ")
        group.check(self.model, self._plan.max_slots, chain, jobs)
        self._turn += 1
        return self._run(jobs, chain, builder.build(), self._turn, group)

    def _with_patterns(self, texts: tuple[str, ...]) -> TableBuilder:
        """The text tables with these patterns too, for one call: stop strings of earlier calls take no room."""
        key = (texts, *self._builder.counts.values())  # tables only grow, so equal counts are equal tables
        if self._latest is None or self._latest[0] != key:
            builder = self._builder.copy()
            for text in texts:
                builder.pattern(text)
            self._latest = key, builder
        return self._latest[1]

    def _job(self, request, max_tokens: int, stop: Sequence[str], chain: Chain, knobs, builder: TableBuilder) -> Job:
        config, tokenizer = self.model.config, self.model.tokenizer
        prompt = prompt_ids(request, tokenizer, config.vocab_size)
        limit = check_request(request, max_tokens, config.context, prompt)
        values = dict(knobs) | dict(request.knobs)
        if "stop_ids" in chain.knobs and "stop_ids" not in values and tokenizer is not None:
            values["stop_ids"] = tokenizer.stop_ids
        strings = [*stop, *request.stop]
        if strings:
            values["stop_patterns"] = [builder.pattern(text) for text in strings]
        filled = fill_knobs(all_knobs(chain), values, builder.counts, f"request {request.id!r}")
        return Job(request, prompt, sample_numbers(request), limit, filled)

    def programs(self, bucket: int, chain: Chain = STANDARD, teams: Teams | None = None, plan: Plan | None = None) -> Programs:
        """The compiled programs of a bucket, compiling them on first use; others if `plan` has other rows."""
        model, plan = self.model, plan or self._plan
        rows = slots_of(plan, model.network, bucket, *Spread(model.mesh, model.network.cache_partition).shards)
        key = (chain, bucket, teams, rows)
        if key not in self._programs:
            tables = self._builder.build()
            made = compile_programs(model.network, chain, plan, bucket, model.params, tables, self._alternatives, teams)
            self.compile_seconds += made.seconds
            self._programs[key] = made
        return self._programs[key]

    def fit(self, requests: Iterable[Request], *, max_tokens: int = 256) -> None:
        """Narrows the plan to a workload: no more rows in a bucket than these requests have samples for it.

        Rows that nobody needs cost memory, and on a CPU time. Fit once, before the run, with all that it will ask for:
        a bucket that is in use keeps its rows. Without this every bucket has `max_slots` rows, if they fit the memory.

        Raises InputError as `generate` does for a prompt, a number of samples or of tokens.
        """
        samples: collections.Counter[int] = collections.Counter()
        for request in map(check_types, requests):
            prompt = prompt_ids(request, self.model.tokenizer, self.model.config.vocab_size)
            limit = check_request(request, max_tokens, self.model.config.context, prompt)
            samples[self._bucket(len(prompt) + limit)] += len(sample_numbers(request))
        compiled = {bucket for _, bucket, *_ in self._programs}
        self._plan = fit(self._plan, {bucket: count for bucket, count in samples.items() if bucket not in compiled})

    def _bucket(self, tokens: int) -> int:
        return bucket_of(self._plan, tokens, self.model.config.context)

    def entrance(self, chain: Chain, programs: Programs, prompt_length: int) -> tuple[RoomPrograms, Callable[..., Any]]:
        """Room for a prompt and the way from it into the slots of `programs`, compiled on first use."""
        size, network = self._bucket(prompt_length), self.model.network
        if size not in self._rooms:
            self._rooms[size] = compile_room(network, self._plan, size, self.model.params)
            self.compile_seconds += self._rooms[size].seconds
        key = (chain, programs.bucket, programs.rows, size)
        if key not in self._admits:
            made = compile_admit(network, chain, programs, self._rooms[size], self.model.params, self._builder.build())
            self._admits[key], seconds = made
            self.compile_seconds += seconds
        return self._rooms[size], self._admits[key]

    def _run(self, jobs: list[Job], chain: Chain, tables: Tables, turn: int, make_group) -> Iterator[Response]:
        groups: dict[int, list[Job]] = collections.defaultdict(list)
        for job in jobs:
            groups[self._bucket(len(job.prompt) + job.max_tokens)].append(job)
        mesh, self.cache_use = self.model.mesh, (0, 0)
        tables = jax.device_put(tables, None if mesh is None else NamedSharding(mesh, WHOLE))
        try:
            self._check_turn(turn)
            for bucket in sorted(groups):
                plan = make_group.plan(self.model, self._plan, bucket)
                programs = self.programs(bucket, chain, make_group.teams, plan)
                entrance = functools.partial(self.entrance, chain, programs)
                group = make_group(self.model, programs, entrance, chain, self._plan, tables, groups[bucket])
                before, spent = self.cache_use, 0.0
                for response in group.run():
                    self.compile_seconds, spent = self.compile_seconds + group.compile_seconds - spent, group.compile_seconds
                    self.live = group.live
                    self.cache_use = before[0] + group.reserved, before[1] + group.used
                    yield response
                    self._check_turn(turn)
        finally:
            if turn == self._turn:
                self.live = 0

    def _check_turn(self, turn: int) -> None:
        if turn != self._turn:
            raise InputError("a later generate() ended this one; finish or close an iterator before starting the next")


def _vocabulary(model: Model) -> tuple[list[bytes], Any, np.ndarray]:
    """(bytes of every id, encode, ids that may be sampled) of the model's tokenizer, or of none."""
    size, tokenizer = model.config.vocab_size, model.tokenizer
    if tokenizer is None:
        return [b""] * size, None, np.ones(size, bool)
    samplable = np.zeros(size, bool)
    real = np.asarray(tokenizer.real_ids)[:size]
    samplable[: len(real)] = real
    # A script continues a sequence, so it never begins with the token that opens one.
    return tokenizer.token_bytes(size), functools.partial(tokenizer.encode, bos=False), samplable
