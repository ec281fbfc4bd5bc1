"""Keys of Meta-SpikeFormer and QSD-Transformer.

github.com/BICLab/Spike-Driven-Transformer-V2 and github.com/bollossom/QSD-Transformer, both in
classification/models.py. The latter keeps a step per quantised weight, and the weights before rounding: those
are read.
"""

from __future__ import annotations

from collections.abc import Set

from ..backbone import Backbone
from ..meta_spikeformer import meta_spikeformer, qsd_transformer
from .layout import KeyLayout, block_paths, register_layout

_EMBEDS = ("1_1", "1_2", "2", "3", "4")
_REP = {
    "mix": "0.body.0",
    "inner_norm": "0.body.1.bn",
    "depthwise": "0.body.2.0",
    "out": "0.body.2.1",
    "norm": "0.body.2.2",
}


@register_layout(meta_spikeformer)
@register_layout(qsd_transformer)
def _layout(net: Backbone, keys: Set[str]) -> KeyLayout:
    layout = KeyLayout({"head.linear": "head", "head.teacher": "head_kd"}, dead=_quantiser_keys(net))
    for stage, name in enumerate(_EMBEDS):
        down = f"downsample{name}.encode_"
        layout.conv(f"embeds.{stage}.convs.0", f"{down}conv", f"{down}bn")
        for i, (mixer, channel) in enumerate(block_paths(net, stage)):
            if stage < 3:
                # two blocks of stage 2 are two lists of one
                _conv_block(
                    layout, mixer, channel, f"ConvBlock2_{i + 1}.0" if stage == 2 else f"ConvBlock{name}.{i}"
                )
            else:
                _transformer_block(layout, mixer, channel, f"block{name}.{i}")
    return layout


def _conv_block(layout: KeyLayout, mixer: str, channel: str, there: str) -> None:
    layout.conv(f"{mixer}.convs.0", f"{there}.Conv.pwconv1", f"{there}.Conv.bn1")
    last = f"{mixer}.convs.1.affine"
    layout.paths |= {
        f"{last}.0.depthwise": f"{there}.Conv.dwconv",
        f"{last}.0.pointwise": f"{there}.Conv.pwconv2",
        f"{last}.1": f"{there}.Conv.bn2",
    }
    layout.convs(channel, there + ".conv{}", there + ".bn{}", {"fc1": "1", "fc2": "2"})


def _transformer_block(layout: KeyLayout, mixer: str, channel: str, there: str) -> None:
    for role in ("q", "k", "v", "proj"):
        conv = f"{there}.attn.{role}_conv"
        layout.paths |= {
            f"{mixer}.{role}.affine.0.{ours}": f"{conv}.{theirs}" for ours, theirs in _REP.items()
        }
        layout.paths[f"{mixer}.{role}.affine.1"] = f"{conv}.1"
    layout.convs(channel, there + ".mlp.{}_conv", there + ".mlp.{}_bn", ("fc1", "fc2"))
    for i, branch in enumerate((mixer, channel), 1):
        layout.paths[f"{branch.removesuffix('.branch')}.scale"] = f"{there}.layer_scale{i}"


def _quantiser_keys(net: Backbone) -> tuple[str, ...]:
    scaled = any(key.endswith(".scale") for key in net.state_dict())
    return (r".*\.(alpha|init_state|signed)", r".*quan_a.*", r".*act.*alpha") if scaled else ()
