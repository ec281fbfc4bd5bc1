r"""Integer spike counts: rounding with a gradient, and the expansion of a count into single events.

Behind a linear layer, and exactly so for integers, ``W n = sum_s w_s (W f_s)``: a count n needs additions
only, once per event of its frames f_s. Products of two spike tensors do not decompose frame by frame.

====================  ==============================  ========================  =====================
code                  frame s of a count n            weight w_s                frames for \|n\| <= D
====================  ==============================  ========================  =====================
``unary``             ``[n > s]``, thermometer        1                         D
``ternary``           ``sign(n) [|n| > s]``           1                         D
``bitwise``           ``sign(n)`` bit s of ``|n|``    ``2^s``                   ``ceil(log2(D + 1))``
``twos_complement``   bit s of n                      ``2^s``, last ``-2^s``    one more
====================  ==============================  ========================  =====================

The expansion ``[T*S, B, *]`` of counts ``[T, B, *]`` has frame s of step t at ``t*S + s``. Biases and shifts
of a norm are added once per step t, not once per frame.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from ..checks import choice, integer, number
from ..errors import ConfigError, ShapeError

__all__ = ["CountCode", "collapse_counts", "expand_counts", "fire_counts", "frame_weights", "round_counts"]

CountCode = Literal["unary", "ternary", "bitwise", "twos_complement"]
_CODES = ("unary", "ternary", "bitwise", "twos_complement")


class _RoundCounts(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(u: Tensor, low: float, high: float, half_up: bool, strict: bool) -> Tensor:
        u = u.clamp(low, high)
        return (u + 0.5).floor() if half_up else u.round()

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
        u, low, high, _, strict = inputs
        ctx.save_for_backward((u > low) & (u < high) if strict else (u >= low) & (u <= high))

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        (inside,) = ctx.saved_tensors
        return grad * inside, None, None, None, None


def round_counts(
    u: Tensor, low: float, high: float, *, half_up: bool = False, strict: bool = False
) -> Tensor:
    """``round(clip(u, low, high))``; the gradient passes straight through inside the window.

    Args:
        u: any shape, float.
        low, high: integers, or infinite.
        half_up: 0.5 becomes 1, 1.5 becomes 2; False: half to even.
        strict: no gradient at the boundaries of the window themselves.
    """
    return _RoundCounts.apply(u, low, high, half_up, strict)


def frame_weights(levels: int, code: CountCode = "unary") -> list[int]:
    """Weight of each of the frames that counts up to ``levels`` need.

    Raises:
        ConfigError: levels < 1, or an unknown code.
    """
    levels = integer("frame_weights.levels", levels, 1, 2**24)
    if choice("frame_weights.code", code, _CODES) in ("unary", "ternary"):
        return [1] * levels
    bits = [2**s for s in range(levels.bit_length())]
    return bits if code == "bitwise" else [*bits, -(2 ** len(bits))]


def expand_counts(counts: Tensor, levels: int, code: CountCode = "unary") -> Tensor:
    """Counts ``[T, B, *]`` as single events ``[T*S, B, *]``, values -1, 0, 1, in the same dtype.

    Args:
        counts: integers within ``-levels..levels`` (unary: ``0..levels``), of any dtype.
        levels: D. code: see the module docstring.

    Raises:
        ConfigError: a count out of range or not an integer, levels < 1, an unknown code.
        ShapeError: no time axis.
    """
    number_of = len(frame_weights(levels, code))
    if counts.ndim < 1:
        raise ShapeError(f"expand_counts: got shape {tuple(counts.shape)}, expected [T, B, ...].")
    whole = counts.long()
    low = 0 if code == "unary" else -levels
    if counts.numel() and not bool(((whole == counts) & (whole >= low) & (whole <= levels)).all()):
        raise ConfigError(
            f"expand_counts: got values in [{float(counts.min()):g}, {float(counts.max()):g}], expected "
            f"integers in [{low}, {levels}]. Divide the output of a neuron by its spike_unit."
        )
    size, frames = whole.abs(), range(number_of)
    if code == "twos_complement":
        parts = [whole >> s & 1 for s in frames]
    elif code == "bitwise":
        parts = [(size >> s & 1) * whole.sign() for s in frames]
    else:
        parts = [(size > s) * whole.sign() for s in frames]
    return torch.stack(parts, 1).flatten(0, 1).to(counts.dtype)


def collapse_counts(frames: Tensor, levels: int, code: CountCode = "unary") -> Tensor:
    """Weighted sums ``[T, B, *]`` of frames ``[T*S, B, *]``: undoes :func:`expand_counts`.

    Also of what a linear layer made of the frames. Differentiable.

    Raises:
        ShapeError: the number of frames is no multiple of S. ConfigError: as :func:`frame_weights`.
    """
    weights = frame_weights(levels, code)
    if frames.ndim < 1 or frames.shape[0] % len(weights):
        raise ShapeError(
            f"collapse_counts: got shape {tuple(frames.shape)}, expected [T*S, B, ...] with "
            f"S = {len(weights)} frames for each step (code {code!r}, levels={levels})."
        )
    parts = frames.reshape(-1, len(weights), *frames.shape[1:])
    return torch.stack([w * parts[:, s] for s, w in enumerate(weights)]).sum(0, dtype=frames.dtype)


def fire_counts(h: Tensor, threshold: float, levels: int) -> tuple[Tensor, Tensor]:
    """What an integrate-and-fire neuron does with the potential ``h`` in ``levels`` virtual steps.

    ``r = h + threshold/2``, then ``levels`` times ``s = [r >= threshold]; r -= s threshold``. Returns the
    spikes ``[levels, *h.shape]``, spikes first, and ``r - threshold/2``: the count, rounded half up, and the
    potential of a neuron with integer training.

    Raises:
        ConfigError: levels < 1, threshold <= 0.
    """
    integer("fire_counts.levels", levels, 1)
    number("fire_counts.threshold", threshold, above=0)
    r, spikes = h + threshold / 2, []
    for _ in range(levels):
        s = (r >= threshold).to(h.dtype)
        r = r - s * threshold
        spikes.append(s)
    return torch.stack(spikes), r - threshold / 2
