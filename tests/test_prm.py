"""Process reward models, read step by step, against one forward pass over the whole text in each published format.

The texts of the direct passes are written out here as the model cards write them, with other code than ours.
"""

import dataclasses
import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from doubles.branching import CHAIN, STOP, branching_model, engine_of
from doubles.tokenizer import ByteTokenizer
from golden.models import ours, tiny

from reasoning.decode.plan import make_plan, slots_of
from reasoning.decode.requests import Request
from reasoning.errors import InputError
from reasoning.evaluation.process_bench import judge
from reasoning.evaluation.statistics.step_metrics import read_process_bench
from reasoning.models.flops import head_flops, prefill_flops
from reasoning.rewards import base, formats, prm
from reasoning.search.beam import Beam
from reasoning.search.driver import Searching
from reasoning.search.programs import room
from reasoning.search.rounds import Shape

QUESTION = "What is 2 + 3 - 4?"
RESPONSES = [
    ["First add.", "2 + 3 = 5", "5 - 4 = 1"],
    ["It is one, since five less four is one.", "So 1."],
    ["No idea", "Maybe", "4", "Or -1?"],
]
PIECES = (" ки", " +", " -", "<extra_0>", "Step", "user: ")
TINY = {  # format → a configuration of that architecture
    "math_shepherd": tiny.CASES["llama_mqa_bias"],
    "rlhflow": tiny.CASES["llama_scaled_llama3"],
    "qwen_math": tiny.HEADS["qwen2_token"] | {"id2label": {"0": "no", "1": "yes"}},
    "skywork": tiny.HEADS["qwen2_token"] | {"id2label": {"0": "value"}},
    "trl": tiny.HEADS["llama_token"] | {"id2label": {"0": "no", "1": "yes"}},
    "own": tiny.HEADS["gemma3_sequence"] | {"id2label": {"0": "value"}},
}


DEEP = ("math_shepherd", "own")  # two layers, the second of which is a local one in `own`
PROCESS_BENCH = Path(__file__).parent / "golden/rewards/process_bench.jsonl"
LENGTH, WIDTH = 160, 40  # of a whole text, and of a step


@functools.cache
def model_of(name, pieces=None):
    """A random model of the format's architecture, with a byte tokenizer; no " +" where chats say ": +"."""
    pieces = (PIECES[3:] if name == "rlhflow" else PIECES) if pieces is None else pieces
    tokenizer, values = ByteTokenizer(pieces), TINY[name]
    layers = 2 if name in DEEP else 1  # compiling is all that these tests wait for
    kinds = {"layer_types": values["layer_types"][1 : 1 + layers]} if "layer_types" in values else {}
    values = values | kinds | {"num_hidden_layers": layers, "vocab_size": tokenizer.size + 3, "max_position_embeddings": 512}
    return dataclasses.replace(ours.build_from(values), tokenizer=tokenizer, name=f"tiny {name}")


def whole(ids):
    """int32[1, LENGTH]: a text for one pass, padded so that every pass is one program."""
    assert len(ids) <= LENGTH
    return np.array([ids + [0] * (LENGTH - len(ids))], np.int32)


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x, np.float64)))


def places(ids, marker):
    return [at for at in range(len(ids)) if ids[at] == marker]


