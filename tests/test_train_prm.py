"""Training of a process reward model: it learns what its labels say, its file is read as it was trained, a kill is harmless."""

import copy
import dataclasses
import json
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from doubles import tiny_chat
from doubles.stepper import Stepper

import reasoning
from reasoning.errors import InputError
from reasoning.evaluation import experiment, selection
from reasoning.evaluation.finished import open_finished
from reasoning.evaluation.rollouts import label
from reasoning.evaluation.verified import verify
from reasoning.records import dumps
from reasoning.rewards.formats import reader
from reasoning.rewards.labels import first_error, hard
from reasoning.rewards.loss import logit
from reasoning.rewards.prm import scorer
from reasoning.train import prm, step_ids, step_values
from reasoning.weights.export import flat

pytestmark = pytest.mark.slow

RUN = {
    "model": "fake",
    "task": {"family": "doubles.sums", "size": 24},
    "methods": {"cot": {"method": "majority", "n": 4, "temperature": 1.0, "max_tokens": 60, "instruction": ""}},
}
CONFIG = {
    "model": "", "format": "own", "seed": 0, "epochs": 12, "every": 24, "patience": 3, "export_dtype": "float32",
    "labels": {"run": "", "label": "cot", "by": 4, "judge": "", "values": "hard", "held_out": 0.2, "max_tokens": 200},
    "batches": {"layout": "packed", "examples": 16, "rows": 2},
    "optimizer": {
        "name": "adamw", "learning_rate": 1e-2, "schedule": "constant", "warmup": 0.0, "b1": 0.9, "b2": 0.95, "eps": 1e-8,
        "weight_decay": 0.0, "clip": 1.0, "momentum": 0.95,
    },
    "step": {"compute_dtype": "", "remat": "none"},
}  # fmt: skip


def step_labels(question, steps):
    """A judge of the stepper's sums: right up to the first step that says "bad"."""
    return [not any("bad" in step for step in steps[: end + 1]) for end in range(len(steps))]


