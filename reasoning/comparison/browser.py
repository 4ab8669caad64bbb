"""What the browser of problems on a page shows, from the samples of finished runs: plain data, and no more of it than fits.

    methods     label, and the prompt as a template: a null stands where the question does
    columns     what says who was right on a problem: the vote of each method, and further votes over its samples
    problems    question, reference, difficulty; for each column how far it was right; for each method its samples (the text in
                pieces, `reasoning.comparison.marking`), its votes and, of a search, its tree

Prompts are templates because they are the same but for the question: the worked examples stand on the page once a method.
"""

import bisect
import collections
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from reasoning.comparison.marking import pieces
from reasoning.comparison.page import as_json
from reasoning.data.tasks import Problem

LIMIT = 16_000_000  # bytes of JSON that a page on a phone still opens
DIGITS = 4  # of scores and shares
COUNTED = ("prompt", "sampled", "forced", "discarded", "lookahead", "scorer", "scorer_question")  # tokens of a ledger
UNMARKED = "Forced tokens are not marked in {} of the responses shown: their token ids do not spell their text."


class Bar(NamedTuple):
    """An answer in a vote: None for samples that abstained.

    Attributes:
      count: of its samples. weight: that the vote gave it. right: share of its samples that are right.
    """

    answer: str | None
    count: int
    weight: float
    right: float


class Ballot(NamedTuple):
    """One vote over all samples of a problem.

    Attributes:
      name: of a column. winners: more than one if they are tied, none of a method that does not vote. chosen: what the vote took.
      value: its expected correctness, in [0, 1]. bars: the answers, best first.
    """

    name: str
    winners: tuple[str, ...]
    chosen: str | None
    value: float
    bars: tuple[Bar, ...]


class Source(NamedTuple):
    """What is shown of one method.

    Attributes:
      prompt: question → chat messages.
      records: lines of generations.jsonl, with `scores` where a scorer has read them. trees: lines of trees.jsonl.
      ballots: by problem id, the same names in the same order for each, at least one.
    """

    label: str
    prompt: Callable[[str], Sequence[Mapping[str, str]]]
    records: Sequence[Mapping[str, Any]]
    ballots: Mapping[str, Sequence[Ballot]]
    trees: Sequence[Mapping[str, Any]] = ()


def browser(
    problems: Iterable[Problem],
    sources: Sequence[Source],
    *,
    difficulty: Mapping[str, float] | None = None,
    vocabulary: Sequence[bytes] | None = None,
    notes: Sequence[str] = (),
    limit_bytes: int = LIMIT,
) -> dict[str, Any]:
    """What `reasoning.comparison.page.render` takes.

    Args:
      problems: in the order in which they are to be listed.
      difficulty: share of a pool's samples that are right, by problem id; None if there is no pool.
      vocabulary: bytes of each token id; None leaves forced tokens unmarked.
      notes: sentences that stand above the browser.
      limit_bytes: of the JSON. Problems that are too many for it are left out, evenly over difficulty.
    """
    problems = list(problems)
    prompts = [[template(source.prompt(problem.question), problem.question) for problem in problems] for source in sources]
    usual = [_most_common(found) for found in prompts]
    columns = [
        {"name": name, "method": index}
        for index, source in enumerate(sources)
        for name in dict.fromkeys(ballot.name for ballots in source.ballots.values() for ballot in ballots)
    ]
    groups = [_by_problem(source.records) for source in sources]
    grown = [{tree["problem"]: tree for tree in source.trees} for source in sources]
    shown, unmarked = [], {}
    for place, problem in enumerate(problems):
        methods, unmarked[problem.id] = [], 0
        for source, group, trees, found, common in zip(sources, groups, grown, prompts, usual, strict=True):
            records = group.get(problem.id, [])
            texts = [pieces(record, vocabulary) for record in records]
            unmarked[problem.id] += sum(not marked for _, marked in texts)
            methods.append(
                {
                    "samples": [_sample(record, text) for record, (text, _) in zip(records, texts, strict=True)],
                    "ballots": [_ballot(ballot) for ballot in source.ballots.get(problem.id, ())],
                    **({"tree": _tree(trees[problem.id])} if problem.id in trees else {}),
                    **({"prompt": found[place]} if found[place] != common else {}),
                }
                if records
                else None
            )
        shown.append(_problem(problem, methods, columns, (difficulty or {}).get(problem.id)))
    head = {
        "total": len(problems),
        "notes": list(notes),
        "methods": [{"label": source.label, "prompt": common} for source, common in zip(sources, usual, strict=True)],
        "columns": columns,
    }
    head_bytes = len(as_json(head).encode()) + len(UNMARKED) + 200
    shown = fitting(shown, limit_bytes - head_bytes)
    count = sum(unmarked[problem["id"]] for problem in shown)
    if vocabulary is not None and count:
        head["notes"].append(UNMARKED.format(count))
    return {**head, "problems": shown}


