"""Text ↔ token ids, with the model's special tokens and chat template, over the `tokenizers` library.

Axis legend: `V` vocabulary (rows of the embedding, at least `size`; the rows beyond are padding).
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers

from reasoning.errors import InputError
from reasoning.text import chat, directory, gguf_vocab, spelling
from reasoning.text.stream import Detokenizer

# Control tokens that end a text whether or not the model's files say so; other ends of turns are read off its chat
# template, but a Gemma without one knows its end of turn as well.
END_OF_TEXT = frozenset({"<|endoftext|>", "<|end_of_text|>", "<end_of_turn>"})


class Tokenizer:
    """Ids, text, chat.

    Attributes:
      bos_id, pad_id: int or None.
      stop_ids: ids that end a response (end of text, end of turn), ascending.
      special_ids: ids of control tokens; `decode(…, skip_special=True)` leaves them out.
      chat_template: jinja2 source, or None.
      real_ids: bool[size], which ids stand for something; the others and those ≥ `size` must never be sampled.
    """

    def __init__(
        self,
        backend: tokenizers.Tokenizer,
        *,
        special_tokens: Mapping[str, str] | None = None,
        eos_ids: Iterable[int] = (),
        chat_template: str | None = None,
    ):
        """
        Args:
          backend: the pipeline; its vocabulary lists the real ids and no others.
          special_tokens: texts by role: bos_token, eos_token, pad_token, unk_token, …
          eos_ids: ids known to end a response, besides eos_token and the chat template's end of turn.
          chat_template: jinja2 source.
        """
        self.backend = backend
        self.special_tokens = dict(special_tokens or {})
        self.chat_template = chat_template
        added = backend.get_added_tokens_decoder()
        self.special_ids = frozenset(i for i, token in added.items() if token.special)
        self._added = {i: token.content for i, token in added.items()}
        self._vocabulary = backend.get_vocab(with_added_tokens=True)
        self.size = max(self._vocabulary.values(), default=-1) + 1
        self.real_ids = np.zeros(self.size, bool)
        self.real_ids[np.fromiter(self._vocabulary.values(), np.int64, len(self._vocabulary))] = True
        # Ids that a backend which opens every text with a space (Llama 2) writes for an opening U+0000, which nothing merges
        # with; 1 or none from any other.
        self._opening = len(backend.encode("\0", add_special_tokens=False).ids)
        self.bos_id = self._vocabulary.get(self.special_tokens.get("bos_token"))
        self.pad_id = self._vocabulary.get(self.special_tokens.get("pad_token"))
        self.stop_ids = self._stop_ids(eos_ids)

    @classmethod
    def from_gguf(cls, metadata: Mapping[str, Any]) -> "Tokenizer":
        """From the key-value pairs of a GGUF file as Python objects. Raises InputError (`gguf_vocab.build`)."""
        backend = gguf_vocab.build(metadata)
        tokens = metadata["tokenizer.ggml.tokens"]
        ids = {name: metadata.get(f"tokenizer.ggml.{key}_token_id") for name, key in gguf_vocab.SPECIAL_KEYS.items()}
        special = {name: tokens[i] for name, i in ids.items() if i is not None and 0 <= i < len(tokens)}
        ends = [metadata.get(f"tokenizer.ggml.{key}_token_id") for key in ("eos", "eot", "eom")]
        return cls(
            backend,
            special_tokens=special,
            eos_ids=[i for i in ends if i is not None],
            chat_template=metadata.get("tokenizer.chat_template"),
        )

    @classmethod
    def from_directory(cls, path: str | Path) -> "Tokenizer":
        """From a directory with tokenizer.json and the files around it. Raises InputError (`directory.read`)."""
        files = directory.read(Path(path))
        return cls(files.backend, special_tokens=files.special_tokens, eos_ids=files.eos_ids, chat_template=files.chat_template)

    def save(self, path: Path, context: int) -> None:
        """Writes tokenizer.json and the files around it into the directory `path`; `context` is the longest sequence, tokens."""
        files = directory.Files(self.backend, self.special_tokens, list(self.stop_ids), self.chat_template)
        directory.write(path, files, context)

    def encode(self, text: str, *, bos: bool = True) -> list[int]:
        """Ids of `text`; special tokens written in it become their ids.

        Args:
          bos: write what the model demands around a text: a first token, or the space before the first word of Llama 2.
            False for text that continues a sequence, such as a forced script.

        Raises InputError for text with half of a surrogate pair (what JSON's "\\ud83d" alone stands for).
        """
        _unicode(text)
        if not bos and self._opening > 1:
            return self.backend.encode("\0" + text, add_special_tokens=False).ids[self._opening :]
        return self.backend.encode(text, add_special_tokens=bos).ids

    def decode(self, ids: Sequence[int] | np.ndarray, skip_special: bool = False) -> str:
        """Text of `ids`: the bytes of all tokens, decoded once; U+FFFD for what is not UTF-8, nothing for unused ids."""
        pieces, skip = self._pieces, self.special_ids if skip_special else frozenset()
        known = np.asarray(ids, np.int64).tolist()
        return b"".join(pieces[i] for i in known if i not in skip and 0 <= i < self.size).decode("utf-8", "replace")

    def token_bytes(self, vocab_size: int) -> list[bytes]:
        """Bytes of each of `vocab_size` ids: special tokens as their literal text, unused and padding rows as b""."""
        return (self._pieces + [b""] * (vocab_size - self.size))[:vocab_size]

    def stream(self, skip_special: bool = False) -> Detokenizer:
        """A detokeniser for one stream of ids."""
        return Detokenizer(self._pieces, self.special_ids if skip_special else frozenset())

    def render(self, messages: Sequence[Mapping[str, Any]], add_generation_prompt: bool = True, **extra: Any) -> str:
        """The conversation as one text (`chat.render`). Raises InputError, also without a chat template."""
        if self.chat_template is None:
            raise InputError("this model has no chat template (a base model?); pass prompt= instead of messages=")
        return chat.render(
            self.chat_template,
            messages,
            add_generation_prompt=add_generation_prompt,
            special_tokens=self.special_tokens,
            **extra,
        )

    def encode_chat(self, messages: Sequence[Mapping[str, Any]], add_generation_prompt: bool = True, **extra: Any) -> list[int]:
        """Ids of the rendered conversation; the template itself writes the tokens that begin a text."""
        return self.backend.encode(_unicode(self.render(messages, add_generation_prompt, **extra)), add_special_tokens=False).ids

    def _stop_ids(self, eos_ids: Iterable[int]) -> tuple[int, ...]:
        control = [self._added[i] for i in self.special_ids]
        ends = [token for token in control if token in END_OF_TEXT]
        ends.append(self.special_tokens.get("eos_token"))
        if self.chat_template is not None:
            ends.append(chat.end_of_turn(self.chat_template, self.special_tokens, control))
        found = {self._vocabulary[token] for token in ends if token in self._vocabulary}
        return tuple(sorted(found | {i for i in eos_ids if 0 <= i < self.size}))

    @functools.cached_property
    def _pieces(self) -> list[bytes]:
        """Bytes of each id below `size`."""
        pieces = [b""] * self.size
        ordinary = spelling.of(self.backend)
        for token, i in self._vocabulary.items():
            pieces[i] = self._added[i].encode() if i in self._added else ordinary(token)
        return pieces


def _unicode(text: str) -> str:
    """`text`; InputError for half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"not Unicode text: {text[error.start : error.end]!a}; remove such characters") from error
    return text
