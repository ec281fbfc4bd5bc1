"""Linear(n, n) + LIF, batch 16, T = 500, as in the comparison of Open Neuromorphic: time and peak memory.

    python -m benchmarks.open_neuromorphic [--n 512] [--dtype float32]

tau 2, threshold 1, hard reset, arctan surrogate, reset detached; input density 0.1; backward to the
weights. Peak memory is that of a process of its own for every library, beyond what it held when warm.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

import snnkit

from .harness import race, save, show
from .neurons import peers

STEPS, BATCH = 500, 16


def networks(n: int, dtype: torch.dtype) -> dict[str, Callable[[Tensor], Tensor]]:
    """The same linear layer in front of every library's LIF."""
    linear = nn.Linear(n, n).to(dtype)
    lif = snnkit.LIF(tau=2.0, detach_reset=True)
    layers = {"ours": lif, **peers(compiled=False)}
    return {name: _Net(linear, layer) for name, layer in layers.items()}


class _Net:
    def __init__(self, linear: nn.Linear, layer: Callable[[Tensor], Tensor]) -> None:
        self.linear, self.layer = linear, layer

    def __call__(self, x: Tensor) -> Tensor:
        return self.layer(self.linear(x))


def train(net: _Net, x: Tensor, g: Tensor) -> None:
    net.linear.zero_grad()
    net(x).backward(g)


def infer(net: _Net, x: Tensor) -> None:
    with torch.no_grad():
        net(x)


def data(n: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return (torch.rand(STEPS, BATCH, n) < 0.1).to(dtype), torch.randn(STEPS, BATCH, n).to(dtype)


def peak_memory(name: str, n: int, dtype: str) -> float:
    """MB beyond the warm process, measured in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.open_neuromorphic", "--memory-of", name]
    out = subprocess.run(
        [*command, "--n", str(n), "--dtype", dtype], check=True, capture_output=True, text=True
    )
    return float(json.loads(out.stdout.splitlines()[-1]))


def _memory_of(name: str, n: int, dtype: torch.dtype) -> None:
    x, g = data(n, dtype)
    net = networks(n, dtype)[name]
    train(net, x[:2], g[:2])  # imports, thread pools, the gradient of the weights
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = _status("VmRSS")
    train(net, x, g)
    print(json.dumps((_status("VmHWM") - before) / 1024))


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key + ":"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=512)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    args = parser.parse_args()
    dtype = getattr(torch, args.dtype)
    torch.set_num_threads(1)
    if args.memory_of:
        _memory_of(args.memory_of, args.n, dtype)
        return
    x, g = data(args.n, torch.float32)
    nets = networks(args.n, torch.float32)
    wanted = nets["ours"](x)
    for name, net in nets.items():
        same = (net(x) == wanted).float().mean().item()
        if same < (1 if name == "spikingjelly" else 0.999):
            raise SystemExit(f"{name}: only {same:.6f} of the spikes agree; not timed")
    fast = networks(args.n, dtype)["ours"]  # the peers stay in float32, as they are published
    nets = {"ours": fast, **{name: net for name, net in nets.items() if name != "ours"}}
    rows = []
    for what in ("forward", "forward+backward"):
        calls = {}
        for name, net in nets.items():
            own = x.to(dtype) if name == "ours" else x
            grad = g.to(dtype) if name == "ours" else g
            calls[name] = partial(infer, net, own) if what == "forward" else partial(train, net, own, grad)
        seconds, ratios = race(calls, "ours", 7)
        rows.append({"pass": what, "ours ms": 1e3 * seconds, **ratios})
    show(f"Linear({args.n}, {args.n}) + LIF, ours in {args.dtype}, time of the peer / ours, 1 thread", rows)
    memory = {
        name: peak_memory(name, args.n, args.dtype if name == "ours" else "float32")
        for name in ("ours", "spikingjelly")
    }
    ratio = memory["ours"] / memory["spikingjelly"]
    print(f"peak memory of forward+backward: {memory} MB; ours / spikingjelly {ratio:.2f}")
    path = save(f"open_neuromorphic_{args.n}_{args.dtype}", rows, n=args.n, memory_mb=memory)
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
