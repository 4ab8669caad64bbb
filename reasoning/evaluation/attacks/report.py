"""The grids of a run (`reasoning.evaluation.attacks.plan`), measured: a cell for each attacker resource and defender level.

report/robustness.md, .csv       tables, and a line per cell with all digits
report/attack-<name>.png         heat map of attack success beyond the clean rate; attack-<name>-accuracy.png of the right answers
"""

from collections.abc import Sequence
from dataclasses import dataclass

from reasoning.errors import InputError
from reasoning.evaluation.attacks.phrase import Phrase, phrase
from reasoning.evaluation.attacks.plan import Grid, Level, Place, grids
from reasoning.evaluation.attacks.rates import Attempts, Cell, cell, clean_rate, goals_hit, one_attempt
from reasoning.evaluation.attacks.sniping import Sniping, sniping
from reasoning.evaluation.finished import Finished
from reasoning.evaluation.grading.grader import Grader
from reasoning.methods.base import Method
from reasoning.records import read_lines


@dataclass(frozen=True)
class Attacked:
    """One grid with its cells, levels in order and resources ascending.

    Attributes:
      sniping: the longest samples of each level. phrases: cells of think_less against the same shots without the phrase.
    """

    grid: Grid
    cells: tuple[Cell, ...]
    sniping: tuple[Sniping, ...]
    phrases: tuple[Phrase, ...] = ()


def measure(run: Finished) -> tuple[Attacked, ...]:
    """The grids that the configuration names. Raises InputError for a run that is not finished, or a task without goals.

    Of a run that was graded by other rules those without a loop, whose attempts were judged by the rules of the run itself.
    """
    planned = grids(run.config)
    if "regraded" in run.identity:
        looping = {label for label, method in run.methods.items() if getattr(method, "tries", None) is not None}
        planned = [grid for grid in planned if looping.isdisjoint(place.label for place in grid.places)]
    if not planned:
        return ()
    with Grader() as grader:
        return tuple(_measured(run, grid, grader) for grid in planned)


def _measured(run: Finished, grid: Grid, grader: Grader) -> Attacked:
    cells, longest, phrases = [], [], []
    for level in grid.levels:
        made, attacked, contrasts = _level(run, grid.at(level), grader)
        cells += made
        phrases += contrasts
        if found := sniping(level, attacked):
            longest.append(found)
    return Attacked(grid, tuple(cells), tuple(longest), tuple(phrases))


def _level(run: Finished, places: Sequence[Place], grader: Grader) -> tuple[list[Cell], list[tuple], list[Phrase]]:
    """The cells of one level, (records, whether each is the goal) of those that are attacked and ask once, and contrasts."""
    clean, cells, attacked, phrases = places[0], [], [], []
    n = clean.votes or min(votes(run.methods[place.label]) for place in places)
    few = next((place.label for place in places if votes(run.methods[place.label]) < n), None)
    if few is not None:
        raise InputError(f"{few!r} draws fewer than the {n} samples that are to vote; raise its n")
    base = run.methods[clean.label], run.records(clean.label), run.problems, grader, n
    rates = {1: clean_rate(*base, 1)}
    for place in places:
        method = run.methods[place.label]
        if method.tries is None:
            records = run.records(place.label)
            found = one_attempt(method, records, run.problems, grader, n)
            cells.append(cell(place, found, None if place is clean else rates[1]))
            if place is not clean:
                hits = goals_hit([(run.problems[one["problem"]], one["answer"]) for one in records], grader)
                attacked.append((records, hits))
                if contrast := phrase(run, place, found, grader, n):
                    phrases.append(contrast)
            continue
        for k in sizes(method.tries):
            rates[k] = rates[k] if k in rates else clean_rate(*base, k)
            cells.append(cell(place._replace(resource=k), looped(run, place.label, k, grader), rates[k], several=True))
    return cells, attacked, phrases


def votes(method: Method) -> int:
    """Samples of the defender that make one attempt."""
    return method.n if method.tries is None else method.defender.n


def sizes(tries: int) -> list[int]:
    """1, 2, 4, … and all attempts."""
    return sorted({2**power for power in range(tries.bit_length()) if 2**power <= tries} | {tries})


def looped(run: Finished, label: str, k: int, grader: Grader) -> Attempts:
    """What the first `k` attempts of a loop gave. Raises InputError if one is not on the disk."""
    lines = {line["problem"]: line["attempts"] for line in read_lines(run.workdir / label / "rounds.jsonl")[0]}
    if lacking := [name for name in run.problems if name not in lines]:
        raise InputError(
            f"{run.workdir / label} lacks the attempts on {len(lacking)} problems; run scripts/evaluate.py on it again"
        )
    made = [(problem, lines[name][:k]) for name, problem in run.problems.items()]
    hit = iter(goals_hit([(problem, one["answer"]) for problem, tries in made for one in tries], grader))
    goal = tuple(float(sum(next(hit) for _ in tries) > 0) for _, tries in made)
    # what was answered last: an attempt without a text asked nobody
    last = [(problem, next((one["answer"] for one in reversed(tries) if one["attack"]), None)) for problem, tries in made]
    right = [grader.submit_answer(problem, answer) for problem, answer in last]
    return Attempts(
        goal,
        # an attempt that reached the goal was not right, whatever the attempts before it gave
        tuple(float(one.result().correct and not reached) for one, reached in zip(right, goal, strict=True)),
        tuple(float(len(tries)) for _, tries in made),
        tuple(float(sum(one["tokens"] for one in tries)) for _, tries in made),
        (),
    )


def cell_at(found: Attacked, resource: float, level: Level) -> Cell | None:
    """The cell of a place, None where the grid has a gap."""
    return next((one for one in found.cells if (one.resource, one.level) == (resource, level)), None)
