"""Benchmarks: the arithmetic behind the tables, and that what is compared is the same work."""

import json
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from doubles.models import hash_model
from doubles.tokenizer import ByteTokenizer

from reasoning.bench import forcing, machine, mixed, peers, roofline, runs, search, sft, stages, tables, workload
from reasoning.bench.contest import Timing
from reasoning.bench.machine import Machine
from reasoning.bench.models import Measured
from reasoning.bench.ours import Ours
from reasoning.bench.pairing import interleave, ratio
from reasoning.bench.random_models import random_config, random_model
from reasoning.decode.budget import budget_forcing
from reasoning.decode.cyclic_reflection import cyclic_reflection
from reasoning.decode.engine import STANDARD, Engine
from reasoning.decode.thought_switching import thought_switching
from reasoning.errors import InputError
from reasoning.methods.base import method
from reasoning.models import flops
from reasoning.models.model import Model
from reasoning.models.transformer import abstract_params

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
SETTINGS = {"peers": [], "threads": 1, "batch": [2], "prompt": 8, "new": 8, "rounds": 1, "prefill": [(2, 8)]}
SETTINGS |= {"requests": 7, "slots": 2, "median": 4, "longest": 24}


def test_rounds_alternate_and_warm_up_is_not_counted():
    order = []

    def runner(name):
        def run():
            order.append(name)
            return float(len(order))

        return run

    values = interleave({"a": runner("a"), "b": runner("b")}, rounds=2)
    assert order == ["a", "b"] * 3
    assert values == {"a": [3.0, 5.0], "b": [4.0, 6.0]}
    with pytest.raises(InputError, match="at least one round"):
        interleave({}, rounds=0)


def test_a_drift_of_the_machine_does_not_move_the_ratio():
    """Twice as slow in two of three rounds, in one of which both are four times slower: the ratio of the medians would be 1.5."""
    assert ratio([2.0, 8.0, 6.0], [1.0, 4.0, 6.0]) == (2.0, 1.0, 2.0)
    with pytest.raises(ValueError, match="longer"):
        ratio([1.0], [1.0, 2.0])


@pytest.fixture(scope="module")
def tiny():
    config = random_config("tiny")
    return Model(config, jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), abstract_params(config, "bfloat16")))


def test_the_roofline_is_the_larger_of_its_two_bounds(tiny):
    read, work = roofline.step_bytes(tiny, 4, 32), 4 * flops.decode_flops(tiny.config, 32)
    slow_memory = Machine("", bandwidth=1.0, peak={"float32": 1e30, "bfloat16": 1.0})
    slow_sums = Machine("", bandwidth=1e30, peak={"float32": 2.0, "bfloat16": 1.0})
    assert roofline.least_seconds(tiny, slow_memory, 4, 32) == read
    assert roofline.least_seconds(tiny, slow_sums, 4, 32) == work / 2


def test_weights_are_read_once_whatever_the_batch(tiny):
    weights = roofline.weight_bytes(tiny)
    entries = flops.layer_matrix_entries(tiny.config) * 2 + 512 * 32
    assert 2 * entries < weights < 2.2 * entries  # bfloat16, and norms and biases in float32
    cache = tiny.network.cache_bytes(1, 10)
    assert roofline.step_bytes(tiny, 3, 10) - roofline.step_bytes(tiny, 2, 10) == cache


@pytest.mark.parametrize("tokenizer", [None, ByteTokenizer()])
def test_every_contestant_gets_the_same_prompts(tokenizer):
    first, again = (workload.prompts(5, 33, tokenizer, 257) for _ in range(2))
    assert first.shape == (5, 33) and first.dtype == np.int32 and first.min() >= 0 and first.max() < 257
    np.testing.assert_array_equal(first, again)
    assert len({row.tobytes() for row in first}) == 5


