"""Prompts as text files that can be edited: turns under [system], [user] and [assistant], and fields written $name.

    [system]
    You judge answers to the question: $question
    [user]
    $chosen

The package's own are in `reasoning/methods/wording/<folder>/`; a folder of your own is named by its path. Of what is filled
in nothing is read as a field, and a dollar sign of the template itself is written $$.
"""

import dataclasses
import importlib.resources
import re
import string
from collections.abc import Collection
from pathlib import Path

from reasoning.errors import InputError
from reasoning.methods.prompts import Message

TURN = re.compile(r"^\[(system|user|assistant)\][ \t]*\n", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Template:
    """A chat with fields.

    Attributes:
      turns: (role, text) pairs.
    """

    turns: tuple[tuple[str, str], ...]

    def __call__(self, **fields: str) -> list[Message]:
        """The messages; fields that the template does not use are ignored."""
        return [{"role": role, "content": string.Template(text).substitute(fields)} for role, text in self.turns]

    def uses(self, field: str) -> int:
        """How often a field stands in it."""
        return sum(len(re.findall(rf"(?<!\$)\$(?:{field}\b|{{{field}}})", text)) for _, text in self.turns)


def read(folder: str, name: str, fields: Collection[str], literal: Collection[str] = ()) -> Template:
    """The template `<name>.txt` of a folder.

    Args:
      folder: a name of the package's own, or a path, which has a "/" in it.
      fields: that it must use, each at least once, and no others. literal: strings that it must hold as they are.
    Raises:
      InputError: no such file, text before the first turn or no turn, a last turn that is not the user's, a field that is
        lacking or unknown.
    """
    own = importlib.resources.files("reasoning.methods") / "wording"
    path = (Path(folder) if "/" in folder else own / folder) / f"{name}.txt"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        known = ", ".join(sorted(one.name for one in own.iterdir()))
        raise InputError(f"there is no template {path}; a folder of templates is one of {known}, or a path with a /") from error
    before, *parts = TURN.split(text)
    turns = tuple((role, said.strip()) for role, said in zip(parts[::2], parts[1::2], strict=True))
    if before.strip() or not turns or turns[-1][0] != "user":
        raise InputError(f"the template {path} must be turns under [system], [user] or [assistant], the last one [user]'s")
    parsed = [string.Template(said) for _, said in turns]
    if not all(one.is_valid() for one in parsed):
        raise InputError(f"the template {path} has a $ that begins no field; write $$ for a dollar sign")
    found = {field for one in parsed for field in one.get_identifiers()}
    for field in sorted(set(fields) ^ found):
        what = "lacks the field" if field in fields else "has an unknown field"
        raise InputError(f"the template {path} {what} ${field}; its fields are {', '.join(f'${one}' for one in fields)}")
    for words in literal:
        if not any(words in said for _, said in turns):
            raise InputError(f"the template {path} must ask for {words}, by which the answer is found")
    return Template(turns)