class Bytes(Stepper):
    """The stepper with the tokenizer of a model that can be trained."""

    def __init__(self, tokenizer, **options):
        super().__init__(**options)
        self.model = types.SimpleNamespace(tokenizer=tokenizer, config=types.SimpleNamespace(vocab_size=258), source="")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A tiny policy, a labelled run of its "responses", and a reward model trained on them."""
    path = tmp_path_factory.mktemp("prm")
    policy = reasoning.load(tiny_chat.write(path / "tiny"), "float32")
    experiment.evaluate(RUN, path / "run", show=False, engine=Bytes(policy.tokenizer))
    label(open_finished(path / "run"), "cot", Bytes(policy.tokenizer), n=4, show=False)
    config = copy.deepcopy(CONFIG) | {"model": str(path / "tiny")}
    config["labels"]["run"] = str(path / "run")
    assert prm.train(config, path / "whole", show=False)
    run = open_finished(path / "run")
    spell = step_ids.own(run, "cot", policy)
    return types.SimpleNamespace(path=path, policy=policy, config=config, run=run, spell=spell)


def test_mistakes_are_not_learnt(made):
    found = [json.loads(line)["scores"] for line in (made.path / "whole" / "evaluations.jsonl").read_text().splitlines()]
    assert found[-1]["held_out/auroc"] > 0.9 and found[-1]["held_out/loss"] < 0.5
    steps = [json.loads(line) for line in (made.path / "whole" / "metrics.jsonl").read_text().splitlines()]
    assert all(line["tokens_per_second"] > 0 for line in steps)


def test_the_written_model_scores_other_tokens_than_it_was_trained_on(made):
    """Trained in packed rows, read step by step with a cache: the same numbers, and votes that find the right answers."""
    model = reasoning.load(made.path / "whole" / "model", "float32")
    spec = {"kind": "prm", "format": "own", "model": str(made.path / "whole" / "model"), "dtype": "float32"}
    about = {"tokenizer": made.policy.tokenizer, "config": made.policy.config, "mesh": None, "source": "", "name": ""}
    engine = types.SimpleNamespace(model=types.SimpleNamespace(**about))
    selection.score(made.path / "run", "cot", spec, engine, show=False)
    lines = [json.loads(line) for line in (made.path / "run/cot/scores/prm-own.jsonl").read_text().splitlines()][1:]
    incremental = {(line["problem"], line["sample"]): line["scores"] for line in lines}
    valued, _ = step_values.read_values(made.run, "cot", 4, made.spell, "hard", 200)
    batches = step_values.ValueBatches(valued[:4], prm.Layout("padded", 4, 4))
    batch = next(batches)
    scores = step_values.make_scores(model.network)(model.params, type(batch)(*(jnp.asarray(leaf[0]) for leaf in batch)))
    for one in valued[:4]:
        problem, sample = one.example.id.split("/")
        row = next(r for r in range(4) if np.array_equal(batch.tokens[0, r, : len(one.example.ids)], one.example.ids))
        ends = np.flatnonzero(one.example.loss)
        wanted = 1 / (1 + np.exp(-np.asarray(scores)[row, ends, 0]))
        np.testing.assert_allclose(incremental[problem, int(sample)], wanted, rtol=0, atol=1e-4)
    rows = {(row.label, row.samples): row.accuracy.value for row in selection.rows(made.run, "cot", "prm-own")}
    assert rows["best-of-N, last", 4] > rows["majority", 4] + 0.1


@pytest.mark.parametrize("name", ["skywork", "trl"])
def test_a_format_is_trained_on_other_ids_than_it_is_read_in(made, name, tmp_path, monkeypatch):
    """Question and steps as text, without the policy's prompt: laid out as the scorer is fed, and learnt."""
    monkeypatch.setattr(prm, "load_tokenizer", lambda path: made.policy.tokenizer)
    config = made.config | {"format": name}
    assert prm.train(config, tmp_path / "judge", show=False)
    found = [json.loads(line)["scores"] for line in (tmp_path / "judge" / "evaluations.jsonl").read_text().splitlines()]
    assert found[-1]["held_out/auroc"] > 0.9
    judge = reasoning.load(tmp_path / "judge" / "model", "float32")
    how = reader(judge, name)
    spell = step_ids.anew(made.run, how, made.policy.tokenizer)
    valued, _ = step_values.read_values(made.run, "cot", 4, spell, "hard", 200)
    about = {"tokenizer": made.policy.tokenizer, "config": made.policy.config, "mesh": None, "source": "", "name": ""}
    engine = types.SimpleNamespace(model=types.SimpleNamespace(**about))
    spec = {"kind": "prm", "format": name, "model": str(tmp_path / "judge" / "model"), "dtype": "float32", "name": f"as-{name}"}
    path = selection.score(made.path / "run", "cot", spec, engine, show=False)
    lines = [json.loads(line) for line in path.read_text().splitlines()][1:]
    incremental = {(line["problem"], line["sample"]): line["scores"] for line in lines}
    scores = step_values.make_scores(judge.network)
    for one in valued[:4]:
        problem, sample = one.example.id.split("/")
        assert made.policy.tokenizer.decode(one.example.ids.tolist()).startswith(made.run.problems[problem].question)
        batch = next(step_values.ValueBatches([one], prm.Layout("padded", 1, 1)))
        states = scores(judge.params, type(batch)(*(jnp.asarray(leaf[0]) for leaf in batch)))[0, one.example.loss.nonzero()[0]]
        wanted = jax.nn.sigmoid(logit(states))
        np.testing.assert_allclose(incremental[problem, int(sample)], wanted, rtol=0, atol=1e-4)


def test_a_model_is_read_in_another_format_than_it_was_trained_in(made):
    engine = types.SimpleNamespace(model=made.policy)
    with pytest.raises(InputError, match="was trained in the format 'own', and is to be read in 'skywork'; use format=own"):
        scorer(engine, str(made.path / "whole" / "model"), "skywork")


