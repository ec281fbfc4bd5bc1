"""Published initialisers that differ from those of torch. Heads initialise themselves."""

from __future__ import annotations

from typing import TypeVar

from torch import nn

__all__ = ["init_convs"]

Net = TypeVar("Net", bound=nn.Module)


def init_convs(net: Net, std: float = 0.02) -> Net:
    """Convolutions from a normal distribution cut at +-2, biases 0 (SDT-V1, Max-Former, SpikingResformer)."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.trunc_normal_(module.weight, std=std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return net
