"""Budget forcing against a reference in plain Python on token ids, for every row, whatever the settings of its neighbours."""

import json
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import pytest
from doubles.models import hash_model, scripted_model
from doubles.tokenizer import ByteTokenizer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reasoning.decode.base import Chain
from reasoning.decode.budget import budget_forcing
from reasoning.decode.controllers import stop_ids
from reasoning.decode.engine import Engine
from reasoning.decode.requests import Request
from reasoning.decode.transforms import allowed_set, temperature

# Tokens that begin, hold, straddle and follow the delimiter "</t>", so that an end comes every few tokens and in every way.
PIECES = ("</", "/t", "t>", "</t>", "a</", ".</t", ">b", "</t>b", "b<", "W")
TOKENIZER = ByteTokenizer(PIECES)
STOP = TOKENIZER.stop_ids[0]
LETTERS = [ord(letter) for letter in "abc.</t>"]
MODEL = hash_model(TOKENIZER.size, tokenizer=TOKENIZER, sharpness=1.0)
END, TAIL = "</t>", "</t>F:"
CHAIN = Chain((allowed_set(), temperature()), (budget_forcing(8), stop_ids()))
LIMIT = 40


class Setting(NamedTuple):
    """Knobs of one row; `string` is "" for none."""

    prompt: str = "q"
    max_thinking: int = -1
    max_round: int = -1
    min_thinking: int = 0
    num_ignore: int = 0
    string: str = ""
    answer_reserve: int = 0
    closes: bool = True


def text_of(ids):
    """Bytes of token ids; the stop id, which has none, is a byte that no delimiter holds."""
    return b"".join(b"\0" if i == STOP else TOKENIZER.token_bytes(TOKENIZER.size)[i] for i in ids)


def partial(text):
    """Bytes of the delimiter with which `text` ends, not all of it."""
    return max(k for k in range(len(END)) if text.endswith(END.encode()[:k]))


def take_back(thought, size, after):
    """(tokens left, their residue as ids) when `size` bytes that end `after` bytes before the thought's end are taken out."""
    begin = len(text_of(thought)) - after - size
    left = next(n for n in range(len(thought)) if len(text_of(thought[: n + 1])) > begin)
    return left, TOKENIZER.encode(text_of(thought)[len(text_of(thought[:left])) : begin].decode())


def reference(greedy, one: Setting):
    """(ids, forced, why the thought ended) of a row, from the text alone: no automaton, no ring of states."""
    prompt, out, forced, queue = TOKENIZER.encode(one.prompt), [], [], []
    thinking, barred, closed, ignored, round_start = True, False, False, 0, 0
    string, tail = TOKENIZER.encode(one.string), TOKENIZER.encode(TAIL)
    named = 10**6 if one.max_thinking < 0 else one.max_thinking
    budget = max(min(named, LIMIT - len(tail) - one.answer_reserve), 0) if one.answer_reserve else named
    why = ""
    while len(out) < LIMIT:
        played, token = bool(queue), queue.pop(0) if queue else greedy(prompt + out, out if thinking else [], barred)
        thought = [*out, token]
        ends = thinking and END.encode() in text_of(thought)
        if played or not thinking or closed:
            out, forced, barred = thought, [*forced, played], barred and played
            thinking = thinking and not ends
            why = "itself" if ends and not played else why
            if token == STOP and not played:
                break
            continue
        stop = token == STOP and not ends
        after = len(text_of(thought)) - text_of(thought).find(END.encode()) - len(END) if ends else 0
        size = len(END) if ends else partial(text_of(thought))
        left, residue = (len(out), []) if stop else take_back(thought, size, after) if size else (len(thought), [])
        residue = residue if left + len(residue) <= budget else []
        ended = ends or stop
        spent = not ended and len(thought) >= budget
        round_over = not ended and not spent and 0 <= one.max_round <= len(thought) - round_start
        left = min(left, len(out)) if round_over and one.max_round == 0 else left
        kept = left + len(residue)
        fits, wanted = kept + len(string) < budget, ignored < one.num_ignore
        if ((ended and (kept < one.min_thinking or wanted)) or (round_over and wanted)) and fits:
            ignored += round_over or kept >= one.min_thinking
            queue, round_start, barred = residue + string, kept + len(string), True
        elif stop and one.closes:
            queue, closed, barred, why = TOKENIZER.encode(END), True, False, "stop"
        elif spent or round_over:
            left = min(left, len(out)) if len(thought) > budget else left
            queue, closed, barred = (residue if size else []) + tail, True, False
            why = "round" if round_over else "budget" if one.max_thinking == budget else "reserve"
        else:  # nothing to decide: the token stays
            out, forced, barred, thinking = thought, [*forced, False], False, not ends
            why = "itself" if ends else why
            if token == STOP:
                break
            continue
        out, forced = thought[:left], [*forced, False][:left]
    return out[:LIMIT], forced[:LIMIT], why


