"""What rounds have asked and been told, on disk: a line a response and a line a reading, so that a restart repeats nothing.

    {"about": …}                              first: what the answers depend on besides the requests, such as the wording
    {"request": "p1/2/update", "sample": 3, "asked": digest of the request, "text": …, "tokens": […], …}
    {"candidate": "p1", "sample": 8, "read": digest of the text, "scores": […], …}

A line is one `write` (`reasoning.records`): kill −9 leaves whole lines and at most one torn one, which the next start drops.
A response is handed out as it was read back, also the first time, so a replayed round sees what the first run saw.
"""

import base64
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from reasoning.decode.ledger import Ledger
from reasoning.decode.requests import Request, Response, sample_numbers
from reasoning.errors import InputError
from reasoning.records import Lines, digest
from reasoning.rewards.responses import Candidate, Reading

COST = ("question", "tokens", "flops_question", "flops")


class Journal:
    """Responses by request id and sample, readings by problem and sample.

    Attributes:
      path: the file; None keeps everything in memory alone.
    """

    def __init__(self, path: Path | None = None, about: Any = None, earlier: Iterable[Mapping[str, Any]] = ()):
        """Opens or makes the file.

        Args:
          about: JSON-able; a file that was begun with another one is refused.
          earlier: lines that count too and are not written again (what other processes had added to a shared file).
        Raises:
          InputError: a damaged file, one about something else, a full disk.
        """
        self.path, self._lines = path, None if path is None else Lines(path)
        self._responses: dict[tuple[str, int], Mapping[str, Any]] = {}
        self._readings: dict[tuple[str, int], Mapping[str, Any]] = {}
        header, there = {"about": about}, [*earlier, *(self._lines.records if self._lines else ())]
        for line in there:
            if "about" in line and line != header:
                self.close()
                raise InputError(f"{path} was begun with another wording or setting; undo the change or use another --workdir")
            self._add(line)
        if self._lines and not self._lines.records:
            self._lines.append(header)

    def _add(self, line: Mapping[str, Any]) -> None:
        if "request" in line:
            self._responses[line["request"], line["sample"]] = line
        elif "candidate" in line:
            self._readings[line["candidate"], line["sample"]] = line

    def _keep(self, line: dict[str, Any]) -> None:
        if self._lines:
            self._lines.append(line)
        self._add(line)

    @property
    def count(self) -> int:
        """Responses and readings."""
        return len(self._responses) + len(self._readings)

    def missing(self, request: Request) -> tuple[int, ...]:
        """Samples of the request that nobody has drawn yet. Raises InputError for one that was asked something else."""
        return tuple(sample for sample in sample_numbers(request) if self._find(request, sample) is None)

    def response(self, request: Request, sample: int) -> Response:
        """What was answered. Raises KeyError if nothing was, InputError if something else was asked."""
        line = self._find(request, sample)
        if line is None:
            raise KeyError((request.id, sample))
        tokens = np.array(line["tokens"], np.int32)
        forced = np.zeros(len(tokens), bool)
        forced[line["forced"]] = True
        nothing = np.zeros((len(tokens), 0))
        return Response(
            id=request.id,
            sample=sample,
            text=line["text"],
            tokens=tokens,
            forced=forced,
            logprobs=_floats(line["logprobs"]),
            processed_logprobs=_floats(line["processed_logprobs"]),
            stop_reason=line["stop_reason"],
            ledger=Ledger(**line["ledger"]),
            other_tokens=nothing,
            other_logprobs=nothing,
            thought_end=line["thought_end"],
        )

    def _find(self, request: Request, sample: int) -> Mapping[str, Any] | None:
        line = self._responses.get((request.id, sample))
        if line is not None and line["asked"] != asked(request):
            raise InputError(
                f"{self.path or 'the journal'} holds an answer of {request.id!r} to another prompt; undo the change of the "
                "method or use another --workdir"
            )
        return line

    def keep_response(self, request: Request, response: Response) -> None:
        """Adds a finished response; alternatives to its tokens are not kept. Raises InputError when the disk is full."""
        self._keep(
            {
                "request": response.id,
                "sample": int(response.sample),
                "asked": asked(request),
                "stop_reason": response.stop_reason,
                "thought_end": response.thought_end,
                "ledger": dict(vars(response.ledger)),
                "tokens": response.tokens.tolist(),
                "forced": np.flatnonzero(response.forced).tolist(),
                "logprobs": _packed(response.logprobs),
                "processed_logprobs": _packed(response.processed_logprobs),
                "text": response.text,
            }
        )

    def reading(self, candidate: Candidate) -> Reading | None:
        """What a scorer said, None if it was not asked. Raises InputError if it read another text of that name."""
        line = self._readings.get((candidate.problem, candidate.sample))
        if line is None:
            return None
        if line["read"] != digest(candidate.text):
            raise InputError(f"{self.path or 'the journal'} holds a score of another text of {candidate.name}; delete that line")
        return Reading(tuple(line["scores"]), *(line[name] for name in COST))

    def keep_reading(self, candidate: Candidate, reading: Reading) -> None:
        """Adds a reading. Raises InputError when the disk is full."""
        name = {"candidate": candidate.problem, "sample": int(candidate.sample), "read": digest(candidate.text)}
        self._keep({**name, **vars(reading), "scores": list(map(float, reading.scores))})

    def close(self) -> None:
        """Puts what was written on the disk. Closing twice is harmless."""
        if self._lines:
            self._lines.close()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_) -> None:
        self.close()


def asked(request: Request) -> str:
    """A digest of what a request asks; knobs are left out, since rows of text tables may be numbered anew at every start."""
    messages = None if request.messages is None else [dict(message) for message in request.messages]
    tokens = None if request.tokens is None else list(map(int, request.tokens))
    return digest([messages, request.prompt, tokens, request.seed, request.max_tokens, list(request.stop)])


def _packed(values: np.ndarray) -> str:
    """float32[n] to the bit, −inf and NaN included, which JSON lacks."""
    return base64.b64encode(np.asarray(values, "<f4").tobytes()).decode()


def _floats(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<f4").astype(np.float32)
