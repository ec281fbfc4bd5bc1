"""Stage 3: energy per inference by layer, term and time step; tables, files and plots."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from ..errors import ConfigError, FormatError
from ..files import write_atomically
from . import comparison
from .interval import half_width_95
from .trace import Trace, Uncounted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from rich.table import Table

__all__ = ["Line", "Report"]

SCHEMA = "snnkit-energy-2"
_MAPPINGS = ("step_pj", "counts", "operands", "activity")


class Pricer(Protocol):
    """What can price a counterpart: the trace and the assumptions that a report came from."""

    def counterpart(
        self,
        kind: str,
        bits: int | Literal["auto"],
        sparsity: float,
        latency_ms: float | None,
        steps: int | None = None,
    ) -> Report:
        """The network without spikes."""
        ...

    def other(self, trace: Trace, bits: int | None, sparsity: float, latency_ms: float | None) -> Report:
        """Another network without spikes."""
        ...


@dataclass(frozen=True, slots=True)
class Line:
    """One term of one operation, per inference: ``pj = count * unit_pj``.

    ``per_event``: the count follows the firing rate. ``per_step``: it grows with the number of steps.
    """

    layer: str
    op: str
    term: str
    count: float
    unit_pj: float
    pj: float
    per_event: bool = False
    per_step: bool = True


@dataclass(frozen=True)
class Report:
    """Energy of one inference, mean over ``samples``. All energies in pJ.

    Attributes:
        kind: "snn", or the twin "ann" or "qann". model, hardware, dataflow: what was priced.
        T: time steps. samples: inferences that the mean is over.
        lines: one per operation and term. step_pj: term -> energy of every time step.
        std_pj: standard deviation over samples, None for one sample.
        band_pj: total at the low and at the high end of the prices, if the profile gives ranges. Not a
            statistical interval.
        counts: mean counts per inference of the traced network, names of :class:`Counts`.
        operands: layer -> alphabet of its input ("binary", "integer", "real", ...).
        activity: weight layer -> share of nonzero inputs at every step.
        firing_rate: spikes per neuron-step of all spiking neurons; None without any.
        ground: hardware, data-flow and accounting; reports are compared only if it is the same.
        uncounted: what no term covers. warnings: what may make the total misleading.
        assumptions: everything the total takes for granted.
    """

    kind: str
    model: str
    hardware: str
    dataflow: str
    T: int
    samples: int
    lines: tuple[Line, ...]
    step_pj: Mapping[str, tuple[float, ...]]
    std_pj: float | None = None
    band_pj: tuple[float, float] | None = None
    counts: Mapping[str, float] = field(default_factory=dict)
    operands: Mapping[str, str] = field(default_factory=dict)
    activity: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    firing_rate: float | None = None
    uncounted: tuple[Uncounted, ...] = ()
    warnings: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    ground: str = ""
    origin: Pricer | None = field(default=None, repr=False, compare=False)

    @property
    def total_pj(self) -> float:
        """Energy per inference."""
        return math.fsum(line.pj for line in self.lines)

    @property
    def total_mj(self) -> float:
        """Energy per inference in millijoule."""
        return self.total_pj * 1e-9

    @property
    def by_layer(self) -> dict[str, float]:
        """Module path -> pJ, in order of execution."""
        return self._sums("layer")

    @property
    def by_term(self) -> dict[str, float]:
        """Term -> pJ, see :data:`snnkit.energy.terms.TERMS`."""
        return self._sums("term")

    @property
    def by_step(self) -> list[float]:
        """pJ of every time step."""
        steps = zip(*self.step_pj.values(), strict=True)
        return [math.fsum(values) for values in steps] or [0.0] * self.T

    @property
    def ci95_pj(self) -> tuple[float, float] | None:
        """95 % interval of the mean over inputs (Student's t); None for one sample."""
        if self.std_pj is None or self.samples < 2:
            return None
        half = half_width_95(self.std_pj, self.samples)
        return self.total_pj - half, self.total_pj + half

    @property
    def macs(self) -> float:
        """Multiply-accumulates per inference that were priced as such."""
        return math.fsum(line.count for line in self.lines if line.term == "mac")

    @property
    def acs(self) -> float:
        """Accumulations per inference that were priced as such, biases not included."""
        return math.fsum(line.count for line in self.lines if line.term == "ac")

    def _sums(self, attribute: str) -> dict[str, float]:
        parts: dict[str, list[float]] = {}
        for line in self.lines:
            parts.setdefault(getattr(line, attribute), []).append(line.pj)
        return {name: math.fsum(values) for name, values in parts.items()}

    # -- comparison --------------------------------------------------------------------------------

    def counterpart(
        self,
        kind: Literal["ann", "qann"],
        *,
        bits: int | Literal["auto"] = "auto",
        sparsity: float = 0.0,
        latency_ms: float | None = None,
    ) -> Report:
        """The same network without spikes, under the same hardware and data-flow.

        "ann": every layer once, ``valid`` multiply-accumulates at the widths of this report, a ReLU
        comparison per neuron. "qann": the same with activations of ``bits`` bits in integer arithmetic;
        "auto" is ``ceil(log2(T + 1))``, as many levels as T spikes can tell apart (Yan, Bai, Wong,
        arXiv 2409.08290).

        Args:
            sparsity: share of zero activations that the twin's hardware skips.
            latency_ms: of the twin; needed if static power is priced.

        Raises:
            ConfigError: unknown kind, bits or sparsity out of range, a report read from a file, or
                hardware that runs spikes only.
        """
        return self.need_origin("Report.counterpart").counterpart(kind, bits, sparsity, latency_ms)

    def ann(
        self,
        trace: Trace,
        *,
        bits: int | None = None,
        sparsity: float = 0.0,
        latency_ms: float | None = None,
    ) -> Report:
        """Another network without spikes, traced by the caller, under the same hardware and data-flow.

        ``bits``: None prices it at the widths of this report, else with quantised activations; the rest
        as in :meth:`counterpart`.
        """
        return self.need_origin("Report.ann").other(trace, bits, sparsity, latency_ms)

    def break_even(self, against: Literal["ann", "qann"] | Report = "ann") -> comparison.BreakEven:
        """The mean firing rate below which this spiking network needs less energy than ``against``.

        The energy is a straight line through the traced rate. It bends where a data-flow does: with
        "time_batched" the weights are read once for many events, fewer times only for few.

        Raises:
            ConfigError: no spikes were traced, or the reports have no common ground.
        """
        other = against if isinstance(against, Report) else self.counterpart(against)
        return comparison.break_even(self, other)

    def sweep(
        self,
        steps: Sequence[int] = (1, 2, 4, 8, 16),
        rates: Sequence[float] = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5),
        against: Literal["ann", "qann"] = "qann",
    ) -> comparison.Sweep:
        """Energy over time steps and mean firing rates, beside the counterpart (whose bits follow T).

        Extrapolated from this one trace: every step costs the mean of the traced steps, and all event
        terms scale with the rate. Trace the network at another T to know.
        """
        return comparison.sweep(self, steps, rates, against)

    def need_origin(self, where: str) -> Pricer:
        """What this report was priced from.

        Raises:
            ConfigError: it was read from a file.
        """
        if self.origin is None:
            raise ConfigError(
                f"{where}: this report was read from a file and has no counts. Price the trace again."
            )
        return self.origin

    # -- output ------------------------------------------------------------------------------------

    def to_table(self, *others: Report, layers: bool = True) -> Table:
        """A rich table: energy by layer and term group; ``others`` (twins) as further totals.

        Raises:
            ConfigError: ``others`` are priced on another ground.
        """
        from .render import table

        return table(self, *others, layers=layers)

    def to_markdown(self, *others: Report, layers: bool = True) -> str:
        """The same table in Markdown, below the assumptions."""
        from .render import markdown

        return markdown(self, *others, layers=layers)

    def plot(
        self,
        kind: Literal["layers", "terms", "steps", "breakeven", "sparsity", "sweep"] = "layers",
        ax: Axes | None = None,
        *,
        references: Mapping[str, float | None] | None = None,
    ) -> Axes:
        """Draw on ``ax`` (default: a new figure) and return it.

        "layers": one bar per layer, split by term; "terms": one bar per term; "steps": energy of every
        time step, split by term; "breakeven": energy over the firing rate beside ANN and quantised ANN;
        "sparsity": share of zero inputs by layer and step; "sweep": energy relative to the quantised
        ANN over time steps and firing rate. ``references``: whole tasks measured on chips, as lines of
        "breakeven": names of :data:`~snnkit.energy.references.REFERENCES` -> None, or the time of one
        inference in ms for those that are powers.

        Raises:
            ConfigError: another kind, or a kind that this report has no numbers for; references that it
                cannot show. UnknownNameError: unknown references.
        """
        from .pictures import draw

        return draw(self, kind, ax, references or {})

    def to_json(self, path: str | PathLike[str]) -> Path:
        """Write everything but the trace, whole or not at all; :meth:`from_json` reads it back equal."""
        data = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "origin"}
        data["lines"] = [asdict(line) for line in self.lines]
        data["uncounted"] = [asdict(entry) for entry in self.uncounted]
        for name in _MAPPINGS:
            data[name] = dict(data[name])
        text = json.dumps({"schema": SCHEMA, "total_pj": self.total_pj, **data}, indent=1, allow_nan=False)
        return _write(path, text + "\n")

    @classmethod
    def from_json(cls, path: str | PathLike[str]) -> Report:
        """Read what :meth:`to_json` wrote.

        Raises:
            FormatError: not such a file, or an altered one whose lines do not add up to its total.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise FormatError(path, f"cannot be read: {error}") from error
        try:
            data = json.loads(text)
            if not isinstance(data, dict) or data.pop("schema", None) != SCHEMA:
                raise FormatError(path, f"no energy report, expected schema {SCHEMA!r}.")
            total = float(data.pop("total_pj"))
            data["lines"] = tuple(Line(**line) for line in data["lines"])
            data["uncounted"] = tuple(Uncounted(**entry) for entry in data["uncounted"])
            for name in ("step_pj", "activity"):
                data[name] = {key: tuple(map(float, v)) for key, v in data[name].items()}
            if data["band_pj"] is not None:
                low, high = map(float, data["band_pj"])
                data["band_pj"] = (low, high)
            for name in ("warnings", "assumptions"):
                data[name] = tuple(map(str, data[name]))
            report = cls(**data)
            agrees = math.isclose(report.total_pj, total, rel_tol=1e-9, abs_tol=1e-12)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            if isinstance(error, FormatError):
                raise
            raise FormatError(path, f"malformed energy report: {type(error).__name__}: {error}") from error
        if not agrees:
            raise FormatError(path, f"its lines add up to {report.total_pj:g} pJ, total_pj says {total:g}.")
        return report

    def to_csv(self, path: str | PathLike[str]) -> Path:
        """One row per layer, operation and term: layer, op, input, term, count, unit_pj, pj."""
        from io import StringIO

        text = StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["layer", "op", "input", "term", "count", "unit_pj", "pj"])
        for line in self.lines:
            row = [line.layer, line.op, self.operands.get(line.layer, ""), line.term]
            writer.writerow([*row, repr(line.count), repr(line.unit_pj), repr(line.pj)])
        return _write(path, text.getvalue())


def _write(path: str | PathLike[str], text: str) -> Path:
    write_atomically(path, text.encode())
    return Path(path)
