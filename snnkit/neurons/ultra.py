r"""UltraLIF: a soft maximum of membrane and input in place of their sum, differentiable as it is.

With ``LSE(a, b) = eps log(exp(a/eps) + exp(b/eps))``::

    U[t] = LSE(v[t-1] + log tau, x[t])
    s[t] = sigma((U[t] - theta) / eps)      output "soft", a real number in (0, 1)
         = 1 where U[t] >= theta_hard       outputs "hard" and "ste"
    v[t] = U[t] (1 - s[t])

As eps -> 0 this is a leaky peak detector, ``U = max(v + log tau, x)``: it never sums inputs that are too
small to fire, and is not the LIF neuron. Because ``U >= v + log tau``, the soft output has a floor: from
v = 0 it is at least ``tau^(1/eps) / (1 + tau^(1/eps))`` (0.47 with the defaults) whatever the input.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..checks import flag, number
from ..kernels import ultra
from .base import NEURONS, NeuronOps
from .ultra_base import UltraNeuron, UltraOutput, UltraState, held, log_sum_exp

__all__ = ["UltraLIF", "UltraPLIF"]


@NEURONS.register("ultra_lif")
class UltraLIF(UltraNeuron):
    """Ultradiscrete leaky integrate-and-fire neuron.

    Args:
        tau: decay of the membrane, in (0, 1]: it leaks by ``log tau`` a step. As in the paper; not a time
            constant in steps, as the tau of other neurons here.
        learn_tau: learn ``log_tau``, one value per layer (UltraPLIF).
        tau_max: bound of a learned tau, in [tau, 1], with a straight-through gradient; None: no bound, as
            published: a tau above 1 lets the membrane grow.
        eps, learn_eps, eps_min, eps_max, theta, spike_scale, output: see :class:`UltraNeuron`.

    Equation:
        ``U = LSE(v + log tau, x); s = sigmoid((U - theta)/eps); v = U (1-s)``
    Shape:
        ``x [T, B, *]`` float -> real numbers in (0, 1), or spikes in {0, 1}; same shape and dtype.
    State:
        ``v [B, *]``, starts at 0, at least float32.
    Raises:
        ConfigError: a value out of range; and those of :class:`snnkit.neurons.Neuron`.
    Reference:
        UltraLIF, arXiv 2602.11206; in its public code the output is always soft: what is
        published as a spike rate is a mean analog activation, and layers behind it multiply. The hard
        outputs, ``tau_max`` and gradients at the bounds of eps (the code clamps, so that eps stays there)
        are ours. Infinite input gives NaN.

    Soft outputs of the C library agree with the step within 2e-6, see ``exact``; hard ones are equal.
    """

    def __init__(
        self,
        tau: float = 0.9,
        *,
        learn_tau: bool = False,
        tau_max: float | None = 0.999,
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
        name = type(self).__name__
        hint = "It is the decay of one step; a time constant of k steps is tau = 1 - 1/k."
        self._tau = number(f"{name}.tau", tau, above=0, at_most=1, hint=hint)
        self.tau_max = None
        if flag(f"{name}.learn_tau", learn_tau):
            self.log_tau = nn.Parameter(torch.tensor(math.log(self._tau)))
            if tau_max is not None:
                self.tau_max = number(f"{name}.tau_max", tau_max, at_least=self._tau, at_most=1)

    @property
    def tau(self) -> float | Tensor:
        """Decay of one step."""
        leak = self._leak()
        return torch.exp(leak) if isinstance(leak, Tensor) else self._tau

    @property
    def exact(self) -> bool:  # type: ignore[override]
        """False while the output is "soft": the C library has an exp and a log of its own."""
        return self._output != "soft"

    def _leak(self) -> float | Tensor:
        if not hasattr(self, "log_tau"):
            return math.log(self._tau)
        return self.log_tau if self.tau_max is None else held(self.log_tau, -math.inf, math.log(self.tau_max))

    def step(self, x: Tensor, state: UltraState) -> tuple[Tensor, UltraState]:
        """One step of the equations above."""
        leak = self._leak()
        leak = leak.to(x.dtype) if isinstance(leak, Tensor) else leak
        u = log_sum_exp(self._temperature(x), state.v + leak, x)
        s = self._emit(u)
        return s, UltraState(u * (1 - s))

    def _run(self, x: Tensor, state: UltraState) -> tuple[Tensor, UltraState]:
        values = [self._leak(), self.eps, self.spike_scale]
        leak, eps, slope = (a.to(state.v.dtype) if isinstance(a, Tensor) else a for a in values)
        s, last = ultra(x, state, leak, eps, slope, self.theta, self._output, self.step)
        return s, UltraState(*last)

    def energy_ops(self) -> NeuronOps:
        """The leak, a soft maximum of two, firing and reset."""
        return self._cost(2, mul=0.0, add=1.0)

    def extra_repr(self) -> str:
        """Every setting."""
        return self._shown(tau=self._tau, learn_tau=hasattr(self, "log_tau"), tau_max=self.tau_max)


@NEURONS.register("ultra_plif")
class UltraPLIF(UltraLIF):
    """:class:`UltraLIF` with a learned tau; the same arguments without ``learn_tau``."""

    def __init__(
        self,
        tau: float = 0.9,
        *,
        tau_max: float | None = 0.999,
        eps: float = 1.0,
        learn_eps: bool = True,
        eps_min: float = 0.1,
        eps_max: float = 20.0,
        theta: float = 0.0,
        spike_scale: float | None = None,
        output: UltraOutput = "soft",
    ) -> None:
        super().__init__(
            tau,
            learn_tau=True,
            tau_max=tau_max,
            eps=eps,
            learn_eps=learn_eps,
            eps_min=eps_min,
            eps_max=eps_max,
            theta=theta,
            spike_scale=spike_scale,
            output=output,
        )
