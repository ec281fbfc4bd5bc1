"""SpikingResformer (CVPR 2024, arXiv 2403.14302): dual spike self-attention.

Three stages behind a convolution of the image; attention patches of 4, 2 and 1 tokens, feed-forward networks
with grouped convolutions, membrane shortcuts. The head has neither neuron nor bias. All neurons fire at 1,
also those of the attention, and have the arctangent surrogate; for gestures they learn their time constants.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from ..errors import require
from .backbone import Backbone, BackboneArgs, Stage
from .initialise import init_convs
from .registry import ModelInfo, register_model

__all__ = ["spikingresformer"]

_NEURON = {"tau": 2.0, "detach_reset": True, "surrogate": "atan"}


def spikingresformer(
    *,
    widths: Sequence[int],
    depths: Sequence[int] = (1, 2, 3),
    patches: Sequence[int] = (4, 2, 1),
    head_width: int = 64,
    group: int = 64,
    stem_kernel: int = 7,
    stem_stride: int = 2,
    stem_pool: bool = True,
    ratio: float = 4.0,
    learn_tau: bool = False,
    **backbone: Unpack[BackboneArgs],
) -> Backbone:
    """SpikingResformer; the other arguments as in :class:`Backbone`.

    Args:
        widths, depths, patches: channels, blocks and attention patch of every stage.
        head_width: channels of a head. group: channels of a group in the feed-forward networks.
        stem_kernel, stem_stride, stem_pool: first convolution, and whether a max pooling follows.
        ratio: of the feed-forward networks.
        learn_tau: the published neurons learn their time constant, one per layer of neurons (PLIF).
    """
    ok = len(widths) == len(depths) == len(patches) > 0
    require(ok, "depths, patches", (depths, patches), f"{len(widths)} ints each, one for each of widths")
    require(all(w % head_width == 0 for w in widths), "widths", widths, f"multiples of {head_width}")
    stem = {"kernel": stem_kernel, "stride": stem_stride, "pool": stem_pool}
    stages = [
        Stage(
            "down" if i else "stem",
            width,
            depths[i],
            "dssa",
            "gwffn",
            heads=width // head_width,
            ratio=ratio,
            embed_args={"bias": False} if i else stem,
            mixer_args={"patch": patches[i]},
            channel_args={"group": group},
        )
        for i, width in enumerate(widths)
    ]
    lif = _NEURON | {"learn_tau": learn_tau}
    settings: dict[str, Any] = {"published": {"lif": lif}, "roles": {"attn": {}}}
    net = Backbone(stages, residual="ms", head_spike=False, head_args={"bias": False}, **settings, **backbone)
    return init_convs(net)


_PAPER = "SpikingResformer, CVPR 2024, arXiv 2403.14302"
_SMALL: dict[str, Any] = {"stem_kernel": 3, "stem_stride": 1, "stem_pool": False}
_CIFAR = _SMALL | {"img_size": 32, "num_classes": 10}
_GESTURE = _SMALL | {"head_width": 32, "group": 32, "learn_tau": True}
_GESTURE |= {"T": 16, "img_size": 64, "num_classes": 11}  # frames of polarity="with_sum": three channels
_MICRO: dict[str, Any] = {
    "depths": (1, 1),
    "patches": (2, 1),
    "head_width": 8,
    "group": 16,
    "stem_kernel": 3,
    "stem_pool": False,
    "in_channels": 2,
    "img_size": 16,
    "num_classes": 10,
}

for _name, _data, _widths, _info in (
    ("ti", {}, (64, 192, 384), ModelInfo(_PAPER, 11.1)),
    ("s", {}, (64, 256, 512), ModelInfo(_PAPER, 17.8)),
    ("m", {}, (64, 384, 768), ModelInfo(_PAPER, 35.5)),
    ("l", {}, (128, 512, 1024), ModelInfo(_PAPER, 60.4, "ImageNet 79.40, T=4", "paper, abstract")),
    ("cifar", _CIFAR, (64, 192, 384), ModelInfo(_PAPER)),
    ("gesture", _GESTURE, (32, 96, 192), ModelInfo(_PAPER)),
    ("test", _MICRO, (16, 32), ModelInfo(_PAPER)),
):
    register_model(f"spikingresformer_{_name}", spikingresformer, _info, widths=_widths, **_data)
