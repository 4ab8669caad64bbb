"""A paper as one value: prompt, delimiters, transform, controller, search, scorer and vote, and how to run it.

`method("majority", n=8)` finds `reasoning/methods/majority.py` and calls its `make(n=8)`: a new paper is a new file with a
`make`, nothing is registered. `Method.generate` is the only place where a method meets the engine.
"""

import contextlib
import dataclasses
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from reasoning.decode.base import Chain
from reasoning.decode.engine import STANDARD
from reasoning.decode.ledger import Ledger
from reasoning.decode.requests import Request, Response, prompt_ids
from reasoning.errors import InputError
from reasoning.methods.journal import Journal
from reasoning.methods.rounds import Rounds, Watch
from reasoning.methods.steps import Steps
from reasoning.rewards.judges import judge
from reasoning.rewards.responses import Candidate, Judge, Reading
from reasoning.text.answers import extract

NOT_METHODS = {"base", "journal", "preferences", "prompts", "rounds", "searching", "signatures", "steps", "templates"}
Vote = Callable[..., str | None]  # called by `cast`


@dataclasses.dataclass(frozen=True)
class Result:
    """What a method says about one problem.

    Attributes:
      id: the problem's.
      answer: what the vote chose; None if every sample abstained.
      answers: what was extracted from each response, None where nothing was.
      responses: the engine's `Response`s, ordered by sample.
      ledger: cost of all samples with the prompt paid once, for the policy and for a scorer. Samples in rounds pay all their own
        prompts, of which they share the first alone.
      scores: of each response after each of its steps, of a method with a scorer or a search.
    """

    id: str
    answer: str | None
    answers: tuple[str | None, ...]
    responses: tuple[Response, ...]
    ledger: Ledger
    scores: tuple[tuple[float, ...], ...] = ()


def no_texts(engine) -> dict[str, Any]:
    """`Method.texts` of a method without strings of its own."""
    return {}


