"""Stage 3: energy per inference by layer, term and time step; tables, files and plots."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..checks import choice
from ..errors import FormatError
from ..files import write_atomically
from .trace import Uncounted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from rich.table import Table

    from .assumptions import Setup
    from .trace import Trace

__all__ = ["Line", "Report"]

SCHEMA = "snnkit-energy-1"


@dataclass(frozen=True, slots=True)
class Line:
    """One term of one operation, per inference: ``pj = count * unit_pj``."""

    layer: str
    op: str
    term: str
    count: float
    unit_pj: float
    pj: float


@dataclass(frozen=True)
class Report:
    """Energy of one inference, mean over ``samples``. All energies in pJ.

    Attributes:
        kind: "snn", or the twin "ann" or "qann". model, hardware, dataflow: what was priced.
        T: time steps. samples: inferences that the mean is over.
        lines: one per operation and term. step_pj: term -> energy of every time step.
        std_pj: standard deviation over samples, None for one sample.
        counts: mean counts per inference of the traced network, names of :class:`Counts`.
        operands: layer -> alphabet of its input ("binary", "integer", "real", ...).
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
    counts: Mapping[str, float] = field(default_factory=dict)
    operands: Mapping[str, str] = field(default_factory=dict)
    uncounted: tuple[Uncounted, ...] = ()
    warnings: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    origin: tuple[Trace, Setup] | None = field(default=None, repr=False, compare=False)

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
        """Term -> pJ, see :data:`snnkit.energy.charges.TERMS`."""
        return self._sums("term")

    @property
    def by_step(self) -> list[float]:
        """pJ of every time step."""
        steps = zip(*self.step_pj.values(), strict=True)
        return [math.fsum(values) for values in steps] or [0.0] * self.T

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

    def counterpart(
        self, kind: Literal["ann", "qann"], *, bits: int | Literal["auto"] = "auto", sparsity: float = 0.0
    ) -> Report:
        """The same network without spikes, under the same hardware and data-flow.

        "ann": every layer once, ``valid`` multiply-accumulates at the widths of this report, a ReLU
        comparison per neuron. "qann": the same with activations of ``bits`` bits in integer arithmetic;
        "auto" is ``ceil(log2(T + 1))``, as many levels as T spikes can tell apart (Yan, Bai, Wong,
        arXiv 2409.08290).

        Args:
            sparsity: share of zero activations that the twin's hardware skips.

        Raises:
            ConfigError: unknown kind, bits or sparsity out of range, or a report read from a file.
        """
        from .price import twin

        return twin(self, kind, bits=bits, sparsity=sparsity)

    # -- output ------------------------------------------------------------------------------------

    def to_table(self, *others: Report, layers: bool = True) -> Table:
        """A rich table: energy by layer and term group; ``others`` (twins) as further totals."""
        from .render import table

        return table(self, *others, layers=layers)

    def plot(self, kind: Literal["layers", "terms", "steps"] = "layers", ax: Axes | None = None) -> Axes:
        """Draw on ``ax`` (default: a new figure) and return it.

        "layers": one bar per layer, split by term; "terms": one bar per term; "steps": energy of every
        time step, split by term.

        Raises:
            ConfigError: another kind.
        """
        from .. import plot
        from .charges import TERMS

        choice("Report.plot.kind", kind, ("layers", "terms", "steps"))
        if kind == "steps":
            steps = {TERMS[t]: self.step_pj[t] for t in TERMS if t in self.step_pj}
            ax = plot.energy_over_time(steps, ax=ax)
        elif kind == "terms":
            of_term = self.by_term
            ax = plot.energy_breakdown({TERMS[t]: {"": of_term[t]} for t in TERMS if t in of_term}, ax=ax)
        else:
            used = [label for term, label in TERMS.items() if term in self.by_term]
            layers: dict[str, dict[str, float]] = {}
            for line in self.lines:
                terms = layers.setdefault(line.layer or "(model)", dict.fromkeys(used, 0.0))
                terms[TERMS[line.term]] += line.pj
            ax = plot.energy_breakdown(layers, ax=ax)
        ax.set_xlabel(f"{ax.get_xlabel()}\n{self.model} ({self.kind.upper()}) on {self.hardware}")
        return ax

    def to_json(self, path: str | PathLike[str]) -> Path:
        """Write everything but the trace, whole or not at all; :meth:`from_json` reads it back equal."""
        data = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "origin"}
        data["lines"] = [asdict(line) for line in self.lines]
        data["uncounted"] = [asdict(entry) for entry in self.uncounted]
        data["step_pj"], data["counts"], data["operands"] = (
            dict(self.step_pj),
            dict(self.counts),
            dict(self.operands),
        )
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
            data["step_pj"] = {term: tuple(map(float, v)) for term, v in data["step_pj"].items()}
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
