"""What counting operations costs, over the plain forward, beside the counters of spikingjelly.

    python -m benchmarks.energy_overhead [--repeats 7]

One batch of 8 samples in T = 4 steps under no_grad, calls interleaved, one thread. Ratios are time over the
time of the forward in the same round. "SynOp" counts products of spikes only; "SynOp, AC, MAC, memory" are
the counters that its energy profilers need; a trace of snnkit counts all of these and follows alphabets.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from snnkit.energy import trace
from snnkit.models import create_model

from .harness import race, save, show

T, BATCH = 4, 8


def transformer(name: str, channels: int, size: int) -> tuple[nn.Module, Tensor]:
    x = torch.rand(T, BATCH, channels, size, size)
    return create_model(name).eval(), x if channels == 3 else (x < 0.3).float()


def spikingjelly_convolutions() -> tuple[nn.Module, Tensor]:
    """Five convolutions with norms and LIF neurons, multi-step, as its users write them."""
    from spikingjelly.activation_based import functional, layer, neuron

    widths, parts = [2, 64, 128, 128, 256, 256], []
    for i, (cin, cout) in enumerate(pairwise(widths)):
        parts += [
            layer.Conv2d(cin, cout, 3, padding=1, bias=False),
            layer.BatchNorm2d(cout),
            neuron.LIFNode(),
        ]
        parts += [layer.MaxPool2d(2)] if i in (1, 3) else []
    net = nn.Sequential(*parts, layer.AdaptiveAvgPool2d(1), layer.Flatten(), layer.Linear(256, 10)).eval()
    functional.set_step_mode(net, "m")
    return net, (torch.rand(T, BATCH, 2, 32, 32) < 0.2).float()


NETWORKS: dict[str, Callable[[], tuple[nn.Module, Tensor]]] = {
    "spikformer_cifar_4_256": lambda: transformer("spikformer_cifar_4_256", 3, 32),
    "sdt_cifar_2_256": lambda: transformer("sdt_cifar_2_256", 3, 32),
    "spikingjelly, 5 convolutions": spikingjelly_convolutions,
    "spikformer_test (micro)": lambda: transformer("spikformer_test", 2, 16),
}


def peers() -> dict[str, Callable[[], list[Any]]]:
    """Sets of spikingjelly's counters."""
    from spikingjelly.activation_based import op_counter as jelly

    return {
        "SynOp": lambda: [jelly.SynOpCounter()],
        "SynOp, AC, MAC, memory": lambda: [
            jelly.SynOpCounter(),
            jelly.ACCounter(),
            jelly.MACCounter(),
            jelly.MemoryAccessCounter(),
        ],
    }


def calls_for(net: nn.Module, x: Tensor) -> dict[str, Callable[[], Any]]:
    from spikingjelly.activation_based import functional
    from spikingjelly.activation_based.op_counter import DispatchCounterMode

    def forward() -> None:
        functional.reset_net(net)
        net(x)

    def counted(make: Callable[[], list[Any]]) -> None:
        functional.reset_net(net)
        with DispatchCounterMode(make()):
            net(x)

    def traced() -> None:
        functional.reset_net(net)
        trace(net, x, T=T)

    calls: dict[str, Callable[[], Any]] = {"forward": forward, "snnkit trace": traced}
    return calls | {name: lambda make=make: counted(make) for name, make in peers().items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=7)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    for name, make in NETWORKS.items():
        torch.manual_seed(0)
        net, x = make()
        with torch.no_grad():
            seconds, ratios = race(calls_for(net, x), "forward", args.repeats)
        rows.append({"network": name, "forward, ms": 1e3 * seconds, **ratios})
    show(f"time over the forward (median and range of {args.repeats}), T = {T}, batch {BATCH}", rows)
    print(f"wrote {save('energy_overhead', rows, T=T, batch=BATCH, repeats=args.repeats)}")


if __name__ == "__main__":
    main()
