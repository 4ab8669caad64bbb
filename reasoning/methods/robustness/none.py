"""No attack: the span is there and empty. What the model does of itself, and how often that is the goal."""

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Nothing:
    """An attack that uses nothing."""

    def text(self, target: Mapping[str, Any]) -> str:
        """An empty span."""
        del target
        return ""


def make() -> Nothing:
    """Takes no arguments."""
    return Nothing()
