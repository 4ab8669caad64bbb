"""All methods of a run directory side by side: what accuracy each buys, at what cost, and which differences are real.

report/table.md          both tables, as printed
report/table.csv         a line per method and N; comparisons.csv a line per pair; all digits
report/accuracy.png      accuracy against compute
report/sweeps.*          where the configuration names sweeps: tables, a line per run with all digits, accuracy against thinking
report/sweep-<name>.png  a curve over one setting, or a grid over two
report/robustness.*      where it names grids of attacks: tables, a line per cell with all digits; attack-<name>.png a heat map
report/tree-<label>.png  of a method that searches, the tree of the first problem that has one
report/rounds.*          where methods work in rounds: tables, a line a round, reward and accuracy, what rewriting changed
report/tensorboard/      the pictures, these trees as text, and the numbers of rows and sweeps as scalars
<label>/scores.json      the numbers of one method
"""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reasoning.evaluation import scoring
from reasoning.evaluation.attacks import picture as attack_picture
from reasoning.evaluation.attacks import report as attack_report
from reasoning.evaluation.attacks import tables as attack_tables
from reasoning.evaluation.finished import open_finished
from reasoning.evaluation.reports import tables
from reasoning.evaluation.reports.board import show
from reasoning.evaluation.reports.picture import draw
from reasoning.evaluation.reports.scores import Row, rows, sample_seconds, summary
from reasoning.evaluation.reports.tables import Versus
from reasoning.evaluation.reports.tree_picture import as_text
from reasoning.evaluation.reports.tree_picture import draw as draw_tree
from reasoning.evaluation.rounds import picture as round_picture
from reasoning.evaluation.rounds import report as round_report
from reasoning.evaluation.rounds import tables as round_tables
from reasoning.evaluation.statistics import stats
from reasoning.evaluation.sweeps import measure as sweeps
from reasoning.evaluation.sweeps import plan as sweep_plan
from reasoning.evaluation.sweeps import tables as sweep_tables
from reasoning.evaluation.sweeps.measure import Sweep
from reasoning.evaluation.sweeps.picture import draw_curve, draw_grid, draw_lengths
from reasoning.methods.base import Method
from reasoning.records import read_lines, write_atomic, write_json
from reasoning.rewards import judges


@dataclasses.dataclass(frozen=True)
class Report:
    """What was found, and where it is written.

    Attributes:
      title: two lines: model with the source of its weights; task and number of problems.
      rows: one per method and N. versus: the pairs of `pairs` with A minus B.
      table, picture: files.
      sweeps, attacks: those that the configuration names, with their own tables and pictures.
      worked: the methods in rounds, the same.
    """

    title: str
    rows: tuple[Row, ...]
    versus: tuple[Versus, ...]
    table: Path
    picture: Path
    sweeps: tuple[Sweep, ...] = ()
    attacks: tuple[attack_report.Attacked, ...] = ()
    worked: tuple[round_report.Worked, ...] = ()

    def text(self, render=tables.aligned) -> str:
        """Title, both tables and what the columns mean; `render` is `tables.aligned` or `tables.markdown`."""
        parts = [self.title, render(tables.HEADER, [tables.cells(row) for row in self.rows])]
        if self.versus:
            parts.append(render(tables.VERSUS_HEADER, [tables.versus_cells(one) for one in self.versus]))
        parts += tables.NOTES
        if self.sweeps:
            parts.append(sweep_tables.text(self.sweeps, render))
        if self.attacks:
            parts.append(attack_tables.text(self.attacks, render))
        if self.worked:
            parts.append(round_tables.text(self.worked, render))
        return "\n\n".join(parts)


def _seconds(directory: Path, method: Method) -> float:
    """Mean seconds of a sample, with those of the method's scorer."""
    drawn = sample_seconds(directory / "timings.jsonl")
    return drawn + sample_seconds(scoring.timings(directory, judges.label(method.scorer))) if method.scorer else drawn


