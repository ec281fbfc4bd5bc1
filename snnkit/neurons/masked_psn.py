r"""Masked parallel spiking neuron: from all steps to the last k, while training.

With M_k[t, j] = 1 where t-k < j <= t, else 0, and o the elementwise product::

    s[t] = S(b[t] + sum_j (W o (l M_k + (1 - l)))[t, j] x[j])        l rises from 0 to 1

At l = 0 it is a :class:`PSN`; at l = 1 it sees no later input, and runs step by step.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ..checks import integer, number
from ..errors import ShapeError, StreamError
from ..sequence import in_transform
from ..surrogate import Surrogate
from .base import NEURONS, NeuronOps
from .psn import ParallelNeuron, append_input, mix, past_inputs, square_weights, taps

__all__ = ["MaskedPSN", "MaskedPSNState"]


class MaskedPSNState(NamedTuple):
    """``x [B, k-1, *]``: the last inputs, oldest first. ``steps [B]``: how many steps went by."""

    x: Tensor
    steps: Tensor


@NEURONS.register("masked_psn")
class MaskedPSN(ParallelNeuron):
    """Parallel spiking neuron whose weights outside of the last k steps are faded out during training.

    Args:
        T: largest number of steps, >= 1.
        k: order, >= 1: how many inputs a step sees at the end of the schedule; above T it means T.
        lambda_: where the schedule starts, in [0, 1]. 0 is :class:`PSN`, 1 masks completely (default:
            then it is causal without further ado; spikingjelly starts at 0).
        surrogate: name or :class:`snnkit.surrogate.Surrogate`.

    Attributes:
        weight, bias: as :class:`PSN`. lambda_: a buffer, part of the ``state_dict``; see ``set_lambda``.
        causal: True while ``lambda_`` is 1, so only then it streams and has a single ``step``.

    Equation:
        ``s[t] = b[t] + sum_j (W o (l M_k + (1 - l)))[t, j] x[j] >= 0``
    Shape:
        ``x [T, B, *]`` float -> spikes in {0, 1}, same shape and dtype. While causal also shorter
        sequences, and chunks of up to T steps in all.
    State:
        ``x [B, k-1, *]`` earlier inputs, at first 0; ``steps [B]`` steps so far, as a float.
    Raises:
        ShapeError: more than T steps in all, or other than T while not causal or inside of a compiled
            graph or transform (which cannot look at ``lambda_``).
        ConfigError: a value out of range. StreamError: ``step`` was called while not causal, or a state
            was given inside of a compiled graph or transform.
        and those of :class:`snnkit.neurons.Neuron`.
    Reference:
        Fang et al. 2023, arXiv 2304.12760, eq. 7-9; as spikingjelly 2.0 ``MaskedPSN``. Each call looks at
        ``lambda_``, which on an accelerator waits for the device.
    """

    State = MaskedPSNState
    buffer_names = ("lambda_",)

    def __init__(
        self, T: int = 4, k: int = 2, *, lambda_: float = 1.0, surrogate: str | Surrogate = "atan"
    ) -> None:
        super().__init__(surrogate)
        integer("MaskedPSN.T", T)
        integer("MaskedPSN.k", k)
        self.T, self.k = T, min(k, T)
        self.weight, self.bias = square_weights(T)
        self.register_buffer("lambda_", torch.ones(()))
        self.set_lambda(lambda_)

    lambda_: Tensor

    def set_lambda(self, value: float) -> None:
        """Move the schedule: 0 sees all steps, 1 only the last k. Call it from the training loop.

        Raises:
            ConfigError: not a number in [0, 1].
        """
        number("MaskedPSN.lambda_", value, at_least=0, at_most=1)
        with torch.no_grad():
            self.lambda_.fill_(value)

    @property
    def causal(self) -> bool:  # type: ignore[override]
        """Whether later inputs are masked out completely now."""
        return bool(self.lambda_ >= 1)

    def run(self, x: Tensor, state: MaskedPSNState | None = None) -> tuple[Tensor, MaskedPSNState]:
        """As every neuron; a state cannot be continued where its step number cannot be read."""
        if state is not None and _blind(x):
            raise StreamError("MaskedPSN: compiled graphs and transforms take whole sequences, state=None.")
        return super().run(x, state)

    def initial_state(self, x: Tensor) -> MaskedPSNState:
        """No inputs so far."""
        return MaskedPSNState(past_inputs(x, self.k), x.new_zeros(x.shape[:1]))

    def step(self, x: Tensor, state: MaskedPSNState) -> tuple[Tensor, MaskedPSNState]:
        """One step of the equation above, while causal."""
        if not self.causal:
            raise StreamError(
                f"MaskedPSN: at lambda_={float(self.lambda_):g} a step needs later inputs too. "
                "Call neuron(x), or set_lambda(1)."
            )
        t = self._so_far(state, 1, exact=False)
        window, h = append_input(state.x, x), self.bias[t].to(x.dtype)
        for i in range(max(0, self.k - 1 - t), self.k):
            h = h + self.weight[t, t - self.k + 1 + i].to(x.dtype) * window[:, i]
        return self._fire(h), MaskedPSNState(window[:, 1:], state.steps + 1)

    def _scan(self, x: Tensor, state: MaskedPSNState) -> tuple[Tensor, MaskedPSNState]:
        n = x.shape[0]
        if n == 0:
            return x, state
        dense = _blind(x) or not self.causal
        t = self._so_far(None if _blind(x) else state, n, exact=dense)
        seen = torch.cat([state.x.movedim(1, 0), x])
        if dense:
            inside = torch.ones_like(self.weight).tril().triu(1 - self.k)
            lambda_ = self.lambda_.to(self.weight.dtype)
            h = mix(self.weight * (lambda_ * inside + (1 - lambda_)), self.bias, x)
        else:
            column = (n, *[1] * (x.ndim - 1))
            bands = (self.weight.to(x.dtype).diagonal(-back) for back in reversed(range(self.k)))
            # W[t, t-back] for every t; the rows before step ``back`` meet the zeros before the sequence
            rows = [F.pad(band, (self.T - len(band), 0))[t : t + n].view(column) for band in bands]
            h = taps(self.bias[t : t + n].to(x.dtype).view(column), rows, seen, n)
        return self._fire(h), MaskedPSNState(seen[n:].movedim(0, 1).clone(), state.steps + n)

    def _so_far(self, state: MaskedPSNState | None, steps: int, *, exact: bool) -> int:
        """Steps before this call; refuses more than T in all, or other than T where all are needed."""
        t = int(state.steps[0]) if state is not None and len(state.steps) else 0
        if t + steps > self.T or (exact and steps != self.T):
            after = f" after {t} earlier ones" if t else ""
            raise ShapeError(
                f"MaskedPSN(T={self.T}): got {steps} steps{after}, expected {'' if exact else 'up to '}"
                f"{self.T} in all. Build it with another T, or use sliding_psn."
            )
        return t

    def energy_ops(self) -> NeuronOps:
        """A multiply-add for each input that a step sees, min(t+1, k) or all T, and a comparison."""
        causal = self.causal
        products = self.k - self.k * (self.k - 1) / (2 * self.T) if causal else float(self.T)
        words = float(self.k - 1 if causal else self.T)
        return NeuronOps(mul=products, add=products, cmp=1.0, state_words=words)

    def extra_repr(self) -> str:
        """Every setting."""
        now = "?" if self.lambda_.is_meta else f"{float(self.lambda_):g}"
        return f"T={self.T}, k={self.k}, lambda_={now}, surrogate={self.surrogate}"


def _blind(x: Tensor) -> bool:
    """Whether values cannot be looked at."""
    return torch.compiler.is_compiling() or in_transform() or x.is_meta
