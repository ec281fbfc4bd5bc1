r"""Delays as a convolution kernel over lags, and its gradient in closed form.

A synapse of weight w and delay d, in steps, is spread over the lags k = 0..D by a profile g of width s::

    h_k = g(k - d) / (sum_m g(m - d) + 1e-7)        K_k = w h_k, summed over the synapses of a pair

=============  =============================  ==========================================================
interpolation  forward                        gradient of w and d
=============  =============================  ==========================================================
``gauss``      ``g(x) = exp(-x^2 / (2 s^2))``  its own
``triangle``   ``g(x) = max(0, s - |x|)``      its own; s = 1 is linear interpolation of two taps
``ste``        all of w at lag round(d)       of ``gauss``: straight through the rounding
``fixed``      all of w at lag round(d)       of w its own; none of d
=============  =============================  ==========================================================

With G the gradient of K, <f> = sum_k h_k f_k and x_k = k - d, the Gaussian has
``dL/dw = <G>``, ``dL/dd = w/s^2 (<G x> - <G><x>)`` and ``dL/ds = w/s^3 (<G x^2> - <G><x^2>)``.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from ..sequence import in_transform

__all__ = ["INTERPOLATIONS", "Interpolation", "delay_kernel", "delay_kernel_plain", "rounded_delay"]

Interpolation = Literal["ste", "gauss", "triangle", "fixed"]
INTERPOLATIONS: tuple[Interpolation, ...] = ("ste", "gauss", "triangle", "fixed")
_EPS = 1e-7  # of the normaliser, as in DCLS


def rounded_delay(delay: Tensor, max_delay: int) -> Tensor:
    """The lag that a delay has at inference: inside ``[0, max_delay]``, rounded half to even; int64."""
    return delay.detach().clamp(0, max_delay).round().long()


def delay_kernel(
    weight: Tensor, delay: Tensor, sigma: Tensor, max_delay: int, interp: Interpolation
) -> Tensor:
    """The kernel over lags, lag 0 first.

    Args:
        weight, delay: ``[out, in, S]``, S synapses between a pair. Delays are in steps; those outside of
            ``[0, max_delay]`` are used as its ends, with the gradient that they have there.
        sigma: width of the profile in steps, > 0; a scalar, or one that broadcasts to ``weight``.
        max_delay: D, the largest lag. interp: see the table above.

    Returns:
        ``[out, in, D + 1]``.

    Reference:
        Hassani et al. 2023, arXiv 2306.17670, and the DCLS package 0.1.1, whose ``version="gauss"`` has the
        width ``|SIG| + 0.27``, ``"max"`` the triangle of ``|SIG| + 1``, ``"v1"`` that of 1. Straight-through
        rounding is not in it.
    """
    plain = torch.compiler.is_compiling() or in_transform()
    make = delay_kernel_plain if plain else _DelayKernel.apply
    return make(weight, delay, sigma, max_delay, interp)


def delay_kernel_plain(
    weight: Tensor, delay: Tensor, sigma: Tensor, max_delay: int, interp: Interpolation
) -> Tensor:
    """:func:`delay_kernel` from plain operations: its oracle, and for compiled graphs and transforms."""
    inside = delay + (delay.clamp(0, max_delay) - delay).detach()
    one_hot = _one_hot(weight, inside, max_delay)
    if interp == "fixed":
        return one_hot
    if interp == "ste":
        soft = delay_kernel_plain(weight, delay, sigma, max_delay, "gauss")
        return soft + (one_hot - soft).detach()
    x = _distance(inside, max_delay)
    s = sigma.unsqueeze(-1)
    g = (-0.5 * (x / s) ** 2).exp() if interp == "gauss" else (s - x.abs()).relu()
    return (weight.unsqueeze(-1) * g / (g.sum(-1, keepdim=True) + _EPS)).sum(-2)


def _distance(delay: Tensor, max_delay: int) -> Tensor:
    """``k - d`` for every lag: ``[..., D + 1]``."""
    return torch.arange(max_delay + 1, dtype=delay.dtype, device=delay.device) - delay.unsqueeze(-1)


def _one_hot(weight: Tensor, delay: Tensor, max_delay: int) -> Tensor:
    kernel = weight.new_zeros(*weight.shape[:-1], max_delay + 1)
    return kernel.scatter_add(-1, rounded_delay(delay, max_delay), weight)


def _gaussian(delay: Tensor, sigma: Tensor, max_delay: int) -> Tensor:
    """``h``, normalised."""
    g = _distance(delay, max_delay).square_().mul_(-0.5 / sigma.square().unsqueeze(-1)).exp_()
    return g.div_(g.sum(-1, keepdim=True).add_(_EPS))


def _triangle(delay: Tensor, sigma: Tensor, max_delay: int) -> tuple[Tensor, Tensor, Tensor]:
    """``h``, its normaliser, and distances."""
    x = _distance(delay, max_delay)
    g = (sigma.unsqueeze(-1) - x.abs()).relu_()
    total = g.sum(-1, keepdim=True).add_(_EPS)
    return g.div_(total), total, x


class _DelayKernel(torch.autograd.Function):
    """Keeps the parameters only: profiles are made again in the backward pass."""

    @staticmethod
    def forward(weight: Tensor, delay: Tensor, sigma: Tensor, max_delay: int, interp: str) -> Tensor:
        if interp in ("ste", "fixed"):
            return _one_hot(weight, delay, max_delay)
        delay = delay.clamp(0, max_delay)
        gauss = interp == "gauss"
        h = _gaussian(delay, sigma, max_delay) if gauss else _triangle(delay, sigma, max_delay)[0]
        h.mul_(weight.unsqueeze(-1))
        return h.sum(-2) if h.shape[-2] > 1 else h.squeeze(-2)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensor) -> None:
        weight, delay, sigma, ctx.max_delay, ctx.interp = inputs
        ctx.save_for_backward(weight, delay, sigma)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g_kernel: Tensor) -> tuple[Tensor | None, ...]:
        weight, delay, sigma = ctx.saved_tensors
        of_delay, of_sigma = ctx.needs_input_grad[1:3]
        G = g_kernel.unsqueeze(-2)  # the same for all synapses of a pair
        if ctx.interp == "fixed" or not (of_delay or of_sigma or ctx.interp != "ste"):
            return g_kernel.gather(-1, rounded_delay(delay, ctx.max_delay)), None, None, None, None
        delay = delay.clamp(0, ctx.max_delay)
        backward = _gaussian_backward if ctx.interp != "triangle" else _triangle_backward
        g_weight, g_delay, g_sigma = backward(G, weight, delay, sigma, ctx.max_delay, of_sigma)
        g_sigma = g_sigma.sum_to_size(sigma.shape) if g_sigma is not None else None
        return g_weight, g_delay if of_delay else None, g_sigma, None, None


def _gaussian_backward(
    G: Tensor, weight: Tensor, delay: Tensor, sigma: Tensor, max_delay: int, of_sigma: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    h, x = _gaussian(delay, sigma, max_delay), _distance(delay, max_delay)
    hG, mean = h * G, (h * x).sum(-1)
    G_mean = hG.sum(-1)
    hG.mul_(x)
    g_delay = weight / sigma**2 * (hG.sum(-1) - G_mean * mean)
    if not of_sigma:
        return G_mean, g_delay, None
    square = x.square()
    spread = (h * square).sum(-1)
    return G_mean, g_delay, weight / sigma**3 * ((h * G * square).sum(-1) - G_mean * spread)


def _triangle_backward(
    G: Tensor, weight: Tensor, delay: Tensor, sigma: Tensor, max_delay: int, of_sigma: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    h, total, x = _triangle(delay, sigma, max_delay)
    s, G_mean = sigma.unsqueeze(-1), (h * G).sum(-1)

    def through(slope: Tensor) -> Tensor:  # derivative of g -> derivative of K, summed with G
        return weight * ((G * slope).sum(-1) - G_mean * slope.sum(-1)) / total[..., 0]

    # right derivatives: at a kink, that of a delay a little longer
    right = ((x > 0) & (x <= s)).to(x.dtype)
    left = ((x > -s) & (x <= 0)).to(x.dtype)
    return G_mean, through(right - left), through((x.abs() < s).to(x.dtype)) if of_sigma else None
