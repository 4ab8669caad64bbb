"""Rows and comparisons as text: Markdown for a page, aligned columns for a terminal, CSV with all digits for a program."""

import csv
import io
import math
from collections.abc import Sequence

from reasoning.evaluation.scores import Row
from reasoning.evaluation.stats import Comparison

HEADER = ("method", "N", "accuracy", "95 % interval", "MDE", "tokens", "GFLOPs", "GFLOPs uncached", "seconds")
VERSUS_HEADER = ("comparison", "difference", "95 % interval", "MDE", "p", "compute", "verdict")
NOTES = (
    "Means per problem. tokens: through the model after the prompt. GFLOPs: analytic, the prompt prefilled once for all N; uncached: once for each. "
    "seconds: of this machine, without compiling.",
    "MDE: the smallest true difference that would be found with probability 0.8; above to another run, unpaired, below by this paired comparison. "
    "p: paired sign-flip test.",
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
        f"{found.p_value:.4f}" if found.p_value >= 1e-4 else "< 0.0001",
        f"× {significant(a.cost.flops / b.cost.flops)}" if b.cost.flops else "–",
        verdict,
    ]


def full_name(row: Row) -> str:
    """ "majority, N = 1": with the number even if it is 1."""
    return f"{row.label}, N = {row.samples}"


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
        first, *rest = (cell.ljust(width) if not index else cell.rjust(width) for index, (cell, width) in enumerate(zip(line, widths, strict=True)))
        return "  ".join([first, *rest]).rstrip()

    return "\n".join([one(header), "  ".join("─" * width for width in widths), *map(one, lines)])


def rows_csv(rows: Sequence[Row]) -> str:
    """One line per row, all digits, the columns of `ROW_FIELDS`."""
    return comma_separated(
        ROW_FIELDS,
        [
            [
                row.label, row.samples, row.accuracy.n, row.accuracy.value, row.accuracy.low, row.accuracy.high, row.accuracy.mde, row.accuracy.noise,
                row.cost.prompt, row.cost.tokens, row.cost.scorer, row.cost.flops, row.cost.flops_uncached, row.cost.seconds,
            ]
            for row in rows
        ],
    )  # fmt: skip


def versus_csv(versus: Sequence[Versus]) -> str:
    """One line per comparison, all digits, the columns of `VERSUS_FIELDS`."""
    return comma_separated(
        VERSUS_FIELDS,
        [
            [a.label, a.samples, b.label, b.samples, one.n, one.difference, one.low, one.high, one.mde, one.p_value, a.cost.flops / b.cost.flops]
            for a, b, one in versus
        ],
    )


def comma_separated(header: Sequence[str], lines: Sequence[Sequence]) -> str:
    """CSV; None and NaN are empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    for line in lines:
        writer.writerow("" if cell is None or cell != cell else cell for cell in line)
    return out.getvalue()
