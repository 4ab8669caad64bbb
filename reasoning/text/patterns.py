"""Strings become tables: patterns, forced scripts and vocabulary sets, compiled on the host for the decode loop.

A pattern is a Knuth–Morris–Pratt automaton over bytes whose step is a whole token. Most tokens of a vocabulary act
alike on it (Qwen2.5's `</think>` has 22 different behaviours in 151,936 tokens), so a pattern is a class per token and a
small transition table per class. Capacities are fixed when the builder is made: a new string changes the tables'
values, never their shapes, and compiled programs that take them as arguments stay valid (docs/architecture.md,
"Strings become tables, tables are arguments"). The device side is `reasoning.decode.matching`.

Axis legend: `P` patterns, `Q` automaton states = bytes of the longest pattern, `C` token classes, `V` vocabulary.
"""

import copy
import dataclasses
from collections.abc import Callable, Sequence

import jax
import numpy as np

from reasoning.errors import InputError


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class PatternTables:
    """Compiled patterns; row 0 is "no pattern" and never matches. Read by `reasoning.decode.matching`.

    The automaton's state is the number of pattern bytes matched so far, 0 … size − 1. A match sends it to 0 and drops the
    token's bytes after the match (the overflow). A token without bytes (padded vocabulary) breaks a match, so that a match
    never touches more tokens than it has bytes.

    Attributes:
      classes: int16[P, V], class of each token under each pattern; class 0 sends every state to 0 without a match.
      next: int16[P, Q, C], state after a token of class c in state q.
      end: int16[P, Q, C], bytes of the token up to and including the pattern's last byte; 0 when no match completes in it.
      size: int16[P], bytes of the pattern; 0 for an unused row.
      first: int32[P], token with which the tokenizer begins to write the pattern; −1 for an unused row and where no tokens do.
      token_bytes: int16[V], bytes of each token.
      residue_row: int32[P, V], row of `residue_of` for a match that begins inside this token.
      residue_of: int32[rows, Q + 1], row of `residues` by the number of pattern bytes in that token (size if the whole
        match lies in it).
      residues: int32[rows, tokens], ids that rewrite the text before the match, −1 padded; row 0 is empty.
    """

    classes: jax.Array
    next: jax.Array
    end: jax.Array
    size: jax.Array
    first: jax.Array
    token_bytes: jax.Array
    residue_row: jax.Array
    residue_of: jax.Array
    residues: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Tables:
    """All text that a compiled decode program refers to by number.

    Attributes:
      patterns: compiled patterns, ids from 1; 0 is none.
      scripts: int32[scripts, tokens], texts to force, −1 padded, ids from 0.
      sets: bool[sets, V], vocabulary sets, ids from 1; row 0 is all True, no restriction.
      samplable: bool[V], ids that the tokenizer knows; the others are never sampled.
    """

    patterns: PatternTables
    scripts: jax.Array
    sets: jax.Array
    samplable: jax.Array


@dataclasses.dataclass(frozen=True)
class Capacity:
    """Fixed sizes of the tables. The default takes about 23 MB at V = 152k, nearly all of it 6 bytes a token and pattern.

    Attributes:
      patterns: strings to match, besides the reserved row 0.
      pattern_bytes: bytes of the longest pattern, Q.
      classes: distinct behaviours of tokens under one pattern, C; short common patterns have most (ends at many offsets).
      scripts, script_tokens: forced texts, and tokens of the longest.
      sets: vocabulary sets, besides the reserved row 0.
      residues: distinct texts before a match, over all patterns; a pattern that begins with a common letter has thousands.
      residue_tokens: tokens of the longest residue.
    """

    patterns: int = 16
    pattern_bytes: int = 32
    classes: int = 256
    scripts: int = 32
    script_tokens: int = 64
    sets: int = 8
    residues: int = 32768
    residue_tokens: int = 16


@dataclasses.dataclass(frozen=True)
class Automaton:
    """One pattern against one vocabulary, before padding to capacity.

    Attributes:
      classes: int16[V]; next, end: int16[size, C], as in `PatternTables`.
      failure: int[size + 1], length of the longest proper border of each prefix of the pattern.
    """

    classes: np.ndarray
    next: np.ndarray
    end: np.ndarray
    failure: list[int]


