"""Static shapes: a bucket depends on the request alone, slots fit the memory, a plan survives being written down."""

import json

import pytest
from doubles.models import hash_model

from reasoning.decode.engine import Engine
from reasoning.decode.plan import bucket_of, make_plan, read_plan, slots_of
from reasoning.errors import InputError


@pytest.fixture
def plan():
    return make_plan(0, max_slots=8, smallest_bucket=64)


def test_buckets_waste_at_most_half_and_never_exceed_the_context(plan):
    buckets = [bucket_of(plan, tokens, 2000) for tokens in range(1, 2001)]
    assert sorted(set(buckets)) == [64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2000]
    assert all(tokens <= bucket <= max(64, 1.5 * tokens) for tokens, bucket in enumerate(buckets, start=1))


def test_slots_are_halved_until_they_fit_and_a_row_that_never_fits_is_refused(plan):
    network = hash_model().network
    row = network.cache_bytes(1, 64)
    room = {"memory": 6 * row, "prefill_rows": 2}
    assert slots_of(read_plan(plan.to_json() | room), network, 64) == 4
    with pytest.raises(InputError, match="lower max_tokens or use a smaller model"):
        slots_of(read_plan(plan.to_json() | room | {"memory": 2 * row}), network, 64)


def test_a_plan_read_back_from_json_gives_the_same_shapes():
    engine = Engine(hash_model(), max_slots=3)
    again = Engine(engine.model, plan=json.loads(json.dumps(engine.plan)))
    assert again.plan == engine.plan
    assert again.plan["max_slots"] == 3


@pytest.mark.parametrize("bad", [{"max_slots": 0}, {"max_slots": 2.5}, {"steps": 0}, {"colour": 1}])
def test_a_plan_that_cannot_work_is_refused(bad):
    with pytest.raises(InputError):
        make_plan(0, **bad)


def test_a_plan_with_a_field_missing_or_too_much_is_refused(plan):
    with pytest.raises(InputError, match="'steps'"):
        read_plan({name: value for name, value in plan.to_json().items() if name != "steps"})
    with pytest.raises(InputError, match="'colour'"):
        read_plan(plan.to_json() | {"colour": 1})
