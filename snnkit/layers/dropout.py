"""Dropout that leaves out the same neurons for a whole sequence."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from ..sequence import as_sequence

__all__ = ["SequenceDropout"]


class SequenceDropout(nn.Dropout):
    """``y[t, b] = x[t, b] m[b]`` in training, with ``m = 0`` at a share p of places, else ``1 / (1 - p)``.

    One mask serves all steps: were it drawn at every step, its effect would average out over time.

    Args:
        p: share of neurons left out, in [0, 1).

    Shape:
        ``x [T, B, ...]`` -> the same. Evaluation returns ``x``. A chunk of a stream is a sequence of its own.
    Reference:
        Lee et al. 2020, arXiv 1903.06379; the ``Dropout`` of spikingjelly.

    Example:
        >>> (snnkit.layers.SequenceDropout(0.5)(torch.ones(9, 2, 3)).std(0) == 0).all()
        tensor(True)
    """

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        x = as_sequence(x, "SequenceDropout")
        if not self.training or self.p == 0:
            return x
        return x * F.dropout(x.new_ones(x.shape[1:]), self.p)
