"""Stages on the logits: each against a numpy twin, all against the laws of a transform, and Hugging Face's golden values."""

import functools
import itertools
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from doubles.contexts import make_context, make_knobs
from scipy import stats

from reasoning.decode import base, penalties, sampling, transforms, truncation
from reasoning.decode.cyclic_reflection import cyclic_reflection, wave
from reasoning.decode.thought_switching import thought_switching
from reasoning.errors import InputError
from reasoning.text.patterns import Capacity, TableBuilder

INF = np.inf
GOLDEN = json.loads((pathlib.Path(__file__).parent / "golden" / "processors.json").read_text())


# ------------------------------------------------------------------------------------------------ numpy twins


def softmax(x):
    e = np.exp(x.astype(np.float64) - x.max())
    return e / e.sum()


def cut(x, score, mass, target):
    """x with −inf below the score at which the sorted masses first reach the target."""
    order = np.argsort(-score, kind="stable")
    reached = np.flatnonzero(np.cumsum(mass[order]) >= target)
    return np.where(score >= score[order[reached[0]]], x, -INF) if len(reached) else x


def twin_typical_p(x, written, prompt, typical_p):
    p = softmax(x)
    surprise = -np.log(np.where(p > 0, p, 1))
    score = np.where(p > 0, -np.abs(surprise - (p * surprise).sum()), -INF)
    return cut(x, score, p, typical_p)


def twin_repetition(x, written, prompt, repetition_penalty):
    seen = np.isin(np.arange(len(x)), written)
    return np.where(seen, np.where(x < 0, x * repetition_penalty, x / repetition_penalty), x)


def twin_greedy(x, written, prompt, temperature):
    return x / temperature if temperature else np.where(np.arange(len(x)) == x.argmax(), x, -INF)


def twin_bias(x, written, prompt, bias_ids, bias_values):
    return x + np.bincount(bias_ids, bias_values, len(x))


def counts(x, written, prompt):
    return np.bincount(written[prompt:], minlength=len(x))


def twin_switching(x, written, prompt, switch_penalty, switch_window, switch_set=0, switch_phrases=(), temperature=1, **modes):
    """In the whole response, with the text that `TEXTS` stands for; `modes` are the three that may not be named."""
    text = bytes(written[prompt:].tolist())
    ends = [i + 1 for i, token in enumerate(text) if switch_set and SETS[switch_set][token]]
    ends += [i for row in switch_phrases for i in range(len(text) + 1) if text[:i].endswith(TEXTS[row - 1])]
    begun = {TEXTS[row - 1][-1] for row in switch_phrases if text.endswith(TEXTS[row - 1][:-1])}
    began = max(ends, default=0) if modes.get("switch_reset", 1) else 0
    on = len(text) - began < switch_window and (ends or modes.get("switch_from_start", 1))
    words = np.isin(np.arange(len(x)), list(begun)) | (switch_set > 0) & SETS[switch_set]
    return np.where(words & bool(on), x - switch_penalty * (temperature if modes.get("switch_after_temperature") else 1), x)


def twin_wave(x, written, prompt, reflection_amplitude, reflection_period, reflection_set, **modes):
    along = (len(written) - prompt) % reflection_period / reflection_period
    offset = reflection_amplitude * np.interp(along, [0, 0.25, 0.75, 1], [0, 1, -1, 0])
    return np.where(SETS[reflection_set], x + np.float32(offset), x)


SETS = np.random.default_rng(9).random((3, 200)) < 0.5
SETS[2, [3, 8, 199]] = False  # written below
TEXTS = [bytes([3, 3]), bytes([8, 3, 199, 5]), bytes([3, 199, 7])]  # phrases; the text of token i is byte i
EVERYWHERE = {"switch_everywhere": 1, "switch_penalty": 3.0}

