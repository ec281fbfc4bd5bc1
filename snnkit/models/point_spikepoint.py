"""SpikePoint-style networks (after SpikePoint, ICLR 2024, arXiv 2310.07189).

Published are the mechanism (groups of an event cloud, rate code over T = 16 steps, offsets without sign
beside the corner of their group, residual extractors with an identity path) and results; its code and layer
widths are not available here. Widths, presets and the order of the layers are ours: no reproduction.

::

    local:   conv(cin, l0)  ResF(l0)  convmax(l0, l1)      shared by all neighbours, maximum over K
    global:  conv(w', w)  ResF(w)  for each width w
    head:    convmax(w, h)  Linear(h, classes)  mean over time        maximum over M

Every conv is 1x1 without bias, with batch norm and neuron; ``ResF(c)`` is ``x + conv(conv(x))``. The maximum
lies between convolution and norm: behind the norm, the maximum over M = 64 groups had mean 3.5 and deviation
1.4, and neurons with threshold 1 fired in 86 % of all steps, whatever the cloud.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, Unpack

from torch import Tensor, nn

from ..checks import choice, integer
from ..errors import require
from ..layers import Head, PointGroups, Residual, ResidualKind, SpikingConv
from ..neurons import NeuronFactory, NeuronSpec
from .point_model import PointArgs, PointModel
from .registry import ModelInfo, register_model

__all__ = ["SpikePointBody", "spikepoint"]


class _Maximum(nn.Module):
    """Maximum along one axis, which stays with size 1."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return x.amax(self.dim, keepdim=True)


class SpikePointBody(nn.Module):
    """Local extractor, maximum over K, global extractor, maximum over M, as in the module docstring.

    Args:
        cin: channels of the groups. local: widths (l0, l1). global_widths: at least one. head: last width.
        residual: "ms": neurons ahead of the convs, membranes are added, every conv but the first sees spikes.
            "sew": neurons behind the norms, spikes are added (0, 1, 2).

    Shape:
        ``[S, B, cin, M, K]`` -> ``[S * repeat, B, head, 1, 1]``: the membrane ("ms") or spikes ("sew").
    """

    def __init__(
        self,
        cin: int,
        neuron: NeuronFactory,
        *,
        local: Sequence[int],
        global_widths: Sequence[int],
        head: int,
        residual: ResidualKind,
    ) -> None:
        super().__init__()
        choice("SpikePointBody.residual", residual, ("ms", "sew"))
        require(len(local) == 2, "SpikePointBody.local", local, "two widths")
        require(len(global_widths) > 0, "SpikePointBody.global_widths", global_widths, "at least one width")
        for name, widths in (("local", local), ("global_widths", global_widths), ("head", [head])):
            for width in widths:
                integer(f"SpikePointBody.{name}", width)
        order: Literal["NCB", "CBN"] = "NCB" if residual == "ms" else "CBN"
        conv = partial(SpikingConv, order=order, neuron=neuron)

        def extractor(width: int) -> nn.Module:
            branch = nn.Sequential(conv(width, width, role="mlp1"), conv(width, width, role="mlp2"))
            return Residual(branch)

        def pooled(cin: int, cout: int, dim: int) -> nn.Module:
            return conv(cin, cout, conv=nn.Sequential(nn.Conv2d(cin, cout, 1, bias=False), _Maximum(dim)))

        l0, l1 = local
        self.stem = SpikingConv(
            cin, l0, order="CB" if residual == "ms" else "CBN", neuron=neuron, role="stem"
        )
        self.local = nn.Sequential(extractor(l0), pooled(l0, l1, 3))
        stages: list[nn.Module] = []
        before = l1
        for width in global_widths:
            stages += [conv(before, width), extractor(width)]
            before = width
        self.globals = nn.Sequential(*stages)
        self.out = pooled(before, head, 2)

    def forward(self, x: Tensor, repeat: int = 1) -> Tensor:
        """See the class."""
        return self.out(self.globals(self.local(self.stem(x, repeat=repeat))))


def spikepoint(
    *,
    groups: int = 512,
    k: int = 24,
    features: str = "abs_min",
    sampler: str = "fps",
    radius: float | None = None,
    local: Sequence[int] = (32, 64),
    global_widths: Sequence[int] = (128, 256),
    head: int = 256,
    residual: ResidualKind = "ms",
    neuron: NeuronSpec = "lif",
    in_channels: int = 3,
    num_classes: int = 10,
    readout: str = "mean",
    **model: Unpack[PointArgs],
) -> PointModel:
    """SpikePoint-style network; arguments of :class:`PointGroups`, :class:`SpikePointBody` and the model.

    Args:
        in_channels: of a point. num_classes, readout: as in :class:`Head`. neuron: see
            :mod:`snnkit.neurons.factory`.
    """
    embed = PointGroups(groups, k, features=features, sampler=sampler, radius=radius, in_channels=in_channels)
    factory = NeuronFactory(neuron)
    body = SpikePointBody(
        embed.channels, factory, local=local, global_widths=global_widths, head=head, residual=residual
    )
    # "sew" ends in spikes already
    last = Head(head, num_classes, factory if residual == "ms" else None, readout)
    return PointModel(embed, body, last, **model)


_PAPER: dict[str, Any] = {"coding": "rate", "T": 16}
_MICRO: dict[str, Any] = {"groups": 8, "k": 4, "T": 4}

for _name, _local, _global, _head, _classes, _more in (
    ("spikepoint_tiny", (16, 32), (64,), 64, 10, _PAPER),
    ("spikepoint_small", (32, 64), (128,), 128, 10, _PAPER),
    ("spikepoint_base", (32, 64), (128, 256), 256, 10, _PAPER),
    ("spikepoint_large", (64, 128), (256, 384), 256, 51, _PAPER),
    ("spikepoint_micro", (8, 16), (16,), 16, 10, _MICRO),
):
    _sizes = {"local": _local, "global_widths": _global, "head": _head, "num_classes": _classes}
    register_model(_name, spikepoint, ModelInfo("after arXiv 2310.07189"), **_sizes, **_more)