def direct(name, model, question, steps):
    """The scores of all steps of one response by one pass over its whole text."""
    encode, piece = model.tokenizer.encode, {text: 256 + i for i, text in enumerate(PIECES)}
    if name == "math_shepherd":
        ids = encode(f"{question} " + "\n".join(step + " ки" for step in steps))
        logits = np.asarray(model.logits(whole(ids)))[0, places(ids, piece[" ки"])]
        two = np.exp(logits[:, [piece[" +"], piece[" -"]]])
        return two[:, 0] / two.sum(1)
    if name == "rlhflow":
        conversation = []
        for k, step in enumerate(steps):
            conversation += [{"role": "user", "content": f"{question} {step}" if k == 0 else step}]
            conversation += [{"role": "assistant", "content": "+"}]
        scores = []
        for stop in range(2, len(conversation) + 1, 2):
            ids = encode(model.tokenizer.render(conversation[:stop], False))
            logits = np.asarray(model.logits(whole(ids)))[0, len(ids) - 3]  # as search-and-learn reads the last step
            scores.append(sigmoid(logits[ord("+")] - logits[ord("-")]))
        return np.array(scores)
    if name == "qwen_math":
        system = {"role": "system", "content": "Please reason step by step, and put your final answer within \\boxed{}."}
        head = model.tokenizer.render([system, {"role": "user", "content": question}])
        ids = encode(head + "<extra_0>".join(steps) + "<extra_0>")
        scores = np.asarray(model.token_scores(whole(ids)))[0, places(ids, piece["<extra_0>"])]
        return np.exp(scores[:, 1]) / np.exp(scores).sum(1)
    if name in ("skywork", "trl"):
        ids = encode(question + "\n" * (name == "skywork"))
        ends = []
        for step in steps:
            ids = ids + encode(step) + encode("\n")
            ends.append(len(ids) - 1)
        scores = np.asarray(model.token_scores(whole(ids)))[0, ends]
        return sigmoid(scores[:, 0]) if name == "skywork" else np.exp(scores[:, 1]) / np.exp(scores).sum(1)
    ids, ends = encode(question), []
    for step in steps:
        ids = ids + encode(step)
        ends.append(len(ids) - 1)
    return sigmoid(np.asarray(model.token_scores(whole(ids)))[0, ends, 0])


def padded(rows, width):
    """Lists of ids → (int32[B, width] with junk behind them, int32[B])."""
    out = np.full((len(rows), width), 7, np.int32)
    for row, ids in enumerate(rows):
        out[row, : len(ids)] = ids
    return jnp.asarray(out), jnp.asarray([len(ids) for ids in rows], jnp.int32)


class Rows:
    """A scorer over rows of text: one compiled `score` for all calls."""

    def __init__(self, scorer, model, rows=3, length=LENGTH):
        self.scorer, self.model = scorer, model
        self.carry = scorer.init(rows, length)
        self._begin, self._score = jax.jit(scorer.begin), jax.jit(scorer.score)  # the same program for the same scorer
        self.steps = [0] * rows

    def begin(self, questions):
        ask = self.scorer.question or self.model.tokenizer.encode
        self.carry = self._begin(self.scorer.params, *padded([ask(text) if text else [] for text in questions], 128), self.carry)

    def score(self, steps):
        encode = self.scorer.encode or (lambda texts, first: [self.model.tokenizer.encode(text) for text in texts])
        ids = [encode([step], first=self.steps[row] == 0)[0] if step else [] for row, step in enumerate(steps)]
        new, n = padded(ids, WIDTH)
        got, self.carry = self._score(self.scorer.params, new, n, jnp.zeros(len(steps), bool), self.carry)
        self.steps = [count + bool(step) for count, step in zip(self.steps, steps, strict=True)]
        return np.asarray(got)

    def gather(self, parents):
        self.carry = base.gather(self.carry, jnp.asarray(parents))
        self.steps = [self.steps[parent] for parent in parents]


@pytest.fixture(scope="module", params=sorted(TINY))
def read(request):
    """(name of the format, model, its scorer)."""
    return request.param, model_of(request.param), scorer_of(request.param)


@functools.cache
def scorer_of(name):
    """One scorer a format, whose programs are compiled once."""
    return prm.make(model_of(name), name)


