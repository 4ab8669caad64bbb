"""What a curation did: how many traces each filter took and why, which domains and lengths are left.

Where traces say how many attempts they make and what is false in them (metadata "tries" and "mistakes", as the programs of
`reasoning.data.writers` do), the report counts those of each set whose first attempt fails, and those that state something
false: a rule that draws long ones draws these, and they are what a model then learns.

report/curation.md   all of it, as printed;  curation.json  the same with all digits
report/funnel.csv    a line a filter;  domains.csv, lengths.csv  a line a domain, a set
report/funnel.png    traces left after each filter;  lengths.png  how long thinking is in each set
"""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from reasoning.evaluation.curation import picture as curation_picture
from reasoning.evaluation.curation.funnel import Curated, Step
from reasoning.evaluation.reports import tables
from reasoning.records import write_atomic, write_json

SUSPICIOUS = (0.01, 0.95)  # a filter that drops a smaller or a larger share is probably not doing what it is there for
DRAWS = ("sample",)  # they drop what they are told to
FUNNEL, LENGTHS = (
    ("filter", "in", "out", "dropped", "share", "reasons"),
    ("set", "traces", "mean", "5 %", "median", "95 %", "longest", "failing first", "with a mistake"),
)
TOLD = 2  # of these, the last ones: shares of what traces tell of themselves
DRIFT = 0.2  # a set warns whose share of traces that fail first is larger by more than in what it was drawn from
UNTOLD = "–"
SHOWN = 30  # domains in the text; domains.csv has all


@dataclasses.dataclass(frozen=True)
class Report:
    """Tables as rows of numbers and text, and where they are written.

    Attributes:
      title: pool and sizes. funnel: rows of `FUNNEL`. domains: header and rows. lengths: rows of `LENGTHS`.
      warnings: a line each. table, pictures: files.
    """

    title: str
    funnel: Sequence[Sequence]
    domains: tuple[Sequence[str], Sequence[Sequence]]
    lengths: Sequence[Sequence]
    unit: str
    warnings: Sequence[str]
    table: Path
    pictures: Sequence[Path]

    def text(self, render=tables.aligned) -> str:
        """The title, the tables and the warnings; `render` is `tables.aligned` or `tables.markdown`."""
        header, rows = self.domains
        more = f"\n({len(rows) - SHOWN} more domains in domains.csv)" if len(rows) > SHOWN else ""
        parts = [
            self.title,
            render(FUNNEL[:5], [(*map(str, row[:4]), f"{row[4]:.1%}") for row in self.funnel]),
            "\n".join(f"- {row[0]}: {row[5]}" for row in self.funnel if row[5]),
            render(header, [[str(cell) for cell in row] for row in rows[:SHOWN]]) + more,
            f"Length of the thinking in {self.unit}:",
            self._table_of_lengths(render),
        ]
        return "\n\n".join([*parts, *(f"Warning: {one}" for one in self.warnings)])

    def _table_of_lengths(self, render) -> str:
        rows = [(row[0], *(f"{cell:.0f}" for cell in row[1:-TOLD]), *map(_share, row[-TOLD:])) for row in self.lengths]
        columns = [one for one in zip(LENGTHS, *rows, strict=True) if any(cell != UNTOLD for cell in one[1:])]
        header, *rows = zip(*columns, strict=True)
        return render(header, rows)


def report(made: Curated) -> Report:
    """Writes the report of a finished curation. Raises InputError if it cannot be written."""
    out = made.workdir / "report"
    sets = _sets(made)
    measured = {name: [made.lengths[one] for one in ids] for name, ids in sets.items()}
    lengths = [
        (*_lengths(name, measured[name]), *_told([made.traces[one].metadata for one in ids])) for name, ids in sets.items()
    ]
    found = Report(
        title=f"{len(made.traces):,} traces of {', '.join(made.config['pool']['sources'])}",
        funnel=[_row(step) for step in made.steps] + [_selected(made)],
        domains=_domains(made, sets),
        lengths=lengths,
        unit=made.unit,
        warnings=[line for step in made.steps for line in _warnings(step)] + _drifts(lengths, list(made.selected)),
        table=out / "curation.md",
        pictures=(out / "funnel.png", out / "lengths.png"),
    )
    write_atomic(found.table, found.text(tables.markdown) + "\n")
    write_atomic(out / "funnel.csv", tables.comma_separated(FUNNEL, found.funnel))
    write_atomic(out / "domains.csv", tables.comma_separated(*found.domains))
    write_atomic(out / "lengths.csv", tables.comma_separated(LENGTHS, found.lengths))
    write_json(out / "curation.json", _plain(found))
    write_atomic(found.pictures[0], curation_picture.draw_funnel([(row[0], row[1], row[2]) for row in found.funnel], found.title))
    write_atomic(found.pictures[1], curation_picture.draw_lengths(measured, made.unit, found.title))
    return found


