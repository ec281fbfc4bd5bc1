r"""Encodings: how a value, or a change of value, becomes spikes.

=================  ==========================================================  =============  ==========
name               spike at step t of T, for a value x                         input          values out
=================  ==========================================================  =============  ==========
``direct``         none: x itself at every step (a view, not a copy)           ``[B, *]``     x
``rate``           with probability p = clip(gain x + offset, 0, 1)            ``[B, *]``     0, 1
``regular_rate``   when floor((t + 1) p) > floor(t p): T p spikes, evenly      ``[B, *]``     0, 1
``latency``        once, at t = round((T-1)(1-x)); or logarithmic              ``[B, *]``     0, 1
``delta``          when x[t] - x[t-1] >= threshold                             ``[T, B, *]``  -1, 0, 1
=================  ==========================================================  =============  ==========

Every encoder returns ``[T, B, *]`` in the dtype of x (bool and integers become the default float).
``direct`` is differentiable and sends real values: a first layer behind it multiplies, it does not
only add. The others have no gradient with respect to x.

Axes: ``T`` time steps, ``B`` batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from .checks import choice, integer, number
from .errors import ConfigError, DeviceError, NumericsError, ShapeError
from .registry import Registry
from .sequence import as_sequence, state_dtype

__all__ = ["ENCODERS", "delta", "direct", "latency", "rate", "regular_rate"]

ENCODERS: Registry[Callable[..., Tensor]] = Registry("encoder")


@ENCODERS.register("direct")
def direct(x: Tensor, T: int) -> Tensor:
    """Show ``x`` at every step.

    Args:
        x: ``[B, *]``, any real dtype.
        T: number of steps, >= 1.

    Returns:
        ``[T, B, *]``, an expanded view of x: clone it before writing into it.

    Raises:
        InputTypeError, DTypeError: x is no real tensor. ShapeError: x has no batch axis.
        ConfigError: T < 1.

    Example:
        >>> direct(torch.tensor([0.5, 2.0]), T=3)[:, 1].tolist()
        [2.0, 2.0, 2.0]
    """
    x = _values(x, T, "direct")
    return x.expand(T, *x.shape)


@ENCODERS.register("rate")
def rate(
    x: Tensor, T: int, *, gain: float = 1.0, offset: float = 0.0, generator: torch.Generator | None = None
) -> Tensor:
    """Bernoulli (discrete Poisson) spikes: at each step 1 with ``p = clip(gain*x + offset, 0, 1)``.

    p = 0 never fires and p = 1 always does. Values outside [0, 1] are clipped: scale 8-bit images
    with ``gain=1/255``.

    Args:
        x: ``[B, *]``. T: number of steps, >= 1.
        gain, offset: map x to a probability.
        generator: source of randomness on the device of x; None: torch's global one.

    Returns:
        ``[T, B, *]``, values in {0, 1}.

    Raises:
        as :func:`direct`; NumericsError: NaN in x; DeviceError: the generator is on another device.
    """
    v = _values(x, T, "rate")
    if generator is not None and generator.device.type != v.device.type:
        raise DeviceError(
            f"rate.generator: is on {generator.device}, x on {v.device}. "
            f"Use torch.Generator(device={v.device.type!r})."
        )
    p = _probability(v, gain, offset, "rate")
    draw = torch.rand((T, *p.shape), dtype=p.dtype, device=p.device, generator=generator)
    return (draw < p).to(_out_dtype(x))


@ENCODERS.register("regular_rate")
def regular_rate(x: Tensor, T: int, *, gain: float = 1.0, offset: float = 0.0) -> Tensor:
    """Evenly spaced spikes at the rate ``p = clip(gain*x + offset, 0, 1)``; no randomness.

    ``s[t] = 1`` where ``floor((t + 1) p) > floor(t p)``. This is an integrate-and-fire neuron with
    threshold 1, soft reset and constant input p, written in closed form: nothing accumulates a
    rounding error (p = 0.1 gives its spike at step 9; a float sum reaches only 0.99...). T steps hold
    ``floor(T p)`` spikes.

    Args:
        x: ``[B, *]``. T: number of steps, >= 1.
        gain, offset: map x to a rate.

    Returns:
        ``[T, B, *]``, values in {0, 1}.

    Raises:
        as :func:`direct`; NumericsError: NaN in x.

    Example:
        >>> regular_rate(torch.tensor([0.5]), T=4).flatten().tolist()
        [0.0, 1.0, 0.0, 1.0]
    """
    p = _probability(_values(x, T, "regular_rate"), gain, offset, "regular_rate")
    t = torch.arange(T + 1, dtype=p.dtype, device=p.device).view(-1, *[1] * p.ndim)
    count = (t * p).floor()
    return (count[1:] > count[:-1]).to(_out_dtype(x))


@ENCODERS.register("latency")
def latency(
    x: Tensor, T: int, *, scale: Literal["linear", "log"] = "linear", skip_zero: bool = False
) -> Tensor:
    """Time to first spike: large values fire early, exactly once.

    ::

        linear  t = round((T-1) (1-x))
        log     t = round(T-1 - ln(a x + 1)),  a = exp(T-1) - 1

    In both, x = 1 fires at step 0 and x = 0 at step T-1; halves round to the even step.

    Args:
        x: ``[B, *]``, values in [0, 1].
        T: number of steps, >= 1.
        scale: "linear" or "log"; log spends most steps on small values.
        skip_zero: x = 0 sends no spike instead of one at the last step.

    Returns:
        ``[T, B, *]``, values in {0, 1}.

    Raises:
        as :func:`direct`; ConfigError: a value outside [0, 1], unknown scale; NumericsError: NaN in x.

    Example:
        >>> latency(torch.tensor([1.0, 0.5, 0.0]), T=3).tolist()
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    choice("latency.scale", scale, ("linear", "log"))
    v = _finite(_values(x, T, "latency"), "latency")
    v = v.to(state_dtype(v.dtype))
    if v.numel() and (v.min() < 0 or v.max() > 1):
        raise ConfigError(
            f"latency: x is between {v.min().item():g} and {v.max().item():g}, expected values in [0, 1]. "
            "Scale it, for example (x - x.min()) / (x.max() - x.min())."
        )
    if scale == "linear":
        time = (T - 1) * (1 - v)
    else:  # ln(a x + 1) = T-1 + ln(x + (1-x) exp(-(T-1))): no overflow for large T
        time = -torch.log(v + (1 - v) * math.exp(-(T - 1))).clamp(min=1 - T)
    step = torch.arange(T, device=v.device).view(-1, *[1] * v.ndim)
    spikes = step == time.round()
    return (spikes & (v > 0) if skip_zero else spikes).to(_out_dtype(x))


