"""What goes into the engine and what comes out: requests, responses, and the checks between the user and the device."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reasoning.decode.base import Knob
from reasoning.decode.ledger import Ledger
from reasoning.errors import InputError


@dataclasses.dataclass(frozen=True)
class Request:
    """One prompt and how often to answer it.

    Attributes:
      id: names the problem; part of the random key, so that a sample does not depend on who else runs.
      messages, prompt, tokens: exactly one of: chat messages, raw text, or ids.
      n: samples 0 … n−1. samples: explicit sample numbers instead (a resumed run asks for the missing ones).
      seed: the run's seed, 0 … 2³²−1.
      max_tokens: new tokens at most; None takes `generate`'s. stop: strings that end the response, added to `generate`'s.
      knobs: settings of this request alone; they override `generate`'s.
      question: the problem without instruction and examples, for scorers that read texts; "" takes the last message.
    """

    id: str
    messages: Sequence[Mapping[str, str]] | None = None
    prompt: str | None = None
    tokens: Sequence[int] | None = None
    n: int = 1
    samples: Sequence[int] | None = None
    seed: int = 0
    max_tokens: int | None = None
    stop: Sequence[str] = ()
    knobs: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    question: str = ""


@dataclasses.dataclass(frozen=True, eq=False)
class Response:
    """One finished sample.

    Attributes:
      id, sample: as in the request. text: decoded, without the stop id. stop_reason: "stop" (a stop id), "pattern",
        "length" or "controller". thought_end: why its thought ended: "itself", "stop" (a stop id in mid-thought), "budget",
        "reserve", "round", "loop" or "soft"; "" if no thought ended.
      tokens: int32[n], new tokens. forced: bool[n]. logprobs: float32[n], the model's raw log p in nats, 0 where forced.
      processed_logprobs: float32[n], log p in nats under the distribution that was sampled from: after penalties, temperature
        and truncation (0 for a greedy token); 0 where forced.
      other_tokens, other_logprobs: int32 and float32 [n, A], the likeliest alternatives (A = 0 unless asked for).
      ledger: what it cost.
      scores: float32[steps], the score after each step, of a search; None of plain sampling.
    """

    id: str
    sample: int
    text: str
    tokens: np.ndarray
    forced: np.ndarray
    logprobs: np.ndarray
    processed_logprobs: np.ndarray
    stop_reason: str
    ledger: Ledger
    other_tokens: np.ndarray
    other_logprobs: np.ndarray
    thought_end: str = ""
    scores: np.ndarray | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Job:
    """A checked request: its prompt as ids, its samples, and its knobs as arrays."""

    request: Request
    prompt: np.ndarray
    samples: tuple[int, ...]
    max_tokens: int
    knobs: dict[str, np.ndarray]

    @property
    def identity(self) -> np.ndarray:
        """uint32[2], a digest of the request's id."""
        return np.frombuffer(hashlib.sha256(self.request.id.encode()).digest()[:8], np.uint32)


def check_types(request: Any) -> Request:
    """The request itself, its `stop` as a tuple. Raises InputError for a field of the wrong type."""
    if not isinstance(request, Request):
        raise InputError(f"generate takes Request objects, got {type(request).__name__}; write Request(id=…, prompt=…)")
    if not isinstance(request.id, str) or not request.id.isprintable():
        raise InputError(f"a request's id is a printable string, got {request.id!r}; write id=str(…)")
    where = f"request {request.id!r}"
    for name, kind in (("prompt", str), ("knobs", Mapping)):
        value = getattr(request, name)
        if not (isinstance(value, kind) or (name == "prompt" and value is None)):
            raise InputError(f"{where}: {name} is a {kind.__name__.lower()}, got {type(value).__name__}")
    for name in ("tokens", "samples"):
        value = getattr(request, name)
        if value is not None and not (isinstance(value, (Sequence, np.ndarray)) and all(map(_is_whole, value))):
            raise InputError(f"{where}: {name} is a list of whole numbers; it holds something else")
    if not _is_whole(request.seed) or not 0 <= request.seed < 2**32:
        raise InputError(f"{where}: seed must be a whole number in 0 … 2**32 - 1, got {request.seed!r}")
    return dataclasses.replace(request, stop=stop_strings(request.stop, where))


