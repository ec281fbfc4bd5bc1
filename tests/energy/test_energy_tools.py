"""Cases on which counters in use disagree or stay silent: the exact answers, from first principles.

One test per row of what spikingjelly, NeuroBench, syops, FLOP counters and others were run on; the answers
come from closed forms, from convolutions of ones, or from loops over events.
"""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from snnkit.energy import price, trace


def spikes(*shape: int, rate: float = 0.3) -> torch.Tensor:
    return (torch.rand(shape, generator=torch.Generator().manual_seed(len(shape))) < rate).float()


def reached(x: torch.Tensor, conv: nn.Module) -> int:
    """(nonzero input, existing tap) pairs: the layer with weights of one, on ones where there are events."""
    ones = {"weight": torch.ones_like(conv.weight, dtype=torch.float64)}
    if conv.bias is not None:
        ones["bias"] = torch.zeros_like(conv.bias, dtype=torch.float64)
    return int(torch.func.functional_call(conv, ones, (x.ne(0).double(),)).sum())


def only(result):
    assert not result.uncounted
    (record,) = (r for r in result.records if r.kind in ("weight", "product"))
    return record, result.total


def test_linear_with_binary_input():
    x = spikes(4, 3, 12)
    record, total = only(trace(nn.Linear(12, 7), x, T=4))
    assert (total.sop, total.dense) == (7 * int(x.sum()), 4 * 3 * 12 * 7)
    assert (total.bias_add, record.a.name) == (4 * 3 * 7, "binary")  # a bias in every step


@pytest.mark.parametrize(
    "options",
    [{}, {"stride": 2}, {"groups": 2}, {"dilation": 2}],
    ids=lambda o: next(iter(o), "plain"),
)
def test_convolution_without_padding(options):
    x, conv = spikes(2, 4, 9, 9), nn.Conv2d(4, 6, 3, **options)
    _, total = only(trace(conv, x))
    assert total.sop == reached(x, conv) != round(total.dense * float(x.mean()))  # rate x dense is off


@pytest.mark.parametrize(
    "options",
    [
        {"padding": 1},
        {"padding": 2, "stride": 2},
        {"padding": 2, "dilation": 2},
        {"padding": 1, "groups": 4},
        {"padding": "same"},
    ],
    ids=lambda o: "-".join(o),
)
def test_convolution_with_padding(options):
    x, conv = spikes(2, 4, 9, 9), nn.Conv2d(4, 8, 3, **options)
    _, total = only(trace(conv, x))
    assert total.sop == reached(x, conv) < round(total.dense * float(x.mean()))
    assert total.valid == reached(torch.ones_like(x), conv) < total.dense


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_transposed_convolution(stride):
    x, conv = spikes(2, 4, 5, 5), nn.ConvTranspose2d(4, 3, 3, stride, padding=1)
    _, total = only(trace(conv, x))
    assert total.sop == reached(x, conv) > 0
    assert total.dense == 2 * 25 * 4 * 3 * 9  # by its input, not its output


def test_ternary_input():
    x = spikes(5, 12) - spikes(5, 12, rate=0.6)
    record, total = only(trace(nn.Linear(12, 7), x))
    assert (record.a.name, total.sop) == ("ternary", 7 * int(x.count_nonzero()))
    assert "ac" in {line.term for line in price(trace(nn.Linear(12, 7), x)).lines}


def test_integer_input():
    x = torch.arange(60.0).reshape(5, 12) % 5
    record, total = only(trace(nn.Linear(12, 7), x))
    assert (record.a.name, record.a.levels) == ("integer", 4)
    assert (total.sop, total.sum_abs) == (7 * int(x.count_nonzero()), 7 * int(x.sum()))


def test_scaled_spikes():
    x = 0.5 * spikes(5, 12)
    record, total = only(trace(nn.Linear(12, 7), x))
    assert (record.a.name, record.a.unit) == ("scaled binary", 0.5)
    assert total.sop == total.sum_abs == 7 * int(x.count_nonzero())  # not the sum of the values
    assert trace(nn.Linear(12, 7), 0.6 * spikes(5, 12)).records[0].a.name == "scaled binary"


def test_pruned_weights():
    x, layer = spikes(5, 12), nn.Linear(12, 7, bias=False)
    with torch.no_grad():
        layer.weight.mul_(spikes(7, 12, rate=0.5))
    _, total = only(trace(layer, x))
    assert total.sop == 7 * int(x.sum())
    assert total.sop_w == sum(int(layer.weight[:, j].count_nonzero()) for _, j in x.nonzero().tolist())


