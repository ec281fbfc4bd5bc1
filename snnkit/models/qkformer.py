"""QKFormer (NeurIPS 2024, arXiv 2403.16552), and its form with membrane shortcuts.

Three stages (two for events): QK token attention, linear in the tokens, on the fine maps, spiking
self-attention on the coarse one. Residuals add spikes ("sew"); ``ms_qkformer`` is the variant with membrane
shortcuts of the code of Max-Former (arXiv 2505.18608), with as many parameters.

In the published code of QKFormer the neuron behind the projection of the self-attention runs along steps and
samples as one axis, so that samples of a batch meet: with one sample it is what stands here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Unpack

from ..errors import require
from .backbone import Backbone, BackboneArgs, Stage
from .initialise import ATTENTION, init_convs, init_linear
from .registry import ModelInfo, register_model
from .spikformer import PUBLISHED_NEURONS

__all__ = ["ms_qkformer", "qkformer"]

# divisors of the first stage's width, which layers pool, and where the shortcut begins
_STEMS: dict[str, dict[str, Any]] = {
    "small": {"divisors": (2, 1), "pools": "00", "shortcut_from": 0},
    "imagenet": {"divisors": (2, 1, 1), "pools": "110", "shortcut_from": 0},
    "events": {"divisors": (8, 4, 2, 1), "pools": "0111", "shortcut_from": 1},
}
_MS_STEMS: dict[str, tuple[str, dict[str, Any]]] = {
    "small": ("orig", {}),
    "imagenet": ("orig", {"reduce": "pool"}),
    "events": ("stem_8", {}),
}
Data = Literal["imagenet", "small", "events"]


def qkformer(
    *,
    width: int,
    depths: Sequence[int],
    heads: int,
    stem: Data = "imagenet",
    ratio: float = 4.0,
    scale: float = 0.125,
    **backbone: Unpack[BackboneArgs],
) -> Backbone:
    """QKFormer; the other arguments as in :class:`Backbone`.

    Args:
        width: channels of the last stage; every stage before it has half of the next.
        depths: blocks per stage; the last stage has spiking self-attention, the others QK token attention.
        heads: in all stages. ratio: of the MLPs. scale: of the self-attention.
        stem: "imagenet" (/4), "small" for 32x32 images (/1) or "events" for 128x128 (/8).
    """
    pool = "first" if stem == "imagenet" else "second"
    embeds = [("spike_chain", _STEMS.get(stem, {})), ("halve_spikes", {"pool": pool})]
    stages = _stages(width, depths, heads, stem, ratio, scale, embeds)
    return Backbone(stages, residual="sew", head_spike=False, published=PUBLISHED_NEURONS, **backbone)


def ms_qkformer(
    *,
    width: int,
    depths: Sequence[int],
    heads: int,
    stem: Data = "imagenet",
    ratio: float = 4.0,
    scale: float = 0.125,
    **backbone: Unpack[BackboneArgs],
) -> Backbone:
    """QKFormer with membrane shortcuts; arguments as in :func:`qkformer`."""
    pool = "first" if stem == "imagenet" else "second"
    embeds = [_MS_STEMS.get(stem, ("", {})), ("halve", {"pool": pool})]
    channel = "residual_mlp" if ratio == 1 else "mlp"
    stages = _stages(width, depths, heads, stem, ratio, scale, embeds, channel)
    net = Backbone(stages, residual="ms", head_spike=True, published=PUBLISHED_NEURONS, **backbone)
    return init_linear(init_convs(net, ATTENTION)) if stem == "imagenet" else net


def _stages(
    width: int,
    depths: Sequence[int],
    heads: int,
    stem: str,
    ratio: float,
    scale: float,
    embeds: Sequence[tuple[str, dict[str, Any]]],
    channel: str = "mlp",
) -> list[Stage]:
    require(stem in _STEMS, "stem", stem, f"one of {', '.join(_STEMS)}")
    last = len(depths) - 1
    require(last >= 0 and width % 2**last == 0, "width", width, f"a multiple of {2 ** max(last, 0)}")
    stages = []
    for i, depth in enumerate(depths):
        embed, embed_args = embeds[min(i, 1)]
        mixer, mixer_args = ("ssa", {"scale": scale}) if i == last else ("qk_token", {})
        stages.append(
            Stage(
                embed,
                width // 2 ** (last - i),
                depth,
                mixer,
                channel,
                heads=heads,
                ratio=ratio,
                embed_args=embed_args,
                mixer_args=mixer_args,
            )
        )
    return stages


_PAPER = "QKFormer, NeurIPS 2024, arXiv 2403.16552"
_MS_PAPER = "QKFormer with membrane shortcuts, code of arXiv 2505.18608"
_SMALL: dict[str, Any] = {"stem": "small", "depths": (1, 1, 2), "img_size": 32, "num_classes": 10}
_EVENTS: dict[str, Any] = {"stem": "events", "depths": (1, 1), "ratio": 1.0, "T": 16, "in_channels": 2}
_EVENTS |= {"img_size": 128, "num_classes": 10}
_MICRO: dict[str, Any] = {"stem": "small", "depths": (1, 1, 1), "in_channels": 2, "img_size": 16}
_MICRO |= {"num_classes": 10}

for _name, _data, _width, _heads, _millions, _accuracy in (
    ("10_384", {"depths": (1, 2, 7)}, 384, 6, 16.47, "ImageNet 78.80, T=4"),
    ("10_512", {"depths": (1, 2, 7)}, 512, 8, 29.08, "ImageNet 82.04, T=4"),
    ("10_768", {"depths": (1, 2, 7)}, 768, 12, 64.96, "ImageNet 84.22, T=4 (85.65 at 384 pixels)"),
    ("cifar_4_384", _SMALL, 384, 8, 6.74, "CIFAR-10/100 96.18/81.15, T=4"),
    ("dvs_2_256", _EVENTS, 256, 16, 1.5, "CIFAR10-DVS 84.0, Gesture 98.6, T=16"),
    ("test", _MICRO, 32, 2, None, ""),
):
    _source = "repository; in part recalled" if _name.startswith(("cifar", "dvs")) else "repository"
    register_model(
        f"qkformer_{_name}",
        qkformer,
        ModelInfo(_PAPER, _millions, _accuracy, _source if _accuracy else ""),
        width=_width,
        heads=_heads,
        **_data,
    )
    register_model(
        f"ms_qkformer_{_name}",
        ms_qkformer,
        ModelInfo(_MS_PAPER, _millions if _name.startswith("10") else None),
        width=_width,
        heads=_heads,
        **_data,
    )
