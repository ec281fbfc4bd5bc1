"""Batch norm + LIF in training: one operation beside torch's batch norm and a LIF layer after it.

    python -m benchmarks.norm

Forward and backward, float32, T = 4, 1 thread, snnkit.keep_memory() for all. Spikes (apart from those that
the rounding of the statistics decides) and gradients are compared before anything is timed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

import snnkit
from snnkit.layers import norm_neuron

from .harness import race, repeats_for, save, show

SHAPES = [(4, 64, 256), (4, 4096, 256), (4, 16, 64, 16, 16), (4, 16, 256, 8, 8), (4, 64, 64, 7, 7)]
Step = Callable[[Tensor], Tensor]


def contestants(channels: int, images: bool) -> dict[str, Step]:
    """Layers ``[T, B, C, ...] -> spikes``, each with a batch norm of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from spikingjelly.activation_based import functional, neuron, surrogate

    kind = nn.BatchNorm2d if images else nn.BatchNorm1d
    norms = [kind(channels) for _ in range(3)]
    lif = snnkit.LIF(tau=2.0, detach_reset=True)
    node = neuron.LIFNode(2.0, surrogate_function=surrogate.ATan(), detach_reset=True, step_mode="m")

    def spikingjelly(x: Tensor) -> Tensor:
        functional.reset_net(node)
        return node(norms[2](x.flatten(0, 1)).unflatten(0, x.shape[:2]))

    return {
        "ours": partial(norm_neuron, norms[0], lif),
        "norm, then our LIF": lambda x: lif(norms[1](x.flatten(0, 1)).unflatten(0, x.shape[:2])),
        "spikingjelly": spikingjelly,
    }


def train(layer: Step, x: Tensor, g: Tensor) -> None:
    x.grad = None
    layer(x).backward(g)


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(snnkit.keep_memory())
    rows = []
    for shape in SHAPES:
        layers = contestants(shape[2], len(shape) == 5)
        x, g = torch.randn(shape).requires_grad_(), torch.randn(shape)
        spikes, gradients = {}, {}
        for name, layer in layers.items():
            spikes[name] = layer(x).detach()
            train(layer, x, g)
            gradients[name] = x.grad
        for name in layers:
            same = (spikes[name] == spikes["ours"]).float().mean().item()
            error = (gradients[name] - gradients["ours"]).norm() / gradients["ours"].norm()
            if same < 0.99999 or error > 1e-2:
                raise SystemExit(f"{name}: {same:.6f} of the spikes agree, gradients differ by {error:.1e}")
        calls = {name: partial(train, layer, x, g) for name, layer in layers.items()}
        seconds, ratios = race(calls, "ours", repeats_for(x.numel()))
        rows.append({"shape": " x ".join(map(str, shape)), "ours ns": seconds / x.numel() * 1e9, **ratios})
    show("Batch norm + LIF, forward+backward, time of the others / ours, 1 thread", rows)
    print(f"wrote {save('norm', rows)}")


if __name__ == "__main__":
    main()
