"""Search over reasoning steps: rounds of expand, score, select and gather, on the device."""
