"""How each public process reward model is read: what stands around a question and around a step, and where the score is.

    format          question                       before a step           after a step; the last token is read   score
    math_shepherd   {question}                     " ", later a newline    " ки"                                  " +" or " -"
    rlhflow         first user turn: {question}    " ", later a new turn   the assistant's header                 "+" or "-"
    qwen_math       system, user, assistant        nothing                 "<extra_0>"                            class 1 of 2
    skywork         bos, {question}, newline       nothing                 a newline                              σ(value)
    trl             bos, {question}                nothing                 the separator, a newline               class 1 of 2
    own             the policy's prompt            nothing                 nothing: the step's last token is read either of both

RLHFlow reads what the model would say in the assistant's turn, one position before the "+" that stands there in the text; the
"+" is written with the next step. Steps are stripped, as the published code does, and encoded one by one, so a model with
another tokenizer than the policy reads every step once. At the seams that is what the published code does as well: there stand
special tokens, or steps were encoded one by one there too (`skywork`, `trl`); a step of `math_shepherd` is encoded together
with the newline before it. What can differ: a tokenizer that merges across such a newline or across the last word of the
question; none of the published models has one.

Sources: the model cards of peiyi9979/math-shepherd-mistral-7b-prm, RLHFlow/Llama3.1-8B-PRM-Deepseek-Data,
Qwen/Qwen2.5-Math-PRM-7B; SkyworkAI/skywork-o1-prm-inference; huggingface/trl, PRMTrainer.
"""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from reasoning.errors import InputError
from reasoning.models.model import Model

QWEN_SYSTEM = "Please reason step by step, and put your final answer within \\boxed{}."
RECORD = "reward.json"  # beside a model that was trained here: the format that it was trained in
_USER, _VERDICT, _NEXT = "\u2983u\u2984", "\u2983v\u2984", "\u2983n\u2984"  # stand-ins that no template writes


@dataclasses.dataclass(frozen=True)
class Format:
    """One row of the table.

    Attributes:
      name: of the row.
      chat: how the question is put: "" as plain text, "turns" as the beginning of the first of many user turns, "assistant" as a
        user's turn with the assistant's header after it, "policy" not at all: the policy's own prompt is read.
      system: the system message, with "assistant".
      bos: whether a plain question opens with the tokenizer's first token even if its `encode` writes none.
      behind: text right behind a plain question.
      glue: text before the first step and before later ones, encoded together with the step.
      tail: text after every step. "turns" find their own.
      verdict: tokens that stand for right and wrong; None where a score head is read.
      labels: numbers of the score head that can be read so.
    """

    name: str
    chat: str = ""
    system: str = ""
    bos: bool = False
    behind: str = ""
    glue: tuple[str, str] = ("", "")
    tail: str = ""
    verdict: tuple[str, str] | None = None
    labels: tuple[int, ...] = ()


FORMATS = {
    one.name: one
    for one in (
        Format("math_shepherd", glue=(" ", "\n"), tail=" ки", verdict=(" +", " -")),
        Format("rlhflow", chat="turns", glue=(" ", ""), verdict=("+", "-")),
        Format("qwen_math", chat="assistant", system=QWEN_SYSTEM, tail="<extra_0>", labels=(2,)),
        Format("skywork", bos=True, behind="\n", tail="\n", labels=(1,)),
        Format("trl", bos=True, tail="\n", labels=(2,)),
        Format("own", chat="policy", labels=(1, 2)),
    )
}


@dataclasses.dataclass(frozen=True)
class Reader:
    """A format in the ids of one model.

    Attributes:
      lead: ids before every step but the first. tail: ids after every step; the score is read at the last of them.
      verdict: ids for right and wrong; None where the score head is read.
    """

    format: Format
    tokenizer: object
    before: str
    lead: tuple[int, ...]
    tail: tuple[int, ...]
    verdict: tuple[int, int] | None

    def question(self, text: str) -> list[int]:
        """Ids of the question part."""
        one, tokenizer = self.format, self.tokenizer
        if one.chat == "assistant":
            return tokenizer.encode_chat([{"role": "system", "content": one.system}, {"role": "user", "content": text}])
        if one.chat == "turns":
            return tokenizer.encode(self.before + text.strip(), bos=False)
        ids = tokenizer.encode(text + one.behind)
        first = getattr(tokenizer, "bos_id", None) if one.bos else None
        return ids if first is None or ids[:1] == [first] else [first, *ids]

    def encode(self, texts: Sequence[str], first: bool = False) -> list[list[int]]:
        """Ids of steps, without what stands around them. Raises InputError for a step without text: it has no score."""
        glue = self.format.glue[0 if first else 1]
        if any(not text.strip() for text in texts):
            raise InputError("a step without text cannot be scored; leave empty steps out (reasoning.rewards.steps does)")
        return [self.tokenizer.encode(glue + text.strip(), bos=False) for text in texts]


