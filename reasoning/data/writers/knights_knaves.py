"""Traces of knights and knaves: an assignment is supposed, and what everybody says is judged under it, until something does
not fit.

    question  … Liam said that Mia is a saint or Noah is a sinner. … So who is a saint and who is a sinner? …
    thinking  Suppose Liam saint, Mia sinner, Noah saint.
              Liam says Mia saint (false) or Noah sinner (false): false, but a saint tells the truth.
              Wait, suppose Liam sinner, Mia sinner, Noah saint.
              Liam says Mia saint (false) or Noah sinner (false): false, as a sinner lies.
              …
              All fit.

A failed attempt is an assignment that contradicts what somebody says; none is supposed twice.
"""

import itertools
from random import Random

from reasoning.data.writers.base import Written

DOMAIN = "logic"


def instance(entry: dict) -> str:
    """The statements, people called 0, 1, 2 … in the order that gives the smallest text; neither names nor wording count.

    "0: 1+ or 2-; 1: …" where "1+" says that 1 tells the truth, "2-" that 2 lies.
    """
    statements = entry["metadata"]["statements"]
    spellings = []
    for order in itertools.permutations(range(len(statements))):  # order[person] is what the person is called
        called = sorted((order[person], _canonical(said, order)) for person, said in enumerate(statements))
        spellings.append("; ".join(f"{person}: {said}" for person, said in called))
    return min(spellings)


def _canonical(said, order) -> str:
    kind, *parts = said
    if kind in ("telling-truth", "lying"):
        return f"{order[parts[0]]}{'+' if kind == 'telling-truth' else '-'}"
    if kind == "not":
        inner = _canonical(parts[0], order)
        return inner[:-1] + {"+": "-", "-": "+"}[inner[-1]] if parts[0][0] in ("telling-truth", "lying") else f"not ({inner})"
    texts = [_canonical(part, order) for part in parts]
    return f"({f' {kind} '.join(texts if kind == '->' else sorted(texts))})"


def write(entry: dict, tries: int, rng: Random) -> Written:
    """See the module."""
    metadata = entry["metadata"]
    names, statements, terms = metadata["names"], metadata["statements"], metadata["knight_knave_terms"]
    worlds = list(itertools.product((True, False), repeat=len(names)))
    solution = next(world for world in worlds if _first_lie(statements, world) is None)
    others = [world for world in worlds if world != solution]
    tried = [*rng.sample(others, min(tries - 1, len(others))), solution]
    lines = []
    for world in tried:
        supposed = ", ".join(f"{name} {_role(good, terms)}" for name, good in zip(names, world, strict=True))
        lines.append(f"{'Wait, suppose' if lines else 'Suppose'} {supposed}.")
        wrong = _first_lie(statements, world)
        for person in range(len(names) if wrong is None else wrong + 1):
            text, true = _judged(statements[person], world, names, terms)
            good = world[person]
            law = f"{terms['a_knight']} tells the truth" if good else f"{terms['a_knave']} lies"
            lines.append(f"{names[person]} says {text}: {_truth(true)}, {'but' if person == wrong else 'as'} {law}.")
    lines.append("All fit.")
    people = [f"{name} is {terms['a_knight' if good else 'a_knave']}" for name, good in zip(names, solution, strict=True)]
    answer = ", ".join([*people[:-1], f"and {people[-1]}"]) if len(people) > 1 else people[0]
    return Written("\n".join(lines), answer, len(tried))


def _role(good: bool, terms: dict) -> str:
    return terms["knight" if good else "knave"]


def _truth(value: bool) -> str:
    return "true" if value else "false"


def _first_lie(statements, world) -> int | None:
    """The first person who does not speak as they are supposed to; None if everybody does."""
    speaks = (_holds(said, world) == good for said, good in zip(statements, world, strict=True))
    return next((person for person, fits in enumerate(speaks) if not fits), None)


def _holds(said, world) -> bool:
    kind, *parts = said
    if kind in ("telling-truth", "lying"):
        return world[parts[0]] == (kind == "telling-truth")
    values = [_holds(part, world) for part in parts]
    if kind == "not":
        return not values[0]
    if kind == "and":
        return all(values)
    if kind == "or":
        return any(values)
    return values[0] == values[1] if kind == "<=>" else (not values[0] or values[1])


def _judged(said, world, names, terms, inside: bool = False) -> tuple[str, bool]:
    """A statement in words, each of its simplest parts with its truth unless it stands alone; and its truth."""
    kind, *parts = said
    value = _holds(said, world)
    if kind == "not" and parts[0][0] in ("telling-truth", "lying"):
        kind, parts = "lying" if parts[0][0] == "telling-truth" else "telling-truth", parts[0][1:]
    if kind in ("telling-truth", "lying"):
        text = f"{names[parts[0]]} {_role(kind == 'telling-truth', terms)}"
        return (f"{text} ({_truth(value)})" if inside else text), value
    texts = [_judged(part, world, names, terms, inside=True)[0] for part in parts]
    if kind == "not":
        text = f"not {texts[0]}"
    elif kind == "->":
        text = f"if {texts[0]} then {texts[1]}"
    else:
        text = f" {'if and only if' if kind == '<=>' else kind} ".join(texts)
    return (f"[{text}]" if inside else text), value
