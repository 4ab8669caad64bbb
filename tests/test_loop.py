"""Laws of the compiled loop: taking back, forcing, forking and rolling back leave exactly what they should."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from doubles.host_reads import check_it_sees, no_host_read
from doubles.models import hash_model, scripted_model
from doubles.stages import SMALL, pause_every, reject, rewind_once, running_sum
from scipy import stats

from reasoning.decode import phases
from reasoning.decode.base import Chain
from reasoning.decode.engine import Engine
from reasoning.decode.loop import context_of, initial_states, make_decode
from reasoning.decode.programs import blank_admission
from reasoning.decode.requests import Request
from reasoning.decode.slots import fork, gather, resume, ring_read, rollback
from reasoning.decode.transforms import temperature
from reasoning.decode.waiting import Room


@pytest.fixture(scope="module")
def engine():
    return Engine(hash_model(sharpness=2.0), max_slots=4)


def start(engine, chain, prompts, limit=60, **knobs):
    """(programs, tables, slots) with one row a prompt, knobs as given."""
    programs = engine.programs(64, chain)
    tables = jax.device_put(engine._builder.build())
    admission = blank_admission(chain, programs.rows, programs.bucket)
    encoded = [np.asarray(engine.model.tokenizer.encode(prompt), np.int32) for prompt in prompts]
    room, admit = entrance(engine, chain, programs, encoded)
    for row, ids in enumerate(encoded):
        admission.source[row], admission.prompt_length[row], admission.limit[row] = row, len(ids), limit
        admission.tokens[row, : len(ids)], admission.identity[row] = ids, row + 1
        for name, value in knobs.items():
            admission.knobs[name][row] = value[row] if isinstance(value, list) else value
    return programs, tables, admit(programs.empty(tables), room.cache, jax.device_put(admission), tables)


def entrance(engine, chain, programs, encoded):
    """(a room that holds the prompts, the way from it into the slots)."""
    compiled, admit = engine.entrance(chain, programs, max(map(len, encoded)))
    room = Room(compiled, engine.model.params)
    room.fill(encoded)
    return room, admit


def small(slots):
    """Leaves that must be equal bit for bit: all but the cache, with what lies beyond length blanked."""
    within = np.arange(slots.tokens.shape[1])[None] < np.asarray(slots.length)[:, None]
    blank = {name: np.where(within, np.asarray(getattr(slots, name)), 0) for name in ("tokens", "forced", "logprob")}
    rest = dataclasses.replace(slots, cache=(), key=jax.random.key_data(slots.key), **blank)
    return [np.asarray(leaf) for leaf in jax.tree.leaves(rest)]


def assert_same(a, b):
    for left, right in zip(a, b, strict=True):
        np.testing.assert_array_equal(left, right)


def run(engine, programs, tables, slots, n):
    return programs.decode(engine.model.params, slots, tables, jax.device_put(np.int32(n)))


PROMPTS = ["one", "prompt two", "3", "the fourth prompt"]


@pytest.mark.parametrize("back", [0, 1, 3])
def test_taking_back_and_saying_it_again_equals_never_having_taken_back(engine, back):
    """Greedy, a rewind of r tokens is followed by the same tokens: stale KV, states or a wrong length would show."""
    options = {"max_tokens": 24, "temperature": 0, "sum_bonus": 1.5, "chain": SMALL}
    (plain,) = engine.generate([Request(id="r", prompt="rewind me")], **options)
    (taken,) = engine.generate([Request(id="r", prompt="rewind me")], rewind_at=6, rewind_by=back, **options)
    np.testing.assert_array_equal(plain.tokens, taken.tokens)
    np.testing.assert_array_equal(plain.logprobs, taken.logprobs)
    assert (taken.ledger.discarded, plain.ledger.discarded) == (back + 1, 0)


def test_forced_text_goes_through_the_model(engine):
    """After forced text the model must continue as if that text had been in the prompt."""
    script = engine.script("forced!")
    options = {"temperature": 0, "chain": SMALL}
    (forced,) = engine.generate([Request(id="f", prompt="say: ")], max_tokens=20, forced_start=script, **options)
    (prompted,) = engine.generate([Request(id="f", prompt="say: forced!")], max_tokens=13, **options)
    assert forced.tokens[:7].tolist() == list(b"forced!")
    assert forced.forced.tolist() == [True] * 7 + [False] * 13
    assert not forced.logprobs[:7].any()
    np.testing.assert_array_equal(forced.tokens[7:], prompted.tokens)
    np.testing.assert_array_equal(forced.logprobs[7:], prompted.logprobs)


def test_a_stop_string_inside_forced_text_does_not_end_the_row(engine):
    script = engine.script("well. then.")
    options = {"max_tokens": 16, "temperature": 0, "chain": SMALL, "forced_start": script}
    (plain,) = engine.generate([Request(id="q", prompt="go")], **options)
    (watched,) = engine.generate([Request(id="q", prompt="go")], stop=["l. t"], **options)
    assert watched.text.startswith("well. then.")
    assert watched.tokens.tolist() == plain.tokens.tolist()
    assert watched.ledger.discarded == 0


def test_script_after_a_rewind_stands_where_the_tokens_stood(engine):
    options = {"max_tokens": 20, "temperature": 0, "chain": SMALL, "rewind_at": 5, "rewind_by": 2}
    (plain,) = engine.generate([Request(id="w", prompt="think")], max_tokens=20, temperature=0, chain=SMALL)
    (waited,) = engine.generate([Request(id="w", prompt="think")], rewind_script=engine.script("Wait"), **options)
    assert waited.tokens[:3].tolist() == plain.tokens[:3].tolist()
    assert waited.tokens[3:7].tolist() == list(b"Wait")
    assert (waited.ledger.forced, waited.ledger.discarded, waited.ledger.sampled) == (4, 3, 16)


def test_a_token_taken_back_is_drawn_anew():
    """In a bounded number of steps: drawn with the old uniform, the rejected token would come again for ever."""
    chain = Chain((temperature(),), (reject(1),))
    engine = Engine(hash_model(4, sharpness=0.0), max_slots=4)  # four ids, all alike
    programs, tables = engine.programs(64, chain), jax.device_put(engine._builder.build())
    admission = blank_admission(chain, 4, 64)
    admission.source[:], admission.identity[:, 0], admission.limit[:] = 0, range(4), 30
    room, admit = entrance(engine, chain, programs, [np.zeros(1, np.int32)])
    slots = admit(programs.empty(tables), room.cache, jax.device_put(admission), tables)
    slots, report = run(engine, programs, tables, slots, 200)
    assert np.asarray(report.done).all()
    assert (np.asarray(slots.discarded) > 0).all()
    assert min(len(set(row[1:30])) for row in slots.tokens.tolist()) == 3


def test_frequencies_after_a_rewind_are_those_of_rejection_sampling():
    """Keying by position would draw the rejected token's uniform again: an endless loop, or a skewed rest."""
    vocab = 8
    model = hash_model(vocab, sharpness=1.0, seed=3)
    chain = Chain((temperature(),), (reject(2),))
    requests = [Request(id=f"q{i}", tokens=[1, 2, 3], n=400) for i in range(10)]
    counts = np.zeros(vocab)
    for response in Engine(model, max_slots=64).generate(requests, max_tokens=1, chain=chain):
        counts[response.tokens[0]] += 1
    logits = np.asarray(model.logits(jnp.asarray([[1, 2, 3]]))[0, -1], np.float64)
    expected = np.exp(logits) * (np.arange(vocab) != 2)
    keep = expected > 0
    assert counts[2] == 0
    assert stats.chisquare(counts[keep], 4000 * expected[keep] / expected.sum()).pvalue > 1e-3


