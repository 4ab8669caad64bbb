"""How long thinking is: in tokens of a model, as s1 has it (Qwen2.5's), or without one in words or characters."""

from collections.abc import Callable

PLAIN = {"words": lambda text: len(text.split()), "characters": len}


def measure(unit: str) -> tuple[str, Callable[[str], int]]:
    """(name of the unit, length of a text): "words", "characters", or a model whose tokenizer counts (`load_tokenizer`).

    Raises InputError for an unknown model.
    """
    if unit in PLAIN:
        return unit, PLAIN[unit]
    from reasoning.weights.load import load_tokenizer  # which brings JAX

    tokenizer = load_tokenizer(unit)
    return f"tokens of {unit}", lambda text: len(tokenizer.encode(text, bos=False))
