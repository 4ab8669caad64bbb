"""Test-time preference optimisation: answers are rewritten by what a reward model's choice between them says in words.

    round 0          N answers ─► scores ─► cache of all
    round 1 … D      best and worst of the whole cache ─► textual loss ─► textual gradient ─► N updates ─► scores ─► cache
    in the end       the best of the cache, after any round

Source: Li et al. 2025, "Test-Time Preference Optimization: On-the-Fly Alignment via Iterative Textual Feedback",
arXiv 2501.12895, section 3 (D = 2, N = 5 there); the three prompts follow TextGrad, Yuksekgonul et al. 2024, arXiv 2406.07496,
in our own words.

Where it departs from the published code: updates that cannot be read are counted, and drawn once more; the two critics have a
temperature of their own; N = 1 is nothing special (best and worst are then one answer in the first round). Of equally good
answers the first drawn counts as best, of equally bad ones the last as worst. The samples of round 0 are those that best-of-N
draws of the same prompt and seed.
"""

import dataclasses
import re
from collections.abc import Generator, Mapping, Sequence
from typing import Any

import numpy as np

from reasoning.decode.requests import Request, Response, prompt_ids
from reasoning.errors import InputError
from reasoning.methods import chain_of_thought, templates
from reasoning.methods.base import Method
from reasoning.methods.best_of_n import LIKELIHOOD
from reasoning.methods.preferences import Cache, Entry
from reasoning.methods.rounds import Ask, Outcome, Program, Rounds, Score
from reasoning.methods.signatures import extends
from reasoning.methods.templates import Template
from reasoning.rewards.aggregate import check_aggregation
from reasoning.rewards.judges import check
from reasoning.rewards.responses import Candidate
from reasoning.text.answers import extract

OPEN, CLOSE = "<improved>", "</improved>"
TAGS = 32  # tokens that an update may take beyond those of an answer
WORDS, SHORT = 10, 64  # of the variable's short form: words at either end, tokens at most
# mode → {role: (template, fields)}; best-of-N has no later rounds.
GRADIENT, UPDATE = ("question", "chosen", "loss"), ("question", "short", "chosen", "loss", "gradient")
MODES = {
    "tpo": {"loss": ("loss", ("question", "rejected", "chosen"))},
    "revision": {"loss": ("revision", ("question", "chosen"))},
    "best_of_n": {},
}


