"""What rounding does to learned delays: a task of exact times, solved with every interpolation.

Of 16 inputs, the second half fires 4y steps after the first half; the class is y = 0..5. Onsets are random,
spikes jitter by a step, a tenth of them is missing. 32 hidden neurons, no memory but delays (tau 1.005) or a
little (tau 2). Accuracy with rounded delays, as evaluation has them, and with fractional ones, as training.

python -m benchmarks.delay_rounding
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from snnkit import LIF, PerStep
from snnkit.neurons import (
    DelayLinear,
    SigmaSchedule,
    delay_param_groups,
    fractional_delays,
    project_delays,
)
from snnkit.surrogate import ATan

from .harness import save, show

STEPS, GROUP, CLASSES, MAX_DELAY = 50, 8, 6, 24
MODES: dict[str, dict[str, Any]] = {
    "no delay": {"max_delay": 0, "interp": "fixed"},
    "fixed random": {"interp": "fixed"},
    "gauss, narrow": {"interp": "gauss", "sigma": 0.5},
    "gauss": {"interp": "gauss", "narrowing": True},
    "gauss, frozen at 3/4": {"interp": "gauss", "narrowing": True, "freeze": True},
    "ste": {"interp": "ste", "narrowing": True},
}


def recordings(number: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """``[T, N, 16]`` spikes and labels."""
    y = torch.randint(CLASSES, (number,), generator=generator)
    onset = torch.randint(STEPS - 4 * (CLASSES - 1) - MAX_DELAY - 2, (number,), generator=generator)
    t = onset[:, None] + torch.randint(2, (number, 2 * GROUP), generator=generator)
    t[:, GROUP:] += 4 * y[:, None]
    x = F.one_hot(t, STEPS).permute(2, 0, 1).float()
    return x * (torch.rand(number, 2 * GROUP, generator=generator) > 0.1), y


class Net(nn.Module):
    """Delays, batch norm, LIF, linear read-out of the spike counts."""

    def __init__(self, tau: float, hidden: int = 32, max_delay: int = MAX_DELAY, **delays: Any) -> None:
        super().__init__()
        self.delays = DelayLinear(2 * GROUP, hidden, max_delay, kind="synaptic", **delays)
        self.norm = PerStep(nn.BatchNorm1d(hidden))
        self.neuron = LIF(tau, decay_input=False, detach_reset=True, surrogate=ATan(5.0))
        self.readout = nn.Linear(hidden, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """``[T, B, 16]`` -> logits ``[B, 6]``."""
        return self.readout(self.neuron(self.norm(self.delays(x))).sum(0))


def accuracy(net: Net, x: Tensor, y: Tensor) -> float:
    net.eval()
    with torch.no_grad():
        return (net(x).argmax(-1) == y).float().mean().item()


def train(
    mode: str, tau: float, seed: int, *, epochs: int = 40, samples: int = 800, batch: int = 50
) -> tuple[float, float]:
    """Accuracy with rounded and with fractional delays after training."""
    settings = dict(MODES[mode])
    narrowing, freeze = settings.pop("narrowing", False), settings.pop("freeze", False)
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    x, y = recordings(samples, generator)
    test = recordings(600, generator)
    net = Net(tau, **settings)
    optimizer = torch.optim.Adam(delay_param_groups(net, 5e-3, delay_lr=0.1))
    project_delays(net, optimizer)
    rates = [group["lr"] for group in optimizer.param_groups]
    sigma = SigmaSchedule(net, max(epochs // 2, 1)) if narrowing else None
    for epoch in range(epochs):
        if freeze and epoch == epochs * 3 // 4:
            net.delays.freeze()
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            if group["name"] == "delays":
                group["lr"] = rate * (1 + torch.cos(torch.tensor(epoch / epochs * torch.pi)).item()) / 2
        net.train()
        for index in torch.randperm(samples, generator=generator).split(batch):
            optimizer.zero_grad()
            F.cross_entropy(net(x[:, index]), y[index]).backward()
            optimizer.step()
        if sigma is not None:
            sigma.step()
    rounded = accuracy(net, *test)
    with fractional_delays():
        return rounded, accuracy(net, *test)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=40)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for mode in MODES:
        row: dict[str, Any] = {"mode": mode}
        for tau in (1.005, 2.0):
            runs = [train(mode, tau, seed, epochs=args.epochs) for seed in range(args.seeds)]
            rounded, fractional = (100 * sum(r) / len(r) for r in zip(*runs, strict=True))
            row |= {f"tau {tau:g}: rounded %": rounded, f"tau {tau:g}: fractional %": fractional}
        rows.append(row)
        print(row, flush=True)
    show("Test accuracy, mean over seeds", rows)
    print(f"wrote {save('delay_rounding', rows, seeds=args.seeds, epochs=args.epochs)}")


if __name__ == "__main__":
    main()
