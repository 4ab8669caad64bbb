"""What a decoder is, as one frozen and hashable value: everything that changes its mathematics, nothing else.

Axis legend: `D` model, `N` query heads, `K` kv heads, `G` = N/K, `H` head dim, `F` mlp, `L` layers, `V` vocabulary.
Readers of configurations fill it (`reasoning.weights.hf_config`, `reasoning.weights.gguf_config`); `reasoning.models.transformer`
reads it.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class RopeScaling:
    """Frequency scaling of rotary embeddings. `kind` is one of "linear", "llama3", "yarn"; unused fields keep their defaults."""

    kind: str
    factor: float
    original_context: int = 0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    attention_factor: float | None = None


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """A decoder-only transformer of the Llama / Qwen / Gemma line.

    Attributes:
      family: "llama" (SmolLM2, Llama), "qwen2" (Qwen2, Qwen2.5), "qwen3" or "gemma3"; chooses the weight-name tables.
      vocab_size: rows of the embedding, V; the tokenizer may know fewer ids (padded rows are never sampled).
      context: longest sequence the model was made for, tokens.
      query_scale: factor on q·k; None means H ** -0.5.
      norm_offset: RMSNorm multiplies by `norm_offset + scale` (Gemma's Hugging Face files: 1.0, everything else 0.0).
      embed_scale: factor on the embedding's output; None means 1.
      post_norms: a second RMSNorm after attention and after the mlp (Gemma 3).
      window: keys that a local layer sees, itself included, tokens; None when no layer is local.
      local_layers: for each layer whether it is local; () means none is.
      rope_local_theta: rope base of the local layers; None means `rope_theta`.
      language_head: whether the model gives vocabulary logits, through the embedding if `tie_embeddings`. False for a
        classification or reward model: such a model scores and cannot generate.
      num_labels: numbers that a score head gives for each token: classes, one reward, or one value. 0 means no score head;
        beside a language head it is a value head (TRL's `v_head`).
      score_bias: whether the score head adds a bias.
    """

    family: str
    vocab_size: int
    d_model: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    d_ff: int
    context: int
    rope_theta: float
    norm_eps: float
    tie_embeddings: bool
    qkv_bias: bool = False
    out_bias: bool = False
    qk_norm: bool = False
    activation: str = "silu"
    norm_offset: float = 0.0
    embed_scale: float | None = None
    query_scale: float | None = None
    post_norms: bool = False
    window: int | None = None
    local_layers: tuple[bool, ...] = ()
    rope_local_theta: float | None = None
    rope_scaling: RopeScaling | None = None
    language_head: bool = True
    num_labels: int = 0
    score_bias: bool = False

    @property
    def groups(self) -> int:
        """Query heads per kv head, G."""
        return self.num_heads // self.num_kv_heads

    def is_local(self, layer: int) -> bool:
        """Whether `layer` attends only to the last `window` positions."""
        return bool(self.local_layers) and self.local_layers[layer]

    def __post_init__(self):
        if self.num_heads % self.num_kv_heads:
            raise ValueError(f"num_heads {self.num_heads} is not a multiple of num_kv_heads {self.num_kv_heads}")
        if self.head_dim % 2:
            raise ValueError(f"rotary embeddings need an even head_dim, got {self.head_dim}")
        if self.num_labels < (0 if self.language_head else 1) or (self.score_bias and not self.num_labels):
            raise ValueError(f"a score head with num_labels {self.num_labels} gives nothing")
        if self.local_layers and len(self.local_layers) != self.num_layers:
            raise ValueError(f"local_layers has {len(self.local_layers)} entries for {self.num_layers} layers")