# name → (stage, settings of one row each, twin(x, written, prompt length, **settings))
CASES = {
    "temperature": (
        transforms.temperature(),
        [{"temperature": 0.7}, {"temperature": 0}, {"temperature": 2.5}],
        twin_greedy,
    ),
    "top_k": (
        truncation.top_k(),
        [{"top_k": 1}, {"top_k": 20}, {"top_k": 150}, {"top_k": 999}],
        lambda x, written, prompt, top_k: cut(x, x, np.ones(len(x)), top_k),
    ),
    "top_p": (
        truncation.top_p(),
        [{"top_p": 1e-6}, {"top_p": 0.5}, {"top_p": 0.9}, {"top_p": 0.999}],
        lambda x, written, prompt, top_p: cut(x, x, softmax(x), top_p),
    ),
    "typical_p": (
        truncation.typical_p(),
        [{"typical_p": 1e-6}, {"typical_p": 0.2}, {"typical_p": 0.6}, {"typical_p": 0.99}],
        twin_typical_p,
    ),
    "min_p": (
        truncation.min_p(),
        [{"min_p": 0.01}, {"min_p": 0.2}, {"min_p": 1.0}],
        lambda x, written, prompt, min_p: np.where(softmax(x) >= min_p * softmax(x).max(), x, -INF),
    ),
    "repetition_penalty": (
        penalties.repetition_penalty(),
        [{"repetition_penalty": 1.3}, {"repetition_penalty": 0.8}],
        twin_repetition,
    ),
    "frequency_penalty": (
        penalties.frequency_penalty(),
        [{"frequency_penalty": 0.3}, {"frequency_penalty": -2.0}],
        lambda x, written, prompt, frequency_penalty: x - frequency_penalty * counts(x, written, prompt),
    ),
    "presence_penalty": (
        penalties.presence_penalty(),
        [{"presence_penalty": 0.3}, {"presence_penalty": -2.0}],
        lambda x, written, prompt, presence_penalty: x - presence_penalty * (counts(x, written, prompt) > 0),
    ),
    "logit_bias": (
        transforms.logit_bias(4),
        [{"bias_ids": [3, 7, 3], "bias_values": [1.5, -2.0, 1.0]}, {"bias_ids": [199], "bias_values": [-50.0]}],
        twin_bias,
    ),
    "forbidden_ids": (
        transforms.forbidden_ids(4),
        [{"forbidden_ids": [0, 199]}, {"forbidden_ids": [5, 6, 7, 8]}],
        lambda x, written, prompt, forbidden_ids: np.where(np.isin(np.arange(len(x)), forbidden_ids), -INF, x),
    ),
    "allowed_set": (
        transforms.allowed_set(),
        [{"allowed_set": 1}, {"allowed_set": 2}],
        lambda x, written, prompt, allowed_set: np.where(SETS[allowed_set], x, -INF),
    ),
    "min_new_tokens": (
        transforms.min_new_tokens(),
        [{"min_new_tokens": 6, "stop_ids": [2, 9]}, {"min_new_tokens": 5, "stop_ids": [2, 9]}],
        lambda x, written, prompt, min_new_tokens, stop_ids: np.where(
            np.isin(np.arange(len(x)), stop_ids) & (len(written) - prompt < min_new_tokens), -INF, x
        ),
    ),
    "thought_switching": (
        thought_switching(),
        [
            EVERYWHERE | {"switch_window": 6, "switch_set": 2},
            EVERYWHERE | {"switch_window": 5, "switch_set": 2},
            EVERYWHERE | {"switch_window": 5, "switch_set": 1, "switch_after_temperature": 1, "temperature": 0.5},
            EVERYWHERE | {"switch_window": 4, "switch_phrases": [1, 2]},
            EVERYWHERE | {"switch_window": 6, "switch_phrases": [1, 2, 3], "switch_reset": 0, "switch_set": 2},
            EVERYWHERE | {"switch_window": 9, "switch_phrases": [3], "switch_from_start": 0, "switch_set": 2},
        ],
        twin_switching,
    ),
    "cyclic_reflection": (
        cyclic_reflection(),
        [
            {"reflection_everywhere": 1, "reflection_amplitude": 4.0, "reflection_period": period, "reflection_set": 1}
            for period in (1024, 32, 16, 8, 4)  # the wave is exact at these, whether or not XLA fuses product and sum
        ],
        twin_wave,
    ),
}
ALL = pytest.mark.parametrize("name", [*CASES, "standard"])
WRITTEN = [4, 9, 2, 3, 3, 8, 3, 199]  # three of them the prompt
PROMPT = 3


