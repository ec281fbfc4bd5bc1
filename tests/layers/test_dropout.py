"""Dropout over sequences: one mask for all steps, that of spikingjelly, nothing in evaluation."""

from __future__ import annotations

import pytest
import torch
from helpers import same_bits

from snnkit.layers import SequenceDropout


def test_one_mask_for_all_steps() -> None:
    layer, x = SequenceDropout(0.25), torch.ones(7, 40, 50)
    kept = layer(x)
    assert torch.allclose(kept[kept > 0], torch.tensor(4 / 3))
    assert bool((kept == kept[:1]).all())
    assert (kept == 0).float().mean().item() == pytest.approx(0.25, abs=0.05)
    assert not torch.equal(layer(x), layer(x))
    assert same_bits(layer.eval()(x), x)
    assert SequenceDropout(0.5)(x[:0]).shape == (0, 40, 50)
    with pytest.raises(ValueError, match="dropout probability"):
        SequenceDropout(1.5)


@pytest.mark.oracle
def test_it_is_that_of_spikingjelly() -> None:
    layer = pytest.importorskip("spikingjelly.activation_based.layer")
    x = torch.rand(5, 6, 7)
    results = []
    for dropout in (SequenceDropout(0.4), layer.Dropout(0.4, step_mode="m")):
        torch.manual_seed(3)
        results.append(dropout(x))
    assert same_bits(*results)
