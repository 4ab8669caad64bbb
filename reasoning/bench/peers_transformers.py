"""Hugging Face transformers on the clock: bfloat16, a hand-written greedy loop over its model and its growing cache.

`generate` runs the same forward passes with more Python between them. The cache is the default one, which grows; its
compiled `StaticCache` was not tried. The weights come out of the same GGUF file as ours.
"""

import contextlib
import io
import time
from pathlib import Path

import numpy as np
import torch
import transformers

from reasoning.bench.contest import Timing


def load(path: Path, threads: int, dtype: str = "bfloat16") -> torch.nn.Module:
    """The model of a GGUF file, dequantised to `dtype`."""
    torch.set_num_threads(threads)
    transformers.utils.logging.set_verbosity_error()
    with contextlib.redirect_stderr(io.StringIO()):  # progress bars, whatever its setting
        model = transformers.AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=getattr(torch, dtype))
    return model.eval()


class Transformers:
    """The contestant; see the module."""

    def __init__(self, model: torch.nn.Module, name: str, prompts: np.ndarray, new: int):
        self.name, self._model, self._new = name, model, new
        self._prompts = torch.from_numpy(prompts).long()
        self._cache, self._first = self._prefill()

    @torch.inference_mode()
    def _prefill(self):
        out = self._model(self._prompts, use_cache=True, logits_to_keep=1)
        return out.past_key_values, out.logits[:, -1].argmax(-1)

    @torch.inference_mode()
    def decode(self) -> Timing:
        """`new − 1` steps: the first token comes out of prefill."""
        cache, tokens = self._cache, [self._first]
        if (written := cache.get_seq_length() - self._prompts.shape[1]) > 0:
            cache.crop(-written)
        begin = time.perf_counter()
        for _ in range(self._new - 1):
            out = self._model(tokens[-1][:, None], past_key_values=cache, use_cache=True)
            tokens.append(out.logits[:, -1].argmax(-1))
        seconds = time.perf_counter() - begin
        return Timing(seconds, self._new - 1, torch.stack(tokens, 1).numpy().astype(np.int32))

    def close(self) -> None:
        """Frees the cache; the contestant cannot run any more."""
        del self._cache

    @torch.inference_mode()
    def prefill(self) -> float:
        """Seconds to read all prompts, with logits of the last position alone."""
        begin = time.perf_counter()
        self._prefill()
        return time.perf_counter() - begin


@torch.inference_mode()
def think(model: torch.nn.Module, prompts: list[list[int]], marks, budget: int, waits: int, answer: int) -> list[list[int]]:
    """The loop of s1's README for a batch: prompts with thought and answer, as ids; `marks` of `reasoning.bench.forcing`."""
    texts, left, ends = [list(ids) for ids in prompts], [budget] * len(prompts), [False] * len(prompts)
    for turn in range(waits + 1):
        going = [row for row in range(len(texts)) if left[row] > 0]
        if not going:
            break
        new = _generate(model, [texts[row] for row in going], max(left[row] for row in going), marks.stops, turn > 0)
        for row, ids in zip(going, new, strict=True):
            ids = ids[: left[row]]
            ends[row], left[row] = ids[-1] in marks.stops, left[row] - len(ids)
            texts[row] += ids[:-1] if ends[row] else ids
            if turn < waits and left[row] > 0:
                texts[row] += marks.wait
    for text, ended in zip(texts, ends, strict=True):
        text += marks.closing if ended else marks.tail
    new = _generate(model, texts, answer, marks.end, False)
    return [text + ids for text, ids in zip(texts, new, strict=True)]


def _generate(model, texts: list[list[int]], most: int, stops, one_at_least: bool) -> list[list[int]]:
    """Greedy continuations of up to `most` ids, up to a stop id and with it; prompts are padded on the left."""
    width = max(map(len, texts))
    ids = torch.tensor([[stops[0]] * (width - len(text)) + text for text in texts])
    mask = torch.tensor([[0] * (width - len(text)) + [1] * len(text) for text in texts])
    out = model.generate(
        ids, attention_mask=mask, max_new_tokens=most, min_new_tokens=int(one_at_least), do_sample=False,
        eos_token_id=list(stops), pad_token_id=stops[0],
    )[:, width:].tolist()  # fmt: skip
    return [row[: next((i + 1 for i, token in enumerate(row) if token in stops), len(row))] for row in out]


class Training:
    """Steps of AdamW on float32 masters; in "bfloat16" under autocast."""

    def __init__(self, path: Path, threads: int, dtype: str):
        self._model = load(path, threads, "float32").train()
        self._optimizer = torch.optim.AdamW(self._model.parameters(), lr=1e-4)
        self._narrow = dtype == "bfloat16"
        self.losses: list[float] = []

    def seconds(self, tokens: np.ndarray) -> float:
        """Of one step that learns every token of int32[B, T] but the first of each row."""
        begin, ids = time.perf_counter(), torch.from_numpy(tokens).long()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self._narrow):
            loss = self._model(input_ids=ids, labels=ids, use_cache=False).loss
        loss.backward()
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self.losses.append(loss.item())
        return time.perf_counter() - begin
