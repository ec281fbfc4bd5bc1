"""Meta-SpikeFormer, Spike-driven Transformer V2 (ICLR 2024, arXiv 2404.03663), and its descendants.

Two stages of convolution (separable, then 3x3 channel mixing) and two of transformer blocks, membrane
shortcuts everywhere. Stages 3 and 4 have the same resolution: the strides of the four maps are 4, 8, 16,
16.

QSD-Transformer (ICLR 2025, arXiv 2501.13492) is the same with IE-LIF neurons, a learned scale on the branches
of the transformer blocks and another scale of the attention; here in floating point. E-SpikeFormer,
Spike-driven Transformer V3 (arXiv 2411.16061), puts a neuron between depthwise and pointwise convolution, a
separable convolution in front of every attention, and replaces the attention by
:class:`snnkit.layers.LinearV4`.

The published code of SDT-V2 gives 0.125 as scale of the attention whatever the head dimension.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from ..errors import require
from ..neurons import NeuronSpec
from .backbone import Backbone, BackboneArgs, Stage
from .registry import ModelInfo, register_model
from .spikformer import PUBLISHED_NEURONS

__all__ = ["e_spikeformer", "meta_spikeformer", "qsd_transformer"]

Widths = Sequence[int]
_DEPTHS, _STRIDES = (1, 1, 2, 6, 2), (2, 2, 2, 2, 1)


def meta_spikeformer(
    *,
    widths: Widths,
    depths: Sequence[int] = _DEPTHS,
    strides: Sequence[int] = _STRIDES,
    heads: int = 8,
    ratio: float = 4.0,
    scale: float = 0.125,
    distill: bool = False,
    **backbone: Unpack[BackboneArgs],
) -> Backbone:
    """Meta-SpikeFormer; the other arguments as in :class:`Backbone`.

    Args:
        widths: channels of the four stages; the first begins with half of its width.
        depths, strides: blocks and stride of the five embeddings (stage 1 has two).
        heads, ratio, scale: of attention and MLP in the transformer stages.
        distill: second head that learns from a teacher (:class:`snnkit.layers.Head`).
    """
    stages = _stages(widths, depths, strides, heads, ratio, "sdsa3", {"scale": scale})
    return _backbone(stages, {"distill": distill}, published=PUBLISHED_NEURONS, **backbone)


_IELIF: NeuronSpec = {"name": "ielif", "levels": 4}


def qsd_transformer(
    *,
    widths: Widths,
    depths: Sequence[int] = _DEPTHS,
    strides: Sequence[int] = _STRIDES,
    heads: int = 8,
    ratio: float = 4.0,
    scale: float = 0.25,
    gain: float = 2.0,
    layer_scale: float = 1e-6,
    distill: bool = False,
    **backbone: Unpack[BackboneArgs],
) -> Backbone:
    """QSD-Transformer in floating point; arguments as in :func:`meta_spikeformer`.

    Args:
        gain: the published attention neuron divides its counts by 2 where the others divide by 4.
        layer_scale: start of the factors on the branches of the transformer blocks. Weights trained without
            them need 1.
    """
    settings = {"scale": scale, "gain": gain}
    stages = _stages(widths, depths, strides, heads, ratio, "sdsa3", settings, layer_scale=layer_scale)
    return _backbone(stages, {"distill": distill}, own_neuron=_IELIF, **backbone)


_SFA: NeuronSpec = {
    "default": {"name": "ielif", "scale": "post", "round": "half_even"},
    "head": {"name": "ielif", "scale": "none", "round": "half_even"},
}


def e_spikeformer(
    *,
    widths: Widths,
    depths: Sequence[int] = _DEPTHS,
    strides: Sequence[int] = _STRIDES,
    heads: int = 8,
    ratio: float = 4.0,
    **backbone: Unpack[BackboneArgs],
) -> Backbone:
    """E-SpikeFormer (SDT-V3); arguments as in :func:`meta_spikeformer`. Published with one step."""
    spiking = {"spike_between": True}
    stages = _stages(
        widths,
        depths,
        strides,
        heads,
        ratio,
        "linear_v4",
        {},
        conv_args=spiking,
        local=spiking | {"kernel": 3},
    )
    published = {"ielif": {"scale": "post", "round": "half_even"}}
    return _backbone(stages, {}, own_neuron=_SFA, published=published, **backbone)


def _stages(
    widths: Widths,
    depths: Sequence[int],
    strides: Sequence[int],
    heads: int,
    ratio: float,
    mixer: str,
    mixer_args: Mapping[str, Any],
    *,
    conv_args: Mapping[str, Any] | None = None,
    local: Mapping[str, Any] | None = None,
    layer_scale: float | None = None,
) -> list[Stage]:
    for name, values, count in (("widths", widths, 4), ("depths", depths, 5), ("strides", strides, 5)):
        require(
            isinstance(values, Sequence) and len(values) == count, name, values, f"a list of {count} ints"
        )
    require(widths[0] % 2 == 0, "widths", widths, "an even first width")
    stages = []
    for i, width in enumerate((widths[0] // 2, *widths)):
        embed_args = {"stride": strides[i], "bias": True}
        embed, depth = "down" if i else "stem", depths[i]
        if i < 3:
            stage = Stage(
                embed,
                width,
                depth,
                "sepconv",
                "channelconv",
                ratio=ratio,
                embed_args=embed_args,
                mixer_args=conv_args or {},
                feature=i > 0,
            )
        else:
            stage = Stage(
                embed,
                width,
                depth,
                mixer,
                heads=heads,
                ratio=ratio,
                local="sepconv" if local else "",
                embed_args=embed_args,
                local_args=local or {},
                mixer_args=mixer_args,
                layer_scale=layer_scale,
            )
        stages.append(stage)
    return stages


def _backbone(stages: Sequence[Stage], head_args: Mapping[str, Any], **settings: Any) -> Backbone:
    return Backbone(stages, residual="ms", head_spike=True, head_args=head_args, **settings)


_META = "Meta-SpikeFormer, ICLR 2024, arXiv 2404.03663"
_QSD = "QSD-Transformer, ICLR 2025, arXiv 2501.13492 (in floating point)"
_SDT3 = "E-SpikeFormer, arXiv 2411.16061"
_QSD_INFO = ModelInfo(_QSD, lively={"scale": 0.001})
_RECALLED = "recalled, not re-read"
_MICRO: dict[str, Any] = {
    "depths": (1, 1, 1, 1, 1),
    "strides": (2, 1, 2, 1, 1),
    "heads": 2,
    "in_channels": 2,
    "img_size": 16,
    "num_classes": 10,
}

for _name, _family, _info, _widths, _more in (
    (
        "meta_spikeformer_15m",
        meta_spikeformer,
        ModelInfo(_META, 15.1, "ImageNet 73.2, T=4", _RECALLED),
        (64, 128, 256, 360),
        {},
    ),
    (
        "meta_spikeformer_31m",
        meta_spikeformer,
        ModelInfo(_META, 31.3, "ImageNet 77.2, T=4", _RECALLED),
        (96, 192, 384, 480),
        {},
    ),
    (
        "meta_spikeformer_55m",
        meta_spikeformer,
        ModelInfo(_META, 55.4, "ImageNet 79.7, T=4; 80.0 with a teacher", "repository; in part recalled"),
        (128, 256, 512, 640),
        {},
    ),
    ("meta_spikeformer_test", meta_spikeformer, ModelInfo(_META), (16, 16, 16, 32), _MICRO),
    ("qsd_15m", qsd_transformer, _QSD_INFO, (64, 128, 256, 360), {"T": 1}),
    ("qsd_31m", qsd_transformer, _QSD_INFO, (96, 192, 384, 480), {"T": 1}),
    ("qsd_55m", qsd_transformer, _QSD_INFO, (128, 256, 512, 640), {"T": 1}),
    ("qsd_test", qsd_transformer, ModelInfo(_QSD), (16, 16, 16, 32), _MICRO | {"layer_scale": 1.0}),
    ("sdt3_5m", e_spikeformer, ModelInfo(_SDT3, 5.1), (32, 64, 128, 192), {"T": 1}),
    (
        "sdt3_10m",
        e_spikeformer,
        ModelInfo(_SDT3, 10.0, "ImageNet 78.5, T=1 (4 counts)", "repository"),
        (48, 96, 192, 240),
        {"T": 1},
    ),
    (
        "sdt3_19m",
        e_spikeformer,
        ModelInfo(_SDT3, 19.0, "ImageNet 79.8, T=1 (4 counts)", "repository"),
        (64, 128, 256, 360),
        {"T": 1},
    ),
    ("sdt3_test", e_spikeformer, ModelInfo(_SDT3), (16, 16, 16, 32), _MICRO),
):
    register_model(_name, _family, _info, widths=_widths, **_more)
