"""From a trace to token ids and the tokens that are learnt.

    prompt, as inference writes it │ opening  thinking  closing  answer  end of turn
    no loss                        │ loss on every token

s1 (Muennighoff et al. 2025, arXiv 2501.19393; its data/tokenization.py and train/sft.py) trains on both delimiters, the trace,
the answer, the end of the turn and the line break after it. The prompt's ids are those that the engine feeds for the same
messages, and the response is encoded apart from them: what is learnt is what inference asks for. Padding is no token of the
vocabulary here at all (`reasoning.train.batching` masks it), so it can never be taken for an end of turn.

Axis legend: `T` tokens of one example.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from reasoning.data.traces import Trace
from reasoning.errors import InputError

Messages = list[dict[str, str]]


class Example(NamedTuple):
    """id of its trace; ids int32[T]; loss bool[T], whether token t is to be predicted from those before it."""

    id: str
    ids: np.ndarray
    loss: np.ndarray


def question_alone(question: str) -> Messages:
    """s1's prompt: one user turn with the question and nothing else."""
    return [{"role": "user", "content": question}]


@dataclasses.dataclass(frozen=True)
class Form:
    """How a trace is written as a response. `reasoning.methods.budget_forcing.FORMS` reads and forces the same delimiters.

    Attributes:
      opening: before the thinking; left out where the chat template has already written it into the prompt.
      closing: between thinking and answer.
      end: the delimiter by which inference knows that a thought has ended; the thinking may not hold it.
      announce: written before an answer that does not hold it (without the space at its end).
      messages: question → chat messages; inference must ask with the same ones (`Method.prompt` is such a function).
    """

    opening: str
    closing: str
    end: str
    announce: str = "Answer: "
    messages: Callable[[str], Messages] = question_alone

    def response(self, trace: Trace, opened: bool = False) -> str:
        """The assistant's turn without its end; `opened`: the prompt ends with the opening. Raises InputError."""
        for name in ("question", "thinking", "answer"):
            if not getattr(trace, name).strip():
                raise InputError(f"trace {trace.id!r} has an empty {name}; drop it or fill it in")
        if self.end in trace.thinking:
            raise InputError(
                f"the thinking of trace {trace.id!r} holds {self.end!r}, which would end the thought; drop or change it"
            )
        answer = trace.answer.strip()
        if self.announce.strip() not in answer:
            answer = self.announce + answer
        return ("" if opened else self.opening) + trace.thinking.strip() + self.closing + answer


FORMS = {
    "s1": Form("<|im_start|>think\n", "\n<|im_start|>answer\n", "<|im_start|>answer"),
    "think": Form("<think>\n", "\n</think>\n\n", "</think>"),
    # For models without a thinking phase: what stands before the line with the answer is the thought.
    "prompt": Form("", "\n", "Answer:"),
}


def encode(trace: Trace, tokenizer: Any, form: Form) -> Example:
    """The example of a trace.

    Args:
      tokenizer: `reasoning.text.tokenizer.Tokenizer` with a chat template.

    Raises InputError: an empty question, thinking or answer, a delimiter or an end of turn inside the text, a chat template
    that writes no end of turn.
    """
    messages = form.messages(trace.question)
    prompt = tokenizer.encode_chat(messages)
    opened = bool(form.opening) and tokenizer.render(messages).rstrip().endswith(form.opening.rstrip())
    text, end = form.response(trace, opened), end_of_turn(tokenizer)
    response = tokenizer.encode(text + end, bos=False)
    ends = sum(token in tokenizer.stop_ids for token in response)
    if ends != sum(token in tokenizer.stop_ids for token in tokenizer.encode(end, bos=False)):
        raise InputError(f"trace {trace.id!r} holds a token that ends a turn in the middle of its text; drop or change it")
    loss = np.repeat([False, True], [len(prompt), len(response)])
    return Example(trace.id, np.asarray(prompt + response, np.int32), loss)


def end_of_turn(tokenizer: Any) -> str:
    """What the chat template writes after an assistant's words, line break included. Raises InputError if that ends no turn."""
    said = "assistant-words"
    turns = [*question_alone("user-words"), {"role": "assistant", "content": said}]
    _, found, end = tokenizer.render(turns, add_generation_prompt=False).rpartition(said)
    if not found or not set(tokenizer.encode(end, bos=False)) & set(tokenizer.stop_ids):
        raise InputError(
            f"the model's chat template writes {end!r} after an assistant's turn, which has no token that ends it; "
            "train a model with another chat template"
        )
    return end


TOO_LONG = ("refuse", "drop", "cut")


class Encoded(NamedTuple):
    """examples in the order of their traces; counts: traces, examples, too_long (longer than the limit), tokens, targets."""

    examples: list[Example]
    counts: dict[str, int]


def encode_all(traces: Iterable[Trace], tokenizer: Any, form: Form, *, max_tokens: int, too_long: str = "refuse") -> Encoded:
    """Examples of at most `max_tokens` tokens.

    Args:
      too_long: what becomes of a longer one, whose answer and end of turn would be cut off: "refuse" raises, "drop" leaves it
        out, "cut" keeps its beginning (s1's ablation of training lengths, table 8). They are counted in any case.

    Raises InputError (also: two traces share an id, no example is left, a value of `too_long` that there is not).
    """
    if too_long not in TOO_LONG:
        raise InputError(f"too_long is one of {', '.join(TOO_LONG)}, got {too_long!r}")
    every = [encode(trace, tokenizer, form) for trace in traces]
    if twice := [name for name, count in Counter(example.id for example in every).items() if count > 1]:
        raise InputError(f"two traces have the id {twice[0]!r}; give every trace an id of its own")
    longer = [example for example in every if len(example.ids) > max_tokens]
    if longer and too_long == "refuse":
        longest = max(longer, key=lambda example: len(example.ids))
        raise InputError(
            f"{len(longer)} of {len(every)} examples are longer than max_tokens {max_tokens} and would lose their answer (the "
            f"longest is {longest.id!r}, {len(longest.ids)} tokens); raise max_tokens, or set too_long to drop or cut"
        )
    kept = every
    if too_long == "drop":
        kept = [example for example in every if len(example.ids) <= max_tokens]
    if too_long == "cut":
        cut = [Example(example.id, example.ids[:max_tokens], example.loss[:max_tokens]) for example in every]
        kept = [example for example in cut if example.loss.any()]
    if not kept:
        raise InputError(
            f"none of {len(every)} traces makes an example of at most {max_tokens} tokens; check them and max_tokens"
        )
    counts = {
        "traces": len(every),
        "examples": len(kept),
        "too_long": len(longer),
        "tokens": sum(len(example.ids) for example in kept),
        "targets": sum(int(example.loss.sum()) for example in kept),
    }
    return Encoded(kept, counts)
