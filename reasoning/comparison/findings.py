"""All that a comparison says about one run: measured once, then written as tables, pictures and a page."""

import dataclasses

import numpy as np

from reasoning.comparison import choice, contrasts, crossings, difficulty, timed
from reasoning.comparison.choice import Choice
from reasoning.comparison.contrasts import Contrast
from reasoning.comparison.crossings import Turn
from reasoning.comparison.curves import Curve, measure
from reasoning.comparison.difficulty import Cell
from reasoning.comparison.plan import AXES, Plan, plan
from reasoning.evaluation.finished import Finished
from reasoning.evaluation.reports.report import model_name, task_name

TURNS = ("generated", "flops")  # axes on which crossings are looked for, beside the plan's own


@dataclasses.dataclass(frozen=True)
class Findings:
    """Of one run.

    Attributes:
      run, plan: what was measured. title: two lines, model and task.
      curves: of all lines, ceilings too. contrasts: the primary one first.
      turns: crossings on several axes. cells: curves in bins of difficulty; none without a pool or with few problems.
      choices: the compute-optimal choice at several budgets; none without a pool. charge: what knowing a difficulty costs, on
        the plan's axis. bins: of the choice.
      devices: of the timed runs, "" without any.
      easy: float[P], share of the pool that is right, for the reader; empty without a pool.
    """

    run: Finished
    plan: Plan
    title: str
    curves: tuple[Curve, ...]
    contrasts: tuple[Contrast, ...]
    turns: tuple[Turn, ...]
    cells: tuple[Cell, ...]
    choices: tuple[Choice, ...]
    charge: float
    bins: int
    devices: str
    easy: np.ndarray


def find(run: Finished) -> Findings:
    """Measures a finished run. Raises InputError where samples or scores are missing."""
    planned, names = plan(run.config, run.methods), list(run.problems)
    times = timed.read(run.workdir)
    curves = measure(run, planned.lines, times)
    axis = planned.axis
    cells, choices, charge, bins, easy = (), (), 0.0, 1, np.zeros(0)
    if planned.pool:
        # Samples that say the difficulty are used for nothing else.
        apart = measure(run, planned.lines, times, half=planned.pool)
        easy = difficulty.easiness(run, planned.pool, "graded")
        graded = difficulty.bins_of(easy, names)
        agreed = difficulty.bins_of(difficulty.easiness(run, planned.pool, "agreed"), names)
        charge, bins = difficulty.price(run, planned.pool, AXES[axis][1]), int(agreed.max()) + 1
        cells = tuple(difficulty.cells(apart, easy, graded))
        choices = tuple(choice.choices(apart, axis, agreed, charge, names))
    return Findings(
        run=run,
        plan=planned,
        title=f"{model_name(run.identity['model'])}\n{task_name(run.config['task'])}, {len(names)} problems",
        curves=tuple(curves),
        contrasts=tuple(contrasts.contrasts(curves, axis, planned.primary)),
        turns=tuple(turn for name in dict.fromkeys((axis, *TURNS)) for turn in crossings.crossings(curves, name)),
        cells=cells,
        choices=choices,
        charge=charge,
        bins=bins,
        devices=timed.devices(run.workdir),
        easy=easy,
    )
