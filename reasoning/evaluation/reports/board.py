"""A report in TensorBoard: its pictures, and its numbers as scalars.

<method>/accuracy            step: samples a problem
<sweep>/accuracy             step: mean thinking tokens of a run, or the setting of a curve, where it is a whole number
<sweep>/control, …           step 0: Control, Scaling (points per doubling), Performance
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from reasoning.evaluation.reports.scores import Row
from reasoning.evaluation.sweeps.measure import Sweep
from reasoning.events import Events


def show(
    directory: Path,
    rows: Sequence[Row],
    sweeps: Sequence[Sweep],
    pictures: Mapping[str, bytes],
    texts: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Replaces the event file in `directory`.

    Args:
      pictures: {name: PNG}. texts: {name: Markdown}.

    Raises InputError when it cannot be written.
    """
    events, now = Events(directory), time.time()
    for row in rows:
        events.scalar(f"{row.label}/accuracy", row.accuracy.value, row.samples, now)
    for sweep in sweeps:
        for run in sweep.runs:
            place = sweep.plan.settings[run.label].place
            if place is None or (len(place) == 1 and place[0].is_integer()):
                step = round(run.tokens) if place is None else int(place[0])
                events.scalar(f"{sweep.plan.name}/accuracy", run.accuracy.value, step, now)
        for name in ("control", "scaling", "performance"):
            value = getattr(sweep, name)
            if value is not None:
                events.scalar(f"{sweep.plan.name}/{name}", value, 0, now)
    for name, png in pictures.items():
        events.image(name, png, 0, now)
    for name, text in texts.items():
        events.text(name, text, 0, now)
    events.close()
