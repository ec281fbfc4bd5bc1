"""Operations beside matrix products: counted, folded, free, or listed."""

from __future__ import annotations

import contextlib

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from snnkit.energy import trace


def test_batch_norm_folds_into_the_layer_before_it_only():
    x = torch.randn(2, 3, 8, 8)
    folded = trace(nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)).eval(), x)
    assert (folded.total.muls, folded.total.adds, folded.total.bias_add) == (0, 0, 2 * 4 * 36)
    assert set(folded.by_layer) == {"0"}  # the convolution pays
    biased = trace(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval(), x)
    assert biased.total.bias_add == 2 * 4 * 36
    after_pool = trace(nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(2), nn.BatchNorm2d(4)).eval(), x)
    assert (after_pool.total.muls, after_pool.total.adds) == (2 * 4 * 9, 2 * 4 * 9)
    assert any("batch norm" in w for w in after_pool.warnings)


def test_a_shared_output_is_not_folded():
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4)

        def forward(self, x):
            y = self.conv(x)
            z = y.relu()
            return self.norm(y) + z

    total = trace(Branches().eval(), torch.randn(2, 3, 4, 4)).total
    assert (total.muls, total.adds) == (128, 256)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: x + x, {"adds": 144}),
        (lambda x: x * 0.5, {}),
        (lambda x: x * 0.3, {"muls": 144}),
        (lambda x: x / 3, {"muls": 144}),
        (lambda x: x.relu(), {"cmps": 144}),
        (lambda x: x.clamp(0, 1), {"cmps": 288}),
        (lambda x: x.sum(-1), {"adds": 144 - 36}),
        (lambda x: x.mean((2, 3)), {"adds": 144 - 9, "muls": 0}),
        (lambda x: F.avg_pool2d(x, 2), {"adds": 144 - 36}),
        (lambda x: F.avg_pool2d(x, 3, 1), {"adds": 9 * 4 * 8, "muls": 36}),
        (lambda x: F.adaptive_avg_pool2d(x, 2), {"adds": 144 - 36}),
        (lambda x: F.max_pool2d(x, 2), {"cmps": 36 * 3}),
        (lambda x: x.permute(0, 2, 3, 1).reshape(3, -1)[:, 1:3].contiguous().double(), {}),
    ],
)
def test_pointwise_operations_on_reals(function, expected):
    class Apply(nn.Module):
        def forward(self, x):
            return function(x)

    x = torch.randn(3, 3, 4, 4)
    for mode in (contextlib.nullcontext, torch.inference_mode):
        with mode():
            result = trace(Apply(), x)
        got = {k: getattr(result.total, k) for k in ("adds", "muls", "cmps", "and_ops", "reads")}
        assert {k: v for k, v in got.items() if v} == {k: v for k, v in expected.items() if v}
        assert not result.uncounted


def test_pointwise_operations_on_spikes():
    class Apply(nn.Module):
        def __init__(self, function):
            super().__init__()
            self.function = function

        def forward(self, x):
            return self.function(x)

    x = (torch.rand(3, 3, 4, 4) < 0.4).float()
    n = int(x.sum())
    assert trace(Apply(lambda x: x * x), x).total.and_ops == 144
    assert trace(Apply(lambda x: x.sum((2, 3))), x).total.adds == n
    assert trace(Apply(lambda x: F.avg_pool2d(x, 2)), x).total.adds == n
    overlap = int(F.conv2d(x, torch.ones(3, 1, 3, 3), padding=1, groups=3).sum())
    assert trace(Apply(lambda x: F.avg_pool2d(x, 3, 1, 1)), x).total.adds == overlap
    assert trace(Apply(lambda x: F.max_pool2d(x, 2)), x).total.and_ops == 108


def test_embedding_reads():
    assert trace(nn.Embedding(10, 4), torch.arange(6).view(2, 3)).total.reads == 24


def test_weight_preparation_is_constant():
    class Quantised(nn.Linear):
        def forward(self, x):
            scale = self.weight.abs().max() / 7
            return F.linear(x, (self.weight / scale).round().clamp(-7, 7) * scale, self.bias)

    net, x = Quantised(5, 4), (torch.rand(3, 5) < 0.5).float()
    result = trace(net, x)
    assert (result.total.muls, result.total.cmps, result.total.sop) == (0, 0, 4 * int(x.sum()))
    assert not result.uncounted
