"""Probes: what they read in a search and afterwards, what that costs, what they are fitted to, and exact labels."""

import dataclasses
import json
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from doubles import tiny_chat
from doubles.stepper import Stepper
from doubles.tokenizer import ByteTokenizer
from golden.models import ours, tiny

import reasoning
from reasoning.decode.engine import Engine
from reasoning.decode.requests import Request
from reasoning.errors import InputError
from reasoning.evaluation import experiment, selection
from reasoning.evaluation.finished import open_finished
from reasoning.evaluation.rollouts import read_labels
from reasoning.evaluation.verified import verify
from reasoning.models.flops import prefill_flops
from reasoning.rewards import probe
from reasoning.search.beam import Beam
from reasoning.search.driver import Searching
from reasoning.train import features
from reasoning.train.probe import train
from reasoning.train.step_ids import own
from reasoning.train.step_values import read_values

TOKENIZER = ByteTokenizer([".\n\n", "\n\nThen"])
RUN = {
    "model": "fake",
    "task": {"family": "doubles.sums", "size": 24},
    "methods": {"cot": {"method": "majority", "n": 4, "temperature": 1.0, "max_tokens": 60, "instruction": ""}},
}


def policy():
    small = {"vocab_size": TOKENIZER.size + 5, "max_position_embeddings": 512, "num_hidden_layers": 1}
    model = ours.build_from(tiny.CASES["qwen2_tied"] | small)
    return dataclasses.replace(model, tokenizer=TOKENIZER, name="policy")


def test_a_probe_reads_another_token_or_costs_more_than_one():
    model = policy()
    network, tokens = model.network, np.array(TOKENIZER.encode("Q: Why? Because."), np.int32)
    length, fed = len(tokens), []

    def forward(params, ids, positions, cache):
        fed.append(ids.shape)
        return run(params, ids, positions, cache)

    run, at = jax.jit(network.forward), jnp.arange(length)[None]
    _, cache = run(model.params, tokens[None, :-1], at[:, :-1], network.init_cache(1, 64))
    hidden, _ = run(model.params, tokens[None], at, None)
    slots = probe_slots(tokens, length, cache)
    got = probe.hidden_states(network._replace(forward=forward), model.params, slots)
    np.testing.assert_allclose(got[0], hidden[0, -1], rtol=0, atol=2e-5)
    assert fed == [(1, 1)]
    made = probe.Probe(jnp.ones(32) / 8, jnp.float32(0.5))
    wanted = 1 / (1 + np.exp(-(np.asarray(hidden[0, -1]).sum() / 8 + 0.5)))
    scorer = probe.make(model, made)
    np.testing.assert_allclose(scorer.peek(scorer.params, slots), [wanted], rtol=1e-4)


def probe_slots(tokens, length, cache):
    """As much of a `Slots` as a probe may look at."""

    @dataclasses.dataclass
    class Slots:
        tokens: object
        length: object
        cache: object

    padded = np.zeros((1, 64), np.int32)
    padded[0, :length] = tokens
    return Slots(jnp.asarray(padded), jnp.array([length]), cache)


def test_a_probe_does_not_find_a_direction():
    rng = np.random.default_rng(0)
    hidden, w = rng.standard_normal((600, 8)) * 3 + 1, np.array([2, -1, 0.5, 0, 0, 0, 0, 0])
    p = 1 / (1 + np.exp(-(hidden @ w - 1)))
    made = probe.fit(hidden[:400], (rng.random(400) < p[:400]).astype(float))
    assert np.corrcoef(np.asarray(made(jnp.asarray(hidden[400:]))), p[400:])[0, 1] > 0.97
    with pytest.raises(InputError, match="not all alike"):
        probe.fit(hidden, np.ones(600))


def step_labels(question, steps):
    """A verifier of the stepper's sums: right up to the first step that says "bad"."""
    return [not any("bad" in step for step in steps[: end + 1]) for end in range(len(steps))]