def test_rows_of_different_length_score_as_their_whole_texts_do(read):
    name, model, scorer = read
    rows = Rows(scorer, model)
    rows.begin([QUESTION, QUESTION + " Think.", QUESTION])
    wanted = [direct(name, model, QUESTION + " Think." * (row == 1), steps) for row, steps in enumerate(RESPONSES)]
    assert len({round(float(score), 6) for scores in wanted for score in scores}) == 9  # no two alike, so a wrong place shows
    for k in range(4):
        got = rows.score([steps[k] if k < len(steps) else "" for steps in RESPONSES])
        # A row without a new step keeps its last score.
        last = [scores[min(k, len(scores) - 1)] for scores in wanted]
        np.testing.assert_allclose(got, last, rtol=0, atol=2e-5)


def test_a_gathered_row_goes_on_from_its_parent_or_from_what_stood_in_its_slot(read):
    name, model, scorer = read
    rows = Rows(scorer, model)
    rows.begin([QUESTION] * 3)
    rows.score([RESPONSES[0][0], RESPONSES[1][0], RESPONSES[2][0]])
    rows.score([RESPONSES[0][1], "", RESPONSES[2][1]])
    rows.gather([2, 2, 1])
    got = rows.score(["4", "Five.", "So 1."])
    before = [RESPONSES[2][:2], RESPONSES[2][:2], RESPONSES[1][:1]]
    wanted = [
        direct(name, model, QUESTION, [*steps, new])[-1] for steps, new in zip(before, ["4", "Five.", "So 1."], strict=True)
    ]
    np.testing.assert_allclose(got, wanted, rtol=0, atol=2e-5)


def test_a_lookahead_that_is_rolled_back_leaves_a_trace(read):
    name, model, scorer = read
    rows = Rows(scorer, model)
    rows.begin([QUESTION] * 3)
    rows.score([steps[0] for steps in RESPONSES])
    saved, steps = rows.carry, list(rows.steps)
    ahead = rows.score(["a very long step that is forgotten", "4", "5"])
    rows.carry, rows.steps = base.rollback(rows.carry, saved.small), steps
    got = rows.score([steps[1] for steps in RESPONSES])
    wanted = [direct(name, model, QUESTION, steps[:2])[-1] for steps in RESPONSES]
    np.testing.assert_allclose(got, wanted, rtol=0, atol=2e-5)
    assert np.abs(ahead - got).min() > 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("rollout", [0, 2])
@pytest.mark.parametrize("name", ["own", "trl"])
def test_scores_of_a_search_are_those_of_another_text(name, rollout):
    """Rows are pruned, copied and rolled back, some end early: each final's scores are those of one pass over its own text."""
    model, policy = model_of(name, ()), branching_model({"": {"a": 1, "b": 1, "c": 1, "z": 0.7}}, depth=5)
    engine, scorer = engine_of(policy), prm.make(model, name, policy=policy)
    assert (scorer.encode is None) == (name == "own")
    setting = Searching(Beam(beam_width=2, rollout=rollout), 4, step_tokens=6, rounds=8, scorer=scorer, keep=(trees := []).append)
    options = {"chain": CHAIN, "group": setting, "step_ends": [engine.pattern("\n")], "step_tokens": 6, "stop_ids": [STOP]}
    requests = [Request(id=f"p{i}", prompt=chr(i), n=4) for i in (1, 2, 3)]
    found = {}
    for response in engine.generate(requests, max_tokens=24, **options):
        steps = response.text.splitlines(keepends=name == "own")
        assert len(response.scores) == len(steps) > 0
        question = chr(int(response.id[1:]))
        np.testing.assert_allclose(response.scores, direct(name, model, question, steps), rtol=0, atol=2e-5)
        found[response.id, response.text] = response.scores
    lengths = {len(scores) for scores in found.values()}
    assert len(lengths) > 1 and max(lengths) == 5 and len({scores[-1] for scores in found.values()}) > 6
    assert any(one["parents"] != [0, 1, 2, 3] for tree in trees for one in tree["rounds"])