PARAMS = [np.asarray(MODEL.params[name]) for name in ("weights", "table")]


def greedy(ids, thought, barred):
    """The next token of the hash model: computed from its tables with numpy."""
    weights, table = PARAMS
    products = (np.asarray(ids, np.uint32) + np.uint32(1)) * weights[: len(ids)]
    mixed = int((products ^ (products >> np.uint32(15))).sum(dtype=np.uint32)) * 2654435761 % 2**32
    logits = np.where(np.isin(np.arange(TOKENIZER.size), ALLOWED), table[(mixed >> 8) % 4099], -np.inf)
    text_before = text_of(thought) if barred else b""
    for token in ALLOWED if barred else ():
        text = text_before + text_of([token])
        if token == STOP or partial(text) or END.encode() in text:
            logits[token] = -np.inf
    return int(np.argmax(logits))


ALLOWED = [*LETTERS, *range(256, 256 + len(PIECES)), STOP]


@pytest.fixture(scope="module")
def engines():
    plans = [Engine(MODEL, max_slots=4).plan | {"steps": steps} for steps in (1, 7)]
    return [Engine(MODEL, plan=plan) for plan in plans]


def answers(engine, rows):
    """The response of each row, all in one call."""
    script = {text: engine.script(text) for text in (END, TAIL, "W", "ab")} | {"": -1}
    fixed = {"thinking_end": engine.pattern(END), "thinking_stop_ids": [STOP], "tail_script": script[TAIL]}
    fixed |= {"allowed_set": engine.allowed_set(ALLOWED), "temperature": 0}
    requests = [
        Request(
            id=str(index),
            prompt=one.prompt,
            knobs=fixed
            | {name: getattr(one, name) for name in ("max_thinking", "max_round", "min_thinking", "num_ignore", "answer_reserve")}
            | {"ignore_script": script[one.string], "end_script": script[END] if one.closes else -1},
        )
        for index, one in enumerate(rows)
    ]
    found = {response.id: response for response in engine.generate(requests, chain=CHAIN, max_tokens=LIMIT)}
    return [found[str(index)] for index in range(len(rows))]


SETTINGS = st.builds(
    Setting,
    prompt=st.text("abq", min_size=1, max_size=3),
    max_thinking=st.sampled_from([-1, -1, 0, 1, 2, 3, 5, 8, 13, 21]),
    max_round=st.sampled_from([-1, -1, -1, 0, 1, 2, 4, 7]),
    min_thinking=st.sampled_from([0, 0, 1, 4, 12]),
    num_ignore=st.integers(0, 4),
    string=st.sampled_from(["W", "ab", ""]),
    answer_reserve=st.sampled_from([0, 0, 1, 10, 30, 60]),
    closes=st.booleans(),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(SETTINGS, min_size=1, max_size=12))
def test_a_row_is_not_what_the_reference_says(engines, rows):
    for engine in engines:
        for one, response in zip(rows, answers(engine, rows), strict=True):
            ids, forced, why = reference(greedy, one)
            assert (response.tokens.tolist(), response.forced.tolist()) == (ids, forced), one
            assert response.thought_end == why, one


GOLDEN = json.loads((Path(__file__).parent / "golden" / "decode" / "budget_traces.json").read_text())


def test_trace_written_by_hand_comes_out_otherwise():
    traces, tokenizer = GOLDEN["traces"], ByteTokenizer(GOLDEN["pieces"])
    engine = Engine(scripted_model([trace["script"] for trace in traces], tokenizer.size, tokenizer=tokenizer), max_slots=4)
    knobs = {"thinking_end": engine.pattern(END), "thinking_stop_ids": tokenizer.stop_ids, "temperature": 0}
    knobs |= {"end_script": engine.script(END), "tail_script": engine.script(TAIL), "ignore_script": engine.script("W")}
    requests = [Request(id=str(i), tokens=[i], max_tokens=20, knobs=knobs | trace["knobs"]) for i, trace in enumerate(traces)]
    for response in engine.generate(requests, chain=CHAIN):
        trace = traces[int(response.id)]
        assert (response.tokens.tolist(), response.forced.tolist()) == (trace["ids"], list(map(bool, trace["forced"]))), trace[
            "what"
        ]
        assert response.ledger.discarded == trace["discarded"], trace["what"]
        assert response.ledger.forced == sum(trace["forced"]) and not response.logprobs[response.forced].any()


