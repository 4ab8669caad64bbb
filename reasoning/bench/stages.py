"""`bench.py stages`: what each transform and controller adds to a greedy decode step, in all rows.

Knobs are data, so one compiled program serves all settings of the standard chain, and one those of the chain that controls
thinking; the last line of the table has a chain that does next to nothing.
"""

import statistics
from typing import Any

from reasoning.bench import workload
from reasoning.bench.loop import Loop
from reasoning.bench.ours import GREEDY, ClockedEngine
from reasoning.bench.pairing import interleave, ratio
from reasoning.decode import controllers, transforms
from reasoning.decode.base import Chain
from reasoning.decode.engine import STANDARD
from reasoning.decode.thinking import CHAIN as THINKING
from reasoning.models.model import Model

NEVER = "☃☃☃"  # a string that no model writes here: a controller must watch for it and never act
BARE = Chain((transforms.temperature(),), (controllers.stop_ids(),))


def settings(engine: ClockedEngine) -> dict[str, dict[str, Any]]:
    """Label → knobs: each stage switched on alone. Sampling stages come with temperature 1, the others with greedy."""
    pattern, half = engine.pattern(NEVER), engine.allowed_set(range(0, engine.model.config.vocab_size, 2))
    sampled = {"temperature": 1.0}
    return {
        "greedy": {},
        "logit_bias": {"bias_ids": [5], "bias_values": [1.0]},
        "forbidden_ids": {"forbidden_ids": [5]},
        "allowed_set": {"allowed_set": half},
        "min_new_tokens": {"min_new_tokens": 1, "stop_ids": [5]},
        "repetition_penalty": {"repetition_penalty": 1.1},
        "frequency_penalty": {"frequency_penalty": 0.1},
        "presence_penalty": {"presence_penalty": 0.1},
        "temperature 1": sampled,
        "temperature 0.7": {"temperature": 0.7},
        "top_k 50": sampled | {"top_k": 50},
        "top_p 0.95": sampled | {"top_p": 0.95},
        "min_p 0.05": sampled | {"min_p": 0.05},
        "typical_p 0.95": sampled | {"typical_p": 0.95},
        "stop_ids": {"stop_ids": [engine.model.config.vocab_size - 1]},
        "stop_patterns": {"stop_patterns": [pattern]},
        "step_ends": {"step_ends": [pattern]},
        "phases": {"thinking_end": pattern},
    }


def thinking(engine: ClockedEngine) -> dict[str, dict[str, Any]]:
    """Label → knobs of the chain that controls thinking: everything watched, and nothing that happens in so few tokens."""
    pattern, script, last = engine.pattern(NEVER), engine.script([5]), engine.model.config.vocab_size - 1
    phase = {"thinking_end": pattern, "thinking_stop_ids": [last]}
    scripts = {"ignore_script": script, "end_script": script, "tail_script": script}
    budget = phase | scripts | {"max_thinking": 1_000_000, "num_ignore": 4, "answer_reserve": 1}
    budget |= {"max_round": 1_000_000, "min_thinking": 1}
    switching = phase | {"switch_penalty": 3.0, "switch_window": 600, "switch_set": engine.allowed_set([last])}
    switching |= {"switch_phrases": [pattern]}
    reflection = phase | {"reflection_set": engine.allowed_set([last]), "reflection_amplitude": 5.0, "reflection_period": 1200}
    early = phase | scripts | {"loop_repeats": 8, "soft_thinking": 0, "soft_rank": 1}
    return {
        "thinking: no control": {},
        "thinking: budget forcing": budget,
        "thinking: switch penalty": switching,
        "thinking: cyclic reflection": reflection,
        "thinking: loop stop": phase | scripts | {"loop_repeats": 8},
        "thinking: soft window": phase | scripts | {"soft_thinking": 0, "soft_rank": 1},
        "thinking: all controls": budget | switching | reflection | early,
    }


def stages(model: Model, batch: int, prompt: int, new: int, rounds: int) -> list[dict]:
    """One entry a setting: ms a step (median) and its overhead over greedy in per cent (median, low, high) by round.

    The last entry is greedy with a chain of temperature and stop ids alone: what the neutral stages of the standard chain cost.
    """
    prompts = workload.prompts(batch, prompt, model.tokenizer, model.config.vocab_size)
    engine = ClockedEngine(model, max_slots=batch)
    wanted = settings(engine)
    controls = thinking(engine)
    loop, controlled, bare = (Loop(engine, prompts, new, chain) for chain in (STANDARD, THINKING, BARE))
    runs = {name: (lambda knobs=knobs: loop.seconds(GREEDY | knobs) / new) for name, knobs in wanted.items()}
    runs |= {name: (lambda knobs=knobs: controlled.seconds(GREEDY | knobs) / new) for name, knobs in controls.items()}
    runs["greedy, no other stage in the chain"] = lambda: bare.seconds(GREEDY) / new
    seconds = interleave(runs, rounds)
    return [
        {
            "setting": name,
            "batch": batch,
            "ms_per_step": 1e3 * statistics.median(values),
            "overhead_percent": [100 * (value - 1) for value in ratio(values, seconds["greedy"])],
        }
        for name, values in seconds.items()
    ]
