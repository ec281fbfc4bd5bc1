"""PerStep takes layers without memory only."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import snnkit
from snnkit.errors import ConfigError, InputTypeError


@pytest.mark.parametrize("layers", [(snnkit.LIF(),), (nn.Sequential(nn.Linear(2, 2), snnkit.LIF()),), ()])
def test_memory_is_refused(layers: tuple) -> None:
    with pytest.raises(ConfigError, match="PerStep"):
        snnkit.PerStep(*layers)


def test_functions_are_refused() -> None:
    with pytest.raises(InputTypeError, match=r"PerStep.*torch modules"):
        snnkit.PerStep(torch.relu)


def test_equals_a_loop_over_time() -> None:
    layer = nn.Linear(5, 3)
    x = torch.randn(4, 2, 5)
    out = snnkit.PerStep(layer).eval()(x)
    assert torch.equal(out, torch.stack([layer(x_t) for x_t in x]))
