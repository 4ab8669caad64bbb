"""Programs that write reasoning traces for generated problems: one file a family of reasoning-gym, found by its name.

A file has `DOMAIN` (subject of its traces), `instance(entry)` and `write(entry, tries, rng)`; `base.py` says what they do.
`pool.py` draws the problems, has the traces written and checks each of them with the task's own scorer.
"""