def test_ids_of_another_tokenizer_are_learnt_as_if_they_were_the_models(made, tmp_path):
    other = copy.copy(made.policy.tokenizer)
    other.decode = lambda ids: "".join(chr(97 + token % 26) for token in ids)
    with pytest.raises(InputError, match="is not the one that wrote 'cot'.*or a format that reads text"):
        prm.train(made.config, tmp_path / "new", show=False, model=dataclasses.replace(made.policy, tokenizer=other))


def test_a_killed_training_ends_with_other_weights(made, monkeypatch):
    asked = prm.Stop.asked
    monkeypatch.setattr(prm.Stop, "asked", lambda self, step, now=False: step == 7)
    assert not prm.train(made.config, made.path / "killed", show=False)
    monkeypatch.setattr(prm.Stop, "asked", asked)
    assert prm.train(made.config, made.path / "killed", show=False)
    whole, killed = (flat(reasoning.load(made.path / name / "model", "float32").params) for name in ("whole", "killed"))
    assert all(np.array_equal(leaf, killed[path]) for path, leaf in whole.items())


def test_a_trained_reward_model_is_taught_from_a_new_head(made, tmp_path):
    config = made.config | {"model": str(made.path / "whole" / "model"), "epochs": 1, "every": 1}
    config["optimizer"] = config["optimizer"] | {"learning_rate": 1e-6}
    assert prm.train(config, tmp_path / "more", show=False)
    losses = [
        [json.loads(line)["scores"]["held_out/loss"] for line in (path / "evaluations.jsonl").read_text().splitlines()]
        for path in (tmp_path / "more", made.path / "whole")
    ]
    assert losses[0][0] == pytest.approx(min(losses[1]), abs=0.01)


def test_values_stand_beside_the_ends_of_steps(made):
    soft, _ = step_values.read_values(made.run, "cot", 4, made.spell, "soft", 200)
    hard, _ = step_values.read_values(made.run, "cot", 4, made.spell, "hard", 200)
    assert {one.problem for one in soft} == {one.problem for one in hard} and len(soft) == len(hard)
    for one, other in zip(soft, hard, strict=True):
        ends = np.flatnonzero(one.example.loss)
        text = [made.policy.tokenizer.decode(one.example.ids[: end + 1].tolist()) for end in ends]
        bad = np.array(["bad" in part for part in text])
        assert not one.right.ids[ends][bad].any() and set(other.right.ids[ends]) <= {0, 4}
        assert not np.delete(one.right.ids, ends).any()
    batch = next(step_values.ValueBatches(soft, prm.Layout("packed", 16, 2)))
    assert batch.right.shape == batch.tokens.shape and not batch.right[~batch.loss].any() and batch.right.any()


def test_a_response_is_learnt_of_which_a_judge_says_otherwise_or_nothing(made):
    """Endings find a wrong answer behind right steps, the judge does not: a consensus drops these, no others."""
    judged = verify(made.run, "cot", made.policy.tokenizer, __name__)
    lines = judged.read_bytes().splitlines(keepends=True)
    others = {(line["problem"], line["sample"]): line["right"] for line in map(json.loads, lines[1:-1])}
    judged.write_bytes(b"".join(lines[:-1]))  # of the last response the judge says nothing
    of = lambda values, judge: step_values.read_values(made.run, "cot", 4, made.spell, values, 200, judge)  # noqa: E731
    plain, n = of("hard", "")
    agreed, count = of("consensus", judged.stem)
    assert n == count == 4
    wanted = []
    for one in plain:
        problem, sample = one.example.id.split("/")
        ours = (one.right.ids[one.example.loss] > 0).tolist()
        assert ours == hard(ours)
        verdicts = others.get((problem, int(sample)))
        if verdicts is not None and first_error(ours) == first_error(verdicts):
            wanted.append(one)
    assert [one.example.id for one in agreed] == [one.example.id for one in wanted] and 0 < len(agreed) < len(plain) - 1
    for one, other in zip(agreed, wanted, strict=True):
        assert np.array_equal(one.right.ids, other.right.ids) and np.array_equal(one.example.ids, other.example.ids)
    with pytest.raises(InputError, match="a consensus, and nothing else, needs a second file"):
        of("soft", judged.stem)
    with pytest.raises(InputError, match="a consensus, and nothing else, needs a second file"):
        of("consensus", 4)
    coarse = verify(made.run, "cot", made.policy.tokenizer, __name__, separator="Answer")
    with pytest.raises(InputError, match=r"is labelled at the steps \[.*\] and judged at \[.*\]; label twice"):
        of("consensus", coarse.stem)
    opposed = [line | {"right": [0 if one else 1 for one in line["right"]]} for line in map(json.loads, lines[1:])]
    coarse.write_bytes(b"".join([lines[0], *map(dumps, opposed)]))
    with pytest.raises(InputError, match="agree on no response of at most 200 tokens"):
        of("consensus", coarse.stem)


