"""Published initialisers that are not ours: convolutions as torch begins them, a classifier cut at +-2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from torch import nn

__all__ = ["ATTENTION", "init_convs", "init_linear"]

Net = TypeVar("Net", bound=nn.Module)


# one-dimensional convolutions in the code of Max-Former, which it leaves as they are
ATTENTION = ("q", "k", "v", "proj")


def init_convs(net: Net, keep: Sequence[str] = ()) -> Net:
    """Convolutions from a normal distribution (0, 0.02) cut at +-2, biases 0 (SDT-V1, SpikingResformer).

    Args:
        keep: names of modules that stay as they are.
    """
    for path, module in net.named_modules():
        if isinstance(module, nn.Conv2d) and not set(keep) & set(path.split(".")):
            nn.init.trunc_normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return net


def init_linear(net: Net) -> Net:
    """The classifier as torch begins it (codes that mention convolutions alone: SDT-V1, Max-Former)."""
    for module in net.modules():
        if isinstance(module, nn.Linear):
            module.reset_parameters()
    return net
