"""The KV cache: append-only, contiguous, indexed by absolute position. This file alone knows its layout and dtype.

A cache is a tuple with one `LayerCache` per layer (separate buffers: one stacked cache is an order of magnitude slower on
XLA:CPU); every leaf has the batch axis first, so that refill, fork and reorder are one `tree.map`. Nothing is ever
shifted: a row is rewound by a smaller `length`, and what lies beyond is masked until it is overwritten.

    position   0 1 2 3 4 5 6 7     S = 8
    row 0      x x x x . . . .     next write at 4; `.` is zero or stale, and finite: 0 · NaN would poison a masked sum
    row 1      x x x x x x x x     full: position 8 is ≥ S and writes nowhere

Axis legend: `B` rows, `T` new tokens, `S` cache length, `K` kv heads, `G` queries per kv head, `H` head dim.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec as P

from reasoning.models.config import ModelConfig

_MASKED = -1e30  # finite: a row with no visible key gets a uniform average and no NaN


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where a key lives: dtype of both buffers, and whether keys are [B, K, H, S] or, as values are, [B, K, S, H]."""

    dtype: str
    keys_transposed: bool


CPU = Layout("float32", keys_transposed=True)
ACCELERATOR = Layout("bfloat16", keys_transposed=False)


def platform_layout() -> Layout:
    """What is fastest on the default backend (measured on CPU: bfloat16 keys cost 1.6×, transposed keys win)."""
    return CPU if jax.default_backend() == "cpu" else ACCELERATOR


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class LayerCache:
    """Keys and values of one layer.

    Attributes:
      k: [B, K, H, S] if `layout.keys_transposed`, else [B, K, S, H].
      v: [B, K, S, H].
    """

    k: jax.Array
    v: jax.Array
    layout: Layout = dataclasses.field(metadata={"static": True})


Cache = tuple[LayerCache, ...]
PARTITION = P("data", "tensor")  # of every leaf, in either layout: rows, then kv heads


def init(config: ModelConfig, batch: int, length: int, layout: Layout | None = None) -> Cache:
    """A zeroed cache for `batch` rows of `length` positions."""
    layout = layout or platform_layout()
    values = (batch, config.num_kv_heads, length, config.head_dim)
    keys = (batch, config.num_kv_heads, config.head_dim, length) if layout.keys_transposed else values
    return tuple(
        LayerCache(jnp.zeros(keys, layout.dtype), jnp.zeros(values, layout.dtype), layout) for _ in range(config.num_layers)
    )


def nbytes(config: ModelConfig, batch: int, length: int, layout: Layout | None = None) -> int:
    """Bytes of such a cache."""
    layout = layout or platform_layout()
    return 2 * config.num_layers * batch * config.num_kv_heads * config.head_dim * length * jnp.dtype(layout.dtype).itemsize


def hold(k: jax.Array, v: jax.Array, layout: Layout | None = None) -> LayerCache:
    """The cache that holds exactly these keys and values: float32[B, T, K, H] twice → LayerCache with S = T."""
    layout = layout or platform_layout()
    order = (0, 2, 3, 1) if layout.keys_transposed else (0, 2, 1, 3)
    return LayerCache(k.transpose(order).astype(layout.dtype), v.transpose(0, 2, 1, 3).astype(layout.dtype), layout)


def write(cache: LayerCache, k: jax.Array, v: jax.Array, positions: jax.Array) -> LayerCache:
    """Writes k, v float32[B, T, K, H] at `positions` int32[B, T]; a position ≥ S writes nowhere.

    Per row under `vmap`: on a batch sharded over devices this needs no collective, indexing with `arange(B)` would.
    """
    new = hold(k, v, cache.layout)

    def values(row, new, at):
        return row.at[:, at, :].set(new, mode="drop")

    def keys(row, new, at):
        return row.at[:, :, at].set(new, mode="drop")

    write_keys = keys if cache.layout.keys_transposed else values
    return LayerCache(jax.vmap(write_keys)(cache.k, new.k, positions), jax.vmap(values)(cache.v, new.v, positions), cache.layout)


def attend(q: jax.Array, cache: LayerCache, positions: jax.Array, window: int | None) -> jax.Array:
    """Grouped attention of scaled queries over the cache.

    Args:
      q: float32[B, T, K, G, H], already multiplied by the query scale.
      positions: int32[B, T]; a query sees keys at positions ≤ its own and, with a window, > its own − `window`.

    Returns: float32[B, T, K, G, H]. Scores, softmax and sums are float32.
    """
    B, T, K, G, H = q.shape
    keys = "bkhs" if cache.layout.keys_transposed else "bksh"
    # All queries of a kv head as rows of one matrix: `einsum` on five axes would make the cache the left operand and
    # transpose the result, which XLA:CPU does not fuse.
    rows = q.transpose(0, 2, 3, 1, 4).reshape(B, K, G * T, H).astype(cache.k.dtype)
    scores = _dot(f"bkmh,{keys}->bkms", rows, cache.k).reshape(B, K, G, T, -1)
    at, query = jnp.arange(cache.v.shape[2]), positions[:, :, None]
    seen = at <= query
    if window is not None:
        seen &= at > query - window
    weights = jax.nn.softmax(jnp.where(seen[:, None, None], scores, _MASKED), axis=-1)
    out = _dot("bkms,bksh->bkmh", weights.reshape(B, K, G * T, -1).astype(cache.v.dtype), cache.v)
    return out.reshape(B, K, G, T, H).transpose(0, 3, 1, 2, 4)


def _dot(pattern: str, x: jax.Array, y: jax.Array) -> jax.Array:
    """Batched product with float32 sums. XLA:CPU has none for bfloat16 operands: they are widened there, exactly."""

    def narrow(x, y):
        return jnp.einsum(pattern, x, y, preferred_element_type=jnp.float32)

    def widened(x, y):
        return narrow(x.astype(jnp.float32), y.astype(jnp.float32))

    if x.dtype == y.dtype == jnp.float32:
        return narrow(x, y)
    return jax.lax.platform_dependent(x, y, cpu=widened, default=narrow)


def gather(cache: Cache, parents: jax.Array) -> Cache:
    """Row b becomes a copy of row `parents[b]`.

    Args:
      parents: int32[n] rows of the batch; or int32[P, W], positions within each of P groups of B/P consecutive rows
        (a search's problems), which keeps a batch sharded by problem local.
    """
    if parents.ndim == 1:
        return jax.tree.map(lambda leaf: leaf[parents], cache)

    def grouped(leaf):
        rows = leaf.reshape(parents.shape[0], -1, *leaf.shape[1:])
        return jax.vmap(lambda group, index: group[index])(rows, parents).reshape(-1, *leaf.shape[1:])

    return jax.tree.map(grouped, cache)
