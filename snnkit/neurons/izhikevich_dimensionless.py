r"""Izhikevich's quadratic neuron without units: potentials on the scale of the threshold.

::

    h[t] = v[t-1] + (x[t] + a0 (v[t-1] - v_rest)(v[t-1] - v_c) - w[t-1]) / tau
    s[t] = 1 where h[t] >= threshold
    v[t] = (1 - s[t]) h[t] + s[t] v_reset              hard reset; soft and none as in LIF
    w[t] = w[t-1] + (a (h[t] - v_rest) - w[t-1]) / tau_w + b s[t]
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..checks import number
from ..surrogate import Surrogate
from .base import NEURONS, NeuronOps
from .membrane import Membrane, Reset

__all__ = ["DimensionlessIzhikevich", "DimensionlessIzhikevichState"]

BOUND = 1e4


class DimensionlessIzhikevichState(NamedTuple):
    """``v [B, *]``: potential after the reset; ``w [B, *]``: adaptation current."""

    v: Tensor
    w: Tensor


@NEURONS.register("izhikevich_dimensionless")
class DimensionlessIzhikevich(Membrane):
    """Quadratic neuron with adaptation, in units of the threshold.

    Args:
        tau: time constant of the potential in steps, >= 1.
        tau_w: time constant of the adaptation in steps, >= 1.
        a0: curvature of the parabola, > 0.
        v_rest: lower zero of the parabola. v_c: upper zero, from which on the neuron excites itself.
        a: coupling of the adaptation to the potential. b: jump of the adaptation at a spike.
        threshold, reset, v_reset, detach_reset, fire_at_equal, surrogate: as in
            :class:`snnkit.neurons.LIF`.

    Equation:
        ``h = v + (x + a0 (v - v_rest)(v - v_c) - w)/tau; s = h >= threshold;
        w = w + (a (h - v_rest) - w)/tau_w + b s; v = (1-s) h + s v_reset``
    Shape:
        ``x [T, B, *]`` float -> spikes in {0, 1}, same shape and dtype.
    State:
        ``v [B, *]`` starts at ``v_reset`` (0 unless the reset is hard), ``w [B, *]`` at 0, at least float32.
    Raises:
        ConfigError: a value out of range; and those of :class:`snnkit.neurons.Neuron`.
    Reference:
        spikingjelly 2.0 ``IzhikevichNode``; the same spikes in float64. Ours: ``h`` is kept within
        +-10^4, so that its square cannot overflow. Below about ``(v_rest + v_c)/2 - tau/a0`` a step of the
        parabola overshoots, and strong inhibition ends in a spike, here as there.
    """

    State = DimensionlessIzhikevichState
    tau: float
    tau_w: float
    a0: float
    v_rest: float
    v_c: float
    a: float
    b: float

    def __init__(
        self,
        *,
        tau: float = 2.0,
        tau_w: float = 2.0,
        a0: float = 1.0,
        v_rest: float = -0.1,
        v_c: float = 0.8,
        a: float = 0.0,
        b: float = 0.0,
        threshold: float = 1.0,
        reset: Reset = "hard",
        v_reset: float | None = None,
        detach_reset: bool = False,
        fire_at_equal: bool = True,
        surrogate: str | Surrogate = "atan",
    ) -> None:
        super().__init__(
            threshold=threshold,
            reset=reset,
            v_reset=v_reset,
            detach_reset=detach_reset,
            fire_at_equal=fire_at_equal,
            channels=None,
            surrogate=surrogate,
        )
        numbers = {"tau": tau, "tau_w": tau_w, "a0": a0, "v_rest": v_rest, "v_c": v_c, "a": a, "b": b}
        ranges: dict[str, dict[str, float]] = {
            "tau": {"at_least": 1},
            "tau_w": {"at_least": 1},
            "a0": {"above": 0},
        }
        for name, value in numbers.items():
            span = ranges.get(name, {})
            setattr(self, name, number(f"DimensionlessIzhikevich.{name}", value, **span))  # type: ignore[arg-type]
        self._names = tuple(numbers)

    def initial_state(self, x: Tensor) -> DimensionlessIzhikevichState:
        """``v = v_reset, w = 0``."""
        start = self.v_reset if self._reset == "hard" else 0.0
        return DimensionlessIzhikevichState(torch.full_like(x, start), torch.zeros_like(x))

    def step(
        self, x: Tensor, state: DimensionlessIzhikevichState
    ) -> tuple[Tensor, DimensionlessIzhikevichState]:
        """One step of the equations above."""
        v, w = state
        h = v + (x + self.a0 * (v - self.v_rest) * (v - self.v_c) - w) / self.tau
        h = h.clamp(-BOUND, BOUND)
        s = self._fire(h)
        w = w + (self.a * (h - self.v_rest) - w) / self.tau_w + self.b * s
        return s, DimensionlessIzhikevichState(self._after(h, s), w)

    def energy_ops(self) -> NeuronOps:
        """As written, with both time constants folded into the other factors; per spike b and the reset."""
        reset = self._reset_ops()
        reset["spike_add"] += 1
        return NeuronOps(mul=5.0, add=7.0, cmp=2.0, state_words=2.0, **reset)

    def extra_repr(self) -> str:
        """Every setting."""
        return self._settings(**{name: getattr(self, name) for name in self._names})
