"""What follows integer sums: rescaling and integer neurons, in one pass over time.

The instructions ``rescale``, ``threshold``, ``clip``, ``counts`` and ``lif`` of
:mod:`snnkit.quant.ops_integer`, which is their oracle. None where torch has to do it.
"""

from __future__ import annotations

import ctypes as c
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import _get_current_dispatch_mode as current_mode

from . import native
from ._layout import not_plain

__all__ = ["IntAfter", "int_after", "int_values", "takes_integers"]

_CHUNK, _SMALL, _INT32 = 512, 2**28, 2**31
_VALUES, _TABLE, _CLIP, _COUNTS, _LIF = range(5)
_RESETS = {"none": 0, "soft": 1, "hard": 2}
_LEVELS = 255


class IntAfter(NamedTuple):
    """A rescaling, a neuron or both, ready for the C library.

    ``job``: ``snn_after`` of csrc/native.c. ``channels``: with parameters of their own, 1 if all are alike.
    ``dtype``: of the result; counts of neurons are uint8. ``kept``: the memory that the job points to.
    """

    job: native.AfterJob
    channels: int
    dtype: torch.dtype
    kept: tuple[Tensor, ...]


def int_after(
    channels: int, rescale: tuple[Tensor, Tensor, int] | None, neuron: tuple[str, dict[str, Any], Any] | None
) -> IntAfter | None:
    """Prepare ``(x M + R) >> shift`` and a neuron behind it.

    Args:
        channels: that have parameters of their own, last in memory; 1 if all are alike.
        rescale: M, R (``[]`` or ``[channels]``) and the shift. neuron: an instruction as (name, settings,
            tensors). None leaves them out.

    Returns:
        None if some setting is beyond what the C library is written for.
    """
    job = native.AfterJob(kind=_VALUES, halving=-1)
    job.period = _CHUNK // channels * channels or channels
    kept: list[Tensor] = []

    def place(values: Tensor, dtype: torch.dtype) -> int:
        """The address of values ``[..., channels or 1]`` repeated over a period."""
        flat = values.reshape(*values.shape[:-1], -1).expand(*values.shape[:-1], channels)
        repeated = flat.repeat(*[1] * (flat.ndim - 1), job.period // channels)
        kept.append(repeated.to(dtype).contiguous())
        return kept[-1].data_ptr()

    def fits(*tensors: Tensor, limit: int = _INT32) -> bool:
        return all(t.numel() in (1, channels) and int(t.abs().max()) < limit for t in tensors)

    if rescale is not None:
        M, R, shift = (rescale[0].reshape(-1), rescale[1].reshape(-1), rescale[2])
        if not fits(M) or R.numel() not in (1, channels) or not 0 <= shift < 63:
            return None
        job.scaled, job.shift, job.m, job.r = 1, shift, place(M, torch.int32), place(R, torch.int64)
    if neuron is None:
        return IntAfter(job, channels, torch.int32, tuple(kept))
    op, args, tensors = neuron
    if op == "threshold":
        theta, sign = tensors["theta"], tensors["sign"].reshape(-1)
        theta = theta.reshape(len(theta), -1)
        job.kind, job.levels = _TABLE, len(theta)
        if job.levels > _LEVELS or theta.shape[1] not in (1, channels) or int(theta.abs().max()) >= _INT32:
            return None
        if not fits(sign, limit=2):
            return None
        job.theta, job.decay = place(theta, torch.int32), place(sign, torch.int32)
    elif op == "clip":
        job.kind, job.levels = _CLIP, args["high"]
    else:
        decay, theta = (tensors[name].reshape(-1) for name in ("decay", "theta"))
        bits, grid = args["bits"], args["grid"] or (0, 0)
        if not (0 <= bits <= 30 and fits(decay, theta, limit=_INT32 - 1)):
            return None
        if int(decay.min()) < 0 or int(decay.max()) > 1 << bits or not (grid[0] >= 0 and sum(grid) <= 32):
            return None
        job.bits, job.halving = bits, _halving(decay, bits)
        job.grid_shift, job.grid_bits = grid
        job.decay = place(decay, torch.int32)
        if op == "counts":
            if theta.numel() != 1 or int(theta) < 0 or args["levels"] < 1:
                return None
            j = torch.arange(1, args["levels"] + 1, dtype=torch.int64)  # on a tie that goes down, one more
            ties = torch.zeros_like(j) if args["half_up"] else j % 2
            kept.append(torch.full((len(j) + 3,), 2**62))  # beyond the last one out of reach
            kept[-1][: len(j)] = ((2 * j - 1) * theta + ties + 1) // 2
            job.kind, job.levels, job.middle = _COUNTS, args["levels"], kept[-1].data_ptr()
            job.amount = place(theta, torch.int32)
            job.small = int(theta) < _SMALL
        else:
            amount = tensors["amount"].reshape(-1)
            theta = theta if args["equal"] else theta + 1
            if not fits(amount):
                return None
            job.kind, job.levels, job.inward, job.reset = _LIF, 1, args["decay_input"], _RESETS[args["reset"]]
            job.v_rest, job.v_reset = args["v_rest"], args["v_reset"]
            job.theta, job.amount = place(theta, torch.int32), place(amount, torch.int32)
            rest = max(abs(args["v_rest"]), abs(args["v_reset"]))
            job.small = rest < _SMALL and fits(theta, amount, limit=_SMALL)
            if rest >= _INT32:
                return None
        if sum(grid) > 31:
            job.small = 0
    if not 0 <= job.levels <= _LEVELS:
        return None
    return IntAfter(job, channels, torch.uint8, tuple(kept))


def _halving(decay: Tensor, bits: int) -> int:
    """``v decay >> bits`` as one shift; -1 if ``decay`` is no power of 2."""
    value = int(decay[0])
    same = value > 0 and value & (value - 1) == 0 and bool((decay == value).all())
    return bits - value.bit_length() + 1 if same else -1


def int_values(x: Tensor, after: IntAfter, axis: int) -> Tensor | None:
    """The result for ``x``, int32 or, to be rescaled, int64; time first if there is a neuron.

    Parameters by channel lie on ``axis``.
    """
    wide = x.dtype == torch.int64 and after.job.scaled
    if not (wide or x.dtype == torch.int32) or not takes_integers(x):
        return None
    if after.channels > 1:
        if not (axis < x.ndim and x.shape[axis] == after.channels):
            return None
        rows = x.movedim(axis, -1).contiguous()
        y = _run(rows, after).movedim(-1, axis)
    elif _dense(x) and x.stride(0) * x.shape[0] == x.numel():
        y = _run(x, after)
    else:
        y = _run(x.contiguous(), after)
    return y


def _run(x: Tensor, after: IntAfter) -> Tensor:
    y, lib = torch.empty_like(x, dtype=after.dtype), native.library()
    call: Any = lib.snn_int_values  # type: ignore[union-attr]
    steps = x.shape[0]
    threads = native.threads_for(x.numel())
    count, wide = x.numel() // steps, x.dtype == torch.int64
    call(steps, count, wide, x.data_ptr(), c.byref(after.job), y.data_ptr(), threads)
    return y


def takes_integers(x: Tensor) -> bool:
    """The C library is there and can read it: plain, on the CPU and not empty; no mode wants to see more."""
    return not (
        not x.numel()
        or x.device.type != "cpu"
        or not_plain(x)
        or torch.compiler.is_compiling()
        or current_mode() is not None
        or native.missing()
    )


def _dense(x: Tensor) -> bool:
    """Every element of its memory is used once, in whatever order, which a new tensor like it keeps."""
    return torch.empty_like(x, device="meta").stride() == x.stride()
