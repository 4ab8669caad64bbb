"""An engine whose responses have steps, and whose mistakes are words: what a step is worth can be read off the text."""

import random

import numpy as np

from doubles.fake_engine import FakeEngine
from reasoning.decode.ledger import Ledger
from reasoning.decode.requests import Response


class Stepper(FakeEngine):
    """Responses in steps that are right until one of them says "bad": from there on no answer is."""

    def respond(self, request, sample, max_tokens, temperature):
        draw, tokenizer = random.Random(f"{request.id}/{sample}"), self.model.tokenizer
        begun = tokenizer.decode(request.tokens) if request.tokens else ""
        problem, _, steps = request.id.partition("/")
        parts = [draw.choice(["good one.", "good two.", "bad."]) for _ in range(0 if steps else 3)]
        right = "bad" not in begun + "".join(parts) and draw.random() < 0.8
        answer = int(problem[4:]) + 1 if right else 99
        text = "\n\n".join([*parts, f"Answer: {answer}" if draw.random() < 0.95 else "Hm."])
        ids = np.array([*tokenizer.encode(text), *tokenizer.stop_ids], np.int32)
        none, zero = np.zeros(len(ids), bool), np.zeros(len(ids), np.float32)
        ledger = Ledger(prompt=9, sampled=len(ids), flops_prompt=1.0, flops_generated=1.0)
        return Response(request.id, sample, text, ids, none, zero, zero, "stop", ledger, zero[:, None], zero[:, None])

    def generate(self, requests, **options):
        self.requests = list(requests)
        return super().generate(self.requests, **options)
