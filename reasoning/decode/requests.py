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


@dataclasses.dataclass(frozen=True, eq=False)
class Response:
    """One finished sample.

    Attributes:
      id, sample: as in the request. text: decoded, without the stop id. stop_reason: "stop" (a stop id), "pattern",
        "length" or "controller".
      tokens: int32[n], new tokens. forced: bool[n]. logprobs: float32[n], the model's raw log p in nats, 0 where forced.
      other_tokens, other_logprobs: int32 and float32 [n, A], the likeliest alternatives (A = 0 unless asked for).
      ledger: what it cost.
    """

    id: str
    sample: int
    text: str
    tokens: np.ndarray
    forced: np.ndarray
    logprobs: np.ndarray
    stop_reason: str
    ledger: Ledger
    other_tokens: np.ndarray
    other_logprobs: np.ndarray


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
        if not isinstance(request.n, int) or request.n < 1:
            raise InputError(f"request {request.id!r}: n must be a whole number ≥ 1, got {request.n!r}")
        return tuple(range(request.n))
    numbers = tuple(int(sample) for sample in request.samples)
    if not numbers or min(numbers) < 0 or len(set(numbers)) != len(numbers):
        raise InputError(f"request {request.id!r}: samples must be distinct numbers ≥ 0, got {request.samples!r}")
    return numbers


def check_request(request: Request, max_tokens: int, context: int, prompt: np.ndarray) -> int:
    """Maximum new tokens of the request. Raises InputError when it is below 1, or prompt and answer exceed the context."""
    limit = max_tokens if request.max_tokens is None else request.max_tokens
    if not isinstance(limit, int) or limit < 1:
        raise InputError(f"request {request.id!r}: max_tokens must be a whole number ≥ 1, got {limit!r}")
    if not 0 <= request.seed < 2**32:
        raise InputError(f"request {request.id!r}: seed must lie in 0 … 2**32 - 1, got {request.seed}")
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
