"""An engine without a model: the same front door as `reasoning.decode.engine.Engine`, text from a hash of (id, sample, seed).

Rows finish in the order that continuous batching gives them: `max_slots` rows run together, each needs as many steps as
it has tokens, and the slot of a finished row goes to the next request. So the order of the responses depends on the
neighbours, their content does not.
"""

import dataclasses
import heapq
import random
import time
import types

import numpy as np

from doubles.tokenizer import ByteTokenizer
from reasoning.decode.ledger import Ledger
from reasoning.decode.requests import Response
from reasoning.text.patterns import TableBuilder


class FakeEngine:
    """See the module.

    Attributes:
      skill: {problem id: (right answer, P(right))}; answers of other problems are random numbers.
      slow: {problem id: factor on the length of its samples}.
      crash_after: raise `error` in place of response number `crash_after` (from 0) of a `generate`; None never does.
      served: (id, sample) of every response handed out since the engine was made.
      model: its tokenizer's ids are bytes and three words.
      pattern, script, allowed_set: give rows of real text tables over that vocabulary.
    """

    def __init__(self, skill=None, slow=None, crash_after=None, max_slots=4, error=KeyboardInterrupt):
        self.skill, self.slow, self.crash_after = dict(skill or {}), dict(slow or {}), crash_after
        self.plan = {"max_slots": max_slots}
        self.compile_seconds = 0.0
        self.live = 0
        self.error = error
        self.served = []
        tokenizer = ByteTokenizer(["wait", " but", "Alternatively"])
        self.model = types.SimpleNamespace(
            tokenizer=tokenizer, config=types.SimpleNamespace(vocab_size=tokenizer.size, context=4096)
        )
        builder = TableBuilder(tokenizer.token_bytes(tokenizer.size), tokenizer.encode)
        self.pattern, self.script, self.allowed_set = builder.pattern, builder.script, builder.vocabulary_set

    def fit(self, requests, *, max_tokens=256):
        """Nothing to narrow."""

    def generate(self, requests, *, max_tokens=256, stop=(), chain=None, group=None, **knobs):
        """Responses as they finish; of a search (`group`) too, which here is samples with scores."""
        queue = [
            (request, sample)
            for request in requests
            for sample in (range(request.n) if request.samples is None else request.samples)
        ]
        running, clock, count = [], 0, 0
        while queue or running:
            while queue and len(running) < self.plan["max_slots"]:
                request, sample = queue.pop(0)
                response = self.respond(request, sample, max_tokens, knobs.get("temperature", 1.0))
                if group is not None:
                    response = dataclasses.replace(response, scores=response.logprobs[:3])
                heapq.heappush(running, (clock + len(response.tokens), response.id, sample, response))
            self.live = len(running)
            clock, *_, response = heapq.heappop(running)
            if count == self.crash_after:
                self.live = 0
                raise self.error
            count += 1
            self.served.append((response.id, response.sample))
            yield response
        self.live = 0

    def respond(self, request, sample, max_tokens, temperature):
        """The one possible response to sample `sample` of `request`; greedy samples are all alike."""
        draw = random.Random(f"{request.seed}/{request.id}/{sample if temperature else 0}")
        right, chance = self.skill.get(request.id, ("", 0.0))
        answer = right if draw.random() < chance else str(draw.randrange(5))
        length = min(int(draw.randrange(3, 12) * self.slow.get(request.id, 1)), max_tokens)
        tokens = np.array([draw.randrange(100) for _ in range(length)], np.int32)
        forced = np.zeros(length, bool)
        forced[:1] = draw.random() < 0.3
        ledger = Ledger(
            prompt=20,
            sampled=int((~forced).sum()),
            forced=int(forced.sum()),
            flops_prompt=20e6,
            flops_generated=length * 1e6,
            seconds=time.perf_counter() % 1,  # never twice the same
        )
        text = "Let me see … " + "step; " * (length - 3) + (f"\nAnswer: {answer}" if draw.random() < 0.9 else "\nI do not know.")
        logprobs = np.array([-draw.random() for _ in range(length)], np.float32)
        reason = "stop" if length < max_tokens else "length"
        others = np.zeros((length, 0))
        return Response(request.id, sample, text, tokens, forced, logprobs, logprobs, reason, ledger, others, others)
