r"""Delta activation: what has changed since the last step, in whole steps of a quantiser.

::

    n[t] = clip(round(x[t] / step_size) - q[t-1], -D, D)      half to even
    q[t] = q[t-1] + n[t]                                      what the receivers know
    out  = step_size n[t]

A linear receiver adds the changes up, ``y[t] = y[t-1] + W out[t]``, and has W times the quantised input:
nothing is sent, and nothing computed, where nothing changes. A non-linear one needs the sum itself,
:func:`accumulate_deltas`. A change beyond D is sent in parts: q is what has been sent, so nothing is lost.

q is a whole number, exact in float32 up to 2^24, and the sum of the changes is formed in such numbers:
added up as floats, they drift.

Backward, straight through the rounding: ``dn[t]/dx[t] = 1/step_size`` and ``dn[t]/dq[t-1] = -1`` where n is
not clipped, so that ``L = sum_t w[t] out[t]`` has ``dL/dx[t] = w[t] - w[t+1]``.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ..checks import integer, number
from .base import NEURONS, Neuron, NeuronOps
from .counts import round_counts

__all__ = ["DeltaActivation", "DeltaState", "accumulate_deltas"]


class DeltaState(NamedTuple):
    """``q [B, *]``: the value sent so far, in whole steps."""

    q: Tensor


@NEURONS.register("delta")
class DeltaActivation(Neuron):
    """Quantised activation that sends its changes (delta activation layer).

    Args:
        step_size: step of the quantiser, > 0, same unit as x; also ``spike_unit``.
        levels: D, the largest change of one step, in 1..255; also ``spike_levels``. 1: delta modulation,
            one spike up or down.

    Equation:
        ``n = clip(round(x/step_size) - q, -D, D); q = q + n; out = step_size n``
    Shape:
        ``x [T, B, *]`` float -> ``step_size`` times changes in {-D, ..., D}, same shape and dtype. The sum of
        ``out.abs()``, divided by ``step_size``, is what sparsity costs: its mean is the usual penalty.
    State:
        ``q [B, *]``, whole numbers, starts at 0, at least float32.
    Raises:
        ConfigError: a value out of range; and those of :class:`snnkit.neurons.Neuron`.
    Reference:
        delta activation layer, arXiv 2107.07305; of it we know the abstract, from which the equations are
        inferred. The bound D and sending the rest later are ours.
    """

    State = DeltaState
    signed = True

    def __init__(self, step_size: float = 0.25, *, levels: int = 255) -> None:
        super().__init__()
        self.step_size = self.spike_unit = number("DeltaActivation.step_size", step_size, above=0)
        self.levels = self.spike_levels = integer("DeltaActivation.levels", levels, 1, 255)

    def initial_state(self, x: Tensor) -> DeltaState:
        """``q = 0``."""
        return DeltaState(torch.zeros_like(x))

    def step(self, x: Tensor, state: DeltaState) -> tuple[Tensor, DeltaState]:
        """One step of the equations above."""
        wanted = round_counts(x / self.step_size, -math.inf, math.inf)
        n = (wanted - state.q).clamp(-self.levels, self.levels)
        return n * self.step_size, DeltaState(state.q + n)

    def energy_ops(self) -> NeuronOps:
        """Division by the step, a difference, a comparison with 0; q is written where it changes."""
        return NeuronOps(mul=1.0, add=1.0, cmp=1.0, state_words=1.0)

    def extra_repr(self) -> str:
        """Every setting."""
        return f"step_size={self.step_size:g}, levels={self.levels}"


def accumulate_deltas(deltas: Tensor, step_size: float, q: Tensor | None = None) -> Tensor:
    """The quantised values ``[T, B, *]`` that changes ``[T, B, *]`` add up to, without drift.

    Args:
        deltas: output of :class:`DeltaActivation`, or of several with the same step size.
        step_size: as there.
        q: ``[B, *]``, sum before the first step, in whole steps; None: 0.

    Raises:
        ConfigError: step_size is no finite number > 0.
    """
    number("accumulate_deltas.step_size", step_size, above=0)
    whole = round_counts(deltas / step_size, -math.inf, math.inf).cumsum(0)
    return (whole if q is None else whole + q) * step_size
