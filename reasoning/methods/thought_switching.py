"""Thought-switching penalty (TIP): words that drop a line of thought for another are less likely while the thought is young.

Source: Wang et al. 2025, "Thoughts Are All Over the Place: On the Underthinking of o1-Like LLMs", arXiv 2501.18585, section
3.1. α = 3 and β = 600 are its choice for QwQ-32B on AIME 2022-23 (table 2: 39.8 there, 35.2 to 39.4 elsewhere in the grid of
60 questions, so the choice is a weak one); temperature 0.7 and top-p 0.95 those of section 3.2.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from reasoning.decode.thinking import CHAIN
from reasoning.decode.thought_switching import MAX_PHRASES
from reasoning.errors import InputError
from reasoning.methods import chain_of_thought
from reasoning.methods.base import Method
from reasoning.methods.signatures import extends
from reasoning.text.words import spellings, split_forms

# The paper names "alternatively" and publishes no list. A public reproduction has these three, as four ids of the vocabulary.
WORDS = ("alternatively", "wait", "hmm")


@dataclasses.dataclass(frozen=True)
class Words:
    """`Method.texts`: {knob: vocabulary set of all tokens that spell one of the words, phrases' knob: rows of the others}.

    A word that some tokens spell, but not in every form, has the missing forms as phrases too, as far as there is room: first
    come the words that no token spells, then forms with a capital, then without; what is left over is not matched.

    Attributes:
      words, ignore_case: of `reasoning.text.words.spellings`.
      set_knob, phrases_knob: names of the two knobs; with phrases_knob "", a word that no token spells is an InputError and
        no form is matched as a phrase.
    """

    words: Sequence[str]
    ignore_case: bool = True
    set_knob: str = "switch_set"
    phrases_knob: str = "switch_phrases"

    def __post_init__(self):
        if not isinstance(self.words, str):  # which `spellings` refuses
            object.__setattr__(self, "words", tuple(self.words))

    def __call__(self, engine) -> dict[str, Any]:
        """Knobs for this engine's vocabulary. Raises InputError."""
        model, tokenizer = engine.model, engine.model.tokenizer
        if tokenizer is None:
            raise InputError("this model has no tokenizer, so no word has a token; name the sets of tokens as knobs")
        ids, phrases = spellings(tokenizer.token_bytes(model.config.vocab_size), self.words, self.ignore_case)
        if phrases and not self.phrases_knob:
            raise InputError(f"no single token of this model spells {phrases[0]!r}; leave it out")
        knobs: dict[str, Any] = {self.set_knob: engine.allowed_set(ids)} if ids else {}
        if self.phrases_knob:
            spelled = [word for word in self.words if word not in phrases]
            forms = split_forms(lambda text: tokenizer.encode(text, bos=False), ids, spelled, self.ignore_case)
            phrases += forms[: max(MAX_PHRASES - len(phrases), 0)]
        return knobs | ({self.phrases_knob: [engine.pattern(phrase) for phrase in phrases]} if phrases else {})


@extends(chain_of_thought.make, temperature=0.7, top_p=0.95)
def make(
    *,
    penalty: float = 3.0,
    window: int = 600,
    words: Sequence[str] = WORDS,
    ignore_case: bool = True,
    reset: bool = True,
    from_start: bool = True,
    after_temperature: bool = False,
    delimiters: Sequence[str] = ("<think>", "</think>"),
    knobs: Mapping[str, Any] | None = None,
    **rest: Any,
) -> Method:
    """Chain of thought under the penalty.

    Args:
      penalty: logits, the paper's α; 0 is plain sampling. window: tokens of a thought that it lasts, the paper's β.
      words: that switch thoughts, with any space and (`ignore_case`) in any case; at most 4 that no single token spells
        (`Words`).
      reset, from_start, after_temperature: see `reasoning.decode.thought_switching.KNOBS`.
      delimiters: what opens and closes thinking. With two empty ones the whole response is thinking.
      The rest as in `reasoning.methods.chain_of_thought.make`.
    """
    one = chain_of_thought.make(
        knobs={
            "switch_penalty": penalty,
            "switch_window": window,
            "switch_reset": int(reset),
            "switch_from_start": int(from_start),
            "switch_after_temperature": int(after_temperature),
            "switch_everywhere": int(not any(delimiters)),
            **(knobs or {}),
        },
        **rest,
    )
    texts = Words(words, ignore_case)
    return dataclasses.replace(one, name="thought_switching", texts=texts, delimiters=tuple(delimiters), chain=CHAIN)
