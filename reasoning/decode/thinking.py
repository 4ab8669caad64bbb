"""The one chain of all controls of thinking: budgets, penalties on switching, and everything standard.

Methods that share it share compiled programs, so a sweep over budgets, strings, words and strengths compiles once.
"""

from reasoning.decode import controllers, transforms
from reasoning.decode.base import Chain
from reasoning.decode.budget import budget_forcing

CHAIN = Chain(transforms.standard(), (budget_forcing(), *controllers.standard()))
