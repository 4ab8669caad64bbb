"""The one chain of all controls of thinking: budgets, penalties on switching, reflection, and everything standard.

Methods that share it share compiled programs, so a sweep over budgets, strings, words and strengths compiles once.
"""

from reasoning.decode import controllers, transforms
from reasoning.decode.base import Chain
from reasoning.decode.budget import budget_forcing
from reasoning.decode.cyclic_reflection import cyclic_reflection
from reasoning.decode.thought_switching import thought_switching

CHAIN = Chain(
    (thought_switching(), cyclic_reflection(), *transforms.standard()),
    (budget_forcing(), *controllers.standard()),
)
