"""Score heads: classification, reward and value models against transformers (and TRL's formula), in float32.

Every model is written to files first and read through the loader, which alone decides what heads there are.
"""

import dataclasses

import jax
import numpy as np
import pytest
from doubles import weight_files
from golden.models import ours, tiny

from reasoning.decode.engine import Engine
from reasoning.errors import InputError
from reasoning.models import transformer
from reasoning.models.model import Model
from reasoning.weights import hf_config, names
from reasoning.weights.load import open_weights, read_params

GOLDEN = ours.golden("heads")["cases"]


def tensors_of(case):
    """The tensors of a tiny model under Hugging Face's names, with TRL's if it has a value head."""
    shapes = {name: place.shape for name, place in names.placements(hf_config.from_dict(tiny.HEADS[case]), "hf").items()}
    if case.endswith("_value"):
        shapes |= tiny.VALUE_HEAD
    return {name: tiny.weight(name, shape) for name, shape in shapes.items()}


def load(path, dtype="float32"):
    """The model in the directory `path`, which needs no tokenizer here."""
    tensors, config = open_weights(path)
    return Model(config, read_params(tensors, config, np.dtype(jax.numpy.dtype(dtype))), name="tiny")


@pytest.fixture(scope="module")
def model_of(tmp_path_factory):
    """case → model, each written and read once."""
    made = {}

    def of(case):
        if case not in made:
            path = weight_files.write_hf(tmp_path_factory.mktemp(case), tiny.HEADS[case], tensors_of(case))
            made[case] = load(path)
        return made[case]

    return of


def ragged(scores):
    """float[3, 14, C] → [28, C], without what lies behind the rows' ends."""
    return np.concatenate([np.asarray(scores)[row, :length] for row, length in enumerate(tiny.PROMPT_LENGTHS)])


def test_every_case_has_its_golden():
    assert sorted(GOLDEN) == sorted(tiny.HEADS)


@pytest.mark.parametrize("case", sorted(tiny.HEADS))
def test_scores_do_not_drift_from_transformers(model_of, case):
    """The padding here is other tokens than there: neither it nor where a row ends may be guessed from ids."""
    model = model_of(case)
    if tiny.HEADS[case]["architectures"][0].endswith("ForSequenceClassification"):
        scores = model.scores(tiny.prompts(), tiny.PROMPT_LENGTHS)
    else:
        scores = ragged(model.token_scores(tiny.prompts()))
    np.testing.assert_allclose(scores, np.array(GOLDEN[case]), rtol=0, atol=1e-4)


def test_the_score_of_a_sequence_is_not_that_of_its_last_token(model_of):
    model, ends = model_of("qwen2_value"), np.array(tiny.PROMPT_LENGTHS) - 1
    at_last = model.scores(tiny.prompts(), tiny.PROMPT_LENGTHS)
    np.testing.assert_allclose(at_last, model.token_scores(tiny.prompts())[np.arange(3), ends], rtol=0, atol=1e-5)


def test_a_scorer_with_a_cache_of_its_own_says_something_else(model_of):
    """A row that grows: 5 tokens at once, then one at a time; scores are read off whatever `forward` returns."""
    model = model_of("gemma3_sequence")
    net, tokens = model.network, tiny.prompts()
    forward, read, cache, out = jax.jit(net.forward), jax.jit(net.scores), net.init_cache(3, tiny.LENGTH), []
    for start, stop in [(0, 5), *((at, at + 1) for at in range(5, tiny.LENGTH))]:
        positions = np.tile(np.arange(start, stop), (3, 1))
        hidden, cache = forward(model.params, tokens[:, start:stop], positions, cache)
        out.append(read(model.params, hidden))
    np.testing.assert_allclose(np.concatenate(out, 1), model.token_scores(tokens), rtol=0, atol=1e-4)


