"""Who fires, and how often: the first thing to look at in a network that does not learn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..neurons import Neuron

__all__ = ["Activity", "activity"]


@dataclass(frozen=True)
class Activity:
    """What one neuron layer put out.

    Attributes:
        path: module path in the network.
        role: last name of the path that is not a number, as "attn" or "neuron".
        rate: mean output per neuron and step in units of one spike.
        active: share of neurons (over all samples) with a spike in any step.
        steps, neurons: T, and neurons per sample.
    """

    path: str
    role: str
    rate: float
    active: float
    steps: int
    neurons: int

    @property
    def silent(self) -> bool:
        """No spike at all: nothing behind this layer depends on the input through it."""
        return self.active == 0.0

    @property
    def saturated(self) -> bool:
        """Every neuron spikes in every step as much as it can: the output is constant."""
        return self.rate >= self._ceiling

    _ceiling: float = float("inf")


def activity(net: nn.Module, x: Tensor, **arguments: Any) -> list[Activity]:
    """Firing of every neuron layer of ``net`` for the input ``x``, in the order of their calls.

    Args:
        net: any module with snnkit neurons. Its mode (training or evaluation) is kept; buffers are not
        changed.
        x, arguments: what the network is called with.

    Look at it in training mode, or once batch norms have seen data: in evaluation, a fresh network normalises
    nothing. An attention that is silent (saturated) needs a larger (smaller) ``scale``; sizes that are so as
    they were published have one in ``model_info(name).lively``.

    Example:
        >>> net = snnkit.create_model("sdt_test")
        >>> rows = snnkit.models.activity(net, torch.rand(4, 2, 2, 16, 16))
        >>> rows[0].path, rows[0].silent
        ('embeds.0.convs.0.neuron', False)
    """
    rows: list[Activity] = []
    paths = {module: path for path, module in net.named_modules() if isinstance(module, Neuron)}

    def record(neuron: Neuron, _: Any, out: Tensor) -> None:
        unit = float(torch.as_tensor(neuron.spike_unit).mean()) if neuron.spike_levels else 1.0
        counts = out.detach().float() / unit
        path = paths[neuron]
        role = next((part for part in reversed(path.split(".")) if not part.isdigit()), path)
        ceiling = float(neuron.spike_levels or "inf")
        rows.append(
            Activity(
                path,
                role,
                counts.mean().item(),
                (counts != 0).any(0).float().mean().item(),
                out.shape[0],
                out[0, 0].numel(),
                ceiling,
            )
        )

    handles = [neuron.register_forward_hook(record) for neuron in paths]
    try:
        with torch.no_grad(), _kept_buffers(net):
            net(x, **arguments)
    finally:
        for handle in handles:
            handle.remove()
    return rows


@contextmanager
def _kept_buffers(net: nn.Module) -> Iterator[None]:
    before = {name: buffer.clone() for name, buffer in net.named_buffers()}
    try:
        yield
    finally:
        for name, buffer in net.named_buffers():
            buffer.copy_(before[name])
