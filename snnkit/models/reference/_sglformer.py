"""Keys of SGLFormer: github.com/ZhangHanN1/SGLFormer, small images, events and ImageNet (sglformer_ima)."""

from __future__ import annotations

from collections.abc import Set

from ..backbone import Backbone
from ..sglformer import sglformer
from .layout import KeyLayout, block_paths, register_layout

_ROLES = ("q", "k", "v", "proj")
_BRANCH = {
    "near": ("conv", "conv3x3"),
    "inverted.0": ("conv1x1_1", "conv1x1"),
    "inverted.1": ("dwconv3x3", "conv3x3"),
    "inverted.2": ("conv1x1_2", "conv1x1"),
}


@register_layout(sglformer)
def _layout(net: Backbone, keys: Set[str]) -> KeyLayout:
    imagenet = not hasattr(net.head, "conv") and not any("stem.conv." in key for key in keys)
    layout = KeyLayout({"head.linear": "head", "head.conv": "full_size_conv", "head.norm": "bn"})
    for i in range(len(net.embeds[0].convs)):  # type: ignore[arg-type]
        proj, conv = f"patch_embed.proj{i or ''}_", f"tokenizer.conv{i}" if i else "stem.conv"
        here = f"embeds.0.convs.{i}"
        layout.conv(here, *((f"{proj}conv", f"{proj}bn") if imagenet else (f"{conv}.conv3x3", f"{conv}.bn")))
    if imagenet:
        layout.dead = (r"blocks\.\d+\.norm[12]\..*",)
    for pair in range(len(net.stages) // 2):
        for branch, attn, mlp in block_paths(net, 2 * pair):
            block = f"localblock.{pair}." if imagenet else f"blocks.{pair}."
            parts = ("local1", "local2_SSA", "local2_MLP") if imagenet else ("loc", "ssa1", "mlp1")
            for ours, (theirs, kind) in _BRANCH.items():
                conv = f"{block}{parts[0]}.{theirs}"
                layout.conv(f"{branch}.{ours}", f"{conv}.{kind}", f"{conv}.bn")
            _bundled(layout, attn, mlp, block + parts[1], block + parts[2])
        for i, (attn, mlp) in enumerate(block_paths(net, 2 * pair + 1)):
            if imagenet:
                there = f"blocks.{i}."
                layout.convs(attn, there + "attn.{}_conv", there + "attn.{}_bn", _ROLES)
                layout.convs(mlp, there + "mlp.{}_conv", there + "mlp.{}_bn", ("fc1", "fc2"))
            else:
                there = f"blocks.{pair}."
                _bundled(layout, attn, mlp, f"{there}ssa{i + 2}", f"{there}mlp{i + 2}")
    return layout


def _bundled(layout: KeyLayout, attn: str, mlp: str, ssa: str, mlp_there: str) -> None:
    """Convolution and norm of small images and local blocks stand in one module there."""
    layout.convs(attn, ssa + ".{}_conv.conv1x1", ssa + ".{}_conv.bn", _ROLES)
    layout.convs(mlp, mlp_there + ".{}.conv1x1", mlp_there + ".{}.bn", {"fc1": "mlp1", "fc2": "mlp2"})
