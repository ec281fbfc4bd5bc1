r"""Losses on sequences: every loss takes ``[T, B, K]`` values over time and labels ``[B]``.

With z the logits or spikes of one sample, N its number of real steps, y its label, and the mean over
the batch left out:

===============  ==================================================================================
name             loss
===============  ==================================================================================
``mean_ce``      CE(mean_t z[t], y)
``rate_ce``      mean_t CE(scale z[t], y)
``count_mse``    mean_k (n_k - n*_k)^2 / N, n = sum_t z[t], n* = int(N correct) at y, int(N wrong) else
``tet``          (1-lam) mean_t CE(z[t], y) + lam mean_{t,k} (z[t,k] - phi)^2
``sum_softmax``  CE(sum_t softmax(z[t]), y)
===============  ==================================================================================

They share one call, ``loss(logits, y, *, mask=None, **settings)``. ``mask [T, B]`` is True at real
steps of padded sequences: sums run over real steps, means divide by the true length of each sample,
and what stands in the padding, even NaN, changes neither the loss nor a gradient.

CE is convex, so ``rate_ce(z) >= mean_ce(z)`` for every z. NaN in real steps propagates.

Axes: ``T`` time steps, ``B`` batch, ``K`` classes.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from .checks import choice, number
from .errors import ConfigError, DeviceError, DTypeError, InputTypeError, ShapeError, require
from .registry import Registry
from .sequence import as_sequence, state_dtype

__all__ = [
    "LOSSES",
    "count_mse",
    "hoyer_regularizer",
    "mean_ce",
    "rate_ce",
    "rate_regularizer",
    "sum_softmax",
    "tet",
]

LOSSES: Registry[Callable[..., Tensor]] = Registry("loss")


@LOSSES.register("mean_ce")
def mean_ce(logits: Tensor, y: Tensor, *, mask: Tensor | None = None, label_smoothing: float = 0.0) -> Tensor:
    """Cross-entropy of the mean logits, the default loss: ``CE(mean_t z[t], y)``.

    Args:
        logits: ``[T, B, K]``, T and B >= 1.
        y: ``[B]`` class indices.
        mask: ``[T, B]`` bool, True at real steps; None: all are real.
        label_smoothing: share of the target spread over all classes, in [0, 1].

    Returns:
        scalar, at least float32.

    Raises:
        InputTypeError, DTypeError, DeviceError: logits, labels or mask are of a wrong kind.
        ShapeError: shapes do not fit, or are empty; a sample has no real step.
        ConfigError: a setting or (on CPU, where looking is free) a label out of range.

    Example:
        >>> z = torch.tensor([[[1.0, 0.0, -1.0]], [[0.0, 2.0, 0.0]]])
        >>> round(mean_ce(z, torch.tensor([0])).item(), 4)
        1.1041
    """
    z, y = _check("mean_ce", logits, y, mask)
    _check_smoothing("mean_ce", label_smoothing)
    return F.cross_entropy(_mean(z, mask), y, label_smoothing=label_smoothing)


@LOSSES.register("rate_ce")
def rate_ce(
    logits: Tensor,
    y: Tensor,
    *,
    mask: Tensor | None = None,
    scale: float = 1.0,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Cross-entropy at every step, mean over time: ``mean_t CE(scale z[t], y)``; made for output spikes.

    With one step of binary spikes the logits are limited to {0, 1} and the loss cannot fall below
    ``ln(1 + (K-1)/e)``: this warns. A ``scale`` above 1 (or more steps) mends it.

    Args, Returns, Raises: as :func:`mean_ce`; ConfigError: scale <= 0.
    """
    z, y = _check("rate_ce", logits, y, mask)
    _check_smoothing("rate_ce", label_smoothing)
    number("rate_ce.scale", scale, above=0)
    if scale == 1 and z.shape[0] == 1 and not torch.compiler.is_compiling() and bool((z * z == z).all()):
        warnings.warn(
            "rate_ce: one step of binary spikes limits the logits to {0, 1}, so the loss keeps a floor of "
            f"{math.log1p((z.shape[-1] - 1) / math.e):.3f}. Pass scale=4, say, or use more steps.",
            stacklevel=2,
        )
    return _mean(_step_ce(z * scale, y, label_smoothing), mask).mean()


