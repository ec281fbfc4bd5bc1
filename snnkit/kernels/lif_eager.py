r"""LIF family over a whole sequence: eager torch with buffers reused in place, hand-written backward.

Forward, per step: ``h = charge(v, x)``; ``s = H(h - threshold)``; ``v = reset(h, s)``, in the order
of float operations that :class:`LIFDynamics` names, so that spikes equal the step loop bit for bit.

Backward, with ``p = surrogate.derivative(h - threshold)``, ``c`` the gradient that arrives at the
carried state and ``F = dv/dh``::

    g_h[t] = g_s[t] p[t] + c F[t]        g_x[t] = g_h[t] dh/dx        c <- g_h[t] dh/dv

    F = 1 (no reset)   1 - amount p (soft)   (1 - s) + (v_reset - h) p (hard)    p dropped if detached

A delayed reset carries ``h`` itself: the reset of step t happens in the charge of step t + 1, always
detached. All terms that are not recurrent are computed for the whole sequence at once.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ._first_order import first_order
from .dynamics import LIFDynamics

__all__ = ["lif_eager"]

Number = float | Tensor


def lif_eager(
    x: Tensor, v0: Tensor, leak: Number, threshold: Number, d: LIFDynamics
) -> tuple[Tensor, Tensor]:
    """Spikes and final state as :func:`snnkit.kernels.lif`; ``x`` in the dtype of ``v0``."""
    if torch.is_grad_enabled() and any(
        isinstance(a, Tensor) and a.requires_grad for a in (x, v0, leak, threshold)
    ):
        spikes, v, _ = _LIF.apply(x, v0, leak, threshold, d)
        return spikes, v
    return _forward(x, v0, leak, threshold, d, keep=False)[:2]


def _charge(h: Tensor, v: Tensor, x: Tensor, leak: Number, d: LIFDynamics) -> None:
    """Write the charged potential into ``h``."""
    if d.arithmetic == "integrate":
        torch.add(v, x, out=h)
        return
    w = v - d.v_rest if d.v_rest else v
    if d.arithmetic == "decay":
        torch.mul(w, leak, out=h).add_(x * (1 - leak) if d.decay_input else x)
        if d.v_rest:
            h.add_(d.v_rest)
    elif d.arithmetic == "euler":
        if d.decay_input:
            torch.sub(x + d.v_rest if d.v_rest else x, v, out=h).mul_(leak).add_(v)
        else:
            torch.neg(w, out=h).mul_(leak).add_(v).add_(x)
    else:
        scale = Tensor.div_ if d.arithmetic == "divide" else Tensor.mul_
        if d.decay_input:
            scale(torch.sub(x, w, out=h), leak).add_(v)
        else:
            scale(h.copy_(w), leak)
            torch.sub(v, h, out=h).add_(x)


def _reset(v: Tensor, h: Tensor, s: Tensor, threshold: Number, d: LIFDynamics) -> None:
    """Write the potential after a reset of ``h`` into ``v``."""
    if d.reset == "none":
        v.copy_(h)
    elif d.reset == "soft":
        torch.mul(s, threshold if d.reset_amount is None else d.reset_amount, out=v)
        torch.sub(h, v, out=v)
    else:  # (1 - s) h + s v_reset, and 1 - s is the comparison the other way round
        (torch.lt if d.fire_at_equal else torch.le)(h, threshold, out=v).mul_(h)
        if d.v_reset:
            v.add_(s * d.v_reset)


def _fire(s: Tensor, h: Tensor, threshold: Number, d: LIFDynamics) -> None:
    (torch.ge if d.fire_at_equal else torch.gt)(h, threshold, out=s)


def _forward(
    x: Tensor, v0: Tensor, leak: Number, threshold: Number, d: LIFDynamics, *, keep: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Spikes, final state and, with ``keep``, all charged potentials (else one reused row)."""
    steps = x.shape[0]
    spikes = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    hs = torch.empty(x.shape if keep else x.shape[1:], dtype=x.dtype, device=x.device)
    v, tmp = v0.clone(), torch.empty_like(v0)
    for t in range(steps):
        h, s = hs[t] if keep else hs, spikes[t]
        if d.delayed and d.reset != "none":
            _fire(s, v, threshold, d)  # s serves as scratch: the spike of the step before
            if d.reset == "hard":
                _reset(tmp, v, s, threshold, d)
                _charge(h, tmp, x[t], leak, d)
            else:
                _charge(h, v, x[t], leak, d)
                _reset(h, h.clone(), s, threshold, d)
            _fire(s, h, threshold, d)
            v.copy_(h)
        else:
            _charge(h, v, x[t], leak, d)
            _fire(s, h, threshold, d)
            _reset(v, h, s, threshold, d)
    return spikes, v, hs


