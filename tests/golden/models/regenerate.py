"""Writes tests/golden/models/*.json with transformers and llama.cpp, on purpose and by hand; needs the extras parity, bench.

    python tests/golden/models/regenerate.py tiny
    python tests/golden/models/regenerate.py heads
    python tests/golden/models/regenerate.py smollm2-135m-instruct path/to/file.gguf
    python tests/golden/models/regenerate.py qwen2.5-coder-0.5b-instruct path/to/file.gguf
    python tests/golden/models/regenerate.py gemma3-270m path/to/file.gguf

Look at `git diff` afterwards: a golden that moves without a reason is a bug found. Everything is float32 on the CPU with
the plain ("eager") attention of transformers; llama.cpp multiplies with quantised weights and is a second, blunter witness.
"""

import json
import pathlib
import re
import sys

import gguf
import numpy as np
import torch
import transformers

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))
from golden.models import tiny

torch.set_num_threads(1)  # its thread pool and XLA's in one process spin against each other: 13 × slower steps with two
FOLDER = pathlib.Path(__file__).parent
PROMPTS = (
    "def fibonacci(n):\n    if n < 2:\n        return n\n    return",
    "The three primary colours are red, yellow and blue. If you mix red and yellow you get orange; if you mix yellow and blue",
    "Question: 12 + 30 - 17 = ?\nAnswer: 12 + 30 = 42; 42 - 17 = 25. The result is 25.\nQuestion: 41 - 16 + 23 = ?\nAnswer:",
    "Once upon a time there was a lighthouse keeper who counted the ships that passed at night. ",
)
# 1,127 tokens of Gemma, for models with a window (512): more than two of them, with something to count until the end.
LONG = "".join(f"Day {i}: the keeper counted {i * 7 % 31} ships and {i * 5 % 13} gulls.\n" for i in range(1, 61))
TOP, STRIDE, GREEDY, KEPT = 32, 997, 64, 3  # largest logits kept; step of ids kept; greedy tokens; positions kept per prompt
ALL = 256  # up to this length the argmax is kept at every position, beyond it from the first greedy token on


def build(config: dict) -> torch.nn.Module:
    """The tiny model of a config.json, of the class that it names, every weight set from its name."""
    kind = {"gemma3_text": transformers.Gemma3ForCausalLM}.get(config["model_type"])
    if "architectures" in config:
        kind = getattr(transformers, config["architectures"][0])
    loaded = transformers.AutoConfig.for_model(**config, attn_implementation="eager")
    model = (kind or transformers.AutoModelForCausalLM.from_config)(loaded).eval().float()
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            tensor.copy_(torch.from_numpy(tiny.weight(name, tuple(tensor.shape))))
    return model


def randomise(model, seed):
    """`model` with random weights, larger than transformers' own; for the live comparison."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            tensor.copy_(torch.randn_like(tensor) * (0.3 if tensor.ndim == 1 else 1.5 / tensor.shape[-1] ** 0.5))
            if name.endswith("norm.weight"):
                tensor.add_(1.0)
    return model


def tiny_logits(model, tokens=None) -> np.ndarray:
    """float32[3, 14, V] of the ragged prompts, right-padded with a mask; what lies beyond a row's length is not kept.

    Of a classification model the scores: [3, C] if transformers reads them at the last token alone, else [3, 14, C].
    """
    return _ragged(model, tiny.prompts() if tokens is None else tokens).logits.numpy()


def _ragged(model, tokens: np.ndarray, **more):
    mask = (torch.arange(tiny.LENGTH) < torch.tensor(tiny.PROMPT_LENGTHS)[:, None]).long()
    with torch.no_grad():
        return model(torch.from_numpy(tokens).long(), attention_mask=mask, **more)


def values(model) -> np.ndarray:
    """float32[3, 14, 1] as TRL's AutoModelForCausalLMWithValueHead: its linear `summary` on the last hidden states."""
    summary = torch.nn.Linear(model.config.hidden_size, 1)
    with torch.no_grad():
        for name, shape in tiny.VALUE_HEAD.items():
            getattr(summary, name.rsplit(".")[-1]).copy_(torch.from_numpy(tiny.weight(name, shape)))
        return summary(_ragged(model, tiny.prompts(), output_hidden_states=True).hidden_states[-1]).numpy()


def scores(case: str, model) -> np.ndarray:
    """float32[3, C] or [3, 14, C]: what the head of a case of `tiny.HEADS` says."""
    return values(model) if case.endswith("_value") else tiny_logits(model, tiny.padded_prompts())


def regenerate_tiny():
    """One line a position in tiny.json."""
    golden = {"source": f"transformers {transformers.__version__}, float32, eager attention", "cases": {}}
    for name, config in tiny.CASES.items():
        logits = tiny_logits(build(config))[:, :, :: tiny.VOCAB_STRIDE]
        rows = [logits[row, :length] for row, length in enumerate(tiny.PROMPT_LENGTHS)]
        golden["cases"][name] = np.round(np.concatenate(rows).astype(np.float64), 6).tolist()
    _write("tiny", golden)


