"""Names of weights: one table, Hugging Face ↔ ours ↔ GGUF, that knows every source shape and refuses what it does not know.

A row moves one tensor of a file into (a slot of) one of our leaves. Shapes are words of axis letters: the file axes
"KGH D" are two dimensions, K·G·H and D; the leaf axes "K G H D" say how they are split and ordered in our tree.

Axis legend: `D` model, `K` kv heads, `G` query heads per kv head, `H` head dim, `F` mlp, `V` vocabulary, `C` labels; `R` the two
rotary halves of a head and `E` the H/2 pairs (GGUF of the llama architecture stores the rows of a head as E R, everyone else
as R E).
"""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from reasoning.errors import InputError
from reasoning.models.config import ModelConfig


class Row(NamedTuple):
    """One line of the table.

    Attributes:
      leaf: path in our tree; "{i}" is the layer.
      slot: part of a fused leaf: q, k, v of qkv; gate, up of gate_up; "" is the whole leaf.
      file_axes, leaf_axes: the same letters as they lie in the file and in our leaf.
      hf, gguf: tensor names; "{i}" is the layer; "" where a format has no such tensor.
      when: the row exists if these attributes of ModelConfig, comma-separated, are true ("not x": false); "" is always.
    """

    leaf: str
    slot: str
    file_axes: str
    leaf_axes: str
    hf: str
    gguf: str
    when: str = ""


_ATTENTION = "layers/{i}/attention/"
_HF = "model.layers.{i}."
VALUE_HEAD = "v_head.summary.weight"

TABLE = (
    Row("embed/embedding", "", "V D", "V D", "model.embed_tokens.weight", "token_embd.weight"),
    Row("layers/{i}/attention_norm/scale", "", "D", "D", _HF + "input_layernorm.weight", "blk.{i}.attn_norm.weight"),
    Row(_ATTENTION + "qkv/kernel", "q", "KGH D", "K G H D", _HF + "self_attn.q_proj.weight", "blk.{i}.attn_q.weight"),
    Row(_ATTENTION + "qkv/kernel", "k", "KH D", "K H D", _HF + "self_attn.k_proj.weight", "blk.{i}.attn_k.weight"),
    Row(_ATTENTION + "qkv/kernel", "v", "KH D", "K H D", _HF + "self_attn.v_proj.weight", "blk.{i}.attn_v.weight"),
    Row(_ATTENTION + "qkv/bias", "q", "KGH", "K G H", _HF + "self_attn.q_proj.bias", "blk.{i}.attn_q.bias", "qkv_bias"),
    Row(_ATTENTION + "qkv/bias", "k", "KH", "K H", _HF + "self_attn.k_proj.bias", "blk.{i}.attn_k.bias", "qkv_bias"),
    Row(_ATTENTION + "qkv/bias", "v", "KH", "K H", _HF + "self_attn.v_proj.bias", "blk.{i}.attn_v.bias", "qkv_bias"),
    Row(_ATTENTION + "q_norm/scale", "", "H", "H", _HF + "self_attn.q_norm.weight", "blk.{i}.attn_q_norm.weight", "qk_norm"),
    Row(_ATTENTION + "k_norm/scale", "", "H", "H", _HF + "self_attn.k_norm.weight", "blk.{i}.attn_k_norm.weight", "qk_norm"),
    Row(_ATTENTION + "out/kernel", "", "D KGH", "D K G H", _HF + "self_attn.o_proj.weight", "blk.{i}.attn_output.weight"),
    Row(_ATTENTION + "out/bias", "", "D", "D", _HF + "self_attn.o_proj.bias", "blk.{i}.attn_output.bias", "out_bias"),
    # Hugging Face calls the norm before the mlp "post attention", except where a norm really follows attention (Gemma 3).
    Row(
        "layers/{i}/attention_post_norm/scale",
        *("", "D", "D"),
        *(_HF + "post_attention_layernorm.weight", "blk.{i}.post_attention_norm.weight", "post_norms"),
    ),
    Row(
        "layers/{i}/mlp_norm/scale",
        *("", "D", "D"),
        *(_HF + "post_attention_layernorm.weight", "blk.{i}.ffn_norm.weight", "not post_norms"),
    ),
    Row(
        "layers/{i}/mlp_norm/scale",
        *("", "D", "D"),
        *(_HF + "pre_feedforward_layernorm.weight", "blk.{i}.ffn_norm.weight", "post_norms"),
    ),
    Row("layers/{i}/mlp/gate_up/kernel", "gate", "F D", "F D", _HF + "mlp.gate_proj.weight", "blk.{i}.ffn_gate.weight"),
    Row("layers/{i}/mlp/gate_up/kernel", "up", "F D", "F D", _HF + "mlp.up_proj.weight", "blk.{i}.ffn_up.weight"),
    Row("layers/{i}/mlp/down/kernel", "", "D F", "D F", _HF + "mlp.down_proj.weight", "blk.{i}.ffn_down.weight"),
    Row(
        "layers/{i}/mlp_post_norm/scale",
        *("", "D", "D"),
        *(_HF + "post_feedforward_layernorm.weight", "blk.{i}.post_ffw_norm.weight", "post_norms"),
    ),
    Row("final_norm/scale", "", "D", "D", "model.norm.weight", "output_norm.weight"),
    Row("head/kernel", "", "V D", "V D", "lm_head.weight", "output.weight", "language_head, not tie_embeddings"),
    Row("score/kernel", "", "C D", "C D", "score.weight", "", "num_labels, not language_head"),
    Row("score/bias", "", "C", "C", "score.bias", "", "score_bias, not language_head"),
    # TRL saves the value head of its AutoModelForCausalLMWithValueHead beside the tensors of the language model.
    Row("score/kernel", "", "C D", "C D", VALUE_HEAD, "", "num_labels, language_head"),
    Row("score/bias", "", "C", "C", "v_head.summary.bias", "", "score_bias, language_head"),
)

