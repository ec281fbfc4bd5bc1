"""What the spiking neurons of a network put out while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from ..neurons import Neuron

__all__ = ["spike_outputs", "spiking_neurons"]


def spiking_neurons(net: nn.Module) -> dict[str, Neuron]:
    """Module path -> neuron, for every neuron whose output is spikes or counts of spikes."""
    return {
        path: module
        for path, module in net.named_modules()
        if isinstance(module, Neuron) and module.spike_levels is not None
    }


@contextmanager
def spike_outputs(net: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Collect the last output ``[T, B, *]`` of every spiking neuron, with its graph, by module path.

    The hooks are removed on leaving, also after an exception.
    """
    outputs: dict[str, Tensor] = {}

    def keep(path: str, out: Tensor) -> None:
        outputs[path] = out

    handles = [
        module.register_forward_hook(lambda m, args, out, path=path: keep(path, out))
        for path, module in spiking_neurons(net).items()
    ]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()