def test_a_new_budget_or_string_compiles_a_program(engines):
    answers(engines[0], [Setting()])
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *_, **__: compiled.append(event) if "backend_compile" in event else None
    )
    for text in ("Hmm", "Alternatively, ", "\n"):
        engines[0].script(text)
    answers(engines[0], [Setting(max_thinking=5, num_ignore=2, string="ab", min_thinking=2), Setting(max_round=3, num_ignore=1)])
    assert compiled == []


@pytest.mark.slow
def test_sampled_token_loses_the_probability_it_was_drawn_with():
    """Raw and processed log-probabilities: temperature and truncation move the second alone; forced tokens have neither."""
    engine = Engine(MODEL, max_slots=2)
    request = Request(id="p", prompt="q", max_tokens=12, knobs={"forced_start": engine.script("ab")})
    (plain,) = engine.generate([request])
    np.testing.assert_array_equal(plain.logprobs, plain.processed_logprobs)
    (warm,) = engine.generate([request], temperature=0.5, top_k=3)
    assert not warm.processed_logprobs[:2].any() and not warm.logprobs[:2].any()
    sampled = warm.tokens[2:]
    prefix = engine.model.tokenizer.encode("qab")
    for index, token in enumerate(sampled):
        logits = np.asarray(engine.model.logits(np.asarray([[*prefix, *sampled[:index]]]))[0, -1], np.float64)
        logits[np.asarray([i for i in range(TOKENIZER.size) if i not in np.argsort(-logits)[:3]])] = -np.inf
        expected = (logits - np.logaddexp.reduce(logits * 2) / 2)[token] * 2
        np.testing.assert_allclose(warm.processed_logprobs[2 + index], expected, atol=1e-4)


def test_probability_of_a_row_depends_on_its_neighbours_or_forgets_the_bar(engines):
    """The bar changes the distribution of one token; temperature in another row changes nothing in this one."""
    engine = engines[0]
    knobs = {"thinking_end": engine.pattern(END), "ignore_script": engine.script("W"), "temperature": 1.0}
    knobs |= {"max_round": 4, "num_ignore": 3}
    alone, other = Request(id="a", prompt="q", knobs=knobs), Request(id="b", prompt="q", knobs=knobs | {"temperature": 0.5})
    (single,) = engine.generate([alone], chain=CHAIN, max_tokens=30)
    found = {one.id: one for one in engine.generate([alone, other], chain=CHAIN, max_tokens=30)}
    assert found["a"].processed_logprobs.tobytes() == single.processed_logprobs.tobytes()
    after_bar = np.flatnonzero(single.forced[:-1] & ~single.forced[1:]) + 1
    differs = np.flatnonzero(single.processed_logprobs != single.logprobs)
    assert len(after_bar) and differs.tolist() == after_bar.tolist(), "only where an end was barred"
    assert (single.processed_logprobs[differs] > single.logprobs[differs]).all()


def test_thinking_begins_again_behind_its_budget():
    engine = Engine(scripted_model(["<t>abc</t>x<t>yyyyyyyyyyyyyyyyy", "<t>abcdefgh<t>ijklmnop"]), max_slots=2)
    knobs = {"thinking_start": engine.pattern("<t>"), "thinking_end": engine.pattern("</t>"), "tail_script": engine.script("|")}
    requests = [Request(id=str(row), tokens=[row], knobs=knobs | {"max_thinking": budget}) for row, budget in enumerate((9, 3))]
    found = {one.id: one for one in engine.generate(requests, chain=CHAIN, max_tokens=40, temperature=0)}
    assert found["0"].text.startswith("<t>abc</t>x<t>yyyyyyyyyyyyyyyyy") and found["0"].thought_end == "itself"
    assert found["1"].text.startswith("<t>abc|efgh<t>ijklmnop") and found["1"].thought_end == "budget"


def test_what_the_prompt_says_of_a_thought_costs_its_budget(engines):
    """Templates of R1's kind open the thought in the prompt, with a line break behind the mark."""
    engine = engines[0]
    knobs = {"thinking_start": engine.pattern("<t>"), "thinking_end": engine.pattern(END), "tail_script": engine.script(TAIL)}
    knobs |= {"allowed_set": engine.allowed_set([ord("a"), ord("b")]), "max_thinking": 4}
    requests = [Request(id=repr(text), prompt=text, knobs=knobs) for text in ("q<t>", "q<t>\n")]
    for response in engine.generate(requests, chain=CHAIN, max_tokens=12, temperature=0):
        assert response.forced.tolist().index(True) == 4, response.id
