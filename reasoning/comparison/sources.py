"""What the browser shows of finished runs: samples with their scores, trees, and the votes over all samples of a problem."""

import collections
import math
from collections.abc import Mapping, Sequence
from typing import Any

from reasoning.comparison.browser import Ballot, Bar, Source
from reasoning.comparison.plan import Line
from reasoning.errors import InputError
from reasoning.evaluation.finished import Finished
from reasoning.evaluation.reports.scores import TIE, by_problem, metric_of, samples_of
from reasoning.evaluation.scoring import attach
from reasoning.evaluation.statistics.metrics import Samples
from reasoning.methods.base import Method, Vote, cast, only
from reasoning.methods.best_of_n import Best, Weighted
from reasoning.methods.majority import Plurality
from reasoning.records import read_lines
from reasoning.rewards import judges
from reasoning.text.answers import normalise
from reasoning.weights.load import load_tokenizer

NO_TOKENIZER = "Forced tokens are not marked: the model's tokenizer could not be read ({})."


def of_methods(run: Finished, lines: Sequence[Line] = (), head: str = "") -> list[Source]:
    """The methods of a finished run, each with its own vote and those of `lines` that are cast over its samples.

    Args:
      head: stands before every name, for a page about several runs.

    Raises InputError if a sample or a score is missing.
    """
    out = []
    for label, method in run.methods.items():
        cast_here = [line for line in lines if label in line.labels and line.vote and not line.ceiling]
        records = run.records(label)
        for name in dict.fromkeys(judges.label(line.scorer) for line in cast_here if line.scorer):
            if name not in records[0].get("scores", {}):
                records = attach(records, run.workdir / label, name)
        votes = {head + label: method.vote}
        for line in cast_here:  # no two columns of the page may have one name
            taken = len(line.labels) > 1 or (line.name in run.methods and line.name != label)
            votes[head + (f"{line.name} ({label})" if taken else line.name)] = line.cast(method.seed)
        trees = read_lines(run.workdir / label / "trees.jsonl")[0]
        out.append(source(head + label, method, records, trees, votes))
    return out


def source(
    label: str,
    method: Method,
    records: Sequence[Mapping[str, Any]],
    trees: Sequence[Mapping[str, Any]] = (),
    votes: Mapping[str, Vote] | None = None,
) -> Source:
    """A method by its samples.

    Args:
      label: what the page calls it.
      records: ordered by problem and sample, with the scores that the votes look at.
      votes: over all samples of a problem, by the name that the page gives them; the method's own, under `label`, by default.
    Raises InputError for a sample without the scores that a vote looks at.
    """
    votes = {label: method.vote} if votes is None else votes
    ballots = {
        group[0]["problem"]: tuple(ballot(name, vote, group) for name, vote in votes.items()) for group in by_problem(records)
    }
    return Source(label, method.prompt, records, ballots, trees)


def vocabulary(model: str) -> tuple[list[bytes] | None, tuple[str, ...]]:
    """Bytes of each token id of a model, and nothing to say; or None, and a sentence for the page that says why."""
    try:
        tokenizer = load_tokenizer(model)
    except InputError as error:
        return None, (NO_TOKENIZER.format(error),)
    return tokenizer.token_bytes(tokenizer.size), ()


def ballot(name: str, vote: Vote, group: Sequence[Mapping[str, Any]]) -> Ballot:
    """What `vote` makes of all samples of one problem. Raises InputError for a sample without the scores that it looks at."""
    samples = samples_of(group, vote)
    weights = weights_of(vote, samples)
    grades = collections.defaultdict(list)
    for answer, correct in zip(samples.answers, samples.correct, strict=True):
        grades[answer].append(correct)
    bars = [Bar(answer, len(found), weights.get(answer, 0.0), sum(found) / len(found)) for answer, found in grades.items()]
    bars.sort(key=lambda bar: (bar.answer is None, -bar.weight, -bar.count, bar.answer or ""))
    value = metric_of(vote)(samples, len(group))
    if vote is only:
        return Ballot(name, (), None, value, tuple(bars))
    chosen = normalise(cast(vote, samples.id, samples.answers, samples.lengths, samples.scores))
    tied = [bar.answer for bar in bars if bar.answer is not None and bar.weight >= weights.get(chosen, math.inf) - TIE]
    winners = tied if decided_by_weight(vote) else [] if chosen is None else [chosen]
    return Ballot(name, tuple(winners), chosen, value, tuple(bars))


def decided_by_weight(vote: Vote) -> bool:
    """Whether the answers with the largest of `weights_of` win."""
    return type(vote) in (Plurality, Best, Weighted)  # a subclass may vote in its own way


def weights_of(vote: Vote, samples: Samples) -> dict[str, float]:
    """By answer: its largest score for the best sample, the sum of its scores for a weighted vote, else its samples."""
    scores = samples.scores or (0.0,) * len(samples.answers)
    given = [(answer, score) for answer, score in zip(samples.answers, scores, strict=True) if answer is not None]
    out: dict[str, float] = {}
    for answer, score in given:
        if type(vote) is Best:
            out[answer] = max(out.get(answer, -math.inf), score)
        else:
            out[answer] = out.get(answer, 0.0) + (max(score, 0.0) if type(vote) is Weighted else 1.0)
    return out
