"""A spike-driven transformer on groups of points: ours, published nowhere.

Groups as in :mod:`.point_spikepoint`, then the blocks of the Spike-driven Transformer
(:mod:`.spike_driven`) on M tokens, one for each group. Every convolution but the first sees binary spikes,
the attention masks and sums; with a rate code the first one sees spikes as well. Where a token lies is in
its features.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Unpack

from torch import Tensor, nn

from ..checks import integer
from ..layers import CHANNEL_MIXERS, MIXERS, Head, PointGroups, Residual, SpikingConv
from ..neurons import NeuronFactory, NeuronSpec
from .point_model import PointArgs, PointModel
from .registry import ModelInfo, register_model

__all__ = ["TokenBody", "spike_driven_points"]


class TokenBody(nn.Module):
    """Three convolutions on neighbours, maximum over K, then blocks of mixer and MLP on M tokens.

    Args:
        cin: channels of the groups. width: of the tokens, even. depth, heads, ratio: of the blocks.
        mixer: name in :data:`snnkit.layers.MIXERS`, one for membrane shortcuts.

    Shape:
        ``[S, B, cin, M, K]`` -> ``[S * repeat, B, width, M, 1]``, membranes.
    """

    def __init__(
        self, cin: int, neuron: NeuronFactory, *, width: int, depth: int, heads: int, ratio: float, mixer: str
    ) -> None:
        super().__init__()
        integer("TokenBody.width", width, 2)
        integer("TokenBody.depth", depth)
        conv = partial(SpikingConv, order="NCB", neuron=neuron)
        self.stem = SpikingConv(cin, width // 2, order="CB")
        self.local = nn.Sequential(conv(width // 2, width // 2), conv(width // 2, width))
        attend, channels = MIXERS.get(mixer), CHANNEL_MIXERS.get("mlp")
        self.blocks = nn.Sequential()
        for _ in range(depth):
            self.blocks.append(Residual(attend(width, heads, neuron, residual="ms")))
            self.blocks.append(Residual(channels(width, neuron, residual="ms", ratio=ratio)))

    def forward(self, x: Tensor, repeat: int = 1) -> Tensor:
        """See the class."""
        return self.blocks(self.local(self.stem(x, repeat=repeat)).amax(4, keepdim=True))


def spike_driven_points(
    *,
    groups: int = 128,
    k: int = 16,
    features: str = "abs_min",
    sampler: str = "fps",
    radius: float | None = None,
    width: int = 96,
    depth: int = 2,
    heads: int = 4,
    ratio: float = 2.0,
    mixer: str = "sdsa1",
    neuron: NeuronSpec = "lif",
    in_channels: int = 3,
    num_classes: int = 10,
    readout: str = "mean",
    **model: Unpack[PointArgs],
) -> PointModel:
    """Spike-driven transformer on groups; arguments of :class:`PointGroups`, :class:`TokenBody`, the model.

    Args:
        in_channels: of a point. num_classes, readout: as in :class:`Head`. neuron: see
            :mod:`snnkit.neurons.factory`.
    """
    embed = PointGroups(groups, k, features=features, sampler=sampler, radius=radius, in_channels=in_channels)
    factory = NeuronFactory(neuron, roles={"attn": {"threshold": 0.5}})
    body = TokenBody(embed.channels, factory, width=width, depth=depth, heads=heads, ratio=ratio, mixer=mixer)
    return PointModel(embed, body, Head(width, num_classes, factory, readout), **model)


_MICRO: dict[str, Any] = {"groups": 8, "k": 4, "width": 16, "depth": 1, "heads": 2}

for _name, _sizes in (
    ("spike_driven_points_small", {"width": 64, "depth": 1}),
    ("spike_driven_points_base", {"width": 128, "depth": 2}),
    ("spike_driven_points_micro", _MICRO),
):
    register_model(_name, spike_driven_points, ModelInfo("this project"), **_sizes)
