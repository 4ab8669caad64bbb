"""An engine that says what a function of (request, sample) tells it to, in bytes; everything else is that of `FakeEngine`."""

import random
import re

import numpy as np

from doubles.fake_engine import FakeEngine
from reasoning.decode.ledger import Ledger
from reasoning.decode.requests import Response


class Sayer(FakeEngine):
    """See the module.

    Attributes:
      say: (request, sample) → text. A stop string of the request ends it and is taken out; `max_tokens` cuts it.
      calls: [(id, sample), …] of each `generate`. prompts: {id: content of the last message}.
    """

    def __init__(self, say, **settings):
        super().__init__(**settings)
        self.say, self.calls, self.prompts, self.knobs = say, [], {}, {}

    def generate(self, requests, **options):
        requests = list(requests)
        began = super().generate(requests, **options)

        def noted():
            self.calls.append([(one.id, sample) for one in requests for sample in one.samples or range(one.n)])
            self.prompts |= {one.id: one.messages for one in requests}
            self.knobs |= {one.id: {**options, **one.knobs} for one in requests}
            yield from began

        return noted()

    def respond(self, request, sample, max_tokens, temperature):
        text, reason = self.say(request, sample), "stop"
        for end in request.stop:
            if end in text:
                text, reason = text.split(end)[0], "pattern"
        tokenizer, limit = self.model.tokenizer, request.max_tokens or max_tokens
        ids = tokenizer.encode(text) + [tokenizer.stop_ids[0]] * (reason == "stop")
        if len(ids) > limit:
            ids, reason = ids[:limit], "length"
            text = tokenizer.decode(ids)
        draw = random.Random(f"{request.id}/{sample}")
        logprobs = np.array([-draw.random() for _ in ids], np.float32)
        prompt = len(tokenizer.encode_chat(request.messages))
        ledger = Ledger(
            prompt=prompt, sampled=len(ids), flops_prompt=2.0 * prompt, flops_generated=1.0 * len(ids), seconds=draw.random()
        )
        none, others = np.zeros(len(ids), bool), np.zeros((len(ids), 0))
        return Response(
            request.id, sample, text, np.array(ids, np.int32), none, logprobs, logprobs, reason, ledger, others, others
        )


def role_of(request):
    """(round, role) of a request: ("2", "loss"); ("0", "answer") of the first."""
    found = re.fullmatch(r"[^/]*/(\d)/(\w+)", request.id)
    return found.groups() if found else ("0", "answer")


def by_rounds(request, sample):
    """Answers 10 + sample, then 20 + sample, … by rounds, between tags where they are asked for."""
    index, role = role_of(request)
    if role in ("loss", "gradient"):
        return f"{role} {index} of {request.id}"
    text = f"I think so.\nAnswer: {10 * (int(index) + 1) + sample}"
    return text if index == "0" else f"Of course! <improved>{text}</improved> Better?"
