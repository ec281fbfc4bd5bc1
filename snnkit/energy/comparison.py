"""A spiking network against one without spikes: common ground, break-even rate, sweeps.

The energy of the spiking network at mean firing rate r, all event terms scaling with it::

    E(r) = E_fixed + (r / r0) E_event            r0: the rate that was traced
    r*   = r0 (E_other - E_fixed) / E_event      below r* the spiking network needs less

Inferred, not published in this form; the same idea gives the break-even rates of Yan, Bai and Wong
(arXiv 2409.08290). That all rates move together is an assumption.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..checks import choice, integer, number
from ..errors import ConfigError, require

if TYPE_CHECKING:
    from .report import Report

__all__ = ["BreakEven", "Sweep", "break_even", "same_ground", "sweep"]


def same_ground(report: Report, *others: Report) -> None:
    """Refuse to set reports side by side that fetch their tensors, or are priced, in different ways.

    Raises:
        ConfigError: another hardware, data-flow, reuse, memory or set of terms.
    """
    for other in others:
        if other.ground != report.ground:
            raise ConfigError(
                f"these reports have no common ground: {report.kind} {report.ground!r}, "
                f"{other.kind} {other.ground!r}. Price both with the same hardware and data-flow."
            )


@dataclass(frozen=True, slots=True)
class BreakEven:
    """Where a spiking network starts to need less energy than ``other``.

    Attributes:
        rate: r*, the mean firing rate of equal energy (can exceed 1), 0 if there is none.
        verdict: "never": what does not depend on spikes costs as much as the other network;
            "always": even at a rate of 1 it needs no more; "below": it does below ``rate``.
        traced_rate: r0. fixed_pj, event_pj: the energy at r0 in two parts. other_pj: of the other network.
    """

    rate: float
    verdict: Literal["never", "always", "below"]
    traced_rate: float
    fixed_pj: float
    event_pj: float
    other_pj: float

    def energy_pj(self, rate: float) -> float:
        """E(rate) of the spiking network."""
        return self.fixed_pj + rate / self.traced_rate * self.event_pj

    def __str__(self) -> str:
        if self.verdict == "never":
            return (
                "never: the part that does not depend on spikes costs as much as the other network, or more"
            )
        if self.verdict == "always":
            return "always: less energy even if every neuron fires at every step"
        return f"below a firing rate of {self.rate:.3g} (traced: {self.traced_rate:.3g})"


def break_even(report: Report, other: Report) -> BreakEven:
    """See :meth:`Report.break_even`."""
    same_ground(report, other)
    rate = _rate(report)
    event = math.fsum(line.pj for line in report.lines if line.per_event)
    fixed, limit = math.fsum(line.pj for line in report.lines if not line.per_event), other.total_pj
    if fixed >= limit:
        return BreakEven(0.0, "never", rate, fixed, event, limit)
    if not event:
        return BreakEven(math.inf, "always", rate, fixed, event, limit)
    equal = rate * (limit - fixed) / event
    return BreakEven(equal, "always" if equal > 1 else "below", rate, fixed, event, limit)


def _rate(report: Report) -> float:
    ok = report.kind == "snn" and report.firing_rate is not None and report.firing_rate > 0
    hint = "Trace a network whose neurons fire."
    require(ok, "break_even: firing rate", report.firing_rate, "a spiking network that spiked", hint)
    return float(report.firing_rate or 0.0)


@dataclass(frozen=True, slots=True)
class Sweep:
    """Energies over time steps and firing rates.

    Attributes:
        steps, rates: the axes. snn_pj: ``[steps][rates]``. other_pj: of the counterpart, one per
            number of steps. against: its kind.
    """

    steps: tuple[int, ...]
    rates: tuple[float, ...]
    snn_pj: tuple[tuple[float, ...], ...]
    other_pj: tuple[float, ...]
    against: str

    @property
    def ratios(self) -> list[list[float]]:
        """E_SNN / E_other, ``[steps][rates]``; below 1 the spiking network needs less."""
        pairs = zip(self.snn_pj, self.other_pj, strict=True)
        return [[energy / other for energy in row] for row, other in pairs]


def sweep(report: Report, steps: Sequence[int], rates: Sequence[float], against: str) -> Sweep:
    """See :meth:`Report.sweep`."""
    origin = report.need_origin("Report.sweep")
    choice("Report.sweep.against", against, ("ann", "qann"))
    number_of = [integer("Report.sweep.steps", t) for t in steps]
    levels = [number("Report.sweep.rates", r, at_least=0, at_most=1) for r in rates]
    require(
        bool(number_of) and bool(levels), "Report.sweep", (steps, rates), "at least one step and one rate"
    )
    traced = _rate(report)
    parts = np.zeros((2, 2))  # [per step or once][per event or not]
    for line in report.lines:
        parts[int(line.per_step), int(line.per_event)] += line.pj
    energies = [tuple(float(_energy(parts, t / report.T, r / traced)) for r in levels) for t in number_of]
    other = [origin.counterpart(against, "auto", 0.0, None, steps=t).total_pj for t in number_of]
    return Sweep(tuple(number_of), tuple(levels), tuple(energies), tuple(other), against)


def _energy(parts: np.ndarray, longer: float, denser: float) -> float:
    once, repeated = parts
    return once[0] + denser * once[1] + longer * (repeated[0] + denser * repeated[1])
