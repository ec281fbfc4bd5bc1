r"""Leaky integrate-and-fire whose spikes come back to its own layer after learned delays.

With one delay per neuron, on its way back, and the profile h of :mod:`snnkit.kernels.delay_kernel`::

    r[t, j] = sum_k h(k; d[j], sigma) s[t-1-k, j]        at inference s[t-1-round(d[j]), j]
    s[t] = LIF(x[t] + W r[t] + bias)
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..checks import flag, integer
from ..errors import require
from ..kernels import Interpolation
from ..sequence import check_state, state_dtype
from .base import NeuronOps
from .delay_line import WholeLine
from .delayed import Delayed
from .lif import LIF, LIFState

__all__ = ["DelayRecurrentLIF", "DelayRecurrentState"]

GAIN = 0.5  # of the initial recurrence, as in RecurrentLIF


class DelayRecurrentState(NamedTuple):
    """``v [B, C]``: potential of the LIF; ``spikes [B, D + 1, C]``: the last outputs, oldest first."""

    v: Tensor
    spikes: Tensor


class DelayRecurrentLIF(Delayed):
    """LIF neurons connected to each other, with a learned delay of 1 + d steps on the axon of each.

    Args:
        channels: C, number of neurons.
        max_delay: largest d in steps, >= 0; with 0 it is a :class:`RecurrentLIF`.
        interp, sigma: as :class:`DelayLinear`.
        bias: a learned constant current per neuron.
        lif: settings of the :class:`LIF`, as ``tau=2.0, reset="soft"``; ``channels`` is filled in.

    Attributes:
        weight: ``[C, C]``, to and from. delay: ``[C]`` in steps. neuron: the LIF.

    Shape:
        ``x [T, B, C]`` -> spikes of the same shape and dtype.
    State:
        see :class:`DelayRecurrentState`; at least float32.
    Raises:
        ConfigError, NumericsError: as :class:`DelayLinear` and :class:`LIF`. ShapeError: another shape.
        StreamError: a state together with delays between two steps.
    Reference:
        DelRec, arXiv 2509.24852, whose form is ``interp="triangle", sigma=1 + s`` with ``tau=2,
        reset="soft", bias=True``. Other than there: delays have a limit; the default gradient is "ste"; the
        first delays are uniform, not half normal, and the first weights orthogonal with gain 0.5.

    Example:
        >>> layer = snnkit.neurons.DelayRecurrentLIF(8, max_delay=10, tau=2.0, reset="soft")
        >>> layer(torch.rand(20, 2, 8)).shape
        torch.Size([20, 2, 8])
    """

    State = DelayRecurrentState
    delay: Tensor
    spike_levels = 1
    signed = False

    def __init__(
        self,
        channels: int,
        max_delay: int,
        *,
        interp: Interpolation = "ste",
        sigma: float | None = None,
        bias: bool = False,
        **lif: Any,
    ) -> None:
        super().__init__(max_delay, interp, sigma)
        self.channels = integer("DelayRecurrentLIF.channels", channels)
        timing = lif.get("reset_timing", "immediate")
        require(timing == "immediate", "DelayRecurrentLIF.reset_timing", timing, '"immediate"')
        self.neuron = LIF(**{**lif, "channels": channels})
        self.weight = nn.Parameter(torch.empty(channels, channels))
        self.bias = nn.Parameter(torch.zeros(channels)) if flag("DelayRecurrentLIF.bias", bias) else None
        self._add_delay("delay", (channels,), max_delay)
        nn.init.orthogonal_(self.weight, GAIN)
        self.reset_delays()

    def initial_state(self, x: Tensor) -> DelayRecurrentState:
        """At rest, and no spike under way; for one step of input ``x [B, C]``."""
        rest = self.neuron.initial_state(x)
        return DelayRecurrentState(rest.v, x.new_zeros(x.shape[0], self.max_delay + 1, self.channels))

    def run(self, x: Tensor, state: DelayRecurrentState | None = None) -> tuple[Tensor, DelayRecurrentState]:
        """``x [T, B, C]`` from ``state`` (None: initial); spikes and the state after the last step."""
        x = self._checked(x, self.channels, "[T, B, C]")
        dtype = x.dtype
        x = x.to(state_dtype(dtype))
        like = self.initial_state(x.new_empty(x.shape[1:]))
        if state is None:
            state = like
        else:
            self._check_rounded()
            check_state(state, like, type(self).__name__)
        with torch.autocast(x.device.type, enabled=False):
            spikes, state = self._loop(x, state)
        return spikes.to(dtype), state

    def _loop(self, x: Tensor, state: DelayRecurrentState) -> tuple[Tensor, DelayRecurrentState]:
        weight, rest = self.weight.to(x.dtype), LIFState(state.v)
        bias = None if self.bias is None else self.bias.to(x.dtype)
        line = list(state.spikes.unbind(1))  # oldest first, one longer with every step
        if self._learns:
            taps = self._channel_profile("delay", x).flip(-1).t().unbind()  # D + 1 of [C], oldest first
        else:
            places = (self.max_delay - self.lags()).expand(1, x.shape[1], -1)
        for now in x.unbind(0):
            past = line[-self.max_delay - 1 :]
            if self._learns:  # one term at a time: a stack of the past at every step would all be kept
                back = torch.zeros_like(now)
                for earlier, tap in zip(past, taps, strict=True):
                    back = torch.addcmul(back, earlier, tap)
            else:
                back = torch.stack(past).gather(0, places)[0]
            spikes, rest = self.neuron.step(now + F.linear(back, weight, bias), rest)
            line.append(spikes)
        fired = line[self.max_delay + 1 :]
        out = torch.stack(fired) if fired else x.new_zeros(x.shape)
        return out, DelayRecurrentState(rest.v, torch.stack(line[-self.max_delay - 1 :], 1))

    def energy_ops(self) -> NeuronOps:
        """Those of the LIF, the sum of both inputs; products with ``weight`` are seen by the trace."""
        ops = self.neuron.energy_ops()
        return replace(ops, add=ops.add + 1)

    def energy_returns(self) -> WholeLine:
        """Whole delays of its spikes on their way back, from which :mod:`snnkit.energy` counts memory."""
        return WholeLine(None, (self.lags(),), self.max_delay)

    def extra_repr(self) -> str:
        """Every setting of the delays."""
        return f"{self.channels}, {self._delay_repr()}" + (", bias=True" if self.bias is not None else "")
