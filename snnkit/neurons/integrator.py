r"""Leaky integrator: a membrane that never fires, the usual analog read-out.

``v[t] = v[t-1] + (x[t] - v[t-1]) / tau``; the output is ``v[t]``.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..checks import flag, number
from .base import NEURONS, Neuron, NeuronOps

__all__ = ["IntegratorState", "LeakyIntegrator"]


class IntegratorState(NamedTuple):
    """``v [B, *]``: membrane potential."""

    v: Tensor


@NEURONS.register("leaky_integrator")
class LeakyIntegrator(Neuron):
    """Non-spiking membrane with leak.

    Args:
        tau: time constant in steps, >= 1 (1: the output is the input).
        decay_input: True ``v + (x - v)/tau``, False ``v - v/tau + x``.

    Equation:
        ``v = v + (x - v)/tau; out = v``
    Shape:
        ``x [T, B, *]`` float -> potentials of the same shape and dtype.
    State:
        ``v [B, *]``, starts at 0, at least float32.
    Raises:
        ConfigError: tau < 1 or not finite; and those of :class:`snnkit.neurons.Neuron`.
    Reference:
        spikingjelly 2.0 ``NonSpikingLIFNode``; equal with ``v_reset=None``.
    """

    State = IntegratorState
    spike_levels = None
    signed = True

    def __init__(self, tau: float = 2.0, *, decay_input: bool = True) -> None:
        super().__init__()
        self.tau = number("LeakyIntegrator.tau", tau, at_least=1)
        self.decay_input = flag("LeakyIntegrator.decay_input", decay_input)

    def initial_state(self, x: Tensor) -> IntegratorState:
        """``v = 0``."""
        return IntegratorState(torch.zeros_like(x))

    def step(self, x: Tensor, state: IntegratorState) -> tuple[Tensor, IntegratorState]:
        """One step of the equation above."""
        v = state.v
        v = v + (x - v) / self.tau if self.decay_input else v - v / self.tau + x
        return v, IntegratorState(v)

    def energy_ops(self) -> NeuronOps:
        """One leak multiplication and one addition per step."""
        return NeuronOps(mul=1.0, add=1.0, state_words=1.0)

    def extra_repr(self) -> str:
        """Every setting."""
        return f"tau={self.tau:g}, decay_input={self.decay_input}"