def _sets(made: Curated) -> dict[str, Sequence[str]]:
    """The sets whose domains and lengths are compared, by name."""
    after = (made.config.get("ablations") or {}).get("after") if len(made.selected) > 1 else None
    left = made.steps[-1].left if made.steps else list(made.traces)
    wide = {f"after {after}": made.after(after)} if after and made.after(after) != left else {}
    return {**wide, "after all filters": left, **made.selected}


def _row(step: Step) -> tuple:
    gone, entered = len(step.dropped), len(step.entered)
    kinds = Counter(why.kind for why in step.dropped.values())
    reasons = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items(), key=lambda pair: (-pair[1], pair[0])))
    return step.name, entered, entered - gone, gone, gone / entered if entered else 0.0, reasons


def _selected(made: Curated) -> tuple:
    entered = len(made.steps[-1].left if made.steps else made.traces)
    out = len(made.selected["curated"])
    return "selection", entered, out, entered - out, 1 - out / entered, f"not drawn {entered - out}"


def _domains(made: Curated, sets: Mapping[str, Sequence[str]]) -> tuple[Sequence[str], list[Sequence]]:
    counts = {"pool": Counter(trace.domain for trace in made.traces.values())}
    counts |= {name: Counter(made.traces[one].domain for one in ids) for name, ids in sets.items()}
    order = sorted(counts["pool"], key=lambda domain: (-counts["pool"][domain], domain))
    return ("domain", *counts), [(domain or "–", *(one[domain] for one in counts.values())) for domain in order]


def _lengths(name: str, lengths: Sequence[int]) -> tuple:
    if not lengths:
        return (name, 0, *[float("nan")] * 5)
    low, middle, high = np.percentile(lengths, [5, 50, 95])
    return name, len(lengths), float(np.mean(lengths)), float(low), float(middle), float(high), max(lengths)


def _told(metadata: Sequence[Mapping]) -> tuple[float | None, float | None]:
    """The shares of traces whose first attempt fails, and that state something false; None where not all of them tell."""
    kinds = {"tries": int, "mistakes": list}
    tells = [bool(metadata) and all(isinstance(one.get(name), kind) for one in metadata) for name, kind in kinds.items()]
    failing = sum(one["tries"] > 1 for one in metadata) / len(metadata) if tells[0] else None
    return failing, sum(bool(one["mistakes"]) for one in metadata) / len(metadata) if tells[1] else None


def _share(value: float | None) -> str:
    return UNTOLD if value is None else f"{value:.2f}"


def _drifts(lengths: Sequence[Sequence], names: Sequence[str]) -> list[str]:
    """A line for each set of `names` that was drawn for its failures, whether or not anybody meant it."""
    shares = {row[0]: row[-TOLD] for row in lengths}
    before = next(iter(shares))  # the ablations' source stands first, that of "curated" is what all filters left
    lines = []
    for name in names:
        source = "after all filters" if name == "curated" else before
        if None not in (shares[name], shares[source]) and shares[name] - shares[source] > DRIFT:
            lines.append(
                f"in {shares[name]:.0%} of the set {name} a first attempt fails, in {shares[source]:.0%} of what it was drawn "
                "from: a model learns what it reads; compare with a set drawn at random (scripts/ablation.sh)"
            )
    return lines


def _warnings(step: Step) -> list[str]:
    _, entered, _, gone, share, _ = _row(step)
    low, high = SUSPICIOUS
    if step.name in DRAWS or not entered or low <= share <= high:
        return []
    advice = "it does next to nothing here" if share < low else "next to nothing is left"
    return [f"the filter {step.name} drops {gone} of {entered} ({share:.1%}); {advice}: is it the right one, and set right?"]


def _plain(found: Report) -> dict:
    header, rows = found.domains
    return {
        "funnel": [dict(zip(FUNNEL, row, strict=True)) for row in found.funnel],
        "domains": [dict(zip(header, row, strict=True)) for row in rows],
        "unit": found.unit,
        "lengths": [dict(zip(LENGTHS, row, strict=True)) for row in found.lengths],
        "warnings": list(found.warnings),
    }