BATCH = 24  # all batches are filled up to it, so that a stage compiles once
STAGES = {name: stage for name, (stage, _, _) in CASES.items()} | {"standard": base.chain(*transforms.standard())}


def settings_of(name):
    """One mapping a row; for the whole chain, two of each stage, capacities permitting."""
    if name == "standard":
        return [setting for stage in CASES for setting in CASES[stage][1][:2]][: BATCH - 1]
    return CASES[name][1]


def logits_of(batch, seed=0, spread=3.0):
    """float32[batch, 200] with a few impossible tokens, and exact zeros of both signs."""
    rng = np.random.default_rng(seed)
    x = (rng.normal(size=(batch, 200)) * spread).astype(np.float32)
    x[:, 17], x[:, 18], x[:, [40, 60]] = 0.0, -0.0, -INF
    return x


@functools.cache
def jitted(name):
    return jax.jit(STAGES[name].update)


def contexts(written, prompt, size, filler=5):
    """Contexts of one shape for all tests; the vocabulary sets fit logits of `size` tokens."""
    sets = SETS if size == SETS.shape[1] else np.ones((1, size), bool)
    return make_context(written, prompt, size=12, sets=sets, filler=filler, patterns=pattern_tables())


@functools.cache
def pattern_tables():
    builder = TableBuilder([bytes([i]) for i in range(200)], capacity=Capacity(patterns=3, pattern_bytes=4, classes=6, scripts=1))
    assert [builder.pattern(text) for text in TEXTS] == [1, 2, 3]
    return jax.tree.map(jnp.asarray, builder.build().patterns)


def apply(name, logits, rows, written=(WRITTEN,), prompt=PROMPT, filler=5, jit=True, batch=BATCH):
    """The stage's logits for one setting a row; `written` and `prompt` are of every row, or of each."""
    spare = batch - len(rows)
    written = [*(written if len(written) == len(rows) else list(written) * len(rows)), *[[0]] * spare]
    prompt = np.append(np.broadcast_to(prompt, len(rows)), [1] * spare)
    context = contexts(written, prompt, logits.shape[1], filler)
    knobs = make_knobs(STAGES[name], [*rows, *[{}] * spare])
    padded = np.concatenate([logits, np.zeros((spare, logits.shape[1]), np.float32)])
    update = jitted(name) if jit else STAGES[name].update
    edited, _ = update(jnp.asarray(padded), STAGES[name].init(knobs, context), knobs, context)
    return np.asarray(edited)[: len(rows)]


def same_bits(a, b):
    return np.array_equal(np.asarray(a).view(np.int32), np.asarray(b).view(np.int32))


# ------------------------------------------------------------------------------------------------ what each stage does


@pytest.mark.parametrize("name", CASES)
def test_stage_agrees_with_its_numpy_twin(name):
    _, rows, twin = CASES[name]
    logits = logits_of(len(rows))
    want = np.stack([twin(x, np.array(WRITTEN), PROMPT, **row) for x, row in zip(logits, rows, strict=True)])
    got = apply(name, logits, rows)
    assert np.array_equal(got == -INF, want == -INF)
    assert np.allclose(got, want, rtol=1e-6)
    assert (got > -INF).any(-1).all()


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: "-".join(case["knobs"]))
def test_stage_agrees_with_hugging_face(case):
    logits = np.array(GOLDEN["logits"], np.float32)
    got = apply("standard", logits, [case["knobs"]] * len(logits), GOLDEN["written"], GOLDEN["prompt"])
    want = np.array([[-INF if x is None else x for x in row] for row in case["scores"]])
    assert np.array_equal(got == -INF, want == -INF)
    assert np.allclose(got, want, atol=1e-5)


def test_the_golden_file_covers_every_stage_with_a_counterpart():
    covered = {name for case in GOLDEN["cases"] for name in case["knobs"]}
    known = {name for stage in transforms.standard() for name in stage.knobs}
    assert known - covered == {"frequency_penalty", "presence_penalty", "allowed_set"}


