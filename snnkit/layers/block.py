"""Part 5: residual connections."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..checks import number

__all__ = ["Residual"]


class Residual(nn.Module):
    """``x + branch(x)``, or ``x + scale * branch(x)`` with a learned scale per channel.

    With a "sew" branch (spikes out) the stream counts spikes, 0..2+2L after L blocks; with an "ms"
    branch it carries the membrane. The branch itself knows its order of layers.

    Args:
        branch: ``[T, B, C, H, W] -> [T, B, C, H, W]``.
        width, layer_scale: channels, and the value at which the scale starts; None for no scale.
    """

    def __init__(self, branch: nn.Module, width: int = 0, layer_scale: float | None = None) -> None:
        super().__init__()
        self.branch = branch
        if layer_scale is not None:
            start = number("Residual.layer_scale", layer_scale)
            self.scale = nn.Parameter(torch.full((width,), start))

    def forward(self, x: Tensor) -> Tensor:
        """``[T, B, C, H, W] -> [T, B, C, H, W]``."""
        out = self.branch(x)
        return x + (self.scale.to(out.dtype)[:, None, None] * out if hasattr(self, "scale") else out)
