"""Score heads and the text part of a vision-language model against transformers, run live; needs the extra `parity`.

As in test_live_models.py the weights are random ones of transformers' modules, saved by it and read back through our loader.
"""

import numpy as np
import pytest
import torch
import transformers
from golden.models import ours, regenerate, tiny

from reasoning.models.model import Model
from reasoning.weights.load import open_weights, read_params

CASES = sorted(tiny.HEADS)
IMAGE = tiny.VOCAB - 1  # the token that stands for a picture


def load(folder):
    tensors, config = open_weights(folder)
    return Model(config, read_params(tensors, config))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("case", [case for case in CASES if not case.endswith("_value")])
def test_random_classifiers_agree_on_ragged_prompts(case, seed, tmp_path):
    theirs = regenerate.randomise(regenerate.build(tiny.HEADS[case]), seed)
    theirs.save_pretrained(tmp_path)
    wanted, model = regenerate.scores(case, theirs), load(tmp_path)
    if wanted.ndim == 2:
        np.testing.assert_allclose(model.scores(tiny.prompts(), tiny.PROMPT_LENGTHS), wanted, rtol=0, atol=1e-4)
        return
    got = np.asarray(model.token_scores(tiny.prompts()))
    for row, length in enumerate(tiny.PROMPT_LENGTHS):
        np.testing.assert_allclose(got[row, :length], wanted[row, :length], rtol=0, atol=1e-4)


@pytest.mark.parametrize("case", [case for case in CASES if case.endswith("_value")])
def test_random_value_models_agree_as_trl_saves_them(case, tmp_path):
    """TRL saves the state of the language model with that of its value head, under the language model's config.json."""
    theirs = regenerate.randomise(regenerate.build(tiny.HEADS[case]), 0)
    head = {name: torch.from_numpy(tiny.weight(name, shape)) for name, shape in tiny.VALUE_HEAD.items()}
    theirs.save_pretrained(tmp_path, state_dict=theirs.state_dict() | head)
    wanted, logits, model = regenerate.values(theirs), regenerate.tiny_logits(theirs), load(tmp_path)
    values, ours_logits = np.asarray(model.token_scores(tiny.prompts())), np.asarray(model.logits(tiny.prompts()))
    for row, length in enumerate(tiny.PROMPT_LENGTHS):
        np.testing.assert_allclose(values[row, :length], wanted[row, :length], rtol=0, atol=1e-4)
        np.testing.assert_allclose(ours_logits[row, :length], logits[row, :length], rtol=0, atol=1e-4)


@pytest.mark.parametrize("case", ["gemma3_local_global", "gemma3_scaled_linear"])
def test_the_text_part_of_a_vision_language_model_agrees(case, tmp_path):
    """Both styles of tensor names: as this release of transformers saves them, and as they lie in the module."""
    vision = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision |= {"image_size": 28, "patch_size": 14}
    config = {"text_config": tiny.CASES[case], "vision_config": vision, "mm_tokens_per_image": 4, "image_token_index": IMAGE}
    config = transformers.Gemma3Config(**config, attn_implementation="eager")
    theirs = regenerate.randomise(transformers.Gemma3ForConditionalGeneration(config).eval().float(), 0)
    theirs.save_pretrained(tmp_path / "saved")
    theirs.save_pretrained(tmp_path / "module", save_original_format=False)
    tokens = np.where(tiny.prompts() == IMAGE, 0, tiny.prompts())
    wanted = regenerate.tiny_logits(theirs, tokens)
    for folder in ("saved", "module"):
        model = load(tmp_path / folder)
        got = np.asarray(model.logits(tokens))
        for row, length in enumerate(tiny.PROMPT_LENGTHS):
            np.testing.assert_allclose(got[row, :length], wanted[row, :length], rtol=0, atol=1e-4)


def test_the_pinned_witness_made_the_goldens_of_heads():
    assert f"transformers {transformers.__version__}," in ours.golden("heads")["source"]
