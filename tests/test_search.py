"""Searches end to end on a policy and scorers that can be worked out by hand: laws, traces, costs, bad input."""

import collections
import dataclasses
import itertools
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import pytest
from doubles.branching import CHAIN, STOP, branching_model, counted, engine_of, letter_scorer, search
from doubles.host_reads import HostReadError, check_it_sees, no_host_read

from reasoning.decode.engine import Engine
from reasoning.decode.requests import Request
from reasoning.errors import InputError
from reasoning.models.flops import generated_flops
from reasoning.search.arena import Arena
from reasoning.search.backtracking import SelfBacktracking
from reasoning.search.beam import Beam
from reasoning.search.driver import SearchGroup, Searching
from reasoning.search.dvts import Dvts
from reasoning.search.particles import Particles

GOLDEN = Path(__file__).parent / "golden" / "search"
WEIGHTS = {"": {"a": 1, "b": 1, "c": 1, "z": 0.3}, "\x04": {"z": 1}}  # the fourth problem ends at once
VALUES = {"a": 1.0, "b": 0.5, "c": 0.1, "z": 0.2}
MODEL, SCORER = branching_model(WEIGHTS, depth=4), letter_scorer(VALUES)
COMMON = {"step_tokens": 6, "rounds": 8, "scorer": SCORER, "share": 0.5}
BEAM = Searching(Beam(beam_width=2), 4, **COMMON)
LOOK = Searching(Beam(beam_width=2, rollout=2), 4, **COMMON)
DVTS = Searching(Dvts(beam_width=2), 4, **COMMON)
PARTICLES = Searching(Particles(weights="score", resampling="systematic"), 4, **COMMON)
BACK = Searching(SelfBacktracking(backtracks=3), 4, **COMMON | {"scorer": None})
ALL = {"beam": BEAM, "lookahead": LOOK, "dvts": DVTS, "particles": PARTICLES}
EVERY = ALL | {"self-backtracking": BACK}


@pytest.fixture(scope="module")
def engine():
    return engine_of(MODEL)


@pytest.fixture(scope="module")
def counting():
    return Engine(branching_model(WEIGHTS, depth=4, count=True), max_slots=10)


def essence(responses):
    """What must not depend on the company: tokens, scores and the whole ledger but the seconds."""
    return [
        (r.sample, r.tokens.tolist(), r.logprobs.tobytes(), r.scores.tobytes(), dataclasses.replace(r.ledger, seconds=0.0))
        for r in responses
    ]


def ours(responses):
    """What samples have in common whatever their number: all but the ledger, which knows how many share a prompt."""
    return [one[:-1] for one in essence(responses)]


@pytest.mark.parametrize("name", ALL)
def test_trace_is_not_the_golden_one(engine, name):
    """Regenerate on purpose with REGENERATE=1, and read the difference."""
    _, trees = search(engine, ALL[name], 2)
    path = GOLDEN / f"{name}.json"
    traces = [{key: [round(x, 4) if isinstance(x, float) else x for x in row] for key, row in one.items()}
              for tree in trees.values() for one in tree["rounds"]]  # fmt: skip
    lines = ",\n".join(f"  {json.dumps(one)}" for one in traces)
    if os.environ.get("REGENERATE"):
        path.write_text(f"[\n{lines}\n]\n")
    assert json.loads(path.read_text()) == traces


@pytest.mark.parametrize("name", ALL)
def test_finals_are_not_n_or_not_those_of_the_tree(engine, name):
    """Each final is a path of the tree of its own: no complete row was expanded again, none came twice, none was left out."""
    found, trees = search(engine, ALL[name], 3)
    for key, responses in found.items():
        rounds = trees[key]["rounds"]
        assert [response.sample for response in responses] == [0, 1, 2, 3]
        assert {response.stop_reason for response in responses} == {"stop"}
        for response in responses:
            row, texts = response.sample, []
            for index in reversed(range(len(rounds))):
                row = row if index == len(rounds) - 1 else rounds[index]["parents"][row]
                texts.append(rounds[index]["texts"][row])
            assert response.text == "".join(reversed(texts))
        for before, after in itertools.pairwise(rounds):
            for row, complete in enumerate(before["complete"]):
                assert not complete or (before["parents"].count(row) == 1 and before["parents"][row] == row)
                assert not complete or (after["texts"][row] == "" and not after["wrote"][row])
                assert not complete or after["scores"][row] == before["scores"][row]