def test_looking_ahead_and_rolling_back_equals_never_having_looked(engine):
    programs, tables, slots = start(engine, SMALL, PROMPTS, temperature=0.8, sum_bonus=2.0)
    slots, _ = run(engine, programs, tables, slots, 5)
    saved = jax.tree.map(jnp.copy, slots)
    ahead, _ = run(engine, programs, tables, jax.tree.map(jnp.copy, slots), 9)
    looked, _ = run(engine, programs, tables, jax.tree.map(jnp.copy, rollback(ahead, saved)), 7)
    never, _ = run(engine, programs, tables, slots, 7)
    assert_same(small(looked), small(never))


def test_identity_gather_is_a_no_op_for_every_leaf(engine):
    programs, tables, slots = start(engine, SMALL, PROMPTS, temperature=0.8)
    slots, _ = run(engine, programs, tables, slots, 5)
    same = gather(slots, jnp.arange(4))
    assert_same(small(same) + jax.tree.leaves(same.cache), small(slots) + jax.tree.leaves(slots.cache))


def test_gather_moves_every_leaf(engine):
    """Sentinel: each leaf is filled with its row's number, so a leaf that gather forgets is found, also one added later."""
    _, _, slots = start(engine, SMALL, PROMPTS)
    marked = jax.tree.map(_mark, dataclasses.replace(slots, key=jax.random.key_data(slots.key)))
    moved = gather(marked, jnp.asarray([3, 3, 0, 1]))
    for leaf in jax.tree.leaves(moved):
        for row, parent in enumerate([3, 3, 0, 1]):
            np.testing.assert_array_equal(leaf[row], jnp.full_like(leaf[row], _value(parent, leaf.dtype)))


