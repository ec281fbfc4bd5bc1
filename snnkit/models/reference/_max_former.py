"""Keys of Max-Former, Max-ResNet and QKFormer with membrane shortcuts: github.com/bic-L/MaxFormer."""

from __future__ import annotations

from collections.abc import Set

from ..backbone import Backbone
from ..max_former import max_former, max_resnet
from .layout import KeyLayout, block_paths, register_layout

# by embedding and how it reduces the map: which convolution is which (prefixes of "conv" and "bn")
_EMBEDS = {
    ("orig", ""): {"convs.0": "proj_", "convs.1": "embed1.embed_", "shortcut": "embed2.embed_"},
    ("orig", "stride"): {
        "convs.0": "embed1.embed_",
        "convs.2": "embed2.embed_",
        "convs.3": "embed3.embed_",
        "shortcut": "embed4.embed_",
    },
    ("stem_8", ""): {
        "convs.0": "proj_",
        "convs.1": "max_embed1.embed_",
        "convs.3": "max_embed2.embed_",
        "convs.4": "max_embed3.embed_",
        "shortcut": "embed1.embed_",
    },
    ("halve", "both"): {
        "convs.1": "max_embed1.embed_",
        "convs.2": "embed1.embed_",
        "shortcut": "max_embed2.embed_",
    },
    ("halve", "first"): {
        "convs.1": "max_embed1.embed_",
        "convs.2": "embed1.embed_",
        "shortcut": "embed2.embed_",
    },
    ("halve", "second"): {
        "convs.1": "embed1.embed_",
        "convs.2": "max_embed1.embed_",
        "shortcut": "embed2.embed_",
    },
}


@register_layout(max_former)
def layout_of_max_former(net: Backbone, keys: Set[str]) -> KeyLayout:
    """Also that of QKFormer with membrane shortcuts, which stands in the same repository."""
    layout = KeyLayout({"head.linear": "head"})
    for i, stage in enumerate(net.stages):
        how = stage.embed_args.get("reduce") or stage.embed_args.get(
            "pool", "both" if stage.embed == "halve" else ""
        )
        pooled = how == "pool" or (i > 0 and net.stages[0].embed_args.get("reduce") == "pool")
        names = _pooled_embed(i) if pooled else _EMBEDS[stage.embed, how]
        for ours, theirs in names.items():
            prefix, _, end = f"patch_embed{i + 1}.{theirs}".partition("|")
            layout.conv(f"embeds.{i}.{ours}", f"{prefix}conv{end}", f"{prefix}bn{end}")
        for j, (mixer, mlp) in enumerate(block_paths(net, i)):
            there = f"stage{i + 1}.{j}."
            roles = ("q", "k", "v", "proj") if stage.mixer == "ssa" else ("q", "k", "proj")
            if stage.mixer.startswith("dwc"):
                # the 7x7 convolutions of the ImageNet sizes are called "conv5"
                conv = f"{there}mixer.conv" + "5" * (f"{there}mixer.conv5.weight" in keys)
                layout.conv(f"{mixer}.conv", conv, f"{conv}_bn")
            else:
                layout.convs(mixer, there + "attn.{}_conv", there + "attn.{}_bn", roles)
            layout.convs(mlp, there + "mlp.{}_conv", there + "mlp.{}_bn", ("fc1", "fc2"))
    return layout


def _pooled_embed(stage: int) -> dict[str, str]:
    """Of QKFormer with membrane shortcuts on ImageNet; what follows "|" stands behind "conv" and "bn"."""
    if stage == 0:
        return {"convs.0": "proj_", "convs.2": "proj_|1", "convs.3": "proj_|2", "shortcut": "rpe_"}
    return {"convs.1": "proj3_", "convs.2": "proj4_", "shortcut": "proj_res_"}


@register_layout(max_resnet)
def _resnet_layout(net: Backbone, keys: Set[str]) -> KeyLayout:
    layout = KeyLayout({"head.linear": "fc1"})
    layout.conv("embeds.0.convs.0", "conv1", "bn1")
    for i in range(len(net.stages)):
        first = f"embeds.{i}.convs."
        start = 1 if i == 0 else 0  # behind the convolution of the image
        there = f"layer{i + 1}."
        for j in (0, 1):
            layout.conv(f"{first}{start + j}", f"{there}0.conv{j + 1}", f"{there}0.bn{j + 1}")
        layout.conv(f"embeds.{i}.shortcut", f"{there}0.downsample.1", f"{there}0.downsample.2")
        for j, (_, channel) in enumerate(block_paths(net, i), 1):
            layout.convs(channel, f"{there}{j}.conv{{}}", f"{there}{j}.bn{{}}", {"fc1": "1", "fc2": "2"})
    return layout
