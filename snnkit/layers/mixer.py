"""What all token mixers are: modules ``[T, B, C, H, W] -> [T, B, C, H, W]`` that know their residual.

Residual kinds: "sew" branches take and return spikes (or their sums), "ms" branches take and return
the membrane.
"""

from __future__ import annotations

from typing import Literal

from torch import nn

from ..checks import is_integer
from ..errors import ConfigError, require
from ..neurons import NeuronFactory
from ..registry import Registry
from .conv import Order

__all__ = ["MIXERS", "Place", "ResidualKind", "TokenMixer", "branch_order"]

MIXERS: Registry = Registry("token mixer")
ResidualKind = Literal["sew", "ms"]
Place = tuple[int, int, NeuronFactory]  # width, heads, neuron: what a subclass passes on as it is


class TokenMixer(nn.Module):
    """Base of token mixers, built as ``mixer(width, heads, neuron, residual=..., **arguments)``.

    Args:
        width: channels. heads: attention heads; mixers without attention ignore them.
        neuron: factory for the neurons inside.
        residual: "sew" or "ms".

    Attributes:
        residuals: kinds of residual for which the mixer is defined.
        shortcut: the mixer is added to the stream; False: it replaces the stream.
        attends: the mixer has heads.

    Raises:
        ConfigError: the residual is not among ``residuals``, or heads do not divide the width.
    """

    residuals: tuple[ResidualKind, ...] = ("sew", "ms")
    shortcut: bool = True
    attends: bool = False

    def __init__(self, width: int, heads: int, neuron: NeuronFactory, *, residual: ResidualKind) -> None:
        super().__init__()
        name = type(self).__name__
        if self.attends:
            ok = is_integer(heads) and heads > 0 and width % heads == 0
            require(ok, f"{name}.heads", heads, f"a divisor of width = {width}")
            self.heads = heads
        if residual not in self.residuals:
            raise ConfigError(
                f"{name}: residual={residual!r} is not defined for this mixer, allowed: "
                f"{self.residuals}. Choose another mixer or residual."
            )


def branch_order(residual: ResidualKind) -> Order:
    """Where the neuron stands in the convolutions of a branch: first with "ms", last with "sew"."""
    return "NCB" if residual == "ms" else "CBN"
