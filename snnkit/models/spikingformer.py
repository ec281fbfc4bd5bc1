"""Spikingformer (arXiv 2304.11954): Spikformer with membrane shortcuts, so that convolutions read spikes.

Widths, heads and numbers of parameters are those of Spikformer. Neurons stand in front of convolutions, also
in the tokenizer, which has no position shortcut; the head reads the mean of the membrane.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from .backbone import Backbone, BackboneArgs, Stage
from .registry import ModelInfo, register_model
from .spikformer import PUBLISHED_NEURONS

__all__ = ["spikingformer"]


def spikingformer(
    *,
    depth: int,
    width: int,
    heads: int,
    ratio: float = 4.0,
    pools: str | Sequence[int] = "1111",
    scale: float = 0.125,
    tau: float = 2.0,
    **backbone: Unpack[BackboneArgs],
) -> Backbone:
    """Spikingformer with ``depth`` blocks of ``width`` channels; arguments as in :func:`spikformer`.

    Args:
        tau: of the published LIF neuron; 1.5 in the published code for events.
    """
    stage = Stage(
        "sps_ms_order",
        width,
        depth,
        "ssa",
        heads=heads,
        ratio=ratio,
        embed_args={"pools": pools},
        mixer_args={"scale": scale},
    )
    published = {"lif": PUBLISHED_NEURONS["lif"] | {"tau": tau}}
    return Backbone([stage], residual="ms", head_spike=False, published=published, **backbone)


_CIFAR: dict[str, Any] = {"pools": "0011", "img_size": 32, "num_classes": 10}
_EVENTS: dict[str, Any] = {"T": 16, "in_channels": 2, "img_size": 128, "num_classes": 10, "tau": 1.5}
_MICRO: dict[str, Any] = {"pools": "0011", "in_channels": 2, "img_size": 16, "num_classes": 10}

for _name, _data, _depth, _width, _heads, _millions, _accuracy in (
    ("spikingformer_8_384", {}, 8, 384, 12, 16.81, "ImageNet 72.45, T=4"),
    ("spikingformer_8_512", {}, 8, 512, 8, 29.68, "ImageNet 74.79, T=4"),
    ("spikingformer_8_768", {}, 8, 768, 12, 66.34, "ImageNet 75.85, T=4"),
    ("spikingformer_cifar_4_256", _CIFAR, 4, 256, 8, 4.15, "CIFAR-10/100 94.77/77.43, T=4"),
    ("spikingformer_cifar_2_384", _CIFAR, 2, 384, 12, 5.76, "CIFAR-10/100 95.22/78.34, T=4"),
    ("spikingformer_cifar_4_384", _CIFAR, 4, 384, 12, 9.32, "CIFAR-10/100 95.61/79.09, T=4"),
    ("spikingformer_dvs_2_256", _EVENTS, 2, 256, 16, 2.57, "CIFAR10-DVS 81.3, Gesture 98.3, T=16"),
    ("spikingformer_test", _MICRO, 1, 32, 2, None, ""),
):
    register_model(
        _name,
        spikingformer,
        ModelInfo("Spikingformer, arXiv 2304.11954", _millions, _accuracy, "repository" if _accuracy else ""),
        depth=_depth,
        width=_width,
        heads=_heads,
        **_data,
    )
