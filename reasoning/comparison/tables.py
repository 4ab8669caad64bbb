"""Findings as text: the same tables for a terminal, for Markdown and for the page, and CSV with all digits."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from reasoning.comparison.choice import Choice
from reasoning.comparison.contrasts import SMALL, Contrast
from reasoning.comparison.crossings import Turn
from reasoning.comparison.curves import Curve
from reasoning.comparison.difficulty import Cell
from reasoning.comparison.findings import Findings
from reasoning.comparison.plan import AXES
from reasoning.evaluation.reports.tables import comma_separated, p_value, significant
from reasoning.evaluation.statistics.stats import Comparison, Estimate

SCALE = {"flops": (1e9, "GFLOP"), "generated": (1.0, "tokens"), "tokens": (1.0, "tokens"), "seconds": (1.0, "s")}


class Part(NamedTuple):
    """A table with what is to be known about it. `name` is that of its CSV file, whose lines hold all digits."""

    name: str
    title: str
    header: Sequence[str]
    lines: Sequence[Sequence[str]]
    note: str
    fields: Sequence[str]
    values: Sequence[Sequence]


def parts(found: Findings) -> list[Part]:
    """All tables that have a line, in the order of reading."""
    axis = found.plan.axis
    made = [points(found), contrasts(found.contrasts, axis), turns(found.turns), cells(found.cells), choices(found, axis)]
    return [part for part in made if part.lines]


def points(found: Findings) -> Part:
    """Every method at every budget."""
    rated, counted = found.plan.price > 0, any(not math.isnan(one.joules) for curve in found.curves for one in curve.points)
    header = ["method", "N", "accuracy", "95 % interval", "MDE", "generated", "all tokens", "GFLOPs", "uncached", "seconds"]
    header += ["price"] * rated + ["joules"] * counted
    lines, values = [], []
    for curve in found.curves:
        for point in curve.points:
            row, paid = point.row, point.row.cost
            price = paid.seconds / 3600 * found.plan.price * found.spread
            star = "" if point.timed or math.isnan(paid.seconds) else " *"
            seconds = _number(paid.seconds) + star
            more = [_number(price) + star] * rated + [_number(point.joules)] * counted
            tokens = f"{paid.tokens:.0f}", f"{point.cost('tokens'):.0f}"
            compute = significant(paid.flops / 1e9), significant(paid.flops_uncached / 1e9)
            lines.append([curve.title(point), str(row.samples), *_estimate(row.accuracy), *tokens, *compute, seconds, *more])
            quality = [row.accuracy.n, row.accuracy.value, row.accuracy.low, row.accuracy.high, row.accuracy.mde]
            costs = [paid.prompt, paid.tokens, paid.scorer, paid.flops, paid.flops_uncached, paid.seconds]
            values.append(
                [curve.name, point.label, row.samples, *quality, *costs, point.timed, price, point.joules, curve.ceiling]
            )
    note = (
        "Means per problem. generated: tokens behind the prompt, those that were forced, taken back or looked ahead too; "
        "all tokens: with the prompt once and those that a scorer read; GFLOPs: analytic, policy and scorer, the prompt "
        "prefilled once for all N; uncached: once for each. MDE: the smallest true difference to another run of as many "
        "problems, unpaired, that would be found with probability 0.8. pass@N is what an oracle would choose, no method."
    )
    amortised = any(not one.timed for curve in found.curves for one in curve.points)
    if amortised:
        note += " * amortised: seconds that slots, or a scorer, were busy in a full batch, not the time of waiting for an answer."
    if found.devices:
        note += f" seconds without *: from runs of their own on {found.devices}, one N at a time, without compiling."
        if amortised:
            note += " A vote by scores that were read afterwards has such a run for its samples, and * for the reading."
    if rated:
        note += f" price: of the seconds, at {found.plan.price:g} for an hour of a device"
        note += f", on {found.spread} of them." if found.spread > 1 else "."
    fields = ["curve", "label", "samples", "problems", "accuracy", "low", "high", "mde", "prompt_tokens", "generated_tokens"]
    fields += ["scorer_tokens", "flops", "flops_uncached", "seconds", "timed", "price", "joules", "ceiling"]
    return Part("points", "Accuracy and cost", header, lines, note, fields, values)


def contrasts(found: Sequence[Contrast], axis: str) -> Part:
    """Pairs of methods at equal budgets, and with all that each can spend."""
    scale, unit = SCALE[axis]
    header = ["contrast", f"budget, {unit}", "spent", "difference", "95 % interval", "MDE", "p", "verdict"]
    lines = [
        [
            f"{one.a} − {one.b}" + (" (primary)" if one.primary else ""),
            f"{'' if one.equal else 'all: '}{significant(one.budget / scale)}",
            f"{significant(one.spent[0] / scale)} : {significant(one.spent[1] / scale)}",
            *_difference(one.found),
            p_value(one.p_value),
            one.verdict,
        ]
        for one in found
    ]
    note = (
        "Paired over the problems. budget: what a problem may cost at most, the largest that both can use; all: what either can. "
        "spent: what each uses of it. p: paired sign-flip test, corrected by Holm's method but for the primary contrast, which "
        "was declared before the run."
    )
    if found:
        most = max(one.needed for one in found if one.primary) if any(one.primary for one in found) else None
        about = f"the primary contrast: {most}" if most is not None else f"the widest: {max(one.needed for one in found)}"
        note += f" Problems that show a difference of {SMALL} with probability 0.8, for {about}."
    fields = [
        "a",
        "b",
        "axis",
        "budget",
        "spent_a",
        "spent_b",
        "difference",
        "low",
        "high",
        "mde",
        "p",
        "p_holm",
        "primary",
        "equal",
    ]
    values = [
        [one.a, one.b, one.axis, one.budget, *one.spent, one.found.difference, one.found.low, one.found.high, one.found.mde]
        + [one.found.p_value, one.p_value, one.primary, one.equal]
        for one in found
    ]
    return Part("contrasts", "Contrasts", header, lines, note, fields, values)


def turns(found: Sequence[Turn]) -> Part:
    """Crossings of curves; the pairs that do not cross are in the CSV alone."""
    header = ["curves", "axis", "crossing", "95 % interval", "resamples", "what it says"]
    lines = []
    for one in found:
        if one.found.budget is not None:
            scale, unit = SCALE[one.axis]
            ends = [significant(end / scale) for end in (one.found.low, one.found.high)] if one.found.low is not None else ["–"]
            budget = f"{significant(one.found.budget / scale)} {unit}"
            share = f"{one.found.share:.2f}"
            lines.append([f"{one.a}, {one.b}", AXES[one.axis][0], budget, " … ".join(ends), share, one.verdict])
    note = (
        "Where two curves cross within the budgets that both can use, problems resampled. resamples: share of them in which the "
        "curves cross in this order; below 0.95 these problems do not show a crossing. Pairs that do not cross are left out."
    )
    fields = ["a", "b", "axis", "range_low", "range_high", "budget", "low", "high", "share", "ahead"]
    values = [
        [one.a, one.b, one.axis, one.low, one.high, one.found.budget, one.found.low, one.found.high, one.found.share]
        + [{"a": one.a, "b": one.b}.get(one.found.ahead, "")]
        for one in found
    ]
    return Part("crossings", "Crossing budgets", header, lines, note, fields, values)


def cells(found: Sequence[Cell]) -> Part:
    """Curves at their largest budgets by difficulty: a line a curve, a column a bin."""
    bins = sorted({(one.bin, one.easiness, one.found.n) for one in found})
    header = ["method", *(f"bin {number + 1}: {low:.2f} … {high:.2f}, {n}" for number, (low, high), n in bins)]
    by_curve: dict[str, list[Cell]] = {}
    for one in found:
        by_curve.setdefault(one.curve, []).append(one)
    lines = []
    for name, row in by_curve.items():
        shown = [f"{one.found.value:.2f} [{one.found.low:.2f}, {one.found.high:.2f}]" for one in row]
        lines.append([f"{name}, N = {row[0].samples}" if row[0].samples > 1 else name, *shown])
    note = (
        "Accuracy with the largest budget; bins of equal size from the easiest, with the share of right samples and the number "
        "of problems. Half of the pool says how difficult a problem is, and the votes over it use the other half."
    )
    fields = ["bin", "easiness_low", "easiness_high", "problems", "curve", "samples", "accuracy", "low", "high"]
    values = [
        [one.bin, *one.easiness, one.found.n, one.curve, one.samples, one.found.value, one.found.low, one.found.high]
        for one in found
    ]
    return Part("difficulty", "By difficulty", header, lines, note, fields, values)


def choices(found: Findings, axis: str) -> Part:
    """The compute-optimal choice, once for all problems and once for each bin."""
    scale, unit = SCALE[axis]
    header = [f"budget, {unit}", "one for all", "accuracy", "one a bin", "accuracy ", "gain", "95 % interval", "MDE", "verdict"]
    lines = [_choice(one, scale) for one in found.choices]
    note = (
        "Chosen on other problems (five folds), applied to these. The choice for a bin first pays for the samples that say how "
        f"difficult a problem is, by how far they agree: {significant(found.charge / scale)} {unit} a problem."
    )
    fields = ["budget", "fixed", "fixed_low", "fixed_high", "pick", "adaptive", "adaptive_low", "adaptive_high", "picks"]
    fields += ["gain", "gain_low", "gain_high", "mde", "p"]
    values = []
    for one in found.choices:
        adaptive = [one.adaptive.value, one.adaptive.low, one.adaptive.high] if one.adaptive else [None] * 3
        gain = [one.gain.difference, one.gain.low, one.gain.high, one.gain.mde, one.gain.p_value] if one.gain else [None] * 5
        fixed = [one.fixed.value, one.fixed.low, one.fixed.high]
        values.append([one.budget, *fixed, one.pick, *adaptive, " | ".join(one.picks), *gain])
    return Part("choice", "Compute-optimal choice", header, lines, note, fields, values)


def _choice(one: Choice, scale: float) -> list[str]:
    head = [significant(one.budget / scale), one.pick, f"{one.fixed.value:.3f}"]
    if one.adaptive is None:
        return [*head, "–", "–", "–", "–", "–", "too little to know the difficulty"]
    gain = one.gain
    verdict = "not distinguishable" if not gain.distinguishable else "a bin" if gain.difference > 0 else "one for all"
    picks = "; ".join(dict.fromkeys(one.picks)) if len(set(one.picks)) == 1 else "; ".join(one.picks)
    return [*head, picks, f"{one.adaptive.value:.3f}", *_difference(gain), verdict]


def csv(part: Part) -> str:
    """All digits of a table."""
    return comma_separated(part.fields, part.values)


def _estimate(found: Estimate) -> list[str]:
    return [f"{found.value:.3f}", f"{found.low:.3f} … {found.high:.3f}", f"{found.mde:.3f}"]


def _difference(found: Comparison) -> list[str]:
    return [f"{found.difference:+.3f}", f"{found.low:+.3f} … {found.high:+.3f}", f"{found.mde:.3f}"]


def _number(value: float) -> str:
    return "–" if math.isnan(value) else significant(value)


def headline(curves: Sequence[Curve]) -> str:
    """One line: the best point of all methods, and what it costs."""
    points = [(curve, point) for curve in curves if not curve.ceiling for point in curve.points]
    curve, point = max(points, key=lambda pair: (pair[1].row.accuracy.value, -pair[1].cost("flops")))
    name = f"{curve.name}, N = {point.row.samples}" if point.row.samples > 1 else curve.name
    at = f"{point.row.accuracy.value:.3f} at {significant(point.cost('flops') / 1e9)} GFLOP a problem"
    return f"Highest of all: {name}, {at}; chosen afterwards, so a little lucky."
