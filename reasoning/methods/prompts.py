"""Chat prompts that ask a question, with an instruction and worked examples before it.

Examples are earlier turns of the same chat, the form in which instruction-tuned models meet them (few-shot prompting:
Brown et al. 2020, arXiv 2005.14165; with worked steps: Wei et al. 2022, arXiv 2201.11903, section 2).
"""

import dataclasses
from collections.abc import Sequence

from reasoning.errors import InputError

Message = dict[str, str]


@dataclasses.dataclass(frozen=True)
class FewShot:
    """question → chat messages: instruction and first example in the first user turn, the question last.

    Attributes:
      instruction: what to do and how to end the answer; stands before every question, so that example and problem look alike.
      examples: (question, answer) pairs.
      system: a system turn before everything; "" leaves it to the chat template, which may have a default of its own.
    """

    instruction: str
    examples: tuple[tuple[str, str], ...] = ()
    system: str = ""

    def __call__(self, question: str) -> list[Message]:
        """Messages with roles system (optional), then user and assistant in turn; the last one is the user's."""
        messages = [{"role": "system", "content": self.system}] if self.system else []
        for example, answer in self.examples:
            messages += [{"role": "user", "content": self.ask(example)}, {"role": "assistant", "content": answer}]
        return [*messages, {"role": "user", "content": self.ask(question)}]

    def ask(self, question: str) -> str:
        """The text of one user turn."""
        return f"{self.instruction}\n\n{question}" if self.instruction else question


def pairs(examples: Sequence[Sequence[str]]) -> tuple[tuple[str, str], ...]:
    """Examples as a config holds them (nested lists or tuples) as hashable pairs. Raises InputError."""
    for example in examples:
        if isinstance(example, str) or len(example) != 2 or not all(isinstance(part, str) for part in example):
            raise InputError(f"an example is a pair (question, answer) of strings, got {example!r}; write examples=((q, a), …)")
    return tuple((question, answer) for question, answer in examples)