@dataclasses.dataclass(frozen=True)
class Preference(Rounds):
    """The rounds of TPO.

    Attributes:
      depth: rounds after the first, D; `width` is N.
      aggregation: of the scores of steps, for a scorer of steps.
      critic_tokens, critic_temperature: of loss and gradient.
      prompts: (role, template) for loss, gradient and update; none where there are no later rounds.
      mode: in the history alone.
    """

    depth: int = 2
    aggregation: str = "last"
    critic_tokens: int = 256
    critic_temperature: float = 0.7
    prompts: tuple[tuple[str, Template], ...] = ()
    mode: str = "tpo"

    @property
    def about(self) -> Any:
        return {role: [list(turn) for turn in template.turns] for role, template in self.prompts}

    @property
    def rounds(self) -> int:
        """After the first."""
        return self.depth if self.prompts else 0

    def check(self, engine, problem: Mapping[str, Any], request: Request, max_tokens: int) -> None:
        """Raises InputError if a prompt of a later round could be longer than the model's context."""
        limits = self.limits(max_tokens)
        for role, template in self.prompts:
            messages = template(question=problem["question"], **dict.fromkeys(limits, ""))
            size = len(prompt_ids(Request("", messages=messages), engine.model.tokenizer, engine.model.config.vocab_size))
            size += sum(limit * template.uses(field) for field, limit in limits.items())
            size += max_tokens + TAGS if role == "update" else self.critic_tokens
            if size > engine.model.config.context:
                raise InputError(
                    f"the {role} of {request.id!r} may take {size} tokens, more than the model's context of "
                    f"{engine.model.config.context}; lower max_tokens or critic_tokens"
                )

    def limits(self, max_tokens: int) -> dict[str, int]:
        """Tokens that each field of a template may take; what is longer is cut."""
        critic = self.critic_tokens
        return {"chosen": max_tokens, "rejected": max_tokens, "short": SHORT, "loss": critic, "gradient": critic}

    def program(self, engine, problem: Mapping[str, Any], request: Request, sample: int, max_tokens: int) -> Program:
        name = request.id if sample == 0 else f"{request.id}#{sample}"
        tokenizer = engine.model.tokenizer
        prompt = tuple(prompt_ids(request, tokenizer, engine.model.config.vocab_size).tolist())
        first = dataclasses.replace(request, id=name, samples=tuple(range(self.width)))
        cache = Cache(self.aggregation)
        (drawn,) = yield Ask((first,))
        paid, said = [drawn], {}
        new = [Entry(one, Candidate.of(one, problem, prompt, extract(one.text))) for one in drawn]
        while True:
            readings = yield Score(tuple(entry.candidate for entry in new))
            cache.add(new, readings)
            cache.note(paid, said)
            index = len(cache.rounds)
            if index > self.rounds:
                break
            paid, said, updates = yield from self._improve(first, index, problem, cache, tokenizer, max_tokens)
            new = [
                Entry(one, candidate_of(one, text, cache.entries[0].candidate, index * self.width + one.sample, tokenizer))
                for one, text in updates
            ]
        return Outcome(self._answer(request, sample, cache), {"mode": self.mode, **cache.record()})

    def _improve(
        self, first: Request, index: int, problem: Mapping[str, Any], cache: Cache, tokenizer: Any, max_tokens: int
    ) -> Generator[Ask, tuple, tuple[list[Sequence[Response]], dict[str, Any], list[tuple[Response, str]]]]:
        """One round → responses by request, what is noted of them, and the updates that can be read."""
        prompts, limits = dict(self.prompts), self.limits(max_tokens)
        best, worst = cache.best.candidate.text, cache.worst.candidate.text
        fields = {"chosen": best, "rejected": worst, "short": shortened(best)}

        def ask(role: str, **settings: Any) -> Ask:
            cut = {field: within(text, limits[field], tokenizer) for field, text in fields.items()}
            messages = prompts["update" if role == "retry" else role](question=problem["question"], **cut)
            return Ask((dataclasses.replace(first, id=f"{first.id}/{index}/{role}", messages=messages, **settings),))

        critic = {"samples": (0,), "max_tokens": self.critic_tokens, "stop": ()}
        critic["knobs"] = {**first.knobs, "temperature": self.critic_temperature}
        paid = []
        for role in ("loss", "gradient"):
            (responses,) = yield ask(role, **critic)
            paid.append(responses)
            fields[role] = responses[0].text.strip()
        found: dict[int, tuple[Response, str]] = {}
        failed, counts = first.samples, []
        for role in ("update", "retry"):
            if failed:
                (responses,) = yield ask(role, samples=failed, max_tokens=max_tokens + TAGS, stop=(CLOSE,))
                paid.append(responses)
                found |= {one.sample: (one, text) for one in responses if (text := improved(one)) is not None}
                failed = tuple(number for number in failed if number not in found)
            counts.append(len(failed))
        said = {"loss": fields["loss"], "gradient": fields["gradient"], "unparsed": counts[0], "lost": counts[1]}
        return paid, said, [found[number] for number in sorted(found)]

    def _answer(self, request: Request, sample: int, cache: Cache) -> Response:
        """The best of the cache as the response of the method, with what everything cost."""
        entry = cache.best
        changes = {"id": request.id, "sample": sample, "ledger": cache.ledger}
        if entry.number >= self.width:  # an update: its ids are those of the text between the tags
            tokens = np.array(entry.candidate.tokens, np.int32)
            unknown = np.full(len(tokens), np.nan, np.float32)
            changes |= {"text": entry.candidate.text, "tokens": tokens, "forced": np.zeros(len(tokens), bool)}
            changes |= {"logprobs": unknown, "processed_logprobs": unknown}
            changes |= dict.fromkeys(("other_tokens", "other_logprobs"), np.zeros((len(tokens), 0)))
        return dataclasses.replace(entry.response, **changes)


