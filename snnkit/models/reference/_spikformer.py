"""Keys of Spikformer: github.com/ZK-Zhou/spikformer, cifar10, cifar10dvs and imagenet."""

from __future__ import annotations

from collections.abc import Set

from ..backbone import Backbone
from ..spikformer import spikformer
from .layout import KeyLayout, block_paths, register_layout


@register_layout(spikformer)
def _layout(net: Backbone, keys: Set[str]) -> KeyLayout:
    # layer norms of every block, and for events those of the network, are never called
    layout = KeyLayout(
        {"head.linear": "head"},
        dead=(r"block\.\d+\.norm[12]\..*", r"norm\..*", "pos_embed", r"pos_embed\..*"),
    )
    stem = "patch_embed."
    for i, end in enumerate(("", "1", "2", "3")):
        layout.conv(f"embeds.0.convs.{i}", f"{stem}proj_conv{end}", f"{stem}proj_bn{end}")
    layout.conv("embeds.0.convs.4", f"{stem}rpe_conv", f"{stem}rpe_bn")
    kind = "linear" if any("_linear." in key for key in keys) else "conv"  # CIFAR
    for i, (attn, mlp) in enumerate(block_paths(net, 0)):
        there = f"block.{i}."
        layout.convs(attn, there + "attn.{}_" + kind, there + "attn.{}_bn", ("q", "k", "v", "proj"))
        layout.convs(mlp, there + "mlp.{}_" + kind, there + "mlp.{}_bn", ("fc1", "fc2"))
    return layout
