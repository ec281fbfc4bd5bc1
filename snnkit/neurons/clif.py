r"""Complementary leaky integrate-and-fire: a second potential that carries gradients over time.

::

    h[t] = (1 - 1/tau) v[t-1] + x[t]
    s[t] = 1 where h[t] >= threshold
    m[t] = m[t-1] sigmoid(h[t] / tau) + s[t]
    v[t] = h[t] - s[t] (threshold + sigmoid(m[t]))

``m`` remembers recent spikes and deepens the next reset. It has no hyper-parameters of its own, and its
gradient decays more slowly than that of the potential.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..checks import number
from ..surrogate import Surrogate
from .base import NEURONS, NeuronOps
from .membrane import Membrane

__all__ = ["CLIF", "CLIFState"]


class CLIFState(NamedTuple):
    """``v [B, *]``: potential after the reset; ``m [B, *]``: complementary potential, >= 0."""

    v: Tensor
    m: Tensor


@NEURONS.register("clif")
class CLIF(Membrane):
    """Complementary LIF neuron; its reset is always soft.

    Args:
        tau: membrane time constant in steps, >= 1 (1: the potential forgets, ``m`` does not).
        threshold: firing level, > 0, same unit as x.
        detach_reset: no gradient through the spike in the reset; the one through ``m`` remains.
        fire_at_equal: ``h == threshold`` fires.
        surrogate: name or :class:`snnkit.surrogate.Surrogate`; published: "rectangle" of width 1.

    Equation:
        ``h = (1 - 1/tau) v + x; m = m sigmoid(h/tau) + s; v = h - s (threshold + sigmoid(m))``
    Shape:
        ``x [T, B, *]`` float -> spikes in {0, 1}, same shape and dtype.
    State:
        ``v [B, *]`` and ``m [B, *]``, start at 0, at least float32.
    Raises:
        ConfigError: a value out of range; and those of :class:`snnkit.neurons.Neuron`.
    Reference:
        Huang et al. 2024, arXiv 2402.04663; spikingjelly 2.0 ``ComplementaryLIFNode``, whose evaluation
        mode has no gradient: here training and evaluation are the same.
    """

    State = CLIFState

    def __init__(
        self,
        tau: float = 2.0,
        *,
        threshold: float = 1.0,
        detach_reset: bool = False,
        fire_at_equal: bool = True,
        surrogate: str | Surrogate = "rectangle",
    ) -> None:
        super().__init__(
            threshold=threshold,
            reset="soft",
            v_reset=None,
            detach_reset=detach_reset,
            fire_at_equal=fire_at_equal,
            channels=None,
            surrogate=surrogate,
        )
        self.tau = number("CLIF.tau", tau, at_least=1)

    def initial_state(self, x: Tensor) -> CLIFState:
        """``v = m = 0``."""
        return CLIFState(torch.zeros_like(x), torch.zeros_like(x))

    def step(self, x: Tensor, state: CLIFState) -> tuple[Tensor, CLIFState]:
        """One step of the equations above."""
        v, m = state
        h = v - v / self.tau + x
        s = self._fire(h)
        m = m * torch.sigmoid(h / self.tau) + s
        return s, CLIFState(self._after(h, s, self.threshold + torch.sigmoid(m)), m)

    def energy_ops(self) -> NeuronOps:
        """Leak, ``h/tau``, ``m`` times its factor; the two logistic functions as one line segment each.

        Our assumption: a segment is a multiplication and an addition; that of the reset counts as an
        addition per spike, beside the jump of ``m``, the level and the reset itself.
        """
        return NeuronOps(mul=4.0, add=2.0, cmp=1.0, spike_add=4.0, state_words=2.0)

    def extra_repr(self) -> str:
        """Every setting."""
        return self._settings(tau=self.tau)
