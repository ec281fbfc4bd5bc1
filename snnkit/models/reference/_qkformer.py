"""Keys of QKFormer: github.com/zhouchenlin2096/QKFormer, all data sets."""

from __future__ import annotations

from collections.abc import Set

from ..backbone import Backbone
from ..qkformer import qkformer
from ._max_former import layout_of_max_former
from .layout import KeyLayout, block_paths, register_layout


@register_layout(qkformer)
def _layout(net: Backbone, keys: Set[str]) -> KeyLayout:
    if net.stages[0].embed != "spike_chain":  # membrane shortcuts
        return layout_of_max_former(net, keys)
    layout = KeyLayout({"head.linear": "head"})
    small = any(".mlp1_conv." in key for key in keys)  # CIFAR and events
    mlp_names = {"fc1": "mlp1", "fc2": "mlp2"} if small else {"fc1": "fc1", "fc2": "fc2"}
    for stage in range(len(net.stages)):
        stem = f"patch_embed{stage + 1}."
        first, events = stage == 0, f"{stem}proj_conv.weight" in keys
        chain = len(net.embeds[stage].convs) - (0 if first else 2)  # type: ignore[arg-type]
        names = (
            [f"proj{i or ''}" for i in range(chain)] if first else ["proj" if events else "proj3", "proj4"]
        )
        for i, name in enumerate(names):
            layout.conv(f"embeds.{stage}.convs.{i}", f"{stem}{name}_conv", f"{stem}{name}_bn")
        layout.conv(f"embeds.{stage}.shortcut", f"{stem}proj_res_conv", f"{stem}proj_res_bn")
        last = stage == len(net.stages) - 1
        kind, roles = (
            ("ssa" if small else "attn", ("q", "k", "v", "proj")) if last else ("tssa", ("q", "k", "proj"))
        )
        for i, (attn, mlp) in enumerate(block_paths(net, stage)):
            there = f"stage{stage + 1}.{i}."
            layout.convs(attn, f"{there}{kind}.{{}}_conv", f"{there}{kind}.{{}}_bn", roles)
            layout.convs(mlp, there + "mlp.{}_conv", there + "mlp.{}_bn", mlp_names)
    return layout