def test_a_value_head_changes_no_logit_and_is_found_without_a_word_in_the_config(model_of, tmp_path):
    case = "qwen2_value"
    plain = {name: array for name, array in tensors_of(case).items() if name not in tiny.VALUE_HEAD}
    without = load(weight_files.write_hf(tmp_path, tiny.HEADS[case], plain))
    assert model_of(case).config == dataclasses.replace(without.config, num_labels=1, score_bias=True)
    np.testing.assert_array_equal(model_of(case).logits(tiny.prompts()), without.logits(tiny.prompts()))


@pytest.mark.parametrize("lost", ["score.weight", "v_head.summary.bias"])
def test_a_reward_model_without_its_head_gets_no_random_one(tmp_path, lost):
    """transformers would warn and go on with random weights."""
    case = "qwen2_reward" if lost == "score.weight" else "qwen2_value"
    tensors = tensors_of(case)
    del tensors[lost]
    with pytest.raises(InputError, match=rf"score/(kernel|bias) is covered by no tensor, expected '{lost}'"):
        load(weight_files.write_hf(tmp_path, tiny.HEADS[case], tensors))


def test_a_classification_model_drops_its_language_head_only_if_it_is_told(model_of, tmp_path):
    """An untied original has no lm_head here; one that is left in the file is refused by name."""
    assert not {"lm_head.weight"} & tensors_of("qwen2_reward").keys() and "head" not in model_of("qwen2_reward").params
    tensors = tensors_of("qwen2_reward") | {"lm_head.weight": np.zeros((tiny.VOCAB, 56), np.float32)}
    with pytest.raises(InputError, match=r"'lm_head\.weight' .*has no place"):
        load(weight_files.write_hf(tmp_path, tiny.HEADS["qwen2_reward"], tensors))


def test_a_classification_model_cannot_generate_nor_a_language_model_score(model_of):
    reward = model_of("qwen2_reward")
    for attempt in (lambda: Engine(reward), lambda: reward.logits(tiny.prompts())):
        with pytest.raises(InputError, match="tiny has a classification head and no language head; use its `scores`"):
            attempt()
    assert reward.network.head is None
    for attempt in (lambda model: model.scores(tiny.prompts(), tiny.PROMPT_LENGTHS), lambda model: model.token_scores([[1]])):
        with pytest.raises(InputError, match="has no score head"):
            attempt(ours.build("qwen2_tied"))


@pytest.mark.parametrize("lengths", [(14, 9, 0), (15, 9, 5), (14, 9), 14])
def test_a_length_outside_the_row_does_not_read_some_other_token(model_of, lengths):
    with pytest.raises(InputError, match="need 3 lengths from 1 to 14"):
        model_of("qwen2_reward").scores(tiny.prompts(), lengths)


def test_scores_of_a_bfloat16_model_are_not_rounded(tmp_path):
    """Rewards are compared: the head stays float32 and sees float32 hidden states."""
    model = load(weight_files.write_hf(tmp_path, tiny.HEADS["qwen2_token"], tensors_of("qwen2_token")), "bfloat16")
    assert model.params["score"]["kernel"].dtype == np.float32
    abstract = transformer.abstract_params(model.config, "bfloat16")
    assert jax.tree.map(lambda a: (a.shape, a.dtype), abstract) == jax.tree.map(lambda a: (a.shape, a.dtype), model.params)
    hidden = jax.random.normal(jax.random.key(0), (1, 7, 32))
    exact = np.asarray(hidden) @ np.asarray(model.params["score"]["kernel"]).T + np.asarray(model.params["score"]["bias"])
    np.testing.assert_allclose(model.network.scores(model.params, hidden), exact, rtol=0, atol=1e-5)


def test_a_head_that_gives_nothing_is_refused():
    config = hf_config.from_dict(tiny.CASES["qwen2_tied"])
    for switches in ({"language_head": False}, {"score_bias": True}, {"num_labels": -1}):
        with pytest.raises(ValueError, match="gives nothing"):
            dataclasses.replace(config, **switches)
