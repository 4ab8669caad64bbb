"""What a process reward model learns from: responses whose ends of steps carry values; and the step that teaches them.

    prompt │ step one . │ step two . │ …        tokens, as the model will read them (`reasoning.train.step_ids`)
    0        0 … 0   7    0 … 0    2   …        right: of n endings from here, how many were (`reasoning.evaluation.rollouts`);
                                                n = 1 where a verifier says 0 or 1 (`reasoning.evaluation.verified`);
                                                a consensus of two drops a response (Zhang et al. 2025, arXiv 2501.07301)

Values lie in batches as a second stream of tokens, laid out by the same plan, so that any layout of `reasoning.train.batching`
serves.

Axis legend: `A` micro-batches, `B` rows, `T` tokens.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from reasoning.errors import InputError
from reasoning.evaluation.finished import Finished
from reasoning.evaluation.rollouts import LABELS, read_labels
from reasoning.models.network import Network
from reasoning.rewards.labels import consensus, hard
from reasoning.rewards.loss import logit, step_loss
from reasoning.train.batching import Batch, Batches, Layout
from reasoning.train.examples import Example
from reasoning.train.step import State, check_remat, default_dtype, summed, targets_of
from reasoning.train.step_ids import Spell

VALUES = ("soft", "hard", "consensus")


class Valued(NamedTuple):
    """A response: its problem; ids with ends of steps as targets; in place of ids, how many endings were right at each end."""

    problem: str
    example: Example
    right: Example


class ValueBatch(NamedTuple):
    """A `Batch` whose targets are ends of steps, and right: int32 like tokens, of n endings."""

    tokens: Any
    segments: Any
    positions: Any
    loss: Any
    right: Any


class Metrics(NamedTuple):
    """Of one step, scalars on the device: loss in nats an end of a step; share of ends on the right side of a half; ends; norm of
    the gradient before clipping; whether all is finite. If not, the step changed nothing but its number.
    """

    loss: jax.Array
    accuracy: jax.Array
    targets: jax.Array
    grad_norm: jax.Array
    finite: jax.Array


def read_values(
    run: Finished, label: str, by: int | str, spell: Spell, values: str, max_tokens: int, judge: int | str = ""
) -> tuple[list[Valued], int]:
    """(the labelled responses of a method that have at most `max_tokens` tokens with their prompt, endings that labels count).

    Args:
      by: name of the file of labels, how many endings or a verifier (scripts/label.py).
      spell: in whose ids.
      values: "soft", shares of right endings, "hard", 1 up to the first step from which no ending is right, or "consensus",
        hard ones of the responses where `judge` finds the first mistake at the same step.
      judge: name of another file of labels of the same steps, for a consensus and for nothing else.
    Raises:
      InputError: no labels, no response short enough, or none agreed on; labels of other steps; an unknown kind of values.
    """
    if values not in VALUES:
        raise InputError(f"values are one of {', '.join(VALUES)}, got {values!r}")
    if (values == "consensus") != bool(judge) or str(judge) == str(by):
        raise InputError(
            f"a consensus, and nothing else, needs a second file of labels; got values {values!r}, by {by!r} and judge {judge!r}"
        )
    run.method(label)
    directory = run.workdir / label / LABELS
    n, lines = read_labels(directory / f"{by}.jsonl")
    seconds = {(one["problem"], one["sample"]): one for one in read_labels(directory / f"{judge}.jsonl")[1]} if judge else {}
    records = {(one["problem"], one["sample"]): one for one in run.samples(label)}
    out = []
    for line in lines:
        problem, key = line["problem"], (line["problem"], line["sample"])
        counts = _counts(line, values, n, seconds.get(key))
        if counts is None:
            continue
        ids, at = spell(records[key], line["ends"])
        if len(ids) > max_tokens:
            continue
        targets, right = np.zeros(len(ids), bool), np.zeros(len(ids), np.int32)
        targets[at], right[at] = True, counts
        name = f"{problem}/{line['sample']}"
        out.append(Valued(problem, Example(name, ids, targets), Example(name, right, targets)))
    if not out:
        agreed = f" and {judge}.jsonl agree on" if judge else " labels"
        raise InputError(
            f"{directory}/{by}.jsonl{agreed} no response of at most {max_tokens} tokens; raise max_tokens or label more"
        )
    return out, n


def _counts(line: Mapping[str, Any], values: str, n: int, second: Mapping[str, Any] | None) -> Sequence[int] | None:
    """Of n endings, how many count as right at each end of a step; None where a judge (`second`) says otherwise or nothing."""
    if values == "soft":
        return line["right"]
    if values == "hard":
        return [n * one for one in hard(line["right"])]
    if second is None:
        return None
    if second["ends"] != line["ends"]:
        raise InputError(
            f"sample {line['sample']} of problem {line['problem']!r} is labelled at the steps {line['ends']} and judged at"
            f" {second['ends']}; label twice with one --separator"
        )
    agreed = consensus(line["right"], [count > 0 for count in second["right"]])
    return None if agreed is None else [n * one for one in agreed]


class ValueBatches:
    """As `Batches`, of ends of steps with their values: two streams that are laid out alike."""

    def __init__(self, valued: Sequence[Valued], layout: Layout):
        """Raises InputError as `Batches` does."""
        self._tokens, self._right = (Batches([one[part] for one in valued], layout) for part in (1, 2))

    @property
    def steps(self) -> int:
        """Of an epoch."""
        return self._tokens.steps

    @property
    def position(self) -> dict[str, int]:
        """Of the next batch."""
        return self._tokens.position

    def seek(self, position: Mapping[str, int]) -> None:
        """The next batch is the one at `position`. Raises InputError."""
        self._tokens.seek(position)
        self._right.seek(position)

    def __iter__(self) -> Iterator[ValueBatch]:
        return self

    def __next__(self) -> ValueBatch:
        batch: Batch = next(self._tokens)
        return ValueBatch(*batch, right=next(self._right).tokens)


def make_scores(network: Network, *, compute_dtype: str = "", remat: str = "none") -> Callable:
    """(parameters, micro-batch with arrays [B, T]) → float32[B, T, C] of the score head; packed responses are apart.

    Raises InputError for an unknown `remat`.
    """
    check_remat(remat)
    training, dtype = network.training(), compute_dtype or default_dtype()

    def scores(params, batch):
        working = training.cast(params, dtype)
        hidden = training.hidden(working, batch.tokens, batch.positions, batch.segments, remat, False)
        return network.scores(params, hidden)

    return scores


def make_step(network: Network, optimizer: optax.GradientTransformation, n: int, **options: str) -> Callable:
    """The pure step (state, batch with arrays [A, B, T]) → (state, Metrics).

    Args:
      n: endings, of which `right` counts. options: compute_dtype and remat, as in `make_scores`.
    """
    scores = make_scores(network, **options)

    def loss(params, micro: ValueBatch):
        found, values, ends = scores(params, micro), micro.right / n, targets_of(micro)
        nats, _ = step_loss(found, values, ends)
        return nats, jnp.sum(ends & ((logit(found) > 0) == (values > 0.5)), dtype=jnp.float32)

    def step(state: State, batch: ValueBatch) -> tuple[State, Metrics]:
        (nats, hits), gradient = summed(loss, state.params, batch)
        targets = jnp.sum(targets_of(batch), dtype=jnp.int32)
        count = jnp.maximum(targets, 1).astype(jnp.float32)
        gradient = jax.tree.map(lambda leaf: leaf / count, gradient)
        norm = optax.tree.norm(gradient)
        finite = jnp.isfinite(nats) & jnp.isfinite(norm)
        updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
        updates = jax.tree.map(lambda update: jnp.where(finite, update, 0), updates)
        opt_state = jax.tree.map(lambda new, old: jnp.where(finite, new, old), opt_state, state.opt_state)
        metrics = Metrics(nats / count, hits / count, targets, norm, finite)
        return State(optax.apply_updates(state.params, updates), opt_state, state.step + 1), metrics

    return step


def scored(scores: Callable, params: Any, batches: Iterable[ValueBatch]) -> tuple[np.ndarray, np.ndarray]:
    """(probability of "right", right endings) of every end of a step in `batches`, on the host."""
    probabilities, counts = [], []
    for batch in batches:
        for micro in (jax.tree.map(lambda leaf, a=a: leaf[a], batch) for a in range(len(batch.tokens))):
            ends = np.asarray(targets_of(micro))
            probabilities.append(np.asarray(jax.nn.sigmoid(logit(scores(params, micro))))[ends])
            counts.append(np.asarray(micro.right)[ends])
    return np.concatenate(probabilities), np.concatenate(counts)
