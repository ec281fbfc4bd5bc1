r"""Gated leaky integrate-and-fire: learned mixtures of leak, integration and reset.

::

    h[t] = (1 - a (1 - tau)) v[t-1] (1 - c s[t-1])       exponential leak, hard reset
           - (1 - a) l - (1 - c) r s[t-1]                linear leak, soft reset
           + (1 - b (1 - g[t])) x[t]                     input with a gain of its own for each step
    s[t] = 1 where h[t] >= threshold
    v[t] = h[t]

The gates a, b, c decide between two behaviours each; they and tau, l, r, g, threshold are sigmoids of learned
parameters, hence in (0, 1). The reset of a spike happens in the next step.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..checks import integer, number
from ..errors import ShapeError
from ..kernels import scan
from ..sequence import in_transform
from ..surrogate import Surrogate, as_surrogate, spike
from .base import NEURONS, Neuron, NeuronOps, per_channel

__all__ = ["GLIF", "GLIFState"]

_NAMES = ("a", "b", "c", "tau", "threshold", "leak", "amount")


class GLIFState(NamedTuple):
    """``v [B, *]``: potential before the reset; ``s [B, *]``: last spikes; ``t [B]``: steps so far."""

    v: Tensor
    s: Tensor
    t: Tensor


@NEURONS.register("glif")
class GLIF(Neuron):
    """Gated LIF neuron.

    Args:
        T: number of steps of a sequence, >= 1: the input gain g has one value for each.
        tau: initial factor of the exponential leak, in (0, 1); a decay per step, not a time constant.
        threshold: initial firing level, in (0, 1), same unit as x.
        gain: initial g, in (0, 1).
        leak: initial l, in (0, 1); default ``threshold / (2 T)``.
        amount: initial r of the soft reset, in (0, 1); default the threshold.
        channels: values per channel (axis 2 of ``[T, B, C, ...]``) instead of one per layer.
        surrogate: name or :class:`snnkit.surrogate.Surrogate`.

    Equation:
        ``h = (1 - a (1-tau)) v (1 - c s) - (1-a) l - (1-c) r s + (1 - b (1-g[t])) x; v = h``
    Shape:
        ``x [t, B, *]`` float, at most T steps in all -> spikes in {0, 1}, same shape and dtype.
    State:
        ``v [B, *]``, ``s [B, *]`` and ``t [B]``, start at 0, at least float32. Because the step number is
        in the state, chunks of a stream use the gains of their place in the sequence.
    Raises:
        ConfigError: a value out of range.
        ShapeError: more than T steps; axis 2 of the input is not ``channels``.
        and those of :class:`snnkit.neurons.Neuron`.
    Reference:
        Yao et al. 2022, arXiv 2210.13768; as in spikingjelly 2.0 ``GatedLIFNode`` (which takes 4-D steps
        only, and has the surrogate sigmoid). The logits of the gates start uniform in +-0.1.
    """

    State = GLIFState

    def __init__(
        self,
        T: int = 4,
        *,
        tau: float = 0.25,
        threshold: float = 0.5,
        gain: float = 0.5,
        leak: float | None = None,
        amount: float | None = None,
        channels: int | None = None,
        surrogate: str | Surrogate = "atan",
    ) -> None:
        super().__init__()
        integer("GLIF.T", T)
        first: dict[str, float | None] = {"threshold": threshold, "tau": tau, "gain": gain}
        for name, value in {**first, "leak": leak, "amount": amount}.items():
            if value is not None or name in first:
                number(f"GLIF.{name}", value, above=0, below=1)
        self.T, self.surrogate = T, as_surrogate(surrogate)
        shape = self._set_channels(channels)
        self._initial = {
            "tau": tau,
            "threshold": threshold,
            "leak": threshold / (2 * T) if leak is None else leak,
            "amount": threshold if amount is None else amount,
            "gain": gain,
        }
        for name in _NAMES:
            self.register_parameter(f"{name}_raw", nn.Parameter(torch.empty(shape)))
        self.gain_raw = nn.Parameter(torch.empty(T, *shape))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initial values; the gates are drawn."""
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                value = self._initial.get(name.removesuffix("_raw"))
                if value is None:
                    parameter.uniform_(-0.1, 0.1)
                else:
                    parameter.fill_(math.log(value / (1 - value)))

    def initial_state(self, x: Tensor) -> GLIFState:
        """``v = s = 0``, no steps so far."""
        self._check_channels(x)
        return GLIFState(torch.zeros_like(x), torch.zeros_like(x), x.new_zeros(x.shape[0]))

    def step(self, x: Tensor, state: GLIFState) -> tuple[Tensor, GLIFState]:
        """One step of the equations above."""
        self._check_steps(1, state)
        return self._step(x, state)

    def _step(self, x: Tensor, state: GLIFState) -> tuple[Tensor, GLIFState]:
        values = (per_channel(torch.sigmoid(getattr(self, f"{name}_raw")), x) for name in _NAMES)
        a, b, c, tau, threshold, leak, amount = values
        g = torch.sigmoid(self.gain_raw.to(x.dtype)[state.t.long()])  # [B] or [B, C]
        g = g.reshape(*g.shape, *[1] * (x.ndim - g.ndim))
        kept = (1 - a * (1 - tau)) * state.v * (1 - c * state.s)
        h = kept - (1 - a) * leak - (1 - c) * amount * state.s + x * (1 - b * (1 - g))
        s = spike(h - threshold, self.surrogate)
        return s, GLIFState(h, s, state.t + 1)

    def _check_steps(self, steps: int, state: GLIFState) -> None:
        """Refuse to run past T. The step number is data: graphs and transforms know the length only."""
        known = not (torch.compiler.is_compiling() or in_transform()) and state.t.numel()
        done = int(state.t.max()) if known else 0
        if done + steps > self.T:
            raise ShapeError(
                f"GLIF(T={self.T}): got {steps} steps after {done}, expected {self.T} in all: there is one "
                f'learned gain for each. Use dict(name="glif", T={done + steps}), or a new session.'
            )

    def _scan(self, x: Tensor, state: GLIFState) -> tuple[Tensor, GLIFState]:
        self._check_steps(x.shape[0], state)  # once, because looking at the step number waits for a GPU
        return scan(self._step, x, state)

    def energy_ops(self) -> NeuronOps:
        """Leak factor and input gain; input and linear leak; per spike both resets. Factors are constants."""
        return NeuronOps(mul=2.0, add=2.0, cmp=1.0, spike_add=2.0, state_words=2.0)

    def extra_repr(self) -> str:
        """Every setting."""
        shown = ", ".join(f"{name}={value:g}" for name, value in self._initial.items())
        channels = f", channels={self.channels}" if self.channels else ""
        return f"T={self.T}, {shown}{channels}, surrogate={self.surrogate}"