# Programs that count are compiled for each search; the one that costs in most ways is in the fast suite.
@pytest.mark.parametrize("name", [name if name == "lookahead" else pytest.param(name, marks=pytest.mark.slow) for name in EVERY])
def test_cost_is_multiplied_instead_of_counted(counting, name):
    """Every position that the policy and the scorer computed, ends of responses included, is in a ledger, and nothing else."""
    counted("policy"), counted("scorer")
    back, setting = name == "self-backtracking", EVERY[name]
    setting = setting if back else dataclasses.replace(setting, scorer=letter_scorer(VALUES, count=True))
    found, _ = search(counting, setting, 3, tail=(5, 6), stop=("c",) if back else ())
    ledgers = [response.ledger for responses in found.values() for response in responses]
    total = sum(ledgers[1:], ledgers[0])
    # Two of a prompt's three tokens are prefilled, once for all rows; the third is fed by the first step of each row.
    assert counted("policy") == 3 * 2 + total.sampled + total.forced + total.discarded + total.lookahead
    assert counted("scorer") == total.scorer
    assert (total.lookahead > 0) == (name == "lookahead") and (total.scorer > 0) == (not back)
    assert total.discarded > 0
    for responses in found.values():
        held = {tuple(response.tokens[:end]) for response in responses for end in range(1, len(response.tokens) + 1)}
        assert sum(response.ledger.sampled for response in responses) >= len(held)  # chance may write a text twice
        longest = max(len(response.tokens) for response in responses)
        assert sum(r.ledger.flops_generated for r in responses) >= generated_flops(MODEL.config, 3, longest)


def test_seconds_of_a_search_are_nobodys_or_charged_twice(engine):
    """The seconds of a round are split among its problems, and those of a problem among its rows."""
    search(engine, BEAM, 3)  # compiles
    begin = time.perf_counter()
    found, _ = search(engine, BEAM, 3)
    elapsed = time.perf_counter() - begin
    seconds = [response.ledger.seconds for responses in found.values() for response in responses]
    assert min(seconds) > 0 and sum(seconds) <= elapsed


@pytest.mark.parametrize("name", ALL)
def test_company_or_order_changes_a_search(engine, name):
    """Problems are batched and swapped: one alone, and all of them the other way round, are the same to the bit."""
    together, trees = search(engine, ALL[name], 5)
    backwards, _ = search(engine, ALL[name], [5, 4, 3, 2, 1])
    alone, tree = search(engine, ALL[name], [3])
    assert {key: essence(value) for key, value in together.items()} == {key: essence(value) for key, value in backwards.items()}
    assert essence(alone["p3"]) == essence(together["p3"])
    assert tree["p3"] == trees["p3"]


def test_looking_a_round_late_changes_a_search(engine):
    """As accelerators do: the next round runs while the host reads this one, so a problem that is done idles for a round."""
    late = engine_of(MODEL, lag=1)
    for setting in (BEAM, LOOK):
        found, trees = search(late, setting, 5)
        expected, grown = search(engine, setting, 5)
        assert {key: essence(value) for key, value in found.items()} == {key: essence(value) for key, value in expected.items()}
        assert trees == grown


def test_a_scorer_with_a_tokenizer_of_its_own_is_given_the_policys_ids(engine):
    """It gets the question's text once and each step's text as it spells it, here in capitals and twice."""
    asked, spelled = [], []

    def question(text):
        asked.append(text)
        return [7]

    def encode(texts, first=False):
        spelled.extend((text, first) for text in texts)
        return [[letter for letter in text.upper().encode() for _ in range(2)] for text in texts]

    foreign = dataclasses.replace(letter_scorer({"A": 0.5, "B": 0.25}), question=question, encode=encode)
    setting = dataclasses.replace(BEAM, scorer=foreign)
    options = {"chain": CHAIN, "group": setting, "step_ends": [engine.pattern("\n")], "step_tokens": 6, "stop_ids": [STOP]}
    responses = list(engine.generate([Request(id="q", prompt="\x01", n=4)], max_tokens=24, **options))
    assert asked == ["\x01"]
    assert {first for text, first in spelled[:4]} == {True} and {first for _, first in spelled[4:]} == {False}
    for response in responses:
        np.testing.assert_allclose(response.scores[-1], response.text.count("a") + response.text.count("b") / 2)
    read = sum(2 * len(text) for text, _ in spelled) + 1
    assert sum(response.ledger.scorer for response in responses) == read
    with pytest.raises(InputError, match="has ids alone, and scorer 'letters .sum.' reads text"):
        search(engine, setting)


