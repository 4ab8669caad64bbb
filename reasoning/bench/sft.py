"""Fine-tuning steps against transformers and PyTorch, and what packing gains.

Both sides take the same step: AdamW on float32 masters over the same rows, all tokens learnt, products in bfloat16 (autocast
there) or in float32. All programs, every peer among them, take one step a round in turn, after a round that is not counted.
Packing is measured on examples of unequal lengths, as traces have them: tokens are those of the examples, padding is not counted.

Axis legend: `B` rows, `T` tokens of a row.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from reasoning.bench.pairing import Ratio, interleave, ratio
from reasoning.bench.tables import markdown, spread
from reasoning.bench.training import Trainer, full_rows, random_tokens
from reasoning.models.model import Model
from reasoning.train.batching import LAYOUTS, Batches, Layout
from reasoning.train.examples import Example

ROWS = 2
PEER = {"transformers": "bfloat16", "transformers-f32": "float32"}  # dtype of its products; masters are float32 in both
Load = Callable[[str], Any]  # dtype → a program with `seconds(tokens)`


class Entry(NamedTuple):
    """One program.

    Attributes:
      tokens_per_second: median and range over the rounds. over: ours in the named dtype / it, by the dtype of ours.
      loss: of the first step, nats a token; from the same weights all agree.
    """

    program: str
    tokens_per_second: Ratio
    over: dict[str, Ratio]
    loss: float


def masters(model: Model) -> Any:
    """float32 copies of the model's parameters."""
    return jax.tree.map(lambda leaf: leaf.astype("float32"), model.params)


def steps(model: Model, peers: Sequence[str], load: Load, length: int, rounds: int) -> list[Entry]:
    """Interleaved steps of all programs over `ROWS` × `length` tokens; `load` makes the peer of a dtype."""
    tokens = random_tokens(model.config, ROWS, length)
    programs: dict[str, Any] = {}
    for dtype in ("float32", "bfloat16"):
        trainer = Trainer(model.network, masters(model), dtype)
        programs[f"ours {dtype}"] = (trainer, lambda trainer=trainer: trainer.seconds(full_rows(tokens)))
    for peer in peers:
        trainer = load(PEER[peer])
        programs[f"transformers {PEER[peer]}"] = (trainer, lambda trainer=trainer: trainer.seconds(tokens))
    seconds = interleave({name: run for name, (_, run) in programs.items()}, rounds)
    ours = {name.split()[1]: seconds[name] for name in programs if name.startswith("ours")}
    entries = []
    for name, (trainer, _) in programs.items():
        speed = ratio([tokens.size] * rounds, seconds[name])
        over = {dtype: ratio(seconds[name], own) for dtype, own in ours.items()}
        entries.append(Entry(name, speed, over, trainer.losses[0]))
    return entries


def traces(vocabulary: int, longest: int, count: int = 32) -> list[Example]:
    """Examples whose lengths are spread as traces' are (lognormal, σ = 0.7), the median a quarter of the longest."""
    rng = np.random.default_rng(0)
    lengths = np.clip(longest / 4 * np.exp(0.7 * rng.standard_normal(count)), 8, longest).astype(int)
    return [
        Example(str(i), rng.integers(0, vocabulary, n).astype(np.int32), np.arange(n) >= n // 4) for i, n in enumerate(lengths)
    ]


def packing(model: Model, length: int, rounds: int) -> list[dict[str, Any]]:
    """Seconds of an epoch in every layout, two steps of 16 examples; tokens/s counts the examples' tokens."""
    examples, trainer = traces(model.config.vocab_size, length), Trainer(model.network, masters(model))
    data, runs = {}, {}
    for kind in LAYOUTS:
        batches = Batches(examples, Layout(kind, rows=1, max_tokens=length))
        data[kind] = [next(batches) for _ in range(batches.steps)]
        runs[kind] = lambda kind=kind: sum(trainer.seconds(batch) for batch in data[kind])
    seconds, total = interleave(runs, rounds), sum(len(one.ids) for one in examples)
    return [
        {
            "layout": kind,
            "tokens_per_second": ratio([total] * rounds, seconds[kind]),
            "over_padded": ratio(seconds["padded"], seconds[kind]),
            "padding": 1 - total / sum(int(batch.segments.any(-1).sum()) * batch.segments.shape[-1] for batch in data[kind]),
        }
        for kind in LAYOUTS
    ]


def sft(model: Model, peers: Sequence[str], load: Load, length: int, rounds: int) -> dict[str, Any]:
    """Steps, as JSON."""
    return {"rows": ROWS, "length": length, "steps": [entry._asdict() for entry in steps(model, peers, load, length, rounds)]}


def sft_table(found: Mapping[str, Any]) -> str:
    """A line a program."""
    programs = [
        (e["program"], *(spread(triple) for triple in (e["tokens_per_second"], *e["over"].values())), f"{e['loss']:.3f}")
        for e in found["steps"]
    ]
    header = ("program", "tokens/s", "ours float32 / it", "ours bfloat16 / it", "first loss")
    return f"{found['rows']} rows of {found['length']} tokens, AdamW\n\n{markdown(header, programs)}"


def packing_table(found: Sequence[Mapping[str, Any]]) -> str:
    """A line a layout."""
    layouts = [
        (e["layout"], spread(e["tokens_per_second"]), spread(e["over_padded"]), f"{100 * e['padding']:.0f} %") for e in found
    ]
    return markdown(("layout of 32 traces", "their tokens/s", "it / padded", "padding in its rows"), layouts)
