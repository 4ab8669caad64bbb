"""Robustness against compute: grids of attacks, their rates, pictures and training."""
