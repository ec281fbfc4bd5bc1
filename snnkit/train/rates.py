"""What the spiking neurons of a network put out while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from ..neurons import Neuron

__all__ = ["as_events", "spike_outputs", "spiking_neurons"]


def spiking_neurons(net: nn.Module) -> dict[str, Neuron]:
    """Module path -> neuron, for every neuron whose output is spikes or counts of spikes."""
    return {
        path: module
        for path, module in net.named_modules()
        if isinstance(module, Neuron) and module.spike_levels is not None
    }


def as_events(neuron: Neuron, out: Tensor) -> Tensor:
    """How many single spikes, of either sign, each output stands for; differentiable."""
    out = out.abs() if neuron.signed else out
    unit = neuron.spike_unit
    return out if isinstance(unit, float) and unit == 1 else out / unit


@contextmanager
def spike_outputs(net: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Collect the last output ``[T, B, *]`` of every spiking neuron by module path, with its graph.

    Outputs are given in spikes, see :func:`as_events`.

    The hooks are removed on leaving, also after an exception.
    """
    outputs: dict[str, Tensor] = {}

    def keep(path: str, neuron: Neuron, out: Tensor) -> None:
        outputs[path] = as_events(neuron, out)

    handles = [
        module.register_forward_hook(lambda m, args, out, path=path: keep(path, m, out))
        for path, module in spiking_neurons(net).items()
    ]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()
