"""Keys of Spike-driven Transformer V1: github.com/BICLab/Spike-Driven-Transformer."""

from __future__ import annotations

from collections.abc import Set

from ..backbone import Backbone
from ..spike_driven import spike_driven_transformer
from .layout import KeyLayout, block_paths, register_layout


@register_layout(spike_driven_transformer)
def _layout(net: Backbone, keys: Set[str]) -> KeyLayout:
    layout = KeyLayout({"head.linear": "head"}, dead=(r"block\.\d+\.attn\.talking_heads\.weight",))
    stem = "patch_embed."
    for i, end in enumerate(("", "1", "2", "3")):
        layout.conv(f"embeds.0.convs.{i}", f"{stem}proj_conv{end}", f"{stem}proj_bn{end}")
    layout.conv("embeds.0.convs.4", f"{stem}rpe_conv", f"{stem}rpe_bn")
    for i, (attn, mlp) in enumerate(block_paths(net, 0)):
        there = f"block.{i}."
        layout.convs(attn, there + "attn.{}_conv", there + "attn.{}_bn", ("q", "k", "v", "proj"))
        layout.convs(mlp, there + "mlp.{}_conv", there + "mlp.{}_bn", ("fc1", "fc2"))
    return layout
