"""LIF over a whole sequence: snnkit beside spikingjelly, snntorch and norse.

    python -m benchmarks.neurons                       # kept and stock allocator, 1 and 2 threads
    python -m benchmarks.neurons --allocator kept --threads 1 [--compile]

tau 2, threshold 1, hard reset to 0, input scaled by 1/tau, arctan surrogate, reset detached, float32. Spikes
and gradients are compared before anything is timed. "kept": snnkit.keep_memory(), for all in the process.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

import snnkit

from .harness import Ratio, in_own_process, mean_ratio, race, repeats_for, save, show

GRID = [(4, 10_000), (4, 100_000), (4, 1_000_000), (16, 10_000), (16, 100_000), (16, 1_000_000)]
GRID += [(100, 10_000), (100, 100_000), (500, 10_000)]
Layer = Callable[[Tensor], Tensor]


def peers(compiled: bool) -> dict[str, Layer]:
    """Layers ``[T, B, N] -> [T, B, N]`` of the same dynamics."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import norse.torch as norse
        import snntorch
        from spikingjelly.activation_based import functional, neuron, surrogate

    node = neuron.LIFNode(2.0, surrogate_function=surrogate.ATan(), detach_reset=True, step_mode="m")
    leaky = snntorch.Leaky(0.5, reset_mechanism="zero", reset_delay=True)
    box = norse.LIFBoxCell(norse.LIFBoxParameters(tau_mem_inv=torch.tensor(500.0)))

    def spikingjelly(x: Tensor) -> Tensor:
        functional.reset_net(node)
        return node(x)

    def snntorch_loop(x: Tensor) -> Tensor:
        out, mem = [], torch.zeros_like(x[0])
        for t in range(len(x)):
            spikes, mem = leaky(x[t] / 2, mem)
            out.append(spikes)
        return torch.stack(out)

    def norse_loop(x: Tensor) -> Tensor:
        out, state = [], None
        for t in range(len(x)):
            spikes, state = box(x[t], state)
            out.append(spikes)
        return torch.stack(out)

    found = {"spikingjelly": spikingjelly, "snntorch": snntorch_loop, "norse": norse_loop}
    if compiled:
        found["spikingjelly compiled"] = torch.compile(spikingjelly)
    return found


def forward(layer: Layer, x: Tensor) -> None:
    with torch.no_grad():
        layer(x)


def forward_and_backward(layer: Layer, x: Tensor, g: Tensor) -> None:
    x.grad = None
    layer(x).backward(g)


def check(ours: Layer, others: dict[str, Layer], x: Tensor, g: Tensor) -> None:
    """Refuse to time layers that compute something else."""
    wanted = ours(x.detach())
    x.grad = None
    ours(x).backward(g)
    gradient = x.grad
    for name, layer in others.items():
        same = (layer(x.detach()) == wanted).float().mean().item()
        exact = name.startswith("spikingjelly")
        if same < (1 if exact else 0.9999):
            raise SystemExit(f"{name}: only {same:.6f} of the spikes agree; not timed")
        if exact:
            x.grad = None
            layer(x).backward(g)
            error = ((x.grad - gradient).abs().max() / gradient.abs().max()).item()
            if error > 1e-5:
                raise SystemExit(f"{name}: gradients differ by {error:.1e}; not timed")


def measure(allocator: str, threads: int, compiled: bool) -> None:
    torch.set_num_threads(threads)
    if allocator == "kept":
        print(snnkit.keep_memory())
    torch.manual_seed(0)
    ours = snnkit.LIF(tau=2.0, detach_reset=True)
    others, rows = peers(compiled), []
    for steps, neurons in GRID:
        x = (torch.randn(steps, 1, neurons) + 0.5).requires_grad_()
        g = torch.randn(x.shape)
        used = {n: f for n, f in others.items() if "compiled" not in n or steps <= 4}
        check(ours, used, x, g)
        layers, still = {"ours": ours, **used}, x.detach()
        for what, call in (("forward", forward), ("forward+backward", forward_and_backward)):
            args = (still,) if what == "forward" else (x, g)
            calls = {name: partial(call, layer, *args) for name, layer in layers.items()}
            calls["copy"] = partial(torch.clone, still)
            seconds, ratios = race(calls, "ours", repeats_for(steps * neurons))
            rows.append(
                {
                    "T": steps,
                    "N": neurons,
                    "pass": what,
                    "ours ns": seconds / (steps * neurons) * 1e9,
                    **{name: ratios.get(name, "") for name in others},
                    "clone": ratios["copy"],
                }
            )
    title = f"LIF, time of the peer / ours; allocator {allocator}, {threads} thread(s)"
    show(title, rows)
    means = {}
    for what in ("forward", "forward+backward"):
        found = [row["spikingjelly"] for row in rows if row["pass"] == what]
        means[what] = mean_ratio([r for r in found if isinstance(r, Ratio)])
    print("spikingjelly, geometric means:", {k: round(v, 1) for k, v in means.items()})
    path = save(f"neurons_{allocator}_{threads}", rows, allocator=allocator, threads=threads, means=means)
    print(f"wrote {path}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--allocator", choices=("kept", "stock"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compile", action="store_true", help="also torch.compile of spikingjelly, T = 4")
    args = parser.parse_args()
    if args.allocator:
        measure(args.allocator, args.threads, args.compile)
        return
    for allocator in ("kept", "stock"):
        for threads in (1, 2):
            in_own_process("neurons", "--allocator", allocator, "--threads", str(threads))


if __name__ == "__main__":
    main()