def test_a_scorer_of_texts_is_given_a_step_without_text():
    """White space up to the cap of a step, or before the stop id: not read, and worth what the prefix was; at first nothing."""
    engine, spelled = engine_of(branching_model({"": {"a": 0.4, " ": 0.6}}, 3)), []

    def encode(texts, first=False):
        spelled.extend(texts)
        return [list(text.encode()) for text in texts]

    foreign = dataclasses.replace(letter_scorer({"a": 1.0}), question=lambda text: [7], encode=encode)
    setting = dataclasses.replace(BEAM, scorer=foreign, step_tokens=4, rounds=8)
    options = {"chain": CHAIN, "group": setting, "step_ends": [engine.pattern("\n")], "step_tokens": 4, "stop_ids": [STOP]}
    requests = [Request(id=f"q{seed}", prompt="\x01", n=4, seed=seed) for seed in range(6)]
    responses = list(engine.generate(requests, max_tokens=24, **options))
    assert spelled and all(set(text) <= {"a", " ", "\n"} and text.strip() for text in spelled)
    blank = [one for one in responses if any(not part.strip() for part in one.text.split("\n")[:-1]) or one.text.endswith("  ")]
    assert blank and len(responses) == 24
    for one in responses:
        assert one.scores[-1] == one.text.count("a")


def test_a_problem_that_is_done_waits_for_the_others(engine, monkeypatch):
    """Early exit: as many rounds as two places need that take the next problem as soon as they are free."""
    calls = []
    plain = SearchGroup.refill
    monkeypatch.setattr(SearchGroup, "refill", lambda self: (calls.append(self), plain(self)))
    _, trees = search(engine, dataclasses.replace(BEAM, share=1.0), [1, 4, 2])
    assert [len(trees[key]["rounds"]) for key in ("p1", "p4", "p2")] == [5, 1, 5]
    assert len(calls) - 1 == 6  # and not 10


def test_a_problem_that_enters_costs_a_prompt_at_every_place(engine):
    """A scorer reads one row for each problem that enters, none for those that stay and none for empty places."""
    reads = []

    def begin(params, prompt, n, carry):
        jax.debug.callback(lambda n: reads.append(n.tolist()), n)
        return SCORER.begin(params, prompt, n, carry)

    search(engine, dataclasses.replace(BEAM, scorer=dataclasses.replace(SCORER, begin=begin)), [1, 4, 2])
    jax.effects_barrier()
    assert reads == [[1]] * 3


@pytest.mark.parametrize("name", ALL)
def test_long_steps_of_one_problem_hold_up_or_change_the_others(engine, monkeypatch, name):
    """Problems whose steps have one letter or three: rounds that do not wait take fewer model steps, and give the same bits."""
    knobs = {"step_tokens": 6, "stop_ids": [STOP]}
    ends = {1: [engine.pattern("\n")], 2: []}
    requests = [Request(f"p{i}", tokens=[i], n=4, knobs={"step_ends": ends[i]}) for i in ends]
    found, trees, spent = {}, {}, collections.Counter()
    plain = Arena.round
    for share in (1.0, 0.5, 0.01):

        def watched(arena, share=share):
            report = plain(arena)
            spent[share] += int(np.asarray(report.emitted).max())
            return report

        monkeypatch.setattr(Arena, "round", watched)
        grown: list[dict] = []
        setting = dataclasses.replace(ALL[name], share=share, keep=grown.append)
        responses = engine.generate(requests, max_tokens=24, chain=CHAIN, group=setting, **knobs)
        found[share] = essence(sorted(responses, key=lambda one: (one.id, one.sample)))
        trees[share] = sorted(grown, key=lambda tree: tree["problem"])
    assert found[0.5] == found[0.01] == found[1.0] and trees[0.5] == trees[0.01] == trees[1.0]
    assert (spent[0.5] == spent[1.0]) if name == "lookahead" else (spent[0.5] < spent[1.0])


