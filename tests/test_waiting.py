"""The waiting room: a common prefix is prefilled once and forked, and nobody can tell from the samples."""

import jax
import numpy as np
import pytest
from doubles.models import hash_model
from doubles.stages import SMALL
from hypothesis import given, settings
from hypothesis import strategies as st

from reasoning.decode.engine import Engine
from reasoning.decode.plan import make_plan
from reasoning.decode.requests import Request
from reasoning.decode.waiting import Room, compile_room

MODEL = hash_model(sharpness=2.0)
PLAN = make_plan(0, max_slots=4, smallest_bucket=64, prefill_chunk=8, prefill_rows=3)


@pytest.fixture(scope="module")
def programs():
    return compile_room(MODEL.network, PLAN, 64, MODEL.params)


def prompt(*parts):
    """Chunks of eight equal tokens, then one more: "A", "B" → AAAAAAAABBBBBBBBB."""
    return np.array([ord(letter) for part in parts for letter in 8 * part] + [ord(parts[-1])], np.int32)


def assert_holds(room, prompts):
    """The double's cache is the tokens themselves, each plus one."""
    seen = np.asarray(room.cache["seen"])
    for row, ids in enumerate(prompts):
        np.testing.assert_array_equal(seen[row, : len(ids) - 1], ids[:-1] + 1)


def test_a_common_prefix_is_computed_for_every_prompt(programs):
    room = Room(programs, MODEL.params)
    room.fill([prompt(*"ABCx")])
    assert room.calls == 4
    room.fill([prompt(*"ABCy"), prompt(*"ABCz"), prompt(*"ABCyz")])
    assert room.calls == 4 + 2  # the new chunks of the longest prompt alone
    assert_holds(room, [prompt(*"ABCy"), prompt(*"ABCz"), prompt(*"ABCyz")])


def test_a_prefix_is_taken_from_the_row_that_used_to_have_it(programs):
    """Forgetting to copy it before the first write leaves the neighbour's prompt there."""
    room = Room(programs, MODEL.params)
    room.fill([prompt(*"AAx"), prompt(*"BBx"), prompt(*"CCx")])
    room.fill([prompt(*"BBy"), prompt(*"CCy"), prompt(*"AAy")])
    assert room.calls == 3 + 1
    assert_holds(room, [prompt(*"BBy"), prompt(*"CCy"), prompt(*"AAy")])


def test_a_prefix_shared_by_a_part_of_a_chunk_counts(programs):
    room = Room(programs, MODEL.params)
    room.fill([np.arange(21, dtype=np.int32)])
    room.fill([np.concatenate([np.arange(13), np.arange(90, 98)]).astype(np.int32)])
    assert room.calls == 3 + 2  # 13 common tokens are one whole chunk of eight
    assert_holds(room, [np.concatenate([np.arange(13), np.arange(90, 98)]).astype(np.int32)])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.text("ABC", min_size=1, max_size=6), min_size=1, max_size=3), min_size=1, max_size=5))
def test_some_history_of_prompts_leaves_a_wrong_token(programs, waves):
    room = Room(programs, MODEL.params)
    for wave in waves:
        prompts = [prompt(*word)[: 8 * len(word) + 1 - len(word)] for word in wave]
        room.fill(prompts)
        assert_holds(room, prompts)


@pytest.mark.slow
def test_company_with_the_same_examples_changes_a_sample():
    engine, header = Engine(MODEL, plan=PLAN.to_json()), "a worked example that everybody sees, longer than a few chunks. "
    requests = [Request(id=f"p{i}", prompt=header[: 50 + i % 3] + str(i) * (1 + i % 4), n=2) for i in range(9)]

    def collect(some):
        options = {"max_tokens": 12, "temperature": 0.9, "chain": SMALL}
        return {(r.id, r.sample): (r.tokens.tolist(), r.logprobs.tobytes()) for r in engine.generate(some, **options)}

    together = collect(requests)
    alone = {key: value for request in requests for key, value in collect([request]).items()}
    assert together == alone


@pytest.mark.slow
def test_what_a_slot_held_before_shows_beyond_the_prompt():
    """The room is shorter than the slot, so admission leaves the end of the slot as the last occupant left it."""
    engine = Engine(MODEL, plan=PLAN.to_json() | {"max_slots": 1})
    options = {"max_tokens": 80, "temperature": 0.9, "chain": SMALL}
    first, second = (Request(id=name, prompt=f"{name} prompt") for name in ("long", "next"))
    alone = [r.tokens.tolist() for r in engine.generate([second], **options)]
    after = [r.tokens.tolist() for r in engine.generate([first, second], **options) if r.id == "next"]
    assert engine.programs(96, SMALL).rows == 1
    assert after == alone


def test_a_long_prompt_makes_the_whole_room_long():
    """Rooms are as long as prompts, not as answers, and a room of very long prompts has fewer rows."""
    plan = make_plan(0, prefill_rows=4, room_tokens=4096)
    shapes = [compile_room(MODEL.network, plan, size, MODEL.params).room for size in (64, 2048)]
    assert [jax.tree.leaves(shape)[-1].shape for shape in shapes] == [(4, 64), (2, 2048)]
