"""Keys of Spikingformer: github.com/zhouchenlin2096/Spikingformer, all data sets."""

from __future__ import annotations

from collections.abc import Set

from ..backbone import Backbone
from ..spikingformer import spikingformer
from .layout import KeyLayout, block_paths, register_layout


@register_layout(spikingformer)
def _layout(net: Backbone, keys: Set[str]) -> KeyLayout:
    layout = KeyLayout({"head.linear": "head"}, dead=(r"block\.\d+\.norm[12]\..*", r"norm\..*"))
    cifar = any("patch_embed.block" in key for key in keys)
    names = [f"block{i}" for i in range(5)] if cifar else ["proj", "proj1", "proj2", "proj3", "proj4"]
    for i, name in enumerate(names):
        layout.conv(f"embeds.0.convs.{i}", f"patch_embed.{name}_conv", f"patch_embed.{name}_bn")
    for i, (attn, mlp) in enumerate(block_paths(net, 0)):
        there = f"block.{i}."
        layout.convs(attn, there + "attn.{}_conv", there + "attn.{}_bn", ("q", "k", "v", "proj"))
        layout.convs(mlp, there + "mlp.{}_conv", there + "mlp.{}_bn", {"fc1": "mlp1", "fc2": "mlp2"})
    return layout