# ------------------------------------------------------------------------------------------------ laws of every stage


@ALL
def test_neutral_rows_keep_every_bit_even_beside_rows_that_do_not(name):
    rows = settings_of(name)
    logits = logits_of(len(rows) + 1)
    assert same_bits(apply(name, logits, [{}, *rows])[0], logits[0])
    assert same_bits(apply(name, logits[:1], [{}]), logits[:1])


@ALL
def test_a_neighbour_changes_no_bit(name):
    rows = settings_of(name)
    logits = logits_of(len(rows) + 1)
    want = apply(name, logits, [rows[0], *rows])
    order = np.random.default_rng(1).permutation(len(rows)) + 1
    got = apply(name, logits[[0, *order]], [rows[0], *[rows[i - 1] for i in order]])
    assert same_bits(got, want[[0, *order]])
    alone = apply(name, logits, [rows[0]] + [{}] * len(rows))
    assert same_bits(alone[0], want[0])


@ALL
def test_state_from_a_prefix_is_the_state_after_its_tokens(name):
    stage, logits = STAGES[name], jnp.asarray(logits_of(BATCH))
    rows = settings_of(name)
    knobs = make_knobs(stage, [*rows, *[{}] * (BATCH - len(rows))])
    prefixes = [contexts([WRITTEN[:length]] * BATCH, PROMPT, 200) for length in range(PROMPT, len(WRITTEN) + 1)]
    state = stage.init(knobs, prefixes[0])
    for prefix, longer in itertools.pairwise(prefixes):
        _, state = jitted(name)(logits, state, knobs, prefix)
        fresh = stage.init(knobs, longer)
        assert jax.tree.structure(state) == jax.tree.structure(fresh)
        assert all(same_bits(a, b) for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(fresh), strict=True))


@ALL
def test_what_lies_beyond_the_length_is_never_read(name):
    rows = settings_of(name)
    logits = logits_of(len(rows))
    assert same_bits(apply(name, logits, rows, filler=0), apply(name, logits, rows, filler=33))


@ALL
@pytest.mark.slow
def test_jit_and_eager_agree(name):
    rows = settings_of(name)
    logits = logits_of(len(rows))
    compiled, eager = (apply(name, logits, rows, jit=jit) for jit in (True, False))
    assert np.array_equal(compiled == -INF, eager == -INF)
    assert np.allclose(compiled, eager, rtol=1e-6)


@ALL
def test_a_chain_of_one_stage_is_the_stage(name):
    stage, rows = base.chain(STAGES[name]), settings_of(name)
    rows, logits = [*rows, *[{}] * (BATCH - len(rows))], logits_of(BATCH)
    knobs, context = make_knobs(stage, rows), contexts([WRITTEN] * BATCH, PROMPT, 200)
    chained, _ = jax.jit(stage.update)(logits, stage.init(knobs, context), knobs, context)
    assert same_bits(chained, apply(name, logits, rows))


@ALL
def test_changing_a_knob_compiles_nothing(name):
    rows = settings_of(name)
    apply(name, logits_of(len(rows)), rows)
    compiled = jitted(name)._cache_size()
    for settings in (rows[::-1], [{}] * len(rows)):
        apply(name, logits_of(len(rows)), settings)
    assert jitted(name)._cache_size() == compiled


# ------------------------------------------------------------------------------------------------ edges


@pytest.mark.parametrize("period", [1, 2, 3, 7, 900, 1200, 100_000_000])
def test_wave_has_another_shape_or_overflows(period):
    along = np.unique(np.linspace(0, period - 1, 999).astype(np.int32))
    want = np.interp(along / period, [0, 0.25, 0.75, 1], [0, 1, -1, 0])
    assert np.allclose(wave(jnp.asarray(along), jnp.int32(period)), want, atol=1e-6)


