"""Convolution over images whose input channels have learnable delays."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..checks import integer
from ..kernels import Interpolation
from ..sequence import (
    check_state,
    per_step,
    state_dtype,
)
from .delayed import Delayed, DelayStorage

__all__ = ["DelayConv2d", "DelayConvState"]


class DelayConvState(NamedTuple):
    """``inputs [B, D, C, H, W]``: the last inputs, oldest first."""

    inputs: Tensor


class DelayConv2d(Delayed):
    """A delay for every input channel, then a convolution: ``z[t] = conv(x[t - d[c], c])``.

    Args:
        in_channels, out_channels, kernel_size: of the convolution.
        max_delay: largest delay in steps, >= 0.
        interp, sigma: as :class:`DelayLinear`.
        options: further arguments of ``nn.Conv2d``, as ``stride``; ``bias`` is False by default.

    Attributes:
        conv: the ``nn.Conv2d``. delay: ``[in_channels]`` in steps.

    Shape:
        ``x [T, B, in_channels, H, W]`` -> ``[T, B, out_channels, H', W']``.
    State:
        see :class:`DelayConvState`.
    Raises:
        ConfigError, NumericsError: as :class:`DelayLinear`. ShapeError: another shape.
        StreamError: a state together with delays between two steps.
    Reference:
        our own; the delays are those of arXiv 2602.09746 on axons.
    """

    State = DelayConvState
    delay: Tensor

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
        super().__init__(max_delay, interp, sigma)
        integer("DelayConv2d.in_channels", in_channels)
        integer("DelayConv2d.out_channels", out_channels)
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, **{"bias": False, **options})
        self._add_delay("delay", (in_channels,), max_delay)
        self.reset_delays()
        self.to(device=options.get("device"), dtype=options.get("dtype"))

    def initial_state(self, x: Tensor) -> DelayConvState:
        """Nothing came before; for one step of input ``x [B, C, H, W]``."""
        return DelayConvState(x.new_zeros(x.shape[0], self.max_delay, *x.shape[1:]))

    def run(self, x: Tensor, state: DelayConvState | None = None) -> tuple[Tensor, DelayConvState]:
        """``x [T, B, C, H, W]`` from ``state`` (None: nothing came before); output and last inputs."""
        x = self._checked(x, self.conv.in_channels, "[T, B, C, H, W]")
        if state is not None:
            self._check_rounded()
        like = self.initial_state(x.new_empty(x.shape[1:], dtype=state_dtype(x.dtype)))
        if state is None:
            state = like
        else:
            check_state(state, like, "DelayConv2d")
        seen = torch.cat([state.inputs.transpose(0, 1), x.to(like.inputs.dtype)])
        delayed = self._delay_channels(seen, "delay", self.max_delay)
        out = per_step(self.conv, delayed.to(x.dtype), training=self.training)
        return out, DelayConvState(seen[x.shape[0] :].transpose(0, 1))

    def delay_memory(self) -> DelayStorage:
        """A shift register for each channel and pixel, as long as its delay; per pixel of the input."""
        return DelayStorage(ring_bits=int(self.lags().sum()), address_bits=self._address_bits())

    def extra_repr(self) -> str:
        """Every setting of the delays."""
        return self._delay_repr()
