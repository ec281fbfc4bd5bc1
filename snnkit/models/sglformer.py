"""SGLFormer (Frontiers in Neuroscience 2024): convolution, then local and global spiking self-attention.

Local attention is one of strided grids (:class:`snnkit.layers.StridedSSA`). On small images and events every
block is convolution branch, local attention and MLP, then two times global attention and MLP, without biases,
and the head weighs all tokens and steps (:class:`snnkit.layers.TokenTimeHead`). On ImageNet the convolution
branch and the local attention come once, in front of Spikformer blocks, and the head averages.

In the published code for ImageNet the neuron behind the projection of the global attention runs along steps
and samples as one axis, so that samples of a batch meet: with one sample it is what stands here.

For events the repository states 2.58 M parameters, while its code, followed here, has 4.16 M: two blocks of
global attention more than fit that number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from ..errors import require
from ..layers import TokenTimeHead
from .backbone import Backbone, BackboneArgs, Stage
from .registry import ModelInfo, register_model
from .spikformer import PUBLISHED_NEURONS

__all__ = ["sglformer"]


def sglformer(
    *,
    width: int,
    heads: int,
    plan: Sequence[tuple[int, int]],
    divisors: Sequence[int] = (6, 4, 2, 1, 1),
    pools: str | Sequence[int] = "00011",
    bias: bool = False,
    ratio: float = 4.0,
    scale: float = 0.125,
    weigh_steps: bool = True,
    **backbone: Unpack[BackboneArgs],
) -> Backbone:
    """SGLFormer; the other arguments as in :class:`Backbone`.

    Args:
        width, heads, ratio, scale: of all blocks.
        plan: pairs (local, global): so many blocks with convolution branch and local attention, then so many
            with global attention; repeated for every pair.
        divisors, pools: stem, see :func:`snnkit.layers.spike_chain`.
        bias: biases of projections and MLPs in the global blocks; the local ones have none.
        weigh_steps: head with a weight per token and step, for ``img_size`` and ``T``; False: it averages.
    """
    require(len(plan) > 0, "plan", plan, "pairs (local, global) of numbers of blocks")
    common: dict[str, Any] = {"heads": heads, "ratio": ratio}
    stages: list[Stage] = []
    embed, embed_args = "spike_chain", {"divisors": divisors, "pools": pools}
    for i, (local, total) in enumerate(plan):
        stages += [
            Stage(
                "none" if i else embed,
                width,
                local,
                "strided_ssa",
                local="conv_branch",
                embed_args={} if i else embed_args,
                mixer_args={"scale": scale, "proj_bias": False},
                channel_args={"bias": False},
                feature=False,
                **common,
            ),
            Stage(
                "none",
                width,
                total,
                "ssa",
                mixer_args={"scale": scale, "proj_bias": bias},
                channel_args={"bias": bias},
                feature=i == len(plan) - 1,
                **common,
            ),
        ]
    settings: dict[str, Any] = {"published": PUBLISHED_NEURONS}
    if weigh_steps:
        side = backbone.get("img_size", 32) // 2 ** sum(str(flag) == "1" for flag in pools)
        settings |= {"head": TokenTimeHead, "head_args": {"tokens": side**2, "steps": backbone.get("T", 4)}}
    return Backbone(stages, residual="sew", head_spike=False, **settings, **backbone)


_PAPER = "SGLFormer, Frontiers in Neuroscience 2024"
_IMAGENET: dict[str, Any] = {"divisors": (8, 4, 2, 1, 1), "pools": "11110", "plan": ((1, 6),), "bias": True}
_IMAGENET |= {"weigh_steps": False}
_CIFAR: dict[str, Any] = {"plan": ((1, 2),), "img_size": 32, "num_classes": 10}
_EVENTS: dict[str, Any] = {"plan": ((1, 2),), "pools": "01111", "T": 16, "in_channels": 2, "img_size": 128}
_EVENTS |= {"num_classes": 10}
_MICRO: dict[str, Any] = {"plan": ((1, 1),), "weigh_steps": False, "in_channels": 2, "img_size": 16}
_MICRO |= {"num_classes": 10}

for _name, _data, _width, _heads, _millions, _accuracy in (
    ("8_384", _IMAGENET, 384, 6, 16.25, "ImageNet 79.44, T=4"),
    ("8_512", _IMAGENET, 512, 8, 28.67, "ImageNet 82.28, T=4"),
    ("8_768", _IMAGENET, 768, 12, 64.02, "ImageNet 83.73, T=4"),
    ("cifar_4_384", _CIFAR, 384, 16, 8.85, "CIFAR-10/100 96.76/82.26, T=4"),
    ("dvs_3_256", _EVENTS, 256, 16, None, "CIFAR10-DVS 82.6, Gesture 98.6, T=16"),
    ("test", _MICRO, 24, 2, None, ""),
):
    register_model(
        f"sglformer_{_name}",
        sglformer,
        ModelInfo(
            _PAPER,
            _millions,
            _accuracy,
            "repository" if _accuracy else "",
            {"scale": 1.0} if _name.startswith(("cifar", "dvs")) else {},
        ),
        width=_width,
        heads=_heads,
        **_data,
    )
