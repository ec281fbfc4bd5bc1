"""Stage 2: counts x hardware profile x data-flow -> energy in pJ per inference."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any, Literal

import numpy as np

from ..checks import choice, integer, number
from ..errors import ConfigError, InputTypeError, require
from .assumptions import Setup, make_setup
from .charges import EXECUTIONS, INFERENCES, Charge, arithmetic
from .counts import NAMES
from .ledger import Array, OpRecord
from .per_event import event_charges
from .profile import Profile
from .report import Line, Report
from .terms import TERMS
from .trace import Trace, Uncounted, trace
from .traffic import hops, traffic

__all__ = ["estimate", "price"]


def price(
    trace: Trace,
    hardware: str | PathLike[str] | Profile = "45nm-fp32",
    *,
    dataflow: str | None = None,
    weight_bits: int | None = None,
    act_bits: int | None = None,
    state_bits: int | None = None,
    arithmetic: Literal["float", "int"] | None = None,
    padding: Literal["exact", "dense"] | None = None,
    classify: Literal["alphabet", "rate"] | None = None,
    zero_skip: bool | None = None,
    spike_matmul: Literal["single", "intersect", "left", "right"] | None = None,
    multilevel: Literal["unroll", "mac", "bitserial"] | None = None,
    unroll_levels: int | None = None,
    encode_once: bool | None = None,
    encoding: Literal["aer", "bitmap", "csr"] | None = None,
    fifo_messages: int | None = None,
    reuse: Mapping[str, float] | None = None,
    levels: Mapping[str, str] | None = None,
    interpolation: Literal["none", "linear", "loglog"] | None = None,
    time_group: int | None = None,
    address: bool | None = None,
    hops: float | None = None,
    terms: tuple[str, ...] | list[str] | None = None,
    static_mw: float | None = None,
    latency_ms: float | None = None,
) -> Report:
    """Energy of one inference: ``E = sum over layers and terms of count * price``, mean over samples.

    Args:
        trace: what happened, from :func:`trace`.
        hardware: shipped profile (:func:`list_profiles`), path of a TOML file, or a Profile.
        dataflow: how often tensors are fetched, see :mod:`snnkit.energy.dataflow`: "event" (default: every
            operation reads its weight and reads and writes its accumulator, every input is read once),
            "no_reuse", "weight_stationary", "output_stationary", "time_batched", "compulsory" (lower
            bound) or "compute" (arithmetic only).
        weight_bits, act_bits, state_bits: widths of weights (of layers that declare none by an attribute
            ``weight_bits``, as quantised ones do; of all layers if given here), real activations, and
            accumulators with membrane potentials. Default: the profile's.
        arithmetic: "float" or "int" prices. Default: the profile's, unless other widths are given that
            it does not list as floating point.
        padding: "exact" counts taps that exist; "dense" = rate x dense slots, as most published numbers.
        classify: "alphabet": ACs for spikes, MACs for reals, by the values seen; "rate": MACs for layers
            whose input is never zero, ACs for all others, as some published scripts.
        zero_skip: hardware skips zeros of real operands.
        spike_matmul: products of two activations: "single" streams the sparser operand, "left" or
            "right" the named one, "intersect" counts pairs where both are events.
        multilevel: integer operands: "unroll" into unit events up to ``unroll_levels``, "mac", or
            "bitserial": one shift and accumulation per one-bit of the value (``trace(popcounts=True)``).
        encode_once: layers before the first neuron run once if the input is the same at every step; the
            neuron then adds the stored current at every step.
        encoding: events as addresses ("aer", ceil(log2 N) bits), one bit per neuron-step ("bitmap"), or
            addresses with one row pointer per step ("csr").
        fifo_messages: size of event queues. Default: the events of one execution.
        reuse: how many operations share one access: {"w": weights, "u": accumulators and states,
            "i": inputs, "a": second operands of products}, each >= 1.
        levels: memory of a class of tensors, {"w": "dram"}; default: the smallest that holds the tensor.
        interpolation: prices between the sizes of memories: "none", "linear" or "loglog".
        time_group: steps that "time_batched" processes together. Default: all.
        address: charge index arithmetic (Lemaire et al.).
        hops: mean number of hops of an event on the network, at the "hop" price of the profile.
        terms: charge only these, see :data:`snnkit.energy.terms.TERMS`.
        static_mw, latency_ms: static power and time of one inference; both or none.
        (None: the default of the profile, else of the first name above.)

    Returns:
        A :class:`Report`; its ``assumptions`` name all of the above.

    Raises:
        InputTypeError: not a Trace. ConfigError: an option out of range, a price that the profile lacks,
            a trace without samples, ``encode_once`` for an input that changes over time. ProfileError,
            UnknownNameError: see :func:`load_profile`.

    Source: the AC/MAC convention and the memory classes follow the SNN energy literature (Lemaire et
    al., arXiv 2210.13107, for the classes); counts are exact instead of rate x FLOPs. Deviations are
    listed in ``Report.assumptions``.
    """
    if not isinstance(trace, Trace):
        raise InputTypeError(
            f"price.trace: got {type(trace).__name__}, expected the result of snnkit.energy.trace()."
        )
    options = {
        "dataflow": dataflow, "weight_bits": weight_bits, "act_bits": act_bits, "state_bits": state_bits,
        "arithmetic": arithmetic, "padding": padding, "classify": classify, "zero_skip": zero_skip,
        "spike_matmul": spike_matmul, "multilevel": multilevel, "unroll_levels": unroll_levels,
        "encode_once": encode_once, "encoding": encoding, "fifo_messages": fifo_messages, "reuse": reuse,
        "levels": levels, "interpolation": interpolation, "time_group": time_group, "address": address,
        "hops": hops, "terms": terms, "static_mw": static_mw, "latency_ms": latency_ms,
    }  # fmt: skip
    return _report(trace, make_setup(hardware, options))


def estimate(
    model: Any,
    inputs: Any,
    hardware: str | PathLike[str] | Profile = "45nm-fp32",
    *,
    T: int | None = None,
    strict: bool = False,
    **options: Any,
) -> Report:
    """``price(trace(model, inputs, T=T, strict=strict), hardware, **options)``.

    Counts popcounts if ``multilevel="bitserial"`` asks for them.

    Example:
        >>> report = estimate(net.eval(), frames, hardware="45nm-fp32")
        >>> report.total_pj, report.counterpart("ann").total_pj
    """
    serial = options.get("multilevel") == "bitserial"
    return price(trace(model, inputs, T=T, popcounts=serial, strict=strict), hardware, **options)


# -- one record at a time ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Priced:
    """A charge of a record, per inference.

    ``course``: its count over time steps. ``scale``: from the raw count of a sample to ``count``.
    ``moves``: it grows with the number of steps.
    """

    record: OpRecord
    charge: Charge
    count: float
    course: Array
    scale: float
    moves: bool


def _priced(trace: Trace, setup: Setup) -> Iterator[_Priced]:
    """Every charge of every record that the terms of the setup include."""
    n, spiking = trace.samples, setup.kind == "snn"
    steps = trace.T if spiking else 1
    first = next((i for i, r in enumerate(trace.records) if r.kind == "neuron"), len(trace.records))
    stored = spiking and setup.encode_once and trace.T > 1
    if stored and not trace.static_input:
        raise ConfigError("encode_once: the traced input changes over time. Use encode_once=False.")
    for i, record in enumerate(trace.records):
        runs = max(record.executions, 1)
        once = not spiking or (stored and i < first)
        for charge in _charges(record, setup, 1.0 if once else runs / n, stored and i == first):
            if setup.terms and charge.term not in setup.terms:
                continue
            course = np.zeros(steps)
            if once:
                total = runs if charge.feature in (EXECUTIONS, INFERENCES) else record.total(charge.feature)
                course[0] = total * charge.scale / runs
            else:
                seen = _course(record, charge.feature, n)[:steps]
                course[: len(seen)] = seen * (charge.scale / n)
            moves = not once and charge.feature != INFERENCES and runs >= n * steps
            scale = charge.scale * (n / runs if once else 1.0)
            yield _Priced(record, charge, float(course.sum()), course, scale, moves)


def _charges(record: OpRecord, setup: Setup, steps: float, stored: bool) -> Iterator[Charge]:
    if setup.profile.events:
        yield from event_charges(record, setup)
        return
    own = setup
    if setup.arithmetic == "int":  # a floating-point unit multiplies floats, however they are stored
        own = replace(setup, weight_bits=setup.stored_bits(record.weight_bits))
    yield from arithmetic(record, own)
    if setup.memory:
        yield from traffic(record, setup, steps)
    if setup.hops:
        yield from hops(record, setup)
    if stored:  # the current that was computed once is read and added at every step
        yield Charge("ac", "neuron_steps", 1.0, setup.ac)
        if setup.memory:
            size = record.total("neuron_steps") / max(record.executions, 1) * setup.state_bits / 8
            yield Charge("mem_p", "neuron_steps", 1.0, setup.access("p", setup.state_bits, size))


def _course(record: OpRecord, feature: str, samples: int) -> Array:
    """A raw count over time steps, summed over samples."""
    if feature == INFERENCES:
        return np.array([float(samples)])
    if feature != EXECUTIONS:
        return record.steps.get(feature, np.zeros(1))
    size = record.steps.get("numel_out", record.steps.get("neuron_steps", np.ones(1)))
    total = size.sum()
    return size * (record.executions / total) if total else size


def _total(trace: Trace, setup: Setup) -> float:
    priced = _priced(trace, setup)
    return math.fsum(p.count * p.charge.pj for p in priced if p.charge.pj) + _static_pj(setup)


def _static_pj(setup: Setup) -> float:
    return (setup.static_mw or 0.0) * (setup.latency_ms or 0.0) * 1e6  # mW ms = uJ


def _report(trace: Trace, setup: Setup) -> Report:
    """Price ``trace`` under checked assumptions."""
    n = trace.samples
    if n == 0:
        raise ConfigError("price: the trace holds no sample, so that there is no energy per inference.")
    steps = trace.T if setup.kind == "snn" else 1
    lines: list[Line] = []
    step_pj = {term: np.zeros(steps) for term in TERMS}
    weights: dict[Hashable, float] = {}
    unpriced: list[Uncounted] = []
    for p in _priced(trace, setup):
        record, charge = p.record, p.charge
        if charge.pj is None:
            if p.count:
                elements = round(record.total(charge.feature)) or record.executions
                why = f"hardware {setup.profile.id!r} has no price for {charge.what}"
                unpriced.append(Uncounted(record.path, charge.feature, record.calls, elements, why))
            continue
        if p.count:
            where, energy = (record.path, record.op, charge.term), p.count * charge.pj
            lines.append(Line(*where, p.count, charge.pj, energy, charge.event, p.moves))
            step_pj[charge.term] += p.course * charge.pj
        if setup.kind == "snn":
            key = (record.key, charge.feature)
            weights[key] = weights.get(key, 0.0) + p.scale * charge.pj
    if static := _static_pj(setup):
        power = (setup.static_mw or 0.0) * 1e6
        lines.append(Line("(chip)", "static", "static", setup.latency_ms or 0.0, power, static, False, True))
        step_pj["static"] += static / steps
    warnings = list(trace.warnings)
    if unpriced:
        warnings.append(f"{len(unpriced)} operations have no price in {setup.profile.id!r}, see uncounted")
    if setup.kind == "snn" and 1 < n < 30:
        warnings.append(f"{n} samples: the interval of the mean is weak below 30")
    total = trace.total.as_dict()
    operands = {r.path: r.a.name for r in trace.records if r.kind == "weight"}
    band = None
    if setup.profile.has_ranges:
        ends = (replace(setup, profile=setup.profile.at(bound)) for bound in ("low", "high"))
        low, high = (_total(trace, end) for end in ends)
        band = (low, high)
    return Report(
        kind=setup.kind,
        model=trace.model,
        hardware=setup.profile.id,
        dataflow=setup.dataflow if setup.memory else "included" if setup.profile.events else "compute",
        T=steps,
        samples=n,
        lines=tuple(lines),
        step_pj={term: tuple(map(float, values)) for term, values in step_pj.items() if values.any()},
        std_pj=trace.moments.std(weights) if setup.kind == "snn" else 0.0,
        band_pj=band,
        counts={name: total[name] / n for name in NAMES},
        operands=operands if setup.kind == "snn" else dict.fromkeys(operands, "real"),
        activity=_activity(trace) if setup.kind == "snn" else {},
        firing_rate=_firing_rate(trace) if setup.kind == "snn" else None,
        uncounted=(*trace.uncounted, *unpriced),
        warnings=tuple(warnings),
        assumptions=tuple(setup.assumptions()),
        ground=setup.ground(),
        origin=Origin(trace, setup),
    )


def _firing_rate(trace: Trace) -> float | None:
    """Spikes per neuron-step of all spiking neurons; None without any."""
    spiking = [r for r in trace.records if "spikes" in r.steps]
    updates = sum(r.total("neuron_steps") for r in spiking)
    return sum(r.total("spikes") for r in spiking) / updates if updates else None


def _activity(trace: Trace) -> dict[str, tuple[float, ...]]:
    """Weight layer -> share of nonzero inputs at every step."""
    events: dict[str, list[Array]] = {}
    for record in trace.records:
        if record.kind == "weight":
            pair = events.setdefault(record.path, [np.zeros(trace.T), np.zeros(trace.T)])
            for total, name in zip(pair, ("nnz_in", "numel_in"), strict=True):
                values = record.steps[name]
                total[: len(values)] += values
    return {path: tuple(map(float, a / np.maximum(b, 1))) for path, (a, b) in events.items()}


# -- counterparts --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Origin:
    """The trace and the assumptions of a report: what prices its counterparts."""

    trace: Trace
    setup: Setup

    def counterpart(
        self,
        kind: str,
        bits: int | Literal["auto"],
        sparsity: float,
        latency_ms: float | None,
        steps: int | None = None,
    ) -> Report:
        """See :meth:`Report.counterpart`; ``steps`` replaces T in the choice of bits."""
        choice("counterpart.kind", kind, ("ann", "qann"))
        setup = replace(self.setup, sparsity=number("counterpart.sparsity", sparsity, at_least=0, below=1))
        if setup.static_mw is not None:
            hint = "The counterpart takes another time than the SNN; it is not invented."
            setup = replace(
                setup, latency_ms=number("counterpart.latency_ms", latency_ms, at_least=0, hint=hint)
            )
        if kind not in setup.profile.twins:
            raise ConfigError(
                f"counterpart: hardware {setup.profile.id!r} is priced per synaptic event and runs no "
                "network without spikes. Compare on a profile that prices operations."
            )
        if kind == "ann":
            require(
                bits == "auto",
                "counterpart.bits",
                bits,
                '"auto" for an ANN',
                'Use kind="qann" to choose bits.',
            )
            return _report(self.trace, replace(setup, kind="ann", own_widths=False))
        width = max(1, math.ceil(math.log2((steps or self.trace.T) + 1))) if bits == "auto" else bits
        width = integer("counterpart.bits", width, 1, 64, 'Or "auto" for ceil(log2(T + 1)).')
        quantised = replace(setup, kind="qann", act_bits=width, arithmetic="int")
        result = _report(self.trace, quantised)
        if setup.arithmetic == "float" and not setup.profile.events:
            note = (
                "the quantised ANN is priced in integers, the SNN in floating point: pass weight_bits and "
                "state_bits (or an integer profile) to price() to compare like with like"
            )
            result = replace(result, warnings=(*result.warnings, note))
        return result

    def other(self, trace: Trace, bits: int | None, sparsity: float, latency_ms: float | None) -> Report:
        """Price the trace of another network, without spikes, on the same ground."""
        if not isinstance(trace, Trace):
            raise InputTypeError(
                f"Report.ann.trace: got {type(trace).__name__}, expected a Trace of the ANN."
            )
        origin = replace(self, trace=trace)
        kind, width = ("ann", "auto") if bits is None else ("qann", bits)
        return origin.counterpart(kind, width, sparsity, latency_ms)  # type: ignore[arg-type]
