r"""Adaptive leaky integrate-and-fire (ALIF, the neuron of LSNN): every spike raises the threshold.

::

    h[t] = beta v[t-1] + x[t]
    s[t] = 1 where h[t] >= threshold + beta_a b[t-1]
    v[t] = h[t] - s[t] threshold         soft reset; hard and none as in LIF
    b[t] = rho b[t-1] + (1 - rho) s[t]

``b`` is the firing rate of the last ``1/(1 - rho)`` steps: a memory that is long although the
potential forgets quickly, which is what recurrent networks of these neurons compute with.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ..checks import number
from ..surrogate import Surrogate
from .base import NEURONS, NeuronOps
from .membrane import Membrane, Reset

__all__ = ["AdaptiveLIF", "AdaptiveState"]


class AdaptiveState(NamedTuple):
    """``v [B, *]``: potential after the reset; ``b [B, *]``: adaptation, in [0, 1]."""

    v: Tensor
    b: Tensor


@NEURONS.register("adaptive_lif")
class AdaptiveLIF(Membrane):
    """LIF neuron whose threshold rises with its own firing rate.

    Args:
        beta: decay of the potential per step, in [0, 1].
        beta_a: strength of the adaptation, >= 0: the threshold of a neuron that always fires is
            ``threshold + beta_a``.
        rho: decay of the adaptation per step, in [0, 1]; ``exp(-1/200)``, 200 steps, as published.
        threshold: firing level at rest, > 0, same unit as x.
        reset: "soft" by ``threshold`` (the level at rest), "hard" to ``v_reset``, or "none".
        v_reset: value after a hard reset; below the threshold.
        detach_reset: no gradient through the spike in the reset; the one through ``b`` remains.
        fire_at_equal: a potential equal to the threshold fires.
        learn_beta: ``beta = sigmoid(w)`` with a learned w.
        learn_rho: ``rho = sigmoid(w)`` with a learned w.
        channels: one learned value per channel (axis 2 of ``[T, B, C, ...]``) instead of one per layer.
        surrogate: name or :class:`snnkit.surrogate.Surrogate`.

    Equation:
        ``h = beta v + x; s = h >= threshold + beta_a b; b = rho b + (1 - rho) s; v = h - s threshold``
    Shape:
        ``x [T, B, *]`` float -> spikes in {0, 1}, same shape and dtype.
    State:
        ``v [B, *]`` and ``b [B, *]``, start at 0, at least float32.
    Raises:
        ConfigError: a value out of range, a flag that is not a bool.
        ShapeError: axis 2 of the input is not ``channels``.
        and those of :class:`snnkit.neurons.Neuron`.
    Reference:
        Bellec et al. 2018, arXiv 1803.09574; recalled, not read again: the paper scales the input by
        ``1 - beta`` (here the layer in front does), its spikes have no refractory time here, and its
        published beta is ``exp(-1/20)`` at 1 ms (default here 0.5, as LIF's tau = 2). norse 1.1 ``lsnn``
        keeps the whole threshold, ``threshold + beta_a b``, and decays it before testing it: with
        ``norse.beta = beta_a (1 - rho) / rho`` and ``rho = 1 - dt tau_adapt_inv`` its spikes are the same.
    """

    State = AdaptiveState

    def __init__(
        self,
        beta: float = 0.5,
        *,
        beta_a: float = 1.8,
        rho: float = math.exp(-1 / 200),
        threshold: float = 1.0,
        reset: Reset = "soft",
        v_reset: float | None = None,
        detach_reset: bool = False,
        fire_at_equal: bool = True,
        learn_beta: bool = False,
        learn_rho: bool = False,
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
        self.beta_a = number("AdaptiveLIF.beta_a", beta_a, at_least=0)
        self._decay("beta", beta, learn_beta)
        self._decay("rho", rho, learn_rho)

    @property
    def beta(self) -> float | Tensor:
        """Decay of the potential per step."""
        return self._value("beta")

    @property
    def rho(self) -> float | Tensor:
        """Decay of the adaptation per step."""
        return self._value("rho")

    def initial_state(self, x: Tensor) -> AdaptiveState:
        """``v = b = 0``."""
        self._check_channels(x)
        return AdaptiveState(torch.zeros_like(x), torch.zeros_like(x))

    def step(self, x: Tensor, state: AdaptiveState) -> tuple[Tensor, AdaptiveState]:
        """One step of the equations above."""
        h = self._operand("beta", x) * state.v + x
        s = self._fire(h, self.threshold + self.beta_a * state.b)
        rho = self._operand("rho", x)
        return s, AdaptiveState(self._after(h, s), rho * state.b + (1 - rho) * s)

    def energy_ops(self) -> NeuronOps:
        """Two leaks and ``beta_a b``; the input and the threshold; per spike the jump of b and the reset."""
        reset = self._reset_ops()
        return NeuronOps(
            mul=3.0, add=2.0, cmp=1.0, state_words=2.0, **reset | {"spike_add": reset["spike_add"] + 1}
        )

    def extra_repr(self) -> str:
        """Every setting."""
        return self._settings(beta=self._beta, beta_a=self.beta_a, rho=self._rho)
