# mypy: ignore-errors
# ruff: noqa: RUF005 (Triton has no other way to extend a tuple)
"""Triton kernels of the LIF family; imported where triton is, by :mod:`snnkit.kernels.triton_lif`.

A program runs a block of neurons over the whole sequence, in chunks of CHUNK steps: all inputs of a chunk are
loaded before its recurrence, because loads do not depend on the state. Tuples of a chunk live in registers.
CHARGE, RESET and SURROGATE are numbered as in csrc/lif.inc and csrc/rows.inc. Offsets have 64 bits.

The forward pass has the operations of ``lif_step`` one by one. They must be rounded one by one: launch with
``enable_fp_fusion=False``, the backward pass too, because it computes the same potentials again.
"""

from __future__ import annotations

import triton
import triton.language as tl

__all__ = ["lif_backward", "lif_forward", "norm_back"]

SOFT, HARD, SOFT_DELAYED, HARD_DELAYED = (tl.constexpr(i) for i in (1, 2, 3, 4))


@triton.jit
def _fires(u, threshold, AT_EQUAL: tl.constexpr):
    fired = u >= threshold if AT_EQUAL else u > threshold
    return fired.to(tl.float32)


@triton.jit
def _start(v, threshold, v_reset, RESET: tl.constexpr, AT_EQUAL: tl.constexpr):
    """The potential that a charge starts with, from the carried state."""
    u = v
    if RESET == HARD_DELAYED:
        fired = _fires(v, threshold, AT_EQUAL)
        u = fired * v_reset + (1.0 - fired) * v
    return u


@triton.jit
def _charge(u, x, leak, other, rest, CHARGE: tl.constexpr):
    w = u - rest
    if CHARGE == 0:
        h = u + tl.math.div_rn(x - w, leak)
    elif CHARGE == 1:
        h = u - tl.math.div_rn(w, leak) + x
    elif CHARGE == 2:
        h = u + (x - w) * leak
    elif CHARGE == 3:
        h = u - w * leak + x
    elif CHARGE == 4:
        h = u + leak * ((x + rest) - u)
    elif CHARGE == 5:
        h = leak * w + other * x + rest
    elif CHARGE == 6:
        h = leak * w + x + rest
    else:
        h = u + x
    return h


@triton.jit
def _potential(
    v, x, leak, other, threshold, amount, rest, v_reset,
    CHARGE: tl.constexpr, RESET: tl.constexpr, AT_EQUAL: tl.constexpr,
):  # fmt: skip
    """The potential that a step compares with its threshold, from the carried state."""
    h = _charge(_start(v, threshold, v_reset, RESET, AT_EQUAL), x, leak, other, rest, CHARGE)
    if RESET == SOFT_DELAYED:
        h = h - _fires(v, threshold, AT_EQUAL) * amount
    return h


@triton.jit
def _carry(h, s, amount, v_reset, RESET: tl.constexpr):
    """The carried state after a step."""
    v = h
    if RESET == SOFT:
        v = h - s * amount
    elif RESET == HARD:
        v = s * v_reset + (1.0 - s) * h
    return v


@triton.jit
def _slope(u, a, b, SURROGATE: tl.constexpr):
    m = tl.abs(u)
    if SURROGATE == 0:
        p = a / (1.0 + (b * u) * (b * u))
    elif SURROGATE == 1:
        p = a / ((1.0 + b * m) * (1.0 + b * m))
    elif SURROGATE == 2:
        p = tl.maximum(a - b * m, 0.0)
    elif SURROGATE == 3:
        p = tl.where(m < b, a, 0.0)
    elif SURROGATE == 4:
        e = tl.exp(-b * m)
        p = a * e / ((1.0 + e) * (1.0 + e))
    elif SURROGATE == 5:
        p = a * tl.exp(-b * m)
    elif SURROGATE == 6:
        p = a * tl.exp(-(b * u) * (b * u))
    elif SURROGATE == 7:
        p = 1.0 / (b + m)
    else:
        p = tl.full(u.shape, 1.0, tl.float32)
    return p