class _LIF(torch.autograd.Function):
    @staticmethod
    def forward(
        x: Tensor, v0: Tensor, leak: Number, threshold: Number, d: LIFDynamics
    ) -> tuple[Tensor, Tensor, Tensor]:
        return _forward(x, v0, leak, threshold, d, keep=True)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
        x, v0, leak, threshold, ctx.d = inputs
        spikes, _, hs = output
        ctx.mark_non_differentiable(hs)
        tensors = [leak, threshold]
        ctx.numbers = [None if isinstance(a, Tensor) else a for a in tensors]
        learned = [a if isinstance(a, Tensor) else None for a in tensors]
        needs_x = ctx.needs_input_grad[2]
        ctx.save_for_backward(v0, spikes, hs, x if needs_x else None, *learned)

    @staticmethod
    @first_order
    def backward(ctx, g_s, g_v, _):  # type: ignore[no-untyped-def]
        v0, s, h, x, leak, threshold = ctx.saved_tensors
        leak = ctx.numbers[0] if leak is None else leak
        threshold = ctx.numbers[1] if threshold is None else threshold
        d: LIFDynamics = ctx.d
        amount = threshold if d.reset_amount is None else d.reset_amount
        delayed = d.delayed and d.reset != "none"

        dh_dv, dh_dx = _charge_slopes(leak, d)
        p = d.surrogate.derivative(h - threshold)
        factor = _reset_slope(h, s, p, amount, d)  # F[t], or None where it is 1
        g_h = g_s * p
        c = g_v.clone()
        arriving = torch.empty_like(h) if ctx.needs_input_grad[3] else None  # c before F, per step
        for t in range(h.shape[0] - 1, -1, -1):
            if arriving is not None:
                arriving[t] = c
            # a delayed state is h itself: no reset lies between the last step and the final state
            last = delayed and t == h.shape[0] - 1
            if factor is None or last:
                g_h[t] += c
            else:
                g_h[t].addcmul_(c, factor[t])
            torch.mul(g_h[t], dh_dv, out=c)
        if delayed and d.reset == "hard" and h.shape[0]:
            first = torch.empty_like(v0)
            _fire(first, v0, threshold, d)
            c = c * (1 - first)

        g_leak = g_threshold = None
        if ctx.needs_input_grad[2]:
            g_leak = _sum_to(g_h * _leak_slope(x, v0, h, s, leak, threshold, d), leak)
        if arriving is not None:
            g = -(g_s * p)
            if delayed:  # h[t+1] contains - H(h[t] - threshold) * amount, the spike detached
                if d.reset == "soft" and d.reset_amount is None:
                    before = torch.empty_like(h)
                    _fire(before, _shift(v0, h), threshold, d)
                    g -= g_h * before
            elif d.reset == "soft":
                through = 0 if d.detach_reset else amount * p
                g += arriving * (through - (s if d.reset_amount is None else 0))
            elif d.reset == "hard" and not d.detach_reset:
                g += arriving * (h - d.v_reset) * p
            g_threshold = _sum_to(g, threshold)
        return g_h.mul_(dh_dx), c, g_leak, g_threshold, None


def _charge_slopes(leak: Number, d: LIFDynamics) -> tuple[Number, Number]:
    """dh/dv and dh/dx."""
    if d.arithmetic == "integrate":
        return 1.0, 1.0
    if d.arithmetic == "decay":
        return leak, 1 - leak if d.decay_input else 1.0
    rate = 1 / leak if d.arithmetic == "divide" else leak
    return 1 - rate, rate if d.decay_input else 1.0


def _reset_slope(h: Tensor, s: Tensor, p: Tensor, amount: Number, d: LIFDynamics) -> Tensor | None:
    """dv/dh over the sequence; None where it is 1 everywhere."""
    detached = d.detach_reset or d.delayed
    if d.reset == "hard":
        kept = 1 - s
        return kept if detached else kept.addcmul_(d.v_reset - h, p)
    if d.reset == "soft" and not detached:
        return 1 - amount * p
    return None


def _shift(first: Tensor, later: Tensor) -> Tensor:
    """The carried state before every step: ``[first, later[0], ..., later[T-2]]``."""
    return torch.cat([first.unsqueeze(0), later[:-1]]) if later.shape[0] else later


def _leak_slope(
    x: Tensor, v0: Tensor, h: Tensor, s: Tensor, leak: Tensor, threshold: Number, d: LIFDynamics
) -> Tensor:
    """dh/dleak over the sequence, from the potential that each step started with."""
    after = torch.empty_like(h)
    if d.delayed and d.reset != "none":
        v = _shift(v0, h)
        if d.reset == "hard":
            fired = torch.empty_like(h)
            _fire(fired, v, threshold, d)
            _reset(after, v, fired, threshold, d)
            v = after
    else:
        _reset(after, h, s, threshold, d)
        v = _shift(v0, after)
    w = v - d.v_rest
    if d.arithmetic == "decay":
        return w - x if d.decay_input else w
    slope = x - w if d.decay_input else -w
    return -slope / leak.square() if d.arithmetic == "divide" else slope


def _sum_to(g: Tensor, like: Tensor) -> Tensor:
    """Sum a per-neuron-step gradient ``[T, *]`` to a parameter that broadcasts against ``[*]``."""
    return g.sum(0).sum_to_size(like.shape) if like.ndim else g.sum()
