"""What each parameter is to an optimiser: one table of path regex → whether it decays, and which of its axes are a matrix.

The first rule whose regular expression matches the whole path decides. Every parameter must be matched, so that a renamed leaf
cannot silently decay, or be orthogonalised along the wrong axes. Axes count from the end, so that stacked layers, which have one
more in front, are matrices of their own.

Axis legend: `D` model, `K` kv heads, `G` queries per kv head, `H` head dim, `F` mlp, `V` vocabulary.
"""

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import jax

from reasoning.errors import InputError


class Kind(NamedTuple):
    """A kind of parameter.

    Attributes:
      decays: whether weight decay pulls it to zero.
      outputs, inputs: axes of the matrix, from the end; the others count matrices. () for what is no matrix of the network's
        inside: tables, vectors, score heads, adapters.
    """

    decays: bool
    outputs: tuple[int, ...] = ()
    inputs: tuple[int, ...] = ()


# Queries, keys and values are matrices apart, as in files that keep three: one for each of the G queries, keys and values of
# all kv heads together.
RULES: tuple[tuple[str, Kind], ...] = (
    (r"layers/.*attention/qkv/kernel", Kind(True, (-4, -2), (-1,))),  # [K, G+2, H, D]
    (r"layers/.*attention/out/kernel", Kind(True, (-4,), (-3, -2, -1))),  # [D, K, G, H]
    (r"layers/.*mlp/gate_up/kernel", Kind(True, (-2,), (-1,))),  # [2, F, D]
    (r"layers/.*mlp/down/kernel", Kind(True, (-2,), (-1,))),  # [D, F]
    (r"layers/.*kernel/(down|up)", Kind(True)),  # adapters of such kernels, see `reasoning.train.lora`
    (r"(head|score)/kernel", Kind(True)),  # [V, D], [C, D]
    (r"embed/embedding", Kind(False)),  # [V, D]
    (r".*(norm/scale|/bias)", Kind(False)),
)


def kind(path: str) -> Kind:
    """What the parameter at `path` is. Raises InputError if no rule says it."""
    for pattern, found in RULES:
        if re.fullmatch(pattern, path):
            return found
    raise InputError(f"no rule says what the parameter {path!r} is to an optimiser; add one to reasoning/train/parameters.py")


def paths(tree: Any) -> Any:
    """The tree with each leaf replaced by its path, such as "layers/0/mlp/down/kernel"."""
    return jax.tree_util.tree_map_with_path(lambda path, _: jax.tree_util.keystr(path, simple=True, separator="/"), tree)


def kinds(tree: Any) -> Any:
    """{path: kind} as a tree of the same structure, leaves `Kind`. Raises InputError."""
    return jax.tree.map(kind, paths(tree))


def chosen(names: Iterable[str], pattern: str) -> list[str]:
    """The paths of matrices that `pattern` matches as a whole.

    Raises InputError for a pattern that is no regular expression or matches no matrix.
    """
    matrices = [name for name in names if kind(name).outputs]
    try:
        found = [name for name in matrices if re.fullmatch(pattern, name)]
    except re.error as error:
        raise InputError(f"{pattern!r} is not a regular expression ({error}); mend it") from error
    if not found:
        examples = sorted({re.sub(r"layers/\d+", r"layers/\\d+", name) for name in matrices})
        raise InputError(f"{pattern!r} matches none of the model's matrices; they are {', '.join(examples)}")
    return found
