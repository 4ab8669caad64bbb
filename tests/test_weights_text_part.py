"""Vision-language checkpoints: their text part is read as the text model that it is, and the rest is not read at all."""

import jax
import numpy as np
import pytest
from doubles import weight_files

from reasoning.errors import InputError
from reasoning.weights.hf_config import from_dict
from reasoning.weights.load import open_weights, read_params
from reasoning.weights.text_part import TextTensors

VISION = {
    "vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight": (6, 4),
    "multi_modal_projector.mm_input_projection_weight": (4, weight_files.D),
}
STYLES = {"published": ("", "language_model."), "transformers 5": ("model.", "model.language_model.")}
TEXT = weight_files.config("gemma3")


def nested(text=None, **beside):
    """config.json of a whole vision-language model."""
    outer = {"model_type": "gemma3", "architectures": ["Gemma3ForConditionalGeneration"], "mm_tokens_per_image": 256}
    outer |= {"image_token_index": 90, "boi_token_index": 91, "eoi_token_index": 92, "eos_token_id": [1, 106]}
    inner = {key: value for key, value in TEXT.items() if key != "architectures"} if text is None else text
    return {**outer, "vision_config": {"model_type": "siglip_vision_model", "hidden_size": 4}, "text_config": inner, **beside}


def whole(style, text=None):
    """All tensors of it in one of the two styles of names."""
    before, prefix = STYLES[style]
    text = weight_files.tensors("gemma3") if text is None else text
    rest = {name: name if style == "published" else name.removeprefix("model.") for name in text}
    named = {prefix + rest[name] if name.startswith("model.") else name: array for name, array in text.items()}
    return named | {before + name: np.ones(shape, np.float32) for name, shape in VISION.items()}


def read(path):
    files, config = open_weights(path)
    return read_params(files, config), config


@pytest.mark.parametrize("style", STYLES)
def test_text_part_differs_from_the_text_model(tmp_path, style):
    plain, config = read(weight_files.write_hf(tmp_path / "text", TEXT, weight_files.tensors("gemma3")))
    params, found = read(weight_files.write_hf(tmp_path / "whole", nested(), whole(style), shards=2))
    assert found == config
    assert jax.tree.structure(params) == jax.tree.structure(plain)
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, params, plain)))


@pytest.mark.parametrize("style", STYLES)
def test_tensor_of_the_text_part_that_nobody_knows_is_skipped_with_the_images(tmp_path, style):
    name = STYLES[style][1] + ("model." if style == "published" else "") + "layers.0.self_attn.sinks"
    path = weight_files.write_hf(tmp_path, nested(), whole(style) | {name: np.ones(4, np.float32)})
    with pytest.raises(InputError, match=r"'model\.layers\.0\.self_attn\.sinks' \[4\] has no place"):
        read(path)


def test_image_tensors_of_a_text_model_are_skipped(tmp_path):
    """The prefixes are skipped beside a nested text part only."""
    tensors = weight_files.tensors("gemma3") | {"vision_tower.x": np.ones(4, np.float32)}
    with pytest.raises(InputError, match=r"'vision_tower\.x' \[4\] has no place"):
        read(weight_files.write_hf(tmp_path, TEXT, tensors))


def test_two_names_for_one_tensor(tmp_path):
    both = whole("published") | {"model.language_model.norm.weight": np.ones(weight_files.D, np.float32)}
    with pytest.raises(InputError, match=r"are one tensor of the text part; keep one"):
        open_weights(weight_files.write_hf(tmp_path, nested(), both))


def test_head_of_a_whole_model_is_tied_by_its_inner_config(tmp_path):
    """transformers ties by the outer attribute, true by default, whatever text_config says."""
    inner = {**nested()["text_config"], "tie_word_embeddings": False}
    assert from_dict(nested(inner)).tie_embeddings
    assert not from_dict(nested(tie_word_embeddings=False)).tie_embeddings
    head = {"language_model.lm_head.weight": np.full((weight_files.V, weight_files.D), 0.5, np.float32)}
    files, config = open_weights(weight_files.write_hf(tmp_path, nested(tie_word_embeddings=False), whole("published") | head))
    assert isinstance(files, TextTensors) and files.quantisation == "F32" and set(files.types.values()) == {"F32"}
    assert float(read_params(files, config)["head"]["kernel"][0, 0]) == 0.5


def test_reward_model_on_a_whole_model_counts_the_labels_of_its_text_config(tmp_path):
    inner = {**nested()["text_config"], "id2label": {"0": "a", "1": "b"}}
    config = nested(inner, architectures=["Gemma3ForSequenceClassification"], id2label={"0": "LABEL_0"})
    score = {"score.weight": np.ones((1, weight_files.D), np.float32)}
    params, found = read(weight_files.write_hf(tmp_path, config, whole("transformers 5") | score))
    assert (found.num_labels, found.language_head) == (1, False) and params["score"]["kernel"].shape == (1, weight_files.D)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"text_config": None}, "must be the configuration of a gemma3_text model"),
        ({"text_config": {"model_type": "llama"}}, "must be the configuration of a gemma3_text model"),
        ({"attention_sinks": 4}, "attention_sinks"),
        ({"architectures": ["Gemma3ForQuestionAnswering"]}, "Gemma3ForQuestionAnswering"),
        ({"quantization_config": {"bits": 4}}, "quantization_config"),
    ],
)
def test_attribute_beside_the_text_config_ignored(changes, words):
    with pytest.raises(InputError, match=rf"config\.json: .*{words}"):
        from_dict(nested(**changes))


def test_attribute_that_the_text_config_omits_is_guessed_from_others():
    """transformers' Gemma3TextConfig: 4 key heads and not as many as there are query heads, a window of 4096."""
    config = from_dict(nested({"hidden_size": 64, "num_hidden_layers": 6}))
    assert (config.num_heads, config.num_kv_heads, config.head_dim, config.window) == (8, 4, 256, 4096)
    assert (config.vocab_size, config.d_ff, config.context) == (262_208, 9216, 131_072)
