"""`Context` and knob arrays for testing a stage without the loop."""

from collections.abc import Mapping, Sequence

import jax.numpy as jnp
import numpy as np

from reasoning.decode.base import Context, Controller, Knobs, Transform
from reasoning.text.patterns import Tables


def make_context(
    rows: Sequence[Sequence[int]],
    prompt: int | Sequence[int] = 1,
    size: int | None = None,
    sets: np.ndarray | None = None,
    filler: int = 0,
    patterns=None,
    **fields,
) -> Context:
    """The context of a step in which row b has written `rows[b]`.

    Args:
      rows: token ids of every row, prompt included, at least one each.
      prompt: prompt length of all rows, or of each.
      size: S; default the longest row and one more.
      sets: bool[sets, V], the tables' vocabulary sets; row 0 is no restriction.
      patterns: the tables' patterns, where the stage reads them.
      filler: what the unwritten rest of a row holds; a stage must not look at it.
      **fields: any field of `Context`, instead of its default (not forced, phase 0, nothing played or barred).
    """
    batch, size = len(rows), size or max(map(len, rows)) + 1
    tokens = np.full((batch, size), filler, np.int32)
    for row, ids in zip(tokens, rows, strict=True):
        row[: len(ids)] = ids
    zeros = jnp.zeros(batch, jnp.int32)
    given = {
        "token": jnp.asarray([ids[-1] for ids in rows], jnp.int32),
        "tokens": jnp.asarray(tokens),
        "forced": jnp.zeros((batch, size), bool),
        "length": jnp.asarray([len(ids) for ids in rows], jnp.int32),
        "prompt_length": jnp.broadcast_to(jnp.asarray(prompt, jnp.int32), batch),
        "limit": jnp.full(batch, size, jnp.int32),
        "phase": zeros,
        "phase_start": zeros,
        "phase_match": zeros,
        "playing": jnp.zeros(batch, bool),
        "barred": jnp.zeros(batch, bool),
        "tables": Tables(patterns, scripts=None, sets=None if sets is None else jnp.asarray(sets), samplable=None),
    }
    return Context(**(given | fields))


def make_knobs(stage: Transform | Controller, rows: Sequence[Mapping[str, object]]) -> Knobs:
    """Knob arrays [B, …] of `stage` from one mapping a row; what a row leaves out is neutral."""
    unknown = {name for row in rows for name in row} - set(stage.knobs)
    assert not unknown, f"the stage has no knob {sorted(unknown)}"
    return {
        name: jnp.asarray(np.stack([knob.fill(name, row.get(name, np.full(knob.shape, knob.neutral))) for row in rows]))
        for name, knob in stage.knobs.items()
    }