def test_stop_ids_alone_do_not_run_the_minimum_length_stage():
    stage = transforms.min_new_tokens()
    assert not base.active(stage, make_knobs(stage, [{"stop_ids": [1]}]))
    assert base.active(stage, make_knobs(stage, [{}, {"min_new_tokens": 1}]))
    nested = base.chain(base.chain(stage, transforms.temperature()))
    assert not base.active(nested, make_knobs(nested, [{"stop_ids": [1]}]))
    assert base.active(nested, make_knobs(nested, [{"temperature": 0.5}]))


def test_a_stage_without_knobs_always_runs_inside_a_chain():
    plus_one = base.stateless({}, lambda logits, knobs, context: logits + 1)
    stage = base.chain(base.chain(plus_one, transforms.temperature()))
    knobs, context = make_knobs(stage, [{}]), make_context([[0]])
    assert stage.update(jnp.zeros((1, 5)), stage.init(knobs, context), knobs, context)[0].tolist() == [[1] * 5]


def test_greedy_ties_go_to_the_lowest_id_and_survive_every_later_stage():
    logits = np.zeros((4, 200), np.float32)
    logits[:, [50, 120]] = 2.0
    later = {"top_k": 3, "top_p": 0.1, "min_p": 0.5, "typical_p": 0.1}
    rows = [{"temperature": 0}, {"temperature": 0, **later}, {"temperature": 1e-6}, {"temperature": 1e-4, "top_k": 1}]
    edited = apply("standard", logits, rows)
    assert [np.flatnonzero(row > -INF).tolist() for row in edited] == [[50], [50], [50], [50, 120]]
    assert (np.asarray(sampling.sample(jnp.asarray(edited[:3]), jnp.asarray([0.0, 0.5, 0.999999]))) == 50).all()


def test_tokens_tied_at_the_threshold_stay_together():
    logits = np.full((3, 24), -INF, np.float32)
    logits[:, :5] = np.log([0.4, 0.2, 0.2, 0.15, 0.05])
    edited = apply("standard", logits, [{"top_k": 2}, {"top_p": 0.5}, {"top_p": 0.39}])
    assert [np.flatnonzero(row > -INF).tolist() for row in edited] == [[0, 1, 2], [0, 1, 2], [0]]


def test_penalties_count_generated_tokens_and_not_the_prompt():
    text, prompt, logits = [[1, 1, 2, 3, 3]], [2, 5], np.ones((2, 6), np.float32)
    frequency = apply("frequency_penalty", logits, [{"frequency_penalty": 0.5}] * 2, text, prompt)
    presence = apply("presence_penalty", logits, [{"presence_penalty": 0.5}] * 2, text, prompt)
    repetition = apply("repetition_penalty", logits, [{"repetition_penalty": 2.0}] * 2, text, prompt)
    assert frequency.tolist() == [[1, 1, 0.5, 0, 1, 1], [1] * 6]
    assert presence.tolist() == [[1, 1, 0.5, 0.5, 1, 1], [1] * 6]
    assert repetition.tolist() == [[1, 0.5, 0.5, 0.5, 1, 1]] * 2


def test_ids_outside_the_vocabulary_change_no_other_token():
    logits = logits_of(3)
    text = [[*WRITTEN, 250]]
    rows = [
        {"bias_ids": [250, -1], "bias_values": [9.0, 9.0]},
        {"forbidden_ids": [200]},
        {"min_new_tokens": 99, "stop_ids": [201]},
    ]
    assert same_bits(apply("standard", logits, rows, text), logits)
    rows = [{"repetition_penalty": 1.2}, {"frequency_penalty": 1.0}, {"presence_penalty": 1.0}]
    edited = apply("standard", logits, rows, text)
    assert set(np.flatnonzero((edited != logits).any(0))) <= set(WRITTEN)


@pytest.mark.parametrize(
    ("name", "value"),
    [("top_p", 0), ("top_p", 1.1), ("typical_p", 0), ("min_p", -0.1), ("temperature", -1), ("temperature", INF), ("top_k", -1)]
    + [("top_k", 2.5), ("repetition_penalty", 0), ("bias_values", [INF]), ("min_new_tokens", -1), ("top_p", float("nan"))],
)
def test_values_that_would_empty_or_overflow_a_row_are_refused(name, value):
    knobs = base.merge_knobs(transforms.standard())
    with pytest.raises(InputError, match=name):
        knobs[name].fill(name, value)


