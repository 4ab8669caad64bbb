"""A tokenizer whose ids are bytes, with optional longer pieces after them, and one stop id at the end."""

from collections.abc import Sequence

import numpy as np

from reasoning.errors import InputError


class ByteTokenizer:
    """Ids 0 … 255 are bytes; then `pieces`, longer strings that `encode` prefers (longest first); then the stop id."""

    def __init__(self, pieces: Sequence[str] = ()):
        self.pieces = [piece.encode() for piece in pieces]
        self.size = 257 + len(self.pieces)
        self.stop_ids = (self.size - 1,)
        self.real_ids = np.ones(self.size, bool)
        self.chat_template = "bytes"

    def encode(self, text: str, *, bos: bool = True) -> list[int]:
        """Greedy: the longest piece that fits, else one byte; there is no token that opens a sequence."""
        data, out, order = text.encode(), [], sorted(range(len(self.pieces)), key=lambda i: -len(self.pieces[i]))
        while data:
            best = next((i for i in order if data.startswith(self.pieces[i])), None)
            out.append(data[0] if best is None else 256 + best)
            data = data[1 if best is None else len(self.pieces[best]) :]
        return out

    def decode(self, ids: Sequence[int], skip_special: bool = False) -> str:
        """Bytes joined; broken UTF-8 becomes U+FFFD; the stop id is "<stop>" unless skipped."""
        stop = b"" if skip_special else b"<stop>"
        return b"".join(stop if i == self.stop_ids[0] else self.token_bytes(self.size)[i] for i in ids).decode(errors="replace")

    def token_bytes(self, vocab_size: int) -> list[bytes]:
        """Bytes of each id; none for the stop id and padding."""
        table = [bytes([i]) for i in range(256)] + self.pieces
        return (table + [b""] * vocab_size)[:vocab_size]

    def render(self, messages, add_generation_prompt: bool = True, **extra) -> str:
        """One line a message, then "assistant:"."""
        if not messages:
            raise InputError("no messages to render; pass at least one")
        lines = [f"{message['role']}: {message['content']}\n" for message in messages]
        return "".join(lines) + ("assistant:" if add_generation_prompt else "")

    def encode_chat(self, messages, **extra) -> list[int]:
        """Ids of the rendered chat."""
        return self.encode(self.render(messages, **extra))


class ChatTokenizer(ByteTokenizer):
    """Bytes and a chat template whose turns end in the stop id, spelled "<stop>", and a line break.

    `opening` stands at the end of the prompt, as in templates that begin the assistant's thought themselves.
    """

    def __init__(self, opening: str = ""):
        super().__init__()
        self.opening = opening

    def encode(self, text: str, *, bos: bool = True) -> list[int]:
        """Ids of `text`; "<stop>" is the stop id."""
        first, *others = (super(ChatTokenizer, self).encode(part) for part in text.split("<stop>"))
        return [*first, *(token for part in others for token in (self.stop_ids[0], *part))]

    def render(self, messages, add_generation_prompt: bool = True, **extra) -> str:
        """A turn is "role: content<stop>" and a line break."""
        turns = "".join(f"{one['role']}: {one['content']}<stop>\n" for one in messages)
        return turns + ("assistant: " + self.opening if add_generation_prompt else "")
