"""The thought-switching penalty: against a reference on token ids, in the loop, and from words to ids."""

import functools
from types import SimpleNamespace

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from doubles.contexts import make_context, make_knobs
from doubles.models import scripted_model
from doubles.stages import rewind_once
from doubles.tokenizer import ByteTokenizer

from reasoning.decode import controllers, phases
from reasoning.decode.admission import all_knobs
from reasoning.decode.base import Chain, chain
from reasoning.decode.engine import Engine
from reasoning.decode.programs import blank_admission
from reasoning.decode.requests import Request, fill_knobs
from reasoning.decode.slots import ring_read
from reasoning.decode.thought_switching import thought_switching
from reasoning.decode.transforms import temperature
from reasoning.decode.waiting import Room
from reasoning.errors import InputError
from reasoning.methods.base import method
from reasoning.text.patterns import Capacity, TableBuilder
from reasoning.text.tokenizer import Tokenizer
from reasoning.text.words import spellings, split_forms
from reasoning.weights import catalogue
from reasoning.weights.gguf import GgufFile

# ------------------------------------------------------------------------------------------------ against a reference

# Few letters, so that switches and halves of phrases are everywhere; "" is a stop id, which breaks a phrase.
VOCABULARY = [b"a", b"b", b"c", b" ", b"ab", b"bc", b"ca", b"abc", b"cab", b"cb a", b"caab", b""]
SETS = [set(), {3}, {0, 7}, set(range(12))]
PHRASES = ["abca", "b c", "cbb", "aa"]
STAGE = thought_switching()
SCALED = chain(STAGE, temperature())
BATCH, SIZE = 6, 16


def tables():
    builder = TableBuilder(VOCABULARY, capacity=Capacity(4, 4, 24, 1, 1, 4, 64, 4))
    assert [builder.pattern(phrase) for phrase in PHRASES] == [1, 2, 3, 4]
    sets = np.ones((len(SETS), len(VOCABULARY)), bool)  # row 0 is all True, as in the engine's tables
    for row, ids in list(enumerate(SETS))[1:]:
        sets[row] = [token in ids for token in range(len(VOCABULARY))]
    return jax.tree.map(jnp.asarray, builder.build().patterns), sets


def penalised(generated, phase, start, knobs):
    """{ids} whose logits are lowered after `generated` (no prompt; `start` is where the phase began), in plain Python."""
    phrases = [PHRASES[row - 1].encode() for row in knobs["switch_phrases"] if row]
    text, switched = b"", 0
    for index, token in enumerate(generated):
        text = text + VOCABULARY[token] if VOCABULARY[token] else b""
        ended = any(phrase in text for phrase in phrases)
        if ended:
            text = b""
        if ended or token in SETS[knobs["switch_set"]]:
            switched = index + 1
    start = 0 if knobs["switch_everywhere"] else start
    thinking = knobs["switch_everywhere"] or phase == phases.THINKING
    if not thinking or (not knobs["switch_from_start"] and switched <= start):
        return set()
    began = max(start, switched) if knobs["switch_reset"] else start
    if len(generated) - began >= knobs["switch_window"]:
        return set()
    ids = set(SETS[knobs["switch_set"]])
    for phrase in phrases:
        held = next((k for k in range(len(phrase) - 1, 0, -1) if text.endswith(phrase[:k])), 0)
        ids |= {token for token, more in enumerate(VOCABULARY) if held and phrase in phrase[:held] + more}
    return ids


rows = st.fixed_dictionaries({
    "generated": st.lists(st.integers(0, 11), max_size=12),
    "prompt": st.integers(1, 3),
    "phase": st.sampled_from([phases.BEFORE, phases.THINKING, phases.THINKING, phases.ANSWER]),
    "start": st.integers(0, 12),
    "knobs": st.fixed_dictionaries({
        "switch_penalty": st.sampled_from([0.0, 3.0, -2.0]),
        "switch_window": st.sampled_from([0, 1, 2, 3, 5, 100]),
        "switch_set": st.integers(0, 3),
        "switch_phrases": st.lists(st.integers(0, 4), max_size=4),
        "switch_reset": st.integers(0, 1),
        "switch_from_start": st.integers(0, 1),
        "switch_everywhere": st.sampled_from([0, 0, 1]),
        "switch_after_temperature": st.integers(0, 1),
        "temperature": st.sampled_from([0.0, 0.5, 1.0]),
    }),
})  # fmt: skip


