"""Part 5: residual connections."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["Residual"]


class Residual(nn.Module):
    """``x + branch(x)``.

    With a "sew" branch (spikes out) the stream counts spikes, 0..2+2L after L blocks; with an "ms"
    branch it carries the membrane. The branch itself knows its order of layers.
    """

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        """``[T, B, C, H, W] -> [T, B, C, H, W]``."""
        return x + self.branch(x)
