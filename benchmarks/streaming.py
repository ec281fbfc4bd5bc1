"""One step at a time, batch 1: three layers Linear(n, n) + LIF, each fed spikes of a given density.

    python -m benchmarks.streaming

One thread. Ours: snnkit.StepEngine, one per layer, and snnkit.stream with and without gathered weights. The
peers run their modules step by step, with the state kept between the steps.
"""

from __future__ import annotations

import argparse
import contextlib
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import snnkit

from .harness import race, repeats_for, save, show

LAYERS, STEPS = 3, 20
Step = Callable[[Tensor], Tensor]


def contestants(linears: list[nn.Linear]) -> dict[str, list[Step]]:
    """For every library one step function ``[n] -> [n]`` for each layer."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import norse.torch as norse
        import snntorch
        from spikingjelly.activation_based import neuron

    def ours(linear: nn.Linear) -> Step:
        return snnkit.StepEngine(nn.Sequential(linear, snnkit.LIF()))

    def streamed(linear: nn.Linear) -> Step:
        session = snnkit.stream(nn.Sequential(linear, snnkit.LIF()).eval())
        return lambda x: session(x.view(1, 1, -1))[0, 0]

    def spikingjelly(linear: nn.Linear) -> Step:
        node = neuron.LIFNode(2.0, step_mode="s")
        return lambda x: node(linear(x.unsqueeze(0)))[0]

    def snntorch_step(linear: nn.Linear) -> Step:
        leaky, memory = (
            snntorch.Leaky(0.5, reset_mechanism="zero"),
            {"mem": torch.zeros(1, linear.out_features)},
        )

        def step(x: Tensor) -> Tensor:
            spikes, memory["mem"] = leaky(linear(x.unsqueeze(0)) / 2, memory["mem"])
            return spikes[0]

        return step

    def norse_step(linear: nn.Linear) -> Step:
        cell = norse.LIFBoxCell(norse.LIFBoxParameters(tau_mem_inv=torch.tensor(500.0)))
        memory: dict[str, Any] = {"state": None}

        def step(x: Tensor) -> Tensor:
            spikes, memory["state"] = cell(linear(x.unsqueeze(0)), memory["state"])
            return spikes[0]

        return step

    makers = {
        "ours": ours,
        "ours, stream": streamed,
        "spikingjelly": spikingjelly,
        "snntorch": snntorch_step,
        "norse": norse_step,
    }
    return {name: [make(linear) for linear in linears] for name, make in makers.items()}


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rows = []
    with torch.no_grad():
        for n in (256, 1024, 2048):
            linears = [nn.Linear(n, n) for _ in range(LAYERS)]
            for density in (0.01, 0.05, 0.2):
                spikes = (torch.rand(STEPS, LAYERS, n) < density).float()
                nets = contestants(linears)
                _check(nets, spikes)

                def run(steps: list[Step], spikes: Tensor = spikes) -> None:
                    for row in spikes:
                        for step, x in zip(steps, row, strict=True):
                            step(x)

                calls = {name: (lambda steps=steps: run(steps)) for name, steps in nets.items()}
                seconds, ratios = race(calls, "ours", repeats_for(STEPS * LAYERS * n * n, 9))
                rows.append({"n": n, "active": f"{density:.0%}", "ours us": 1e6 * seconds / STEPS, **ratios})
    show("three layers, one step, batch 1: time of the peer / ours, 1 thread", rows)
    print(f"wrote {save('streaming', rows)}")


def _check(nets: dict[str, list[Step]], spikes: Tensor) -> None:
    outs = {
        name: torch.stack(
            [torch.stack([step(x) for step, x in zip(steps, row, strict=True)]) for row in spikes]
        )
        for name, steps in nets.items()
    }
    for name, out in outs.items():
        same = (out == outs["ours"]).float().mean().item()
        if same < 0.9999:
            raise SystemExit(f"{name}: only {same:.6f} of the spikes agree; not timed")
    with contextlib.suppress(AttributeError):
        for engine in nets["ours"]:
            engine.reset()  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
