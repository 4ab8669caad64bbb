"""What the share of the peak is made of: the FLOPs of a step are those of its rows, however they are packed."""

import dataclasses

import pytest
from doubles.mesh_run import SHAPE
from doubles.train_run import examples

from reasoning.models.flops import head_flops, prefill_flops
from reasoning.train.batching import Batches, Layout
from reasoning.train.speed import step_flops

LOCAL = dataclasses.replace(SHAPE, num_layers=3, window=7, local_layers=(True, False, True))


@pytest.mark.parametrize("kind", ["packed", "padded"])
@pytest.mark.parametrize("config", [SHAPE, LOCAL], ids=["global", "local"])
def test_padding_other_segments_or_keys_outside_the_window_are_paid_for(config, kind):
    batch = next(Batches(examples(), Layout(kind, examples=10, rows=4, max_tokens=64)))
    forward = sum(prefill_flops(config, len(one.ids)) for one in examples())
    targets = sum(int(one.loss.sum()) for one in examples())
    assert step_flops(config, batch) == 3 * (forward + targets * head_flops(config))
