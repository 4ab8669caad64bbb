"""What one sample cost: tokens by kind, analytic FLOPs, seconds. Cost is part of every result."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Ledger:
    """Cost of one sample.

    Attributes:
      prompt: prompt tokens. sampled, forced: tokens of the response, chosen by the model or forced. discarded: tokens
        un-emitted again. lookahead, scorer: tokens spent on rollouts and by a scorer.
      flops_prompt: of prefilling the prompt once; samples of one problem share it when the prefix is cached.
      flops_generated: of everything after the prompt.
      seconds: this sample's share of the slots' time, compile time apart; it depends on the machine and its load.
    """

    prompt: int = 0
    sampled: int = 0
    forced: int = 0
    discarded: int = 0
    lookahead: int = 0
    scorer: int = 0
    flops_prompt: float = 0.0
    flops_generated: float = 0.0
    seconds: float = 0.0

    @property
    def generated(self) -> int:
        """Tokens that went through the model after the prompt."""
        return self.sampled + self.forced + self.discarded + self.lookahead

    def __add__(self, other: "Ledger") -> "Ledger":
        pairs = {field.name: getattr(self, field.name) + getattr(other, field.name) for field in dataclasses.fields(self)}
        return Ledger(**pairs)
