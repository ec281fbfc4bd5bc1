r"""Surrogate gradients: a spike is a step function forward, a smooth bump backward.

``spike(u, surrogate)`` computes ``H(u)`` (1 where ``u >= 0``) and back-propagates
``g * p(u)``, where ``u = h - threshold`` and ``p`` is the surrogate's ``derivative``. Each surrogate
is a frozen dataclass with one formula for ``p`` and one for its ``primitive`` (``primitive' = p``),
which the gradient tests integrate numerically.

The derivative never depends on ``train()`` / ``eval()``: saliency and attacks need it in evaluation.

=================  ==========================================  =======  ==================================
name               p(u)                                        alpha    source
=================  ==========================================  =======  ==================================
``atan``           (a/2) / (1 + (pi a u / 2)^2)                2        Fang et al., arXiv 2007.05785
``sigmoid``        a s(a u) (1 - s(a u)), s logistic           4        Zenke & Vogels 2021
``triangle``       max(0, a - a^2 |u|)                         1        Esser et al., arXiv 1603.08270
``rectangle``      a where |u| < 1/(2a)                        1        Wu et al., arXiv 1706.02609
``exponential``    (a/2) exp(-a |u|)                           2        Shrestha & Orchard 2018
``soft_sign``      (a/2) / (1 + a |u|)^2                       2        primitive u/(1/a + |u|)/2 + 1/2
``fast_sigmoid``   1 / (1 + a |u|)^2                           25       Zenke & Ganguli, arXiv 1705.11146
``log_abs``        1 / (1/a + |u|)                             1        sign(u) log(1 + a |u|)
``gaussian``       (a / sqrt(pi)) exp(-(a u)^2)                2        erf primitive
``power``          (1 + 2|u| / (a - 1))^(-a)                   2        Herranz-Celotti & Rouat 2022
``tanh``           1 - tanh(a u)^2                             1        tanh(a u) / a primitive
``straight_through``  1                                        -        Bengio et al., arXiv 1308.3432
=================  ==========================================  =======  ==================================

Where another library uses the same name for another scaling, the formula decides:
``soft_sign(a)`` = spikingjelly ``SoftSign(a)``; ``fast_sigmoid(a)`` = snntorch ``fast_sigmoid(a)``,
and with a = 1 norse's ``super``; ``triangle`` = spikingjelly ``PiecewiseQuadratic``;
``exponential`` = ``PiecewiseExp``; ``gaussian`` = ``Erf``; ``power`` = ``QPseudoSpike``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from .checks import number
from .errors import ConfigError, InputTypeError, quote, require
from .registry import Registry

__all__ = [
    "SURROGATES",
    "ATan",
    "Exponential",
    "FastSigmoid",
    "Gaussian",
    "LogAbs",
    "Power",
    "Rectangle",
    "Sigmoid",
    "SoftSign",
    "StraightThrough",
    "Surrogate",
    "Tanh",
    "Triangle",
    "as_surrogate",
    "heaviside",
    "spike",
]

SURROGATES: Registry = Registry("surrogate")


@dataclass(frozen=True)
class Surrogate:
    """Base of all surrogates: hashable, picklable, without tensors.

    ``derivative`` and ``primitive`` act elementwise and keep dtype and shape.
    """

    def __post_init__(self) -> None:
        for field in fields(self):
            number(f"{type(self).__name__}.{field.name}", getattr(self, field.name), above=0)

    def derivative(self, u: Tensor) -> Tensor:
        """p(u) >= 0."""
        raise TypeError(f"{type(self).__name__} must implement derivative(u)")

    def primitive(self, u: Tensor) -> Tensor:
        """A function whose derivative is p(u)."""
        raise TypeError(f"{type(self).__name__} must implement primitive(u)")


@SURROGATES.register("atan")
@dataclass(frozen=True)
class ATan(Surrogate):
    """p(u) = (a/2) / (1 + (pi a u / 2)^2)."""

    alpha: float = 2.0

    def derivative(self, u: Tensor) -> Tensor:
        return (self.alpha / 2) / (1 + (math.pi / 2 * self.alpha * u).square())

    def primitive(self, u: Tensor) -> Tensor:
        return torch.atan(math.pi / 2 * self.alpha * u) / math.pi


@SURROGATES.register("sigmoid")
@dataclass(frozen=True)
class Sigmoid(Surrogate):
    """p(u) = a s(a u) (1 - s(a u)) with the logistic function s."""

    alpha: float = 4.0

    def derivative(self, u: Tensor) -> Tensor:
        s = torch.sigmoid(self.alpha * u)
        return self.alpha * torch.addcmul(s, s, s, value=-1)

    def primitive(self, u: Tensor) -> Tensor:
        return torch.sigmoid(self.alpha * u)


@SURROGATES.register("triangle")
@dataclass(frozen=True)
class Triangle(Surrogate):
    """p(u) = max(0, a - a^2 |u|)."""

    alpha: float = 1.0

    def derivative(self, u: Tensor) -> Tensor:
        return (self.alpha - self.alpha**2 * u.abs()).clamp(min=0)

    def primitive(self, u: Tensor) -> Tensor:
        z = (self.alpha * u).clamp(-1, 1)
        return z - z * z.abs() / 2


@SURROGATES.register("rectangle")
@dataclass(frozen=True)
class Rectangle(Surrogate):
    """p(u) = a where |u| < 1/(2a), else 0."""

    alpha: float = 1.0

    def derivative(self, u: Tensor) -> Tensor:
        return self.alpha * (u.abs() < 1 / (2 * self.alpha)).to(u.dtype)

    def primitive(self, u: Tensor) -> Tensor:
        return (self.alpha * u).clamp(-0.5, 0.5)


@SURROGATES.register("exponential")
@dataclass(frozen=True)
class Exponential(Surrogate):
    """p(u) = (a/2) exp(-a |u|); a = 2 has peak 1."""

    alpha: float = 2.0

    def derivative(self, u: Tensor) -> Tensor:
        return self.alpha / 2 * torch.exp(-self.alpha * u.abs())

    def primitive(self, u: Tensor) -> Tensor:
        return -torch.sign(u) * torch.expm1(-self.alpha * u.abs()) / 2


@SURROGATES.register("soft_sign")
@dataclass(frozen=True)
class SoftSign(Surrogate):
    """p(u) = (a/2) / (1 + a |u|)^2."""

    alpha: float = 2.0

    def derivative(self, u: Tensor) -> Tensor:
        return self.alpha / 2 / (1 + self.alpha * u.abs()).square()

    def primitive(self, u: Tensor) -> Tensor:
        return u / (1 / self.alpha + u.abs()) / 2


@SURROGATES.register("fast_sigmoid")
@dataclass(frozen=True)
class FastSigmoid(Surrogate):
    """p(u) = 1 / (1 + a |u|)^2: peak 1 for every slope a."""

    alpha: float = 25.0

    def derivative(self, u: Tensor) -> Tensor:
        return 1 / (1 + self.alpha * u.abs()).square()

    def primitive(self, u: Tensor) -> Tensor:
        return u / (1 + self.alpha * u.abs())


@SURROGATES.register("log_abs")
@dataclass(frozen=True)
class LogAbs(Surrogate):
    """p(u) = 1 / (1/a + |u|): heavy tails."""

    alpha: float = 1.0

    def derivative(self, u: Tensor) -> Tensor:
        return 1 / (1 / self.alpha + u.abs())

    def primitive(self, u: Tensor) -> Tensor:
        return torch.sign(u) * torch.log1p(self.alpha * u.abs())


@SURROGATES.register("gaussian")
@dataclass(frozen=True)
class Gaussian(Surrogate):
    """p(u) = (a / sqrt(pi)) exp(-(a u)^2)."""

    alpha: float = 2.0

    def derivative(self, u: Tensor) -> Tensor:
        return self.alpha / math.sqrt(math.pi) * torch.exp(-(self.alpha * u).square())

    def primitive(self, u: Tensor) -> Tensor:
        return torch.erf(self.alpha * u) / 2


@SURROGATES.register("power")
@dataclass(frozen=True)
class Power(Surrogate):
    """p(u) = (1 + 2 |u| / (a - 1))^(-a), a > 1: tail exponent a, unit area."""

    alpha: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.alpha > 1, "Power.alpha", self.alpha, "a number > 1")

    def derivative(self, u: Tensor) -> Tensor:
        return (1 + 2 / (self.alpha - 1) * u.abs()).pow(-self.alpha)

    def primitive(self, u: Tensor) -> Tensor:
        return torch.sign(u) * (1 - (1 + 2 / (self.alpha - 1) * u.abs()).pow(1 - self.alpha)) / 2


@SURROGATES.register("tanh")
@dataclass(frozen=True)
class Tanh(Surrogate):
    """p(u) = 1 - tanh(a u)^2."""

    alpha: float = 1.0

    def derivative(self, u: Tensor) -> Tensor:
        return 1 - torch.tanh(self.alpha * u).square()

    def primitive(self, u: Tensor) -> Tensor:
        return torch.tanh(self.alpha * u) / self.alpha


@SURROGATES.register("straight_through")
@dataclass(frozen=True)
class StraightThrough(Surrogate):
    """p(u) = 1."""

    def derivative(self, u: Tensor) -> Tensor:
        return torch.ones_like(u)

    def primitive(self, u: Tensor) -> Tensor:
        return u


def as_surrogate(surrogate: str | Surrogate) -> Surrogate:
    """A surrogate from its registered name (default alpha) or from itself.

    Raises:
        UnknownNameError: no such name. InputTypeError: neither a name nor a Surrogate.
    """
    if isinstance(surrogate, Surrogate):
        return surrogate
    if isinstance(surrogate, str):
        return SURROGATES.get(surrogate)()
    raise InputTypeError(
        f"surrogate: got {quote(surrogate)}, expected a name or a Surrogate. "
        "Example: surrogate=snnkit.surrogate.ATan(alpha=3.0)."
    )


def heaviside(u: Tensor, fire_at_equal: bool = True) -> Tensor:
    """1 where ``u >= 0`` (``> 0`` with ``fire_at_equal=False``), else 0, also for NaN; dtype of u."""
    return (u >= 0 if fire_at_equal else u > 0).to(u.dtype)


class _Spike(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(u: Tensor, surrogate: Surrogate, fire_at_equal: bool) -> Tensor:
        return heaviside(u, fire_at_equal)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
        u, ctx.surrogate, _ = inputs
        ctx.save_for_backward(u)

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        (u,) = ctx.saved_tensors
        return grad * ctx.surrogate.derivative(u), None, None


def spike(u: Tensor, surrogate: Surrogate, fire_at_equal: bool = True) -> Tensor:
    """``H(u)`` forward, ``g * surrogate.derivative(u)`` backward; any shape, dtype of ``u``.

    Args:
        u: membrane potential minus threshold.
        surrogate: which derivative.
        fire_at_equal: whether ``u == 0`` is a spike.
    """
    if not u.is_floating_point():
        raise ConfigError(f"spike: got dtype {u.dtype}, expected a floating-point tensor. Use u.float().")
    return _Spike.apply(u, surrogate, fire_at_equal)