def _value(row, dtype):
    return row % 2 if dtype == jnp.bool_ else row + 1


def _mark(leaf):
    rows = jnp.asarray([_value(row, leaf.dtype) for row in range(leaf.shape[0])], leaf.dtype)
    return jnp.broadcast_to(rows.reshape(-1, *[1] * (leaf.ndim - 1)), leaf.shape)


def test_refill_resets_every_leaf_of_its_row_and_touches_no_other(engine):
    """Sentinel: a slot that held something else must look, after refill, as if it had been empty before."""
    programs, tables, clean = start(engine, SMALL, PROMPTS, temperature=0.8)
    marked = jax.tree.map(_mark, dataclasses.replace(clean, key=jax.random.key_data(clean.key)))
    used = dataclasses.replace(marked, key=jax.random.wrap_key_data(marked.key))
    admission = blank_admission(SMALL, programs.rows, programs.bucket)
    ids = engine.model.tokenizer.encode("newcomer")
    admission.source[2], admission.tokens[2, : len(ids)] = 0, ids
    admission.prompt_length[2], admission.limit[2], admission.identity[2] = len(ids), 40, 9
    room, admit = entrance(engine, SMALL, programs, [np.asarray(ids, np.int32)])
    before = [np.asarray(leaf) for leaf in jax.tree.leaves(dataclasses.replace(used, key=jax.random.key_data(used.key)))]
    into_used = admit(used, room.cache, jax.device_put(admission), tables)
    into_empty = admit(programs.empty(tables), room.cache, jax.device_put(admission), tables)
    after = jax.tree.leaves(dataclasses.replace(into_used, key=jax.random.key_data(into_used.key)))
    fresh = jax.tree.leaves(dataclasses.replace(into_empty, key=jax.random.key_data(into_empty.key)))
    for old, new, empty in zip(before, after, fresh, strict=True):
        np.testing.assert_array_equal(new[2], empty[2])
        for row in (0, 1, 3):
            np.testing.assert_array_equal(new[row], old[row])


def test_first_copy_of_a_fork_continues_as_its_parent_and_siblings_part(engine):
    programs, tables, slots = start(engine, SMALL, PROMPTS, temperature=1.0)
    slots, _ = run(engine, programs, tables, slots, 5)
    forked = fork(slots, jnp.asarray([1, 1, 1, 3]), jnp.asarray([0, 1, 2, 0]))
    forked, _ = run(engine, programs, tables, jax.tree.map(jnp.copy, forked), 12)
    plain, _ = run(engine, programs, tables, slots, 12)
    np.testing.assert_array_equal(forked.tokens[0], plain.tokens[1])
    np.testing.assert_array_equal(forked.tokens[3], plain.tokens[3])
    rows = {tuple(np.asarray(forked.tokens[row])) for row in range(3)}
    assert len(rows) == 3


def test_states_after_a_prefix_equal_the_fold_over_it(engine):
    """init(prefix) == fold(update, prefix), for transforms, controllers and the phase; here on the whole chain's ring."""
    programs, tables, slots = start(engine, SMALL, PROMPTS, temperature=0.7, sum_bonus=2.0)
    slots, _ = run(engine, programs, tables, slots, 11)
    folded = ring_read(slots.states, slots.length)
    fresh = ring_read(initial_states(SMALL, slots, tables), slots.length)
    assert_same([np.asarray(leaf) for leaf in jax.tree.leaves(folded)], [np.asarray(leaf) for leaf in jax.tree.leaves(fresh)])


