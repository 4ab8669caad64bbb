"""The report of a comparison: what was found on each run, and one page with everything.

<run>/report/                     what any run gets (`reasoning.evaluation.reports.report`)
<run>/comparison/comparison.md    the tables, as printed; points.csv, contrasts.csv, … the same with all digits
<run>/comparison/*.png            accuracy against each kind of cost, all of them in comparison.png, difficulty, choice
<run>/comparison/tensorboard/     accuracy of each curve over its N, the pictures, the tables as text
comparison.html                   tables, pictures and a browser of single problems, in one file that needs no network
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from reasoning.comparison import page, picture, tables
from reasoning.comparison.browser import browser
from reasoning.comparison.findings import Findings, find
from reasoning.comparison.page import Picture, Section, Table
from reasoning.comparison.plan import AXES
from reasoning.comparison.sources import of_methods, vocabulary
from reasoning.evaluation.finished import open_finished
from reasoning.evaluation.reports import report as of_run
from reasoning.evaluation.reports.tables import aligned, markdown
from reasoning.events import Events
from reasoning.records import write_atomic

CAPTIONS = {
    "comparison": "Accuracy against every kind of cost.",
    **{axis: f"Accuracy against {name} per problem; numbers are N." for axis, (name, _) in AXES.items()},
    "difficulty": "Methods by difficulty, each with its largest budget.",
    "choice": "The compute-optimal choice against the budget.",
}


TITLE = "Inference-time methods at equal cost"


class Report(NamedTuple):
    """found: of each run. page: the HTML file. text: all tables for a terminal."""

    found: tuple[Findings, ...]
    page: Path
    text: str


def report(workdir: Path, runs: Sequence[Path], price: float | None = None) -> Report:
    """Writes the report of finished runs that belong together.

    Args:
      price: of a device-hour, instead of those in the runs' configurations.
    Raises:
      InputError: something is missing, a price that is none.
    """
    found, sections, texts = [], [], []
    for path in runs:
        of_run.report(path)
        one = find(open_finished(path), price)
        pictures, parts = picture.draw(one), tables.parts(one)
        _write(path / "comparison", one, pictures, parts)
        found.append(one)
        texts.append(_text(one, parts, aligned))
        sections += _sections(one, pictures, parts, several=len(runs) > 1)
    made = page.render(TITLE, "\n".join(one.title for one in found), sections, _browser(found))
    write_atomic(workdir / "comparison.html", made)
    return Report(tuple(found), workdir / "comparison.html", "\n\n".join(texts))


def _text(one: Findings, parts: Sequence[tables.Part], render) -> str:
    blocks = [one.title, tables.headline(one.curves)]
    for part in parts:
        blocks += [part.title if render is aligned else f"## {part.title}", render(part.header, part.lines), part.note]
    return "\n\n".join(blocks)


def _write(out: Path, one: Findings, pictures: dict[str, bytes], parts: Sequence[tables.Part]) -> None:
    write_atomic(out / "comparison.md", _text(one, parts, markdown) + "\n")
    for part in parts:
        write_atomic(out / f"{part.name}.csv", tables.csv(part))
    for name, png in pictures.items():
        write_atomic(out / f"{name}.png", png)
    events, now = Events(out / "tensorboard"), time.time()
    for curve in one.curves:
        for point in curve.points:
            events.scalar(f"accuracy/{curve.title(point)}", point.row.accuracy.value, point.row.samples, now)
            events.scalar(f"gflop/{curve.title(point)}", point.cost("flops") / 1e9, point.row.samples, now)
    for name, png in pictures.items():
        events.image(name, png, 0, now)
    for part in parts:
        events.text(part.name, f"{markdown(part.header, part.lines)}\n\n{part.note}", 0, now)
    events.close()


def _sections(one: Findings, pictures: dict[str, bytes], parts: Sequence[tables.Part], several: bool) -> list[Section]:
    """The page's sections about one run: a picture where it belongs to a table, all axes in a section of their own."""
    where = {"points": ("comparison",), "difficulty": ("difficulty",), "choice": ("choice",)}
    head = f"{one.run.workdir.name}: " if several else ""
    out = []
    for part in parts:
        drawn = [Picture(pictures[name], CAPTIONS[name]) for name in where.get(part.name, ()) if name in pictures]
        first = [one.title] * several + [tables.headline(one.curves)] if part.name == "points" else []
        out.append(Section(head + part.title, [*first, *drawn, Table(part.header, part.lines, part.note)]))
    single = [Picture(pictures[axis], CAPTIONS[axis]) for axis in AXES if axis in pictures]
    return [*out, Section(f"{head}Accuracy against each cost", single)]


def _browser(found: Sequence[Findings]) -> dict:
    """Single problems of all runs; of several runs, methods are called by the run's name too."""
    pieces, notes = vocabulary(found[0].run.config["model"])
    problems, shown, difficulty = {}, [], {}
    for one in found:
        problems |= one.run.problems
        shown += of_methods(one.run, one.plan.lines, f"{one.run.workdir.name}: " if len(found) > 1 else "")
        difficulty |= dict(zip(one.run.problems, map(float, one.easy), strict=False))
    return browser(problems.values(), shown, difficulty=difficulty, vocabulary=pieces, notes=notes)
