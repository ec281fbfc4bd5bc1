"""Max-Former and Max-ResNet (NeurIPS 2025, arXiv 2505.18608): max pooling keeps high frequencies.

Convolutions (or nothing) mix the tokens of the fine maps, spiking self-attention those of the coarse one.
The map is halved by max pooling behind a norm, with a convolution on the shortcut. Membrane shortcuts.

Max-ResNet is MS-ResNet whose reducing blocks pool; its shortcuts read real numbers. The published code is
followed: three stages of 128, 256 and 512 channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Unpack

from ..errors import require
from .backbone import Backbone, BackboneArgs, Stage
from .initialise import ATTENTION, init_convs, init_linear
from .registry import ModelInfo, register_model
from .spikformer import PUBLISHED_NEURONS

__all__ = ["max_former", "max_resnet"]

_STEMS: dict[str, tuple[str, dict[str, Any]]] = {
    "small": ("orig", {}),
    "imagenet": ("orig", {"reduce": "stride"}),
    "events": ("stem_8", {}),
}


def max_former(
    *,
    width: int,
    depths: Sequence[int],
    mixers: Sequence[str],
    heads: int,
    stem: Literal["imagenet", "small", "events"] = "imagenet",
    ratio: float = 4.0,
    scale: float = 0.125,
    pooling: Literal["max", "avg"] = "max",
    **backbone: Unpack[BackboneArgs],
) -> Backbone:
    """Max-Former; the other arguments as in :class:`Backbone`.

    Args:
        width: channels of the last stage; every stage before it has half of the next.
        depths, mixers: blocks and token mixer of every stage.
        heads, ratio, scale: of the self-attention and the MLPs; ratio 1 has shortcuts within the MLP.
        stem: "imagenet" (/4), "small" for 32x32 images (/1) or "events" for 128x128 (/8).
        pooling: "avg" is the ablation of the paper: a low-pass in place of the maximum.
    """
    require(stem in _STEMS, "stem", stem, f"one of {', '.join(_STEMS)}")
    require(len(depths) == len(mixers) > 0, "mixers", mixers, f"{len(depths)} names, one for each of depths")
    last = len(depths) - 1
    require(width % 2**last == 0, "width", width, f"a multiple of {2**last}")
    embeds = [_STEMS[stem], *[("halve", {"pooling": pooling})] * last]
    stages = [
        Stage(
            embed,
            width // 2 ** (last - i),
            depths[i],
            mixer,
            "residual_mlp" if ratio == 1 else "mlp",
            heads=heads,
            ratio=ratio,
            embed_args=embed_args,
            mixer_args={"scale": scale} if mixer == "ssa" else {},
        )
        for i, ((embed, embed_args), mixer) in enumerate(zip(embeds, mixers, strict=True))
    ]
    net = Backbone(stages, residual="ms", head_spike=True, published=PUBLISHED_NEURONS, **backbone)
    return init_linear(init_convs(net, ATTENTION)) if stem == "imagenet" else net


def max_resnet(
    *,
    widths: Sequence[int] = (128, 256, 512),
    depths: Sequence[int] = (3, 3, 2),
    stem_width: int = 64,
    reduce: Literal["pool", "stride"] = "pool",
    **backbone: Unpack[BackboneArgs],
) -> Backbone:
    """Max-ResNet; the other arguments as in :class:`Backbone`.

    Args:
        widths, depths: channels and basic blocks of the stages; every stage but the first halves the map.
        stem_width: channels of the first convolution.
        reduce: how: "pool" for Max-ResNet, "stride" for MS-ResNet.
    """
    require(len(widths) == len(depths) > 0, "depths", depths, f"{len(widths)} ints, one for each of widths")
    require(all(depth > 1 for depth in depths), "depths", depths, "ints > 1: the first block widens")
    stages = [
        Stage(
            "residual_down",
            width,
            depth - 1,
            "identity",
            "channelconv",
            ratio=1.0,
            embed_args={"reduce": reduce} if i else {"reduce": "none", "stem": stem_width},
        )
        for i, (width, depth) in enumerate(zip(widths, depths, strict=True))
    ]
    head_args = {"neuron_first": True}
    net = Backbone(
        stages, residual="ms", head_spike=True, head_args=head_args, published=PUBLISHED_NEURONS, **backbone
    )
    return init_linear(net)


_PAPER = "Max-Former, NeurIPS 2025, arXiv 2505.18608"
_IMAGENET: dict[str, Any] = {"depths": (1, 2, 7), "mixers": ("dwc7", "dwc5", "ssa")}
_CIFAR: dict[str, Any] = {"stem": "small", "depths": (1, 1, 2), "mixers": ("identity", "dwc3", "ssa")}
_CIFAR |= {"img_size": 32, "num_classes": 10}
_EVENTS: dict[str, Any] = {"stem": "events", "depths": (1, 1), "mixers": ("dwc3", "ssa"), "ratio": 1.0}
_EVENTS |= {"T": 16, "in_channels": 2, "img_size": 128, "num_classes": 10}
_SMALL: dict[str, Any] = {"in_channels": 2, "img_size": 16, "num_classes": 10}
_MICRO = _CIFAR | {"depths": (1, 1, 1)} | _SMALL
_LIVELY, _CONSTANT = {"scale": 1.0}, ("max_former_cifar", "max_former_dvs")
_LOG = "logs of the repository, best epoch on the test set"

for _name, _data, _width, _heads, _millions, _accuracy, _source in (
    ("max_former_10_384", _IMAGENET, 384, 6, 16.2, "ImageNet 77.78, T=4", _LOG),
    ("max_former_10_512", _IMAGENET, 512, 8, 28.7, "ImageNet 75.43, T=1", _LOG),
    ("max_former_10_768", _IMAGENET, 768, 12, 63.99, "ImageNet 82.39, T=4", _LOG),
    ("max_former_cifar_4_384", _CIFAR, 384, 8, None, "CIFAR-10/100 97.04/82.65, T=4", _LOG),
    ("max_former_dvs_2_256", _EVENTS, 256, 16, None, "CIFAR10-DVS 84.2, Gesture 98.6, T=16", _LOG),
    ("max_former_test", _MICRO, 32, 2, None, "", ""),
):
    register_model(
        _name,
        max_former,
        ModelInfo(_PAPER, _millions, _accuracy, _source, _LIVELY if _name.startswith(_CONSTANT) else {}),
        width=_width,
        heads=_heads,
        **_data,
    )

register_model(
    "max_resnet18_cifar",
    max_resnet,
    ModelInfo(_PAPER, None, "CIFAR-10/100 97.17/83.06, T=4", "repository"),
    img_size=32,
    num_classes=10,
)
register_model(
    "max_resnet_test",
    max_resnet,
    ModelInfo(_PAPER),
    widths=(8, 16, 32),
    depths=(2, 2, 2),
    stem_width=8,
    **_SMALL,
)
