"""A Spikformer on spikingjelly, in the style of its public code: equal logits and gradients in float64."""

from __future__ import annotations

import pytest
import torch

from benchmarks import transformer


def test_a_training_step_equals_that_of_spikingjelly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transformer, "SIZE", {"width": 64, "depth": 1, "heads": 2})
    ours, peer = transformer.networks()
    x, y = torch.rand(4, 3, 32, 32), torch.arange(4)
    transformer.check(ours, peer, x, y)
    with torch.no_grad():
        peer.block[0].attn.q_linear.weight += 0.01
    with pytest.raises(SystemExit, match="different things"):
        transformer.check(ours, peer, x, y)


def test_steps_run_in_every_precision() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(4 * 900, 10))
    x, y = torch.rand(2, 3, 32, 32), torch.arange(2)
    for settings in ({}, {"bf16": True}, {"bf16": True, "channels_last": True}):
        transformer.step_of(net, x, y, **settings)()
