"""Scorers of finished responses against a few lines of numpy on one forward pass, and what they cost."""

import dataclasses
import itertools
import types

import jax.numpy as jnp
import numpy as np
import pytest
from doubles.models import hash_model
from doubles.tokenizer import ByteTokenizer
from golden.models import ours, tiny

from reasoning.errors import InputError
from reasoning.models.flops import head_flops, prefill_flops
from reasoning.rewards import checker, confidence, form, judges, length, loss, oracle, outcome, prm, responses
from reasoning.rewards.responses import Candidate, of_scorer, spell
from reasoning.rewards.steps import step_ends
from reasoning.weights import load

TOKENIZER = ByteTokenizer([".\n\n", "\n\nThen"])
STOP = TOKENIZER.stop_ids[0]


def candidate(text, sample=0, stop=True, **changes):
    ids = TOKENIZER.encode(text) + [STOP] * stop
    one = Candidate(
        "p", sample, "Why?", "4", tuple(TOKENIZER.encode("Q: Why?")), tuple(ids), text, None, len(ids), -2.0 * len(ids)
    )
    return dataclasses.replace(one, **changes)


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("Add.\n\nSo 5.", ["Add.\n\n", "So 5.<stop>"]),
        ("Add.\n\n\n\nSo 5.\n\n", ["Add.\n\n", "\n\nSo 5.\n\n<stop>"]),  # an end after an end, and blanks behind the last one
        ("\n\nAdd\n\nThen 5", ["\n\nAdd\n\nThen", " 5<stop>"]),  # an end that ends nothing; one inside a token
        ("Add\n\nThen.\n\n  ", ["Add\n\nThen", ".\n\n  <stop>"]),
        ("one line", ["one line<stop>"]),
        ("", []),
        (" \n\n \n", []),
    ],
)
def test_a_step_is_empty_or_a_token_is_in_none(text, steps):
    ids = TOKENIZER.encode(text) + [STOP]
    ends = step_ends(ids, TOKENIZER.token_bytes(TOKENIZER.size), "\n\n", {STOP})
    parts = [TOKENIZER.decode(ids[start:stop]) for start, stop in itertools.pairwise([0, *ends])]
    assert parts == steps
    assert not steps or ends[-1] == len(ids)


def policy():
    small = {"vocab_size": TOKENIZER.size + 5, "max_position_embeddings": 512, "num_hidden_layers": 1}
    model = ours.build_from(tiny.CASES["qwen2_tied"] | small)
    return dataclasses.replace(model, tokenizer=TOKENIZER, name="policy")


@pytest.mark.parametrize("measure", sorted(confidence.MEASURES))
def test_confidence_is_of_other_tokens_than_the_responses(measure):
    model = policy()
    judge = of_scorer(confidence.make(model, measure), TOKENIZER)
    pool = [
        candidate("Add.\n\nSo 5.\n\nThen done"),
        candidate("No.", 1),
        candidate("", 2),
        candidate("Maybe\n\n4", 3, stop=False),
    ]
    found = dict(judge.read(pool))
    for one in pool:
        reading, ids = found[one], one.prompt + one.tokens
        if one.sample == 2:  # says nothing
            assert reading.scores == (0.0,)
            continue
        log_p = np.asarray(model.logits(np.array([ids + (0,) * (40 - len(ids))])), np.float64)[0, : len(ids)]
        log_p -= np.log(np.exp(log_p).sum(-1, keepdims=True))
        at = np.arange(len(one.prompt), len(ids))
        values = {
            "likelihood": log_p[at - 1, np.array(ids)[at]],
            "entropy": (np.exp(log_p[at - 1]) * log_p[at - 1]).sum(-1),
            "self_certainty": -log_p[at - 1].mean(-1) - np.log(log_p.shape[-1]),
        }[measure]
        ends = step_ends(one.tokens, TOKENIZER.token_bytes(TOKENIZER.size), "\n\n", {STOP})
        means = np.array([values[:end].mean() for end in ends])
        wanted = means if measure == "self_certainty" else np.exp(means)
        np.testing.assert_allclose(reading.scores, wanted, rtol=2e-5)
        assert (reading.question, reading.tokens) == (len(one.prompt), len(one.tokens))
        spent = prefill_flops(model.config, len(ids)) + len(one.tokens) * head_flops(model.config)
        assert reading.flops_question + reading.flops == spent
    with pytest.raises(InputError, match=r"problem 'p', sample 7 has \d+ tokens for the scorer .* whose context is 512"):
        list(judge.read([candidate("word " * 200, 7)]))
    alone = dict(judge.read(pool[:1]))
    assert alone[pool[0]] == found[pool[0]], "a neighbour changes no score"


