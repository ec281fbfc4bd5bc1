r"""KLIF: leaky integrate-and-fire with a learned slope and a rectified potential.

::

    h[t] = v[t-1] + (x[t] - (v[t-1] - v_reset)) / tau      without decay_input: v - (v - v_reset)/tau + x
    f[t] = relu(k h[t])
    s[t] = 1 where f[t] >= threshold
    v[t] = (1 - s[t]) f[t] + s[t] v_reset                  hard reset; soft and none as in LIF

``k`` scales the potential in front of the surrogate, so that the layer learns how steep its gradient is.
With ``scale_reset`` the reset acts on ``f/k`` and a soft one subtracts ``threshold/k``.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..checks import flag, number
from ..surrogate import Surrogate
from .base import NEURONS, NeuronOps, per_channel
from .membrane import Membrane, Reset

__all__ = ["KLIF", "KLIFState"]


class KLIFState(NamedTuple):
    """``v [B, *]``: potential after the reset."""

    v: Tensor


@NEURONS.register("klif")
class KLIF(Membrane):
    """LIF neuron with a learned slope k.

    Args:
        tau: membrane time constant in steps, >= 1.
        k: initial slope, > 0; learned. A slope that training drives to 0 or below silences the neuron.
        decay_input: scale the input by 1/tau.
        scale_reset: divide by k again after firing, so that k does not act as a leak.
        threshold: firing level, > 0, same unit as x.
        reset: "hard" to ``v_reset``, "soft" by the threshold, or "none".
        v_reset: value after a hard reset, and the one the potential leaks to; below the threshold.
        detach_reset: no gradient through the spike in the reset.
        fire_at_equal: ``f == threshold`` fires.
        channels: one slope per channel (axis 2 of ``[T, B, C, ...]``) instead of one per layer.
        surrogate: name or :class:`snnkit.surrogate.Surrogate`.

    Equation:
        ``f = relu(k (v + (x - (v - v_reset))/tau)); s = f >= threshold; v = (1-s) f + s v_reset``
    Shape:
        ``x [T, B, *]`` float -> spikes in {0, 1}, same shape and dtype.
    State:
        ``v [B, *]``, starts at ``v_reset`` (0 unless the reset is hard), at least float32.
    Raises:
        ConfigError: a value out of range, a flag that is not a bool.
        ShapeError: axis 2 of the input is not ``channels``.
        and those of :class:`snnkit.neurons.Neuron`.
    Reference:
        Jiang & Zhang 2023, arXiv 2302.09238; equals spikingjelly 2.0 ``KLIFNode``. One slope per channel
        is our addition.
    """

    State = KLIFState

    def __init__(
        self,
        tau: float = 2.0,
        *,
        k: float = 1.0,
        decay_input: bool = True,
        scale_reset: bool = False,
        threshold: float = 1.0,
        reset: Reset = "hard",
        v_reset: float | None = None,
        detach_reset: bool = False,
        fire_at_equal: bool = True,
        channels: int | None = None,
        surrogate: str | Surrogate = "atan",
    ) -> None:
        super().__init__(
            threshold=threshold,
            reset=reset,
            v_reset=v_reset,
            detach_reset=detach_reset,
            fire_at_equal=fire_at_equal,
            channels=channels,
            surrogate=surrogate,
        )
        self.tau = number("KLIF.tau", tau, at_least=1)
        self._k = number("KLIF.k", k, above=0)
        self.decay_input = flag("KLIF.decay_input", decay_input)
        self.scale_reset = flag("KLIF.scale_reset", scale_reset)
        self.k = nn.Parameter(torch.full(self._shape, self._k))

    @property
    def _rest(self) -> float:
        return self.v_reset if self._reset == "hard" else 0.0

    def initial_state(self, x: Tensor) -> KLIFState:
        """``v = v_reset``, 0 unless the reset is hard."""
        self._check_channels(x)
        return KLIFState(torch.full_like(x, self._rest))

    def step(self, x: Tensor, state: KLIFState) -> tuple[Tensor, KLIFState]:
        """One step of the equations above."""
        v, k = state.v, per_channel(self.k, x)
        w = v - self._rest
        h = v + (x - w) / self.tau if self.decay_input else v - w / self.tau + x
        f = torch.relu(k * h)
        s = self._fire(f)
        if self.scale_reset:
            return s, KLIFState(self._after(f / k, s, self.threshold / k))
        return s, KLIFState(self._after(f, s))

    def energy_ops(self) -> NeuronOps:
        """Leak and slope, the input, a comparison with 0 and one with the threshold; 1/k is a factor."""
        return NeuronOps(
            mul=2.0 + self.scale_reset,
            add=1.0 + (self._rest != 0),
            cmp=2.0,
            state_words=1.0,
            **self._reset_ops(),
        )

    def extra_repr(self) -> str:
        """Every setting."""
        return self._settings(
            tau=self.tau, k=self._k, decay_input=self.decay_input, scale_reset=self.scale_reset
        )
