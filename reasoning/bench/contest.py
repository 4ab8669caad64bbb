"""What a contestant is: a program that was given its prompts."""

from typing import NamedTuple, Protocol

import numpy as np


class Timing(NamedTuple):
    """One run.

    Attributes:
      seconds: of `steps` decode steps of all B rows, prefill apart. tokens: int32[B, new], what was written.
    """

    seconds: float
    steps: int
    tokens: np.ndarray


class Contestant(Protocol):
    """Attributes:
    name: for the tables. Both methods may be called again and again.
    """

    name: str

    def decode(self) -> Timing:
        """Writes the new tokens of all rows, greedily and past any stop id."""

    def prefill(self) -> float:
        """Seconds to read all prompts."""

    def close(self) -> None:
        """Frees what it holds."""
