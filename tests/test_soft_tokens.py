"""Soft tokens: the gradient is the loss's, vectors stay as short as embeddings, and the engine reads them as the network does."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from doubles import tiny_chat
from doubles.config_files import read, resolve
from doubles.fake_engine import FakeEngine

import reasoning
from reasoning.data.tasks import load_task
from reasoning.decode.engine import STANDARD, Engine
from reasoning.errors import InputError
from reasoning.evaluation.attacks import soft_training
from reasoning.evaluation.experiment import build_task
from reasoning.methods.base import method
from reasoning.methods.robustness import soft_tokens
from reasoning.methods.robustness.gradient import Example, batch_of, loss, make_step, mean_norm, projected
from reasoning.methods.robustness.soft_tokens import FIRST, SoftTokenizer, extended, words
from reasoning.records import read_lines

ROOT = Path(__file__).parent.parent
SIZE = 3
DEFENDER = {
    "method": "budget_forcing",
    "form": "prompt",
    "instruction": "",
    "max_tokens": 20,
    "answer_tokens": 4,
    "max_thinking": 8,
}
CONFIG = {
    "model": "tiny", "dtype": "", "max_slots": None, "seed": 0, "defender": DEFENDER, "ambiguous": False,
    "task": {"family": "arithmetic", "op": "add", "goal": "plus_one", "split": "held_out", "size": 6, "demonstrations": 0},
    "soft": {"tokens": SIZE, "steps": 12, "learning_rate": 0.3, "batch": 6, "project_every": 2, "snapshots": [4, 12]},
}  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return reasoning.load(str(tiny_chat.write(tmp_path_factory.mktemp("tiny") / "model")), dtype="float32")


@pytest.fixture(scope="module")
def engine(model):
    return Engine(model, max_slots=3)


class Thinker(FakeEngine):
    """Samples thoughts without a model, in the tokens of the tiny one."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def respond(self, request, sample, max_tokens, temperature):
        tokenizer, given = self.model.tokenizer, super().respond(request, sample, max_tokens, temperature)
        tokens = np.array([*tokenizer.encode(given.text, bos=False), tokenizer.stop_ids[0]], np.int32)
        return dataclasses.replace(given, tokens=tokens, forced=np.zeros(len(tokens), bool), stop_reason="stop")


@pytest.fixture(scope="module")
def thinker(model):
    return Thinker(model)