def stop_strings(stop: Any, where: str) -> tuple[str, ...]:
    """`stop` as a tuple of strings. Raises InputError: a bare string would be read as its letters."""
    if isinstance(stop, (str, bytes)) or not isinstance(stop, Sequence) or not all(isinstance(text, str) for text in stop):
        raise InputError(f"{where}: stop is a list of strings, got {stop!r}; write stop=[…]")
    return tuple(stop)


def _is_whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def prompt_ids(request: Request, tokenizer: Any, vocab_size: int) -> np.ndarray:
    """int32[prompt]: ids of the request's prompt. Raises InputError."""
    given = [name for name in ("messages", "prompt", "tokens") if getattr(request, name) is not None]
    if len(given) != 1:
        raise InputError(f"request {request.id!r} needs exactly one of messages, prompt and tokens; it has {given or 'none'}")
    if request.tokens is not None:
        ids = request.tokens
    elif tokenizer is None:
        raise InputError(f"request {request.id!r} has text, but the model has no tokenizer; pass tokens")
    else:
        ids = tokenizer.encode_chat(request.messages) if request.messages is not None else tokenizer.encode(request.prompt)
    array = np.asarray(ids, np.int64)
    if array.ndim != 1 or not array.size:
        raise InputError(f"request {request.id!r} has an empty prompt; give it at least one token")
    if array.min() < 0 or array.max() >= vocab_size:
        raise InputError(f"request {request.id!r} holds token ids outside 0 … {vocab_size - 1}; use this model's tokenizer")
    return array.astype(np.int32)


def sample_numbers(request: Request) -> tuple[int, ...]:
    """The samples to draw. Raises InputError for n = 0, negative or repeated numbers."""
    if request.samples is None:
        if not _is_whole(request.n) or not 1 <= request.n < 2**31:
            raise InputError(f"request {request.id!r}: n must be a whole number ≥ 1, got {request.n!r}")
        return tuple(range(request.n))
    numbers = tuple(int(sample) for sample in request.samples)
    if not numbers or min(numbers) < 0 or max(numbers) >= 2**31 or len(set(numbers)) != len(numbers):
        raise InputError(f"request {request.id!r}: samples must be distinct numbers ≥ 0, got {request.samples!r}")
    return numbers


def check_request(request: Request, max_tokens: int, context: int, prompt: np.ndarray) -> int:
    """Maximum new tokens of the request. Raises InputError when it is below 1, or prompt and answer exceed the context."""
    limit = max_tokens if request.max_tokens is None else request.max_tokens
    if not _is_whole(limit) or limit < 1:
        raise InputError(f"request {request.id!r}: max_tokens must be a whole number ≥ 1, got {limit!r}")
    if len(prompt) + limit > context:
        raise InputError(
            f"request {request.id!r}: prompt of {len(prompt)} tokens + max_tokens {limit} exceeds the model's context of "
            f"{context}; shorten the prompt or lower max_tokens"
        )
    return limit


def fill_knobs(
    specs: Mapping[str, Knob], values: Mapping[str, Any], rows: Mapping[str, int], where: str
) -> dict[str, np.ndarray]:
    """Every knob as an array, those not named at their neutral value.

    Args:
      rows: rows in use of each text table. where: begins the message of an error.
    Raises InputError for an unknown name, a value out of bounds, or a row of a text table that does not exist.
    """
    for name in values:
        if name not in specs:
            raise InputError(f"{where}: unknown knob {name!r}; this chain has {', '.join(sorted(specs))}")
    filled = {name: knob.fill(name, values.get(name, np.full(knob.shape, knob.neutral))) for name, knob in specs.items()}
    for name, knob in specs.items():
        if knob.rows_of and filled[name].max(initial=-1) >= rows[knob.rows_of]:
            raise InputError(
                f"{where}: knob {name!r} names row {filled[name].max()} of the {knob.rows_of}, which does not exist; "
                "take rows from engine.pattern, engine.script or engine.allowed_set"
            )
    return filled