def test_a_search_takes_memory_that_was_planned_for_the_policy_alone():
    """Weights of the scorer, its cache, and a second copy of both caches, into which rows are gathered."""
    policy, scorer, bucket = model_of("own"), scorer_of("trl"), 128
    size = lambda tree: sum(leaf.nbytes for leaf in jax.tree.leaves(tree))  # noqa: E731
    setting = Searching(Beam(beam_width=2), 4, step_tokens=WIDTH, rounds=8, scorer=scorer)
    plan = make_plan(0, max_slots=64, prefill_rows=1, memory=size(scorer.params) + 40 * policy.network.cache_bytes(1, bucket))
    rows = slots_of(setting.plan(policy, plan, bucket), policy.network, bucket)
    length = room(scorer, setting.search, Shape(1, 4, WIDTH, 8, "last"), bucket, WIDTH)
    need = lambda rows: policy.network.cache_bytes(rows + 1, bucket) + size(scorer.init(rows + 1, length))  # noqa: E731
    assert size(scorer.params) + 2 * need(rows) <= plan.memory < size(scorer.params) + 2 * need(2 * rows)
    assert 1 < 4 * rows <= slots_of(plan, policy.network, bucket) and rows < 64
    own, none = (dataclasses.replace(setting, scorer=one) for one in (dataclasses.replace(scorer, params=policy.params), None))
    assert setting.plan(policy, plan, bucket).memory < own.plan(policy, plan, bucket).memory, "weights of the policy cost nothing"
    assert none.plan(policy, plan, bucket).memory == plan.memory // 2
    assert setting.plan(policy, dataclasses.replace(plan, memory=None), bucket).memory is None


def test_markers_of_a_text_format_are_forgotten_where_ids_are_read_as_they_are():
    """Nothing leaves the device: the marker is written behind the policy's own ids."""
    model = model_of("trl")
    scorer = prm.make(model, "trl", policy=model, ids=True)
    assert scorer.encode is None is scorer.question and scorer.extra == 1
    rows = Rows(scorer, model)
    rows.begin([QUESTION] * 3)
    rows.score([steps[0] for steps in RESPONSES])
    got = rows.score([steps[1] for steps in RESPONSES])
    np.testing.assert_allclose(got, [direct("trl", model, QUESTION, steps[:2])[-1] for steps in RESPONSES], rtol=0, atol=2e-5)


def test_a_row_that_outgrows_its_room_gets_a_number():
    rows = Rows(scorer_of("trl"), model_of("trl"))
    rows.begin(["What? " * 20, "What?", "What?"])
    rows.score(["a step of thirty-nine letters fits still"[:39]] * 3)  # 120 + 40 of 160
    got = rows.score(["", "short", "short"])
    assert np.isfinite(got).all()
    got = rows.score(["short"] * 3)
    assert np.isnan(got[0]) and np.isfinite(got[1:]).all()
    with pytest.raises(InputError, match=r"'trl' gave nan for problem 'p', sample 0; .* its context"):
        base.check_scores("trl", got, [f"problem 'p', sample {row}" for row in range(3)])


def test_a_chunk_is_packed_and_a_row_without_a_step_is_empty():
    new, n = jnp.array([[5, 6, 9], [5, 9, 9], [9, 9, 9]]), jnp.array([2, 1, 0])
    tokens, total = prm.chunk(new, n, jnp.array([True, False, True]), (1, 2), (3,))
    assert total.tolist() == [5, 2, 0]
    assert tokens[0, :5].tolist() == [1, 2, 5, 6, 3] and tokens[1, :2].tolist() == [5, 3]


def test_a_marker_stands_once_behind_every_step_and_a_step_is_never_empty():
    """search-and-learn writes Qwen's marker twice and scores an empty last turn of RLHFlow's."""
    model = model_of("qwen_math")
    reader = formats.reader(model, "qwen_math")
    marker = 256 + PIECES.index("<extra_0>")
    assert reader.tail == (marker,) and reader.encode(["Add.\n\n"]) == [model.tokenizer.encode("Add.")]
    for empty in ("", "\n\n", "  "):
        with pytest.raises(InputError, match="a step without text"):
            formats.reader(model_of("rlhflow"), "rlhflow").encode(["Add.", empty])


