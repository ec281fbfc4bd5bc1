"""Spiking attention: both orders of the product, exactness, and the published equations as loops."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from helpers import same_bits
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from snnkit.errors import ConfigError
from snnkit.layers import MIXERS, MLP, SDSA1, SSA, Residual, SpikingConv
from snnkit.neurons import LIF
from snnkit.neurons.factory import NeuronFactory
from snnkit.sequence import stream


class Through(nn.Module):
    """In place of a neuron: shows what would enter it."""

    def forward(self, x: Tensor) -> Tensor:
        return x


def spikes(*shape: int, rate: float = 0.4, dtype: torch.dtype = torch.float64) -> Tensor:
    return (torch.rand(*shape) < rate).to(dtype)


def ssa(width: int, heads: int, **settings: Any) -> SSA:
    return SSA(width, heads, lambda role, channels: Through(), residual="sew", **settings).eval()


def product(q: Tensor, k: Tensor, v: Tensor, heads: int, order: str) -> Tensor:
    """``Q K^T V`` on tokens ``[T, B, h, N, d]``, in the given order."""
    qh, kh, vh = (z.flatten(3).unflatten(2, (heads, -1)).mT for z in (q, k, v))
    out = (qh @ kh.mT) @ vh if order == "QK first" else qh @ (kh.mT @ vh)
    return out.mT.flatten(2, 3).unflatten(3, q.shape[3:])


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("order", ["QK first", "KV first"])
@pytest.mark.parametrize("size", [1, 2, 5, 8])
def test_both_orders_are_equal_bit_for_bit(size: int, order: str, training: bool) -> None:
    """8 channels per head: fewer and more tokens than that take different orders."""
    q, k, v = (spikes(2, 3, 16, size, size) for _ in range(3))
    got = ssa(16, 2).train(training).mix(q, k, v)
    assert same_bits(got, 0.125 * product(q, k, v, 2, order))


def test_the_cheaper_order_is_taken() -> None:
    flops = []
    for size in (2, 8):
        q = spikes(1, 1, 32, size, size)
        with FlopCounterMode(display=False) as counter:
            ssa(32, 1).mix(q, q, q)
        flops.append(counter.get_total_flops())
    tokens, dim = (4, 64), 32
    assert flops == [4 * n * dim * min(n, dim) for n in tokens]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_all_ones_at_full_size_are_counted_exactly(dtype: torch.dtype, training: bool) -> None:
    """N = 196, d = 64: 196 * 64 = 12544 needs more digits than bfloat16 and float16 accumulators have."""
    ones = torch.ones(1, 1, 128, 14, 14, dtype=dtype)
    autocast = dtype != torch.float16  # torch.stack refuses float16 inside a bfloat16 autocast
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        out = ssa(128, 2, scale=1.0).train(training).mix(ones, ones, ones)
    assert out.dtype == dtype
    assert (out == 196 * 64).all()


def test_counts_that_float32_holds_and_bfloat16_does_not() -> None:
    """Random spikes, float32 under autocast: every count equals the one in float64."""
    q, k, v = (spikes(1, 2, 128, 14, 14, dtype=torch.float32) for _ in range(3))
    with torch.autocast("cpu", torch.bfloat16):
        got = ssa(128, 2, scale=1.0).mix(q, k, v)
    assert torch.equal(got.double(), product(q.double(), k.double(), v.double(), 2, "QK first"))


def test_ssa_equals_a_loop() -> None:
    """Equations 5 to 7 of the paper, one head and token at a time."""
    q, k, v = (spikes(1, 1, 6, 2, 2) for _ in range(3))
    got = ssa(6, 2, scale=0.25).mix(q, k, v)[0, 0].flatten(1)
    for channel in range(6):
        of_head = [c for c in range(6) if c // 3 == channel // 3]
        for n in range(4):
            total = 0.0
            for m in range(4):
                weight = sum(q[0, 0, c].flatten()[n] * k[0, 0, c].flatten()[m] for c in of_head)
                total += weight * v[0, 0, channel].flatten()[m]
            assert got[channel, n] == 0.25 * total


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_sdsa1_equals_its_equation(dtype: torch.dtype, training: bool) -> None:
    layer = SDSA1(6, 2, lambda role, channels: LIF(threshold=0.5), residual="ms").train(training)
    q, k, v = (spikes(3, 2, 6, 3, 3, rate=0.2, dtype=dtype) for _ in range(3))
    gate = LIF(threshold=0.5)((k * v).sum((-2, -1), keepdim=True))
    assert 0 < gate.mean() < 1
    assert same_bits(layer.mix(q, k, v), q * gate)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_sdsa1_counts_exactly(dtype: torch.dtype, training: bool) -> None:
    """What enters the gate neuron: up to 400 coincidences; bfloat16 alone would stop counting at 256."""
    layer = SDSA1(4, 2, lambda role, channels: Through(), residual="ms").train(training)
    k, v = (spikes(2, 3, 4, 20, 20, rate=0.9, dtype=dtype) for _ in range(2))
    got = layer.mix(torch.ones_like(k), k, v)
    counts = (k.double() * v.double()).sum((-2, -1), keepdim=True)
    assert counts.max() > 256
    assert same_bits(got, counts.to(dtype).expand_as(got))


def test_residual_adds_its_input() -> None:
    branch, x = nn.Conv2d(2, 2, 1), torch.randn(3, 2, 4, 4)
    assert same_bits(Residual(branch)(x).detach(), (x + branch(x)).detach())


def test_sdsa1_heads_matter_only_with_the_filter() -> None:
    q, k, v = (spikes(2, 1, 8, 4, 4, rate=0.1) for _ in range(3))

    def out(heads: int, max_filter: bool) -> Tensor:
        make = NeuronFactory({"name": "lif", "threshold": 6.0})
        return SDSA1(8, heads, make, residual="ms", max_filter=max_filter).mix(q, k, v)

    assert same_bits(out(1, False), out(4, False))
    assert not same_bits(out(1, True), out(4, True))


def test_sdsa1_filter_is_a_maximum_over_the_plane_of_head_channels_and_tokens() -> None:
    layer = SDSA1(4, 2, lambda role, channels: Through(), residual="ms", max_filter=True)
    x = torch.zeros(1, 1, 4, 3, 3)
    x[0, 0, 0, 1, 1] = 1.0  # head 0, channel 0, token 4
    out = layer._over_tokens(x).flatten(3)[0, 0]
    wanted = torch.zeros(4, 9)
    wanted[:2, 3:6] = 1.0  # neighbours in channel (within the head) and token
    assert torch.equal(out, wanted)


@pytest.mark.parametrize("name", list(MIXERS))
def test_mixers_refuse_wrong_heads_and_residuals(name: str) -> None:
    mixer = MIXERS.get(name)
    if mixer.attends:
        with pytest.raises(ConfigError, match="divisor of width = 32"):
            mixer(32, 5, NeuronFactory("lif"), residual=mixer.residuals[-1])
    with pytest.raises(ConfigError, match="residual='membrane'"):
        mixer(32, 4, NeuronFactory("lif"), residual="membrane")
    for other in {"sew", "ms"} - set(mixer.residuals):
        with pytest.raises(ConfigError, match="not defined for this mixer"):
            mixer(32, 4, NeuronFactory("lif"), residual=other)


@pytest.mark.parametrize("residual", ["sew", "ms"])
@pytest.mark.parametrize("name", list(MIXERS))
def test_mixers_stream(name: str, residual: Any) -> None:
    if residual not in MIXERS.get(name).residuals:
        pytest.skip("not defined")
    layer = MIXERS.get(name)(8, 2, NeuronFactory("lif"), residual=residual).eval()
    x = 4 * torch.rand(5, 2, 8, 4, 4)
    with stream(layer) as session:
        assert same_bits(torch.cat([session(x[:2]), session(x[2:])]), layer(x))


@pytest.mark.parametrize("residual", ["sew", "ms"])
def test_roles_asked_for(residual: Any) -> None:
    asked: list[tuple[str, int]] = []

    def make(role: str, channels: int) -> nn.Module:
        asked.append((role, channels))
        return LIF()

    SSA(8, 2, make, residual=residual)
    MLP(8, make, residual=residual, ratio=3)
    sew = [("q", 8), ("k", 8), ("v", 8), ("attn", 8), ("proj", 8), ("mlp1", 24), ("mlp2", 8)]
    ms = [("in", 8), ("q", 8), ("k", 8), ("v", 8), ("attn", 8), ("mlp1", 8), ("mlp2", 24)]
    assert asked == (sew if residual == "sew" else ms)


@pytest.mark.parametrize("residual", ["sew", "ms"])
def test_what_the_stream_carries(residual: Any) -> None:
    """Spikes and their sums with "sew"; real numbers with "ms"."""
    branch = MLP(8, NeuronFactory({"name": "lif", "tau": 1.0, "threshold": 0.2}), residual=residual)
    out = Residual(branch)(spikes(2, 3, 8, 2, 2, dtype=torch.float32))
    assert torch.equal(out, out.round()) is (residual == "sew")


@pytest.mark.parametrize("order", ["CBN", "NCB", "CB"])
@pytest.mark.parametrize("pool", [None, "norm", "spike"])
def test_spiking_conv_equals_its_parts(order: Any, pool: Any) -> None:
    layer = SpikingConv(
        2, 4, 3, order=order, neuron=NeuronFactory({"name": "if", "threshold": 0.3}), pool=pool
    ).eval()
    x = torch.randn(3, 2, 2, 6, 6)
    conv, norm = layer.affine[0], layer.affine[1]
    neuron = LIF(beta=1.0, threshold=0.3) if order != "CB" else nn.Identity()
    pooled = nn.MaxPool2d(3, 2, 1)

    def each(f: Any, x: Tensor) -> Tensor:
        return torch.stack([f(x_t) for x_t in x])

    y = neuron(x) if order == "NCB" else x
    y = each(pooled, y) if pool == "spike" and order == "NCB" else y
    y = each(lambda x: norm(conv(x)), y)
    y = each(pooled, y) if pool == "norm" else y
    y = neuron(y) if order == "CBN" else y
    y = each(pooled, y) if pool == "spike" and order != "NCB" else y
    assert same_bits(layer(x), y)


def test_batch_statistics_are_shared_over_time() -> None:
    layer = SpikingConv(2, 4, 3, order="CB").train()
    x = torch.randn(5, 3, 2, 6, 6)
    out = layer(x)
    assert out.mean((0, 1, 3, 4)).abs().max() < 1e-5
    assert out.var((0, 1, 3, 4), correction=0).sub(1).abs().max() < 1e-3