@LOSSES.register("count_mse")
def count_mse(
    logits: Tensor,
    y: Tensor,
    *,
    mask: Tensor | None = None,
    correct_rate: float = 1.0,
    incorrect_rate: float = 0.0,
) -> Tensor:
    """Squared distance of spike counts to target counts: ``mean_k (n_k - n*_k)^2 / N``.

    ``n*`` is ``int(N * correct_rate)`` for the labelled class and ``int(N * incorrect_rate)`` for the
    others, N the number of real steps of the sample (int cuts off: 100 * 0.29 in floats is 28).

    Args:
        logits: output spikes ``[T, B, K]``. y, mask: as :func:`mean_ce`.
        correct_rate, incorrect_rate: wanted spikes per step, >= 0.

    Returns, Raises: as :func:`mean_ce`.
    Reference: equals snntorch 1.0 ``mse_count_loss``.
    """
    for name, value in (("correct_rate", correct_rate), ("incorrect_rate", incorrect_rate)):
        number(f"count_mse.{name}", value, at_least=0)
    z, y = _check("count_mse", logits, y, mask)
    steps = _lengths(z, mask).unsqueeze(-1)  # [B, 1]
    wanted = F.one_hot(y, z.shape[-1]).bool()
    target = torch.where(wanted, _int_times(steps, correct_rate), _int_times(steps, incorrect_rate))
    return ((z.sum(0) - target).square() / steps).mean()


