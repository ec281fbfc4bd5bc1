"""Checks of hyper-parameters: one function per kind, each returns the value it accepted.

Every function raises :class:`snnkit.errors.ConfigError` naming setting, value and range. A bool is not a
number here, and NaN lies in no range: ``LIF(True)`` and ``LIF(nan)`` are mistakes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

from .errors import require

__all__ = ["choice", "flag", "integer", "is_integer", "is_number", "number"]


def is_number(value: object) -> bool:
    """A finite real number that float can hold."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:  # an int beyond every float
        return False


def is_integer(value: object) -> bool:
    """An int, of Python or numpy."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def number(
    where: str,
    value: Any,
    *,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    hint: str = "",
) -> float:
    """``value`` as a float, if it is a finite number in the range."""
    low = above if at_least is None else at_least
    high = below if at_most is None else at_most
    ok = is_number(value)
    ok = ok and (low is None or (value >= low if above is None else value > low))
    ok = ok and (high is None or (value <= high if below is None else value < high))
    if low is not None and high is not None:
        span = f" in {'[' if above is None else '('}{low:g}, {high:g}{']' if below is None else ')'}"
    elif low is not None:
        span = f" {'>=' if above is None else '>'} {low:g}"
    elif high is not None:
        span = f" {'<=' if below is None else '<'} {high:g}"
    else:
        span = ""
    require(ok, where, value, f"a finite number{span}", hint)
    return float(value)


def integer(where: str, value: Any, at_least: int = 1, at_most: float = math.inf, hint: str = "") -> int:
    """``value`` as an int, if it is one in the range."""
    ok = is_integer(value) and at_least <= value <= at_most
    span = f">= {at_least}" if at_most == math.inf else f"in [{at_least}, {at_most}]"
    require(ok, where, value, f"an int {span}", hint)
    return int(value)


def flag(where: str, value: Any) -> bool:
    """``value``, if it is True or False."""
    require(isinstance(value, bool), where, value, "True or False")
    return bool(value)


def choice(where: str, value: Any, allowed: Iterable[str]) -> str:
    """``value``, if it is one of ``allowed``."""
    allowed = tuple(allowed)
    require(isinstance(value, str) and value in allowed, where, value, " or ".join(f'"{a}"' for a in allowed))
    return str(value)
