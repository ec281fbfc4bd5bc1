"""Spiking PointNet (NeurIPS 2023, arXiv 2310.06232): PointNet with neurons, on all points of a cloud.

As published: 3,471,473 parameters for 40 classes with both T-nets, 811,048 without. Each layer is followed by
batch norm and neuron, but for the third trunk layer (norm only: the maximum over points is of real values)
and the last. The neuron: decay 0.25, threshold 0.5, hard reset, fires above the threshold, with the surrogate
:class:`TanhWindow`.

Deviations. The membrane begins at 0, not at a random value in (0, 0.5), which makes results vary. The
read-out is the mean of logits, not of their log-softmax, and the loss has no term for the 64x64 matrix.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Unpack

import torch
from torch import Tensor, nn

from ..checks import flag, integer, number
from ..errors import require
from ..layers import AllPoints, Head, SpikingConv
from ..neurons import NeuronFactory, NeuronSpec
from ..sequence import per_step
from ..surrogate import Surrogate
from .point_model import PointArgs, PointModel
from .registry import ModelInfo, register_model

__all__ = ["PointNetBody", "TanhWindow", "TransformNet", "spiking_pointnet"]


@dataclass(frozen=True)
class TanhWindow(Surrogate):
    """``p(u) = a (1 - tanh(a u)^2) / (2 tanh(a / 2))`` for ``|u| < 1/2``, 0 beyond; its integral is 1.

    Published with temperature a = 5, on a potential between 0 and 1 with threshold 1/2.
    """

    alpha: float = 5.0

    def derivative(self, u: Tensor) -> Tensor:
        inside = self.alpha * (1 - torch.tanh(self.alpha * u).square()) / (2 * math.tanh(self.alpha / 2))
        return torch.where(u.abs() < 0.5, inside, torch.zeros_like(u))

    def primitive(self, u: Tensor) -> Tensor:
        return torch.tanh(self.alpha * u.clamp(-0.5, 0.5)) / (2 * math.tanh(self.alpha / 2))


PUBLISHED_NEURONS: dict[str, dict[str, Any]] = {
    "lif": {"beta": 0.25, "threshold": 0.5, "fire_at_equal": False, "surrogate": TanhWindow()}
}


class TransformNet(nn.Module):
    """T-net: a ``size x size`` matrix, identity plus a regression from the maximum over points.

    Args:
        cin: channels of the points. size: of the matrix, which acts on the first ``size`` channels.
        widths: three of layers on points, two behind the maximum.

    Shape:
        ``[S, B, cin, N, 1]`` -> ``[S * repeat, B, size, size]``.
    """

    def __init__(self, cin: int, size: int, widths: Sequence[int], neuron: NeuronFactory) -> None:
        super().__init__()
        self.size = size
        c = [cin, *widths]
        conv = partial(SpikingConv, bias=True, neuron=neuron)
        self.stem = conv(c[0], c[1], role="stem")
        self.points = nn.Sequential(conv(c[1], c[2]), conv(c[2], c[3]))
        self.whole = nn.Sequential(conv(c[3], c[4]), conv(c[4], c[5]))
        self.matrix = nn.Linear(c[5], size * size)

    def forward(self, x: Tensor, repeat: int = 1) -> Tensor:
        """See the class."""
        x = self.whole(self.points(self.stem(x, repeat=repeat)).amax(3, keepdim=True))
        matrix = per_step(self.matrix, x.flatten(2)).unflatten(2, (self.size, self.size))
        return matrix + torch.eye(self.size, dtype=matrix.dtype, device=matrix.device)


class PointNetBody(nn.Module):
    """PointNet up to its last hidden layer, whose spikes it returns.

    Args:
        cin: channels of a point, coordinates first.
        widths: three of the trunk (and of the T-nets), two behind the maximum over points.
        transforms: with T-nets on coordinates and on the first features. dropout: behind the last layer.

    Shape:
        ``[S, B, cin, N, 1]`` -> ``[S * repeat, B, widths[4], 1, 1]``.
    """

    def __init__(
        self, cin: int, widths: Sequence[int], neuron: NeuronFactory, *, transforms: bool, dropout: float
    ) -> None:
        super().__init__()
        require(len(widths) == 5, "PointNetBody.widths", widths, "five widths")
        for width in widths:
            integer("PointNetBody.widths", width)
        c = [cin, *widths]
        conv = partial(SpikingConv, bias=True, neuron=neuron)
        with_nets = flag("PointNetBody.transforms", transforms)
        self.turn = TransformNet(cin, 3, widths, neuron) if with_nets else None
        self.mix = TransformNet(c[1], c[1], widths, neuron) if with_nets else None
        self.stem = conv(c[0], c[1], role="stem")
        self.points = nn.Sequential(conv(c[1], c[2]), conv(c[2], c[3], order="CB"))
        self.whole = nn.Sequential(conv(c[3], c[4]), conv(c[4], c[5]))
        self.dropout = nn.Dropout(number("PointNetBody.dropout", dropout, at_least=0, below=1))

    def forward(self, x: Tensor, repeat: int = 1) -> Tensor:
        """See the class."""
        if self.turn is not None:
            matrix = self.turn(x, repeat)
            x = x.expand(len(matrix), *x.shape[1:])
            x = torch.cat([_turned(x[:, :, :3], matrix, self.training), x[:, :, 3:]], 2)
            repeat = 1
        x = self.stem(x, repeat=repeat)
        if self.mix is not None:
            x = _turned(x, self.mix(x), self.training)
        return self.dropout(self.whole(self.points(x).amax(3, keepdim=True)))


def _turned(x: Tensor, matrix: Tensor, training: bool) -> Tensor:
    """``p M`` for all points p of ``[T, B, C, N, 1]``."""
    return per_step(lambda p, m: (m.mT @ p.squeeze(3)).unsqueeze(3), x, matrix, training=training)


def spiking_pointnet(
    *,
    widths: Sequence[int] = (64, 128, 1024, 512, 256),
    transforms: bool = False,
    dropout: float = 0.4,
    neuron: NeuronSpec = "lif",
    in_channels: int = 3,
    num_classes: int = 40,
    readout: str = "mean",
    **model: Unpack[PointArgs],
) -> PointModel:
    """Spiking PointNet; arguments as in :class:`PointNetBody` and :class:`PointModel`.

    Args:
        in_channels: 3, or 6 with normals. neuron: see :mod:`snnkit.neurons.factory`; "lif" stands for the
            published settings. num_classes, readout: as in :class:`Head`.
    """
    factory = NeuronFactory(neuron, PUBLISHED_NEURONS)
    body = PointNetBody(in_channels, widths, factory, transforms=transforms, dropout=dropout)
    return PointModel(AllPoints(in_channels), body, Head(widths[-1], num_classes, None, readout), **model)


_INFO = ModelInfo("arXiv 2310.06232")
_MICRO: dict[str, Any] = {"widths": (8, 8, 16, 16, 8), "transforms": True, "num_classes": 10}
register_model("spiking_pointnet", spiking_pointnet, _INFO)
register_model("spiking_pointnet_tnets", spiking_pointnet, _INFO, transforms=True)
register_model("spiking_pointnet_micro", spiking_pointnet, _INFO, **_MICRO)