def test_binary_weights_on_real_input():
    layer = nn.Linear(12, 7, bias=False)
    with torch.no_grad():
        layer.weight.copy_(spikes(7, 12))
    result = trace(layer, torch.randn(5, 12))
    record, _ = only(result)
    assert record.a.name == "real"
    assert {line.term for line in price(result, dataflow="compute").lines} == {"mac"}


class Product(nn.Module):
    def forward(self, q, k):
        return q @ k.mT


def test_spikes_times_spikes():
    q, k = spikes(2, 5, 8), spikes(2, 6, 8, rate=0.5)
    _, total = only(trace(Product(), (q, k)))
    assert (total.pairs_a, total.pairs_b) == (6 * int(q.sum()), 5 * int(k.sum()))
    assert total.pairs_ab == int((q @ k.mT).sum())


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_scaled_dot_product_attention(mode):
    class Attention(nn.Module):
        def forward(self, q):
            return F.scaled_dot_product_attention(q, q, q)

    with mode():
        total = trace(Attention(), spikes(2, 3, 5, 8)).total
    assert (total.dense, total.exps) == (2 * (2 * 3 * 5 * 5 * 8), 2 * 3 * 5 * 5)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_multi_head_attention_on_its_fused_path(mode):
    layer, x = nn.MultiheadAttention(8, 2, batch_first=True).eval(), torch.randn(3, 5, 8)
    with mode():
        total = trace(layer, (x, x, x), T=1).total
    assert total.dense == 3 * 5 * 8 * (3 * 8 + 8) + 2 * (3 * 5 * 5 * 8)


def test_any_layer_in_inference_mode():
    net = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.Flatten(), nn.Linear(100, 5))
    x = spikes(3, 2, 5, 5)
    plain = trace(net, x).total
    with torch.inference_mode():
        assert trace(net, x).total == plain
    assert plain.dense == 3 * (25 * 2 * 4 * 9 + 500)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_lstm_on_its_fused_kernel(mode):
    with mode():
        total = trace(nn.LSTM(5, 6, bidirectional=True), torch.randn(7, 3, 5), T=7).total
    assert total.dense == 2 * 7 * 3 * 4 * 6 * (5 + 6)


def test_subclassed_layers():
    class Own(nn.Conv2d):
        pass

    class Deeper(Own):
        def forward(self, x):
            return super().forward(x)

    x, conv = spikes(2, 3, 6, 6), Deeper(3, 4, 3, padding=1)
    assert only(trace(nn.Sequential(conv), x))[1].sop == reached(x, conv)


def test_delay_kernels_with_one_tap_per_synapse():
    """A synapse with delay d is a kernel of 7 taps, 6 of them zero: it transmits every event once."""
    T, taps = 20, 7
    delays = torch.randint(0, taps, (4, 3), generator=torch.Generator().manual_seed(0))
    conv = nn.Conv1d(3, 4, taps, bias=False)
    with torch.no_grad():
        conv.weight.copy_(F.one_hot(taps - 1 - delays, taps))
    x = spikes(2, 3, T)

    class Delay(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = conv

        def forward(self, x):
            return self.conv(F.pad(x, (taps - 1, 0)))

    arrive = sum(
        t + int(delays[o, i]) < T for (_, i, t), o in itertools.product(x.nonzero().tolist(), range(4))
    )
    _, total = only(trace(Delay(), x))
    assert total.sop_w == arrive == int(Delay()(x).sum())
    assert total.sop > 5 * total.sop_w


def test_unfolded_convolution():
    x, conv = spikes(2, 3, 7, 7), nn.Conv2d(3, 4, 3, padding=1, stride=2, bias=False)

    class Unfolded(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = conv.weight

        def forward(self, x):
            return self.weight.flatten(1) @ F.unfold(x, 3, padding=1, stride=2)

    _, total = only(trace(Unfolded(), x))
    assert total.sop == reached(x, conv)


@pytest.mark.oracle
@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 8, 3, padding=1, stride=2, bias=False),
        nn.Conv2d(4, 8, 3, padding=2, dilation=2, groups=2, bias=False),
        nn.ConvTranspose2d(4, 3, 3, 2, bias=False),
        nn.Linear(9, 5, bias=False),
    ],
    ids=lambda m: type(m).__name__,
)
def test_the_exact_counter_of_spikingjelly_agrees_where_it_counts(layer):
    counters = pytest.importorskip("spikingjelly.activation_based.op_counter")
    counter, x = counters.SynOpCounter(), spikes(2, 4, 9, 9)
    with torch.no_grad(), counters.DispatchCounterMode([counter]):
        layer(x)
    assert trace(layer, x).total.sop == counter.get_total()
