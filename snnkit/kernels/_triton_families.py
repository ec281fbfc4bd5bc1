# mypy: ignore-errors
# ruff: noqa: RUF005 (Triton has no other way to extend a tuple)
"""Triton kernels of integer LIF, current-based LIF and UltraLIF, for :mod:`snnkit.kernels._triton_family`.

Built as those of LIF (:mod:`snnkit.kernels._triton_kernels`): a program runs a block of neurons over the
sequence in chunks of CHUNK steps, the backward pass computes the states of a chunk again. A family is two
functions: ``_advance`` by one step, ``_back`` through one. All have two states and three parameters; what a
family does not use is 0.
"""

from __future__ import annotations

import triton
import triton.language as tl

from ._triton_kernels import _fires, _inside, _parameter, _rows, _slope

__all__ = ["family_backward", "family_forward"]

COUNT, SYNAPTIC = tl.constexpr(1), tl.constexpr(2)  # as in csrc/native.c; else UltraLIF
SOFT, HARD = tl.constexpr(1), tl.constexpr(2)


@triton.jit
def _count(h, threshold, levels):
    u = tl.math.div_rn(h, threshold)
    inside = (u >= 0.0) & (u <= levels)
    u = tl.where(u < 0.0, 0.0, u)
    u = tl.where(u > levels, levels, u)
    return (u + 12582912.0) - 12582912.0, inside.to(tl.float32)


@triton.jit
def _soft_maximum(v, x, log_tau, eps):
    """eps log(e^((v + log tau) / eps) + e^(x / eps)): its value, shares of both, derivative by eps."""
    a = v + log_tau
    d = a - x
    peak = tl.where(d > 0.0, a, x)
    gap = tl.abs(d) / eps
    e = tl.exp(-gap)
    log = tl.log(1.0 + e)
    small = e / (1.0 + e)
    u = peak + (eps * log + (peak - peak))
    of_a = tl.where(d > 0.0, 1.0 - small, small)
    return u, of_a, log + gap * small


@triton.jit
def _odds(u, slope, theta):
    z = slope * (u - theta)
    return tl.exp(tl.where(z < -80.0, 80.0, -z))


@triton.jit
def _advance(
    x, a, b, p0, p1, p2, n0, n1, n2, n3, FAMILY: tl.constexpr, RESET: tl.constexpr, AT_EQUAL: tl.constexpr
):
    """Output and both states after one step."""
    if FAMILY == COUNT:  # n: decay, threshold, levels
        h = n0 * a + x
        out, _ = _count(h, n1, n2)
        a = h - out * n1
    elif FAMILY == SYNAPTIC:  # p: decays of current and potential; n: threshold, v_reset
        a = p0 * a + x
        h = p1 * b + a
        out = _fires(h, n0, AT_EQUAL)
        b = h
        if RESET == SOFT:
            b = h - out * n0
        elif RESET == HARD:
            b = out * n1 + (1.0 - out) * h
    else:  # p: log tau, eps, slope; n: theta
        u, _, _ = _soft_maximum(a, x, p0, p1)
        out = 1.0 / (1.0 + _odds(u, p2, n0))
        a = u * (1.0 - out)
    return out, a, b


@triton.jit
def _back(
    g, x, a, b, ca, cb, p0, p1, p2, n0, n1, n2, n3,
    FAMILY: tl.constexpr, RESET: tl.constexpr, AT_EQUAL: tl.constexpr, DETACH: tl.constexpr,
    SURROGATE: tl.constexpr,
):  # fmt: skip
    """Gradient of x, carried gradients, terms of the sums; a and b: the states in front of the step."""
    s0, s1, s2 = ca * 0.0, ca * 0.0, ca * 0.0
    if FAMILY == COUNT:
        _, inside = _count(n0 * a + x, n1, n2)
        through = 0.0 if DETACH else 1.0
        g_x = g * inside / n1 + ca * (1.0 - through * inside)
        ca = g_x * n0
    elif FAMILY == SYNAPTIC:
        now = p0 * a + x
        h = p1 * b + now
        s = _fires(h, n0, AT_EQUAL)
        p = _slope(h - n0, n2, n3, SURROGATE)
        factor = tl.full(h.shape, 1.0, tl.float32)
        if RESET == SOFT and not DETACH:
            factor = 1.0 - n0 * p
        elif RESET == HARD:
            factor = 1.0 - s
            if not DETACH:
                factor += (n1 - h) * p
        g_h = g * p + cb * factor
        g_x = ca + g_h
        s0, s1 = g_x * a, g_h * b
        ca, cb = g_x * p0, g_h * p1
    else:
        u, of_a, by_eps = _soft_maximum(a, x, p0, p1)
        odds = _odds(u, p2, n0)
        s = 1.0 / (1.0 + odds)
        rest = s * odds
        g_z = (g - ca * u) * (s * rest)
        g_u = ca * rest + p2 * g_z
        g_x = g_u * (1.0 - of_a)
        s0, s1, s2 = g_u * of_a, g_u * by_eps, g_z * (u - n0)
        ca = s0
    return g_x, ca, cb, s0, s1, s2


@triton.jit
def _state(at, stride, n, live):
    return tl.full(n.shape, 0.0, tl.float32) if at is None else tl.load(at + n * stride, mask=live, other=0.0)