@LOSSES.register("sum_softmax")
def sum_softmax(logits: Tensor, y: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """Votes of all steps, as published with learned delays: ``CE(sum_t softmax(z[t]), y)``.

    The cross-entropy takes the softmax of the votes once more; many steps make it sharp.

    Args:
        logits, y, mask: as :func:`mean_ce`.

    Returns, Raises: as :func:`mean_ce`.
    Reference: code of Hassani et al. 2023, arXiv 2306.17670.
    """
    z, y = _check("sum_softmax", logits, y, mask)
    votes = z.softmax(-1)
    if mask is not None:
        votes = torch.where(mask.unsqueeze(-1), votes, 0.0)
    return F.cross_entropy(votes.sum(0), y)


@LOSSES.register("tet")
def tet(
    logits: Tensor,
    y: Tensor,
    *,
    mask: Tensor | None = None,
    lam: float = 0.05,
    phi: float = 1.0,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Temporal efficient training: each step must be right by itself.

    ``(1-lam) mean_t CE(z[t], y) + lam mean_{t,k} (z[t,k] - phi)^2``

    Args:
        logits, y, mask, label_smoothing: as :func:`mean_ce`.
        lam: weight of the second term, in [0, 1]; published: 0.05 for static images, 1e-3 for events.
        phi: constant that every logit is drawn to, the paper's firing threshold.

    Returns, Raises: as :func:`mean_ce`.
    Reference: Deng et al., "Temporal Efficient Training of Spiking Neural Network via Gradient
    Re-weighting", ICLR 2022, arXiv 2202.11946.
    """
    number("tet.lam", lam, at_least=0, at_most=1)
    number("tet.phi", phi)
    z, y = _check("tet", logits, y, mask)
    _check_smoothing("tet", label_smoothing)
    step_loss = (1 - lam) * _step_ce(z, y, label_smoothing) + lam * (z - phi).square().mean(-1)
    return _mean(step_loss, mask).mean()


def rate_regularizer(
    outputs: Mapping[str, Tensor] | Iterable[Tensor],
    target: float,
    *,
    mode: Literal["below", "towards"] = "below",
    mask: Tensor | None = None,
) -> Tensor:
    """Keep firing rates near or under a target: ``mean over layers of d(r)^2``.

    ``r`` is the mean of a layer's output over steps, samples and neurons (spikes per neuron and step);
    ``d(r) = r - target`` for mode "towards", ``max(0, r - target)`` for "below". Add it to the loss
    with a weight; the gradient reaches the neurons through their surrogate.

    Args:
        outputs: per layer its spikes ``[T, B, *]``, or its rate as a tensor of any other shape;
            a list, or a dict by layer name.
        target: wanted rate, >= 0.
        mode: "below" leaves layers under the target alone, "towards" also wakes silent ones.
        mask: ``[T, B]`` bool, True at real steps; then every output must be spikes ``[T, B, *]``, and
            the mean is over real steps.

    Returns:
        scalar, at least float32.

    Raises:
        ConfigError: no layer, target < 0, unknown mode. ShapeError: an empty output, or one that does
        not fit the mask. InputTypeError, DTypeError: as :func:`mean_ce`.

    Example:
        >>> rates = {"conv1": torch.tensor(0.5), "conv2": torch.tensor(0.0)}
        >>> rate_regularizer(rates, 0.25, mode="below").item()
        0.03125
        >>> rate_regularizer(rates, 0.25, mode="towards").item()
        0.0625
    """
    where = "rate_regularizer"
    number(f"{where}.target", target, at_least=0)
    choice(f"{where}.mode", mode, ("below", "towards"))
    layers = dict(outputs) if isinstance(outputs, Mapping) else dict(enumerate(outputs))
    require(bool(layers), f"{where}.outputs", layers, "at least one layer")
    distances = [_rate(f"{where}: layer {name!r}", out, mask) - target for name, out in layers.items()]
    if mode == "below":
        distances = [d.clamp(min=0) for d in distances]
    return torch.stack(distances).square().mean()


def hoyer_regularizer(clipped: Mapping[str, Tensor] | Iterable[Tensor]) -> Tensor:
    """Push potentials away from the Hoyer extremum: ``sum over layers of (sum |c|)^2 / sum c^2``.

    Between 1 (one value) and the number of values (all equal) for each layer; a silent layer adds 0 and
    gets no gradient. Add it to the loss with a weight: 1e-8 is a start, to be scanned.

    Args:
        clipped: per layer its clipped potentials c, any shape; a list, or a dict by layer name. Collect
            them with a forward hook, ``lambda m, args, out: found.append(m.clipped(args[0]))``.

    Returns:
        scalar, at least float32.

    Raises:
        ConfigError: no layer. InputTypeError, DTypeError: as :func:`mean_ce`.

    Reference: Datta et al. 2022, arXiv 2212.10170; the published weight could not be verified.

    Example:
        >>> hoyer_regularizer([torch.tensor([0.0, 1.0, 1.0]), torch.zeros(5)]).item()
        2.0
    """
    layers = dict(clipped) if isinstance(clipped, Mapping) else dict(enumerate(clipped))
    require(bool(layers), "hoyer_regularizer.clipped", layers, "at least one layer")
    total = []
    for name, c in layers.items():
        c = as_sequence(c, f"hoyer_regularizer: layer {name!r}", min_ndim=0)
        c = c.to(state_dtype(c.dtype))
        squares = c.square().sum()
        total.append(c.abs().sum().square() / squares.masked_fill(squares == 0, 1.0))
    return torch.stack(total).sum()


# -- parts -----------------------------------------------------------------------------------------


def _check(where: str, logits: Tensor, y: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Validate; return logits in at least float32, zero in the padding, and int64 labels."""
    z = as_sequence(logits, where, min_ndim=0)
    if z.ndim != 3:
        hint = 'Keep the time axis with the "per_step" read-out, or add it with logits.unsqueeze(0).'
        raise ShapeError(f"{where}: got logits of shape {tuple(z.shape)}, expected [T, B, K]. {hint}")
    if 0 in z.shape:
        raise ShapeError(f"{where}: got logits of shape {tuple(z.shape)}, expected T, B, K >= 1.")
    if not isinstance(y, Tensor):
        raise InputTypeError(f"{where}.y: got {type(y).__name__}, expected a torch.Tensor [B] of integers.")
    if y.is_floating_point() or y.is_complex() or y.dtype == torch.bool:
        raise DTypeError(f"{where}.y: got dtype {y.dtype}, expected class indices of an integer type.")
    if y.shape != z.shape[1:2]:
        swapped = y.shape == z.shape[:1]
        hint = "The logits look batch-first: use logits.transpose(0, 1)." if swapped else ""
        hint = "From one-hot rows use y.argmax(-1)." if y.ndim == 2 else hint
        raise ShapeError(
            f"{where}.y: got shape {tuple(y.shape)} with logits {tuple(z.shape)}, expected [B] = "
            f"{tuple(z.shape[1:2])}, one label per sample. {hint}".rstrip()
        )
    if y.device != z.device:
        raise DeviceError(f"{where}.y: is on {y.device}, the logits on {z.device}. Use y.to(logits.device).")
    y = y.long()
    if _may_look(y) and (y.min() < 0 or y.max() >= z.shape[-1]):
        raise ConfigError(
            f"{where}.y: labels between {y.min().item()} and {y.max().item()}, expected class indices in "
            f"[0, {z.shape[-1] - 1}] for {z.shape[-1]} classes. Check num_classes and where labels start."
        )
    z = z.to(state_dtype(z.dtype))
    if mask is not None:
        _check_mask(where, mask, z)
        z = torch.where(mask.unsqueeze(-1), z, 0.0)
    return z, y


def _check_mask(where: str, mask: Tensor, like: Tensor) -> None:
    if not isinstance(mask, Tensor):
        raise InputTypeError(f"{where}.mask: got {type(mask).__name__}, expected a torch.Tensor or None.")
    if mask.dtype != torch.bool:
        raise DTypeError(
            f"{where}.mask: got dtype {mask.dtype}, expected torch.bool, True at real steps. Use mask.bool()."
        )
    if mask.shape != like.shape[:2]:
        raise ShapeError(
            f"{where}.mask: got shape {tuple(mask.shape)}, expected [T, B] = {tuple(like.shape[:2])} as the "
            f"tensor {tuple(like.shape)} has. A [B, T] mask needs mask.transpose(0, 1)."
        )
    if mask.device != like.device:
        raise DeviceError(
            f"{where}.mask: is on {mask.device}, expected {like.device}. Use mask.to(logits.device)."
        )
    if _may_look(mask) and not mask.any(0).all():
        empty = (~mask.any(0)).nonzero().flatten().tolist()
        raise ShapeError(
            f"{where}.mask: samples {empty[:8]} have no real step, expected at least one each. "
            "Drop empty recordings before the batch is made."
        )


def _check_smoothing(where: str, value: float) -> None:
    number(f"{where}.label_smoothing", value, at_least=0, at_most=1)


def _may_look(x: Tensor) -> bool:
    """Values are checked where that is free: elsewhere it would wait for the device."""
    return x.device.type == "cpu" and not torch.compiler.is_compiling()


def _step_ce(z: Tensor, y: Tensor, label_smoothing: float) -> Tensor:
    """CE of every step: ``[T, B, K], [B] -> [T, B]``."""
    return F.cross_entropy(
        z.flatten(0, 1), y.repeat(z.shape[0]), reduction="none", label_smoothing=label_smoothing
    ).unflatten(0, z.shape[:2])


def _lengths(z: Tensor, mask: Tensor | None) -> Tensor:
    """Real steps per sample ``[B]`` as floats."""
    return z.new_full(z.shape[1:2], z.shape[0]) if mask is None else mask.sum(0).to(z.dtype)


def _mean(values: Tensor, mask: Tensor | None) -> Tensor:
    """Mean over real steps: ``[T, B, ...] -> [B, ...]``."""
    if mask is None:
        return values.mean(0)
    shape = (*mask.shape, *[1] * (values.ndim - 2))
    total = torch.where(mask.view(shape), values, 0.0).sum(0)
    return total / mask.sum(0).view(shape[1:])


def _int_times(steps: Tensor, rate: float) -> Tensor:
    """``int(steps * rate)``, computed in double precision like Python's own product."""
    wide = torch.float32 if steps.device.type == "mps" else torch.float64  # mps has no float64
    return (steps.to(wide) * rate).floor().to(steps.dtype)


def _rate(where: str, out: Tensor, mask: Tensor | None) -> Tensor:
    """Mean of one layer's output, over real steps if there is a mask."""
    r = as_sequence(out, where, min_ndim=0 if mask is None else 2)
    if r.numel() == 0:
        raise ShapeError(f"{where} has shape {tuple(r.shape)}, expected at least one value. Leave it out.")
    r = r.to(state_dtype(r.dtype))
    if mask is None:
        return r.mean()
    _check_mask(where, mask, r)
    per_step = r.flatten(2).mean(2) if r.ndim > 2 else r
    return torch.where(mask, per_step, 0.0).sum() / mask.sum()
