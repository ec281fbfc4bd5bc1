"""Spikformer V2 (arXiv 2401.02020). **Experimental**: no code was published, and parts are inferred.

The repository of its authors (github.com/ZK-Zhou/spikformer) announces it and holds version 1 alone (its
issues 20 and 32 ask for it): there is nothing to compare with, and no layout of published weights.

Published: Spikformer blocks behind a convolutional stem in place of max pooling, and the totals below.
Inferred: the layers of that stem (:func:`snnkit.layers.scs`), chosen because they meet the totals, membrane
shortcuts throughout with a neuron in front of the head, its threshold of 0.5, and 0.125 as scale of the
attention. The masked self-supervised training of the paper is not part of this file.
"""

from __future__ import annotations

from typing import Any, Unpack

from .backbone import Backbone, BackboneArgs, Stage
from .registry import ModelInfo, register_model
from .spikformer import PUBLISHED_NEURONS

__all__ = ["spikformer_v2"]


def spikformer_v2(
    *,
    depth: int,
    width: int,
    heads: int,
    ratio: float = 4.0,
    scale: float = 0.125,
    stem_stages: int = 4,
    **backbone: Unpack[BackboneArgs],
) -> Backbone:
    """Spikformer V2 with ``depth`` blocks of ``width`` channels; experimental, see the module.

    Args:
        stem_stages: convolutions of the stem that halve the map.
        and those of :func:`spikformer` and :class:`Backbone`.
    """
    stage = Stage(
        "scs",
        width,
        depth,
        "ssa",
        heads=heads,
        ratio=ratio,
        embed_args={"stages": stem_stages},
        mixer_args={"scale": scale},
    )
    # the mean over tokens is small: with one step no neuron in front of the head would reach a threshold of 1
    roles = {"attn": {"threshold": 0.5}, "head": {"threshold": 0.5}}
    return Backbone(
        [stage], residual="ms", head_spike=True, published=PUBLISHED_NEURONS, roles=roles, **backbone
    )


_PAPER = "Spikformer V2, arXiv 2401.02020 (inferred in part)"
_MICRO: dict[str, Any] = {"stem_stages": 2, "in_channels": 2, "img_size": 16, "num_classes": 10}

for _name, _data, _depth, _width, _heads, _millions, _accuracy, _source in (
    ("spikformer_v2_8_384", {}, 8, 384, 12, 29.11, "", ""),
    ("spikformer_v2_8_512", {}, 8, 512, 8, 51.55, "ImageNet 80.38, T=4", "paper, abstract"),
    ("spikformer_v2_16_768", {"T": 1}, 16, 768, 12, 172.0, "ImageNet 81.10, T=1", "paper, abstract"),
    ("spikformer_v2_test", _MICRO, 1, 32, 2, None, "", ""),
):
    register_model(
        _name,
        spikformer_v2,
        ModelInfo(_PAPER, _millions, _accuracy, _source),
        depth=_depth,
        width=_width,
        heads=_heads,
        **_data,
    )