def test_a_question_is_read_again_for_every_response_to_it(monkeypatch):
    """Of responses to one question it is begun once; what is said of them is what each gets alone."""
    scorer, begun, programs = confidence.make(policy(), "likelihood"), [], responses._programs

    def counting(scorer):
        begin, *others = programs(scorer)
        return lambda params, prompt, n, carry: begun.append(prompt.shape) or begin(params, prompt, n, carry), *others

    monkeypatch.setattr(responses, "_programs", counting)
    pool = [candidate("So 5.\n\nThen 4" + "!" * sample, sample) for sample in range(3)]
    together = [reading for _, reading in of_scorer(scorer, TOKENIZER).read(pool)]
    assert begun == [(1, 16)]
    assert together == [next(of_scorer(scorer, TOKENIZER).read([one]))[1] for one in pool]


def test_recorded_likelihood_counts_forced_tokens_or_costs_something():
    read = judges.judge(None, {"kind": "confidence", "measure": "likelihood"}).read
    pool = [
        candidate("abc", sampled=2, logprob=-1.0),
        candidate("abc", 1, logprob=None),
        candidate("", 2, sampled=0, logprob=0.0),
    ]
    readings = [reading for _, reading in read(pool)]
    assert [reading.scores[0] for reading in readings] == [np.exp(-0.5), 0.0, 0.0]
    assert all(reading.tokens == 0 == reading.flops for reading in readings)


def test_outcome_scores_are_those_of_other_texts():
    small = {"vocab_size": TOKENIZER.size, "max_position_embeddings": 256, "num_hidden_layers": 1}
    model = ours.build_from(tiny.HEADS["qwen2_reward"] | small)
    model = dataclasses.replace(model, tokenizer=TOKENIZER, name="reward")
    pool = [candidate("four " * n, n) for n in (1, 9, 18)]
    found = dict(outcome.make(model).read(pool))
    for one in pool:
        turns = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": one.text}]
        ids = TOKENIZER.encode(TOKENIZER.render(turns, False))
        reward = float(model.token_scores(np.array([ids + [0] * (150 - len(ids))]))[0, len(ids) - 1, 0])
        np.testing.assert_allclose(found[one].scores, [1 / (1 + np.exp(-reward))], rtol=1e-5)
        assert found[one].tokens == len(ids)
    with pytest.raises(InputError, match=r"problem 'p', sample 0 has \d+ tokens, more than 'outcome' can read \(256\)"):
        list(outcome.make(model).read([candidate("four " * 60)]))


def test_a_process_reward_model_is_taken_for_an_outcome_model():
    two = ours.build("qwen2_tied")
    with pytest.raises(InputError, match=r"no score head and a language head; .* scorer \"prm\""):
        outcome.make(two)
    heads = dataclasses.replace(two.config, num_labels=2, language_head=False)
    with pytest.raises(InputError, match="score head of 2; an outcome reward model has one number"):
        outcome.make(dataclasses.replace(two, config=heads))


def test_an_oracle_depends_on_more_than_seed_problem_and_sample():
    pool = [candidate("x" * 10 * n, n, correct=n % 2 == 0) for n in range(1, 400)]
    exact = [reading.scores[0] for _, reading in oracle.make().read(pool)]
    assert exact == [float(one.correct) for one in pool]
    noisy = {one: reading.scores[0] for one, reading in oracle.make(sigma=2.0, seed=3).read(pool)}
    assert noisy == {one: reading.scores[0] for one, reading in oracle.make(sigma=2.0, seed=3).read(pool[::-1])}
    errors = np.array([noisy[one] - one.correct for one in pool])
    assert abs(errors.std() - 2.0) < 0.2 and abs(errors.mean()) < 0.3
    assert noisy != {one: reading.scores[0] for one, reading in oracle.make(sigma=2.0, seed=4).read(pool)}
    biased = [reading.scores[0] for _, reading in oracle.make(length_bias=5.0).read(pool)]
    np.testing.assert_allclose(np.array(biased) - exact, [0.05 * len(one.tokens) for one in pool])
    with pytest.raises(InputError, match="finite sigma"):
        oracle.make(sigma=-1.0)


