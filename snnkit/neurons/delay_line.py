"""Learnable delays by themselves: every channel of a sequence arrives later by a time of its own."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..checks import integer
from ..kernels import Interpolation
from ..sequence import check_state, state_dtype
from .delayed import Delayed

__all__ = ["AxonalDelay", "AxonalDelayState"]


class AxonalDelayState(NamedTuple):
    """``inputs [B, D, C, *]``: the last inputs, oldest first."""

    inputs: Tensor


class WholeLine(NamedTuple):
    """The layer as the energy estimator reads it: events are held back, no weight."""

    weight: None
    delays: tuple[Tensor, ...]
    max_delay: int


class AxonalDelay(Delayed):
    """A delay for every channel: ``y[t, c] = x[t - d[c], c]``, zero before the start.

    Args:
        channels: C, axis 2 of the input; further axes share the delay of their channel.
        max_delay: largest delay in steps, >= 0.
        interp, sigma: as :class:`DelayLinear`.

    Attributes:
        delay: ``[C]`` in steps.

    Shape:
        ``x [T, B, C, *]`` -> the same, in its dtype.
    State:
        see :class:`AxonalDelayState`; at least float32.
    Raises:
        ConfigError, NumericsError: as :class:`DelayLinear`. ShapeError: another shape.
        StreamError: a state together with delays between two steps.
    Reference:
        the axonal delay of SLAYER (Shrestha and Orchard 2018), with other gradients: those of
        :mod:`snnkit.kernels.delay_kernel`, not a finite difference of the output.

    Example:
        >>> line = snnkit.neurons.AxonalDelay(2, max_delay=3, interp="fixed")
        >>> _ = line.delay.copy_(torch.tensor([0.0, 2.0]))
        >>> line(torch.eye(4)[:, None, :2])[:, 0].tolist()
        [[1.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 1.0]]
    """

    State = AxonalDelayState
    delay: Tensor

    def __init__(
        self,
        channels: int,
        max_delay: int,
        *,
        interp: Interpolation = "ste",
        sigma: float | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(max_delay, interp, sigma)
        self.channels = integer("AxonalDelay.channels", channels)
        self._add_delay("delay", (channels,), max_delay)
        self.reset_delays()
        self.to(device=device, dtype=dtype)

    def initial_state(self, x: Tensor) -> AxonalDelayState:
        """Nothing came before; for one step of input ``x [B, C, *]``."""
        return AxonalDelayState(x.new_zeros(x.shape[0], self.max_delay, *x.shape[1:]))

    def run(self, x: Tensor, state: AxonalDelayState | None = None) -> tuple[Tensor, AxonalDelayState]:
        """``x [T, B, C, *]`` from ``state`` (None: nothing came before); output and last inputs."""
        x = self._checked(x, self.channels, "[T, B, C, ...]")
        like = self.initial_state(x.new_empty(x.shape[1:], dtype=state_dtype(x.dtype)))
        if state is None:
            state = like
        else:
            self._check_rounded()
            check_state(state, like, "AxonalDelay")
        seen = torch.cat([state.inputs.transpose(0, 1), x.to(like.inputs.dtype)])
        delayed = self._delay_channels(seen, "delay", self.max_delay)
        return delayed.to(x.dtype), AxonalDelayState(seen[x.shape[0] :].transpose(0, 1))

    def energy_delays(self) -> WholeLine:
        """Whole delays, from which :mod:`snnkit.energy` counts memory."""
        return WholeLine(None, (self.lags(),), self.max_delay)

    def extra_repr(self) -> str:
        """Every setting."""
        return f"{self.channels}, {self._delay_repr()}"
