"""Numbers beside energy: counts and unit-free measures of effort, each with its formula and evidence.

=================== ============================================================================
synaptic operations sum_l sop_l: (nonzero input, existing tap) pairs
macs, acs           valid slots of layers with real inputs; synaptic operations of the others
firing rate         spikes / neuron-steps, of all spiking neurons and by layer
bit budget          T b_w b_s; T, spike bits and weight bits as interchangeable resources
                    (arXiv 2311.10802); the product form is inferred, the paper was not re-read
ACE                 sum_l MAC_l b_a b_w of the network without spikes (PokeBNN, arXiv 2112.00133);
                    quoted from memory
S-ACE               sum_l T dense_l b_w b_s, dense hardware; quoted from memory
NS-ACE              sum_l sop_l b_w b_s, event hardware; quoted from memory
footprint           bytes of all parameters and buffers, as NeuroBench defines it
connection sparsity share of weights that are zero, as NeuroBench defines it
activation sparsity 1 - nonzero outputs / outputs of spiking neurons, over all steps
effective MACs, ACs operations with nonzero input and nonzero weight, by the kind of input. NeuroBench
                    classes every call by {-1, 0, 1}; here integers and scaled spikes are ACs too
membrane updates    neuron-steps. NeuroBench counts the states that changed; a neuron that is updated
                    costs energy also if its value stays
=================== ============================================================================
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from ..checks import integer
from ..errors import ConfigError, InputTypeError
from .charges import level_bits
from .ledger import OpRecord
from .trace import Trace

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["Metrics", "footprint_bytes", "metrics"]

FORMULAS = {
    "synaptic_operations": "sum_l sop_l",
    "macs": "valid slots of layers with real inputs",
    "acs": "synaptic operations of layers with event inputs",
    "firing_rate": "spikes / neuron-steps",
    "bit_budget": "T b_w b_s (product form inferred)",
    "ace": "sum_l valid_l b_a b_w, one step (quoted)",
    "s_ace": "sum_l T dense_l b_w b_s (quoted)",
    "ns_ace": "sum_l sop_l b_w b_s (quoted)",
    "activation_sparsity": "1 - nonzero / outputs of spiking neurons",
    "effective_macs": "real input and weight nonzero",
    "effective_acs": "event input and weight nonzero",
    "membrane_updates": "neuron-steps",
    "footprint_bytes": "bytes of parameters and buffers",
    "connection_sparsity": "zero weights / weights",
}


@dataclass(frozen=True, slots=True)
class Metrics:
    """Means per inference; the module has the formulas. None: not defined, or no model was given."""

    synaptic_operations: float
    macs: float
    acs: float
    firing_rate: float | None
    bit_budget: int
    ace: float
    s_ace: float
    ns_ace: float
    activation_sparsity: float | None
    effective_macs: float
    effective_acs: float
    membrane_updates: float
    footprint_bytes: int | None
    connection_sparsity: float | None
    firing_rates: Mapping[str, float]

    def to_table(self) -> Table:
        """A rich table: name, value, formula with its evidence."""
        from rich import box
        from rich.table import Table

        table = Table("metric", "per inference", "formula", box=box.SIMPLE_HEAD)
        for name, formula in FORMULAS.items():
            value = getattr(self, name)
            text = "" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"
            table.add_row(name.replace("_", " "), text, formula)
        return table


def footprint_bytes(model: nn.Module) -> int:
    """Bytes of all parameters and buffers, shared ones once (NeuroBench's footprint)."""
    tensors = {id(t): t for t in (*model.parameters(), *model.buffers())}
    return sum(t.numel() * t.element_size() for t in tensors.values())


def metrics(
    trace: Trace, model: nn.Module | None = None, *, weight_bits: int = 32, act_bits: int = 32
) -> Metrics:
    """Metrics of a trace.

    Args:
        trace: from :func:`trace`. model: for footprint and connection sparsity.
        weight_bits, act_bits: b_w, and b_a of the network without spikes and of real inputs. The bits of
            events b_s follow from their levels: 1 for spikes.

    Raises:
        InputTypeError: not a Trace, or a model that is no Module. ConfigError: bits out of range, or a
            trace without samples.
    """
    if not isinstance(trace, Trace):
        raise InputTypeError(f"metrics.trace: got {type(trace).__name__}, expected a Trace.")
    if model is not None and not isinstance(model, nn.Module):
        raise InputTypeError(f"metrics.model: got {type(model).__name__}, expected a torch.nn.Module.")
    weight_bits = integer("metrics.weight_bits", weight_bits, 1, 64)
    act_bits = integer("metrics.act_bits", act_bits, 1, 64)
    if not trace.samples:
        raise ConfigError("metrics: the trace holds no sample.")
    n = trace.samples
    layers = [r for r in trace.records if r.kind in ("weight", "product")]
    real = [r for r in layers if not _events(r)]
    driven = [r for r in layers if _events(r)]
    neurons = [r for r in trace.records if r.kind == "neuron"]
    spiking = [r for r in neurons if "spikes" in r.steps]
    updates, spikes = _sum(spiking, "neuron_steps"), _sum(spiking, "spikes")
    widest = max((_bits(r, act_bits) for r in driven), default=1)
    rates: dict[str, float] = {}
    for r in spiking:
        if r.total("neuron_steps"):
            rates[r.path] = r.total("spikes") / r.total("neuron_steps")
    return Metrics(
        synaptic_operations=math.fsum(r.total(r.stream) for r in layers) / n,
        macs=_sum(real, "valid") / n,
        acs=math.fsum(r.total(r.stream) for r in driven) / n,
        firing_rate=spikes / updates if updates else None,
        bit_budget=trace.T * weight_bits * widest,
        ace=math.fsum(r.total("valid") / max(r.executions, 1) for r in layers) * act_bits * weight_bits,
        s_ace=math.fsum(r.total("dense") * _bits(r, act_bits) for r in layers) * weight_bits / n,
        ns_ace=math.fsum(r.total(r.stream) * _bits(r, act_bits) for r in layers) * weight_bits / n,
        activation_sparsity=1 - spikes / updates if updates else None,
        effective_macs=math.fsum(r.total(_effective(r)) for r in real) / n,
        effective_acs=math.fsum(r.total(_effective(r)) for r in driven) / n,
        membrane_updates=_sum(neurons, "neuron_steps") / n,
        footprint_bytes=None if model is None else footprint_bytes(model),
        connection_sparsity=None if model is None else _connection_sparsity(model),
        firing_rates=rates,
    )


def _events(record: OpRecord) -> bool:
    return record.a.is_event or (record.kind == "product" and record.b.is_event)


def _bits(record: OpRecord, act_bits: int) -> int:
    """Bits of the operand that drives the operations."""
    if not _events(record):
        return act_bits
    return level_bits(record.a if record.kind == "weight" or record.streams_a else record.b)


def _effective(record: OpRecord) -> str:
    return "sop_w" if record.kind == "weight" else "pairs_ab"


def _sum(records: list[OpRecord], count: str) -> float:
    return math.fsum(record.total(count) for record in records)


def _connection_sparsity(model: nn.Module) -> float | None:
    """Over matrices and filters: parameters of two or more axes."""
    weights = [p for p in model.parameters() if p.ndim > 1]
    size = sum(p.numel() for p in weights)
    return 1 - sum(int(p.count_nonzero()) for p in weights) / size if size else None
