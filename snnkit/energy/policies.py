"""The choices of a price and what each may be: one table for :func:`price` and for profile files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..checks import choice, flag, integer, is_number, number
from ..errors import ConfigError, quote, require
from .dataflow import FLOWS
from .terms import CLASSES, TERMS

__all__ = ["POLICIES", "check_policy"]

Check = Callable[[str, Any], Any]


def _one_of(*allowed: str) -> Check:
    return lambda where, value: choice(where, value, allowed)


def _reuse(where: str, value: Any) -> dict[str, float]:
    fine = isinstance(value, Mapping) and set(value) <= set(_REUSED)
    fine = fine and all(is_number(v) and v >= 1 for v in value.values())
    text = ", ".join(f'"{key}" {what}' for key, what in _REUSED.items())
    require(fine, where, value, f"factors >= 1 for any of {text}")
    return {key: float(v) for key, v in value.items()}


def _levels(where: str, value: Any) -> dict[str, str]:
    fine = isinstance(value, Mapping) and set(value) <= set(CLASSES)
    fine = fine and all(isinstance(v, str) for v in value.values())
    text = ", ".join(f'"{key}" {what}' for key, what in CLASSES.items())
    require(fine, where, value, f"names of memory levels for any of {text}")
    return dict(value)


def _terms(where: str, value: Any) -> tuple[str, ...]:
    fine = isinstance(value, (list, tuple)) and bool(value)
    fine = fine and all(isinstance(v, str) and v in TERMS for v in value)
    require(fine, where, value, f"a list of terms out of {', '.join(TERMS)}")
    return tuple(value)


_REUSED = {"w": "weights", "u": "accumulators and states", "i": "inputs", "a": "second operands"}
POLICIES: dict[str, Check] = {
    "dataflow": _one_of(*FLOWS),
    "padding": _one_of("exact", "dense"),
    "classify": _one_of("alphabet", "rate"),
    "zero_skip": flag,
    "spike_matmul": _one_of("single", "intersect", "left", "right"),
    "multilevel": _one_of("unroll", "mac", "bitserial"),
    "unroll_levels": lambda where, value: integer(where, value, 1, 1 << 31),
    "encode_once": flag,
    "encoding": _one_of("aer", "bitmap", "csr"),
    "fifo_messages": lambda where, value: integer(where, value, 1, 1 << 62),
    "address": flag,
    "hops": lambda where, value: number(where, value, at_least=0),
    "time_group": lambda where, value: integer(where, value, 1, 1 << 31),
    "interpolation": _one_of("none", "linear", "loglog"),
    "reuse": _reuse,
    "levels": _levels,
    "terms": _terms,
}


def check_policy(where: str, name: str, value: Any) -> Any:
    """``value``, if the policy ``name`` may have it.

    Raises:
        ConfigError: unknown policy, or a value it does not allow.
    """
    if name not in POLICIES:
        raise ConfigError(f"{where}: unknown key {quote(name)}. Options: {', '.join(POLICIES)}.")
    return POLICIES[name](where, value)
