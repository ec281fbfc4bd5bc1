r"""Parallel spiking neurons: no reset, so that all steps are computed at once.

With the spike S, a step function with a surrogate gradient, and x[j] = 0 for j < 0::

    PSN           s[t] = S(b[t] + sum_j W[t, j] x[j])                            every step, also later ones
    sliding PSN   s[t] = S(b    + sum_i w[i] x[t-k+1+i]),  i = 0..k-1            any number of steps

Each input that a step sees reaches it through one weight: gradients do not decay through time.
:mod:`snnkit.neurons.masked_psn` leads from the first to the second.
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..checks import flag, integer
from ..errors import ShapeError, StreamError
from ..sequence import NoState
from ..surrogate import Surrogate, as_surrogate, spike
from .base import NEURONS, Neuron, NeuronOps

__all__ = ["PSN", "SlidingPSN", "SlidingPSNState"]


def mix(weight: Tensor, bias: Tensor, x: Tensor) -> Tensor:
    """``weight [T, T] x + bias [T]`` over the time axis of ``x [T, B, *]``, in the dtype of x."""
    # states are at least float32 under autocast too; the meta device has no autocast to switch off
    with nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False):
        h = torch.addmm(bias.to(x.dtype).unsqueeze(1), weight.to(x.dtype), x.flatten(1))
    return h.view(x.shape)


def taps(h: Tensor, coefficients: list[Tensor], x: Tensor, steps: int) -> Tensor:
    """``h + sum_i c_i x[i : i+steps]``, oldest input first: the order that ``step`` has.

    One product over all steps for each tap. A matrix product would choose its order of summation by the
    number of steps, and a sequence in chunks would not be bit-equal to one call.
    """
    for i, c in enumerate(coefficients):
        h = h + c * x[i : i + steps]
    return h


class ParallelNeuron(Neuron):
    """What the parallel neurons share: a learned threshold ``-bias`` and products inside the neuron."""

    covers_products = True
    bias: Tensor

    def __init__(self, surrogate: str | Surrogate) -> None:
        super().__init__()
        self.surrogate = as_surrogate(surrogate)

    def _fire(self, h: Tensor) -> Tensor:
        return spike(h, self.surrogate)


@NEURONS.register("psn")
class PSN(ParallelNeuron):
    """Parallel spiking neuron: every step sees all T inputs, also the later ones.

    Args:
        T: number of steps of every sequence, >= 1.
        surrogate: name or :class:`snnkit.surrogate.Surrogate`.

    Attributes:
        weight: ``[T, T]``, uniform in +-1/sqrt(T) at first; row t weighs the inputs of step t.
        bias: ``[T]``, -1 at first: the threshold is ``-bias``.

    Equation:
        ``s[t] = b[t] + sum_j W[t, j] x[j] >= 0``
    Shape:
        ``x [T, B, *]`` float -> spikes in {0, 1}, same shape and dtype.
    State:
        none, and no single ``step``: it is not causal, so ``snnkit.stream`` refuses it.
    Raises:
        ShapeError: the sequence has other than T steps (an empty one passes through).
        ConfigError: T is not an int >= 1. StreamError: ``step`` was called.
        and those of :class:`snnkit.neurons.Neuron`.
    Reference:
        Fang et al. 2023, arXiv 2304.12760, eq. 6; as spikingjelly 2.0 ``PSN``, whose bias is ``[T, 1]``.
    """

    State = NoState
    causal = False

    def __init__(self, T: int = 4, *, surrogate: str | Surrogate = "atan") -> None:
        super().__init__(surrogate)
        self.T = integer("PSN.T", T)
        self.weight, self.bias = square_weights(T)

    def initial_state(self, x: Tensor) -> NoState:
        """Empty."""
        return NoState()

    def step(self, x: Tensor, state: NoState) -> tuple[Tensor, NoState]:
        """There is none: raises StreamError."""
        raise StreamError(f"PSN: a single step needs all T={self.T} inputs. Call neuron(x [T, B, ...]).")

    def _scan(self, x: Tensor, state: NoState) -> tuple[Tensor, NoState]:
        if x.shape[0] == 0:
            return x, state
        if x.shape[0] != self.T:
            raise ShapeError(
                f"PSN(T={self.T}): got {x.shape[0]} steps in shape {tuple(x.shape)}, expected {self.T}. "
                "It has one weight for each pair of steps; build it with another T, or use sliding_psn."
            )
        return self._fire(mix(self.weight, self.bias, x)), state

    def energy_ops(self) -> NeuronOps:
        """T multiply-adds and a comparison; each input goes to T accumulators, one for each step."""
        return NeuronOps(mul=float(self.T), add=float(self.T), cmp=1.0, state_words=float(self.T))

    def extra_repr(self) -> str:
        """Every setting."""
        return f"T={self.T}, surrogate={self.surrogate}"


class SlidingPSNState(NamedTuple):
    """``x [B, k-1, *]``: the last inputs, oldest first."""

    x: Tensor


@NEURONS.register("sliding_psn")
class SlidingPSN(ParallelNeuron):
    """Parallel spiking neuron with the same k weights at every step: a learned filter, then a threshold.

    Args:
        k: order, >= 1: how many inputs a step sees, its own included.
        exp_init: weights start at ..., 1/4, 1/2, 1, as a leak of one half; else uniform in +-1/sqrt(k).
        surrogate: name or :class:`snnkit.surrogate.Surrogate`.

    Attributes:
        weight: ``[k]``, oldest input first. bias: scalar, -1 at first.

    Equation:
        ``s[t] = b + sum_i w[i] x[t-k+1+i] >= 0``
    Shape:
        ``x [T, B, *]`` float, any T -> spikes in {0, 1}, same shape and dtype.
    State:
        ``x [B, k-1, *]`` earlier inputs, at first 0.
    Raises:
        ConfigError: a value out of range; and those of :class:`snnkit.neurons.Neuron`.
    Reference:
        Fang et al. 2023, arXiv 2304.12760, eq. 10; as spikingjelly 2.0 ``SlidingPSN``, whose queue has no
        batch axis. The default k is ours: the paper chooses it for each data set.
    """

    State = SlidingPSNState

    def __init__(self, k: int = 2, *, exp_init: bool = True, surrogate: str | Surrogate = "atan") -> None:
        super().__init__(surrogate)
        self.k = integer("SlidingPSN.k", k)
        self.exp_init = flag("SlidingPSN.exp_init", exp_init)
        uniform = torch.empty(k).uniform_(-1 / math.sqrt(k), 1 / math.sqrt(k))
        self.weight = nn.Parameter(0.5 ** torch.arange(k - 1.0, -1, -1) if exp_init else uniform)
        self.bias = nn.Parameter(torch.tensor(-1.0))

    def initial_state(self, x: Tensor) -> SlidingPSNState:
        """No inputs so far."""
        return SlidingPSNState(past_inputs(x, self.k))

    def step(self, x: Tensor, state: SlidingPSNState) -> tuple[Tensor, SlidingPSNState]:
        """One step of the equation above."""
        window, h = append_input(state.x, x), self.bias.to(x.dtype)
        for i, w in enumerate(self.weight.to(x.dtype)):
            h = h + w * window[:, i]
        return self._fire(h), SlidingPSNState(window[:, 1:])

    def _scan(self, x: Tensor, state: SlidingPSNState) -> tuple[Tensor, SlidingPSNState]:
        n = x.shape[0]
        if n == 0:
            return x, state
        seen = torch.cat([state.x.movedim(1, 0), x])
        h = taps(self.bias.to(x.dtype), list(self.weight.to(x.dtype).unbind()), seen, n)
        return self._fire(h), SlidingPSNState(seen[n:].movedim(0, 1).clone())

    def energy_ops(self) -> NeuronOps:
        """k multiply-adds, a comparison; k-1 words, though a ring buffer writes only one of them a step."""
        return NeuronOps(mul=float(self.k), add=float(self.k), cmp=1.0, state_words=float(self.k - 1))

    def extra_repr(self) -> str:
        """Every setting."""
        return f"k={self.k}, exp_init={self.exp_init}, surrogate={self.surrogate}"


def square_weights(T: int) -> tuple[nn.Parameter, nn.Parameter]:
    """Weights ``[T, T]``, uniform in +-1/sqrt(T) as Kaiming's for a linear layer, and biases of -1."""
    bound = 1 / math.sqrt(T)
    return nn.Parameter(torch.empty(T, T).uniform_(-bound, bound)), nn.Parameter(torch.full((T,), -1.0))


def past_inputs(x: Tensor, k: int) -> Tensor:
    return x.new_zeros(x.shape[0], k - 1, *x.shape[1:])


def append_input(past: Tensor, x: Tensor) -> Tensor:
    """``[B, k-1, *]`` and ``[B, *]`` -> ``[B, k, *]``."""
    return torch.cat([past, x.unsqueeze(1)], 1)
