"""Several examples in a row: first fit, longest first, which needs at most 11/9 of the fewest rows that are possible.

Source: Johnson 1973, "Near-optimal bin packing algorithms" (the bound); no example is cut.
"""

from collections.abc import Sequence


def pack(members: Sequence[int], lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Rows of indices whose lengths sum up to at most `capacity` tokens each.

    Args:
      members: indices into `lengths`; none is longer than a row. Rows list them in this order.
    """
    order = {index: place for place, index in enumerate(members)}
    rows: list[list[int]] = []
    left: list[int] = []
    for index in sorted(members, key=lambda index: (-lengths[index], order[index])):
        row = next((i for i, room in enumerate(left) if room >= lengths[index]), None)
        if row is None:
            rows.append([])
            left.append(capacity)
            row = len(rows) - 1
        rows[row].append(index)
        left[row] -= lengths[index]
    return [sorted(row, key=order.__getitem__) for row in rows]
