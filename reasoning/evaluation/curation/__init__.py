"""s1's funnel over a pool of traces, and what needs a model for it."""
