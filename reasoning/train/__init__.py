"""Training of the models that the engine runs: fine-tuning on traces."""
