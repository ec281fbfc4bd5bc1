"""What one call of a neuron module counts: updates and spikes, by what it declares and what it sends."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .alphabet import EMPTY, Alphabet, observe
from .neuron_rules import NeuronSpec
from .rules import OpCount
from .synaptic import levels, nonzero_per_row

__all__ = ["neuron_count"]


def neuron_count(spec: NeuronSpec, x: Tensor, y: Tensor) -> tuple[OpCount, Alphabet | None, str]:
    """Counts of a call with input ``x`` and output ``y``; the declared alphabet of its spikes; a warning."""
    shape = tuple(x.shape)
    rows = math.prod(shape[:2])
    values: dict[str, Tensor | int] = {"neuron_steps": x.numel()}
    seen, declared, warning = EMPTY, None, ""
    if spec.levels is not None and y.shape == x.shape and rows:
        seen = observe(y, spec.unit)
        values["spikes"] = values["spike_units"] = nonzero_per_row(y, rows)
        if seen.is_event and seen.levels > 1:
            values["spike_units"] = levels(y.reshape(rows, -1), seen).sum(1, dtype=torch.float64)
        declared = Alphabet("uniform", seen.unit or spec.unit or 1.0, max(spec.levels, 1), spec.signed)
        if seen.kind == "real" or seen.levels > declared.levels or (seen.signed and not spec.signed):
            signed = " signed" if spec.signed else ""
            warning = (
                f"the neuron declares levels = {spec.levels}{signed}, its output is {seen.name} "
                f"with {seen.levels} levels; the output decides"
            )
        elif seen.kind == "empty":
            seen = declared
    return OpCount("neuron", values, rows, shape, shape[2:], seen), declared, warning