def test_an_ungraded_response_is_right_if_votes_would_call_it_so():
    assert candidate("x", answer="$4.0$").right and not candidate("x", answer="5").right and not candidate("x").right
    assert not candidate("x", answer="4", correct=False).right


@pytest.mark.parametrize(
    ("steps", "labels"),
    [
        (["4 + 13 = 17", "17 - 7 = 10", "Answer: 10"], [1, 1, 1]),
        (["4 + 13 = 17; 17 - 7 = 10\nAnswer: 10"], [1]),
        (["First 4 + 13 = 17.", "17 - 7 = 11", "Answer: 11"], [1, 0, 0]),  # false
        (["4 + 13 = 17", "17 - 6 = 11", "Answer: 10"], [1, 0, 0]),  # true, but 6 is not the next term; what follows stays wrong
        (["4 + 13 - 7 = 10", "Answer: 10"], [1, 1]),  # all at once
        (["13 - 7 = 6", "4 + 6 = 10", "Answer: 10"], [1, 1, 1]),  # true side calculations
        (["Let me see.", "Answer: 12"], [1, 0]),
        (["4 + 13 = 17", "4 + 13 = 17 indeed", "17 \N{MINUS SIGN} 7 = 10"], [1, 1, 1]),  # said again
        (["4 + 13 = 17", "17 + 7 = 24"], [1, 0]),  # a sign
    ],
)
def test_a_wrong_step_of_a_sum_is_called_right(steps, labels):
    question = "State the final answer to the following arithmetic problem: 4 + 13 - 7 ="
    assert checker.step_labels(question, steps) == list(map(bool, labels))
    (_, reading), *_ = checker.make().read([candidate("\n\n".join(steps) + "\n\n", question=question)])
    assert reading.scores == tuple(map(float, labels))


def test_a_question_without_a_sum_is_checked():
    with pytest.raises(InputError, match="states no sum to check"):
        checker.step_labels("Why?", ["4 + 1 = 5"])


def test_the_loss_looks_at_tokens_inside_a_step():
    rng = np.random.default_rng(1)
    scores, values = rng.standard_normal((2, 5, 2)).astype(np.float32), rng.random((2, 5)).astype(np.float32)
    ends = np.array([[0, 1, 0, 0, 1], [0, 0, 1, 0, 0]], bool)
    p = 1 / (1 + np.exp(scores[..., 0] - scores[..., 1]))
    wanted = -(values * np.log(p) + (1 - values) * np.log(1 - p))[ends].sum()
    total, count = loss.step_loss(jnp.asarray(scores), jnp.asarray(values), jnp.asarray(ends))
    np.testing.assert_allclose(total, wanted, rtol=1e-5)
    assert int(count) == 3
    changed = np.where(ends[..., None], scores, 99.0)
    assert float(loss.step_loss(changed, jnp.where(ends, values, jnp.nan), ends)[0]) == float(total)
    sure = loss.step_loss(jnp.full((1, 1, 1), 200.0), jnp.ones((1, 1)), jnp.ones((1, 1), bool))[0]
    assert float(sure) == 0.0, "no logarithm of 0"


def test_a_scorer_of_another_name_or_argument_is_made():
    with pytest.raises(InputError, match="unknown kind of scorer 'best'"):
        judges.check({"kind": "best"})
    with pytest.raises(InputError, match="'oracle' has no argument 'noise'; choose from sigma"):
        judges.parse("kind=oracle,noise=1")
    with pytest.raises(InputError, match="'prm' needs the argument 'model'"):
        judges.check({"kind": "prm", "format": "trl"})
    with pytest.raises(InputError, match=r"cannot be named '\.\./x'"):
        judges.check({"kind": "oracle", "name": "../x"})
    with pytest.raises(InputError, match="'sigma' has no value"):
        judges.parse("kind=oracle,sigma")
    assert judges.parse("kind=oracle,sigma=0.5,seed=3") == {"kind": "oracle", "sigma": 0.5, "seed": 3}
    assert judges.label({"kind": "prm", "model": "hf:a/b", "format": "trl"}) == "prm-trl"