@pytest.mark.parametrize("merge", ["?", "\n"])
def test_steps_encoded_one_by_one_differ_from_the_whole_text_at_seams_only(merge):
    """A tokenizer that merges the question's end with the first word changes that one seam; a newline before a step none."""
    pieces = (*PIECES, {"?": "? A", "\n": "\nA"}[merge])
    model = model_of("math_shepherd", pieces)
    reader = formats.reader(model, "math_shepherd")
    encode = model.tokenizer.encode
    whole = encode("Why? Add. ки\nAdd again. ки")
    first, later = reader.encode(["Add."], first=True)[0], reader.encode(["Add again."])[0]
    ours_ids = reader.question("Why?") + first + list(reader.tail) + later + list(reader.tail)
    assert (ours_ids == whole) == (merge == "\n")
    assert later == encode("\nAdd again.")
    assert model.tokenizer.decode(ours_ids) == model.tokenizer.decode(whole)


@pytest.mark.slow
def test_chat_turns_are_those_of_the_models_template(qwen05):
    """RLHFlow's format over a real template: what we write piece by piece is the rendered conversation."""
    reader = formats.reader(qwen05, "rlhflow")
    ids = reader.question(QUESTION)
    for k, step in enumerate(RESPONSES[0]):
        ids += (list(reader.lead) if k else []) + reader.encode([step + "\n\n"], first=k == 0)[0] + list(reader.tail)
    texts = [f"{QUESTION} {RESPONSES[0][0]}", *RESPONSES[0][1:]]
    turns = [turn for text in texts for turn in ({"role": "user", "content": text}, {"role": "assistant", "content": "+"})]
    whole = qwen05.tokenizer.encode_chat(turns, False)
    assert ids == whole[: len(ids)] and qwen05.tokenizer.decode(whole[len(ids) :]).startswith("+")


def test_flops_of_steps_add_up_to_those_of_the_whole_text():
    model = model_of("rlhflow")
    count = prm.make(model, "rlhflow").flops
    parts = count(0, 10, 0) + count(10, 5, 1) + count(15, 9, 1)
    assert parts == prefill_flops(model.config, 24) + 2 * head_flops(model.config)


def test_one_model_is_taken_for_another():
    policy = model_of("rlhflow")
    with pytest.raises(InputError, match="unknown format 'qwen'"):
        prm.make(policy, "qwen")
    with pytest.raises(InputError, match=r"no score head; choose the format"):
        prm.make(policy, "qwen_math")
    with pytest.raises(InputError, match="classification head and no language head"):
        prm.make(model_of("trl"), "math_shepherd")
    outcome = dataclasses.replace(ours.build("qwen2_tied"), name="outcome")
    outcome = dataclasses.replace(outcome, config=dataclasses.replace(outcome.config, language_head=False, num_labels=3))
    with pytest.raises(InputError, match=r"score head of 3; choose .* `outcome` for a model"):
        prm.make(outcome, "own")
    with pytest.raises(InputError, match=r"no token ' ки', which format 'math_shepherd' needs"):
        prm.make(model_of("math_shepherd", (" +", " -")), "math_shepherd")
    with pytest.raises(InputError, match=r"no token '<extra_0>'"):
        prm.make(model_of("qwen_math", ()), "qwen_math")


def test_ids_of_another_vocabulary_are_read_as_if_they_were_ours():
    own, policy = model_of("own"), model_of("math_shepherd", (*PIECES, "more", "words"))
    assert prm.make(own, "own", policy=model_of("math_shepherd")).encode is None
    with pytest.raises(InputError, match="its vocabulary is another;"):
        prm.make(own, "own", policy=policy)
    with pytest.raises(InputError, match="its vocabulary is another;"):
        prm.make(model_of("own", ("an", "other", "six", "of", "our", "words")), "own", policy=model_of("math_shepherd"))
    short = dataclasses.replace(policy, config=dataclasses.replace(policy.config, vocab_size=200))
    with pytest.raises(InputError, match="the tokenizer of tiny math_shepherd has 265 ids, the model 200"):
        prm.make(short, "math_shepherd")


