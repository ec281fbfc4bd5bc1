"""Spiking Point Transformer (AAAI 2025, arXiv 2502.15811): attention to neighbours on ever fewer points.

A stem and one block on all points, then stages that keep a quarter of the points and double the width, each
with one block. Residuals add membranes. The attention is a softmax (:class:`snnkit.layers.PointAttention`):
no spike-driven work.

Deviations. Plain neurons stand in for the mixture of four (HD-IF), whose gate sees future steps and ties T
to the weights. Convolutions have no biases, which the norms behind them remove. "queue" coding keeps its
index map.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Unpack

import torch
from torch import Tensor, nn

from ..checks import integer
from ..errors import require
from ..layers import AllPoints, Head, PointAttention, PointPyramid, SpikingConv, map_at
from ..neurons import NeuronFactory, NeuronSpec
from ..points import Groups
from ..sequence import fold, per_step, unfold
from .point_model import PointArgs, PointModel
from .registry import ModelInfo, register_model

__all__ = ["PointTransformerBody", "spiking_point_transformer"]

# LIF, tau 2, threshold 0.5
PUBLISHED_NEURONS = {"lif": {"tau": 2.0, "threshold": 0.5, "detach_reset": True}}


class PointTransformerBody(nn.Module):
    """Stem, stages, mean over points, two layers: ``[S, B, cin, N, 1]`` -> ``[S * repeat, B, out, 1, 1]``.

    Args:
        cin: channels of a point, coordinates first. width: of the first stage; stage i has ``width * 2^i``.
        stages: number of reductions. inner: width inside of the attention. k: neighbours. out: last width.
    """

    def __init__(
        self, cin: int, neuron: NeuronFactory, *, width: int, stages: int, inner: int, k: int, out: int
    ) -> None:
        super().__init__()
        for name, value in (("width", width), ("stages", stages), ("inner", inner), ("out", out)):
            integer(f"PointTransformerBody.{name}", value)
        widths = [width * 2**i for i in range(stages + 1)]
        conv = partial(SpikingConv, order="NCB", neuron=neuron)
        self.pyramid = PointPyramid(k, [4**i for i in range(stages + 1)])
        self.stem = SpikingConv(cin, width, neuron=neuron, role="stem")
        self.lift = SpikingConv(width, width, order="CB")
        self.downs = nn.ModuleList(
            nn.Sequential(conv(3 + w // 2, w, role="embed"), conv(w, w, role="embed")) for w in widths[1:]
        )
        self.blocks = nn.ModuleList(PointAttention(w, inner, neuron) for w in widths)
        self.out = nn.Sequential(conv(widths[-1], widths[-1] // 2), conv(widths[-1] // 2, out))

    def forward(self, x: Tensor, repeat: int = 1) -> Tensor:
        """See the class."""
        sizes = x.shape[:2]
        levels = self.pyramid(fold(x[:, :, :3, :, 0]).transpose(1, 2))
        x = self.lift(self.stem(x, repeat=repeat))
        for i, (down, within) in enumerate(levels):
            if i:
                near = map_at(x, unfold(down.neighbours, *sizes))
                x = self.downs[i - 1](torch.cat([_offsets(down, sizes, x), near], 2)).amax(4, keepdim=True)
            x = x + self.blocks[i](x, unfold(within.neighbours, *sizes), _offsets(within, sizes, x))
        return self.out(per_step(_point_mean, x, training=self.training))


def _offsets(groups: Groups, sizes: Sequence[int], like: Tensor) -> Tensor:
    """Of groups ``[S * B, M, K, 3]`` -> ``[T, B, 3, M, K]``."""
    maps = unfold(groups.offset.to(like.dtype), *sizes).movedim(4, 2)
    return maps.expand(len(like), *maps.shape[1:])


def _point_mean(x: Tensor) -> Tensor:
    return x.mean(2, keepdim=True)


def spiking_point_transformer(
    *,
    width: int = 32,
    stages: int = 4,
    inner: int = 512,
    k: int = 16,
    out: int = 64,
    neuron: NeuronSpec = "lif",
    in_channels: int = 3,
    num_classes: int = 40,
    readout: str = "mean",
    **model: Unpack[PointArgs],
) -> PointModel:
    """Spiking Point Transformer; arguments as in :class:`PointTransformerBody` and :class:`PointModel`.

    Args:
        in_channels: 3, or 6 with normals. neuron: see :mod:`snnkit.neurons.factory`. num_classes, readout: as
            in :class:`Head`.

    Raises:
        ConfigError: a setting out of range; a coding other than "direct" and "queue", since neighbours need
            coordinates.
    """
    coding = model.get("coding", "direct")
    require(coding in ("direct", "queue"), "spiking_point_transformer.coding", coding, '"direct" or "queue"')
    factory = NeuronFactory(neuron, PUBLISHED_NEURONS)
    body = PointTransformerBody(in_channels, factory, width=width, stages=stages, inner=inner, k=k, out=out)
    return PointModel(AllPoints(in_channels), body, Head(out, num_classes, factory, readout), **model)


_INFO = ModelInfo("arXiv 2502.15811")
_MICRO: dict[str, Any] = {"width": 4, "stages": 1, "inner": 8, "k": 3, "out": 8, "num_classes": 10}
register_model("spiking_point_transformer", spiking_point_transformer, _INFO, coding="queue", T=2)
register_model("spiking_point_transformer_micro", spiking_point_transformer, _INFO, **_MICRO)