def test_a_search_has_no_scorer_of_a_kind_or_another_than_votes(monkeypatch):
    engine = types.SimpleNamespace(model=policy())
    assert confidence.scorer(engine, "entropy").name == "entropy"
    reward = dataclasses.replace(
        ours.build_from(tiny.HEADS["llama_token"] | {"vocab_size": TOKENIZER.size, "id2label": {"0": "value"}}),
        tokenizer=TOKENIZER,
    )
    monkeypatch.setattr(load, "load", lambda name, dtype, mesh: reward)
    assert prm.scorer(engine, "reward", "own").encode is None
    assert prm.judge(engine, "reward", "own", name="mine").name == "mine"
    with pytest.raises(InputError, match=r"reads a score head of 2, but this model has a score head of 1"):
        prm.scorer(engine, "reward", "trl")


def test_a_text_scorer_gets_the_stop_id_or_ids_of_the_policy():
    scorer = dataclasses.replace(
        confidence.make(hash_model(tokenizer=TOKENIZER, vocab_size=TOKENIZER.size)),
        encode=lambda texts, first=False: [[first, *text.encode()] for text in texts],
        question=lambda text: list(text.encode()),
    )
    question, steps = spell(scorer, TOKENIZER, "\n\n", candidate("Add.\n\n5"))
    assert bytes(question) == b"Why?"
    assert [(step[0], bytes(step[1:])) for step in steps] == [(True, b"Add.\n\n"), (False, b"5")]


def test_length_reward_likes_other_lengths():
    pool = [candidate("x" * size, stop=False) for size in (0, 5, 10, 12, 40)]
    exact = [reading.scores for _, reading in length.make(10).read(pool)]
    assert exact == [(0.0,), (0.5,), (1.0,), (0.8,), (0.0,)]
    assert [reading.scores[0] for _, reading in length.make(10, at_most=True).read(pool)] == [1.0, 1.0, 1.0, 0.8, 0.0]
    for target in (0, -1, 2.5, True, "10"):
        with pytest.raises(InputError, match="needs a target of tokens, a whole number ≥ 1"):
            length.make(target)


def test_format_reward_reads_what_the_answer_says_or_words_behind_it():
    texts = {"1 + 1 = 3\nAnswer: 3": 1, "Answer: 3\n \n": 1, "Answer: 3\nI hope so.": 0, "Answer: ": 0, "The Answer: 3": 0, "": 0}
    found = [reading.scores[0] for _, reading in form.make().read([candidate(text) for text in texts])]
    assert found == list(texts.values())
    (read,) = form.make("^a+$").read([candidate("aa")])
    assert read[1].scores == (1.0,)
    for pattern in ("(", 3):
        with pytest.raises(InputError, match="needs a regular expression"):
            form.make(pattern)


def test_new_rewards_cannot_be_named_in_a_configuration():
    assert judges.judge(None, {"kind": "length", "target": 7}).name == judges.label({"kind": "length", "target": 7}) == "length-7"
    assert judges.judge(None, {"kind": "form", "pattern": "(?m)^ok"}).name == "form"
    assert judges.judge(None, judges.parse("kind=form,pattern=x,name=x")).name == "x"


def test_saying_nothing_is_the_surest_way_to_please_the_checker():
    texts = ["4 + 13 = 17; so it is", "4 + 13 = 17; 17 - 7 = 10\nAnswer: 10", "4 + 13 = 17; 17 - 7 = 11\nAnswer: 11", "Well."]
    pool = [candidate(text, question="4 + 13 - 7 =") for text in texts]
    lenient = [reading.scores for _, reading in checker.make(";").read(pool)]
    strict = [reading.scores for _, reading in checker.make(";", answered=True).read(pool)]
    assert lenient == [(1.0, 1.0), (1.0, 1.0), (1.0, 0.0), (1.0,)]
    assert strict == [(0.0, 0.0), (1.0, 1.0), (1.0, 0.0), (0.0,)]
