"""Widths of weights are read from the layers themselves."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import snnkit
from snnkit import quant
from snnkit.energy import price, trace
from snnkit.errors import ConfigError


def test_declared_widths_are_charged() -> None:
    per = snnkit.PerStep
    net = nn.Sequential(per(nn.Linear(64, 64)), snnkit.LIF(), per(nn.Linear(64, 64))).eval()
    x = (torch.rand(4, 2, 64) < 0.5).float()
    small = trace(quant.quantize(net, 4, skip=()), x)
    whole = trace(net, x)
    assert [r.weight_bits for r in small.records if r.kind == "weight"] == [4, 4]
    assert [r.weight_bits for r in whole.records if r.kind == "weight"] == [None, None]
    for options in ({}, {"state_bits": 16}):  # floating point, integers
        found = [price(t, **options) for t in (small, whole)]  # type: ignore[arg-type]
        lines = [next(x for x in r.lines if x.term == "mem_w" and x.layer == "0.body") for r in found]
        assert lines[0].count == lines[1].count
        assert 0 < lines[0].pj <= lines[1].pj / 8  # fewer bits, and they fit a smaller memory
    given = [price(t, weight_bits=8) for t in (small, whole)]
    first_layer = [next(x.pj for x in r.lines if x.term == "mem_w") for r in given]
    assert first_layer[0] == first_layer[1]
    twins = [price(t).counterpart("ann") for t in (small, whole)]
    reads = [[x.pj for x in twin.lines if x.term == "mem_w"] for twin in twins]
    assert reads[0] == reads[1]


def test_an_impossible_width_is_refused() -> None:
    layer = nn.Linear(4, 4)
    layer.weight_bits = 0  # type: ignore[assignment]
    with pytest.raises(ConfigError, match="weight_bits"):
        trace(nn.Sequential(layer), torch.rand(2, 4), T=1)