def test_lengths_are_lognormal_and_clipped():
    lengths = workload.lognormal_lengths(4000, 50, 0.8, 4, 200, seed=3)
    assert lengths == workload.lognormal_lengths(4000, 50, 0.8, 4, 200, seed=3)
    assert min(lengths) >= 4 and max(lengths) == 200
    assert abs(np.median(lengths) - 50) < 3
    inside = np.log([n for n in lengths if n < 200])
    assert 0.6 < inside.std() < 0.8
    with pytest.raises(InputError, match="median"):
        workload.lognormal_lengths(4, 50, 0.8, 4, 20)


def test_steps_of_both_schedules():
    assert mixed.static_steps([4, 1, 1, 3], 2) == 4 + 3
    assert mixed.continuous_steps([4, 1, 1, 3], 2) == 5
    assert mixed.continuous_steps([7], 3) == mixed.static_steps([7], 3) == 7


def test_mixed_refuses_to_compare_different_tokens():
    same, other = {"0": np.array([1, 2])}, {"0": np.array([1, 3])}
    mixed.check_same(same, dict(same))
    for wrong in (other, {}, {**same, "1": np.array([1])}):
        with pytest.raises(InputError, match="other tokens"):
            mixed.check_same(same, wrong)


class Slow:
    """A peer that takes a second a step, reads its prompts in 100 s, and writes zeros."""

    closed = 0

    def __init__(self, prompts, new):
        self.name, self._rows, self._new = "slow", len(prompts), new

    def decode(self):
        return Timing(float(self._new - 1), self._new - 1, np.zeros((self._rows, self._new), np.int32))

    def prefill(self):
        return 100.0

    def close(self):
        Slow.closed += 1


@pytest.fixture(scope="module")
def document():
    """Everything that `bench.py all` measures, of a tiny double and the peer above."""
    said = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "open_peers", lambda *arguments: {"slow": Slow})
        patch.setattr(machine, "_ARRAY_BYTES", {"cpu": 1 << 20})
        patch.setattr(machine, "_MATRIX", {"cpu": 64})
        found = runs.run("all", Measured(hash_model(context=128), None), SETTINGS, said.append)
    assert sum("| " in line for line in said) == 5, "a table for each subcommand"
    return found


def test_the_document_is_json_and_names_what_it_depends_on(document):
    assert json.loads(json.dumps(document, allow_nan=False)).keys() == document.keys()
    assert document["environment"]["jax"] and document["machine"]["gbytes_per_second"] > 0
    assert document["settings"]["rounds"] == 1


def test_a_peer_of_one_second_a_step_is_shown_as_such(document):
    ours, alone, peer = document["decode"]
    assert ours["ours_over_it"] == [1.0, 1.0, 1.0] and ours["agreement"] == 1.0
    assert peer["ms_per_step"] == 1000 and peer["tokens_per_second"] == 2
    assert peer["ours_over_it"][0] == pytest.approx(1000 / ours["ms_per_step"])
    assert peer["agreement"] < 0.5 and alone["agreement"] is None
    ours, peer = document["prefill"]
    assert peer["tokens_per_second"] == pytest.approx(16 / 100)
    assert peer["ours_over_it"][0] == pytest.approx(ours["tokens_per_second"] * 100 / 16)
    assert Slow.closed == 2


def test_mixed_counts_every_token_of_the_same_requests(document):
    lengths = workload.lognormal_lengths(7, 4, mixed.SIGMA, 4, 24)
    found = document["mixed"]
    assert found["tokens"] == sum(lengths)
    assert found["bound"] == mixed.static_steps(lengths, 2) / mixed.continuous_steps(lengths, 2)
    assert found["speedup"][1] <= found["speedup"][0] <= found["speedup"][2]


def test_long_answers_fill_what_is_set_aside_for_them(document):
    found = document["long"]
    assert found["used"] == found["tokens"] + 4 * found["requests"], "prompts of half of 8 tokens"
    assert found["longest"] == 128 - 4 and found["used"] <= found["allocated"]
    assert [rows for bucket, rows in found["groups"] if bucket == 128] == [2], "three answers share two slots"


