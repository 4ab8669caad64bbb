"""A pool of written traces: problems drawn from reasoning-gym, a trace for each, all of them judged by the task's own scorer.

Pool and evaluation stay apart in two ways. The seeds of a pool begin at `FIRST_SEED`, and reasoning-gym draws problem i of a
task from seed + i, so no task with a seed below it draws from them. And every trace holds its canonical instance
(`metadata["instance"]`), for two seeds can still draw the same numbers: curation drops what an evaluation set has.

A trace depends on its family, its settings, the pool's seed and its place alone. Within a pool no instance comes twice.
"""

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from random import Random
from typing import Any

from tqdm import tqdm

from reasoning.data import reasoning_gym
from reasoning.data.tasks import Problem, load_task
from reasoning.data.traces import Trace
from reasoning.data.writers.base import Written, name_instance, writer
from reasoning.errors import InputError
from reasoning.records import dumps
from reasoning.text.answers import extract

FIRST_SEED = 1_000_000_000  # of a pool; evaluation takes smaller ones
SEEDS = 1_000_000  # from one pool seed to the next: the problems a family may draw
FEWEST_NEW = 0.05  # share of a draw that must be instances not seen yet
SHORTEST_DRAW = 64
AT_ONCE = 2  # families: their problems are drawn in processes of their own


@dataclass(frozen=True)
class Family:
    """What to write of one family.

    Attributes:
      name: a file of `reasoning.data.writers` and a generator of reasoning-gym.
      count: traces. backtracking: share of them with a failed attempt. max_tries: attempts at most; those with a failed one
        have 2 to `max_tries`, all equally often, where the problem has so many ways to fail.
      settings: of the generator.
    """

    name: str
    count: int
    backtracking: float = 0.5
    max_tries: int = 4
    settings: Mapping[str, Any] | None = None

    def __post_init__(self):
        writer(self.name)
        if not 1 <= self.count <= SEEDS:
            raise InputError(f"{self.name}: count is {self.count}; write between 1 and {SEEDS:,} traces")
        if not 0 <= self.backtracking <= 1:
            raise InputError(f"{self.name}: backtracking is {self.backtracking}; it is a share, from 0 to 1")
        if self.max_tries < (2 if self.backtracking else 1):
            raise InputError(f"{self.name}: max_tries is {self.max_tries}; a trace with a failed attempt has at least 2")

    def tries(self, rng: Random) -> int:
        """How many attempts a trace is to have."""
        return rng.randint(2, self.max_tries) if rng.random() < self.backtracking else 1


def family(name: str, arguments: Mapping[str, Any]) -> Family:
    """A `Family` of a config's arguments. Raises InputError, naming the arguments there are."""
    known = [field.name for field in fields(Family)][1:]
    odd = next((key for key in arguments if key not in known), None)
    if odd is not None or "count" not in arguments:
        what = "no count" if odd is None else f"the unknown argument {odd!r}"
        raise InputError(f"family {name} of traces has {what}; its arguments: {', '.join(known)}")
    return Family(name, **arguments)


def write_pool(config: Mapping[str, Any], show: bool = True) -> list[Trace]:
    """The traces of all families of a config, family after family.

    Args:
      config: {"seed": of the pool, from 0, "families": {name: arguments of `Family`}}.
      show: a progress bar on standard error.
    Raises:
      InputError: a wrong config, before anything is drawn; and as `write_family`.
    """
    odd = next((key for key in config if key not in ("seed", "families")), None)
    if odd is not None or not config.get("families"):
        what = "names no families" if odd is None else f"has an unknown key {odd!r}"
        raise InputError(f"the config of a pool {what}; it has seed and families, see configs/traces.py")
    wanted, seed = [family(name, arguments) for name, arguments in config["families"].items()], config.get("seed", 0)
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise InputError(f"the seed of a pool is {seed!r}; give a whole number ≥ 0")
    total = sum(one.count for one in wanted)
    bar, over = tqdm(total=total, desc="traces", unit="trace", file=sys.stderr, disable=not show), threading.Event()

    def tick() -> None:
        if over.is_set():
            raise InterruptedError
        bar.update()

    with bar, ThreadPoolExecutor(AT_ONCE) as threads:
        try:
            parts = list(threads.map(lambda one: write_family(one, seed, tick), wanted))
        finally:
            over.set()  # where one family fails, or somebody interrupts, nobody waits for the others
    return [trace for part in parts for trace in part]