@pytest.fixture(scope="module")
def compiled():
    return (*tables(), jax.jit(STAGE.init), jax.jit(STAGE.update))


@hypothesis.settings(max_examples=25, deadline=None)
@hypothesis.given(st.lists(rows, min_size=BATCH, max_size=BATCH), st.randoms(use_true_random=False))
def test_a_row_is_penalised_for_another_window_or_for_its_neighbour(compiled, batch, random):
    patterns, sets, init, update = compiled
    knobs = make_knobs(STAGE, [row["knobs"] for row in batch])
    logits = np.array([[random.uniform(-4, 4) for _ in VOCABULARY] for _ in batch], np.float32)
    logits[:, 0], logits[:, 4] = -0.0, -np.inf

    def context(count):
        """After `count` tokens, or all that the row has; the prompt is full of switches, which are not the row's."""
        written = [[7, 3, 0][-row["prompt"] :] + row["generated"][:count] for row in batch]
        begun = [row["prompt"] + min(row["start"], len(row["generated"])) for row in batch]
        phase = [row["phase"] for row in batch]
        fields = {"phase": jnp.asarray(phase, jnp.int32), "phase_start": jnp.asarray(begun, jnp.int32)}
        return make_context(written, [row["prompt"] for row in batch], SIZE, sets, 7, patterns, **fields)

    state = init(knobs, context(0))
    for count in range(13):
        fresh = init(knobs, context(count))
        live = np.array([len(row["generated"]) >= count for row in batch])
        for folded, whole in zip(jax.tree.leaves(state), jax.tree.leaves(fresh), strict=True):
            np.testing.assert_array_equal(np.asarray(folded)[live], np.asarray(whole)[live])
        edited, state = update(logits, fresh, knobs, context(count))

    edited, _ = update(logits, init(knobs, context(12)), knobs, context(12))
    for row, before, after in zip(batch, logits, np.asarray(edited), strict=True):
        full = dict.fromkeys(STAGE.knobs, 0) | row["knobs"]
        start = min(row["start"], len(row["generated"]))
        lowered = penalised(row["generated"], row["phase"], start, full)
        heat = full["temperature"] or 1.0
        offset = np.float32(full["switch_penalty"] * (heat if full["switch_after_temperature"] else 1.0))
        want = np.where(np.isin(np.arange(len(before)), list(lowered)) & (offset != 0), before - offset, before)
        np.testing.assert_array_equal(want.view(np.int32), after.view(np.int32))


# ------------------------------------------------------------------------------------------------ in the loop

CONTROLLED = Chain((thought_switching(), temperature()), (*controllers.standard()[:2], rewind_once(8)))
TOKENIZER = ByteTokenizer(["Wait", " Wait", "second", " thought", "On", " the", "On second thought!"])
OUTSIDE = "Wait<think> Wait.. Wait... WaitWait</think> Wait"
INSIDE = "<think>abc Wait Waitd Waitef Wait</think>"
PHRASE = "<think>On the way. On second thought no thought On second thought!"
BACK = "<think>Wait abWait, cdWaitef Wait"
TEXTS = [OUTSIDE, INSIDE, PHRASE, BACK]


@pytest.fixture(scope="module")
def engine():
    """Recites one of TEXTS, chosen by the one prompt token."""
    return Engine(scripted_model(TEXTS, TOKENIZER.size, tokenizer=TOKENIZER), max_slots=4)


def knobs_of(engine, **knobs):
    """The knobs of the words, so strong that any other token is likelier than one of theirs: token 0 then."""
    ids, phrases = spellings(TOKENIZER.token_bytes(TOKENIZER.size), ["wait", "On second thought"])
    return {
        "switch_penalty": 100.0,
        "switch_set": engine.allowed_set(ids),
        "switch_phrases": [engine.pattern(phrase) for phrase in phrases],
        "thinking_start": engine.pattern("<think>"),
        "thinking_end": engine.pattern("</think>"),
        "temperature": 0.0,
        **knobs,
    }