@pytest.fixture(scope="module")
def trained(thinker, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("soft")
    return soft_training.train(CONFIG, workdir, engine=thinker, show=False)


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(0)
    examples = [
        Example((5, 6, 7), tuple(rng.integers(0, 200, n).tolist()), tuple(rng.integers(0, 200, m).tolist()))
        for n, m in ((4, 3), (6, 5), (5, 1))
    ]
    return batch_of(examples, SIZE, 24, 8)


@pytest.fixture(scope="module")
def start(model):
    return jnp.asarray(np.random.default_rng(1).standard_normal((SIZE, model.config.d_model)), jnp.float32)


@pytest.fixture(scope="module")
def measured(model):
    """(soft, batch) → (loss, gradient), compiled once."""
    found = jax.jit(jax.value_and_grad(lambda soft, params, batch: loss(model.network, params, soft, batch)))
    return lambda soft, batch: found(soft, model.params, batch)


def test_gradient_is_another_one_than_that_of_finite_differences(measured, batch, start):
    gradient = np.asarray(measured(start, batch)[1])
    assert np.abs(gradient).min() > 0, "every number of every vector is read"
    rng = np.random.default_rng(2)
    for _ in range(6):
        direction = rng.standard_normal(start.shape).astype(np.float32)
        step = 1e-2
        there = {s: float(measured(start + s * direction, batch)[0]) for s in (step, -step, 2 * step, -2 * step)}
        near, far = (there[s] - there[-s] for s in (step, 2 * step))
        slope = (8 * near - far) / (12 * step)  # without the third derivative
        assert slope == pytest.approx(float((gradient * direction).sum()), rel=0.01, abs=1e-4)


def test_padding_or_a_neighbour_changes_the_loss(measured, batch, start):
    """The mean over target tokens is that of each example among copies of itself, with other ids in the padding."""
    alone, counts, rng = [], np.asarray(batch.weight).sum(1), np.random.default_rng(3)
    for row in range(3):
        one = jax.tree.map(lambda leaf, row=row: jnp.repeat(leaf[row : row + 1], 3, 0) if leaf.ndim else leaf, batch)
        behind = int(np.asarray(batch.places)[row, int(counts[row]) - 1]) + 2
        tokens = np.asarray(one.tokens).copy()
        tokens[:, behind:] = rng.integers(0, 200, tokens[:, behind:].shape)
        alone.append(float(measured(start, one._replace(tokens=jnp.asarray(tokens)))[0]))
    assert len(set(alone)) == 3
    together = float(measured(start, batch)[0])
    assert together == pytest.approx(float((np.array(alone) * counts).sum() / counts.sum()), rel=1e-5)


def test_loss_with_embeddings_of_words_is_not_that_of_the_words(model, measured, batch):
    """Vectors that are the embeddings of ids give the reference forward pass of these ids."""
    ids = np.array([40, 50, 60])
    soft = jnp.asarray(np.asarray(model.params["embed"]["embedding"])[ids])
    tokens = np.asarray(batch.tokens).copy()
    tokens[:, 3:6] = ids
    chances = jax.nn.log_softmax(model.logits(jnp.asarray(tokens)))
    said = [
        -float(chances[row, place, target])
        for row in range(3)
        for place, target, weight in zip(*(np.asarray(part)[row] for part in batch[2:]), strict=True)
        if weight
    ]
    assert float(measured(soft, batch)[0]) == pytest.approx(np.mean(said), rel=1e-5)


def test_vectors_grow_without_bound_or_are_shortened_too_often(model, batch, start):
    norm = mean_norm(model.network, model.params, np.arange(200, dtype=np.int32))
    table = np.asarray(model.params["embed"]["embedding"])[:200]
    assert norm == pytest.approx(np.linalg.norm(table, axis=1).mean(), rel=1e-5)
    short = jnp.full((2, 4), 0.1)
    np.testing.assert_array_equal(projected(short, jnp.float32(1.0)), short)
    np.testing.assert_allclose(jnp.linalg.norm(projected(50 * start, jnp.float32(norm)), axis=-1), norm, rtol=1e-5)
    optimiser = optax.adam(1.0)
    shallow = model.network._replace(embedded=lambda params, x, positions, cache: (jnp.cumsum(x, 1), None))  # compiles at once
    step, soft, state, lengths = make_step(shallow, optimiser, 3), start, optimiser.init(start), []
    for number in range(6):
        soft, state, _ = step(model.params, soft, state, jnp.int32(number), jnp.float32(norm), batch)
        lengths.append(float(jnp.linalg.norm(soft, axis=-1).max()))
    assert [length <= norm * 1.00001 for length in lengths] == [False, False, True, False, False, True]


def test_training_does_not_learn_or_a_snapshot_is_another_step(trained, model):
    early, late = (soft_tokens.read(path) for path in trained)
    assert early.shape == late.shape == (SIZE, model.config.d_model) and (early != late).any()
    losses = read_lines(trained[0].parent / "losses.jsonl")[0]
    assert [line["step"] for line in losses] == list(range(12))
    assert losses[-1]["loss"] < losses[0]["loss"] - 0.02, "every batch is all examples"
    assert soft_training.train(CONFIG, trained[0].parent) == trained, "nothing is loaded when nothing is missing"


def test_target_forgets_the_thought_or_keeps_its_answer(model, thinker):
    for text, end, wanted in (
        ("30 + 50 = 80\nAnswer: 95", "Answer:", "30 + 50 = 80\nAnswer: 96"),
        ("no end", "Answer:", "Answer: 96"),
        ("<think>so 95</think>\n\nFinal Answer: 95", "</think>", "<think>so 95</think>\n\nAnswer: 96"),
        ("95", "", "Answer: 96"),
    ):
        assert soft_training.persuaded(text, end, "96") == wanted
    task = load_task("arithmetic", size=2, goal="plus_one")
    one = method("robustness", defender=DEFENDER)
    first, second = (next(iter(one.generate(thinker, [problem]))) for problem in task.problems)
    made = [soft_training.example(one, model, p, r, SIZE) for p, r in zip(task.problems, (first, second), strict=True)]
    assert made[0].before == made[1].before and made[0].after != made[1].after
    assert made[0].target[-1] == model.tokenizer.stop_ids[0] == first.tokens[-1]
    text = model.tokenizer.decode(made[0].before) + "|" + model.tokenizer.decode(made[0].after)
    assert f"{one.span.marks[0]}\n|\n{one.span.marks[1]}" in text and text.endswith("<|im_start|>assistant\n")
    assert model.tokenizer.decode(made[0].target, skip_special=True).endswith(
        f"Answer: {task.problems[0].metadata['target']['goal']}"
    )


@pytest.mark.slow
def test_engine_reads_other_vectors_than_the_network(engine, model, trained):
    """Greedy samples of the engine are those of a loop over the network, whatever ran before; no soft word is ever said."""
    task = load_task("arithmetic", size=2, goal="plus_one")
    defender = {"method": "direct", "instruction": "", "max_tokens": 6}
    found = {}
    for path in trained:
        one = method("robustness", attack={"kind": "soft_tokens", "path": str(path)}, defender=defender)
        one = dataclasses.replace(one, chain=STANDARD)  # compiles faster
        found[path] = {response.id: response.tokens.tolist() for response in one.generate(engine, task.problems)}
        vectors, tokenizer = soft_tokens.read(path), SoftTokenizer(model.tokenizer, model.config.vocab_size)
        for request in one.requests(task.problems):
            ids = tokenizer.encode_chat(request.messages)
            assert [i - model.config.vocab_size for i in ids if i >= model.config.vocab_size] == [0, 1, 2]
            for said in found[path][request.id]:
                plain = jnp.asarray([min(i, model.config.vocab_size - 1) for i in ids])[None]
                x = model.network.embed(model.params, plain)
                place = ids.index(model.config.vocab_size)
                x = x.at[0, place : place + SIZE].set(vectors)
                hidden, _ = model.network.embedded(model.params, x, jnp.arange(len(ids))[None], None)
                assert said == int(jnp.argmax(model.network.head(model.params, hidden[:, -1])[0]))
                ids.append(said)
    own = soft_tokens._ENGINES[engine]
    assert len(own) == 1 and all(
        token < model.config.vocab_size for one in found.values() for ids in one.values() for token in ids
    )


def test_untied_head_or_scaled_embedding_is_forgotten(model):
    vectors = np.ones((2, model.config.d_model), np.float32)
    scaled = dataclasses.replace(model, config=dataclasses.replace(model.config, embed_scale=4.0))
    assert extended(scaled, vectors).params["embed"]["embedding"][-1, 0] == 0.25
    head = {"head": {"kernel": model.params["embed"]["embedding"] * 2}}
    untied = dataclasses.replace(
        model, config=dataclasses.replace(model.config, tie_embeddings=False), params={**model.params, **head}
    )
    wide = extended(untied, vectors)
    tokens = jnp.asarray([[1, 2, model.config.vocab_size]])
    assert wide.logits(tokens).shape[-1] == model.config.vocab_size + 2
    np.testing.assert_array_equal(
        wide.logits(tokens)[:, :2, : model.config.vocab_size], untied.logits(tokens[:, :2])[..., : model.config.vocab_size]
    )


def test_missing_damaged_or_foreign_vectors_escape(tmp_path, engine, trained):
    task = load_task("arithmetic", size=1, goal="plus_one")

    def run(path):
        one = method(
            "robustness", attack={"kind": "soft_tokens", "path": str(path)}, defender={"method": "direct", "max_tokens": 4}
        )
        one.check(engine, task.problems)

    with pytest.raises(InputError, match="no such file of soft tokens; write it with scripts/train_soft_tokens.py"):
        run(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("no arrays")
    with pytest.raises(InputError, match="holds no soft tokens"):
        run(tmp_path / "text.npz")
    np.savez(tmp_path / "wide.npz", soft=np.ones((2, 7), np.float32))
    with pytest.raises(InputError, match="soft tokens of 7 numbers do not fit a model of 16"):
        run(tmp_path / "wide.npz")
    np.savez(tmp_path / "nan.npz", soft=np.full((2, 16), np.nan, np.float32))
    with pytest.raises(InputError, match="no finite float32 vectors"):
        run(tmp_path / "nan.npz")
    (tmp_path / "cut.npz").write_bytes(trained[0].read_bytes()[:-40])
    with pytest.raises(InputError, match="holds no soft tokens"):
        run(tmp_path / "cut.npz")
    assert ord(words(2)[1]) == FIRST + 1
    with pytest.raises(InputError, match="there may be 1 to 4096 soft tokens"):
        words(0)


def test_vectors_attack_for_another_goal_or_under_another_rule(tmp_path, trained):
    assert soft_tokens.purpose(trained[0]) == {"goal": "the correct result plus 1", "rule": "clear", "op": "add"}
    old = tmp_path / "old.npz"
    np.savez(old, soft=soft_tokens.read(trained[0]))

    def asked(path, goal="plus_one", ambiguous=False, op="add"):
        attack = {"kind": "soft_tokens", "path": str(path)}
        one = method("robustness", attack=attack, defender={"method": "direct"}, ambiguous=ambiguous)
        return one.requests(load_task("arithmetic", size=1, goal=goal, op=op).problems)

    assert asked(trained[1]) and asked(trained[1], op="mul"), "other problems are a question of their own"
    with pytest.raises(InputError, match="trained for the goal 'the correct result plus 1', and the attack has '.* times 7'"):
        asked(trained[1], goal="times_seven")
    with pytest.raises(InputError, match="trained for the rule 'clear', and the attack has 'ambiguous'; train soft"):
        asked(trained[1], ambiguous=True)
    assert asked(old, goal="times_seven", ambiguous=True), "a file that does not say what it is for is still read"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"soft": {**CONFIG["soft"], "steps": 0}}, "soft.steps must be a whole number ≥ 1, got 0"),
        ({"soft": {**CONFIG["soft"], "snapshots": [13]}}, "soft.snapshots are steps from 1 to 12"),
        ({"soft": {**CONFIG["soft"], "learning_rate": 0.0}}, "soft.learning_rate must be above 0"),
        ({"soft": {"tokens": 3}}, "soft needs the fields"),
        ({"task": {**CONFIG["task"], "goal": ""}}, "has no goal; use the task 'arithmetic' with goal"),
        ({"extra": 1}, "has an unknown key 'extra'"),
    ],
)
def test_wrong_setting_reaches_the_model(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        soft_training.train({**CONFIG, **change}, tmp_path)


def test_config_is_refused_or_trains_on_test_problems():
    config = resolve(f"--config={ROOT}/configs/soft_tokens.py:op=mul,tokens=4,steps=10", "--config.soft.batch=2")
    assert soft_training.check(config)["snapshots"] == [2, 10] and config["soft"]["batch"] == 2
    held = {one.id for one in build_task(config).problems}
    grid = resolve(f"--config={ROOT}/configs/robustness.py:attack=soft_tokens,op=mul,amounts=2-10,rules=clear")
    assert not held & {one.id for one in build_task(grid).problems}
    assert all(path.stem in {"soft-2", "soft-10"} for path in attacks(grid))
    for sweep in read(ROOT / "configs" / "soft_tokens.py").get_sweep():
        arguments = [f"--{name}={value}" for name, value in sweep.items()]
        soft_training.check(resolve(f"--config={ROOT}/configs/soft_tokens.py", *arguments))


def test_vectors_of_one_rule_attack_the_span_of_another():
    config = read(ROOT / "configs" / "robustness.py").get_config
    both = config("attack=soft_tokens,amounts=10,soft=a+b")
    paths = {label: one["attack"].get("path", "") for label, one in both["methods"].items()}
    assert all(path in ("", f"{'ab'[label.startswith('ambiguous')]}/soft-10.npz") for label, path in paths.items())
    assert {path for path in paths.values() if path} == {"a/soft-10.npz", "b/soft-10.npz"}
    with pytest.raises(InputError, match="soft names 1 and rules=both needs 2: choose rules=clear or ambiguous, or soft=runs"):
        config("attack=soft_tokens")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("op=asdiv", "the config has no op 'asdiv'; choose from add, mul"),
        ("size=7b", "the config has no size '7b'; choose from 0.5b, 1.5b"),
        ("goal=43", "the config has no goal '43'; choose from 42, plus_one, times_seven"),
    ],
)
def test_argument_of_the_config_is_a_key_error(text, message):
    with pytest.raises(InputError, match=message):
        read(ROOT / "configs" / "soft_tokens.py").get_config(text)


def attacks(config):
    """Files of the soft tokens that a config attacks with."""
    return [Path(one["attack"]["path"]) for one in config["methods"].values() if one["attack"]["kind"] == "soft_tokens"]


def test_examples_that_begin_differently_share_a_place():
    with pytest.raises(InputError, match="all examples must begin alike up to the soft tokens"):
        batch_of([Example((1, 2), (3,), (4,)), Example((1, 3), (3,), (4,))], 2, 16, 4)
    with pytest.raises(InputError, match="an example of 6 tokens with 1 of a target exceeds 5 and 4"):
        batch_of([Example((1, 2), (3,), (4,))], 2, 5, 4)
