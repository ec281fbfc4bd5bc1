"""Student's t: the 95 % interval of a mean, from n samples and their standard deviation."""

from __future__ import annotations

import math

__all__ = ["half_width_95"]


def half_width_95(std: float, samples: int) -> float:
    """``t_(0.975, n-1) std / sqrt(n)``: the mean lies within this distance in 95 % of repetitions."""
    return _quantile(samples - 1) * std / math.sqrt(samples)


def _quantile(degrees: int) -> float:
    """Two-sided 95 % point of the t distribution, by bisection."""
    low, high = 1.9, 13.0  # df = 1: 12.71; df -> inf: 1.96
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, degrees) < 0.95 else (low, middle)
    return low


def _within(t: float, degrees: int) -> float:
    """P(|T| <= t): the finite sums of Abramowitz and Stegun, 26.7.3 and 26.7.4."""
    angle = math.atan(t / math.sqrt(degrees))
    cosine = math.cos(angle)
    odd = degrees % 2
    term = total = cosine if odd else 1.0
    if degrees == 1:
        total = 0.0
    for k in range(3 if odd else 2, degrees - 1, 2):
        term *= (k - 1) / k * cosine**2
        total += term
    total *= math.sin(angle)
    return 2 / math.pi * (angle + total) if odd else total
