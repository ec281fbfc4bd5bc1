"""Stage 2: counts x hardware profile x data-flow -> energy in pJ per inference."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import replace
from os import PathLike
from typing import Any, Literal

from ..errors import ConfigError, InputTypeError, require
from .assumptions import Setup, make_setup
from .charges import TERMS, charges
from .counts import NAMES
from .profile import Profile
from .report import Line, Report
from .trace import Trace, Uncounted, trace

__all__ = ["estimate", "price", "twin"]


def price(
    trace: Trace,
    hardware: str | PathLike[str] | Profile = "45nm-fp32",
    *,
    dataflow: str = "event",
    weight_bits: int | None = None,
    act_bits: int | None = None,
    state_bits: int | None = None,
    arithmetic: Literal["float", "int"] | None = None,
    padding: Literal["exact", "dense"] = "exact",
    zero_skip: bool | None = None,
    spike_matmul: Literal["single", "intersect", "left", "right"] | None = None,
    multilevel: Literal["unroll", "mac"] | None = None,
    unroll_levels: int | None = None,
    encoding: Literal["aer", "bitmap"] = "aer",
    reuse: Mapping[str, float] | None = None,
) -> Report:
    """Energy of one inference: ``E = sum over layers and terms of count * price``, mean over samples.

    Args:
        trace: what happened, from :func:`trace`.
        hardware: shipped profile (:func:`list_profiles`), path of a TOML file, or a Profile.
        dataflow: "event": every operation reads its weight and reads and writes its accumulator, every
            input is read once, see :mod:`snnkit.energy.charges`; "compute": arithmetic only, no memory.
        weight_bits, act_bits, state_bits: widths of weights, real activations, and accumulators with
            membrane potentials. Default: the profile's.
        arithmetic: "float" or "int" prices. Default: the profile's, unless other widths are given that
            it does not list as floating point.
        padding: "exact" counts taps that exist; "dense" = rate x dense slots, as most published numbers.
        zero_skip: hardware skips zeros of real operands.
        spike_matmul: products of two activations: "single" streams the sparser operand, "left" or
            "right" the named one, "intersect" counts pairs where both are events.
        multilevel: integer operands: "unroll" into unit events up to ``unroll_levels``, or "mac".
        encoding: events as addresses ("aer", ceil(log2 N) bits) or one bit per neuron-step ("bitmap").
        reuse: how many operations share one access: {"w": weights, "u": accumulators and states,
            "i": inputs}, each >= 1.
        (None: the default of the profile.)

    Returns:
        A :class:`Report`; its ``assumptions`` name all of the above.

    Raises:
        InputTypeError: not a Trace. ConfigError: an option out of range, a price that the profile lacks,
            a trace without samples. ProfileError, UnknownNameError: see :func:`load_profile`.

    Source: the AC/MAC convention and the memory classes follow the SNN energy literature (Lemaire et
    al., arXiv 2210.13107, for the classes); counts are exact instead of rate x FLOPs. Deviations are
    listed in ``Report.assumptions``.
    """
    if not isinstance(trace, Trace):
        raise InputTypeError(
            f"price.trace: got {type(trace).__name__}, expected the result of snnkit.energy.trace()."
        )
    options = {
        "weight_bits": weight_bits, "act_bits": act_bits, "state_bits": state_bits, "arithmetic": arithmetic,
        "padding": padding, "zero_skip": zero_skip, "spike_matmul": spike_matmul, "multilevel": multilevel,
        "unroll_levels": unroll_levels, "encoding": encoding, "reuse": reuse,
    }  # fmt: skip
    return apply(trace, make_setup(hardware, dataflow, options))


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

    Example:
        >>> report = estimate(net.eval(), frames, hardware="45nm-fp32")
        >>> report.total_pj, report.counterpart("ann").total_pj
    """
    return price(trace(model, inputs, T=T, strict=strict), hardware, **options)