def reader(model: Model, name: str | Format, separator: str | None = None) -> Reader:
    """How `model` is read in the format `name`.

    Args:
      name: a row of the table, or a row of your own.
      separator: what ends a step instead of the format's own text (TRL's `step_separator`).
    Raises:
      InputError: unknown format; a model without the head or the tokens that the format needs, or with fewer rows than its
        tokenizer has ids.
    """
    if not isinstance(name, Format) and name not in FORMATS:
        raise InputError(f"unknown format {name!r} of a process reward model; choose one of {', '.join(FORMATS)}")
    one = name if isinstance(name, Format) else FORMATS[name]
    _check_head(model, one)
    if one.chat == "policy":
        return Reader(one, model.tokenizer, "", (), (), None)
    tokenizer = model.tokenizer
    if tokenizer is None:
        raise InputError(f"{_name(model)} has no tokenizer, and format {one.name!r} reads text; load the model with its files")
    if tokenizer.size > model.config.vocab_size:
        raise InputError(
            f"the tokenizer of {_name(model)} has {tokenizer.size} ids, the model {model.config.vocab_size}; they do not belong "
            "together"
        )
    before, lead, tail = "", "", one.tail if separator is None else separator
    if one.chat == "turns":
        before, lead, tail = _turns(tokenizer, one.verdict[0])
    verdict = one.verdict and tuple(_single(model, one, text) for text in one.verdict)
    tail_ids = tokenizer.encode(tail, bos=False)
    if one.chat != "turns" and separator is None:
        tail_ids = [_single(model, one, tail)]
    return Reader(one, tokenizer, before, tuple(tokenizer.encode(lead, bos=False)), tuple(tail_ids), verdict)


def check_trained(path: str, name: str | Format) -> None:
    """Raises InputError if `path` is a directory of a model that was trained here in another format."""
    record = Path(path) / RECORD
    if not isinstance(name, Format) and record.is_file():
        trained = json.loads(record.read_text())["format"]
        if trained != name:
            raise InputError(f"{path} was trained in the format {trained!r}, and is to be read in {name!r}; use format={trained}")


def check_same_ids(model: Model, policy: Model) -> None:
    """Raises InputError unless every id of the policy's tokenizer means the same to `model`, which is to read them."""
    rows = model.config.vocab_size
    if model.tokenizer is None or policy.tokenizer is None:
        same = policy.config.vocab_size <= rows  # nothing else is known of models without text
    else:
        size = policy.tokenizer.size
        same = size <= rows and policy.tokenizer.token_bytes(size) == model.tokenizer.token_bytes(size)
    if not same:
        raise InputError(
            f"{_name(model)} cannot read the ids of {_name(policy)}: its vocabulary is another; use a format that reads text, "
            "or a reward model made from this policy"
        )


def _check_head(model: Model, one: Format) -> None:
    config = model.config
    if one.verdict:
        if not config.language_head:
            raise InputError(
                f"format {one.name!r} reads the tokens {one.verdict[0]!r} and {one.verdict[1]!r}, but {_name(model)} has a "
                "classification head and no language head; choose qwen_math, trl, skywork or own"
            )
    elif config.num_labels not in one.labels:
        has = f"a score head of {config.num_labels}" if config.num_labels else "no score head"
        raise InputError(
            f"format {one.name!r} reads a score head of {' or '.join(map(str, one.labels))}, but {_name(model)} has {has}; "
            "choose the format that it was trained in, or the scorer `outcome` for a model that scores whole responses"
        )


def _single(model: Model, one: Format, text: str) -> int:
    """The id of a text that must be one token."""
    ids = model.tokenizer.encode(text, bos=False)
    if len(ids) != 1:
        raise InputError(
            f"the tokenizer of {_name(model)} has no token {text!r}, which format {one.name!r} needs; choose the format that the "
            "model was trained in"
        )
    return ids[0]


def _turns(tokenizer, right: str) -> tuple[str, str, str]:
    """What the chat template writes before the first user's text, from a verdict on to the next text, and up to a verdict."""
    user, assistant = ({"role": role} for role in ("user", "assistant"))
    turns = [user | {"content": _USER}, assistant | {"content": _VERDICT}, user | {"content": _NEXT}]
    text = tokenizer.render(turns, False)
    before, behind = text.split(_USER)
    tail, between = behind.split(_VERDICT)
    return before, right + between.split(_NEXT)[0], tail


def _name(model: Model) -> str:
    return model.name or "this model"