@triton.jit
def _parameter(data, value, period, inner, n, live):
    """A number for all neurons, or the value of each from ``data``."""
    if data is None:
        values = tl.full(n.shape, value, tl.float32)
    else:
        values = tl.load(data + (n // inner) % period, mask=live, other=1.0)
    return values


@triton.jit
def _parameters(
    leak_at, leak_value, leak_period, leak_inner, other_value,
    threshold_at, threshold_value, threshold_period, threshold_inner, amount_value,
    n, live, OWN_AMOUNT: tl.constexpr,
):  # fmt: skip
    """Leak, 1 - leak, threshold and reset amount of each neuron."""
    leak = _parameter(leak_at, leak_value, leak_period, leak_inner, n, live)
    threshold = _parameter(threshold_at, threshold_value, threshold_period, threshold_inner, n, live)
    # for a number 1 - leak is rounded once, from float64
    other = tl.full(n.shape, other_value, tl.float32) if leak_at is None else 1.0 - leak
    amount = threshold if OWN_AMOUNT else tl.full(n.shape, amount_value, tl.float32)
    return leak, other, threshold, amount


@triton.jit
def _inside(n, wide, t, T, WHOLE: tl.constexpr):
    """Which neurons exist at step t: none past the end of the sequence."""
    end = wide
    if not WHOLE:
        end = tl.where(t < T, wide, 0)
    return n < end


@triton.jit
def _rows(at, n, first, stride, T, wide, CHUNK: tl.constexpr, WHOLE: tl.constexpr):
    """The steps of a chunk as float32, 0 past the end."""
    found = ()
    for k in tl.static_range(CHUNK):
        here = _inside(n, wide, first + k, T, WHOLE)
        found = found + (tl.load(at + n + (first + k) * stride, mask=here, other=0.0).to(tl.float32),)
    return found


@triton.jit
def _normed(xs, scale_at, shift_at, period, inner, n, live, CHUNK: tl.constexpr):
    """What the neurons take: the steps of a chunk behind the norm, if there is one."""
    found = xs
    if scale_at is not None:
        found = ()
        channel = (n // inner) % period
        scale = tl.load(scale_at + channel, mask=live, other=0.0)
        shift = tl.load(shift_at + channel, mask=live, other=0.0)
        for k in tl.static_range(CHUNK):
            found = found + (tl.fma(xs[k], scale, shift),)
    return found


@triton.jit
def lif_forward(
    x_at, v0_at, out_at, v1_at, kept_at,
    leak_at, leak_value, leak_period, leak_inner, other_value,
    threshold_at, threshold_value, threshold_period, threshold_inner, amount_value,
    scale_at, shift_at, norm_period, norm_inner,
    rest, v_reset, x_stride, N, T,
    V0_STRIDE: tl.constexpr, CHARGE: tl.constexpr, RESET: tl.constexpr, AT_EQUAL: tl.constexpr,
    OWN_AMOUNT: tl.constexpr, CHUNK: tl.constexpr, WHOLE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Spikes, final state and, unless ``kept_at`` is None, the state before every chunk but the first."""
    n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = n < N
    wide, x_wide = tl.full((), N, tl.int64), tl.full((), x_stride, tl.int64)
    leak, other, threshold, amount = _parameters(
        leak_at, leak_value, leak_period, leak_inner, other_value,
        threshold_at, threshold_value, threshold_period, threshold_inner, amount_value, n, live, OWN_AMOUNT,
    )  # fmt: skip
    v = tl.load(v0_at + n * V0_STRIDE, mask=live, other=0.0)
    chunks = 1 if WHOLE else (T + CHUNK - 1) // CHUNK
    for i in range(chunks):
        first = i * CHUNK
        if kept_at is not None:
            tl.store(kept_at + n + (i - 1) * wide, v, mask=n < tl.where(i > 0, wide, 0))
        xs = _rows(x_at, n, first, x_wide, T, wide, CHUNK, WHOLE)
        xs = _normed(xs, scale_at, shift_at, norm_period, norm_inner, n, live, CHUNK)
        for k in tl.static_range(CHUNK):
            h = _potential(v, xs[k], leak, other, threshold, amount, rest, v_reset, CHARGE, RESET, AT_EQUAL)
            s = _fires(h, threshold, AT_EQUAL)
            here = _inside(n, wide, first + k, T, WHOLE)
            tl.store(out_at + n + (first + k) * wide, s.to(out_at.dtype.element_ty), mask=here)
            v = tl.where(here, _carry(h, s, amount, v_reset, RESET), v)
    tl.store(v1_at + n, v, mask=live)


@triton.jit
def lif_backward(
    x_at, v0_at, kept_at, g_out_at, g_v_at, g_x_at, g_v0_at, g_leak_at, g_threshold_at,
    leak_at, leak_value, leak_period, leak_inner, other_value,
    threshold_at, threshold_value, threshold_period, threshold_inner, amount_value,
    scale_at, shift_at, norm_period, norm_inner, mean_at, g_norm_at,
    rest, v_reset, a, b, x_stride, N, T,
    V0_STRIDE: tl.constexpr, CHARGE: tl.constexpr, RESET: tl.constexpr, AT_EQUAL: tl.constexpr,
    OWN_AMOUNT: tl.constexpr, SURROGATE: tl.constexpr, DETACH: tl.constexpr,
    OF_X: tl.constexpr, OF_W: tl.constexpr,
    CHUNK: tl.constexpr, WHOLE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Gradients; the sums over time where ``g_leak_at``, ``g_threshold_at`` and ``g_norm_at`` are given."""
    n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = n < N
    wide, x_wide = tl.full((), N, tl.int64), tl.full((), x_stride, tl.int64)
    leak, other, threshold, amount = _parameters(
        leak_at, leak_value, leak_period, leak_inner, other_value,
        threshold_at, threshold_value, threshold_period, threshold_inner, amount_value, n, live, OWN_AMOUNT,
    )  # fmt: skip
    rate = leak
    if CHARGE < 2:
        rate = tl.math.div_rn(tl.full(n.shape, 1.0, tl.float32), leak)
    dv, dx = 1.0 - rate, tl.full(n.shape, 1.0, tl.float32)
    if (CHARGE == 0 or CHARGE == 2) or CHARGE == 4:
        dx = rate
    elif CHARGE == 5:
        dv, dx = leak, other
    elif CHARGE == 6:
        dv = leak
    elif CHARGE == 7:
        dv = dx

    zero = tl.full(n.shape, 0.0, tl.float32)
    c, g_leak, g_threshold, g_sum, g_product, mean = zero, zero, zero, zero, zero, zero
    if g_norm_at is not None:
        mean = tl.load(mean_at + (n // norm_inner) % norm_period, mask=live, other=0.0)
    if g_v_at is not None:
        c = tl.load(g_v_at + n, mask=live, other=0.0)
    chunks = 1 if WHOLE else (T + CHUNK - 1) // CHUNK
    for back in range(chunks):
        i = chunks - 1 - back
        first = i * CHUNK
        v = tl.load(v0_at + n * V0_STRIDE, mask=live, other=0.0)
        if not WHOLE:
            later = n < tl.where(i > 0, wide, 0)
            v = tl.where(later, tl.load(kept_at + n + (i - 1) * wide, mask=later, other=0.0), v)
        raw = _rows(x_at, n, first, x_wide, T, wide, CHUNK, WHOLE)
        xs = _normed(raw, scale_at, shift_at, norm_period, norm_inner, n, live, CHUNK)
        gs = (zero,) * CHUNK
        if g_out_at is not None:
            gs = _rows(g_out_at, n, first, wide, T, wide, CHUNK, WHOLE)
        vs, hs = (v,), ()  # the states in front of each step and behind it, and the potentials
        for k in tl.static_range(CHUNK):
            h = _potential(
                vs[k], xs[k], leak, other, threshold, amount, rest, v_reset, CHARGE, RESET, AT_EQUAL
            )
            hs = hs + (h,)
            vs = vs + (_carry(h, _fires(h, threshold, AT_EQUAL), amount, v_reset, RESET),)
        for k in tl.static_range(CHUNK - 1, -1, -1):
            h, before = hs[k], vs[k]
            here = _inside(n, wide, first + k, T, WHOLE)
            s = _fires(h, threshold, AT_EQUAL)
            p = _slope(h - threshold, a, b, SURROGATE)
            g_h, g = gs[k] * p, -gs[k] * p
            factor = tl.full(n.shape, 1.0, tl.float32)
            if RESET == SOFT:
                through = zero
                if not DETACH:
                    through = amount * p
                    factor = 1.0 - through
                g += c * (through - (s if OWN_AMOUNT else zero))
            elif RESET == HARD:
                factor = 1.0 - s
                if not DETACH:
                    factor += (v_reset - h) * p
                    g += c * (h - v_reset) * p
            elif RESET == HARD_DELAYED:  # between the last step and the final state lies no reset
                factor = tl.where(first + k == T - 1, 1.0, 1.0 - s)
            g_h += c * factor
            if RESET == SOFT_DELAYED and OWN_AMOUNT:
                g -= g_h * _fires(before, threshold, AT_EQUAL)
            if g_threshold_at is not None:
                g_threshold += tl.where(here, g, 0.0)
            if g_leak_at is not None:
                w = _start(before, threshold, v_reset, RESET, AT_EQUAL) - rest
                g_leak += tl.where(here, g_h * (OF_X * xs[k] + OF_W * w), 0.0)
            if g_norm_at is not None:
                g_sum += tl.where(here, g_h * dx, 0.0)
                g_product += tl.where(here, g_h * dx * (raw[k] - mean), 0.0)
            tl.store(g_x_at + n + (first + k) * wide, (g_h * dx).to(g_x_at.dtype.element_ty), mask=here)
            c = tl.where(here, g_h * dv, c)
    if g_v0_at is not None:
        tl.store(g_v0_at + n, c, mask=live)
    if g_leak_at is not None:
        tl.store(g_leak_at + n, g_leak, mask=live)
    if g_threshold_at is not None:
        tl.store(g_threshold_at + n, g_threshold, mask=live)
    if g_norm_at is not None:
        tl.store(g_norm_at + n, g_sum, mask=live)
        tl.store(g_norm_at + wide + n, g_product, mask=live)


@triton.jit
def norm_back(g_at, x_at, scale_at, mean_at, offset_at, slope_at, period, inner, N, BLOCK: tl.constexpr):
    """g = scale * (g - offset - (x - mean) * slope) in place, N elements, four values by channel."""
    n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = n < N
    channel = (n // inner) % period
    g = tl.load(g_at + n, mask=live, other=0.0).to(tl.float32)
    x = tl.load(x_at + n, mask=live, other=0.0).to(tl.float32)
    scale, mean = tl.load(scale_at + channel, mask=live), tl.load(mean_at + channel, mask=live)
    offset, slope = tl.load(offset_at + channel, mask=live), tl.load(slope_at + channel, mask=live)
    g = scale * (g - offset - (x - mean) * slope)
    tl.store(g_at + n, g.to(g_at.dtype.element_ty), mask=live)