def regenerate_heads():
    """One line a row where the last token is read, one line a token elsewhere."""
    golden = {"source": f"transformers {transformers.__version__}, float32, eager attention", "cases": {}}
    for name, config in tiny.HEADS.items():
        found = scores(name, build(config))
        if found.ndim == 3:
            found = np.concatenate([found[row, :length] for row, length in enumerate(tiny.PROMPT_LENGTHS)])
        golden["cases"][name] = np.round(found.astype(np.float64), 6).tolist()
    _write("heads", golden)


def from_gguf(path: pathlib.Path):
    """(model in float32, tokenizer) as transformers reads them out of a GGUF.

    A file with an `output.weight` of its own (Qwen2.5-Coder: Q8_0 beside a Q5_0 embedding, 4 % apart) is an untied model
    to transformers, to llama.cpp and to us; asserted here, because equal weights on both sides are the point.
    """
    kwargs = {"gguf_file": path.name, "dtype": torch.float32, "attn_implementation": "eager"}
    model = transformers.AutoModelForCausalLM.from_pretrained(path.parent, **kwargs).eval()
    tied = model.lm_head.weight.data_ptr() == model.model.embed_tokens.weight.data_ptr()
    assert tied == all(tensor.name != "output.weight" for tensor in gguf.GGUFReader(path).tensors), path
    return model, transformers.AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)


def greedy(model, ids: list[int], count: int) -> list[int]:
    """The `count` most likely tokens one after the other, with transformers' cache."""
    out, past, feed = [], None, torch.tensor([ids])
    with torch.no_grad():
        for _ in range(count):
            step = model(feed, past_key_values=past, use_cache=True)
            past, token = step.past_key_values, int(step.logits[0, -1].argmax())
            out.append(token)
            feed = torch.tensor([[token]])
    return out


def all_logits(model, ids: list[int]) -> np.ndarray:
    """float32[T, V]."""
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].float().numpy()


def regenerate_real(name: str, path: pathlib.Path):
    """Top and strided logits, 64 greedy tokens, and the argmax at every position of prompt + greedy tokens or the last 65."""
    from llama_cpp import Llama

    model, tokenizer = from_gguf(path)
    entries = []
    for prompt in (*PROMPTS, LONG) if getattr(model.config, "sliding_window", None) else PROMPTS:
        ids = tokenizer(prompt)["input_ids"]
        tokens = greedy(model, ids, GREEDY)
        logits = all_logits(model, ids + tokens)
        positions = np.linspace(0, len(ids) - 1, KEPT).astype(int).tolist()
        entries.append({"prompt": prompt, "ids": ids, "greedy": tokens, "positions": [_kept(p, logits[p]) for p in positions]})
        entries[-1]["argmax"] = logits.argmax(-1)[0 if len(logits) <= ALL else len(ids) - 1 :].tolist()
    model = model.to(torch.bfloat16)
    agree = [int((_last(all_logits(model, e["ids"] + e["greedy"]), e).argmax(-1) == e["argmax"]).sum()) for e in entries]
    longest = max(len(e["ids"] + e["greedy"]) for e in entries)
    llama = Llama(str(path), n_ctx=max(512, longest), logits_all=True, verbose=False, n_threads=2)
    for entry in entries:
        llama.reset()
        llama.eval(entry["ids"] + entry["greedy"])
        scores = _last(llama.scores[: llama.n_tokens], entry)
        entry["llama_cpp"] = {"argmax": scores.argmax(-1).tolist(), "last": _strided(scores[-1])}
    source = f"transformers {transformers.__version__}, {path.name}, float32, eager attention"
    _write(name, {"source": source, "stride": STRIDE, "bfloat16_argmax_agreement": agree, "prompts": entries})


def _last(logits: np.ndarray, entry: dict) -> np.ndarray:
    """The rows whose argmax is kept."""
    return logits[-len(entry["argmax"]) :]


def _kept(position: int, logits: np.ndarray) -> dict:
    top = np.argsort(-logits, kind="stable")[:TOP]
    return {"position": position, "top_ids": top.tolist(), "top": _rounded(logits[top]), "strided": _strided(logits)}


def _strided(logits: np.ndarray) -> list[float]:
    return _rounded(logits[::STRIDE])


def _rounded(values: np.ndarray) -> list[float]:
    return np.round(values.astype(np.float64), 5).tolist()


def _write(name: str, golden: dict):
    text = json.dumps(golden, indent=1, ensure_ascii=False)
    # One line per innermost list: readable, and a diff of a changed position is one line.
    (FOLDER / f"{name}.json").write_text(_join_lists(text) + "\n", encoding="utf-8")


def _join_lists(text: str) -> str:
    return re.sub(r"\[\s+([^\[\]{}\"]*?)\s+\]", lambda m: "[" + re.sub(r"\s+", " ", m[1]) + "]", text)


if __name__ == "__main__":
    if sys.argv[1:] == ["tiny"]:
        regenerate_tiny()
    elif sys.argv[1:] == ["heads"]:
        regenerate_heads()
    elif len(sys.argv) == 3:
        regenerate_real(sys.argv[1], pathlib.Path(sys.argv[2]))
    else:
        sys.exit("say: tiny, heads, or a model of the catalogue and its GGUF file")