def write_family(wanted: Family, seed: int = 0, tick: Callable[[], object] = lambda: None) -> list[Trace]:
    """The traces of one family, in the order in which their problems are drawn.

    Args:
      seed: of the pool, from 0. tick: called after each trace.
    Raises:
      InputError: settings that the generator refuses, a problem that the writer cannot write about, settings that hold too few
        distinct problems, a trace that the scorer rejects (a mistake in the writer).
    """
    traces: list[Trace] = []
    for place, problem, entry, key in _distinct(wanted, FIRST_SEED + seed * SEEDS):
        rng = Random(f"{seed}/{wanted.name}/{place}")
        trace = _trace(problem, key, writer(wanted.name).write(entry, wanted.tries(rng), rng))
        traces.append(checked(trace, problem, entry))
        tick()
    return traces


def _distinct(wanted: Family, seed: int) -> Iterator[tuple[int, Problem, dict, str]]:
    """`count` problems of different instances, each with its place among all that are drawn, its entry and its instance."""
    seen: set[str] = set()
    drawn, new = 0, 1.0  # share of the last draw that was
    while len(seen) < wanted.count:
        size, before = _draw_size(wanted.count - len(seen), new, SEEDS - drawn), len(seen)
        task = load_task("reasoning_gym", name=wanted.name, size=size, seed=seed + drawn, **(wanted.settings or {}))
        for place, problem in enumerate(task.problems, start=drawn):
            entry = reasoning_gym.read_entry(problem.metadata["entry"])
            key = name_instance(wanted.name, entry)
            if key not in seen and len(seen) < wanted.count:
                seen.add(key)
                yield place, problem, entry, key
        drawn, new = drawn + size, (len(seen) - before) / size
        if len(seen) < wanted.count and (new < FEWEST_NEW or drawn == SEEDS):
            raise InputError(
                f"{wanted.name}: these settings hold hardly more than {len(seen)} distinct problems, {wanted.count} are wanted; "
                "lower count or widen the settings"
            )


def _draw_size(missing: int, new: float, most: int) -> int:
    """Problems to draw: a few more than what should hold `missing` new ones, since every draw starts a process."""
    return min(max(missing if new == 1 else int(1.2 * missing / new), SHORTEST_DRAW), most)


def _trace(problem: Problem, key: str, written: Written) -> Trace:
    metadata = problem.metadata
    return Trace(
        id=problem.id,
        question=problem.question,
        thinking=written.thinking,
        answer=f"Answer: {written.answer}",
        reference=problem.answer,
        source=f"reasoning.data.writers.{metadata['generator']}",
        domain=writer(metadata["generator"]).DOMAIN,
        metadata={
            "family": metadata["generator"],
            "instance": key,
            "seed": metadata["parameters"]["seed"] + metadata["index"],
            "tries": written.tries,
            "mistakes": list(written.mistakes),
            **to_score(problem),
        },
    )


def to_score(problem: Problem) -> dict[str, Any]:
    """What a trace's metadata holds so that answers to its question can be judged again: kind of score, and what it needs."""
    needed = ("generator", "parameters", "entry") if problem.score == "reasoning_gym" else ()
    return {"score": problem.score, **{name: problem.metadata[name] for name in needed}}


def checked(trace: Trace, problem: Problem, entry: dict) -> Trace:
    """The trace, if the scorer of its problem, of reasoning-gym, gives its answer full marks. Raises InputError."""
    metadata = problem.metadata
    scorer = reasoning_gym.scorer(metadata["generator"], dumps(metadata["parameters"]).decode())
    score = scorer.score_answer(extract(trace.answer), entry)
    if score < 1:
        raise InputError(
            f"the trace that {trace.source} wrote for {problem.id} ends in {trace.answer!r}, which its scorer gives {score}; "
            "this is a mistake in the writer, please report it"
        )
    return trace
