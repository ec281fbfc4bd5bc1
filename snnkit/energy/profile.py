"""A hardware profile in memory: prices of operations, of memory accesses, or of whole events.

Two kinds. An *operation* profile prices additions, multiplications and memory accesses by width and
capacity; everything else follows from counts and data-flow. An *event* profile, as published for
neuromorphic chips, prices whole synaptic events, neuron updates and spikes, memory included. Files are
read by :mod:`snnkit.energy.profile_file`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ..errors import ProfileError

__all__ = ["Arithmetic", "EventPrice", "MemoryLevel", "OpPrice", "Profile"]

Arithmetic = Literal["float", "int"]
Bound = Literal["mid", "low", "high"]


@dataclass(frozen=True, kw_only=True)
class Sourced:
    """A number in pJ with its source, and the range that the source gives for it."""

    pj: float
    source: str
    low: float | None = None
    high: float | None = None
    evidence: str = ""
    note: str = ""

    def at(self, bound: Bound) -> float:
        """The value, or an end of its range; the value itself where no range is given."""
        end = {"low": self.low, "high": self.high}.get(bound)
        return self.pj if end is None else end


@dataclass(frozen=True, kw_only=True)
class OpPrice(Sourced):
    """Energy of one operation, as published for ``bits``, or a power law around ``bits``."""

    name: str
    dtype: str
    bits: int
    exponent: float | None = None


@dataclass(frozen=True, kw_only=True)
class EventPrice(Sourced):
    """Energy of one "synop", "neuron" update, "spike" or dense "mac", everything included."""

    name: str


@dataclass(frozen=True, kw_only=True)
class MemoryLevel(Sourced):
    """Energy of one access of ``access_bits``. ``capacity_bytes`` None: unlimited."""

    level: str
    access_bits: int
    capacity_bytes: int | None = None

    @property
    def pj_per_bit(self) -> float:
        """Access energy divided by width: words are read in full accesses."""
        return self.pj / self.access_bits


@dataclass(frozen=True)
class Profile:
    """A validated hardware profile, see the module. ``bound``: which end of the ranges prices are at."""

    id: str
    arithmetic: Arithmetic
    bits: int
    ops: tuple[OpPrice, ...] = ()
    memory: tuple[MemoryLevel, ...] = ()
    scaling: tuple[OpPrice, ...] = ()
    events: tuple[EventPrice, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""
    scope: str = "operation"
    node_nm: float | None = None
    note: str = ""
    bound: Bound = "mid"

    def at(self, bound: Bound) -> Profile:
        """The same profile with all prices at one end of their ranges."""
        return replace(self, bound=bound)

    @property
    def numbers(self) -> tuple[Sourced, ...]:
        """All prices."""
        return (*self.ops, *self.scaling, *self.memory, *self.events)

    @property
    def has_ranges(self) -> bool:
        """At least one price has bounds."""
        return any(n.low is not None or n.high is not None for n in self.numbers)

    @property
    def twins(self) -> tuple[Literal["ann", "qann"], ...]:
        """Networks without spikes that this hardware can run: none if it has prices of spikes only."""
        return () if self.events and self.event("mac") is None else ("ann", "qann")

    def event(self, name: str) -> float | None:
        """Energy in pJ of one event, None if the profile has no price for it."""
        return next((e.at(self.bound) for e in self.events if e.name == name), None)

    def price(self, name: str, dtype: Arithmetic, *bits: int) -> tuple[float, bool] | None:
        """Energy in pJ of one operation, and whether it is extrapolated; None if not in the profile.

        Args:
            name: "add", "acc" (an adder with its register; without such a price an "add"), "mul", "cmp",
                "and", "shift", "exp", "div", "sqrt", or "hop" (one bit to the next router).
            bits: operand width, or both widths of a multiplication.
        """
        width = math.sqrt(bits[0] * bits[-1])
        for op in self.ops:
            if (op.name, op.dtype) == (name, dtype) and bits[0] == bits[-1] == op.bits:
                return op.at(self.bound), False
        for law in self.scaling:
            if (law.name, law.dtype) == (name, dtype) and law.exponent is not None:
                return law.at(self.bound) * (width / law.bits) ** law.exponent, min(bits) < law.bits
        return self.price("add", dtype, *bits) if name == "acc" else None

    def level(self, nbytes: float, name: str | None = None) -> MemoryLevel | None:
        """The memory ``name``, else the smallest that holds ``nbytes``; None if the profile lists none.

        Raises:
            ProfileError: no level is large enough.
        """
        if name is not None:
            return next(m for m in self.memory if m.level == name)
        fitting = [m for m in self.memory if m.capacity_bytes is None or m.capacity_bytes >= nbytes]
        if self.memory and not fitting:
            if self.options.get("interpolation", "none") != "none":  # clamped above the largest
                return max(self.memory, key=lambda m: m.capacity_bytes or 0)
            raise ProfileError(
                f"profile {self.id!r}: {nbytes:.0f} bytes fit no memory level. "
                "Add a level without capacity_bytes."
            )
        return min(fitting, key=lambda m: m.capacity_bytes or math.inf, default=None)

    def pj_per_bit(self, nbytes: float, name: str | None = None) -> float:
        """Energy of one bit of an access to a memory that holds ``nbytes``; 0 without memories.

        With the option ``interpolation`` the price follows the size between the bounded levels:
        "linear" piecewise through (0, 0) and the levels, "loglog" the same in logarithms (below the
        smallest level its price); above the largest bounded level the level itself is paid.
        """
        level = self.level(nbytes, name)
        if level is None:
            return 0.0
        price = level.at(self.bound) / level.access_bits
        how = self.options.get("interpolation", "none")
        if (
            name is not None
            or how == "none"
            or level.capacity_bytes is None
            or nbytes >= level.capacity_bytes
        ):
            return price
        bounded = sorted((m for m in self.memory if m.capacity_bytes), key=lambda m: m.capacity_bytes or 0)
        at = bounded.index(level)
        if at == 0:
            return price if how == "loglog" else price * nbytes / level.capacity_bytes
        below = bounded[at - 1]
        size, cost = float(below.capacity_bytes or 0), below.at(self.bound) / below.access_bits
        if how == "linear":
            return cost + (price - cost) * (nbytes - size) / (level.capacity_bytes - size)
        share = math.log(nbytes / size) / math.log(level.capacity_bytes / size)
        return cost * (price / cost) ** share if cost > 0 else price