@dataclasses.dataclass(frozen=True)
class Method:
    """A way to spend inference compute on a problem.

    Attributes:
      name: the file in `reasoning/methods` that made it.
      prompt: question → chat messages.
      vote: (problem id, extracted answers by sample, None = abstains) → answer or None. Random ties are drawn from the id.
        One with an attribute `by_length = True` gets the samples' lengths too, as a third argument (`cast`); one with
        `by_score = True` their scores, each what its `value` makes of the scores of the steps.
      n: samples per problem.
      max_tokens: tokens per sample.
      stop: strings that end a sample.
      seed: the run seed that every sample's key is folded from, with problem id and sample index.
      knobs: settings of the chain's stages by name (`temperature`, `top_p`, …).
      delimiters: strings that open and close thinking, ("", "") for none; they set `Context.phase`.
      texts: engine → further knobs, for strings of the method's own: their values are rows of the engine's text tables
        (`engine.pattern`, `engine.script`, `engine.allowed_set`), so they can only be made once there is an engine. `knobs`
        override them. A frozen dataclass with a `__call__`, so that equal arguments make equal methods.
      each: further knobs of every problem by its id, or none at all; they override `knobs`.
      chain: transforms and controllers. A method with stages of its own builds its chain once, at module level: chains are
        compared by identity, and another chain is another compiled program.
      scorer: of a vote that sees scores: `kind` and arguments, see `reasoning.rewards.judges`.
      search: how the samples of a problem are selected from step by step, None where each is drawn for itself.
      rounds: how a sample is worked out in several calls of the model, None where it is one call.
    """

    name: str
    prompt: Callable[[str], list[dict[str, str]]]
    vote: Vote
    n: int = 1
    max_tokens: int = 256
    stop: tuple[str, ...] = ()
    seed: int = 0
    knobs: Mapping[str, Any] = dataclasses.field(default_factory=dict, hash=False)
    delimiters: tuple[str, str] = ("", "")
    texts: Callable[[Any], Mapping[str, Any]] = no_texts
    each: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict, hash=False)
    chain: Chain = STANDARD
    scorer: Mapping[str, Any] | None = dataclasses.field(default=None, hash=False)
    search: Steps | None = None
    rounds: Rounds | None = None

    def __post_init__(self):
        for field in ("n", "max_tokens"):
            value = getattr(self, field)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InputError(f"method {self.name!r}: {field} must be a whole number ≥ 1, got {value!r}")
        if isinstance(self.stop, str):
            raise InputError(f"method {self.name!r}: stop is a sequence of strings; write stop=({self.stop!r},)")
        object.__setattr__(self, "stop", tuple(self.stop))
        object.__setattr__(self, "knobs", MappingProxyType(dict(self.knobs)))
        if self.scorer is not None:
            object.__setattr__(self, "scorer", MappingProxyType(dict(self.scorer)))

    def requests(
        self, problems: Iterable[Mapping[str, Any]], samples: Mapping[str, Sequence[int]] | None = None
    ) -> list[Request]:
        """One request a problem.

        Args:
          problems: mappings, or objects like `reasoning.data.tasks.Problem`, with `id` and `question`.
          samples: sample indices to generate by problem id; problems that are not named are left out. None: all of them.
        Raises:
          InputError: two problems share an id (they would share their random numbers and their records); `each` lacks a problem.
        """
        problems = mappings(problems)
        for problem in problems:
            if not {"id", "question"} <= problem.keys():
                raise InputError(f"a problem needs the fields id and question, one has {', '.join(map(str, problem))}; add them")
        unique_ids(problem["id"] for problem in problems)
        wanted = [problem for problem in problems if samples is None or samples.get(problem["id"])]
        unset = next((problem["id"] for problem in wanted if self.each and problem["id"] not in self.each), None)
        if unset is not None:
            raise InputError(f"method {self.name!r}: `each` says nothing about the problem {unset!r}")
        return [
            Request(
                id=problem["id"],
                messages=self.prompt(problem["question"]),
                n=self.n,
                seed=self.seed,
                knobs=dict(self.each.get(problem["id"], {})),
                samples=None if samples is None else tuple(samples[problem["id"]]),
            )
            for problem in wanted
        ]

    def generate(
        self,
        engine,
        problems,
        samples: Mapping[str, Sequence[int]] | None = None,
        keep: Callable[[dict[str, Any]], None] | None = None,
        journal: Journal | None = None,
        watch: Watch | None = None,
    ) -> Iterator[Response]:
        """Responses to `requests(problems, samples)` as they finish; a sample is the same whatever runs beside it.

        A search draws all samples of a problem together, and hands out those that are asked for. `keep` is called with the tree
        of each problem (`reasoning.search.tree.Tree.record`), or with the history of each sample that is worked out in rounds,
        for which `journal` and `watch` are (`reasoning.methods.rounds.Rounds.generate`).
        """
        problems = mappings(problems)
        named = zip(("thinking_start", "thinking_end"), self.delimiters, strict=True)
        phases = {knob: engine.pattern(text) for knob, text in named if text}
        knobs = {**phases, **self.texts(engine), **self.knobs}
        options = {"max_tokens": self.max_tokens, "stop": self.stop, "chain": self.chain}
        if self.rounds is not None:
            by_id = {problem["id"]: problem for problem in problems if "id" in problem}
            notes = {"journal": journal, "keep": keep, "watch": watch}
            return self.rounds.generate(engine, by_id, self.requests(problems, samples), **notes, **options, **knobs)
        if self.search is None:
            return engine.generate(self.requests(problems, samples), **options, **knobs)
        whole = None if samples is None else {name: range(self.n) for name, wanted in samples.items() if wanted}
        options |= {"group": self.search.group(engine, self.n, keep)}
        responses = engine.generate(self.requests(problems, whole), **options, **{**self.search.knobs(engine), **knobs})
        return responses if samples is None else only_wanted(responses, samples)

    def check(self, engine, problems) -> None:
        """Raises InputError for whatever would stop `generate`; nothing is generated."""
        self.generate(engine, problems).close()

    def fit(self, engine, problems) -> None:
        """Narrows the engine's plan to what these problems need (`Engine.fit`)."""
        requests = self.requests(problems)
        if self.rounds is not None:
            requests = [dataclasses.replace(request, n=request.n * self.rounds.width) for request in requests]
        engine.fit(requests, max_tokens=self.max_tokens)

    def answer(self, response: Response) -> str | None:
        """What the response says, None if it says nothing that can be read."""
        return extract(response.text)

    def run(self, engine, problems: Iterable[Mapping[str, Any]]) -> Iterator[Result]:
        """A `Result` per problem as soon as its last sample is done; problems as in `requests`."""
        problems = mappings(problems)
        by_id = {problem.get("id"): problem for problem in problems}
        scorer = judge(engine, self.scorer) if self.scorer else None
        groups: dict[str, list[Response]] = {}
        for response in self.generate(engine, problems):
            group = groups.setdefault(response.id, [])
            group.append(response)
            if len(group) == self.n:
                del groups[response.id]
                yield self.result(group, self.score(engine, scorer, by_id[response.id], group) if scorer else ())

    def score(self, engine, scorer: Judge, problem: Mapping[str, Any], responses: Iterable[Response]) -> list[Reading]:
        """What the scorer says about the responses to one problem, ordered by sample."""
        model = engine.model
        prompt = prompt_ids(self.requests([problem])[0], model.tokenizer, model.config.vocab_size)
        candidates = [Candidate.of(one, problem, prompt, self.answer(one)) for one in responses]
        return [reading for _, reading in sorted(scorer.read(candidates), key=lambda pair: pair[0].sample)]

    def result(self, responses: Sequence[Response], readings: Sequence[Reading] = ()) -> Result:
        """The vote over all responses to one problem; n ≥ 1 of them in any order, readings ordered by sample."""
        responses = tuple(sorted(responses, key=lambda response: response.sample))
        answers = tuple(self.answer(response) for response in responses)
        ledgers = [response.ledger for response in responses]
        total = sum(ledgers[1:], ledgers[0])
        scored = readings[0].question if readings else 0, sum(reading.tokens for reading in readings)
        prompts = ledgers[0] if self.rounds is None else total
        once = dataclasses.replace(
            total,
            prompt=prompts.prompt,
            scorer=total.scorer + sum(scored),
            flops_prompt=prompts.flops_prompt + (readings[0].flops_question if readings else 0.0),
            flops_generated=total.flops_generated + sum(reading.flops for reading in readings),
        )
        lengths = tuple(len(response.tokens) for response in responses)
        said = [reading.scores for reading in readings] or [one.scores for one in responses if one.scores is not None]
        scores = tuple(map(tuple, said))
        values = [self.vote.value(steps) for steps in scores] if sees_scores(self.vote) else ()
        winner = cast(self.vote, responses[0].id, answers, lengths, values)
        return Result(responses[0].id, winner, answers, responses, once, scores)


