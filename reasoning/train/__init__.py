"""Fine-tuning: examples from traces, batches of them, and the compiled step."""