def test_overheads_are_relative_to_greedy(document):
    entries = {entry["setting"]: entry for entry in document["stages"]}
    greedy, other = entries["greedy"], entries["top_p 0.95"]
    assert greedy["overhead_percent"] == [0.0, 0.0, 0.0]
    assert other["overhead_percent"][0] == pytest.approx(100 * (other["ms_per_step"] / greedy["ms_per_step"] - 1))


@pytest.mark.slow
def test_a_search_is_timed_without_its_rounds_or_reads_steps_twice(monkeypatch):
    monkeypatch.setattr(search, "PROBLEMS", 3)
    monkeypatch.setattr(search, "WIDTHS", (2,))
    tiny = random_model("tiny")
    found = search.search(tiny, prompt=8, slots=4, rounds=2)
    (entry,) = found["batched"]
    assert entry["n"] == 2 and entry["slots"] == 4 and entry["speedup"][1] <= entry["speedup"][0] <= entry["speedup"][2]
    assert 0 < entry["outside"][1] <= entry["outside"][2] < 1
    assert found["scoring"]["tokens"] == {"each step once": 8 * (8 + 64), "whole text": 8 * (4 * 8 + 16 + 32 + 48 + 64)}
    assert "one by one / batched" in tables.search_table(found)


def test_ours_writes_every_token_past_a_stop_id():
    model, prompts = hash_model(), workload.prompts(2, 8, None, 257)
    tokens = Ours(model, prompts, 8).decode().tokens
    model.tokenizer.stop_ids = (int(tokens[0, 0]),)
    np.testing.assert_array_equal(Ours(model, prompts, 8).decode().tokens, tokens)
    assert tokens.shape == (2, 8)


def test_every_stage_of_the_standard_chain_is_measured():
    engine = stages.ClockedEngine(hash_model(), max_slots=1)
    switched = {name for knobs in stages.settings(engine).values() for name in knobs}
    for stage in (*STANDARD.transforms, *STANDARD.controllers):
        assert set(stage.knobs) & switched, f"no setting switches on {sorted(stage.knobs)}"
    controls = set(stages.thinking(engine)["thinking: all controls"])
    for stage in (thought_switching(), cyclic_reflection(), budget_forcing()):
        options = {name for name, knob in stage.knobs.items() if (knob.low, knob.high) == (0, 1)}
        assert set(stage.knobs) - options - {"temperature"} <= controls


def test_a_missing_peer_is_said_in_one_line(monkeypatch, tmp_path):
    said = []
    assert peers.open_peers(["llama.cpp"], None, 2, said.append) == {}
    monkeypatch.setitem(peers.PEERS, "llama.cpp", "no_such_library")
    assert peers.open_peers(["llama.cpp"], tmp_path / "x.gguf", 2, said.append) == {}
    assert "reads GGUF" in said[0] and "pip install -e '.[bench]'" in said[1]
    assert all("\n" not in line for line in said)
    with pytest.raises(InputError, match="unknown peer 'vllm'"):
        peers.open_peers(["vllm"], None, 2, said.append)


def test_tables_line_up_and_keep_every_row():
    text = tables.markdown(("a", "long name"), [("1", "x"), ("22", "y")])
    assert text.splitlines() == ["| a  | long name |", "| -- | --------- |", "| 1  | x         |", "| 22 | y         |"]
    assert tables.spread((1.0, 0.5, 2.25)) == "1.00 (0.50 … 2.25)"


