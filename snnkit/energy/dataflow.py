"""Data-flow presets: how often each class of tensor is fetched. One row per preset.

The same row prices the spiking network and the network it is compared with. K operations of a layer
(synaptic operations of events, slots of reals), R_w, R_u, R_i, R_a reuse factors:

    ============ ==================================================================================
    weights      operation: one read per operation / R_w      slot: one per existing tap / R_w
                 tensor: every weight once per inference      fit: the same, but once per step if no
                 bounded memory holds them                    group: once per tap that any of T_g steps
                                                              uses / R_w
    sums         operation: a read and a write per operation / R_u     slot: per existing tap / R_u
                 register: accumulators never leave the processing element
    states       step: a read and a write per neuron-step / R_u        group: per T_g steps / R_u
    inputs       event: every event, or real value, once / R_i         slot: per existing tap / R_i
    ============ ==================================================================================

"slot" flows visit every position, silent ones too, and read one bit (or the bits of one value) there:
their traffic does not shrink with the firing rate. Second operands of activation products follow the
rule of the weights, read anew at every execution, / R_a.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["FLOWS", "DataFlow"]


@dataclass(frozen=True, slots=True)
class DataFlow:
    """One preset; the table of the module explains the words. ``text`` is its line in reports."""

    text: str
    weights: Literal["operation", "slot", "tensor", "fit", "group"] = "operation"
    sums: Literal["operation", "slot", "register"] = "operation"
    states: Literal["step", "group"] = "step"
    inputs: Literal["event", "slot"] = "event"
    factors: frozenset[str] = frozenset("wuia")  # reuse factors that have a meaning here
    memory: bool = True


FLOWS = {
    "event": DataFlow(
        "per operation one weight read and one read and write of the accumulator, every input read once"
    ),
    "no_reuse": DataFlow(
        "per operation one weight read and one read and write of the accumulator, nothing shared",
        factors=frozenset(),
    ),
    "weight_stationary": DataFlow(
        "each weight read once per inference (per step if no bounded memory holds it), an input read and "
        "an accumulator read and written for every existing tap",
        weights="fit",
        sums="slot",
        inputs="slot",
        factors=frozenset("ui"),
    ),
    "output_stationary": DataFlow(
        "accumulators stay in registers, a weight and an input read for every existing tap",
        weights="slot",
        sums="register",
        inputs="slot",
    ),
    "time_batched": DataFlow(
        "a weight read once for all steps of a group that use it (upper bound: no more often than events, "
        "nor than taps of one step), accumulators and states in registers within the group",
        weights="group",
        sums="register",
        states="group",
    ),
    "compulsory": DataFlow(
        "every tensor once, states once per step: a lower bound",
        weights="tensor",
        sums="register",
        factors=frozenset(),
    ),
    "compute": DataFlow("compute only: memory traffic is not included", factors=frozenset(), memory=False),
}