def mappings(problems: Iterable[Any]) -> list[Mapping[str, Any]]:
    """Problems as mappings, whatever they are (`Method.requests`)."""
    return [problem if isinstance(problem, Mapping) else vars(problem) for problem in problems]


def unique_ids(ids: Iterable[str]) -> None:
    """Raises InputError if two problems share an id."""
    seen = set()
    for name in ids:
        if name in seen:
            raise InputError(f"two problems have the id {name!r}; give every problem an id of its own")
        seen.add(name)


def sees_lengths(vote: Vote) -> bool:
    """Whether a vote depends on the samples' lengths."""
    return getattr(vote, "by_length", False)


def sees_scores(vote: Vote) -> bool:
    """Whether a vote depends on the samples' scores."""
    return getattr(vote, "by_score", False)


def cast(
    vote: Vote, problem: str, answers: Sequence[str | None], lengths: Sequence[int], scores: Sequence[float] = ()
) -> str | None:
    """What `vote` chooses of the answers to a problem, by sample; lengths in tokens and scores, for a vote that sees them."""
    if sees_scores(vote):
        return vote(problem, answers, scores)
    return vote(problem, answers, lengths) if sees_lengths(vote) else vote(problem, answers)


def only_wanted(responses: Iterator[Response], samples: Mapping[str, Sequence[int]]) -> Iterator[Response]:
    """Those of `responses` whose samples are named."""
    with contextlib.closing(responses):
        for response in responses:
            if response.sample in samples[response.id]:
                yield response


def only(problem: str, answers: Sequence[str | None]) -> str | None:
    """The vote of a method with one sample: its answer, or the first one if more were drawn to estimate the accuracy."""
    return answers[0]


def names() -> list[str]:
    """The methods there are: the files of `reasoning/methods`."""
    package = importlib.import_module("reasoning.methods")
    return sorted(info.name for info in pkgutil.iter_modules(package.__path__) if info.name not in NOT_METHODS)


def maker(name: str) -> Callable[..., Method]:
    """The `make` of `reasoning/methods/<name>.py`, or of your own module if `name` has a dot. Raises InputError."""
    choice = f"choose one of {', '.join(names())}, or the dotted name of a module with a make()"
    if "." not in name and name not in names():
        raise InputError(f"unknown method {name!r}; {choice}")
    try:
        module = importlib.import_module(name if "." in name else f"reasoning.methods.{name}")
    except ModuleNotFoundError as error:
        if error.name is None or not name.startswith(error.name):
            raise  # the module is there, one of its own imports is not
        raise InputError(f"there is no module {name!r}; {choice}") from error
    except TypeError as error:  # a name that begins with a dot
        raise InputError(f"{name!r} is not the name of a module; {choice}") from error
    if not hasattr(module, "make"):
        raise InputError(f"{name} is no method: it has no make(); {choice}")
    return module.make


def method(name: str, **arguments: Any) -> Method:
    """The method `name` (see `maker`) made with `arguments`. Raises InputError, naming the arguments there are."""
    make = maker(name)
    valid = inspect.signature(make).parameters
    for argument in arguments:
        if argument not in valid:
            raise InputError(f"method {name!r} has no argument {argument!r}; choose from {', '.join(valid)}")
    return make(**arguments)