# ------------------------------------------------------------------------------------------------ beyond the candidates


def large(batch, seed=0):
    """Rows whose top-p sets are larger than the candidates, except row 0; V is not a multiple of a block."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(batch, 20_011)).astype(np.float32)
    x[0] *= 9
    x[1, :5000] = -INF
    x[-1] = np.round(x[-1], 1)  # many ties
    return x


def test_threshold_is_exact_beyond_the_candidates():
    logits = large(4)
    for name, setting in (("top_k", 3000), ("top_p", 0.9), ("typical_p", 0.7)):
        twin = CASES[name][2]
        want = np.stack([twin(x, None, None, **{name: setting}) for x in logits])
        got = apply("standard", logits, [{name: setting}] * 4, batch=4)
        different = ((got > -INF) != (want > -INF)).sum(-1)
        assert (different <= (0 if name == "top_k" else [1, 1, 1, 200])).all()  # a token (or a tie) at the rounding of the sum
        assert ((got > -INF).sum(-1)[1:] > truncation.CANDIDATES).all()


def test_a_row_that_needs_bisection_changes_no_bit_of_its_neighbours():
    logits = large(4)
    rows = [{"top_p": 0.9}, {"top_p": 0.8, "top_k": 900}, {}, {"typical_p": 0.5}]
    mixed = apply("standard", logits, rows, batch=4)
    quiet = apply("standard", logits, [{"top_p": 0.9}, {}, {}, {}], batch=4)
    assert same_bits(mixed[[0, 2]], quiet[[0, 2]])
    assert same_bits(mixed[2], logits[2])
    order = [3, 1, 0, 2]
    swapped = apply("standard", logits[order], [rows[i] for i in order], batch=4)
    assert same_bits(swapped, mixed[order])


def test_bisection_finds_thresholds_of_either_sign_and_zero():
    values = np.float32([3e38, 0.75, np.nextafter(np.float32(0.75), 0, dtype=np.float32), 1e-30, 0.0, -0.0, -2.5, -3e38])
    order = truncation._order(jnp.asarray(values))
    assert (np.diff(np.asarray(order)) < 0).all()
    assert np.array_equal(truncation._float(order), values)
    rows = np.tile(np.append(values, [-INF] * 100), (8, 1))
    target, wanted = jnp.arange(1, 9, dtype=jnp.float32), jnp.ones(8, bool)
    found = truncation._bisect(jnp.asarray(rows), target, lambda x: x, jnp.ones_like, jnp.full(8, 3.3e38), wanted)
    assert (rows >= np.asarray(found)[:, None]).sum(-1).tolist() == [1, 2, 3, 4, 6, 6, 7, 8]


def test_frequencies_after_a_mix_of_truncations_are_those_of_the_truncated_softmax():
    rng = np.random.default_rng(5)
    logits = np.tile(rng.normal(size=200).astype(np.float32) * 0.8, (5, 1))
    rows = [{"top_p": 0.8}, {"top_k": 30}, {"min_p": 0.2}, {"typical_p": 0.7}]
    rows += [{"temperature": 0.8, "top_k": 60, "top_p": 0.9, "min_p": 0.05}]
    edited = apply("standard", logits, rows)
    sample = jax.jit(sampling.sample)
    keys = jnp.broadcast_to(jax.random.key(11), (20_000,))
    for index, row in enumerate(rows):
        x = logits[index] / row.get("temperature", 1.0)
        for name in ("top_k", "top_p", "min_p", "typical_p"):
            x = CASES[name][2](x, None, None, **{name: row[name]}) if name in row else x
        u = sampling.uniform(keys, index * 20_000 + jnp.arange(20_000))
        drawn = np.bincount(np.asarray(sample(jnp.tile(edited[index], (20_000, 1)), u)), minlength=200)
        assert drawn[x == -INF].sum() == 0
        assert stats.chisquare(drawn[x > -INF], 20_000 * softmax(x)[x > -INF]).pvalue > 1e-3
