"""Monte-Carlo labels: the model goes on N times from the end of every step of a run's responses, and the endings are graded.

    <label>/labels/<N>.jsonl    settings, then a line a response: ends of its steps in tokens, how many of N endings were right

The last step is the whole response, whose grade is known: it is not completed. All prefixes are one `generate`, so the engine
prefills what those of one response share once and forks. An ending is drawn by the identity of its prefix; a line is written
when all endings of a response are there, so a killed run ends with the same bytes.

Source: Wang et al. 2023, Math-Shepherd, arXiv 2312.08935, section 3.3.
"""

import collections
import dataclasses
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from tqdm import tqdm

from reasoning.decode.requests import Request, prompt_ids
from reasoning.errors import InputError
from reasoning.evaluation.finished import Finished
from reasoning.evaluation.grading.grader import Grader
from reasoning.evaluation.pool import Record
from reasoning.methods.base import Method
from reasoning.records import Lines, dumps, read_lines, write_atomic
from reasoning.rewards.steps import SEPARATOR, step_ends

LABELS = "labels"


@dataclasses.dataclass(frozen=True)
class Prefix:
    """A response up to the end of a step, to be completed.

    Attributes:
      problem, sample: of the response. step: index of its last step.
      text: of the response up to there. request: continues it.
    """

    problem: str
    sample: int
    step: int
    text: str
    request: Request


def label(run: Finished, name: str, engine: Any, *, n: int = 8, separator: str = SEPARATOR, show: bool = True) -> Path:
    """Labels the responses of method `name` that state an answer and are not labelled yet; returns the file.

    Args:
      engine: of the model that drew them. n: endings of every prefix.
      separator: what ends a step. show: a progress bar on standard error.
    Raises:
      InputError: an unknown method, or one whose controls see where a response began; labels of other settings; a full disk.
    """
    method, directory = run.method(name), run.workdir / name / LABELS
    if any(method.delimiters) or method.each:
        raise InputError(f"{name!r} controls thinking, which a prefix would begin anew; label the responses of another method")
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise InputError(f"labels need a whole number of endings ≥ 1, got {n!r}")
    path, settings = directory / f"{n}.jsonl", {"labels": {"n": n, "separator": separator}}
    records = [one for one in run.samples(name) if one["answer"] is not None]
    with Lines(path) as lines:
        if not lines.records:
            lines.append(settings)
        elif lines.records[0] != settings:
            raise InputError(f"{path} holds labels with other settings; move it away")
        there = {(line["problem"], line["sample"]): line for line in lines.records[1:]}
        missing = [one for one in records if (one["problem"], one["sample"]) not in there]
        for line in _labelled(run, method, missing, engine, n, separator, f"{name}, labels" if show else ""):
            lines.append(line)
            there[line["problem"], line["sample"]] = line
    ordered = dumps(settings) + b"".join(dumps(there[one["problem"], one["sample"]]) for one in records)
    if ordered != path.read_bytes():
        write_atomic(path, ordered)
    return path


def read_labels(path: Path) -> tuple[int, list[dict[str, Any]]]:
    """N and the lines of a file of labels. Raises InputError for a missing or damaged one."""
    if not path.exists():
        raise InputError(f"{path} is missing; scripts/label.py makes it")
    lines = read_lines(path)[0]
    if not lines or "labels" not in lines[0]:
        raise InputError(f"{path} holds no labels")
    return lines[0]["labels"]["n"], lines[1:]


def _labelled(
    run: Finished, method: Method, records: Sequence[Record], engine, n: int, separator: str, show: str
) -> Iterator[dict]:
    """A line for each record, as its last ending is graded."""
    tokenizer = engine.model.tokenizer
    pieces, silent = tokenizer.token_bytes(tokenizer.size), set(tokenizer.stop_ids)
    lines, prefixes, endings = {}, {}, collections.defaultdict(list)
    for one in records:
        ends = step_ends(one["ids"], pieces, separator, silent)
        key, right = (one["problem"], one["sample"]), [0] * (len(ends) - 1) + [n * bool(one["correct"])]
        lines[key] = {"problem": key[0], "sample": key[1], "ends": ends, "right": right, "tokens": 0}
        for prefix in _prefixes(run, method, one, ends, engine, n):
            prefixes[prefix.request.id] = prefix
    waiting = collections.Counter((one.problem, one.sample) for one in prefixes.values() for _ in range(n))
    for key in [key for key in lines if not waiting[key]]:
        yield lines.pop(key)
    options = {**method.texts(engine), **method.knobs}
    responses = engine.generate([one.request for one in prefixes.values()], stop=method.stop, chain=method.chain, **options)
    with Grader() as grader, tqdm(desc=show, total=waiting.total(), unit="ending", file=sys.stderr, disable=not show) as bar:
        for response in responses:
            prefix = prefixes[response.id]
            key = prefix.problem, prefix.sample
            grade: Future = grader.submit(run.problems[prefix.problem], prefix.text + response.text)
            endings[key].append((prefix.step, grade))
            lines[key]["tokens"] += response.ledger.generated
            waiting[key] -= 1
            bar.update()
            if not waiting[key]:
                for step, grade in endings.pop(key):
                    lines[key]["right"][step] += grade.result().correct
                yield lines.pop(key)


def _prefixes(run: Finished, method: Method, record: Record, ends: Sequence[int], engine, n: int) -> Iterator[Prefix]:
    """The prefixes of a response that leave room to go on; of one without room no ending is right."""
    model = engine.model
    problem = run.problems[record["problem"]]
    prompt = prompt_ids(method.requests([problem])[0], model.tokenizer, model.config.vocab_size).tolist()
    for step, end in enumerate(ends[:-1]):
        if end < method.max_tokens:
            name = f"{problem.id}/{record['sample']}/step {step}"
            tokens, room = prompt + record["ids"][:end], method.max_tokens - end
            request = Request(name, tokens=tokens, n=n, seed=method.seed, max_tokens=room)
            yield Prefix(problem.id, record["sample"], step, model.tokenizer.decode(record["ids"][:end]), request)