def apply(trace: Trace, setup: Setup) -> Report:
    """Price ``trace`` under checked assumptions."""
    n = trace.samples
    if n == 0:
        raise ConfigError("price: the trace holds no sample, so that there is no energy per inference.")
    steps = trace.T if setup.kind == "snn" else 1
    lines: list[Line] = []
    step_pj = {term: [0.0] * steps for term in TERMS}
    weights: dict[Hashable, float] = {}
    unpriced: list[Uncounted] = []
    for record in trace.records:
        for charge in charges(record, setup):
            count = record.total(charge.feature) * charge.scale
            if setup.kind == "snn":
                count /= n
            if charge.pj is None:
                elements = round(record.total(charge.feature))
                why = f"hardware {setup.profile.id!r} has no price for {charge.what}"
                if elements:
                    unpriced.append(Uncounted(record.path, charge.feature, record.calls, elements, why))
                continue
            if not count:
                continue
            lines.append(Line(record.path, record.op, charge.term, count, charge.pj, count * charge.pj))
            if setup.kind == "snn":
                factor = charge.scale * charge.pj
                for t, value in enumerate(record.steps[charge.feature]):
                    step_pj[charge.term][t] += float(value) * factor / n
                key = (record.key, charge.feature)
                weights[key] = weights.get(key, 0.0) + factor
            else:
                step_pj[charge.term][0] += count * charge.pj
    warnings = list(trace.warnings)
    if unpriced:
        warnings.append(f"{len(unpriced)} operations have no price in {setup.profile.id!r}, see uncounted")
    total = trace.total.as_dict()
    operands = {r.path: r.a.name for r in trace.records if r.kind == "weight"}
    return Report(
        kind=setup.kind,
        model=trace.model,
        hardware=setup.profile.id,
        dataflow=setup.dataflow,
        T=steps,
        samples=n,
        lines=tuple(lines),
        step_pj={term: tuple(values) for term, values in step_pj.items() if any(values)},
        std_pj=trace.moments.std(weights) if setup.kind == "snn" else 0.0,
        counts={name: total[name] / n for name in NAMES},
        operands=operands if setup.kind == "snn" else dict.fromkeys(operands, "real"),
        uncounted=(*trace.uncounted, *unpriced),
        warnings=tuple(warnings),
        assumptions=tuple(setup.assumptions()),
        origin=(trace, setup),
    )


def twin(
    report: Report,
    kind: Literal["ann", "qann"],
    *,
    bits: int | Literal["auto"] = "auto",
    sparsity: float = 0.0,
) -> Report:
    """The network without spikes that ``report`` is to be compared with, see :meth:`Report.counterpart`."""
    if report.origin is None:
        raise ConfigError(
            "Report.counterpart: this report was read from a file and has no counts. Price the trace again."
        )
    trace, setup = report.origin
    require(kind in ("ann", "qann"), "counterpart.kind", kind, '"ann" or "qann"')
    ok = isinstance(sparsity, (int, float)) and 0 <= sparsity < 1
    require(ok, "counterpart.sparsity", sparsity, "a share of zero activations in [0, 1)")
    if kind == "ann":
        require(
            bits == "auto", "counterpart.bits", bits, '"auto" for an ANN', 'Use kind="qann" to choose bits.'
        )
        return apply(trace, replace(setup, kind="ann", sparsity=float(sparsity)))
    width = max(1, math.ceil(math.log2(trace.T + 1))) if bits == "auto" else bits
    ok = isinstance(width, int) and not isinstance(width, bool) and 1 <= width <= 64
    require(ok, "counterpart.bits", bits, 'an integer from 1 to 64, or "auto" for ceil(log2(T + 1))')
    quantised = replace(setup, kind="qann", act_bits=width, arithmetic="int", sparsity=float(sparsity))
    result = apply(trace, quantised)
    if setup.arithmetic == "float":
        note = (
            "the quantised ANN is priced in integers, the SNN in floating point: pass weight_bits and "
            "state_bits (or an integer profile) to price() to compare like with like"
        )
        result = replace(result, warnings=(*result.warnings, note))
    return result