def candidate_of(response: Response, text: str, sibling: Candidate, number: int, tokenizer: Any) -> Candidate:
    """An update as a scorer sees it: an answer to the question itself, with the ids of its text.

    Its log-probability is that of the tokens that wrote it, under the prompt that asked for it.
    """
    written = Candidate.of(response, {"question": sibling.question, "answer": sibling.reference}, sibling.prompt, extract(text))
    tokens = (*tokenizer.encode(text, bos=False), *tokenizer.stop_ids[:1])
    return dataclasses.replace(written, problem=sibling.problem, sample=number, tokens=tokens, text=text)


def improved(response: Response) -> str | None:
    """The text between the last pair of tags, None if there is none or nothing in it."""
    text = response.text + (CLOSE if response.stop_reason == "pattern" else "")
    found = [one.strip() for one in re.findall(f"{OPEN}((?:(?!{OPEN}).)*?){CLOSE}", text, re.DOTALL)]
    return next((one for one in reversed(found) if one), None)


def shortened(text: str) -> str:
    """The first and last words of a text; all of a text that has no more."""
    words = text.split()
    return " ".join(words if len(words) <= 2 * WORDS else [*words[:WORDS], "(...)", *words[-WORDS:]])


def within(text: str, limit: int, tokenizer: Any) -> str:
    """The first `limit` tokens of a text."""
    ids = tokenizer.encode(text, bos=False)
    return text if len(ids) <= limit else tokenizer.decode(ids[:limit])


@extends(chain_of_thought.make, temperature=0.7, top_p=0.95)
def make(
    *,
    mode: str = "tpo",
    width: int = 5,
    depth: int = 2,
    scorer: Mapping[str, Any] = LIKELIHOOD,
    aggregation: str = "last",
    critic_tokens: int = 256,
    critic_temperature: float = 0.7,
    templates: str = "tpo",
    **rest: Any,
) -> Method:
    """The best answer of D rounds of rewriting; the rest are arguments of `chain_of_thought.make`, for the answers.

    Args:
      mode: "tpo"; "revision", whose loss sees the best answer alone; "best_of_n", the first round alone.
      width: answers a round, N. depth: rounds after the first, D; 0 is best of N.
      scorer: `kind` and its arguments (`reasoning.rewards.judges`). The policy's recorded likelihood of an update is under the
        prompt that asked for it; the other measures of confidence read it as an answer to the question.
      aggregation: of the scores of steps: last, min, prod or mean.
      critic_tokens, critic_temperature: of textual loss and gradient.
      templates: folder of the prompts (`reasoning.methods.templates`): "tpo", "tpo_example" (the update shown once, for small
        models), or a path.
      n: runs of the whole procedure; more than one only narrows the estimate of the same accuracy.

    Raises InputError for an unknown mode, a number that makes no sense, or a template that lacks a field.
    """
    for name, value, least in (("width", width, 1), ("depth", depth, 0), ("critic_tokens", critic_tokens, 1)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise InputError(f"method 'tpo': {name} must be a whole number ≥ {least}, got {value!r}")
    if mode not in MODES:
        raise InputError(f"method 'tpo': mode must be one of {', '.join(MODES)}, got {mode!r}")
    check(scorer)
    rounds = Preference(
        scorer=scorer,
        width=width,
        depth=depth,
        aggregation=check_aggregation(aggregation),
        critic_tokens=critic_tokens,
        critic_temperature=critic_temperature,
        prompts=read_prompts(templates, mode),
        mode=mode,
    )
    return dataclasses.replace(chain_of_thought.make(**rest), name="tpo", rounds=rounds)


def read_prompts(folder: str, mode: str) -> tuple[tuple[str, Template], ...]:
    """(role, template) of a mode. Raises InputError."""
    roles = {**MODES[mode], "gradient": ("gradient", GRADIENT), "update": ("update", UPDATE)} if MODES[mode] else {}
    literal = {"update": (OPEN, CLOSE)}
    return tuple((role, templates.read(folder, name, fields, literal.get(role, ()))) for role, (name, fields) in roles.items())