def borders(pattern: bytes) -> list[int]:
    """The KMP failure function: for each prefix length, the longest proper prefix of it that is also its suffix."""
    failure = [0, 0]
    for byte in pattern[1:]:
        q = failure[-1]
        while q and pattern[q] != byte:
            q = failure[q]
        failure.append(q + (pattern[q] == byte))
    return failure


def compile_pattern(pattern: bytes, text: np.ndarray, start: np.ndarray, length: np.ndarray) -> Automaton:
    """Runs every token through the byte automaton of `pattern` from every state, and groups tokens that act alike.

    Args:
      pattern: at least one byte.
      text: uint8[total], the bytes of all tokens, concatenated.
      start, length: int[V], where each token lies in `text`.
    """
    size, failure = len(pattern), borders(pattern)
    step = np.zeros((size + 1, 256), np.int16)  # by bytes; state `size` is absorbing, so a token's first match is kept
    step[size] = size
    for q, byte in enumerate(pattern):
        step[q] = step[failure[q]] if q else 0
        step[q, byte] = q + 1

    # A token without any byte of the pattern resets every state: class 0, as does a token without bytes.
    inside = np.isin(text, np.frombuffer(pattern, np.uint8))
    owner = np.repeat(np.arange(len(start)), length)
    tokens = np.unique(owner[inside])
    tokens = tokens[np.argsort(-length[tokens], kind="stable")]  # longest first: byte j concerns a leading slice
    state = np.tile(np.arange(size, dtype=np.int16), (len(tokens), 1))
    end = np.zeros_like(state)
    for j in range(length[tokens].max(initial=0)):
        live = np.searchsorted(-length[tokens], -j)
        byte = text[start[tokens[:live]] + j]
        state[:live] = step[state[:live], byte[:, None]]
        end[:live][(state[:live] == size) & (end[:live] == 0)] = j + 1
    state[state == size] = 0

    columns = np.concatenate([state, end], axis=1)
    acting = columns.any(axis=1)
    distinct, which = np.unique(columns[acting], axis=0, return_inverse=True)
    classes = np.zeros(len(start), np.int16)
    classes[tokens[acting]] = which.reshape(-1) + 1
    distinct = np.concatenate([np.zeros((1, 2 * size), np.int16), distinct])
    return Automaton(classes, distinct[:, :size].T, distinct[:, size:].T, failure)


def beginnings(pattern: bytes, automaton: Automaton, vocabulary: Sequence[bytes]):
    """Yields (token, {pattern bytes inside it: text before them}) for tokens in which a match can begin after some text."""
    size = len(pattern)
    first_end, first_state = automaton.end[0][automaton.classes], automaton.next[0][automaton.classes]
    for token in np.flatnonzero((first_end > size) | (first_state > 0)).tolist():
        text, before = vocabulary[token], {}
        if first_end[token]:  # the whole match lies in this token, whatever the state was
            before[size] = text[: first_end[token] - size]
        else:  # a match may begin at each suffix of the token that is a prefix of the pattern
            k = int(first_state[token])
            while k:
                before[k] = text[: len(text) - k]
                k = automaton.failure[k]
        before = {k: residue for k, residue in before.items() if residue}
        if before:
            yield token, before


