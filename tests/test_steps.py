"""The controller that ends reasoning steps, against strings in plain Python."""

import jax
import numpy as np
import pytest
from doubles.models import scripted_model
from doubles.tokenizer import ByteTokenizer

from reasoning.decode.base import Chain
from reasoning.decode.controllers import stop_ids, stop_patterns
from reasoning.decode.engine import Engine
from reasoning.decode.loop import initial_states
from reasoning.decode.programs import blank_admission
from reasoning.decode.slots import ring_read
from reasoning.decode.steps import step_ends
from reasoning.decode.transforms import temperature
from reasoning.decode.waiting import Room

CHAIN = Chain((temperature(),), (stop_ids(), stop_patterns(4), step_ends()))
TEXTS = ["a\n\nb\n\nc", "\n\n\n\na\n\n\n\n\nb\n\n", "xy\n\ncd ef\n\ng", "no end at all, ever"]
TOKENIZER = ByteTokenizer(["b\n", "\n\nc", "\n\n"])
LATER = [[*b"one", 256, 10, *b"d"]]  # "oneb\n" and "\n": an end in two tokens


@pytest.fixture(scope="module")
def engine():
    return Engine(scripted_model([*TEXTS, *LATER], TOKENIZER.size, tokenizer=TOKENIZER), max_slots=5)


def pauses(engine, ends, cap, rounds=12):
    """(texts of each row's steps, slots, tables): decodes until a pause, again and again."""
    programs = engine.programs(64, CHAIN)
    rows = [engine.pattern(end) for end in ends]
    tables = jax.device_put(engine._builder.build())
    admission = blank_admission(CHAIN, programs.rows, 64)
    compiled, admit = engine.entrance(CHAIN, programs, 1)
    room = Room(compiled, engine.model.params)
    room.fill([np.zeros(1, np.int32)])  # nothing is written of a prompt of one token
    for row in range(programs.rows):
        admission.source[row], admission.tokens[row, 0], admission.limit[row] = 0, row, 60
    admission.knobs["step_ends"][:, : len(rows)] = rows
    admission.knobs["step_tokens"][:] = cap
    admission.knobs["stop_ids"][:, 0] = TOKENIZER.stop_ids[0]
    slots = admit(programs.empty(tables), room.cache, jax.device_put(admission), tables)
    texts, length = [[] for _ in range(programs.rows)], np.ones(programs.rows, int)
    for _ in range(rounds):
        slots, report = programs.decode(engine.model.params, slots, tables, jax.device_put(np.int32(64)))
        after, tokens = np.asarray(report.length), np.asarray(slots.tokens)
        for row in range(programs.rows):
            text = TOKENIZER.decode(tokens[row, length[row] : after[row]], True)
            texts[row] += [text] if text else []
        length = after
        slots = programs.resume(slots, jax.device_put(np.ones(programs.rows, bool)))
    return texts, slots, tables


def test_a_step_is_empty_or_text_behind_its_end_is_lost(engine):
    """An end right after an end does not count; "\\n\\nc" is one token, so its "c" is behind the end of the step before."""
    texts, *_ = pauses(engine, ["\n\n"], 0)
    assert texts == [
        ["a\n\n", "b\n\n", "c"],
        ["\n\n\n\na\n\n", "\n\n\nb\n\n"],
        ["xy\n\nc", "d ef\n\n", "g"],
        [TEXTS[3]],
        ["oneb\n\n", "d"],
    ]
    assert all(set(text) - {"\n"} for row in texts for text in row)


def test_a_step_is_longer_than_it_may_be(engine):
    texts, *_ = pauses(engine, ["\n\n"], 4)
    assert texts[3] == [TEXTS[3][index : index + 4] for index in range(0, len(TEXTS[3]), 4)]
    assert texts[0] == ["a\n\n", "b\n\n", "c"]


def test_another_delimiter_compiles_something(engine):
    pauses(engine, ["\n\n"], 0)
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *_, **__: compiled.append(event) if "backend_compile" in event else None
    )
    texts, *_ = pauses(engine, [", ", "at"], 0, rounds=3)
    assert texts[3] == ["no end at", " all, ", "ever"]
    assert compiled == []


def test_states_after_a_prefix_equal_the_fold_over_it(engine):
    _, slots, tables = pauses(engine, ["\n\n"], 3, rounds=2)
    folded = ring_read(slots.states, slots.length).controllers
    fresh = jax.jit(lambda slots: ring_read(initial_states(CHAIN, slots, tables), slots.length).controllers)(slots)
    for a, b in zip(jax.tree.leaves(folded), jax.tree.leaves(fresh), strict=True):
        np.testing.assert_array_equal(a, b)
