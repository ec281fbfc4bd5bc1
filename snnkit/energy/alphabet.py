"""Which values an operand takes: spikes, integer counts or reals.

An addition suffices per event only if all values are multiples ``n u`` of one unit: binary ``{0, u}``,
ternary ``{-u, 0, u}``, integer ``{n u, |n| <= 255}``. Everything else is real. The class of a layer is
the *union* over all calls, steps and samples: a real layer that happens to see zeros once stays real,
and an all-zero tensor says nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

__all__ = [
    "BINARY",
    "EMPTY",
    "MAX_LEVELS",
    "REAL",
    "Alphabet",
    "has_no_zero",
    "indicator",
    "indicators",
    "observe",
]

MAX_LEVELS = 255
_ERROR = 4 * 2.0**-23  # of a value in float32, relative: its rounding and that of some arithmetic before
_TINY = 1e-12  # of the arithmetic here
_UNCLEAR = 0.13  # a rounding error of more than this many units proves nothing
_SAMPLE = 2048
_PIECE = 1 << 16


@dataclass(frozen=True, slots=True)
class Alphabet:
    """Set of values ``{n * unit : |n| <= levels}``, without negatives unless ``signed``; or real; or empty.

    ``a | b`` is the smallest alphabet that holds both: its unit is the greatest common divisor of theirs.

    Attributes:
        error: relative rounding error of the values that the unit was read off; no part of the identity.
    """

    kind: Literal["empty", "uniform", "real"]
    unit: float = 0.0
    levels: int = 0
    signed: bool = False
    error: float = field(default=_ERROR, compare=False, repr=False)

    @property
    def is_event(self) -> bool:
        """Values are multiples of one unit: each can be sent as unit events."""
        return self.kind == "uniform"

    @property
    def is_spike(self) -> bool:
        """At most one unit per value: binary or ternary."""
        return self.kind == "uniform" and self.levels == 1

    @property
    def unit_is_power_of_two(self) -> bool:
        """Scaling by the unit is a shift, or nothing."""
        return self.unit > 0 and math.frexp(self.unit)[0] == 0.5

    @property
    def name(self) -> str:
        """``"empty"``, ``"binary"``, ``"scaled binary"``, ``"ternary"``, ``"integer"`` or ``"real"``."""
        if self.kind != "uniform":
            return self.kind
        if self.levels > 1:
            return "integer"
        if self.signed:
            return "ternary"
        return "binary" if self.unit == 1 else "scaled binary"

    def __or__(self, other: Alphabet) -> Alphabet:
        if self.kind == "empty" or other.kind == "real":
            return other
        if other.kind == "empty" or self.kind == "real" or self == other:
            return self
        small, large = sorted((self, other), key=lambda a: a.unit)
        error, ratio = max(self.error, other.error), large.unit / small.unit
        parts = _parts(ratio, 2 * error * ratio, MAX_LEVELS // small.levels)
        times = round(ratio * parts)
        levels = max(small.levels * parts, large.levels * times)
        if not 0 < levels <= MAX_LEVELS or times > _clear(error):
            return REAL
        return Alphabet("uniform", small.unit / parts, levels, small.signed or large.signed, error)

    def plus(self, other: Alphabet) -> Alphabet:
        """Contains every sum of a value of either."""
        both = self | other
        if not (self.is_event and other.is_event and both.is_event):
            return REAL
        levels = sum(round(a.levels * a.unit / both.unit) for a in (self, other))
        return _uniform(both.unit, levels, both.signed, both.error)

    def times(self, other: Alphabet) -> Alphabet:
        """Contains every product of a value of either."""
        if not (self.is_event and other.is_event):
            return REAL
        signed, error = self.signed or other.signed, max(self.error, other.error)
        return _uniform(self.unit * other.unit, self.levels * other.levels, signed, error)

    def total(self, number: int, scale: float = 1.0) -> Alphabet:
        """Contains ``scale`` times every sum of ``number`` values."""
        if not self.is_event or not scale:
            return REAL
        return _uniform(self.unit * abs(scale), self.levels * number, self.signed or scale < 0, self.error)


def _uniform(unit: float, levels: int, signed: bool, error: float) -> Alphabet:
    return Alphabet("uniform", unit, levels, signed, error) if 0 < levels <= MAX_LEVELS else REAL


def _parts(value: float, slack: float, limit: int) -> int:
    """The least q <= ``limit`` for which ``q value`` is an integer within ``q slack``; 0 if there is none."""
    for q in range(1, limit + 1):
        if abs(q * value - round(q * value)) <= q * slack + _TINY:
            return q
    return 0


def _clear(error: float) -> int:
    """The most levels that can be told from reals at this rounding error."""
    return min(MAX_LEVELS, int(_UNCLEAR / error)) if error else MAX_LEVELS


EMPTY = Alphabet("empty")
REAL = Alphabet("real")
BINARY = Alphabet("uniform", 1.0, 1)


def indicator(x: Tensor) -> Tensor:
    """1 where x != 0, as float32 (float64 for float64). One pass: comparisons that return bool are slower."""
    x = _comparable(x)
    return torch.ne(x, 0, out=torch.empty(x.shape, dtype=_real_dtype(x), device=x.device))


def indicators(lines: Tensor) -> Iterator[Tensor]:
    """:func:`indicator` of a matrix, some lines at a time, each valid until the next.

    The pieces share one buffer that stays in the cache: fresh memory of the size of a feature map costs
    several times what the comparison does.
    """
    lines, n = _comparable(lines), lines.shape[1]
    step = max(1, _PIECE // max(n, 1))
    flags = torch.empty(min(step, lines.shape[0]) * n, dtype=_real_dtype(lines), device=lines.device)
    for part in lines.split(step):
        yield torch.ne(part, 0, out=flags[: part.numel()].view(part.shape))


def _comparable(x: Tensor) -> Tensor:
    """Same zeros, in a dtype that can be compared."""
    if x.is_complex():
        return x.abs()
    return x.float() if x.is_floating_point() and x.element_size() == 1 else x


def _real_dtype(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def _flat(x: Tensor) -> Tensor:
    """All elements in the order of memory: a view, unless ``x`` has gaps."""
    return x.permute(sorted(range(x.ndim), key=x.stride, reverse=True)).reshape(-1)


def has_no_zero(x: Tensor) -> bool:
    """Every element is nonzero."""
    flat = _flat(_comparable(x.detach()))
    flags = torch.empty(min(flat.numel(), _PIECE), device=x.device)
    return all(
        bool(torch.ne(part, 0, out=flags[: part.numel()]).min()) for part in flat.split(_PIECE) if len(part)
    )


def observe(x: Tensor, unit: float | None = None) -> Alphabet:
    """Alphabet of the values of ``x``, of any shape and real dtype. NaN and Inf make it real.

    A sample is looked at first: more distinct values in it than any integer alphabet has prove that x
    is real, for next to nothing. Otherwise a few passes over the data, no sorting. The unit is ``unit``,
    as a neuron declares it, if all values are roundings of multiples of it; else the greatest common
    divisor of the values. Multiples are recognised within the rounding error of the dtype, so that
    averages of spikes (n/9) pass, also in bfloat16; there and in half precision only up to 16 and 133
    levels without a declared unit, as any narrow range of such numbers is a few multiples of some unit.
    """
    if x.dtype == torch.bool:
        return BINARY
    if x.numel() == 0:
        return EMPTY
    if x.is_complex():
        return REAL
    x = _flat(_comparable(x))
    if unit is not None and x.is_floating_point() and (seen := _multiples_of(x, unit)):
        return seen
    if not x.is_floating_point():
        x = x.long()
    elif x.numel() > 4 * _SAMPLE:
        few = x[:: x.numel() // _SAMPLE]
        if few.unique().numel() > 2 * MAX_LEVELS + 1:
            return REAL
    return _classify(x)


def _error(dtype: torch.dtype) -> float:
    """Half precision: one rounding of each value and of the unit; wider types: some arithmetic before."""
    eps = torch.finfo(dtype).eps
    return eps * (1 if eps > 1e-5 else 4)


def _multiples_of(x: Tensor, unit: float) -> Alphabet | None:
    """Alphabet of values that are all ``n unit`` rounded to the dtype, as may have been the unit before."""
    low, high = (v.item() for v in torch.aminmax(x))
    top = max(high, -low)
    for size in dict.fromkeys((unit, torch.tensor(unit, dtype=x.dtype).item())):
        # NaN compares false
        if size > 0 and top < (MAX_LEVELS + 0.5) * size and all(_rounded(p, size) for p in x.split(_PIECE)):
            return Alphabet("uniform", unit, round(top / size), low < 0) if top else EMPTY
    return None


def _rounded(x: Tensor, unit: float) -> bool:
    return torch.equal((x.double() / unit).round_().mul_(unit).to(x.dtype), x)


def _equal(x: Tensor, expected: Callable[[Tensor, Tensor], Any]) -> bool:
    """``x`` equals what ``expected(part, out)`` writes for every part of it."""
    out, differs = torch.empty((2, min(len(x), _PIECE)), dtype=x.dtype, device=x.device)
    for part in x.split(_PIECE):
        n = len(part)
        expected(part, out[:n])
        if torch.ne(part, out[:n], out=differs[:n]).max():
            return False
    return True


def _classify(x: Tensor) -> Alphabet:
    low, high = (v.item() for v in torch.aminmax(x))
    if not (math.isfinite(low) and math.isfinite(high)):
        return REAL
    if low == high == 0:
        return EMPTY
    signed, top = low < 0, max(high, -low)
    # {0, u} and {-u, 0, u}
    exact = not x.is_floating_point()
    error = 0.0 if exact else _error(x.dtype)
    if _equal(x, lambda part, out: torch.sign(part, out=out).mul_(top)):
        return Alphabet("uniform", float(top), 1, signed, error or _ERROR)
    # integers
    if top <= MAX_LEVELS and (exact or _equal(x, lambda part, out: torch.round(part, out=out))):
        return Alphabet("uniform", 1.0, int(top), signed)
    # multiples of another unit: the least number of parts of the largest value that yields them all
    known, levels = x.new_empty(0, dtype=torch.float64), 1
    while len(strays := _strays(x, top, levels, error)):
        known = torch.cat([known, strays])
        fits = [] if len(known) > MAX_LEVELS else range(levels + 1, _clear(error) + 1)
        levels = next((n for n in fits if not _off(known, top, n, error).any()), 0)
        if not levels:
            return REAL
    return Alphabet("uniform", top / levels, levels, signed, error or _ERROR)


def _strays(x: Tensor, top: float, levels: int, error: float) -> Tensor:
    """Distinct |values| that are no multiples of ``top / levels``, of the first part of ``x`` with any."""
    for part in x.split(_PIECE):
        wide = part.double().abs_()
        strays = wide[_off(wide, top, levels, error)]
        if len(strays):
            return strays.unique()
    return x[:0]


def _off(values: Tensor, top: float, levels: int, error: float) -> Tensor:
    """Which values are no multiples of ``top / levels``. In wider types sums may have cancelled before."""
    multiples = values / top * levels
    slack = error * (multiples if error > _ERROR else levels) + _TINY
    return (multiples - multiples.round()).abs_() > slack