def bench(*arguments):
    command = [sys.executable, "scripts/bench.py", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_the_script_explains_itself_and_refuses_in_one_line(tmp_path):
    shown = bench("--help")
    assert "transformers and llama.cpp" in shown.stdout and "--rounds" in shown.stdout
    refused = bench("decide")
    assert refused.returncode == 2
    assert (
        "say what to do, one of decode, prefill, mixed, stages, long, forcing, search, sft, packing, all; --help"
        in refused.stderr
    )


def test_the_contest_forces_other_strings_than_the_method(smollm2):
    """It broke unseen when the method's texts got a field more, since all of it needs transformers."""
    engine = Engine(smollm2, max_slots=1)
    made = method("budget_forcing", form="s1", max_thinking=12, num_ignore=1)
    wanted = {**made.texts(engine), "max_thinking": 12, "num_ignore": 1, "temperature": 0.0}
    del wanted["forced_start"]
    found = forcing.controls(engine, 12, 1)
    phases = {name: engine.pattern(text) for name, text in zip(("thinking_start", "thinking_end"), made.delimiters, strict=True)}
    assert found == wanted | phases
    assert forcing.marks(smollm2.tokenizer).wait == smollm2.tokenizer.encode("Wait", bos=False)


def test_packing_is_credited_with_padding(monkeypatch):
    """A program whose seconds are the rows that it reads: tokens/s count the traces' tokens alone."""

    class Rows:
        def __init__(self, *arguments):
            self.losses = [1.0]

        def seconds(self, batch):
            return float(getattr(batch, "segments", np.ones((1, 2, 1))).any(-1).sum())

    monkeypatch.setattr(sft, "Trainer", Rows)
    layouts = sft.packing(random_model("tiny"), 64, 2)
    total = sum(len(one.ids) for one in sft.traces(512, 64))
    packed, _, padded = (next(e for e in layouts if e["layout"] == kind) for kind in ("packed", "bucketed", "padded"))
    assert padded["tokens_per_second"].median == total / 32 and padded["padding"] == pytest.approx(1 - total / (32 * 64))
    assert packed["over_padded"].median > 2 > padded["over_padded"].median == 1 and packed["padding"] < 0.2
    assert "| packed" in sft.packing_table(layouts)


def test_a_peer_of_training_is_timed_apart_from_the_others(monkeypatch):
    """Both peers, autocast and float32, take their step in every round, between ours; the first round is warm-up."""
    order = []

    class Told:
        def __init__(self, name):
            self.name, self.losses = name, [1.0]

        def seconds(self, batch):
            order.append(self.name)
            return 100.0 if order.count(self.name) == 1 else 2.0 if "peer" in self.name else 1.0

    monkeypatch.setattr(sft, "Trainer", lambda network, masters, dtype: Told(f"ours {dtype}"))
    monkeypatch.setattr(runs, "training_peer", lambda gguf, threads, dtype: Told(f"peer {dtype}"))
    monkeypatch.setattr(runs.importlib.util, "find_spec", lambda name: True)
    peers = {"peers": ["transformers", "transformers-f32", "llama.cpp"], "gguf": "file", "rounds": runs.ROUNDS["sft"]}
    found, text = runs._sft(random_model("tiny"), {}, SETTINGS | peers)
    assert order == ["ours float32", "ours bfloat16", "peer bfloat16", "peer float32"] * 4
    names = ["ours float32", "ours bfloat16", "transformers bfloat16", "transformers float32"]
    assert [e["program"] for e in found["steps"]] == names and all(f"| {name}" in text for name in names)
    assert [e["tokens_per_second"].median for e in found["steps"]] == [64, 64, 32, 32]
    assert [e["over"]["bfloat16"] for e in found["steps"]] == [(1, 1, 1)] * 2 + [(2, 2, 2)] * 2


def test_a_peer_of_training_is_left_out_without_a_word(monkeypatch):
    said: list[str] = []
    monkeypatch.setattr(sft, "steps", lambda model, peers, *rest: [])
    with pytest.raises(InputError, match="unknown peer 'vllm'"):
        runs.run("sft", Measured(random_model("tiny"), None), SETTINGS | {"peers": ["vllm"]}, said.append)
    runs._sft(random_model("tiny"), {}, SETTINGS | {"peers": ["transformers"], "gguf": None, "say": said.append})
    assert len(said) == 1 and said[0].startswith("transformers: left out: it needs transformers")