class TableBuilder:
    """Collects strings by number and builds `Tables` of fixed shapes.

    Args:
      vocabulary: the V tokens' bytes (`Tokenizer.token_bytes`); b"" for rows of the embedding without text.
      encode: text → ids (`Tokenizer.encode`); None writes texts with the fewest tokens of the vocabulary.
      samplable: bool[≤ V], ids that may be emitted, later ones may not; None: those with text.
      capacity: sizes of the tables.

    Every method raises InputError for a text that cannot be compiled or a capacity that is used up, and then adds nothing.
    """

    def __init__(
        self,
        vocabulary: Sequence[bytes],
        encode: Callable[[str], list[int]] | None = None,
        samplable: np.ndarray | None = None,
        capacity: Capacity | None = None,
    ):
        self.vocabulary = list(vocabulary)
        self.capacity = capacity or Capacity()
        self._encode = encode
        self._length = np.array([len(token) for token in self.vocabulary], np.int64)
        self._start = np.cumsum(self._length) - self._length
        self._text = np.frombuffer(b"".join(self.vocabulary), np.uint8)
        self.samplable = self._length > 0
        if samplable is not None:
            self.samplable = np.zeros(len(self.vocabulary), bool)
            self.samplable[: len(samplable)] = samplable
        self._by_text: dict[bytes, int] = {}
        for token in reversed(np.flatnonzero(self.samplable & (self._length > 0)).tolist()):
            self._by_text[self.vocabulary[token]] = token  # the lowest id wins
        self._longest = max(map(len, self._by_text), default=0)
        self._patterns: dict[bytes, tuple[Automaton, np.ndarray, int]] = {}
        self._scripts: dict[tuple[int, ...], int] = {}
        self._sets: dict[bytes, int] = {np.ones(len(self.vocabulary), bool).tobytes(): 0}
        self._residues: dict[bytes, tuple[int, list[int]]] = {b"": (0, [])}
        self._residue_rows: dict[tuple[tuple[int, int], ...], int] = {(): 0}
        self._built: Tables | None = None

    def pattern(self, text: str | bytes) -> int:
        """The id of a string to match, ≥ 1; the same string has the same id."""
        pattern = _utf8(text) if isinstance(text, str) else bytes(text)
        if pattern in self._patterns:
            return 1 + list(self._patterns).index(pattern)
        if not pattern:
            raise InputError("a pattern is empty; leave it out (pattern id 0 is none)")
        self._room("patterns", len(self._patterns) + 1, repr(text))
        self._room("pattern_bytes", len(pattern), repr(text))
        automaton = compile_pattern(pattern, self._text, self._start, self._length)
        self._room("classes", automaton.next.shape[1], repr(text))
        residues, rows = dict(self._residues), dict(self._residue_rows)
        residue_row = np.zeros(len(self.vocabulary), np.int32)
        for token, before in beginnings(pattern, automaton, self.vocabulary):
            for residue in before.values():
                if residue not in residues:
                    residues[residue] = (len(residues), self._rewrite(residue, pattern))
            key = tuple((k, residues[residue][0]) for k, residue in before.items())
            residue_row[token] = rows.setdefault(key, len(rows))
        self._room("residues", max(len(residues), len(rows)), repr(text))
        self._residues, self._residue_rows = residues, rows
        self._patterns[pattern] = (automaton, residue_row, (self._write(pattern) or [-1])[0])
        self._built = None
        return len(self._patterns)

    def script(self, text: str | Sequence[int]) -> int:
        """The id of a text to force, ≥ 0, from text or token ids."""
        if isinstance(text, str):
            written = _utf8(text)
            ids = self._encode(text) if self._encode else self._segment(written)
            if ids is None:
                raise InputError(f"the vocabulary cannot write the script {text!r}; pass token ids")
        else:
            ids = [int(token) for token in text]
        if not ids:
            raise InputError("a script is empty; leave it out (script id -1 is none)")
        if min(ids) < 0 or max(ids) >= len(self.vocabulary):
            raise InputError(f"the script {text!r} names a token outside 0 … {len(self.vocabulary) - 1}; pass ids of this model")
        key = tuple(ids)
        if key not in self._scripts:
            self._room("scripts", len(self._scripts) + 1, repr(text))
            self._room("script_tokens", len(ids), repr(text))
            self._scripts[key] = len(self._scripts)
            self._built = None
        return self._scripts[key]

    def vocabulary_set(self, members: np.ndarray | Sequence[int]) -> int:
        """The id of a set of tokens that a row may sample, ≥ 0, from a mask bool[V] or token ids; 0 is every token."""
        array, size = np.asarray(members), len(self.vocabulary)
        if array.dtype == bool and array.shape != (size,):
            raise InputError(f"a vocabulary mask has {array.size} entries for {size} tokens; pass one per token, or token ids")
        if array.dtype != bool:
            if array.size and (array.min() < 0 or array.max() >= size):
                raise InputError(f"a vocabulary set names a token outside 0 … {size - 1}; pass ids of this model")
            array = np.isin(np.arange(size), array)
        if not (array & self.samplable).any():
            raise InputError("a vocabulary set has no token that may be sampled; add one")
        key = array.tobytes()
        if key not in self._sets:
            self._room("sets", len(self._sets), f"a set of {int(array.sum())} tokens")
            self._sets[key] = len(self._sets)
            self._built = None
        return self._sets[key]

    def copy(self) -> "TableBuilder":
        """A builder that starts with the same rows under the same ids; what is added to either is not in the other."""
        other = copy.copy(self)
        for name in ("_patterns", "_scripts", "_sets", "_residues", "_residue_rows"):
            setattr(other, name, dict(getattr(self, name)))
        return other

    @property
    def counts(self) -> dict[str, int]:
        """Rows in use of each table, by its name in `reasoning.decode.base.Knob.rows_of`."""
        return {"patterns": len(self._patterns) + 1, "scripts": len(self._scripts), "sets": len(self._sets)}

    def build(self) -> Tables:
        """The tables as numpy arrays; the same object until something is added, so that it is put on the device once."""
        if self._built is None:
            self._built = self._assemble()
        return self._built

    def _assemble(self) -> Tables:
        capacity, vocab = self.capacity, len(self.vocabulary)
        rows, states = capacity.patterns + 1, capacity.pattern_bytes
        classes, size, first = np.zeros((rows, vocab), np.int16), np.zeros(rows, np.int16), np.full(rows, -1, np.int32)
        following, end = (np.zeros((rows, states, capacity.classes), np.int16) for _ in range(2))
        residue_row = np.zeros((rows, vocab), np.int32)
        for row, (pattern, (automaton, begins, token)) in enumerate(self._patterns.items(), start=1):
            used = (row, slice(len(pattern)), slice(automaton.next.shape[1]))
            size[row], first[row], classes[row], residue_row[row] = len(pattern), token, automaton.classes, begins
            following[used], end[used] = automaton.next, automaton.end
        residue_of = np.zeros((capacity.residues, states + 1), np.int32)
        for key, row in self._residue_rows.items():
            for k, residue in key:
                residue_of[row, k] = residue
        residues = _padded([ids for _, ids in self._residues.values()], capacity.residues, capacity.residue_tokens)
        scripts = _padded(self._scripts, capacity.scripts, capacity.script_tokens)
        sets = np.ones((capacity.sets + 1, vocab), bool)
        for key, row in self._sets.items():
            sets[row] = np.frombuffer(key, bool)
        token_bytes = self._length.astype(np.int16)
        patterns = PatternTables(classes, following, end, size, first, token_bytes, residue_row, residue_of, residues)
        return Tables(patterns, scripts, sets, self.samplable.copy())

    def _room(self, field: str, needed: int, what: str) -> None:
        """Raises InputError when `needed` exceeds the capacity `field`."""
        have = getattr(self.capacity, field)
        if needed > have:
            raise InputError(
                f"{what} needs {field} = {needed} and the text tables have {have}; make the engine with "
                f"capacity=reasoning.text.patterns.Capacity({field}={needed})"
            )

    def _rewrite(self, text: bytes, pattern: bytes) -> list[int]:
        """Token ids whose bytes are exactly `text`, as few as a residue may have."""
        ids = self._write(text, self.capacity.residue_tokens)
        if ids is None:
            raise InputError(f"the vocabulary cannot write {text!r}, found before {pattern!r} in one token; match another string")
        self._room("residue_tokens", len(ids), f"{text!r} before {pattern!r}")
        return ids

    def _write(self, text: bytes, most: int | None = None) -> list[int] | None:
        """Token ids whose bytes are exactly `text`: the tokenizer's own if they are exact and at most `most`, else the fewest
        tokens; None where there are none."""
        if self._encode is not None:
            try:
                ids = self._encode(text.decode())
            except UnicodeDecodeError:  # part of a character: only tokens of part characters can write this
                ids = []
            exact = b"".join(self.vocabulary[token] for token in ids) == text and self.samplable[ids].all()
            if exact and (most is None or len(ids) <= most):
                return ids
        return self._segment(text)

    def _segment(self, text: bytes) -> list[int] | None:
        """The fewest tokens that write `text`, or None. Among equals the one with the longest last token."""
        best: list[list[int] | None] = [[]]
        for stop in range(1, len(text) + 1):
            found = None
            for begin in range(max(0, stop - self._longest), stop):
                token = self._by_text.get(text[begin:stop])
                if token is not None and best[begin] is not None and (found is None or len(best[begin]) + 1 < len(found)):
                    found = [*best[begin], token]
            best.append(found)
        return best[-1]


def _utf8(text: str) -> bytes:
    """UTF-8 bytes of `text`. Raises InputError for half of a surrogate pair, as JSON can carry it."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{text!r} is not valid Unicode ({error.reason}); write the whole character") from error


def _padded(lists, rows: int, width: int) -> np.ndarray:
    """int32[rows, width] with each list at the start of its row, −1 elsewhere."""
    out = np.full((rows, width), -1, np.int32)
    for row, ids in enumerate(lists):
        out[row, : len(ids)] = list(ids)
    return out