def test_training_goes_on_behind_its_best_model_or_exports_another(made, tmp_path, monkeypatch):
    """Held-out losses that fall for three steps and rise for three: the run ends there, with the weights of the third step."""
    losses, seen = iter([3.0, 2.0, 1.0, 1.5, 1.2, 1.1]), []

    def measure(scores, params, *_):
        seen.append({path: np.array(leaf) for path, leaf in flat(params).items()})
        return {"held_out/loss": next(losses)}

    monkeypatch.setattr(prm, "measure", measure)
    config = made.config | {"every": 1, "epochs": 2}
    for _ in range(2):  # what is over stays so when it is started again
        assert prm.train(config, tmp_path / "early", show=False)
        assert len(seen) == 6
    steps = [json.loads(line)["step"] for line in (tmp_path / "early" / "metrics.jsonl").read_text().splitlines()]
    assert max(steps) == 6 < 2 * 5
    found = flat(reasoning.load(tmp_path / "early" / "model", "float32").params)
    same = [all(np.array_equal(leaf, found[path]) for path, leaf in params.items()) for params in seen]
    assert found.keys() == seen[0].keys() and same == [False, False, True, False, False, False]


def test_a_response_of_a_held_out_question_is_learnt(made):
    valued, _ = step_values.read_values(made.run, "cot", 4, made.spell, "soft", 200)
    learnt, held = prm.split(valued, 0.2, 0)
    assert len(learnt) + len(held) == len(valued)
    assert not {one.problem for one in learnt} & {one.problem for one in held}
    assert len({one.problem for one in held}) == 5
    with pytest.raises(InputError, match="leaves 24 of 24 questions held out"):
        prm.split(valued, 1.0, 0)


def test_training_goes_on_when_it_only_gets_worse():
    assert prm.over([3.0, 2.0, 2.1, 2.2, 2.3], 3) and not prm.over([3.0, 2.0, 2.1, 2.2, 1.9], 3) and not prm.over([1.0, 2.0], 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"patience": 0}, "patience must be a whole number"),
        ({"labels": {**CONFIG["labels"]}}, "names no run with labels"),
        ({"steps": 3}, "unknown key steps"),
        ({"values": "some"}, "values are one of soft, hard, consensus"),
        ({"values": "consensus"}, "a consensus, and nothing else, needs a second file"),
        ({"values": "consensus", "judge": "nobody"}, "nobody.jsonl is missing"),
        ({"by": 5}, "5.jsonl is missing; scripts/label.py makes it"),
        ({"max_tokens": 3}, "labels no response of at most 3 tokens"),
        ({"format": "rlhflow"}, "format is one with a score head, qwen_math, skywork, trl, own; got 'rlhflow'"),
    ],
)
def test_a_wrong_configuration_trains(made, tmp_path, change, message):
    config = copy.deepcopy(made.config)
    part = config["labels"] if change.keys() <= config["labels"].keys() else config
    part |= change
    with pytest.raises(InputError, match=message):
        prm.train(config, tmp_path / "new", show=False, model=made.policy)