def recite(engine, text, *settings):
    """What is said for `text` under each of the settings, side by side in one batch."""
    requests = [
        Request(id=f"{row}", tokens=[TEXTS.index(text)], knobs=knobs_of(engine, **setting))
        for row, setting in enumerate(settings)
    ]
    said = engine.generate(requests, max_tokens=40, chain=CONTROLLED)
    return [response.text.replace("\0", "_") for response in sorted(said, key=lambda response: response.id)]


def test_penalty_leaves_the_thinking_phase_or_misses_its_window(engine):
    once = [{"switch_window": window, "switch_reset": 0} for window in (0, 7, 8, 100)]
    assert recite(engine, OUTSIDE, *once) == [
        OUTSIDE,
        "Wait<think>_.._... WaitWait</think> Wait",
        "Wait<think>_.._..._Wait</think> Wait",
        "Wait<think>_.._...__</think> Wait",
    ]


def test_window_does_not_follow_the_latest_switch(engine):
    late = {"switch_window": 7, "switch_reset": 0, "switch_from_start": 0}
    assert recite(engine, INSIDE, {"switch_window": 2}, {"switch_window": 2, "switch_reset": 0}, late) == [
        "<think>abc Wait_d_ef Wait</think>".replace("d_", "d Wait"),
        INSIDE,
        "<think>abc Wait_d_ef Wait</think>",
    ]


def test_first_token_of_a_phrase_is_penalised_or_its_end_is_not(engine):
    assert recite(engine, PHRASE, {"switch_window": 50}, {"switch_window": 5}) == [
        "<think>On the way. On second_ no thought On second thought!",
        PHRASE,
    ]


def test_switch_that_is_taken_back_still_begins_a_thought(engine):
    """The switch is un-emitted and said again: by then it must be as if it had never been said."""
    # Ids after "<think>", with their window from 0: Wait 0, space 1, a 2, b 3, Wait 4, comma 5, space 6, c 7, d 8, Wait 9.
    once = {"switch_window": 3, "switch_from_start": 0}
    plain = recite(engine, BACK, once)
    taken = recite(engine, BACK, *({"rewind_at": 7 + at, "rewind_by": by} | once for at, by in ((4, 0), (5, 1), (6, 2), (11, 7))))
    assert plain == [BACK.replace("f Wait", "f_")] and taken == plain * 4


def test_a_stop_string_that_takes_a_switch_back_leaves_its_thought_begun(engine):
    programs = engine.programs(64, CONTROLLED)
    states = {}
    for stop in ("", ", cd", "bWait, c"):
        knobs = knobs_of(engine, switch_window=3, switch_from_start=0)
        knobs |= {"stop_patterns": [engine.pattern(stop)]} if stop else {}
        slots = run_alone(engine, programs, TEXTS.index(BACK), knobs)
        tokens = np.asarray(slots.tokens[0])[: int(slots.length[0])].tolist()
        assert TOKENIZER.decode(tokens[1:]).endswith({"": "f\0<stop>", ", cd": "abWait", "bWait, c": "Wait a"}[stop])
        states[stop] = int(ring_read(slots.states, slots.length).transforms[0].switched[0])
    # The state of a length has not yet seen its last token: of "…Wait" only the first switch, at length 9, with the prompt.
    assert states == {"": 18, ", cd": 9, "bWait, c": 9}


def run_alone(engine, programs, prompt, knobs):
    """The slots after one row, of the one-token prompt `prompt`, has run to its end."""
    loop_tables = jax.device_put(engine._builder.build())
    admission = blank_admission(CONTROLLED, programs.rows, programs.bucket)
    compiled, admit = engine.entrance(CONTROLLED, programs, 1)
    room = Room(compiled, engine.model.params)
    room.fill([np.array([prompt], np.int32)])
    admission.source[0], admission.prompt_length[0], admission.limit[0], admission.tokens[0, 0] = 0, 1, 40, prompt
    stop = {"stop_ids": TOKENIZER.stop_ids}
    for name, value in fill_knobs(all_knobs(CONTROLLED), knobs | stop, engine._builder.counts, "").items():
        admission.knobs[name][0] = value
    slots = admit(programs.empty(loop_tables), room.cache, jax.device_put(admission), loop_tables)
    return programs.decode(engine.model.params, slots, loop_tables, jax.device_put(np.int32(60)))[0]


