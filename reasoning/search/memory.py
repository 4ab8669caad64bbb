"""What a search leaves to the policy's slots, whose rows are planned as if they were alone on the device."""

import jax

from reasoning.decode.spread import WHOLE, Spread
from reasoning.models.model import Model
from reasoning.rewards.base import Scorer
from reasoning.search.base import Search
from reasoning.search.programs import room
from reasoning.search.rounds import Shape
from reasoning.sharding import device_bytes


def left(memory: int, model: Model, scorer: Scorer | None, search: Search, shape: Shape, bucket: int, ids: int) -> int:
    """Bytes of `memory`, of each device, that the policy's cache may take in slots of `bucket` tokens.

    A scorer's weights are paid first, unless they are the policy's. Then each row has a cache, the scorer's beside it, and both
    twice, since rows are gathered from one copy into another.

    Args:
      ids: tokens of a step at most as the scorer spells it, T'.
    """
    own, held = model.network.cache_bytes(1, bucket), 0
    if scorer is not None:
        policys = set(map(id, jax.tree.leaves(model.params)))
        memory -= device_bytes([leaf for leaf in jax.tree.leaves(scorer.params) if id(leaf) not in policys])
    spread = Spread(model.mesh, model.network.cache_partition)
    if scorer is not None and scorer.reads:
        carry = jax.eval_shape(lambda: scorer.init(1, room(scorer, search, shape, bucket, ids)))
        held = device_bytes((spread.place(carry.kv, scorer.partition or WHOLE), carry.small))
    row = own / spread.shards[1]
    return int(max(memory, 0) * row / (2 * (row + held))) if row else memory
