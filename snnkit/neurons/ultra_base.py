"""What the Ultra neurons share: the soft maximum, a learned temperature, soft and hard firing."""

from __future__ import annotations

import math
from functools import reduce
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from ..checks import choice, flag, number
from ..surrogate import heaviside
from .base import Neuron, NeuronOps

__all__ = ["UltraNeuron", "UltraOutput", "UltraState", "held", "log_sum_exp"]

UltraOutput = Literal["soft", "hard", "ste"]


class UltraState(NamedTuple):
    """``v [B, *]``: potential after the reset."""

    v: Tensor


def log_sum_exp(eps: float | Tensor, *terms: Tensor) -> Tensor:
    """Soft maximum ``eps log(sum_i exp(a_i / eps))`` of finite tensors, between max and max + eps log n.

    The maximum is subtracted before the division by eps: nothing overflows, and the gradient with respect
    to eps is the entropy of the weights, without differences of large numbers. The gradients with respect
    to the terms are softmax weights; the maximum needs none, because the result does not depend on it.
    """
    peak = reduce(torch.maximum, terms).detach()
    return peak + eps * torch.log(reduce(torch.add, [torch.exp((term - peak) / eps) for term in terms]))


def held(raw: Tensor, low: float, high: float) -> Tensor:
    """``raw`` clamped to [low, high]; the gradient passes outside, too, so that no value gets stuck there."""
    return raw + (raw.clamp(low, high) - raw).detach()


def _logistic(z: Tensor) -> Tensor:
    """``1 / (1 + exp(-z))``, the same bits for a row alone and in a batch.

    ``torch.sigmoid`` differs in the last bit between its vectorised loop and the rest of a row. The clamp
    keeps the gradient finite; below it the output is 1e-35.
    """
    return 1 / (1 + torch.exp(-z.clamp(min=-80)))


class UltraNeuron(Neuron):
    """What the Ultra neurons share: temperature, firing and its three outputs.

    Args:
        eps: temperature, within [eps_min, eps_max].
        learn_eps: learn ``log_eps``, one value per layer, clamped with a straight-through gradient.
        eps_min, eps_max: bounds of eps, > 0.
        theta: centre of the soft firing function, and ``theta_hard`` until that is calibrated.
        spike_scale: initial slope of a separate firing function ``sigma(spike_scale (U - theta))``, within
            [0.1, 50]; learned ("DS" variants). None: the slope is 1/eps.
        output: "soft"; "hard", without a gradient, for deployment; "ste", hard with the gradient of
            ``sigma(slope (U - theta_hard))``. May be set at any time.

    Attributes:
        output: see above; ``spike_levels`` follows it: None for "soft", else 1.
        theta_hard: buffer, threshold of the hard outputs; see
            :func:`snnkit.neurons.calibrate_hard_threshold`.
    """

    State = UltraState
    buffer_names = ("theta_hard",)
    theta_hard: Tensor

    def __init__(
        self,
        *,
        eps: float,
        learn_eps: bool,
        eps_min: float,
        eps_max: float,
        theta: float,
        spike_scale: float | None,
        output: UltraOutput,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        self.eps_min = number(f"{name}.eps_min", eps_min, above=0)
        self.eps_max = number(f"{name}.eps_max", eps_max, at_least=self.eps_min)
        self._eps = number(f"{name}.eps", eps, at_least=self.eps_min, at_most=self.eps_max)
        self.theta = number(f"{name}.theta", theta)
        self._spike_scale = spike_scale
        if flag(f"{name}.learn_eps", learn_eps):
            self.log_eps = nn.Parameter(torch.tensor(math.log(self._eps)))
        if spike_scale is not None:
            value = number(f"{name}.spike_scale", spike_scale, at_least=0.1, at_most=50)
            self.log_spike_scale = nn.Parameter(torch.tensor(math.log(value)))
        self.register_buffer("theta_hard", torch.tensor(self.theta))
        self.output = output

    @property
    def output(self) -> UltraOutput:
        """ "soft", "hard" or "ste"."""
        return self._output

    @output.setter
    def output(self, value: UltraOutput) -> None:
        choice(f"{type(self).__name__}.output", value, ("soft", "hard", "ste"))
        self._output = value

    @property
    def spike_levels(self) -> int | None:  # type: ignore[override]
        """None while the output is "soft", else 1."""
        return None if self._output == "soft" else 1

    @property
    def eps(self) -> float | Tensor:
        """Temperature."""
        if not hasattr(self, "log_eps"):
            return self._eps
        return torch.exp(held(self.log_eps, math.log(self.eps_min), math.log(self.eps_max)))

    @property
    def spike_scale(self) -> float | Tensor:
        """Slope of the firing function."""
        if self._spike_scale is None:
            return 1 / self.eps
        return torch.exp(held(self.log_spike_scale, math.log(0.1), math.log(50)))

    def initial_state(self, x: Tensor) -> UltraState:
        """``v = 0``."""
        return UltraState(x.new_zeros(()).expand(x.shape))  # one value: no memory

    def _emit(self, u: Tensor) -> Tensor:
        slope = self.spike_scale
        slope = slope.to(u.dtype) if isinstance(slope, Tensor) else slope
        if self._output == "soft":
            return _logistic(slope * (u - self.theta))
        above = u - self.theta_hard.to(u.dtype)
        s = heaviside(above)
        if self._output == "hard":
            return s
        soft = _logistic(slope * above)
        return s + (soft - soft.detach())  # plus 0

    def _temperature(self, like: Tensor) -> float | Tensor:
        eps = self.eps
        return eps.to(like.dtype) if isinstance(eps, Tensor) else eps

    def _cost(self, terms: int, mul: float, add: float) -> NeuronOps:
        """Cost beside ``mul`` and ``add`` of the membrane, with the soft maximum of ``terms`` values.

        Our assumption: ``LSE(a, b) = max(a, b) + softplus(|a - b|)`` with one line segment for the softplus
        and one for the logistic function, a multiplication and an addition each. A soft reset multiplies
        by 1 - s, a hard one writes 0.
        """
        pairs, soft = terms - 1.0, self._output == "soft"
        return NeuronOps(
            mul=mul + pairs + 2.0 * soft,
            add=add + 3 * pairs + 2.0 * soft,
            cmp=pairs + (not soft),
            spike_write=float(not soft),
            state_words=1.0,
        )

    def _shown(self, **first: object) -> str:
        shown = {**first, "eps": self._eps, "learn_eps": hasattr(self, "log_eps"), "eps_min": self.eps_min}
        shown |= {"eps_max": self.eps_max, "theta": self.theta, "spike_scale": self._spike_scale}
        shown |= {"output": self._output}
        if not self.theta_hard.is_meta and float(self.theta_hard) != float(torch.tensor(self.theta)):
            shown |= {"theta_hard": float(self.theta_hard)}
        return ", ".join(f"{k}={v:g}" if isinstance(v, float) else f"{k}={v}" for k, v in shown.items())
