"""Scores of responses and of their steps: reward models, what the policy itself thinks of them, verifiers, oracles."""
