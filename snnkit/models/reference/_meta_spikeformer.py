"""Keys of Meta-SpikeFormer, QSD-Transformer and E-SpikeFormer.

github.com/BICLab/Spike-Driven-Transformer-V2 and github.com/bollossom/QSD-Transformer, both in
classification/models.py. The latter keeps a step per quantised weight, and the weights before rounding: those
are read. github.com/BICLab/Spike-Driven-Transformer-V3 in Classification/Model_Base/models.py.
"""

from __future__ import annotations

from collections.abc import Set

from ...layers import RepConv
from ..backbone import Backbone
from ..meta_spikeformer import e_spikeformer, meta_spikeformer, qsd_transformer
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
@register_layout(e_spikeformer)
def _layout(net: Backbone, keys: Set[str]) -> KeyLayout:
    layout = KeyLayout({"head.linear": "head", "head.teacher": "head_kd"}, dead=_quantiser_keys(net))
    for stage, name in enumerate(_EMBEDS):
        down = f"downsample{name}.encode_"
        layout.conv(f"embeds.{stage}.convs.0", f"{down}conv", f"{down}bn")
        for i, (*local, mixer, channel) in enumerate(block_paths(net, stage)):
            if stage < 3:
                # two blocks of stage 2 are two lists of one
                there = f"ConvBlock2_{i + 1}.0" if stage == 2 else f"ConvBlock{name}.{i}"
                _separable(layout, net, mixer, f"{there}.Conv")
                layout.convs(channel, there + ".conv{}", there + ".bn{}", {"fc1": "1", "fc2": "2"})
                continue
            there = f"block{name}.{i}"
            for path in local:
                _separable(layout, net, path, f"{there}.conv")
            _attention(layout, net, mixer, f"{there}.attn")
            layout.convs(channel, there + ".mlp.{}_conv", there + ".mlp.{}_bn", ("fc1", "fc2"))
            for j, branch in enumerate((mixer, channel), 1):
                layout.paths[f"{branch.removesuffix('.branch')}.scale"] = f"{there}.layer_scale{j}"
    return layout


def _separable(layout: KeyLayout, net: Backbone, here: str, there: str) -> None:
    if len(net.get_submodule(f"{here}.convs")) == 3:  # type: ignore[arg-type]  # E-SpikeFormer
        names = {"0": "pwconv1", "1": "dwconv", "2": "pwconv2"}
        layout.convs(f"{here}.convs", there + ".{}.0", there + ".{}.1", names)
        return
    layout.conv(f"{here}.convs.0", f"{there}.pwconv1", f"{there}.bn1")
    last = f"{here}.convs.1.affine"
    layout.paths |= {
        f"{last}.0.depthwise": f"{there}.dwconv",
        f"{last}.0.pointwise": f"{there}.pwconv2",
        f"{last}.1": f"{there}.bn2",
    }


def _attention(layout: KeyLayout, net: Backbone, here: str, there: str) -> None:
    for role in ("q", "k", "v", "proj"):
        ours, conv = f"{here}.{role}", f"{there}.{role}_conv"
        layout.conv(ours, f"{conv}.0", f"{conv}.1")
        if isinstance(net.get_submodule(f"{ours}.affine.0"), RepConv):
            layout.paths |= {f"{ours}.affine.0.{part}": f"{conv}.{name}" for part, name in _REP.items()}


def _quantiser_keys(net: Backbone) -> tuple[str, ...]:
    scaled = any(key.endswith(".scale") for key in net.state_dict())
    return (r".*\.(alpha|init_state|signed)", r".*quan_a.*", r".*act.*alpha") if scaled else ()
