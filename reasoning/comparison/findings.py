"""All that a comparison says about one run: measured once, then written as tables, pictures and a page."""

import dataclasses
import math

import numpy as np

from reasoning.comparison import choice, contrasts, crossings, difficulty, timed
from reasoning.comparison.choice import Choice
from reasoning.comparison.contrasts import Contrast
from reasoning.comparison.crossings import Turn
from reasoning.comparison.curves import Curve, measure
from reasoning.comparison.difficulty import Cell
from reasoning.comparison.plan import AXES, Plan, plan
from reasoning.errors import InputError
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
      devices: of the timed runs, "" without any. spread: over how many devices the run's mesh is.
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
    spread: int
    easy: np.ndarray


def find(run: Finished, price: float | None = None) -> Findings:
    """Measures a finished run.

    Args:
      price: of a device-hour, instead of the one in the run's configuration.
    Raises:
      InputError: samples or scores are missing, a price that is none.
    """
    planned, names = plan(run.config, run.methods), list(run.problems)
    if price is not None:
        if not 0 <= price < math.inf:
            raise InputError(f"the price of a device-hour is a number ≥ 0, got {price}")
        planned = dataclasses.replace(planned, price=price)
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
        spread=math.prod((run.config.get("mesh") or {}).values()),
        easy=easy,
    )
