"""Sweeps as text: a line per run, as in table 3 and the appendix of s1 (arXiv 2501.19393), a line per sweep, and CSV."""

import json
import math
from collections.abc import Callable, Sequence

from reasoning.evaluation.reports.tables import comma_separated
from reasoning.evaluation.sweeps.measure import Run, Sweep
from reasoning.evaluation.sweeps.plan import Setting

RUN_HEADER = ("thinking tokens", "accuracy", "95 % interval", "forced", "how samples ended")
GAIN_HEADER = ("95 % interval", "MDE", "tokens more")
SUMMARY_HEADER = ("sweep", "runs", "Control", "Scaling", "95 % interval", "Performance")
NOTE = (
    "thinking tokens: mean of a sample, up to the closing delimiter. − first run: paired, on problems whose free thought ended\n"
    "by itself. forced: share of all tokens. Control: share of the runs told how long to think that did. Scaling: mean slope\n"
    "over pairs of runs, percentage points per doubling of the thinking tokens. Performance: the best accuracy, raised by luck."
)
FIELDS = (
    "sweep", "method", "min", "max", "x_name", "x", "y_name", "y", "problems", "thinking_tokens",
    "accuracy", "low", "high", "mde", "whole", "gain", "gain_low", "gain_high", "gain_mde", "tokens_more",
    "forced", "stop_reasons",
)  # fmt: skip

SUMMARY_FIELDS = ("sweep", "runs", "control", "scaling", "scaling_low", "scaling_high", "performance")

Render = Callable[[Sequence[str], Sequence[Sequence[str]]], str]


def text(found: Sequence[Sweep], render: Render) -> str:
    """All sweeps; `render` is `tables.aligned` or `tables.markdown`."""
    parts = [render(_header(sweep), [_cells(sweep, run) for run in sweep.runs]) for sweep in found]
    return "\n\n".join([*parts, render(SUMMARY_HEADER, [_summary(sweep) for sweep in found]), NOTE])


def csv(found: Sequence[Sweep]) -> str:
    """One line per run, all digits, the columns of `FIELDS`."""
    lines = []
    for sweep in found:
        for run in sweep.runs:
            setting = sweep.plan.settings[run.label]
            bounds = [setting.low or None, None if math.isinf(setting.high) else setting.high]
            names, place = [*sweep.plan.axes, None, None], [*(setting.place or ()), None, None]
            quality = [run.accuracy.n, run.tokens, run.accuracy.value, run.accuracy.low, run.accuracy.high, run.accuracy.mde]
            position = [names[0], place[0], names[1], place[1]]
            gain = sweep.gain(run)
            gained = [gain.difference, gain.low, gain.high, gain.mde] if gain else [None] * 4
            gained.append(sweep.extra(run))
            reasons = json.dumps(run.reasons)
            lines.append([sweep.plan.name, run.label, *bounds, *position, *quality, sum(run.whole), *gained, run.forced, reasons])
    return comma_separated(FIELDS, lines)


def summary_csv(found: Sequence[Sweep]) -> str:
    """One line per sweep, all digits, the columns of `SUMMARY_FIELDS`."""
    lines = []
    for sweep in found:
        low, high = sweep.scaling_interval() or (None, None)
        lines.append([sweep.plan.name, len(sweep.runs), sweep.control, sweep.scaling, low, high, sweep.performance])
    return comma_separated(SUMMARY_FIELDS, lines)


def asked(setting: Setting) -> str:
    """ "≤ 1,024", "≥ 6,109", "500 … 1,000", "–"."""
    if math.isinf(setting.high):
        return f"≥ {setting.low:,.0f}" if setting.low else "–"
    return f"{setting.low:,.0f} … {setting.high:,.0f}" if setting.low else f"≤ {setting.high:,.0f}"


def _header(sweep: Sweep) -> list[str]:
    first = sweep.runs[0]
    against = f"− {first.label}, {sum(sweep.among)} problems"
    return [sweep.plan.name, *(sweep.plan.axes or ("asked for",)), *RUN_HEADER[:3], against, *GAIN_HEADER, *RUN_HEADER[3:]]


def _cells(sweep: Sweep, run: Run) -> list[str]:
    setting, found, total = sweep.plan.settings[run.label], run.accuracy, sum(run.reasons.values())
    return [
        run.label,
        *([f"{x:g}" for x in setting.place] if setting.place else [asked(setting)]),
        f"{run.tokens:,.0f}",
        f"{found.value:.3f}",
        f"{found.low:.3f} … {found.high:.3f}",
        *_gain(sweep, run),
        f"{100 * run.forced:.1f} %",
        ", ".join(f"{reason} {100 * count / total:.0f} %" for reason, count in run.reasons.items()),
    ]


def _gain(sweep: Sweep, run: Run) -> list[str]:
    gain, extra = sweep.gain(run), sweep.extra(run)
    if gain is None or extra is None:
        return ["–"] * 4
    return [f"{gain.difference:+.3f}", f"{gain.low:+.3f} … {gain.high:+.3f}", f"{gain.mde:.3f}", f"{extra:+.1f}"]


def _summary(sweep: Sweep) -> list[str]:
    told, slope, interval = sweep.control, sweep.scaling, sweep.scaling_interval()
    return [
        sweep.plan.name,
        str(len(sweep.runs)),
        "–" if told is None else f"{100 * told:.0f} %",
        "–" if slope is None else f"{slope:+.1f}",
        "–" if interval is None else f"{interval[0]:+.1f} … {interval[1]:+.1f}",
        f"{sweep.performance:.3f}",
    ]
