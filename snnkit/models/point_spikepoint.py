"""SpikePoint-style networks (after SpikePoint, ICLR 2024, arXiv 2310.07189).

Published are the mechanism (groups of an event cloud, rate code over T = 16 steps, offsets without sign
beside the corner of their group, residual extractors with an identity path) and results; its code and layer
widths are not available here. Widths, presets and the order of the layers are ours: no reproduction.

::

    local:   conv(cin, l0)  ResF(l0)  conv(l0, l1)         shared by all neighbours, then maximum over K
    global:  conv(w', w)  ResF(w)  for each width w         then maximum over M
    head:    conv(w, h)  Linear(h, classes)  mean over time

Every conv is 1x1 without bias, with batch norm and neuron; ``ResF(c)`` is ``x + conv(conv(x))``.
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


class SpikePointBody(nn.Module):
    """Local extractor, maximum over K, global extractor, maximum over M.

    Args:
        cin: channels of the groups. local: widths (l0, l1). global_widths: at least one. head: last width.
        residual: "ms": neurons ahead of the convs, membranes are added and pooled, every conv but the first
            sees spikes. "sew": neurons behind the norms, spikes are added (0, 1, 2) and pooled.

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

        l0, l1 = local
        self.stem = SpikingConv(
            cin, l0, order="CB" if residual == "ms" else "CBN", neuron=neuron, role="stem"
        )
        self.local = nn.Sequential(extractor(l0), conv(l0, l1))
        stages: list[nn.Module] = []
        before = l1
        for width in global_widths:
            stages += [conv(before, width), extractor(width)]
            before = width
        self.globals = nn.Sequential(*stages)
        self.out = conv(before, head)

    def forward(self, x: Tensor, repeat: int = 1) -> Tensor:
        """See the class."""
        x = self.local(self.stem(x, repeat=repeat)).amax(4, keepdim=True)
        return self.out(self.globals(x).amax(3, keepdim=True))


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