def test_paused_rows_rest_until_resumed_and_then_go_on_as_if_never_paused(engine):
    chain = Chain((running_sum(), temperature()), (pause_every(5), rewind_once()))
    programs, tables, slots = start(engine, chain, PROMPTS, temperature=0.8)
    _, _, free = start(engine, SMALL, PROMPTS, temperature=0.8)
    for _ in range(3):
        slots, report = run(engine, programs, tables, slots, 50)
        assert np.asarray(report.pause).all() and not np.asarray(report.done).any()
        slots = resume(slots, jnp.ones(4, bool))
    free, _ = run(engine, engine.programs(64, SMALL), tables, free, 15)
    np.testing.assert_array_equal(slots.length, free.length)
    for row, length in enumerate(np.asarray(slots.length)):
        np.testing.assert_array_equal(slots.tokens[row, :length], free.tokens[row, :length])


def test_phase_follows_the_delimiters_through_straddling_tokens_and_rewinds():
    model = scripted_model(["so<think>hm</think>42"])
    engine = Engine(model, max_slots=4)
    knobs = {"thinking_start": engine.pattern("<think>"), "thinking_end": engine.pattern("</think>")}
    programs = engine.programs(64, SMALL)
    tables = jax.device_put(engine._builder.build())
    _, _, slots = start(engine, SMALL, [chr(0)], temperature=0.0, rewind_at=11, rewind_by=3, **knobs)
    seen = []
    for _ in range(25):
        phase = ring_read(slots.states, slots.length).phase
        seen.append((int(slots.length[0]) - 1, int(phase.phase[0]), int(phase.start[0])))
        slots, _ = run(engine, programs, tables, slots, 1)
    assert (8, phases.BEFORE, 0) in seen
    assert (9, phases.THINKING, 10) in seen
    assert seen.count((8, phases.BEFORE, 0)) == 2  # the rewind went back into the opening delimiter
    assert (18, phases.THINKING, 10) in seen
    assert (19, phases.ANSWER, 20) in seen


def test_prompt_that_ends_with_the_opening_delimiter_starts_in_thinking(engine):
    knobs = {"thinking_start": engine.pattern("<think>"), "thinking_end": engine.pattern("</think>")}
    _, _, slots = start(engine, SMALL, ["a<think>", "b<think></think>", "c", "<think"], **knobs)
    phase = ring_read(slots.states, slots.length).phase
    assert phase.phase.tolist() == [phases.THINKING, phases.ANSWER, phases.BEFORE, phases.BEFORE]


def test_decode_reads_nothing_from_the_host_and_donation_really_aliases(engine):
    programs, tables, slots = start(engine, SMALL, PROMPTS)
    steps = jax.device_put(np.int32(3))
    check_it_sees()
    with jax.transfer_guard("disallow"), no_host_read():
        slots, report = programs.decode(engine.model.params, slots, tables, steps)
    text = programs.decode.as_text()
    assert "callback" not in text and "outfeed" not in text and "infeed" not in text
    memory = programs.decode.memory_analysis()
    held = sum(leaf.nbytes for leaf in jax.tree.leaves(dataclasses.replace(slots, key=jax.random.key_data(slots.key))))
    assert memory.alias_size_in_bytes >= held
    again, _ = programs.decode(engine.model.params, slots, tables, steps)
    assert np.asarray(report.emitted).tolist() == [3, 3, 3, 3]  # the report outlives the donated slots
    assert int(again.length[0]) > int(report.length[0])


def test_tables_and_parameters_are_arguments_and_no_constants(engine):
    _, tables, slots = start(engine, SMALL, PROMPTS)
    decode = make_decode(engine.model.network, SMALL)
    jaxpr = jax.make_jaxpr(decode)(engine.model.params, slots, tables, jnp.int32(3))
    assert sum(getattr(constant, "nbytes", 0) for constant in jaxpr.consts) < 1_000_000


def test_context_hands_stages_the_last_written_token(engine):
    _, tables, slots = start(engine, SMALL, PROMPTS)
    context = context_of(slots, ring_read(slots.states, slots.length).phase, tables)
    assert context.token.tolist() == [ord(prompt[-1]) for prompt in PROMPTS]
