"""Collects the counts of every call and adds them up per operation, time step and sample."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from .alphabet import EMPTY, Alphabet
from .counts import NAMES, Counts
from .moments import Moments
from .neuron_rules import NeuronSpec
from .rules import DelayMemory, OpCount
from .steps import assign, layout, lies_exactly

__all__ = ["Ledger", "OpRecord"]

Array = NDArray[np.float64]
# What differs between samples; everything else follows from shapes.
_SAMPLED = frozenset(
    (
        "sop", "sop_w", "abs_a", "abs_b", "nnz_in", "nnz_out", "nnz_a", "nnz_b", "pairs_a", "pairs_b",
        "pairs_ab", "pairs_min", "pop_a", "pop_b", "spikes", "spike_units", "adds",
    )
)  # fmt: skip


@dataclass(eq=False)
class OpRecord:
    """One operation of one module: everything counted about it, over all samples.

    Attributes:
        path: module path, "" for the model itself. op: operator name.
        kind: "weight", "product", "neuron" or "pointwise".
        a, b: alphabets of its operands, union over all calls.
        weights, biases: number of stored weights, and of biases or offsets of a folded norm.
        weight_bits: width that the layer declares for its weights, as a quantised one does by an attribute of
            that name; None: it declares none.
        neuron: declared spec, for kind "neuron". delays: memory of its delays.
        calls: number of calls. executions: (sample, step) pairs it ran for; T per sample, or 1 if it
            runs once for all steps.
        steps: raw count -> one number per time step, summed over samples.
    """

    path: str
    op: str
    kind: str
    key: Hashable
    a: Alphabet = EMPTY
    b: Alphabet = EMPTY
    weights: int = 0
    biases: int = 0
    weight_bits: int | None = None
    neuron: NeuronSpec | None = None
    delays: tuple[DelayMemory, ...] = ()
    calls: int = 0
    executions: int = 0
    steps: dict[str, Array] = field(default_factory=dict)

    def total(self, name: str) -> float:
        """Sum of a raw count over all samples and steps; 0 if the operation has no such count."""
        values = self.steps.get(name)
        return 0.0 if values is None else float(values.sum())

    @property
    def stream(self) -> str:
        """Raw count that is the ``sop`` of this operation."""
        if self.kind != "product":
            return "sop"
        if self.a.is_event and self.b.is_event:
            return "pairs_min"
        return "pairs_a" if self.a.is_event else "pairs_b" if self.b.is_event else "pairs_ab"

    @property
    def streams_a(self) -> bool:
        """The left operand of a product is sent as events: the sparser one, or the only one that can."""
        if self.stream == "pairs_min":
            return self.total("pairs_a") <= self.total("pairs_b")
        return self.stream != "pairs_b"

    def counts(self) -> list[Counts]:
        """Counts per time step, summed over samples. They sum to the total exactly."""
        return [self._counts(i) for i in range(max((len(v) for v in self.steps.values()), default=0))]

    def _counts(self, i: int) -> Counts:
        raw = {name: values[i] if i < len(values) else 0.0 for name, values in self.steps.items()}
        calls = self.calls if i == 0 and self.kind != "pointwise" else 0
        return _assemble(self, raw, calls)


def _assemble(record: OpRecord, raw: dict[str, float], calls: int) -> Counts:
    values = {name: round(raw[name]) for name in NAMES if name in raw}
    if record.kind == "product":
        units, source = (raw["abs_a"], record.a) if record.streams_a else (raw["abs_b"], record.b)
        values["sop"] = round(raw[record.stream])
        values["sop_w"] = round(raw["pairs_ab"])
        values["nnz_in"] = round(raw["nnz_a"] + raw["nnz_b"])
        values["numel_in"] = round(raw["numel_a"] + raw["numel_b"])
    else:
        units, source = raw.get("abs_a", 0.0), record.a
    if source.is_event:
        values["sum_abs"] = round(units / source.unit)
    return Counts(calls=calls, **values)


@dataclass
class _Group:
    """The calls of one operation within one batch."""

    record: OpRecord
    rows: int
    order: int
    shape: tuple[int, ...] | None
    calls: list[dict[str, Tensor | int]] = field(default_factory=list)


class Ledger:
    """Adds up calls. ``add`` during a batch, ``close`` at its end, when T and B are known."""

    def __init__(self, *, per_sample: bool = False) -> None:
        self.records: dict[Hashable, OpRecord] = {}
        self.moments = Moments()
        self.samples: list[Counts] | None = None
        self._per_sample = per_sample
        self._features: list[dict[tuple[Hashable, str], Array]] = []
        self._groups: dict[Hashable, _Group] = {}
        self._order = 0

    def add(self, path: str, op: str, site: int, count: OpCount, neuron: NeuronSpec | None = None) -> None:
        """One call of an operation; ``site`` tells apart equal operations at different places of the code."""
        key = (path, op, count.kind, site, count.signature, *count.values)
        record = self.records.get(key)
        if record is None:
            record = self.records[key] = OpRecord(path, op, count.kind, key, neuron=neuron)
        record.a, record.b = record.a | count.a, record.b | count.b
        record.weights = max(record.weights, count.weights)
        record.biases = max(record.biases, count.biases)
        record.delays = count.delays
        record.calls += 1
        self._order += 1
        group = self._groups.setdefault(
            (key, count.rows), _Group(record, count.rows, self._order, count.shape)
        )
        group.calls.append(count.values)

    def fit(self, steps: int, batch: int) -> tuple[int, int]:
        """Operations of the open batch on axes ``steps`` and ``batch``; if none, on multiples of them.

        What runs once for all steps, on ``batch`` rows, speaks for ``batch`` if something else has steps.
        """
        groups = [g for g in self._groups.values() if g.record.kind != "pointwise"]
        exact = sum(lies_exactly(g.rows, len(g.calls), g.shape or (g.rows,), steps, batch) for g in groups)
        how = [layout(g.rows, len(g.calls), g.shape, steps, batch) for g in groups]
        if exact:
            exact += sum(
                h == "once" and (g.shape or (g.rows,))[0] == batch for g, h in zip(groups, how, strict=True)
            )
        return exact, 0 if exact else sum(isinstance(h, int) for h in how)

    def starts_once(self, steps: int, batch: int) -> bool:
        """The first operation of the open batch runs once for all steps."""
        groups = (g for g in self._groups.values() if g.record.kind != "pointwise")
        first = min(groups, key=lambda g: g.order, default=None)
        return first is not None and layout(first.rows, len(first.calls), first.shape, steps, batch) == "once"

    def discard(self) -> None:
        """Forget the open batch: the model raised."""
        self._groups.clear()

    def close(self, steps: int, batch: int) -> list[str]:
        """File the open batch under ``steps`` and ``batch``; returns paths whose rows fit neither."""
        groups = list(self._groups.values())
        how = [layout(g.rows, len(g.calls), g.shape, steps, batch) for g in groups]
        repeated = [g.order for g, h in zip(groups, how, strict=True) if isinstance(h, int)]
        first = min(repeated, default=0)
        sampled: dict[Hashable, Array] = {}
        for group, h in zip(groups, how, strict=True):
            record = group.record
            once = isinstance(h, str)
            at = 0 if group.order < first or steps == 1 else steps - 1
            record.executions += batch if once else batch * steps
            for name in group.calls[0]:
                cells = assign([_host(c[name]) for c in group.calls], group.rows, h, steps, batch)
                per_step = cells.sum(1)
                total = record.steps.get(name)
                if total is None:
                    total = record.steps[name] = np.zeros(steps)
                elif len(total) < steps:
                    total = record.steps[name] = np.concatenate([total, np.zeros(steps - len(total))])
                if once:
                    total[at] += per_step[0]
                else:
                    total[:steps] += per_step
                if name in _SAMPLED or self._per_sample:
                    column = (record.key, name)
                    sampled[column] = sampled.get(column, 0) + cells.sum(0)
        self.moments.update({k: v for k, v in sampled.items() if k[1] in _SAMPLED}, batch)  # type: ignore[index]
        if self._per_sample:
            self._features.append(sampled)  # type: ignore[arg-type]
        self._groups.clear()
        self._order = 0
        strays = [g.record for g, h in zip(groups, how, strict=True) if h == "spread" and batch]
        return sorted({record.path for record in strays if record.kind != "pointwise"})

    def by_sample(self) -> list[Counts]:
        """Counts of every sample, in input order (needs ``per_sample=True``)."""
        result = []
        for features in self._features:
            batch = max((len(v) for v in features.values()), default=0)
            raws: dict[Hashable, dict[str, Array]] = {}
            for (key, name), values in features.items():
                raws.setdefault(key, {})[name] = values
            for i in range(batch):
                parts = [
                    _assemble(self.records[key], {n: v[i] for n, v in raw.items()}, 0)
                    for key, raw in raws.items()
                ]
                result.append(sum(parts, Counts()))
        return result


def _host(value: Any) -> Any:
    return value.cpu().numpy() if isinstance(value, Tensor) else value