def fitting(problems: Sequence[Mapping[str, Any]], limit_bytes: int) -> list[Mapping[str, Any]]:
    """As many problems as fit, in their order: all, or a choice that is even over difficulty, or over their order."""
    sizes = [len(as_json(problem).encode()) + 1 for problem in problems]
    known = [problem["difficulty"] is not None for problem in problems]
    order = sorted(range(len(problems)), key=lambda i: (not known[i], problems[i]["difficulty"] if known[i] else 0.0))
    most = bisect.bisect_right(list(itertools.accumulate(sorted(sizes))), limit_bytes)  # of the smallest
    for count in range(most, 0, -1):
        chosen = [order[(2 * k + 1) * len(order) // (2 * count)] for k in range(count)]
        if sum(sizes[i] for i in chosen) <= limit_bytes:
            return [problems[i] for i in sorted(chosen)]
    return []


def template(messages: Sequence[Mapping[str, str]], question: str) -> list[dict[str, Any]]:
    """Messages with their texts in parts, None where the question stands."""
    out = []
    for message in messages:
        parts = message["content"].split(question) if question else [message["content"]]
        joined = [part for text in parts for part in (text, None)][:-1]
        out.append({"role": message["role"], "parts": [part for part in joined if part != ""]})
    return out


def _most_common(templates: Sequence[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    counts = collections.Counter(map(as_json, templates))
    return max(templates, key=lambda one: counts[as_json(one)], default=[])


def _by_problem(records: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        groups.setdefault(record["problem"], []).append(record)
    return groups


def _problem(problem: Problem, methods: list, columns: Sequence[Mapping[str, Any]], difficulty: float | None) -> dict[str, Any]:
    values = [
        {ballot["name"]: ballot["value"] for ballot in (methods[column["method"]] or {"ballots": ()})["ballots"]}.get(
            column["name"]
        )
        for column in columns
    ]
    return {
        "id": problem.id,
        "task": problem.task,
        "question": problem.question,
        "reference": problem.answer,
        "difficulty": None if difficulty is None else round(difficulty, DIGITS),
        "values": values,
        "methods": methods,
    }


def _sample(record: Mapping[str, Any], text: list) -> dict[str, Any]:
    scores = {name: [round(score, DIGITS) for score in found] for name, found in record.get("scores", {}).items()}
    return {
        "sample": record["sample"],
        "text": text,
        "answer": record["answer"],
        "correct": record["correct"],
        "stop": record["stop_reason"],
        "logprob": None if record.get("logprob") is None else round(record["logprob"], 2),
        "tokens": {kind: record["ledger"][kind] for kind in COUNTED if record["ledger"].get(kind)},
        **({"scores": scores} if scores else {}),
    }


def _ballot(ballot: Ballot) -> dict[str, Any]:
    bars = [[bar.answer, bar.count, round(bar.weight, DIGITS), round(bar.right, DIGITS)] for bar in ballot.bars]
    return {**ballot._asdict(), "value": round(ballot.value, DIGITS), "bars": bars}


def _tree(tree: Mapping[str, Any]) -> dict[str, Any]:
    """A tree as `reasoning.search.tree.Tree.record` gives it, with short numbers and the texts of rows that wrote."""
    rounds = [
        {
            "texts": [text if wrote else "" for text, wrote in zip(one["texts"], one["wrote"], strict=True)],
            "scores": [round(score, DIGITS) for score in one["scores"]],
            "values": [round(value, DIGITS) for value in one["values"]],
            "wrote": list(map(int, one["wrote"])),
            "complete": list(map(int, one["complete"])),
            "parents": one["parents"],
        }
        for one in tree["rounds"]
    ]
    return {"rows": tree["rows"], "rounds": rounds}
