"""Rows and comparisons as text: Markdown for a page, aligned columns for a terminal, CSV with all digits for a program."""

import csv
import io
import math
from collections.abc import Sequence

from reasoning.evaluation.reports.scores import Row
from reasoning.evaluation.statistics.stats import Comparison

HEADER = ("method", "N", "accuracy", "95 % interval", "MDE", "tokens", "GFLOPs", "GFLOPs uncached", "seconds")
VERSUS_HEADER = ("comparison", "difference", "95 % interval", "MDE", "p", "compute", "verdict")
NOTES = (
    "Means per problem. tokens: through the model after the prompt. GFLOPs: analytic, the prompt prefilled once for all N;\n"
    "uncached: once for each. seconds: of this machine, without compiling.",
    "MDE: the smallest true difference that would be found with probability 0.8; above to another run, unpaired, below by\n"
    "this paired comparison. p: paired sign-flip test.",
)
ROW_FIELDS = (
    "method", "samples", "problems", "accuracy", "low", "high", "mde", "noise",
    "prompt_tokens", "tokens", "scorer_tokens", "flops", "flops_uncached", "seconds",
)  # fmt: skip
VERSUS_FIELDS = ("a", "a_samples", "b", "b_samples", "problems", "difference", "low", "high", "mde", "p_value", "flops_ratio")

Versus = tuple[Row, Row, Comparison]


def cells(row: Row) -> list[str]:
    """A line under `HEADER`."""
    found, paid = row.accuracy, row.cost
    return [
        row.label,
        str(row.samples),
        f"{found.value:.3f}",
        f"{found.low:.3f} … {found.high:.3f}",
        f"{found.mde:.3f}",
        f"{paid.tokens:.0f}",
        significant(paid.flops / 1e9),
        significant(paid.flops_uncached / 1e9),
        "–" if math.isnan(paid.seconds) else significant(paid.seconds),
    ]


def versus_cells(versus: Versus) -> list[str]:
    """A line under `VERSUS_HEADER`."""
    a, b, found = versus
    verdict = "cannot tell" if not found.distinguishable else "better" if found.difference > 0 else "worse"
    return [
        f"{a.name} − {full_name(b) if a.label == b.label else b.name}",
        f"{found.difference:+.3f}",
        f"{found.low:+.3f} … {found.high:+.3f}",
        f"{found.mde:.3f}",
        p_value(found.p_value),
        f"× {significant(a.cost.flops / b.cost.flops)}" if b.cost.flops else "–",
        verdict,
    ]


def full_name(row: Row) -> str:
    """ "majority, N = 1": with the number even if it is 1."""
    return f"{row.label}, N = {row.samples}"


def p_value(value: float) -> str:
    """Four digits, and no more than a sign-flip test can tell."""
    return f"{value:.4f}" if value >= 1e-4 else "< 0.0001"


def significant(value: float) -> str:
    """Three significant digits without an exponent."""
    digits = 2 - math.floor(math.log10(abs(value))) if value else 0
    return f"{value:.{max(0, min(digits, 6))}f}"


def markdown(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A pipe table; all but the first column are set to the right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in (header, rule, *lines))


def aligned(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Columns padded to equal width, two spaces apart; all but the first are set to the right."""
    widths = [max(len(line[column]) for line in (header, *lines)) for column in range(len(header))]

    def one(line: Sequence[str]) -> str:
        rest = (cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))
        return "  ".join([line[0].ljust(widths[0]), *rest]).rstrip()

    return "\n".join([one(header), "  ".join("─" * width for width in widths), *map(one, lines)])


def rows_csv(rows: Sequence[Row]) -> str:
    """One line per row, all digits, the columns of `ROW_FIELDS`."""
    lines = []
    for row in rows:
        found, paid = row.accuracy, row.cost
        quality = [found.n, found.value, found.low, found.high, found.mde, found.noise]
        price = [paid.prompt, paid.tokens, paid.scorer, paid.flops, paid.flops_uncached, paid.seconds]
        lines.append([row.label, row.samples, *quality, *price])
    return comma_separated(ROW_FIELDS, lines)


def versus_csv(versus: Sequence[Versus]) -> str:
    """One line per comparison, all digits, the columns of `VERSUS_FIELDS`."""
    lines = []
    for a, b, one in versus:
        numbers = [one.n, one.difference, one.low, one.high, one.mde, one.p_value, a.cost.flops / b.cost.flops]
        lines.append([a.label, a.samples, b.label, b.samples, *numbers])
    return comma_separated(VERSUS_FIELDS, lines)


def comma_separated(header: Sequence[str], lines: Sequence[Sequence]) -> str:
    """CSV; None and NaN are empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    for line in lines:
        writer.writerow("" if cell is None or cell != cell else cell for cell in line)
    return out.getvalue()
