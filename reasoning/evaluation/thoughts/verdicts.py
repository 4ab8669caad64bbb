"""Was this thought right? Cut the response off at its end, force "Final Answer:", and grade what the model then says, greedily.

A cheap stand-in for the judge of underthinking (arXiv 2501.18585, section 2.2: a language model with the answer key), which asks
whether the thought *could* lead to the answer; this one asks whether it would, here and now, so it finds fewer correct thoughts.

All thoughts of all responses are one `generate`: the prefixes of a response begin alike, so the engine prefills what they share
once and forks.
"""

import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from reasoning.data.tasks import Problem
from reasoning.decode.base import Chain
from reasoning.decode.engine import STANDARD
from reasoning.decode.requests import Request, Response
from reasoning.errors import InputError
from reasoning.evaluation.grading.grader import Grader
from reasoning.evaluation.pool import Record
from reasoning.evaluation.thoughts.segments import DEFAULT, Switches, Thoughts, segment, token_texts
from reasoning.evaluation.thoughts.thinking import finder
from reasoning.evaluation.thoughts.underthinking import Judged
from reasoning.methods.base import Method

FORCED = "\n\nFinal Answer:"  # for a model with delimiters put the closing one before it
MAX_TOKENS = 32


@dataclass(frozen=True)
class Attempt:
    """A response with its thoughts.

    Attributes:
      problem, sample: which. correct: the response as a whole.
      prompt, tokens: ids that it was given and that it wrote, a stop id included.
      thoughts: of the tokens of the thinking, which are all where nothing closes it.
    """

    problem: str
    sample: int
    correct: bool
    prompt: tuple[int, ...]
    tokens: tuple[int, ...]
    thoughts: Thoughts


@dataclass(frozen=True)
class Question:
    """One thought to be completed: the indices of its attempt and of the thought in it."""

    attempt: int
    thought: int
    request: Request


def attempts(
    records: Iterable[Record], problems: Mapping[str, Problem], method: Method, engine: Any, switches: Switches = DEFAULT
) -> list[Attempt]:
    """Segments the responses of a run.

    Args:
      records: lines of generations.jsonl. problems: by id. method: that drew them; its prompt is rendered again.
      engine: one with the model that drew them.

    Raises InputError for a record without token ids.
    """
    tokenizer = engine.model.tokenizer
    pieces, out = tokenizer.token_bytes(engine.model.config.vocab_size), []
    thinking = finder(engine, method.delimiters)
    for record in records:
        if not {"ids", "forced"} <= record.keys():
            raise InputError(
                f"the record of {record['problem']!r} holds no token ids, an earlier version wrote it; draw the samples again in "
                "another --workdir"
            )
        ids = tuple(record["ids"])
        prompt = tuple(tokenizer.encode_chat(method.prompt(problems[record["problem"]].question)))
        forced = set(record["forced"])
        _, behind = thinking(ids, [place in forced for place in range(len(ids))])
        thoughts = segment(token_texts(pieces, ids)[:behind], switches)
        out.append(Attempt(record["problem"], record["sample"], record["correct"], prompt, ids, thoughts))
    return out


def questions(
    attempts: Sequence[Attempt],
    forced: Sequence[int],
    *,
    max_tokens: int = MAX_TOKENS,
    stop_ids: Collection[int] = (),
    context: int | None = None,
) -> list[Question]:
    """One greedy request for each thought of each incorrect response.

    Args:
      forced: ids of the text that asks for the answer.
      max_tokens: of the answer.
      stop_ids: left out where a prefix ends in them: nobody goes on after the end of a turn.
      context: tokens that fit the model; a thought that ends too late to be asked is left out. None: all fit.
    """
    out = []
    for index, attempt in enumerate(attempts):
        if attempt.correct:
            continue
        for number, thought in enumerate(attempt.thoughts.parts):
            prefix = list(attempt.tokens[: thought.stop])
            while prefix and prefix[-1] in stop_ids:
                prefix.pop()
            tokens = [*attempt.prompt, *prefix, *forced]
            if context is None or len(tokens) + max_tokens <= context:
                name = f"{attempt.problem}/{attempt.sample}/thought {number}"
                request = Request(name, tokens=tokens, max_tokens=max_tokens, knobs={"temperature": 0.0})
                out.append(Question(index, number, request))
    return out


def judged(
    attempts: Sequence[Attempt],
    questions: Sequence[Question],
    responses: Iterable[Response],
    problems: Mapping[str, Problem],
    grader: Grader,
    forced: str = FORCED,
) -> list[Judged]:
    """Reads the answers back: where each attempt was right first, in the order of the attempts.

    Args:
      responses: to the requests of `questions`, in any order. forced: the text that they continue.

    Raises InputError when a response is missing.
    """
    texts = {response.id: response.text for response in responses}
    lacking = [question.request.id for question in questions if question.request.id not in texts]
    if lacking:
        raise InputError(f"{len(lacking)} of {len(questions)} thoughts have no response, e.g. {lacking[0]!r}; generate them all")
    grades = grader.grade_many((problems[attempts[one.attempt].problem], forced + texts[one.request.id]) for one in questions)
    through: dict[int, int] = {}
    for question, grade in zip(questions, grades, strict=True):
        if grade.correct:  # thoughts come in their order, so the first one stays
            through.setdefault(question.attempt, attempts[question.attempt].thoughts.parts[question.thought].stop)
    return [Judged(one.problem, one.correct, len(one.tokens), through.get(index)) for index, one in enumerate(attempts)]


def judge(
    engine: Any,
    grader: Grader,
    attempts: Sequence[Attempt],
    problems: Mapping[str, Problem],
    *,
    forced: str = FORCED,
    max_tokens: int = MAX_TOKENS,
    chain: Chain = STANDARD,
    show: str = "",
) -> list[Judged]:
    """`questions`, one `engine.generate`, and `judged`. Raises InputError as they do.

    `chain` is any with a temperature, its other knobs neutral; that of the run is compiled already. `show` names a progress bar
    on standard error; "" shows none.
    """
    tokenizer = engine.model.tokenizer
    asked = questions(
        attempts,
        tokenizer.encode(forced, bos=False),
        max_tokens=max_tokens,
        stop_ids=tokenizer.stop_ids,
        context=engine.model.config.context,
    )
    responses = engine.generate([one.request for one in asked], chain=chain)
    responses = tqdm(responses, desc=show, total=len(asked), unit="thought", file=sys.stderr, disable=not show)
    return judged(attempts, asked, responses, problems, grader, forced)
