"""Thoughts of a finished run: how often it switched, and how much of its wrong responses came after a thought that was right.

<label>/thoughts.json    the judge's findings about one method; one that is there already is not asked for again
report/thoughts.md, .csv a line per method
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from reasoning.evaluation.experiment import build_engine
from reasoning.evaluation.finished import Finished, open_finished
from reasoning.evaluation.grading.grader import Grader
from reasoning.evaluation.identity import check_weights
from reasoning.evaluation.reports import tables
from reasoning.evaluation.thoughts.segments import DEFAULT, Switches, mean_spacing, mean_switches
from reasoning.evaluation.thoughts.underthinking import Judged, underthinking, weighted_underthinking
from reasoning.evaluation.thoughts.verdicts import FORCED, attempts, judge
from reasoning.methods.base import Method
from reasoning.records import write_atomic, write_json

HEADER = ("method", "responses", "wrong", "switches", "tokens a thought", "had it right", "ξ_UT", "95 %", "weighted", "95 %")
FIELDS = (
    "method", "responses", "wrong", "switches", "tokens_a_thought", "had_it_right",
    "underthinking", "low", "high", "mde", "weighted", "weighted_low", "weighted_high", "weighted_mde",
)  # fmt: skip
NOTES = (
    "switches: of a response. had it right: wrong responses that, cut off at the end of some thought, would have been right.\n"
    "ξ_UT: mean share of a wrong response behind the first such thought; weighted: over all responses, right ones counting 0\n"
    "(arXiv 2501.18585, equations 1 and 3; higher is worse)."
)


@dataclass(frozen=True)
class Line:
    """One method: means over its responses, and what the judge found."""

    label: str
    switches: float
    spacing: float
    judged: tuple[Judged, ...]

    @property
    def numbers(self) -> list[str | float | None]:
        """A line under `FIELDS`, all digits."""
        wrong = [one for one in self.judged if not one.correct]
        right = sum(one.through is not None for one in wrong)
        estimates = (underthinking(self.judged), weighted_underthinking(self.judged))
        shares = [[one.value, one.low, one.high, one.mde] if one else [None] * 4 for one in estimates]
        return [self.label, len(self.judged), len(wrong), self.switches, self.spacing, right, *shares[0], *shares[1]]

    @property
    def cells(self) -> list[str]:
        """A line under `HEADER`."""
        label, responses, wrong, switches, spacing, right, *shares = self.numbers
        intervals = [("–", "–") if a is None else (f"{a:.3f}", f"{b:.3f} … {c:.3f}") for a, b, c in (shares[:3], shares[4:7])]
        return [label, str(responses), str(wrong), f"{switches:.2f}", f"{spacing:.1f}", str(right), *intervals[0], *intervals[1]]


def report(workdir: Path, engine: Any = None, switches: Switches = DEFAULT, show: bool = True) -> str:
    """Judges every method of a finished run directory that is not judged yet; returns the table as text.

    Args:
      engine: instead of the one that the run's configuration names.
      switches: what begins a thought. show: a progress bar on standard error.
    Raises:
      InputError: no run, an unfinished one, or one whose records hold no token ids.
    """
    run, lines = open_finished(workdir), []
    with Grader() as grader:
        for label in run.methods:
            line = read(workdir / label, switches)
            if line is None:
                if engine is None:
                    engine = build_engine(run.config, None)
                    check_weights(workdir, run.identity, {"name": run.config["model"], "source": engine.model.source})
                line = _judge(run, label, engine, grader, switches, show)
            lines.append(line)
    cells = [line.cells for line in lines]
    write_atomic(workdir / "report" / "thoughts.md", tables.markdown(HEADER, cells) + f"\n\n{NOTES}\n")
    write_atomic(workdir / "report" / "thoughts.csv", tables.comma_separated(FIELDS, [line.numbers for line in lines]))
    return tables.aligned(HEADER, cells) + f"\n\n{NOTES}"


def forced(method: Method) -> str:
    """What asks for the answer at the end of a thought: the delimiter that closes thinking, where there is one, comes first."""
    closing = method.delimiters[1]
    if not closing:
        return FORCED
    return f"\n{closing}" if closing.rstrip().lower().endswith("answer:") else f"\n{closing}{FORCED}"


def read(directory: Path, switches: Switches) -> Line | None:
    """What was judged before, of the same samples with the same `switches`; None if nothing was."""
    try:
        found = json.loads((directory / "thoughts.json").read_bytes())
    except OSError:
        return None
    if found["of"] != of(directory, switches):
        return None
    return Line(directory.name, found["mean_switches"], found["mean_spacing"], tuple(Judged(**one) for one in found["judged"]))


def of(directory: Path, switches: Switches) -> dict[str, Any]:
    """What a judgement depends on, JSON-able."""
    samples = hashlib.sha256((directory / "generations.jsonl").read_bytes()).hexdigest()
    return {"samples": samples, **json.loads(json.dumps(asdict(switches)))}


def _judge(run: Finished, label: str, engine: Any, grader: Grader, switches: Switches, show: bool) -> Line:
    directory, method = run.workdir / label, run.methods[label]
    found = attempts(run.records(label), run.problems, method, engine, switches)
    thoughts = [one.thoughts for one in found]
    answered = judge(engine, grader, found, run.problems, forced=forced(method), show=label if show else "")
    line = Line(label, mean_switches(thoughts), mean_spacing(thoughts), tuple(answered))
    write_json(
        directory / "thoughts.json",
        {
            "of": of(directory, switches),
            "mean_switches": line.switches,
            "mean_spacing": line.spacing,
            "judged": [asdict(one) for one in answered],
        },
    )
    return line