@pytest.mark.slow
def test_width_one_is_not_sampling(engine):
    """M = 1 prunes nothing: each row is the sample that the engine draws without a search, so n rows are the first n of N."""
    options = {"chain": CHAIN, "stop_ids": [STOP], "max_tokens": 24}
    found, _ = search(engine, Searching(Beam(beam_width=1), 4, **COMMON))
    plain = {r.sample: r for r in engine.generate([Request(id="p1", tokens=[1], n=4)], **options)}
    for response in found["p1"]:
        assert response.tokens.tolist() == plain[response.sample].tokens.tolist()
        assert response.logprobs.tobytes() == plain[response.sample].logprobs.tobytes()
    more, _ = search(engine, Searching(Beam(beam_width=1), 8, **COMMON))
    assert len(more["p1"]) == 8 and ours(more["p1"][:4]) == ours(found["p1"])
    assert len({tuple(response.tokens) for response in more["p1"]}) > 4  # the others are others


@pytest.mark.slow
def test_first_subtrees_depend_on_how_many_there_are(engine):
    wide, _ = search(engine, dataclasses.replace(DVTS, width=8))
    narrow, _ = search(engine, DVTS)
    assert [r.tokens.tolist() for r in wide["p1"][:4]] == [r.tokens.tolist() for r in narrow["p1"]]


@dataclasses.dataclass(frozen=True, eq=False)
class Watching(Searching):
    """A search whose rounds may not read the host; `after` is called with the arena at the end of each, as a part of it."""

    after: Callable[[Arena], object] = id

    def __call__(self, *args):
        super().__call__(*args)
        group = SearchGroup(self, *args)
        inner = group.arena.round

        def guarded():
            with jax.transfer_guard("disallow"), no_host_read():
                report = inner()
                self.after(group.arena)
                return report

        group.arena.round = guarded
        return group


def watching(setting, **more):
    return Watching(**{field.name: getattr(setting, field.name) for field in dataclasses.fields(setting)}, **more)


def test_a_round_reads_the_host(engine):
    """Score, select, gather and lookahead are dispatches; only the report is read, afterwards."""
    check_it_sees()
    for read in (lambda arena: np.asarray(arena.slots.done), lambda arena: arena.slots.done.tolist()):
        with pytest.raises(HostReadError):
            search(engine, watching(BEAM, after=read), 2)
    for setting in (BEAM, LOOK):
        rounds = []
        found, trees = search(engine, watching(setting, after=rounds.append), 2)
        assert len(found["p1"]) == 4 and len(rounds) >= len(trees["p1"]["rounds"])


def test_a_search_has_rows_for_which_there_is_no_memory():
    """Its rows are gathered into a second copy, which the plan of the policy's slots knows nothing of."""
    arenas, memory = [], 12 * MODEL.network.cache_bytes(1, 64)
    engine = engine_of(MODEL, memory=memory, prefill_rows=1)
    search(engine, watching(dataclasses.replace(BEAM, scorer=None), after=arenas.append), 2)
    assert engine.programs(64, CHAIN).rows == 10 and arenas[0].slots.done.size == 5


def test_rows_that_are_gathered_are_copied_twice(engine):
    """Into a buffer that was donated XLA gathers by way of another one of its size, for twice the seconds."""
    arenas = []
    search(engine, watching(BEAM, after=arenas.append), 2)
    assert arenas[0]._rounds.choose.memory_analysis().alias_size_in_bytes == 0


def test_another_delimiter_or_other_weights_compile_a_search_again(engine):
    search(engine, BEAM, 2)
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *_, **__: compiled.append(event) if "backend_compile" in event else None
    )
    other = letter_scorer({"a": 0.1, "b": 0.9})
    found, trees = search(engine, dataclasses.replace(BEAM, scorer=other), 2, step_ends=[engine.pattern("b\n")], temperature=0.5)
    assert compiled == []
    assert any("\n" in text[:-1] for one in trees["p1"]["rounds"] for text in one["texts"])
    assert len(found["p2"]) == 4


