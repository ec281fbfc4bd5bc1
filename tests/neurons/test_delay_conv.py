"""A convolution behind delayed channels: from the definition, in any chunks, and what it refuses."""

from __future__ import annotations

import pytest
import torch
from delay_settings import INTERPS, build, shift_loop, spikes
from helpers import relative_error, same_bits
from torch.nn import functional as F

import snnkit
from snnkit.errors import ConfigError, ShapeError, StreamError
from snnkit.neurons import DelayConv2d, delay_layers


@pytest.mark.parametrize("interp", INTERPS)
def test_equals_a_line_and_a_convolution(interp: str) -> None:
    layer, line = DelayConv2d(4, 5, 3, 6, interp=interp, padding=1, stride=2), build("line", interp)
    with torch.no_grad():
        layer.delay.copy_(line.delay)
    x = spikes("line")
    wanted = torch.stack(
        [F.conv2d(f, layer.conv.weight.double(), padding=1, stride=2) for f in shift_loop(line, x)]
    )
    assert relative_error(layer.eval()(x).double(), wanted) < 1e-6
    whole = layer(x)
    with snnkit.stream(layer) as session:
        assert same_bits(torch.cat([session(c) for c in x.split([1, 7, 4])]), whole)
    layer.train()(x).square().sum().backward()
    assert (layer.delay.grad is not None) is (interp != "fixed")
    assert list(delay_layers(layer)) == ["axons"]


def test_what_it_refuses() -> None:
    layer = DelayConv2d(4, 5, 3, 6, interp="gauss")
    for shape in ((2, 3, 4), (2, 3, 4, 5, 5, 1), (2, 3, 5, 5, 5)):
        with pytest.raises(ShapeError, match="expected"):
            layer(torch.zeros(shape))
    with pytest.raises(ConfigError, match="max_delay: got -1"):
        DelayConv2d(4, 5, 3, -1)
    session = snnkit.stream(layer)
    session(torch.zeros(2, 1, 4, 5, 5))
    with pytest.raises(StreamError):
        session(torch.zeros(2, 1, 4, 5, 5))
