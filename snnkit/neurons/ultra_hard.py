"""From soft to spiking: thresholds with which the hard output of Ultra neurons fires as often as wanted."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from ..checks import number
from ..errors import require
from .ultra_base import UltraNeuron

__all__ = ["calibrate_hard_threshold"]


def calibrate_hard_threshold(
    net: nn.Module, data: Tensor | Iterable[Tensor], rate: float | None = None
) -> dict[str, float]:
    """Choose ``theta_hard`` of every Ultra neuron of ``net`` and switch them to ``output="hard"``.

    Layers are taken in the order in which they run, each with the inputs it gets from the hard layers in
    front of it, over whole sequences: the reset after a spike is part of what is counted.

    Args:
        net: a network that runs Ultra neurons, or one of them.
        data: a batch, or an iterable of batches, as ``net`` takes them. All inputs of one layer are kept at
            a time.
        rate: spikes per neuron and step that every layer should have, in (0, 1). None: the mean soft output
            of that layer, so that the layers behind it get the mean input they know.

    Returns:
        the rate that was reached, by module path, in running order. It can be off the wanted one where
        many potentials are equal, as with binary input.

    Raises:
        ConfigError: a rate out of range, no data, no Ultra neuron that runs.
    """
    if rate is not None:
        number("calibrate_hard_threshold.rate", rate, above=0, below=1)
    batches = [data] if isinstance(data, Tensor) else list(data)
    require(bool(batches), "calibrate_hard_threshold.data", data, "at least one batch")
    neurons = {path: m for path, m in net.named_modules() if isinstance(m, UltraNeuron)}
    outputs, modes = {path: m.output for path, m in neurons.items()}, [(m, m.training) for m in net.modules()]
    reached: dict[str, float] = {}
    try:
        net.eval()
        for neuron in neurons.values():
            neuron.output = "soft"
        wanted = {path: _mean(neurons[path], xs) for path, xs in _inputs(net, batches, neurons).items()}
        require(bool(wanted), "calibrate_hard_threshold.net", type(net), "a network that runs Ultra neurons")
        for path, soft in wanted.items():
            neuron = neurons[path]
            xs = _inputs(net, batches, {path: neuron})[path]
            neuron.output = "hard"
            reached[path] = _search(neuron, xs, soft if rate is None else rate)
    finally:
        for path, neuron in neurons.items():
            neuron.output = "hard" if path in reached else outputs[path]
        for module, mode in modes:
            module.training = mode
    return reached


@torch.no_grad()
def _inputs(
    net: nn.Module, batches: Iterable[Tensor], neurons: dict[str, UltraNeuron]
) -> dict[str, list[Tensor]]:
    """Every sequence that the given neurons get, in the order of their first calls."""
    seen: dict[str, list[Tensor]] = {}
    handles = [
        neuron.register_forward_pre_hook(lambda _, args, path=path: seen.setdefault(path, []).append(args[0]))
        for path, neuron in neurons.items()
    ]
    try:
        for batch in batches:
            net(batch)
    finally:
        for handle in handles:
            handle.remove()
    return seen


@torch.no_grad()
def _mean(neuron: UltraNeuron, xs: list[Tensor]) -> float:
    return sum(float(neuron.run(x)[0].double().sum()) for x in xs) / max(sum(x.numel() for x in xs), 1)


def _search(neuron: UltraNeuron, xs: list[Tensor], wanted: float) -> float:
    """Set the threshold that comes closest; the rate falls with the threshold, but for resets."""

    def rate(theta: float) -> float:
        neuron.theta_hard.fill_(theta)
        return _mean(neuron, xs)

    low, high = -1.0, 1.0
    while rate(low) < wanted and low > -1e30:
        low *= 2
    while rate(high) > wanted and high < 1e30:
        high *= 2
    tried = {low: rate(low), high: rate(high)}
    for _ in range(40):  # more halvings than float32 has digits
        middle = (low + high) / 2
        tried[middle] = rate(middle)
        low, high = (middle, high) if tried[middle] > wanted else (low, middle)
    best = min(tried, key=lambda theta: abs(tried[theta] - wanted))
    return rate(best)