def test_no_step_end_within_the_budget(engine):
    """The cap ends the step, the budget the response, the last round what still runs: all is reported, nothing hangs."""
    found, trees = search(engine, BEAM, step_ends=[0], step_tokens=3, max_tokens=7)
    assert {len(text) for text in trees["p1"]["rounds"][0]["texts"]} <= {1, 3}
    assert {response.stop_reason for response in found["p1"]} <= {"length", "stop"}
    assert max(len(response.tokens) for response in found["p1"]) == 7
    found, trees = search(engine, dataclasses.replace(BEAM, rounds=2))
    assert len(trees["p1"]["rounds"]) == 2
    assert "length" in {response.stop_reason for response in found["p1"]}


def test_step_ends_are_scored_as_empty_steps(engine):
    """A response that ends right behind a newline keeps its score: the stop id is no step (a peer scored an empty last one)."""
    found, trees = search(engine, BEAM, 3)
    for key, responses in found.items():
        for response in responses:
            assert len(response.scores) == response.text.count("\n") + response.text.count("z")
            total = sum({"a": 1.0, "b": 0.5, "c": 0.1, "z": 0.2}.get(letter, 0.0) for letter in response.text)
            np.testing.assert_allclose(response.scores[-1], total, rtol=1e-5)
        assert all(text for one in trees[key]["rounds"] for text, wrote in zip(one["texts"], one["wrote"], strict=True)
                   if wrote and not all(one["complete"]))  # fmt: skip


def test_without_a_scorer_the_policy_scores_itself(engine):
    setting = dataclasses.replace(BEAM, scorer=None)
    found, _ = search(engine, setting)
    for response in found["p1"]:
        ends = [index + 1 for index, token in enumerate(response.tokens) if token in (10, ord("z"))]
        np.testing.assert_allclose(response.scores, [response.logprobs[:end].mean() for end in ends], rtol=1e-5)
        assert response.ledger.scorer == 0


@pytest.mark.parametrize("name", ALL)
def test_a_score_that_is_no_number_selects(engine, name):
    """Also where every row is worth -inf, so that none would be left to go on: an error says which scorer, problem and row."""
    for value in (np.nan, -np.inf, np.inf):
        with pytest.raises(InputError, match=f"scorer 'letters .sum.' gave {value} for problem 'p1', round 0, row 0; check its"):
            search(engine, dataclasses.replace(ALL[name], scorer=letter_scorer(dict.fromkeys("abcz", value))))
    assert search(engine, ALL[name])[0]["p1"]


# The search that goes back is compiled for this test alone.
@pytest.mark.parametrize("name", [*ALL, pytest.param("self-backtracking", marks=pytest.mark.slow)])
def test_rows_that_all_say_nothing_or_all_give_up_hold_up_a_search(name):
    """Rows that end at once are complete, without a step or a score; rows that give up go back a line, never to the prompt."""
    back = name == "self-backtracking"
    model = branching_model({"": {"b": 1}, "b": {"c": 1}}, depth=3 if back else 0)
    found, trees = search(engine_of(model), EVERY[name], 2, stop=("c",) if back else ())
    for key, responses in found.items():
        expected = ("b\n", 1, "pattern") if back else ("", 0, "stop")
        assert [(one.text, len(one.scores), one.stop_reason) for one in responses] == [expected] * 4
        assert [one["complete"] for one in trees[key]["rounds"]] == [[False] * 4] * back + [[True] * 4]


def test_a_search_that_cannot_run_is_refused(engine):
    with pytest.raises(InputError, match="width 12 needs as many slots, there are 10; raise max_slots"):
        search(engine, dataclasses.replace(BEAM, width=12))
    with pytest.raises(InputError, match="step_tokens must lie in 1 … 6"):
        search(engine, BEAM, step_tokens=7)
    with pytest.raises(InputError, match="cannot begin with forced text"):
        search(engine, BEAM, forced_start=engine.script("a"))
    with pytest.raises(InputError, match="ask for n=4"):
        engine.generate([Request(id="p", tokens=[1], n=3)], chain=CHAIN, group=BEAM, step_tokens=6, max_tokens=24)
    with pytest.raises(InputError, match="aggregated by last, min, prod, mean"):
        dataclasses.replace(BEAM, aggregation="max")
