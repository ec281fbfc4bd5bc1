"""Gathered linear layers equal dense ones up to the rounding of sums, for every shape and density."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import snnkit
from snnkit.errors import BackendError, ConfigError
from snnkit.kernels import event_linear, library

pytestmark = pytest.mark.skipif(isinstance(library(), str), reason=f"native backend: {library()}")


@pytest.mark.parametrize("density", [0.0, 0.05, 0.5, 1.0])
@pytest.mark.parametrize("outputs", [1, 127, 128, 300])
@pytest.mark.parametrize("rows", [(), (0,), (1,), (3, 2), (500,)], ids=str)
@pytest.mark.parametrize("kind", ["spikes", "counts", "real"])
def test_equals_the_dense_product(kind: str, rows: tuple[int, ...], outputs: int, density: float) -> None:
    generator = torch.Generator().manual_seed(outputs)
    x = (torch.rand(*rows, 70, generator=generator) < density).float()
    if kind != "spikes":
        values = torch.randn(x.shape, generator=generator)
        x = x * (values if kind == "real" else (3 * values).round())
    weight, bias = torch.randn(outputs, 70, generator=generator), torch.randn(outputs, generator=generator)
    for b in (bias, None):
        got = event_linear(x, weight, b)
        wanted = F.linear(x.double(), weight.double(), None if b is None else b.double())
        assert got.shape == wanted.shape
        torch.testing.assert_close(got.double(), wanted, rtol=0, atol=1e-4)


def test_integer_weights_are_summed_exactly() -> None:
    x, weight = (torch.rand(64, 300) < 0.2).float(), torch.randint(-100, 100, (256, 300)).float()
    assert torch.equal(event_linear(x, weight), F.linear(x, weight))


def test_a_whole_network_inside_the_block() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(128, 256), snnkit.LIF(), nn.Linear(256, 128), snnkit.LIF()).eval()
    x = (torch.rand(12, 3, 128) < 0.1).float()
    dense = net(x)
    calls: list[int] = []
    with torch.no_grad(), snnkit.event_driven() as mode:
        gather = mode._linear
        mode._linear = lambda *a, **k: (calls.append(1), gather(*a, **k))[1]  # type: ignore[method-assign]
        assert torch.equal(net(x), dense)
        with snnkit.stream(net) as session:
            chunks = torch.cat([session(x[:1]), session(x[1:5]), session(x[5:])])
        assert torch.equal(chunks, dense)
    assert len(calls) == 8
    assert not mode._columns


def test_training_and_dense_inputs_stay_dense() -> None:
    layer = nn.Linear(128, 128)
    x = torch.rand(4, 128)
    with snnkit.event_driven() as mode:
        layer(x).sum().backward()
        with torch.no_grad():
            layer(x)
            layer.double()(x.double())
        assert not mode._columns
    assert layer.weight.grad is not None


def test_refused() -> None:
    with pytest.raises(BackendError, match="float64"):
        event_linear(torch.rand(2, 70).double(), torch.rand(70, 70).double())
    with pytest.raises(ConfigError, match=r"event_driven\.below.*\[0, 1\]"):
        snnkit.event_driven(below=2)


def test_no_inputs_and_a_lazily_negated_input() -> None:
    assert torch.equal(event_linear(torch.zeros(4, 0), torch.zeros(5, 0)), torch.zeros(4, 5))
    x, weight = torch.randn(3, 70), torch.randn(80, 70)
    assert torch.equal(event_linear(torch._neg_view(x), weight), event_linear(-x, weight))