# The converter of llama-architecture GGUF permutes the rows of each q and k head (rotary pairs side by side).
_PERMUTED = {
    ("q", "KGH D"): ("KGER D", "K G RE D"),
    ("k", "KH D"): ("KER D", "K RE D"),
    ("q", "KGH"): ("KGER", "K G RE"),
    ("k", "KH"): ("KER", "K RE"),
}


class Placement(NamedTuple):
    """Where one tensor of a file goes: leaf path and slot, the shape it must have, and how its axes move."""

    leaf: str
    slot: str
    shape: tuple[int, ...]
    file_axes: str
    leaf_axes: str


def axis_sizes(config: ModelConfig) -> dict[str, int]:
    """Size of every axis letter of the table."""
    heads = {"K": config.num_kv_heads, "G": config.groups, "H": config.head_dim, "R": 2, "E": config.head_dim // 2}
    return {"D": config.d_model, "F": config.d_ff, "V": config.vocab_size, "C": config.num_labels, **heads}


def placements(config: ModelConfig, kind: str, table: tuple[Row, ...] = TABLE) -> dict[str, Placement]:
    """Tensor name in a file of `kind` ("hf" or "gguf") → Placement, for every tensor that `config` needs.

    Raises InputError when two rows claim one tensor, or one slot of a leaf.
    """
    sizes, found, slots = axis_sizes(config), {}, set()
    for row in table:
        if not _holds(row.when, config):
            continue
        file_axes, leaf_axes = row.file_axes, row.leaf_axes
        if kind == "gguf" and config.family == "llama":
            file_axes, leaf_axes = _PERMUTED.get((row.slot, file_axes), (file_axes, leaf_axes))
        shape = _shape(file_axes, sizes)
        for i in range(config.num_layers if "{i}" in row.leaf else 1):
            name, leaf = getattr(row, kind).format(i=i), row.leaf.format(i=i)
            if name in found or (leaf, row.slot) in slots:
                raise InputError(f"the name table of {config.family} matches {name} twice ({leaf} {row.slot}); keep one row")
            found[name] = Placement(leaf, row.slot, shape, file_axes, leaf_axes)
            slots.add((leaf, row.slot))
    return found


def _holds(when: str, config: ModelConfig) -> bool:
    terms = [(term.removeprefix("not "), not term.startswith("not ")) for term in when.split(", ") if term]
    return all(bool(getattr(config, attribute)) == wanted for attribute, wanted in terms)


def check(
    shapes: Mapping[str, tuple[int, ...]], wanted: Mapping[str, Placement], origin: Callable[[str], str], family: str
) -> None:
    """Refuses files whose tensors are not exactly `wanted`; raises InputError with file, tensor and what was expected.

    `origin` gives the file that holds a tensor.
    """
    for name, shape in shapes.items():
        if name not in wanted:
            raise InputError(
                f"{origin(name)}: tensor {name!r} {list(shape)} has no place in a {family} model with this configuration; "
                "load a file without adapters or extra heads, or add a row to reasoning/weights/names.py"
            )
        if tuple(shape) != wanted[name].shape:
            raise InputError(
                f"{origin(name)}: tensor {name!r} has shape {list(shape)}, the configuration expects {list(wanted[name].shape)} "
                f"({wanted[name].file_axes}); check that weights and configuration belong together"
            )
    for name, place in wanted.items():
        if name not in shapes:
            raise InputError(
                f"{origin(name)}: parameter {place.leaf} {place.slot}".rstrip() + f" is covered by no tensor, expected {name!r} "
                f"{list(place.shape)}; the file is incomplete: fetch it again, or check its configuration"
            )


def rearrange(array: np.ndarray, file_axes: str, leaf_axes: str, sizes: Mapping[str, int]) -> np.ndarray:
    """A view or copy of `array` with its axes split, ordered and merged from `file_axes` to `leaf_axes`, or back."""
    letters, target = file_axes.replace(" ", ""), leaf_axes.replace(" ", "")
    split = array.reshape([sizes[letter] for letter in letters])
    return split.transpose([letters.index(letter) for letter in target]).reshape(_shape(leaf_axes, sizes))


def slot_view(leaf: np.ndarray, slot: str) -> np.ndarray:
    """The part of a fused leaf that `slot` names: [K, G+2, H, D] or [K, G+2, H] for q, k, v; [2, F, D] for gate, up."""
    index = {"": ..., "q": np.s_[:, :-2], "k": np.s_[:, -2], "v": np.s_[:, -1], "gate": 0, "up": 1}
    return leaf[index[slot]]


def extract(leaf: np.ndarray, place: Placement, sizes: Mapping[str, int]) -> np.ndarray:
    """The tensor of a file out of our leaf, as a view where its axes allow: undoes `rearrange` into `slot_view`."""
    return rearrange(slot_view(leaf, place.slot), place.leaf_axes, place.file_axes, sizes)


def _shape(axes: str, sizes: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(math.prod(sizes[letter] for letter in word) for word in axes.split())
