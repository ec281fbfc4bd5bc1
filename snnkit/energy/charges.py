"""What every counted operation is charged for: arithmetic by alphabet, then memory by data-flow.

Per operation of a weight layer, K = number of operations of the alphabet of its input:

    ============== =============================================== ==========================
    input          arithmetic                                      K
    ============== =============================================== ==========================
    binary,ternary AC                                              sop
    integer        ``multilevel``: AC (unrolled into unit events), sum_abs
                   MAC,                                            sop
                   or AC + shift (bit-serial)                      sum of popcounts
    real           MAC                                             valid (sop with zero_skip)
    ============== =============================================== ==========================

A charge is linear in one raw count of the record, so that one trace gives energy, its spread over
samples and its time course. Memory is in :mod:`snnkit.energy.traffic`, chips that are known by their
price per event in :mod:`snnkit.energy.per_event`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import ConfigError
from .alphabet import Alphabet
from .assumptions import Setup
from .ledger import OpRecord

__all__ = ["EXECUTIONS", "INFERENCES", "Charge", "Work", "arithmetic", "level_bits", "work_of"]

# Two counts that every record has: how often it ran (per step, or once), and once per inference.
EXECUTIONS, INFERENCES = "executions", "inferences"


@dataclass(frozen=True, slots=True)
class Charge:
    """``scale * pj`` for every unit of the raw count ``feature``; ``pj`` None: the profile has no price.

    ``event``: the count follows the firing rate.
    """

    term: str
    feature: str
    scale: float
    pj: float | None
    what: str = ""
    event: bool = False


@dataclass(frozen=True, slots=True)
class Work:
    """The K operations of a layer: ``scale * feature``, each at ``pj``.

    Attributes:
        event: their number follows the firing rate.
        source: "a" or "b", the operand that drives them; alphabet: of that operand.
    """

    term: str
    feature: str
    scale: float
    pj: float
    event: bool
    source: str
    alphabet: Alphabet


def level_bits(alphabet: Alphabet) -> int:
    """Bits of one value: 1 if binary, 2 if ternary."""
    return math.ceil(math.log2(max(alphabet.levels, 1) + 1)) + alphabet.signed


def arithmetic(record: OpRecord, setup: Setup) -> Iterator[Charge]:
    """All charges of one operation except memory."""
    if record.kind == "neuron":
        yield from _neuron(record, setup)
    elif record.kind == "pointwise":
        yield from _pointwise(record, setup)
    else:
        work = work_of(record, setup)
        yield Charge(work.term, work.feature, work.scale, work.pj, event=work.event)
        if setup.kind == "snn":
            for alphabet in (record.a, record.b):
                if alphabet.is_event and not alphabet.unit_is_power_of_two:
                    yield Charge("scale", "numel_out", 1.0, setup.op("mul", setup.state_bits), "mul")
        if setup.address:
            yield from _address(record, setup, work)
    if record.total("bias_add"):
        yield Charge("bias", "bias_add", 1.0, setup.ac)


# -- K of weight layers and products -------------------------------------------------------------------


def work_of(record: OpRecord, setup: Setup) -> Work:
    """The operations of a weight layer or of a product of two activations."""
    if setup.kind != "snn":  # every existing slot once, with real or quantised operands
        alphabet = Alphabet("real")
        return Work("mac", "valid", 1 - setup.sparsity, setup.mac(), False, "a", alphabet)
    work = _weight(record, setup) if record.kind == "weight" else _product(record, setup)
    if work.feature not in record.steps:  # only popcounts are not always there
        where = record.path or "the model"
        raise ConfigError(
            f'multilevel="bitserial": the trace has no popcounts of {record.op} in {where}. '
            "Use trace(..., popcounts=True)."
        )
    return work


def _stream(alphabet: Alphabet, setup: Setup, side: str, pairs: str, slots: str) -> Work:
    """Operations driven by one operand."""
    if alphabet.is_spike:
        return Work("ac", pairs, 1.0, setup.ac, True, side, alphabet)
    if alphabet.is_event and setup.multilevel == "unroll" and alphabet.levels <= setup.unroll_levels:
        return Work("ac", f"abs_{side}", 1.0 / alphabet.unit, setup.ac, True, side, alphabet)
    if alphabet.is_event and setup.multilevel == "bitserial":
        return Work("ac", f"pop_{side}", 1.0, setup.shift_add, True, side, alphabet)
    if alphabet.is_event:
        return Work("mac", pairs, 1.0, setup.mac(level_bits(alphabet)), True, side, alphabet)
    count = pairs if setup.zero_skip else slots
    return Work("mac", count, 1.0, setup.mac(), False, side, alphabet)


def _weight(record: OpRecord, setup: Setup) -> Work:
    if setup.classify == "rate":
        full = record.total("nnz_in") >= record.total("numel_in")
        work = Work("mac", "valid", 1.0, setup.mac(), False, "a", record.a)
        work = work if full else Work("ac", "sop", 1.0, setup.ac, record.a.is_event, "a", record.a)
    else:
        work = _stream(record.a, setup, "a", "sop", "valid")
    if setup.padding == "exact":
        return work
    if work.feature == "valid":  # "dense": rate x dense slots, as published numbers have it
        return Work(work.term, "dense", work.scale, work.pj, work.event, "a", work.alphabet)
    reached = record.total("sop")
    fair = record.total("dense") * record.total("nnz_in") / max(record.total("numel_in"), 1)
    scale = work.scale * fair / reached if reached else work.scale
    return Work(work.term, work.feature, scale, work.pj, work.event, "a", work.alphabet)


def _product(record: OpRecord, setup: Setup) -> Work:
    a, b = record.a, record.b
    by_a = record.streams_a
    if setup.spike_matmul in ("left", "right"):
        wanted = setup.spike_matmul == "left"
        by_a = wanted if (a if wanted else b).is_event else by_a
    source = a if by_a else b
    side = "a" if by_a else "b"
    work = _stream(source, setup, side, f"pairs_{side}", "valid")
    count = work.feature
    if not source.is_event and setup.zero_skip:
        count = "pairs_ab"  # both operands nonzero
    if a.is_spike and b.is_spike:
        count = {"single": "pairs_min", "intersect": "pairs_ab"}.get(setup.spike_matmul, count)
    return Work(work.term, count, work.scale, work.pj, work.event, side, source)


# -- the rest ------------------------------------------------------------------------------------------


def _address(record: OpRecord, setup: Setup, work: Work) -> Iterator[Charge]:
    """Index arithmetic in 32 bit integers, Lemaire et al. (arXiv 2210.13107).

    Events: an addition per synaptic operation (their fan-out counts taps that do not exist; ours are
    exact), for convolutions also two multiplications per event. Dense: an addition per input and per
    output, for convolutions also one per weight of one input channel.
    """
    add, mul = (setup.profile.price(name, "int", 32) for name in ("add", "mul"))
    of_add, of_mul = (None if found is None else found[0] for found in (add, mul))
    kernel = _kernel(record)
    if work.event:
        yield Charge("address", work.feature, work.scale, of_add, "add", True)
        if kernel:
            yield Charge("address", "nnz_in", 2.0, of_mul, "mul", True)
        return
    inputs = ("numel_in",) if record.kind == "weight" else ("numel_a", "numel_b")
    for count in (*inputs, "numel_out"):
        yield Charge("address", count, 1.0, of_add, "add")
    if kernel:
        yield Charge("address", EXECUTIONS, float(kernel), of_add, "add")


def _kernel(record: OpRecord) -> int:
    """Weights that one input channel of a convolution meets; 0 for anything else."""
    if record.kind != "weight" or "conv" not in record.op:
        return 0
    shape = record.key[4][1]  # type: ignore[index]  # its signature: sizes of input and weight
    return int(shape[0] * math.prod(shape[2:]))


def _neuron(record: OpRecord, setup: Setup) -> Iterator[Charge]:
    spec = record.neuron
    if setup.kind != "snn":  # a ReLU for every neuron that fires; a read-out that integrates needs none
        if spec is None or spec.levels is not None:
            yield Charge("neuron", "neuron_steps", 1.0, setup.op("cmp"), "cmp")
        return
    if spec is None or spec.cost is None:
        return
    for name, number in (("mul", spec.cost.mul), ("add", spec.cost.add), ("cmp", spec.cost.cmp)):
        if number:
            yield Charge("neuron", "neuron_steps", number, setup.op(name), name)
    if spec.cost.spike_add:
        yield Charge("neuron", "spike_units", spec.cost.spike_add, setup.op("add"), "add", True)


def _pointwise(record: OpRecord, setup: Setup) -> Iterator[Charge]:
    prices = {"adds": "add", "muls": "mul", "cmps": "cmp", "and_ops": "and"}
    prices |= {"exps": "exp", "divs": "div", "sqrts": "sqrt"}
    for feature, name in prices.items():
        if not record.total(feature):
            continue
        sparse = feature == "adds" and "dense_adds" in record.steps
        if setup.kind != "snn":
            if feature == "and_ops":  # masks become products, binary maxima comparisons
                name = "mul" if record.op.startswith("mul") else "cmp"
            feature = "dense_adds" if sparse else feature
        yield Charge("other", feature, 1.0, setup.op(name), name, sparse and setup.kind == "snn")
