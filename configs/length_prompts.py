"""Asking for a length, in tokens, in steps, or as a class: does a model keep to it, and what does it do to accuracy?

Paper: Muennighoff et al. 2025, arXiv 2501.19393, section 5 and appendix E (tables 12 to 14).

COMMAND
  python scripts/evaluate.py --config configs/length_prompts.py
  python scripts/evaluate.py --config configs/length_prompts.py --config.methods.tokens.amount=64

MEASURED: nothing yet.
"""

from configs import common


def get_config(arg=None):
    """n: problems; model: any that `reasoning.load` takes; tokens: of a sample at most."""
    arg = common.parse_arg(arg, n=100, model=common.MODEL, tokens=256)
    config = common.base(arg.model, common.task("chain_sum", size=arg.n))
    shared = {"examples": common.CHAIN_SUM_STEPS, "instruction": "", "max_tokens": arg.tokens}
    config.methods.cot = common.method("chain_of_thought", **shared)
    config.methods.tokens = common.method("length_prompts", **shared, unit="tokens", amount=128)
    config.methods.steps = common.method("length_prompts", **shared, unit="steps", amount=4)
    config.methods.short = common.method("length_prompts", **shared, unit="short")
    config.methods.long = common.method("length_prompts", **shared, unit="long")
    return config


def get_sweep():
    """Powers of two, as the paper's."""
    return [{"config.methods.tokens.amount": 2**power, "config.methods.steps.amount": 2 ** (power - 5)} for power in range(5, 10)]
