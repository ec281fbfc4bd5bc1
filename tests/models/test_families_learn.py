"""Every family of spiking transformers learns four directions of a grating, at micro width, in a minute."""

from __future__ import annotations

import math
import time

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from snnkit.models import create_model, list_models

SIDE, CLASSES = 16, 4


def gratings(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Static images ``[count, 2, 16, 16]`` of waves in one of four directions, of any phase, in noise."""
    y = torch.randint(CLASSES, (count,), generator=generator)
    angle = (y * math.pi / CLASSES).view(-1, 1, 1)
    phase = 2 * math.pi * torch.rand(count, 1, 1, generator=generator)
    rows, cols = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    wave = (2 * math.pi / 8 * (cols * angle.cos() + rows * angle.sin()) + phase).sin()
    noise = 0.3 * torch.randn(count, 2, SIDE, SIDE, generator=generator)
    return torch.stack([wave, -wave], 1) + noise, y


@pytest.mark.slow
@pytest.mark.parametrize("name", list_models("*_test"))
def test_family_learns(name: str) -> None:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    net = create_model(name, num_classes=CLASSES, in_channels=2, img_size=SIDE)
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    start, found = time.process_time(), 0.0
    unseen, truth = gratings(256, torch.Generator().manual_seed(1))
    for step in range(1, 301):
        x, y = gratings(32, generator)
        optimizer.zero_grad()
        F.cross_entropy(net.train()(x), y).backward()
        optimizer.step()
        if step % 20 == 0:
            with torch.no_grad():
                found = (net.eval()(unseen).argmax(-1) == truth).float().mean().item()
            if found > 0.9:
                break
    assert found > 0.9, f"{found:.2f} after {step} steps"
    assert time.process_time() - start < 60