def test_another_penalty_window_or_word_compiles_a_program(engine):
    recite(engine, INSIDE, {"switch_window": 2})
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *_, **__: compiled.append(event) if "backend_compile" in event else None
    )
    words = {"switch_set": engine.allowed_set(TOKENIZER.encode("Wait")), "switch_phrases": [engine.pattern("a new phrase")]}
    recite(engine, INSIDE, {"switch_window": 9, "switch_penalty": -3.5}, words | {"switch_window": 1})
    assert compiled == []


def test_penalty_of_a_sampled_row_is_not_that_of_the_equation_or_not_what_is_left_after_the_temperature():
    """logits 0: α before T = 1/2 leaves e^(−2α) of a token's share, α after it e^(−α), and a greedy row takes it as it is."""
    knobs = [{"temperature": heat, "switch_after_temperature": after} for heat, after in ((0.5, 0), (0.5, 1), (0, 1), (2.0, 1))]
    knobs = make_knobs(
        SCALED, [{"switch_penalty": 1.5, "switch_window": 9, "switch_set": 1, "switch_everywhere": 1} | k for k in knobs]
    )
    patterns, sets = tables()
    context = make_context([[0]] * 4, 1, SIZE, sets, 7, patterns)
    edited, _ = SCALED.update(jnp.zeros((4, len(VOCABULARY))), SCALED.init(knobs, context), knobs, context)
    assert edited[:, 3].tolist() == [-3.0, -1.5, -np.inf, -1.5]


# ------------------------------------------------------------------------------------------------ from words to ids

QWEN = {
    "wait": [14190, 11489, 71032, 13824, 3783, 54390],
    "alternatively": [92014, 38478, 68387],
    "hmm": [80022, 88190, 87501],
    "but": [3983, 8088, 1988, 714],
    "however": [11209, 97836, 4354, 4764],
    "another": [14037, 41963, 13293, 2441],
    "maybe": [21390, 36760, 10696, 7196],
    "actually": [52592, 73028, 33763, 3520],
}  # decoded by hand from the published table of ranks


@functools.cache
def tokenizer_of(name):
    return Tokenizer.from_gguf(GgufFile(catalogue.fetch(name).path).metadata)


def test_a_spelling_with_a_space_or_a_capital_is_left_out():
    vocabulary = [b"wait", b" Wait", b"\nWAIT ", b"Wait,", b"await", b"W", b"ait", b"", b"\xff"]
    assert spellings(vocabulary, ["wait"]) == ((0, 1, 2), ())
    assert spellings(vocabulary, [" Wait"], ignore_case=False) == ((1,), ())
    assert spellings(vocabulary, ["wait", " hold on", "HMM", " hold on"]) == ((0, 1, 2), (" hold on", "HMM"))
    with pytest.raises(InputError, match="a list of strings, got 'wait'"):
        spellings(vocabulary, "wait")
    with pytest.raises(InputError, match="a word is empty"):
        spellings(vocabulary, ["wait", " "])


def test_a_form_of_several_tokens_is_left_out():
    def encode(text):  # a space belongs to the word behind it, and so only one of the two forms is a token
        return {"so": [1], " so": [2], "So": [3], " So": [8, 3], "oh": [9, 9], " oh": [4], "Oh": [9, 9, 9], " Oh": [9, 9]}[text]

    assert split_forms(encode, [1, 2, 3, 4], ["so", " oh"]) == ("Oh", "oh"), "a bare form is found behind a space too"
    assert split_forms(encode, [1, 2, 4], ["Oh", "so", "so"]) == ("Oh", "So", "oh"), "with a capital first, each once"
    assert split_forms(lambda text: [{"so": 1}.get(text, 0)], [1], ["so"], ignore_case=False) == (" so",)
    assert split_forms(encode, [1, 2, 3, 4], ["so"], ignore_case=False) == ()