def report(workdir: Path) -> Report:
    """Reads a finished run directory and writes its report and scores. Raises InputError if it is none or not finished."""
    run = open_finished(workdir)
    config, found, measured, grown = run.config, [], {}, {}
    planned = sweep_plan.plans(config)
    for label, method in run.methods.items():
        records = run.records(label)
        new = rows(label, method, records, _seconds(workdir / label, method))
        write_json(
            workdir / label / "scores.json", {"label": label, "config_hash": run.identity["hash"], **summary(new, records)}
        )
        found += new
        if trees := read_lines(workdir / label / "trees.jsonl")[0]:
            grown[label] = trees[0]
        if label in sweep_plan.labels(planned):
            measured[label] = sweeps.measure(label, records)
    out = workdir / "report"
    made = Report(
        title=f"{model_name(run.identity['model'])}\n{task_name(config['task'])}, {len(run.problems)} problems",
        rows=tuple(found),
        versus=tuple((a, b, stats.paired(a.values, b.values)) for a, b in pairs(found)),
        table=out / "table.md",
        picture=out / "accuracy.png",
        sweeps=tuple(sweeps.sweeps(planned, measured)),
        attacks=attack_report.measure(run),
        worked=tuple(round_report.measure(run)),
    )
    write_atomic(made.table, made.text(tables.markdown) + "\n")
    write_atomic(out / "table.csv", tables.rows_csv(made.rows))
    write_atomic(out / "comparisons.csv", tables.versus_csv(made.versus))
    pictures = {made.picture.stem: draw(made.rows, made.title), **sweep_pictures(made.sweeps, made.title)}
    pictures |= attack_picture.pictures(made.attacks, made.title)
    pictures |= {f"tree-{label}": draw_tree(tree, f"{made.title}\n{label}: {tree['problem']}") for label, tree in grown.items()}
    if made.worked:
        pictures["rounds"] = round_picture.draw(made.worked, made.rows, made.title)
    for name, picture in pictures.items():
        write_atomic(out / f"{name}.png", picture)
    if made.sweeps:
        write_atomic(out / "sweeps.md", f"{made.title}\n\n{sweep_tables.text(made.sweeps, tables.markdown)}\n")
        write_atomic(out / "sweeps.csv", sweep_tables.csv(made.sweeps))
        write_atomic(out / "sweeps-summary.csv", sweep_tables.summary_csv(made.sweeps))
    if made.attacks:
        write_atomic(out / "robustness.md", f"{made.title}\n\n{attack_tables.text(made.attacks, tables.markdown)}\n")
        write_atomic(out / "robustness.csv", attack_tables.csv(made.attacks))
    texts = {f"{label}/tree": as_text(tree) for label, tree in grown.items()}
    if made.worked:
        changes = {one.label: round_tables.diffs(one) for one in made.worked}
        texts |= {f"{label}/rounds": text for label, text in changes.items() if text}
        parts = [f"## {label}\n\n{text or 'Rewriting changed no best answer.'}" for label, text in changes.items()]
        parts = [made.title, round_tables.text(made.worked, tables.markdown), *parts]
        write_atomic(out / "rounds.md", "\n\n".join(parts) + "\n")
        write_atomic(out / "rounds.csv", round_tables.csv(made.worked))
    show(out / "tensorboard", made.rows, made.sweeps, pictures, texts)
    return made


def sweep_pictures(found: Sequence[Sweep], title: str) -> dict[str, bytes]:
    """{name: PNG}: lengths together, each curve and grid by itself; none where there are no sweeps."""
    lengths = [sweep for sweep in found if not sweep.plan.axes]
    out = {"sweeps": draw_lengths(lengths, title)} if lengths else {}
    for sweep in found:
        if sweep.plan.axes:
            draw_one = draw_curve if len(sweep.plan.axes) == 1 else draw_grid
            out[f"sweep-{sweep.plan.name}"] = draw_one(sweep, f"{title}\n{sweep.plan.name}")
    return out


def pairs(found: Sequence[Row]) -> list[tuple[Row, Row]]:
    """What is compared: each method at its largest N with every earlier method's, and with itself at N = 1."""
    by_label = {label: list(group) for label, group in itertools.groupby(found, key=lambda row: row.label)}
    out, earlier = [], []
    for group in by_label.values():
        out += [(group[-1], other) for other in earlier]
        if len(group) > 1:
            out.append((group[-1], group[0]))
        earlier.append(group[-1])
    return out


def model_name(model: Mapping[str, str]) -> str:
    """ "qwen2.5-coder-0.5b-instruct (hf:… (Q4_K_M))"."""
    return f"{model['name']} [{model['source']}]" if model["source"] else model["name"]


def task_name(task: Mapping[str, Any]) -> str:
    """ "chain_sum (max_terms=6)": family and parameters, the number of problems aside."""
    parameters = ", ".join(f"{name}={value}" for name, value in task.items() if name not in ("family", "size"))
    return f"{task['family']} ({parameters})" if parameters else task["family"]
