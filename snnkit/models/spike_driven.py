"""Spike-driven Transformer (NeurIPS 2023, arXiv 2307.01694), version 1.

Membrane-shortcut patch splitting, then L blocks of spike-driven self-attention (masks and sums, no
product) and MLP with "ms" residuals: every convolution behind a neuron sees binary spikes. A neuron
stands between token mean and classifier.

Parameters of the ImageNet sizes (published): 8-384 16.81 M, 6-512 23.37 M, 8-512 29.68 M,
10-512 36.01 M, 8-768 66.34 M. A 1x1 "talking heads" convolution of the published code takes no part
in the computation; here it does not exist. Event models use 3x3 max filters in the attention. The
size for CIFAR10-DVS is that of the one public configuration, with 10 steps; the accuracy quoted for
it was reached with 16.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from .backbone import Backbone, BackboneArgs, Stage
from .initialise import init_convs, init_linear
from .registry import ModelInfo, register_model
from .spikformer import PUBLISHED_NEURONS

__all__ = ["spike_driven_transformer"]


def spike_driven_transformer(
    *,
    depth: int,
    width: int,
    heads: int = 8,
    ratio: float = 4.0,
    pools: str | Sequence[int] = "1111",
    max_filter: bool = False,
    **backbone: Unpack[BackboneArgs],
) -> Backbone:
    """SDT-V1 with ``depth`` blocks of ``width`` channels; arguments as in :class:`Backbone`.

    Args:
        heads: only matters with ``max_filter``; the attention itself is channel-wise.
        pools: which of the four embedding stages halve the map.
        max_filter: 3x3 max filters of the event models.
    """
    stage = Stage(
        "ms_sps",
        width,
        depth,
        "sdsa1",
        heads=heads,
        ratio=ratio,
        embed_args={"pools": pools},
        mixer_args={"max_filter": max_filter},
    )
    net = Backbone([stage], residual="ms", head_spike=True, published=PUBLISHED_NEURONS, **backbone)
    return init_linear(init_convs(net))


_IMAGENET: dict[str, Any] = {}
_CIFAR: dict[str, Any] = {"pools": "0011", "img_size": 32, "num_classes": 10}
_CIFAR_DVS: dict[str, Any] = {"pools": "0011", "max_filter": True, "T": 10, "in_channels": 2, "img_size": 64}
_GESTURE: dict[str, Any] = {"pools": "0111", "max_filter": True, "T": 16, "in_channels": 2, "img_size": 128}
_MICRO: dict[str, Any] = {"pools": "0011", "in_channels": 2, "img_size": 16, "num_classes": 10}
_PAPER = "Spike-driven Transformer, NeurIPS 2023, arXiv 2307.01694"
_READ, _RECALLED, _STEP = "repository", "recalled, not re-read", "STEP, arXiv 2505.11151"

for _name, _data, _depth, _width, _heads, _millions, _accuracy, _source in (
    ("sdt_8_384", _IMAGENET, 8, 384, 8, 16.81, "ImageNet 72.28, T=4", _READ),
    ("sdt_6_512", _IMAGENET, 6, 512, 8, 23.37, "ImageNet 74.11, T=4", _READ),
    ("sdt_8_512", _IMAGENET, 8, 512, 8, 29.68, "ImageNet 74.57, T=4", _READ),
    ("sdt_10_512", _IMAGENET, 10, 512, 8, 36.01, "ImageNet 74.66, T=4", _READ),
    ("sdt_8_768", _IMAGENET, 8, 768, 8, 66.34, "ImageNet 77.07 at 288 pixels, T=4", _READ),
    ("sdt_cifar_2_256", _CIFAR, 2, 256, 8, None, "", ""),
    ("sdt_cifar_2_512", _CIFAR, 2, 512, 8, None, "CIFAR-10/100 95.6/78.4, T=4", _STEP),
    ("sdt_dvs_2_256", _CIFAR_DVS | {"num_classes": 10}, 2, 256, 8, None, "CIFAR10-DVS 80.0, T=16", _STEP),
    ("sdt_gesture_2_256", _GESTURE | {"num_classes": 11}, 2, 256, 8, None, "Gesture 99.3, T=16", _RECALLED),
    ("sdt_test", _MICRO, 1, 32, 2, None, "", ""),
):
    register_model(
        _name,
        spike_driven_transformer,
        ModelInfo(_PAPER, _millions, _accuracy, _source),
        depth=_depth,
        width=_width,
        heads=_heads,
        **_data,
    )
