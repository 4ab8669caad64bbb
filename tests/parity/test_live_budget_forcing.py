"""Budget forcing against the loop of s1's README over transformers, in float32: the same ids, problem by problem.

The README (github.com/simplescaling/s1) generates up to a stop id or the budget, appends "Wait" in place of the stop, subtracts
what was generated from the budget and goes on; the delimiters are appended as its evaluation harness does. SmolLM2 has
s1's marks `<|im_start|>` and `<|im_end|>` in its vocabulary and, untuned, ends its "thought" with one of them.
"""

import functools

import pytest
import torch

import reasoning
from reasoning.bench.peers_transformers import load
from reasoning.data.tasks import load_task
from reasoning.weights import catalogue

NAME, BUDGETS, WAITS, ANSWER = "smollm2-135m-instruct", (12, 48), (0, 1, 2), 8


class Greedy:
    """Greedy tokens of a transformers model, batch 1; what a prefix shares with the one before is not computed again."""

    def __init__(self, model):
        self._model, self._fed, self._cache, self._known = model, [], None, {}

    @torch.inference_mode()
    def next(self, ids: list[int], banned: tuple[int, ...] = ()) -> int:
        """The likeliest token after `ids`, not one of `banned`."""
        if tuple(ids) not in self._known:
            same = next(
                (i for i, (a, b) in enumerate(zip(ids, self._fed, strict=False)) if a != b), min(len(ids), len(self._fed))
            )
            same = min(same, len(ids) - 1)
            if self._cache is not None and len(self._fed) > same:
                self._cache.crop(same - len(self._fed))
            out = self._model(torch.tensor([ids[same:]]), past_key_values=self._cache if same else None, use_cache=True)
            self._cache, self._fed = out.past_key_values, list(ids)
            self._known[tuple(ids)] = torch.topk(out.logits[0, -1], 8).indices.tolist()
        return next(token for token in self._known[tuple(ids)] if token not in banned)

    def generate(self, ids, stops, max_tokens, min_tokens=0):
        """(new ids with the stop id, whether a stop id came), as vLLM's `generate` counts them."""
        new = []
        while len(new) < max_tokens:
            new.append(self.next(ids + new, stops if len(new) < min_tokens else ()))
            if new[-1] in stops:
                return new, True
        return new, False


def readme(greedy, tokenizer, prompt, budget, waits):
    """The response's ids: `max_tokens_thinking_tmp` and the rounds of the README, the end of the thought as in the harness."""
    ids = functools.partial(tokenizer.encode, bos=False)
    stops = (*ids("<|im_start|>"), *ids("<|im_end|>"))
    out = ids("<|im_start|>think\n")
    new, stopped = greedy.generate(prompt + out, stops, budget)
    left = budget
    for _ in range(waits):
        left -= len(new)
        if left <= 0:
            break
        out += (new[:-1] if stopped else new) + ids("Wait")
        new, stopped = greedy.generate(prompt + out, stops, left, min_tokens=1)
    out += new[:-1] if stopped else new
    out += ids("<|im_start|>answer") if stopped else ids("\n<|im_start|>answer\nFinal Answer:")
    return out + greedy.generate(prompt + out, tuple(tokenizer.stop_ids), ANSWER)[0]


@pytest.fixture(scope="module")
def problems():
    return load_task("chain_sum", size=20).problems


def test_ids_differ_from_the_loop_of_the_readme(problems):
    engine = reasoning.Engine(reasoning.load(NAME, "float32"), max_slots=8)
    greedy, tokenizer = Greedy(load(catalogue.fetch(NAME).path, 2, "float32")), engine.model.tokenizer
    differences, suppressed = [], 0
    for budget in BUDGETS:
        for waits in WAITS:
            method = reasoning.method(
                "budget_forcing", form="s1", max_thinking=budget, num_ignore=waits, answer_tokens=0, max_tokens=budget + 24,
                instruction="",
            )  # fmt: skip
            requests = {request.id: request for request in method.requests(problems)}
            for response in method.generate(engine, problems):
                prompt = tokenizer.encode_chat(requests[response.id].messages)
                expected = readme(greedy, tokenizer, list(prompt), budget, waits)
                same = response.tokens.tolist()[: len(expected)] == expected
                differences += (
                    [] if same else [(response.id, budget, waits, tokenizer.decode(response.tokens), tokenizer.decode(expected))]
                )
                suppressed += waits > 0 and "Wait" in tokenizer.decode(response.tokens[response.forced])
    assert not differences, differences
    assert suppressed >= 10, "nothing was suppressed, so nothing was compared"
