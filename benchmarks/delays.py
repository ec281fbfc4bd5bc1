"""Layers with learned delays: forward and backward beside nn.Linear and the DCLS package, float32, 1 thread.

Batch 32, the gradient of the input included; 5 % of the inputs are spikes, and 50 % in one row more, where
synaptic delays are not summed event by event. Equality with DCLS is checked before anything is timed. Memory:
what a forward keeps for the backward, input and parameters excluded.

python -m benchmarks.delays          (pip install --no-deps DCLS==0.1.1)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from snnkit.interop import to_dcls
from snnkit.neurons import DelayLinear

from .harness import race, save, show

SIZES = [  # taps, steps, inputs, outputs, share of spikes
    (9, 100, 140, 256, 0.05),
    (25, 100, 140, 256, 0.05),
    (25, 100, 140, 256, 0.5),
    (61, 100, 256, 256, 0.05),
    (121, 250, 140, 256, 0.05),
]
BATCH = 32


def pass_of(layer: nn.Module, x: Tensor, forward: Callable[[Tensor], Tensor]) -> Callable[[], Tensor]:
    """One forward and backward, fresh gradients."""

    def call() -> Tensor:
        x.grad = None
        layer.zero_grad()
        out = forward(x)
        out.backward(torch.ones_like(out))
        return out

    return call


def kept(layer: nn.Module, x: Tensor, forward: Callable[[Tensor], Tensor]) -> float:
    """MB that are saved for the backward pass."""
    known = {t.untyped_storage().data_ptr() for t in (x, *layer.parameters(), *layer.buffers())}
    sizes: dict[int, int] = {}

    def pack(t: Tensor) -> Tensor:
        storage = t.untyped_storage()
        if storage.data_ptr() not in known:
            sizes[storage.data_ptr()] = storage.nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        out = forward(x)
    del out
    return sum(sizes.values()) / 2**20


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rows = []
    for taps, steps, inputs, outputs, share in SIZES:
        x = (torch.rand(steps, BATCH, inputs) < share).float().requires_grad_()
        calls: dict[str, Callable[[], Any]] = {}
        memory: dict[str, float] = {}

        def add(
            name: str,
            layer: nn.Module,
            forward: Callable[[Tensor], Tensor] | None = None,
            x: Tensor = x,
            calls: dict[str, Callable[[], Any]] = calls,
            memory: dict[str, float] = memory,
        ) -> None:
            calls[name] = pass_of(layer, x, forward or layer)
            memory[name] = kept(layer, x, forward or layer)

        add("linear", nn.Linear(inputs, outputs, bias=False))
        for kind in ("axonal", "dendritic", "separable"):
            add(kind, DelayLinear(inputs, outputs, taps - 1, kind=kind))
        for interp in ("ste", "gauss"):
            add(f"synaptic, {interp}", DelayLinear(inputs, outputs, taps - 1, kind="synaptic", interp=interp))
        gauss = DelayLinear(inputs, outputs, taps - 1, kind="synaptic", interp="gauss")
        dcls = to_dcls(gauss)

        def theirs(x: Tensor, dcls: nn.Module = dcls, taps: int = taps) -> Tensor:
            return dcls(F.pad(x.permute(1, 2, 0), (taps - 1, 0))).permute(2, 0, 1)

        error = (theirs(x) - gauss(x)).abs().max().item()
        if error > 1e-4:
            raise SystemExit(f"{taps} taps: outputs differ by {error}; not timed")
        add("DCLS", dcls, theirs)
        size = f"{taps} taps, {steps} steps, {inputs} to {outputs}, {100 * share:g} % spikes"
        seconds, over_linear = race(calls, "linear", 7)
        _, against = race({n: calls[n] for n in ("synaptic, ste", "synaptic, gauss", "DCLS")}, "DCLS", 7)
        for name in calls:
            row: dict[str, Any] = {"size": size, "layer": name}
            row["time / nn.Linear"] = over_linear.get(name, "1")
            row["time / DCLS"] = against.get(name, "1" if name == "DCLS" else "")
            row["kept for backward, MB"] = memory[name]
            rows.append(row)
            print({k: str(v) for k, v in row.items()}, flush=True)
        print(f"nn.Linear: {1e3 * seconds:.1f} ms")
    show("Forward and backward", rows)
    print(f"wrote {save('delays', rows)}")


if __name__ == "__main__":
    main()
