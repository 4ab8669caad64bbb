"""Budget forcing (s1): a thought is cut at a budget, or its end is suppressed and "Wait" forced in its place.

Source: Muennighoff et al. 2025, "s1: Simple test-time scaling", arXiv 2501.19393, section 3.1; the forms of the delimiters and
what is forced are those of its evaluation code. Two budgets: `max_thinking` counts all rounds together (the README's loop),
`max_round` begins anew after each suppressed end (the harness, which then cuts the whole to the same number: give both).
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from reasoning.decode.thinking import CHAIN
from reasoning.errors import InputError
from reasoning.methods import chain_of_thought
from reasoning.methods.base import Method
from reasoning.methods.signatures import extends
from reasoning.methods.thought_switching import WORDS, Words


class Form(NamedTuple):
    """How a model marks its thought.

    Attributes:
      opening: forced at the start of the response; "" where the chat template, or nobody, opens the thought.
      start, end: delimiters of the phase; with start "" the thought begins with the response.
      closing: forced in place of an end-of-text token in mid-thought. tail: forced when the budget is used up.
      stops: strings of one token each that end a thought as an end-of-text token does.
    """

    opening: str
    start: str
    end: str
    closing: str
    tail: str
    stops: tuple[str, ...] = ()


FORMS = {
    # s1's own models. The line break behind the mark is none of the thought's tokens. "<|im_start|>" ends a thought, whatever
    # role the model would have named after it. The harness leaves the tail's first line break out where the text ends with one
    # already; ours is always written.
    "s1": Form(
        "<|im_start|>think\n", "<|im_start|>think\n", "<|im_start|>answer", "<|im_start|>answer",
        "\n<|im_start|>answer\nFinal Answer:", ("<|im_start|>",),
    ),
    # Qwen3, which opens its thought itself, and the R1 distills, whose chat template does.
    "think": Form("", "<think>", "</think>", "</think>", "\n</think>\n\nFinal Answer:"),
    # No thinking phase: what stands before the line with the answer is the thought.
    "prompt": Form("", "", "Answer:", "\nAnswer:", "\nAnswer:"),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Texts:
    """`Method.texts`: the strings of a form, the one forced at suppressed ends, and words, as rows of the engine's tables."""

    form: Form
    ignore_string: str
    words: Words | None

    def __call__(self, engine) -> dict[str, Any]:
        """Knobs for this engine's vocabulary. Raises InputError if a stop is no single token."""
        tokenizer = engine.model.tokenizer
        if tokenizer is None:
            raise InputError("budget forcing forces text, and this model has no tokenizer; load it with one")
        stops = list(tokenizer.stop_ids)
        for text in self.form.stops:
            ids = tokenizer.encode(text, bos=False)
            if len(ids) != 1:
                raise InputError(f"{text!r} is {len(ids)} tokens of this model , not one; choose another form")
            stops += ids
        forced = {
            "forced_start": self.form.opening,
            "end_script": self.form.closing,
            "tail_script": self.form.tail,
            "ignore_script": self.ignore_string,
        }
        scripts = {knob: engine.script(text) for knob, text in forced.items() if text}
        words = self.words(engine) if self.words else {}
        return {"thinking_stop_ids": list(dict.fromkeys(stops)), **scripts, **words}


@extends(chain_of_thought.make, max_tokens=1024)
def make(
    *,
    form: str | Sequence[Any] = "think",
    max_thinking: int = -1,
    max_round: int = -1,
    min_thinking: int = 0,
    num_ignore: int = 0,
    ignore_string: str = "Wait",
    loop_repeats: int = 0,
    soft_thinking: int = -1,
    soft_rank: int = 5,
    answer_tokens: int = 64,
    switch_penalty: float = 0.0,
    switch_window: int = 600,
    switch_words: Sequence[str] = WORDS,
    knobs: Mapping[str, Any] | None = None,
    **rest: Any,
) -> Method:
    """Chain of thought with a forced length.

    Args:
      form: how the model marks its thought: "s1", "think" or "prompt" (see `FORMS`), or the fields of a `Form`.
      max_thinking: tokens of thinking, all rounds together; −1 is free, 0 goes straight to the answer.
      max_round: tokens of thinking between two suppressed ends; −1 is free.
      min_thinking: an earlier end is suppressed, and not counted.
      num_ignore: ends to suppress. ignore_string: forced in place of each; "" forces nothing and lets the model go on.
      loop_repeats: end a thought whose last passage stands there so often in a row; 0 is off.
      soft_thinking: tokens after which a thought ends where its delimiter is among the `soft_rank` likeliest tokens, once no end
        is left to suppress; −1 is off.
      answer_tokens: of `max_tokens`, kept for the answer: the thought is cut when only so many are left.
      switch_penalty, switch_window, switch_words: α, β and words of `reasoning.methods.thought_switching`; a penalty of 0 is off.
      The rest as in `reasoning.methods.chain_of_thought.make`.
    """
    if isinstance(form, str) and form not in FORMS:
        raise InputError(f"budget forcing knows no form {form!r}; choose one of {', '.join(FORMS)}, or give the fields of a Form")
    if not isinstance(form, str) and len(form) not in (5, 6):
        raise InputError(f"a Form of budget forcing has the fields {', '.join(Form._fields)}, got {len(form)} of them")
    shape = FORMS[form] if isinstance(form, str) else Form(*form[:5], tuple(*form[5:]))
    if not shape.end or not shape.closing or not shape.tail:
        raise InputError("budget forcing needs the delimiter that ends a thought, and what to force to end it; fill in the Form")
    if shape.end not in shape.closing or shape.end not in shape.tail:
        raise InputError(f"what is forced to end a thought must hold the delimiter {shape.end!r}, or the thought would go on")
    if shape.end in ignore_string:
        raise InputError(
            f"ignore_string {ignore_string!r} holds the delimiter {shape.end!r}, so it would end the thought; change it"
        )
    one = chain_of_thought.make(
        knobs={
            "max_thinking": max_thinking,
            "max_round": max_round,
            "min_thinking": min_thinking,
            "num_ignore": num_ignore,
            "loop_repeats": loop_repeats,
            "soft_thinking": soft_thinking,
            "soft_rank": soft_rank,
            "answer_reserve": answer_tokens,
            "switch_penalty": switch_penalty,
            "switch_window": switch_window,
            **(knobs or {}),
        },
        **rest,
    )
    texts = Texts(shape, ignore_string, Words(switch_words) if switch_penalty else None)
    return dataclasses.replace(one, name="budget_forcing", texts=texts, delimiters=(shape.start, shape.end), chain=CHAIN)
