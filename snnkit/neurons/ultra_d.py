r"""UltraDLIF: a soft maximum over neighbouring neurons, differentiable as it is.

With ``LSE(a_1, ..., a_n) = eps log(sum_i exp(a_i / eps))`` over a neuron i and its neighbours N(i), in the
two published forms::

    linear_then_lse                              lse_then_input
    q[t] = tau v[t-1] + x[t]
    U_i[t] = LSE(q_j[t], j in N(i))              U_i[t] = LSE(v_j[t-1], j in N(i)) + x_i[t]
    v[t] = q[t] (1 - s[t])                       v[t] = U[t] (1 - s[t])

with s[t] as in :mod:`snnkit.neurons.ultra`. A tau of the second form scales the centre ``v_i`` alone. The
output is not equivariant to permutations of the neighbouring axis: order means something there.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from ..checks import choice, flag, number
from ..errors import ShapeError, require
from .base import NEURONS, NeuronOps
from .ultra_base import UltraNeuron, UltraOutput, UltraState, log_sum_exp

__all__ = ["UltraDLIF"]


@NEURONS.register("ultra_dlif")
class UltraDLIF(UltraNeuron):
    """Ultradiscrete LIF neuron with lateral coupling by diffusion.

    Args:
        tau: decay of the membrane, in (0, 1], not a time constant in steps; default 0.9, or 1 (no effect)
            with ``form="lse_then_input"``.
        learn_tau: ``tau = sigmoid(tau_raw)``, one learned value per layer, which starts at ``tau`` < 1.
        form: "linear_then_lse" or "lse_then_input".
        neighbours: previous and next "channel" (axis 2 of ``[T, B, C, ...]``); previous and next "index" of
            all axes behind B flattened, as published; or "spatial", previous and next on every axis behind
            the channels (4 on a map). A neuron without spatial axes, in ``[T, B, C]``, has no neighbours.
        boundary: "periodic", as published, or "replicate": the neighbour of an end is that end itself.
            With one channel both neighbours are the neuron itself, and ``U = q + eps log 3``; with two
            and "periodic", both are the other channel, which counts twice.
        eps, learn_eps, eps_min, eps_max, theta, spike_scale, output: see :class:`UltraNeuron`.

    Equation:
        ``U_i = LSE(tau v_j + x_j over neighbours j); s = sigmoid((U - theta)/eps); v = U (1-s)``
    Shape:
        ``x [T, B, C, *]`` float -> real numbers in (0, 1), or spikes in {0, 1}; same shape and dtype.
    State:
        ``v [B, C, *]``, starts at 0, at least float32.
    Raises:
        ConfigError: a value out of range. ShapeError: no channel axis.
        and those of :class:`snnkit.neurons.Neuron`.
    Reference:
        UltraLIF, arXiv 2602.11206; its training script has the first form, its text the second; which one
        the published tables have is not known. In its code the learned tau starts at sigmoid(0.9) = 0.71;
        at T = 1 tau has no effect, as v starts at 0. "channel", "spatial", "replicate" and the hard
        outputs are ours.
    """

    def __init__(
        self,
        tau: float | None = None,
        *,
        learn_tau: bool = False,
        form: Literal["linear_then_lse", "lse_then_input"] = "linear_then_lse",
        neighbours: Literal["channel", "index", "spatial"] = "channel",
        boundary: Literal["periodic", "replicate"] = "periodic",
        eps: float = 1.0,
        learn_eps: bool = True,
        eps_min: float = 0.1,
        eps_max: float = 20.0,
        theta: float = 0.0,
        spike_scale: float | None = None,
        output: UltraOutput = "soft",
    ) -> None:
        super().__init__(
            eps=eps,
            learn_eps=learn_eps,
            eps_min=eps_min,
            eps_max=eps_max,
            theta=theta,
            spike_scale=spike_scale,
            output=output,
        )
        self.form = choice("UltraDLIF.form", form, ("linear_then_lse", "lse_then_input"))
        self.neighbours = choice("UltraDLIF.neighbours", neighbours, ("channel", "index", "spatial"))
        self.boundary = choice("UltraDLIF.boundary", boundary, ("periodic", "replicate"))
        tau = (0.9 if form == "linear_then_lse" else 1.0) if tau is None else tau
        hint = "It is the decay of one step; a time constant of k steps is tau = 1 - 1/k."
        self._tau = number("UltraDLIF.tau", tau, above=0, at_most=1, hint=hint)
        if flag("UltraDLIF.learn_tau", learn_tau):
            require(self._tau < 1, "UltraDLIF.tau with learn_tau", tau, "a decay in (0, 1)")
            self.tau_raw = nn.Parameter(torch.tensor(math.log(self._tau / (1 - self._tau))))

    @property
    def tau(self) -> float | Tensor:
        """Decay of one step."""
        return torch.sigmoid(self.tau_raw) if hasattr(self, "tau_raw") else self._tau

    def initial_state(self, x: Tensor) -> UltraState:
        """``v = 0``."""
        if x.ndim < 2:
            raise ShapeError(
                f"UltraDLIF: got a step of shape {tuple(x.shape)}, expected [B, C, ...]: neighbours are "
                "neurons of the same row. Add the channel axis with x.unsqueeze(2)."
            )
        return super().initial_state(x)

    def step(self, x: Tensor, state: UltraState) -> tuple[Tensor, UltraState]:
        """One step of the equations above."""
        tau = self.tau
        tau = tau.to(x.dtype) if isinstance(tau, Tensor) else tau
        eps = self._temperature(x)
        if self.form == "linear_then_lse":
            q = tau * state.v + x
            s = self._emit(log_sum_exp(eps, q, *self._around(q)))
            return s, UltraState(q * (1 - s))
        u = log_sum_exp(eps, tau * state.v, *self._around(state.v)) + x
        s = self._emit(u)
        return s, UltraState(u * (1 - s))

    def _around(self, q: Tensor) -> list[Tensor]:
        """The neighbours of every neuron: for each coupled axis, ``q`` shifted by one either way."""
        if self.neighbours == "index":
            flat = q.flatten(1)
            return [self._shifted(flat, 1, by).reshape(q.shape) for by in (1, -1)]
        axes = (1,) if self.neighbours == "channel" else range(2, q.ndim)
        return [self._shifted(q, axis, by) for axis in axes for by in (1, -1)]

    def _shifted(self, q: Tensor, axis: int, by: int) -> Tensor:
        if self.boundary == "periodic" or q.shape[axis] == 0:
            return q.roll(by, axis)
        end, rest = (0, 0) if by == 1 else (q.shape[axis] - 1, 1)
        parts = [q.narrow(axis, end, 1), q.narrow(axis, rest, q.shape[axis] - 1)]
        return torch.cat(parts[::by], axis)

    def energy_ops(self) -> NeuronOps:
        """Leak and input, a soft maximum of 3 ("spatial": of 5, as on a map), firing and reset."""
        leaks = self.form == "linear_then_lse" or self._tau != 1
        return self._cost(5 if self.neighbours == "spatial" else 3, mul=float(leaks), add=1.0)

    def extra_repr(self) -> str:
        """Every setting."""
        return self._shown(
            tau=self._tau,
            learn_tau=hasattr(self, "tau_raw"),
            form=self.form,
            neighbours=self.neighbours,
            boundary=self.boundary,
        )