def test_a_solution_is_read_as_another_text_or_its_first_mistake_is_another_step():
    model, solutions = model_of("skywork"), read_process_bench(PROCESS_BENCH)
    scorer = prm.make(model, "skywork")
    report = judge(scorer, solutions, show=False)
    for one, scores in zip(solutions, report.scores, strict=True):
        np.testing.assert_allclose(scores, direct("skywork", model, one.problem, one.steps), rtol=0, atol=1e-5)
    for found in (report.at, report.best):
        firsts = [next((k for k, score in enumerate(one) if score < found.threshold), -1) for one in report.scores]
        hits = [first == one.label for first, one in zip(firsts, solutions, strict=True)]
        wrong = [one.label >= 0 for one in solutions]
        error = np.mean([hit for hit, bad in zip(hits, wrong, strict=True) if bad])
        correct = np.mean([hit for hit, bad in zip(hits, wrong, strict=True) if not bad])
        assert (found.error, found.correct) == (pytest.approx(error), pytest.approx(correct))
    assert report.at.threshold == 0.5 and report.best.f1 >= report.at.f1


def test_a_scorer_of_the_policys_ids_reads_texts():
    scorer = dataclasses.replace(prm.make(model_of("skywork"), "skywork"), encode=None)
    with pytest.raises(InputError, match="reads a policy's ids, and ProcessBench is text"):
        judge(scorer, read_process_bench(PROCESS_BENCH), show=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["own", "rlhflow"])
def test_a_long_step_of_another_row_changes_a_score_or_is_cut_off(name):
    """Widths of 48: pieces of 16, of which one is read where every step is short. Sliding windows and markers included."""
    model = model_of(name)
    scorer, width = prm.make(model, name), 48
    score = jax.jit(scorer.score)
    ids = np.random.default_rng(0).integers(97, 123, (2, 3, width)).astype(np.int32)

    def scores(lengths):
        begun = scorer.begin(scorer.params, ids[0, :, :5], np.full(3, 5, np.int32), scorer.init(3, LENGTH))
        carry, out = begun, []
        for step, n in enumerate(lengths):
            found, carry = score(scorer.params, ids[step], np.asarray(n, np.int32), np.zeros(3, bool), carry)
            out.append(np.asarray(found))
        return np.array(out)

    together = scores([(3, 40, 17), (9, 2, 33)])
    np.testing.assert_array_equal(together[:, 0], scores([(3, 4, 5), (9, 2, 1)])[:, 0], "bits of a row in other company")
    lead, tail = (np.array(part, np.int32) for part in (reader_of(model, name).lead, reader_of(model, name).tail))
    for row, (first, second) in enumerate(((3, 9), (40, 2), (17, 33))):
        one = [*ids[0, row, :5], *ids[0, row, :first], *tail]
        both = [*one, *lead, *ids[1, row, :second], *tail]
        wanted = [direct_value(model, name, text) for text in (one, both)]
        np.testing.assert_allclose(together[:, row], wanted, rtol=0, atol=2e-5)


def reader_of(model, name):
    return formats.reader(model, name)


def direct_value(model, name, ids):
    """Of one forward pass over all of it, read at its end; padded, so that all texts share one compilation."""
    padded = np.array([[*ids, *[0] * (LENGTH - len(ids))]], np.int32)
    hidden = model.network.forward(model.params, padded, np.arange(LENGTH)[None], None)[0]
    return float(prm.reading(model.network, reader_of(model, name).verdict)(model.params, hidden[:, len(ids) - 1])[0])
