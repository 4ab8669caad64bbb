"""A task that takes no time to make: `load_task("doubles.sums", size=3)`."""

from reasoning.data.tasks import Problem, Task


def load(size: int = 3, first: int = 0) -> Task:
    """`size` sums i + 1, i from `first`."""
    return Task("sums", tuple(Problem(f"sum-{i}", f"{i} + 1 =", str(i + 1), "sums") for i in range(first, first + size)))
