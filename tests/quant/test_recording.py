"""What the recording of a network must not lose: each of these once gave a program of another network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import snnkit
from snnkit import quant
from snnkit.errors import AccumulatorOverflowError, NumericsError, QuantConfigError, ShapeError


class Net(nn.Module):
    """Two layers with a neuron before and behind ``between``, which works on ``[T, B, C, H, W]``."""

    def __init__(self, between: Any = None, last: nn.Module | None = None) -> None:
        super().__init__()
        self.first = snnkit.PerStep(nn.Conv2d(2, 6, 3, padding=1, bias=False))
        self.fire, self.last_fire = snnkit.LIF(threshold=0.2), snnkit.LIF(threshold=0.2)
        self.between = between if between is not None else nn.Identity()
        self.second = snnkit.PerStep(last or nn.Conv2d(6, 6, 3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.last_fire(self.second(self.between(self.fire(self.first(x)))))
        return x.sum((-2, -1))


def spikes(*shape: int) -> Tensor:
    return (torch.rand(*shape) < 0.4).float()


def _written(x: Tensor) -> Tensor:
    x.mul_(2.0)
    return x


def _set(x: Tensor) -> Tensor:
    x[:, :, 0] = 0
    return x


def _through_a_view(x: Tensor) -> Tensor:
    x.flatten(0, 1).clamp_(max=0.0)
    return x


def _out(x: Tensor) -> Tensor:
    torch.mul(x, 0.0, out=x)
    return x


class Does(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Scaled(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * 2


class Standardised(nn.Conv2d):
    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return super()._conv_forward(x, weight - weight.mean(), bias)


class Norm(nn.BatchNorm2d):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * 0.5


class Louder(snnkit.LIF):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(3 * x)


@pytest.mark.parametrize(
    ("net", "words"),
    [
        (Net(Does(_written)), "in place"),
        (Net(Does(_set)), "in place"),
        (Net(Does(_through_a_view)), "in place"),
        (Net(Does(_out)), "in place"),
        (Net(snnkit.PerStep(nn.MaxPool2d(2, ceil_mode=True))), "ceil_mode"),
        (Net(snnkit.PerStep(Does(lambda x: F.max_pool2d(x, 2, ceil_mode=True)))), "ceil_mode"),
        (Net(snnkit.PerStep(nn.MaxPool2d(2, return_indices=True), Does(lambda x: x[0]))), "return_indices"),
        (Net(Does(lambda x: F.dropout(x, 0.5))), "dropout"),
        (Net(Does(lambda x: x.transpose(0, 1))), "transpose"),
        (Net(Does(lambda x: x.flatten(0, 1).unflatten(0, (x.shape[1], -1)))), "unflatten"),
        (Net(Does(lambda x: (x * 0.5).to(torch.int32).to(x.dtype))), "'to'"),
        (Net(last=Scaled(6, 6, 3)), "a Conv2d with a forward of its own"),
        (Net(last=Standardised(6, 6, 3)), "a Conv2d with a _conv_forward of its own"),
        (Net(snnkit.PerStep(Norm(6))), "a BatchNorm2d with a forward of its own"),
        (Net(Louder()), "Louder has no integer form"),
        (nn.Sequential(Net(last=nn.Conv2d(6, 10, 3)), snnkit.readout.Votes(5)), "Votes"),
    ],
)
def test_another_network_is_refused(net: nn.Module, words: str) -> None:
    with pytest.raises(QuantConfigError, match=words):
        quant.convert_to_integer(quant.quantize(net, 4, skip=()), spikes(2, 3, 2, 7, 7))


@pytest.mark.parametrize(
    "between",
    [
        Does(lambda x: x.add_(x)),  # what it returns has a meaning
        Does(lambda x: x.__iadd__(x)),
        nn.Dropout(0.5),
        Does(lambda x: F.max_pool2d(x.flatten(0, 1), 2).unflatten(0, x.shape[:2])),
    ],
)
def test_recorded(between: nn.Module) -> None:
    torch.manual_seed(0)
    net = quant.quantize(Net(between), 4, skip=()).double().eval()
    x = spikes(3, 2, 2, 7, 7).double()
    wanted = net(x)
    assert wanted.any()
    assert torch.equal(quant.convert_to_integer(net, x)(x).double(), wanted)
    with torch.inference_mode():
        assert torch.equal(quant.convert_to_integer(net, x)(x).double(), wanted)


@pytest.mark.parametrize(
    ("x", "error"),
    [
        (torch.full((2, 1, 2, 7, 7), -1.0), QuantConfigError),
        (torch.full((2, 1, 2, 7, 7), 1.5), QuantConfigError),  # an image, of at most 1
        (torch.full((2, 1, 2, 7, 7), 256.0), QuantConfigError),
        (torch.full((2, 1, 2, 7, 7), torch.nan), NumericsError),
        (torch.zeros(2, 7), ShapeError),
    ],
)
def test_examples_are_checked(x: Tensor, error: type[Exception]) -> None:
    with pytest.raises(error, match="convert_to_integer"):
        quant.convert_to_integer(quant.quantize(Net(), 4), x)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("scheme", ["lsq", "ternary"])
def test_a_diverged_network_has_no_codes(scheme: str, value: float) -> None:
    q = quant.quantize(Net(), 4 if scheme == "lsq" else 2, scheme=scheme, skip=())
    q.first.body.parametrizations.weight.original.data.view(-1)[0] = value
    with pytest.raises(NumericsError, match=r"first\.body\.parametrizations\.weight.* holds NaN or Inf"):
        quant.convert_to_integer(q, spikes(2, 1, 2, 7, 7))


def test_a_norm_that_has_almost_vanished() -> None:
    """Its factors need many bits of shift, and its offsets must fit all the same, or are refused."""
    norm = nn.BatchNorm2d(6)
    nn.init.constant_(norm.weight, 1e-11)
    nn.init.constant_(norm.bias, 0.5)
    torch.manual_seed(0)
    net = quant.quantize(Net(snnkit.PerStep(nn.Conv2d(6, 6, 1), norm), nn.Conv2d(6, 6, 3)), 4, skip=())
    net = nn.Sequential(net.first, net.fire, net.between, net.last_fire, net.second).double().eval()
    x = spikes(3, 2, 2, 7, 7).double()
    wanted = net(x)
    got = quant.convert_to_integer(net, x)(x)
    assert wanted.std() > 0.01
    assert torch.allclose(got.double(), wanted, atol=1e-4)
    nn.init.constant_(net.get_submodule("2.body.1").bias, 1e18)  # type: ignore[arg-type]
    with pytest.raises(AccumulatorOverflowError, match=r"3: products of .* exceed"):
        quant.convert_to_integer(net, x)