@triton.jit
def family_forward(
    x_at, out_at, a0_at, b0_at, a1_at, b1_at, kept_at,
    p0_at, p0_value, p0_period, p0_inner, p1_at, p1_value, p1_period, p1_inner,
    p2_at, p2_value, p2_period, p2_inner, n0, n1, n2, n3, x_stride, a_stride, b_stride, kept_stride, N, T,
    FAMILY: tl.constexpr, RESET: tl.constexpr, AT_EQUAL: tl.constexpr,
    CHUNK: tl.constexpr, WHOLE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Outputs, final states and, unless ``kept_at`` is None, the states before every chunk but the first."""
    n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = n < N
    wide, x_wide = tl.full((), N, tl.int64), tl.full((), x_stride, tl.int64)
    p0 = _parameter(p0_at, p0_value, p0_period, p0_inner, n, live)
    p1 = _parameter(p1_at, p1_value, p1_period, p1_inner, n, live)
    p2 = _parameter(p2_at, p2_value, p2_period, p2_inner, n, live)
    a, b = _state(a0_at, a_stride, n, live), _state(b0_at, b_stride, n, live)
    chunks = 1 if WHOLE else (T + CHUNK - 1) // CHUNK
    for i in range(chunks):
        first = i * CHUNK
        if kept_at is not None:
            later = n < tl.where(i > 0, wide, 0)
            tl.store(kept_at + n + (i - 1) * wide, a, mask=later)
            if b1_at is not None:
                tl.store(kept_at + kept_stride + n + (i - 1) * wide, b, mask=later)
        xs = _rows(x_at, n, first, x_wide, T, wide, CHUNK, WHOLE)
        for k in tl.static_range(CHUNK):
            out, a_next, b_next = _advance(xs[k], a, b, p0, p1, p2, n0, n1, n2, n3, FAMILY, RESET, AT_EQUAL)
            here = _inside(n, wide, first + k, T, WHOLE)
            tl.store(out_at + n + (first + k) * wide, out.to(out_at.dtype.element_ty), mask=here)
            a, b = tl.where(here, a_next, a), tl.where(here, b_next, b)
    tl.store(a1_at + n, a, mask=live)
    if b1_at is not None:
        tl.store(b1_at + n, b, mask=live)


@triton.jit
def family_backward(
    x_at, a0_at, b0_at, kept_at, g_out_at, g_a_at, g_b_at, g_x_at, g_a0_at, g_b0_at, sums_at,
    p0_at, p0_value, p0_period, p0_inner, p1_at, p1_value, p1_period, p1_inner,
    p2_at, p2_value, p2_period, p2_inner, n0, n1, n2, n3, x_stride, a_stride, b_stride, kept_stride, N, T,
    FAMILY: tl.constexpr, RESET: tl.constexpr, AT_EQUAL: tl.constexpr, DETACH: tl.constexpr,
    SURROGATE: tl.constexpr, SUMS: tl.constexpr,
    CHUNK: tl.constexpr, WHOLE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Gradients; SUMS sums over time where ``sums_at`` is given."""
    n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = n < N
    wide, x_wide = tl.full((), N, tl.int64), tl.full((), x_stride, tl.int64)
    p0 = _parameter(p0_at, p0_value, p0_period, p0_inner, n, live)
    p1 = _parameter(p1_at, p1_value, p1_period, p1_inner, n, live)
    p2 = _parameter(p2_at, p2_value, p2_period, p2_inner, n, live)
    zero = tl.full(n.shape, 0.0, tl.float32)
    ca, cb = _state(g_a_at, 1, n, live), _state(g_b_at, 1, n, live)
    sum0, sum1, sum2 = zero, zero, zero
    chunks = 1 if WHOLE else (T + CHUNK - 1) // CHUNK
    for back in range(chunks):
        i = chunks - 1 - back
        first = i * CHUNK
        a, b = _state(a0_at, a_stride, n, live), _state(b0_at, b_stride, n, live)
        if not WHOLE:
            later = n < tl.where(i > 0, wide, 0)
            at = kept_at + n + (i - 1) * wide
            a = tl.where(later, tl.load(at, mask=later, other=0.0), a)
            if b0_at is not None:
                b = tl.where(later, tl.load(at + kept_stride, mask=later, other=0.0), b)
        xs = _rows(x_at, n, first, x_wide, T, wide, CHUNK, WHOLE)
        gs = (zero,) * CHUNK
        if g_out_at is not None:
            gs = _rows(g_out_at, n, first, wide, T, wide, CHUNK, WHOLE)
        before_a, before_b = (a,), (b,)
        for k in tl.static_range(CHUNK - 1):
            _, a, b = _advance(
                xs[k], before_a[k], before_b[k], p0, p1, p2, n0, n1, n2, n3, FAMILY, RESET, AT_EQUAL
            )
            before_a, before_b = before_a + (a,), before_b + (b,)
        for k in tl.static_range(CHUNK - 1, -1, -1):
            here = _inside(n, wide, first + k, T, WHOLE)
            g_x, ca_next, cb_next, s0, s1, s2 = _back(
                gs[k], xs[k], before_a[k], before_b[k], ca, cb, p0, p1, p2, n0, n1, n2, n3,
                FAMILY, RESET, AT_EQUAL, DETACH, SURROGATE,
            )  # fmt: skip
            tl.store(g_x_at + n + (first + k) * wide, g_x.to(g_x_at.dtype.element_ty), mask=here)
            ca, cb = tl.where(here, ca_next, ca), tl.where(here, cb_next, cb)
            if sums_at is not None:
                sum0 += tl.where(here, s0, 0.0)
                sum1 += tl.where(here, s1, 0.0)
                sum2 += tl.where(here, s2, 0.0)
    if g_a0_at is not None:
        tl.store(g_a0_at + n, ca, mask=live)
    if g_b0_at is not None:
        tl.store(g_b0_at + n, cb, mask=live)
    if sums_at is not None:
        tl.store(sums_at + n, sum0, mask=live)
        if SUMS > 1:
            tl.store(sums_at + wide + n, sum1, mask=live)
        if SUMS > 2:
            tl.store(sums_at + 2 * wide + n, sum2, mask=live)