def searched(engine, scorer):
    """Rounds and total ledger of a small lookahead search; steps end after four tokens."""
    trees = []
    group = Searching(Beam(beam_width=2, rollout=1), 4, step_tokens=4, rounds=4, scorer=scorer, keep=trees.append)
    knobs = {"temperature": 1.0, "step_tokens": 4, "stop_ids": []}
    request = Request("p", tokens=TOKENIZER.encode("Q: Why?"), n=4)
    ledgers = [response.ledger for response in engine.generate([request], group=group, max_tokens=16, **knobs)]
    return trees[0]["rounds"], sum(ledgers[1:], ledgers[0])


@pytest.mark.slow
def test_a_probe_in_a_search_reads_other_states_than_afterwards_or_more_than_a_token():
    model = policy()
    engine, kernel = Engine(model, max_slots=4), jax.random.normal(jax.random.key(1), (model.config.d_model,))
    scorer = probe.make(model, probe.Probe(kernel, jnp.float32(0.1)))
    rounds, peeked = searched(engine, scorer)
    others, read = searched(engine, dataclasses.replace(scorer, peek=None))
    assert [one["parents"] for one in rounds] == [one["parents"] for one in others]
    for one, other in zip(rounds, others, strict=True):
        np.testing.assert_allclose(one["scores"], other["scores"], rtol=0, atol=1e-5)
        np.testing.assert_allclose(one["values"], other["values"], rtol=0, atol=1e-5)
    steps = sum(sum(one["wrote"]) for one in rounds)
    reads = steps + sum(wrote and not over for one in rounds for wrote, over in zip(one["wrote"], one["complete"], strict=True))
    assert peeked.scorer == reads and read.scorer == 7 + 4 * reads
    _, free = searched(engine, dataclasses.replace(scorer, flops=lambda held, new, reads: 0.0))
    one_token = [prefill_flops(model.config, end) - prefill_flops(model.config, end - 1) for end in (8, 24)]
    assert one_token[0] < (peeked.flops_generated - free.flops_generated) / reads < 1.01 * one_token[1] + 2 * model.config.d_model


