r"""Integer leaky integrate-and-fire: spike counts in training, single spikes at inference.

::

    h[t] = (1 - 1/tau) v[t-1] + x[t]
    n[t] = round(clip(h[t] / threshold, 0, D))          half to even
    v[t] = h[t] - n[t] threshold

Backward, straight through the rounding: ``dn/dh = 1/threshold`` where ``0 <= h/threshold <= D``, else 0.

A count n is n binary spikes in D virtual steps; behind a linear layer their sum is the same, so that
inference needs additions only (Luo et al. 2024, SpikeYOLO, arXiv 2407.20708): see
:func:`snnkit.neurons.expand_counts`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from torch import Tensor

from ..checks import flag, integer, number
from ..kernels import counts
from .base import NEURONS, Neuron, NeuronOps
from .counts import round_counts

__all__ = ["ILIF", "ILIFState"]


class ILIFState(NamedTuple):
    """``v [B, *]``: potential after the reset."""

    v: Tensor


@NEURONS.register("ilif")
class ILIF(Neuron):
    """Integer LIF neuron (I-LIF).

    Args:
        levels: D, the largest count of a step, >= 1; also ``spike_levels``.
        tau: time constant in steps, >= 1; published 4/3, a decay of 1/4.
        threshold: > 0, the size of one spike.
        detach_reset: no gradient through the counts in the reset. Without it the gradient through time
            vanishes inside the window, because there ``dv/dh = 1 - 1 = 0``; hence the default True, while
            the published code has False.

    Equation:
        ``h = (1 - 1/tau) v + x; n = round(clip(h/threshold, 0, D)); v = h - n threshold``
    Shape:
        ``x [T, B, *]`` float -> counts in {0, ..., D}, same shape and dtype.
    State:
        ``v [B, *]``, starts at 0, at least float32.
    Raises:
        ConfigError: a value out of range; and those of :class:`snnkit.neurons.Neuron`.
    Reference:
        Luo et al. 2024, SpikeYOLO, arXiv 2407.20708; inference as in the module docstring.
    """

    State = ILIFState

    def __init__(
        self, levels: int = 4, *, tau: float = 4 / 3, threshold: float = 1.0, detach_reset: bool = True
    ) -> None:
        super().__init__()
        self.levels = self.spike_levels = integer("ILIF.levels", levels, 1, 255)
        self.tau = number("ILIF.tau", tau, at_least=1)
        self.threshold = number("ILIF.threshold", threshold, above=0)
        self.detach_reset = flag("ILIF.detach_reset", detach_reset)

    def initial_state(self, x: Tensor) -> ILIFState:
        """``v = 0``."""
        return ILIFState(x.new_zeros(()).expand(x.shape))  # one value: no memory

    def step(self, x: Tensor, state: ILIFState) -> tuple[Tensor, ILIFState]:
        """One step of the equations above."""
        h = (1 - 1 / self.tau) * state.v + x
        n = round_counts(h / self.threshold, 0, self.levels)
        v = h - (n.detach() if self.detach_reset else n) * self.threshold
        return n, ILIFState(v)

    def _run(self, x: Tensor, state: ILIFState) -> tuple[Tensor, ILIFState]:
        decay = 1 - 1 / self.tau
        n, last = counts(x, state, decay, self.threshold, self.levels, self.detach_reset, self.step)
        return n, ILIFState(*last)

    def energy_ops(self) -> NeuronOps:
        """A leak multiplication, an addition, a comparison per bit of the count; a subtraction per spike."""
        return NeuronOps(
            mul=1.0, add=1.0, cmp=float(math.ceil(math.log2(self.levels + 1))), spike_add=1.0, state_words=1.0
        )

    def extra_repr(self) -> str:
        """Every setting."""
        levels = f"levels={self.levels}, tau={self.tau:g}, threshold={self.threshold:g}"
        return f"{levels}, detach_reset={self.detach_reset}"
