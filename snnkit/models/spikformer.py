"""Spikformer: When Spiking Neural Network Meets Transformer (ICLR 2023, arXiv 2209.15425).

Spiking patch splitting, then L blocks of spiking self-attention and MLP with "sew" residuals: the
stream carries spike counts, so that convolutions multiply small integers. Head without neuron.

Parameters of the ImageNet sizes (published): 8-384 16.81 M, 6-512 23.37 M, 8-512 29.68 M,
10-512 36.01 M, 8-768 66.34 M. The published code holds further LayerNorms that take no part in the
computation; here they do not exist. Its CIFAR variant projects q, k, v with biases, its event variant
scales the attention by 0.25.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from .backbone import Backbone, BackboneArgs, Stage
from .initialise import init_convs
from .registry import ModelInfo, register_model

__all__ = ["PUBLISHED_NEURONS", "spikformer"]

# LIFNode(tau=2, detach_reset=True) of spikingjelly 0.0.0.0.12, whose surrogate was Sigmoid(alpha=4)
PUBLISHED_NEURONS = {"lif": {"tau": 2.0, "detach_reset": True, "surrogate": "sigmoid"}}


def spikformer(
    *,
    depth: int,
    width: int,
    heads: int,
    ratio: float = 4.0,
    pools: str | Sequence[int] = "1111",
    scale: float = 0.125,
    qkv_bias: bool = False,
    **backbone: Unpack[BackboneArgs],
) -> Backbone:
    """Spikformer with ``depth`` blocks of ``width`` channels; arguments as in :class:`Backbone`.

    Args:
        pools: which of the four embedding stages halve the map.
        scale: factor of the attention product. qkv_bias: biases of q, k and v.
    """
    stage = Stage(
        "sps",
        width,
        depth,
        "ssa",
        heads=heads,
        ratio=ratio,
        embed_args={"pools": pools},
        mixer_args={"scale": scale, "qkv_bias": qkv_bias},
    )
    net = Backbone([stage], residual="sew", head_spike=False, published=PUBLISHED_NEURONS, **backbone)
    if qkv_bias:  # linear layers in the published code, which begins them all alike
        init_convs(net.blocks)
    return net


_IMAGENET: dict[str, Any] = {}
_CIFAR: dict[str, Any] = {"pools": "0011", "qkv_bias": True, "img_size": 32, "num_classes": 10}
_EVENTS: dict[str, Any] = {"scale": 0.25, "T": 16, "in_channels": 2, "img_size": 128, "num_classes": 10}
_MICRO: dict[str, Any] = {"pools": "0011", "in_channels": 2, "img_size": 16, "num_classes": 10}
_PAPER = "Spikformer, ICLR 2023, arXiv 2209.15425"
_READ, _RECALLED = "repository", "recalled, not re-read"

for _name, _data, _depth, _width, _heads, _millions, _accuracy, _source in (
    ("spikformer_8_384", _IMAGENET, 8, 384, 12, 16.81, "ImageNet 70.24, T=4", _READ),
    ("spikformer_6_512", _IMAGENET, 6, 512, 8, 23.37, "ImageNet 72.46, T=4", _RECALLED),
    ("spikformer_8_512", _IMAGENET, 8, 512, 8, 29.68, "ImageNet 73.38, T=4", _READ),
    ("spikformer_10_512", _IMAGENET, 10, 512, 8, 36.01, "ImageNet 73.68, T=4", _RECALLED),
    ("spikformer_8_768", _IMAGENET, 8, 768, 12, 66.34, "ImageNet 74.81, T=4", _READ),
    ("spikformer_cifar_4_256", _CIFAR, 4, 256, 8, 4.15, "CIFAR-10/100 93.94/75.96, T=4", _RECALLED),
    ("spikformer_cifar_2_384", _CIFAR, 2, 384, 12, 5.76, "CIFAR-10/100 94.80/76.95, T=4", _RECALLED),
    ("spikformer_cifar_4_384", _CIFAR, 4, 384, 12, 9.32, "CIFAR-10/100 95.19/77.86, T=4", _RECALLED),
    ("spikformer_dvs_2_256", _EVENTS, 2, 256, 16, 2.57, "CIFAR10-DVS 80.9, Gesture 98.3, T=16", _RECALLED),
    ("spikformer_test", _MICRO, 1, 32, 2, None, "", ""),
):
    register_model(
        _name,
        spikformer,
        ModelInfo(_PAPER, _millions, _accuracy, _source),
        depth=_depth,
        width=_width,
        heads=_heads,
        **_data,
    )