@ENCODERS.register("delta")
def delta(
    x: Tensor,
    *,
    threshold: float = 0.1,
    off_spikes: bool = False,
    padding: Literal["zero", "first"] = "zero",
) -> Tensor:
    """Spikes where the signal changes: ``+1`` if ``x[t] - x[t-1] >= threshold``.

    Args:
        x: ``[T, B, *]``, a signal over time; T = 0 is legal.
        threshold: change that fires, > 0, same unit as x.
        off_spikes: also ``-1`` if ``x[t] - x[t-1] <= -threshold``.
        padding: what step 0 is compared with. "zero": x[-1] = 0, so every value >= threshold fires at
            step 0, an artefact of the start; "first": x[-1] = x[0], so step 0 is always silent.

    Returns:
        ``[T, B, *]``, values in {0, 1} or {-1, 0, 1}.

    Raises:
        InputTypeError, DTypeError: x is no real tensor. ShapeError: fewer than two axes.
        ConfigError: threshold <= 0 or unknown padding. NumericsError: NaN in x.

    Example:
        >>> x = torch.tensor([[0.1], [0.5], [0.5], [0.0]])
        >>> delta(x, threshold=0.4, off_spikes=True).flatten().tolist()
        [0.0, 1.0, 0.0, -1.0]
    """
    number("delta.threshold", threshold, above=0)
    choice("delta.padding", padding, ("zero", "first"))
    v = _finite(as_sequence(x, "delta"), "delta")
    before = torch.zeros_like(v[:1]) if padding == "zero" else v[:1]
    change = v - torch.cat([before, v[:-1]])
    spikes = (change >= threshold).to(v.dtype)
    return spikes - (change <= -threshold).to(v.dtype) if off_spikes else spikes


def _values(x: Tensor, T: int, where: str) -> Tensor:
    """A float tensor ``[B, *]``, after a check of x and T."""
    integer(f"{where}.T", T)
    if isinstance(x, Tensor) and x.ndim == 0:
        raise ShapeError(f"{where}: got shape (), expected [B, *]. Add the batch axis with x.unsqueeze(0).")
    return as_sequence(x, where, min_ndim=1, axes="[B, ...]")


def _probability(v: Tensor, gain: float, offset: float, where: str) -> Tensor:
    """``clip(gain*x + offset, 0, 1)`` in at least float32."""
    for name, value in (("gain", gain), ("offset", offset)):
        number(f"{where}.{name}", value)
    return (gain * _finite(v, where).to(state_dtype(v.dtype)) + offset).clamp(0, 1)


def _finite(v: Tensor, where: str) -> Tensor:
    """Refuse NaN and Inf: a comparison would turn NaN into silence."""
    bad = ~torch.isfinite(v)
    if bad.any():
        raise NumericsError(
            f"{where}: {int(bad.sum())} of {v.numel()} values are NaN or Inf, expected finite ones. "
            "Repair the data, for example with torch.nan_to_num(x)."
        )
    return v


def _out_dtype(x: Tensor) -> torch.dtype:
    return x.dtype if x.is_floating_point() else torch.get_default_dtype()
