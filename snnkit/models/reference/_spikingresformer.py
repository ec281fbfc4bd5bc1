"""Keys of SpikingResformer: github.com/xyshi2000/SpikingResformer."""

from __future__ import annotations

from collections.abc import Set

from ..backbone import Backbone
from ..spikingresformer import spikingresformer
from .layout import KeyLayout, block_paths, register_layout


@register_layout(spikingresformer)
def _layout(net: Backbone, keys: Set[str]) -> KeyLayout:
    layout = KeyLayout({"head.linear": "classifier"})
    layout.conv("embeds.0.convs.0", "prologue.0", "prologue.1.bn")
    for i in range(len(net.stages)):
        if i:
            layout.conv(f"embeds.{i}.convs.0", f"layers.{i}.0.conv", f"layers.{i}.0.norm.bn")
            layout.paths[f"embeds.{i}.convs.0.neuron.tau_raw"] = f"layers.{i}.0.activation.w"
        place = 1 if i else 0  # of the next layer in its stage
        for attn, channel in block_paths(net, i):
            there = f"layers.{i}.{place}."
            layout.conv(f"{attn}.pair", f"{there}W", f"{there}norm.bn")
            layout.conv(f"{attn}.proj", f"{there}Wproj", f"{there}norm_proj.bn")
            layout.paths[f"{attn}.rate.running_mean"] = f"{there}firing_rate_x"
            layout.paths[f"{attn}.attn_rate.running_mean"] = f"{there}firing_rate_attn"
            for ours, theirs in (("neuron", "in"), ("attn", "attn"), ("out", "out")):
                layout.paths[f"{attn}.{ours}.tau_raw"] = f"{there}activation_{theirs}.w"
            there = f"layers.{i}.{place + 1}."
            names = {"up": "up", "near": "conv.0", "down": "down"}
            layout.convs(channel, there + "{}.1", there + "{}.2.bn", names)
            for ours, theirs in names.items():
                layout.paths[f"{channel}.{ours}.neuron.tau_raw"] = f"{there}{theirs}.0.w"
            place += 2
    return layout
