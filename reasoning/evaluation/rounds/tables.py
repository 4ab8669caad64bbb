"""Methods in rounds as text: a line a round, the controls at equal tokens, and what rewriting did to some answers."""

import difflib
import math
from collections.abc import Iterator, Sequence

from reasoning.evaluation.reports.tables import aligned, comma_separated, p_value
from reasoning.evaluation.rounds.report import Control, History, Round, Worked, best_of

HEADER = (
    "method", "round", "calls", "tokens", "all tokens", "reward", "95 % interval", "drawn", "accuracy", "95 % interval",
    "− round 0", "95 % interval", "p", "unread", "lost",
)  # fmt: skip
CONTROL_HEADER = ("method", "best of M from", "as many", "M", "too few", "accuracy", "method − it", "95 % interval", "MDE", "p")
NOTE = (
    "Per problem, up to that round: calls of the model, tokens after the prompts, tokens with them (each request's once).\n"
    "reward: of the best answer so far; drawn: mean of the answers of that round. unread: updates without a text between the\n"
    "tags; lost: those that had none at the second try either. too few: problems on which the pool has fewer than M samples."
)
FIELDS = (
    "method", "mode", "round", "problems", "calls", "tokens", "all_tokens", "reward", "reward_low", "reward_high", "drawn",
    "accuracy", "low", "high", "mde", "gain", "gain_low", "gain_high", "gain_p", "unparsed", "lost",
)  # fmt: skip
SHOWN, WIDTH = 3, 400  # problems whose answers are shown; characters of what the critics said


def text(found: Sequence[Worked], render=aligned) -> str:
    """The tables; `render` is `tables.aligned` or `tables.markdown`."""
    parts = [render(HEADER, [cells(one.label, line) for one in found for line in one.rounds])]
    if controls := [control_cells(one.label, line) for one in found for line in one.controls]:
        parts.append(render(CONTROL_HEADER, controls))
    return "\n\n".join([*parts, NOTE])


def cells(label: str, line: Round) -> list[str]:
    """A line under `HEADER`."""
    value, low, high = line.reward
    gained = ["–"] * 3
    if line.gain:
        gained = [
            f"{line.gain.difference:+.3f}", f"{line.gain.low:+.3f} … {line.gain.high:+.3f}", p_value(line.gain.p_value)
        ]  # fmt: skip
    return [
        label,
        str(line.index),
        f"{line.calls:.1f}",
        f"{line.generated:.0f}",
        f"{line.total:.0f}",
        f"{value:.3f}",
        f"{low:.3f} … {high:.3f}",
        "–" if math.isnan(line.drawn) else f"{line.drawn:.3f}",
        f"{line.accuracy.value:.3f}",
        f"{line.accuracy.low:.3f} … {line.accuracy.high:.3f}",
        *gained,
        f"{line.unparsed:.2f}",
        f"{line.lost:.2f}",
    ]


def control_cells(label: str, line: Control) -> list[str]:
    """A line under `CONTROL_HEADER`."""
    versus = line.versus
    return [
        label,
        line.label,
        line.basis,
        f"{line.samples:.1f}",
        str(line.short),
        f"{line.accuracy.value:.3f}",
        f"{versus.difference:+.3f}",
        f"{versus.low:+.3f} … {versus.high:+.3f}",
        f"{versus.mde:.3f}",
        p_value(versus.p_value),
    ]


def csv(found: Sequence[Worked]) -> str:
    """A line a round, all digits, the columns of `FIELDS`."""
    lines = []
    for one in found:
        for line in one.rounds:
            gain = line.gain
            gained = [gain.difference, gain.low, gain.high, gain.p_value] if gain else [None] * 4
            quality = [line.accuracy.value, line.accuracy.low, line.accuracy.high, line.accuracy.mde]
            cost = [line.accuracy.n, line.calls, line.generated, line.total]
            lines.append(
                [one.label, one.mode, line.index, *cost, *line.reward, line.drawn, *quality, *gained, line.unparsed, line.lost]
            )
    return comma_separated(FIELDS, lines)


def diffs(one: Worked) -> str:
    """Markdown: the best answer of the first round against the last one's, on a few problems; "" if rewriting changed none.

    One that became right, one that became wrong, then others, in the order of the task.
    """
    changed = [
        (history, grades)
        for history, grades in zip(one.histories, one.grades, strict=True)
        if history["rounds"][0]["best"] != history["rounds"][-1]["best"]
    ]
    order = [next((pair for pair in changed if (pair[1][0], pair[1][-1]) == turn), None) for turn in TURNS]
    chosen = [pair for pair in order if pair] + [pair for pair in changed if not any(pair is other for other in order)]
    return "\n\n".join("\n".join(diff(history, grades)) for history, grades in chosen[:SHOWN])


TURNS = ((False, True), (True, False))  # right in round 0, right in the end


def diff(history: History, grades: Sequence[bool]) -> Iterator[str]:
    """Lines of Markdown about one problem: both answers compared by line, and what was said in the round that wrote the last."""
    first, last = best_of(history, 0), best_of(history, -1)
    names = ("wrong", "right")
    yield (
        f"**{history['problem']}**, round 0 (reward {first['score']:.3f}, {names[grades[0]]}) → round {last['round']} "
        f"(reward {last['score']:.3f}, {names[grades[-1]]})"
    )
    yield "```diff"
    lines = difflib.ndiff(first["text"].splitlines(), last["text"].splitlines())
    yield from (line.rstrip().replace("```", "'''") for line in lines if not line.startswith("?"))
    yield "```"
    told = history["rounds"][last["round"]]
    for role in ("loss", "gradient"):
        said = " ".join(told[role].split()).replace("```", "'''")
        yield f"{role}: {said[:WIDTH]}{'…' if len(said) > WIDTH else ''}  "
