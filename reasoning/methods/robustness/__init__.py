"""Robustness against compute: any method of this package as the defender, with an attacker's text in its prompt.

Source: Zaremba et al. 2025, "Trading Inference-Time Compute for Adversarial Robustness", arXiv 2501.18841, sections 2 and 3;
defender compute by budget forcing as in Wu et al. 2025, arXiv 2507.15974. What the attacker wants is the task's
(`reasoning.data.goals`), how much it spends is the attack's, how much the model thinks is the defender's; a grid over the last
two is labels of one config.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from reasoning.decode.engine import STANDARD
from reasoning.decode.thinking import CHAIN
from reasoning.errors import InputError
from reasoning.methods import base
from reasoning.methods.base import Method
from reasoning.methods.robustness.attacked import Attacked
from reasoning.methods.robustness.families import attack as attack_of
from reasoning.methods.robustness.span import Span
from reasoning.methods.rounds import Rounds


def make(
    *,
    attack: Mapping[str, Any] = {"kind": "none"},
    defender: Mapping[str, Any] = {"method": "budget_forcing", "form": "prompt"},
    ambiguous: bool = False,
    n: int | None = None,
    max_tokens: int | None = None,
    stop: Sequence[str] | None = None,
    seed: int = 0,
    knobs: Mapping[str, Any] | None = None,
) -> Method:
    """A method under attack.

    Args:
      attack: `kind`, a file of this directory, and its arguments (`reasoning.methods.robustness.families`).
      defender: `method` and its arguments: any that draws its prompts from a question.
      ambiguous: whether the rule about the span leaves open if it is to be followed.
      n, max_tokens, stop, seed, knobs: of the defender, in place of what `defender` says.

    Raises InputError for an unknown attack or defender and their arguments.
    """
    if not isinstance(defender, Mapping) or not isinstance(defender.get("method"), str) or defender["method"] == "robustness":
        raise InputError(f"the defender is {{method: …}} and the arguments of a method other than robustness, got {defender!r}")
    given = {"n": n, "max_tokens": max_tokens, "stop": stop, "seed": seed, "knobs": knobs}
    arguments = {**defender, **{name: value for name, value in given.items() if value is not None}}
    one = base.method(arguments.pop("method"), **arguments)
    fields = {field.name: getattr(one, field.name) for field in dataclasses.fields(Method)}
    # One chain for defenders that think and those that do not: a stage that is neutral changes no bit, so a grid is one program.
    chain = CHAIN if one.chain is STANDARD else one.chain
    made, span, found = {**fields, "name": "robustness", "chain": chain}, Span(ambiguous, seed), attack_of(attack)
    if isinstance(found, Rounds):  # it asks the defender itself, for all samples of its vote
        if one.search is not None or one.rounds is not None:
            raise InputError(
                "an attack in a loop asks its defender for samples, so none that searches or works in rounds can be it"
            )
        asked = dataclasses.replace(one, chain=chain)
        found = dataclasses.replace(found, span=span, defender=asked, scorer=one.scorer, width=one.n)
        made |= {"n": 1, "vote": base.only, "scorer": None, "rounds": found}
    return Attacked(**made, attack=found, span=span, defender=one)
