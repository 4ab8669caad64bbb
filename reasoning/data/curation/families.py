"""A guard: decontamination that eats a whole family of problems has found its template and not its problems."""

from collections import Counter
from collections.abc import Collection, Iterable

from reasoning.errors import InputError

MOST = 0.5


def refuse_losses(families: Iterable[tuple[str, str]], dropped: Collection[str], advice: str, most: float = MOST) -> None:
    """Raises InputError, ending with `advice`, if a family loses more than the share `most`; `families` are (trace, family)."""
    families = list(families)
    total = Counter(family for _, family in families)
    lost = Counter(family for trace, family in families if trace in dropped)
    for family in sorted(lost):
        if lost[family] > most * total[family]:
            share = f"{lost[family]} of {total[family]} ({lost[family] / total[family]:.0%})"
            raise InputError(f"decontamination drops {share} of the family {family!r}, more than {most:.0%}; {advice}")