@pytest.mark.parametrize(
    ("name", "phrases"),
    [("qwen2.5-coder-0.5b-instruct", ["alternatively", "hmm"]), ("smollm2-135m-instruct", ["Hmm", "alternatively", "hmm"])],
)
def test_default_words_of_a_real_vocabulary_are_refused_or_lose_a_form(name, phrases):
    """Qwen2.5 writes " alternatively" and "Alternatively" with one token and "alternatively" with two."""
    tokenizer = tokenizer_of(name)
    config, found = SimpleNamespace(vocab_size=tokenizer.size), []
    engine = SimpleNamespace(model=SimpleNamespace(tokenizer=tokenizer, config=config), allowed_set=len)
    engine.pattern = lambda text: found.append(text) or len(found)
    knobs = method("thought_switching").texts(engine)
    assert (found, knobs["switch_phrases"]) == (phrases, [1, 2, 3][: len(phrases)]) and knobs["switch_set"] >= 8
    assert list(method("cyclic_reflection").texts(engine)) == ["reflection_set"] and found == phrases


def test_ids_of_a_real_vocabulary_are_missed():
    tokenizer = tokenizer_of("qwen2.5-coder-0.5b-instruct")
    vocabulary = tokenizer.token_bytes(tokenizer.size)
    ids, phrases = spellings(vocabulary, [*QWEN, "on second thought"])
    assert set().union(*QWEN.values()) <= set(ids) and phrases == ("on second thought",)
    assert {tokenizer.decode([i]).strip().lower() for i in ids} == set(QWEN)
    exact, _ = spellings(vocabulary, ["Wait"], ignore_case=False)
    assert {14190, 13824} <= set(exact) and not {11489, 3783, 71032, 54390} & set(exact)


def test_defaults_are_no_longer_the_papers():
    made = method("thought_switching")
    assert made.knobs == {
        "switch_penalty": 3, "switch_window": 600, "switch_reset": 1, "switch_from_start": 1, "switch_after_temperature": 0,
        "switch_everywhere": 0, "temperature": 0.7, "top_p": 0.95,
    }  # fmt: skip
    assert made.texts.words == ("alternatively", "wait", "hmm") and made.delimiters == ("<think>", "</think>")


def test_missing_forms_take_the_room_of_words_that_no_token_spells_or_more_than_there_is():
    tokenizer = ByteTokenizer([" soon", " later"])
    engine = Engine(scripted_model(["x"], tokenizer.size, tokenizer=tokenizer), max_slots=1)
    for words, phrases in (
        (["soon", "later", "hold on", "well then"], ["hold on", "well then", "Soon", "Later"]),
        (["soon", "ab", "cd", "ef", "gh"], ["ab", "cd", "ef", "gh"]),
        (["later"], ["Later", "later"]),
    ):
        rows = method("thought_switching", words=words).texts(engine)["switch_phrases"]
        assert rows == [engine.pattern(phrase) for phrase in phrases]


def test_words_of_the_method_do_not_reach_the_rows_of_the_engine():
    tokenizer = ByteTokenizer(["wait", " Wait"])
    engine = Engine(scripted_model(["x"], tokenizer.size, tokenizer=tokenizer), max_slots=1)
    made = method("thought_switching", words=["wait", "hmm", "w"], penalty=4, window=50, delimiters=("", ""))
    knobs = made.texts(engine)
    assert knobs == {"switch_set": 1, "switch_phrases": [engine.pattern("hmm")]}
    chosen = np.flatnonzero(engine._builder.build().sets[1]).tolist()
    assert chosen == sorted([ord("w"), ord("W"), 256, 257])
    assert (made.knobs["switch_penalty"], made.knobs["switch_window"], made.knobs["switch_everywhere"]) == (4, 50, 1)
    assert method("thought_switching").knobs["switch_everywhere"] == 0
    assert made.texts(engine) == knobs and len(engine._builder.build().sets) == 9, "the same words take no further row"
    with pytest.raises(InputError, match="words must be a list of strings, got 'wait'"):
        method("thought_switching", words="wait").texts(engine)
    with pytest.raises(InputError, match="no single token of this model spells 'but'; leave it out"):
        method("cyclic_reflection").check(engine, [{"id": "p", "question": "q"}])
    assert method("cyclic_reflection", words=["w"]).texts(engine) == {"reflection_set": 2}
    with pytest.raises(InputError, match=r"takes shape \(4,\)"):
        method("thought_switching", words=["ab", "cd", "ef", "gh", "ij"]).check(engine, [{"id": "p", "question": "q"}])
