"""Convolution over images whose input channels have learnable delays."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ..checks import integer
from ..errors import ShapeError
from ..kernels import Interpolation
from ..sequence import as_sequence, per_step
from .delay_line import AxonalDelay

__all__ = ["DelayConv2d"]


class DelayConv2d(nn.Module):
    """A delay for every input channel, then a convolution: ``z[t] = conv(x[t - d[c], c])``.

    Args:
        in_channels, out_channels, kernel_size: of the convolution.
        max_delay: largest delay in steps, >= 0.
        interp, sigma: as :class:`DelayLinear`.
        options: further arguments of ``nn.Conv2d``, as ``stride``; ``bias`` is False by default.

    Attributes:
        axons: the :class:`AxonalDelay`. conv: the ``nn.Conv2d``. delay: ``[in_channels]`` in steps.

    Shape:
        ``x [T, B, in_channels, H, W]`` -> ``[T, B, out_channels, H', W']``.
    State:
        that of ``axons``.
    Raises:
        ConfigError, NumericsError: as :class:`DelayLinear`. ShapeError: another shape.
        StreamError: streamed with delays between two steps.
    Reference:
        our own; the delays are those of arXiv 2602.09746 on axons.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        max_delay: int,
        *,
        interp: Interpolation = "ste",
        sigma: float | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        integer("DelayConv2d.in_channels", in_channels)
        integer("DelayConv2d.out_channels", out_channels)
        place = {name: options.get(name) for name in ("device", "dtype")}
        self.axons = AxonalDelay(in_channels, max_delay, interp=interp, sigma=sigma, **place)
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, **{"bias": False, **options})

    @property
    def delay(self) -> Tensor:
        """Delays of the input channels in steps."""
        return self.axons.delay

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        x = as_sequence(x, "DelayConv2d", 5, "[T, B, C, H, W]")
        if x.ndim != 5:
            raise ShapeError(f"DelayConv2d: got shape {tuple(x.shape)}, expected [T, B, C, H, W].")
        return per_step(self.conv, self.axons(x), training=self.training)