def test_a_file_that_is_no_probe_scores(tmp_path):
    made = probe.Probe(jnp.arange(3.0), jnp.float32(2))
    probe.save(tmp_path / "a.npz", made)
    assert np.array_equal(probe.load(tmp_path / "a.npz").kernel, made.kernel)
    with pytest.raises(InputError, match="a probe of 3 numbers reads no hidden states of 32"):
        probe.make(policy(), made)
    (tmp_path / "b.npz").write_text("no")
    np.savez(tmp_path / "c.npz", kernel=np.zeros(3))
    np.savez(tmp_path / "d.npz", kernel=np.full(3, np.nan), bias=np.float32(0))
    for name in ("b", "c", "d", "missing"):
        with pytest.raises(InputError, match="holds no probe"):
            probe.load(tmp_path / f"{name}.npz")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A tiny policy and a run of its "responses", with exact labels."""
    path = tmp_path_factory.mktemp("probe")
    model = reasoning.load(tiny_chat.write(path / "tiny", scale=4.0), "float32")
    engine = Stepper()
    engine.model = types.SimpleNamespace(tokenizer=model.tokenizer, config=types.SimpleNamespace(vocab_size=258), source="")
    experiment.evaluate(RUN, path / "run", show=False, engine=engine)
    run = open_finished(path / "run")
    labels = verify(run, "cot", model.tokenizer, __name__)
    config = {
        "model": str(path / "tiny"), "dtype": "float32", "seed": 0, "rows": 12, "ridges": [1.0, 100.0],
        "labels": {
            "run": str(path / "run"), "label": "cot", "by": labels.stem, "values": "hard", "held_out": 0.2, "max_tokens": 200,
        },
    }  # fmt: skip
    return types.SimpleNamespace(path=path, model=model, run=run, labels=labels, config=config)


def test_exact_labels_are_of_other_steps(made):
    n, lines = read_labels(made.labels)
    records = {(one["problem"], one["sample"]): one for one in made.run.samples("cot")}
    assert n == 1 and len(lines) == sum(one["answer"] is not None for one in records.values())
    seen = set()
    for line in lines:
        text = records[line["problem"], line["sample"]]["text"]
        steps = text.split("\n\n")
        assert line["right"] == [int("bad" not in "".join(steps[: end + 1])) for end in range(len(line["ends"]))]
        seen |= set(line["right"])
    assert seen == {0, 1}
    with pytest.raises(InputError, match="verifies no steps"):
        verify(made.run, "cot", made.model.tokenizer, "oracle")
    with pytest.raises(InputError, match="verifies no steps"):
        verify(made.run, "cot", made.model.tokenizer, "no.such")
    with pytest.raises(InputError, match="has no method 'typo'; choose from cot"):
        verify(made.run, "typo", made.model.tokenizer, __name__)


def test_what_responses_share_is_read_as_something_else(made):
    valued, n = read_values(made.run, "cot", made.labels.stem, own(made.run, "cot", made.model), "hard", 200)
    groups = features.groups_of(valued, 12)
    assert n == 1 and [one for group in groups for problem in group for one in problem] == valued
    reader, network = features.Reader(made.model, groups), made.model.network
    forward = jax.jit(lambda ids: network.forward(made.model.params, ids, jnp.arange(ids.shape[1])[None], None)[0][0])
    for group in (groups[0], groups[-1]):
        for one, states in zip([one for problem in group for one in problem], reader(group), strict=True):
            whole = np.asarray(forward(np.pad(one.example.ids, (0, 200 - len(one.example.ids)))[None]))
            np.testing.assert_allclose(states, whole[np.flatnonzero(one.example.loss)], rtol=0, atol=1e-4)


def test_a_probe_learns_nothing_or_begins_anew(made, monkeypatch):
    report = train(made.config, made.path / "fitted", show=False)
    assert report["held out"]["auroc"] > 0.7 and report["responses"]["held out"] > 0
    whole = (made.path / "fitted" / "probe.npz").read_bytes()
    read = features.Reader.__call__
    calls = []

    def dies(self, group):
        calls.append(group)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return read(self, group)

    monkeypatch.setattr(features.Reader, "__call__", dies)
    with pytest.raises(KeyboardInterrupt):
        train(made.config, made.path / "killed", show=False)
    assert train(made.config, made.path / "killed", show=False) == report
    assert (made.path / "killed" / "probe.npz").read_bytes() == whole
    assert len(calls) == 1 + len(list((made.path / "fitted" / "features").iterdir()))
    with pytest.raises(InputError, match="no other field"):
        train({**made.config, "steps": 1}, made.path / "other", show=False)
    with pytest.raises(InputError, match="another config"):
        train({**made.config, "rows": 4}, made.path / "killed", show=False)


@pytest.mark.slow
def test_a_fitted_probe_cannot_be_named_for_a_finished_pool(made):
    train(made.config, made.path / "named", show=False)
    spec = {"kind": "probe", "path": str(made.path / "named" / "probe.npz")}
    engine = types.SimpleNamespace(model=dataclasses.replace(made.model, source=""))
    monitored = selection.score(made.path / "run", "cot", spec, engine, show=False)
    lines = [json.loads(line) for line in monitored.read_text().splitlines()][1:]
    valued, _ = read_values(made.run, "cot", made.labels.stem, own(made.run, "cot", made.model), "hard", 200)
    groups = features.groups_of(valued, 12)
    reader, judged = features.Reader(made.model, groups), probe.load(spec["path"])
    wanted = {one.example.id: np.asarray(judged(states)) for group in groups
              for one, states in zip([one for problem in group for one in problem], reader(group), strict=True)}  # fmt: skip
    checked = [line for line in lines if f"{line['problem']}/{line['sample']}" in wanted]
    for line in checked:
        np.testing.assert_allclose(line["scores"], wanted[f"{line['problem']}/{line['sample']}"], rtol=0, atol=1e-4)
    assert len(checked) == len(valued) and monitored.stem == "probe"
