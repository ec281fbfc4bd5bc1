"""QKFormer (NeurIPS 2024, arXiv 2403.16552), and its form with membrane shortcuts.

Three stages (two for events): QK token attention, linear in the tokens, on the fine maps, spiking
self-attention on the coarse one. Residuals add spikes ("sew"); with "ms" it is the variant with membrane
shortcuts of the code of Max-Former (arXiv 2505.18608), with as many parameters.

In the published code of QKFormer the neuron behind the projection of the self-attention runs along steps and
samples as one axis, so that samples of a batch meet: with one sample it is what stands here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Unpack

from ..checks import choice
from ..errors import require
from ..layers import ResidualKind
from .backbone import Backbone, BackboneArgs, Stage
from .initialise import ATTENTION, init_convs, init_linear
from .registry import ModelInfo, register_model
from .spikformer import PUBLISHED_NEURONS

__all__ = ["qkformer"]

# by residual: patch embeddings of the first stage, by data, and of the others
_STEMS: dict[str, dict[str, tuple[str, dict[str, Any]]]] = {
    "sew": {
        # divisors of the first stage's width, which layers pool, and where the shortcut begins
        "small": ("spike_chain", {"divisors": (2, 1), "pools": "00", "shortcut_from": 0}),
        "imagenet": ("spike_chain", {"divisors": (2, 1, 1), "pools": "110", "shortcut_from": 0}),
        "events": ("spike_chain", {"divisors": (8, 4, 2, 1), "pools": "0111", "shortcut_from": 1}),
    },
    "ms": {"small": ("orig", {}), "imagenet": ("orig", {"reduce": "pool"}), "events": ("stem_8", {})},
}
_LATER = {"sew": "halve_spikes", "ms": "halve"}


def qkformer(
    *,
    width: int,
    depths: Sequence[int],
    heads: int,
    residual: ResidualKind = "sew",
    stem: Literal["imagenet", "small", "events"] = "imagenet",
    ratio: float = 4.0,
    scale: float = 0.125,
    **backbone: Unpack[BackboneArgs],
) -> Backbone:
    """QKFormer; the other arguments as in :class:`Backbone`.

    Args:
        width: channels of the last stage; every stage before it has half of the next.
        depths: blocks per stage; the last stage has spiking self-attention, the others QK token attention.
        heads: in all stages. ratio: of the MLPs. scale: of the self-attention.
        residual: "sew", or "ms" with a neuron in front of the head and, at ratio 1, shortcuts in the MLP.
        stem: "imagenet" (/4), "small" for 32x32 images (/1) or "events" for 128x128 (/8).
    """
    choice("residual", residual, tuple(_STEMS))
    choice("stem", stem, tuple(_STEMS[residual]))
    ms, last = residual == "ms", len(depths) - 1
    require(last >= 0 and width % 2**last == 0, "width", width, f"a multiple of {2 ** max(last, 0)}")
    pool = "first" if stem == "imagenet" else "second"
    embeds = [_STEMS[residual][stem], *[(_LATER[residual], {"pool": pool})] * last]
    stages = [
        Stage(
            embed,
            width // 2 ** (last - i),
            depths[i],
            "ssa" if i == last else "qk_token",
            "residual_mlp" if ms and ratio == 1 else "mlp",
            heads=heads,
            ratio=ratio,
            embed_args=embed_args,
            mixer_args={"scale": scale} if i == last else {},
        )
        for i, (embed, embed_args) in enumerate(embeds)
    ]
    net = Backbone(stages, residual=residual, head_spike=ms, published=PUBLISHED_NEURONS, **backbone)
    return init_linear(init_convs(net, ATTENTION)) if ms and stem == "imagenet" else net


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
    _lively = {"scale": 1.0} if _name.startswith("dvs") else {}
    register_model(
        f"qkformer_{_name}",
        qkformer,
        ModelInfo(_PAPER, _millions, _accuracy, _source if _accuracy else "", _lively),
        width=_width,
        heads=_heads,
        **_data,
    )
    register_model(
        f"ms_qkformer_{_name}",
        qkformer,
        ModelInfo(_MS_PAPER, _millions if _name.startswith("10") else None, lively=_lively),
        residual="ms",
        width=_width,
        heads=_heads,
        **_data,
    )
