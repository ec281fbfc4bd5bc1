"""``snnkit demo``: events in, a spiking transformer trained, accuracy and energy per inference out."""

from __future__ import annotations

import json
import time
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor

from .. import plot
from ..energy import Report
from ..files import write_atomically
from ..models import Backbone
from ..neurons import Neuron
from .bill import energy_of, print_comparison
from .callbacks import read_metrics
from .datamodule import EventData
from .evaluate import evaluate, open_model
from .run import train

__all__ = ["demo"]


def demo(out: Path, *, seed: int = 0, epochs: int | None = None, resume: bool = False) -> float:
    """Train the recipe "digits" into ``out``, test it, bill its energy, draw the pictures.

    Returns:
        Test accuracy.
    """
    start = time.perf_counter()
    overrides = [f"--seed_everything={seed}"]
    if epochs is not None:
        overrides.append(f"--trainer.max_epochs={epochs}")
    _, data = train("digits", out, overrides, resume=resume)
    result = evaluate(out)
    low, high = result.interval
    net, _ = open_model(out)
    frames, labels = data.open("test").tensors()
    reports = energy_of(net, frames[:64])
    rates = measure_rates(net, frames[:64].transpose(0, 1))

    console = Console()
    console.print(reports["snn"].to_table())
    print_comparison(reports, console)
    print(
        f"\ntest accuracy {100 * result.accuracy:.2f} % ({result.correct} of {result.total}; 95 % interval "
        f"{100 * low:.1f} to {100 * high:.1f} %), mean firing rate {sum(rates.values()) / len(rates):.3f}, "
        f"{sum(p.numel() for p in net.parameters()):,} parameters, {time.perf_counter() - start:.0f} s"
    )
    _write(out, reports, result.accuracy, (low, high), rates)
    _draw(out, net, data, frames, labels, reports, rates)
    print(f"wrote {out}/: model.safetensors, config.yaml, metrics.csv, energy.json and pictures")
    return result.accuracy


def measure_rates(net: Backbone, x: Tensor) -> dict[str, float]:
    """Mean output per neuron and step of every spiking layer, for ``x [T, B, P, H, W]``."""
    rates: dict[str, float] = {}
    handles = [
        module.register_forward_hook(lambda m, a, out, path=path: rates.update({path: out.mean().item()}))
        for path, module in net.named_modules()
        if isinstance(module, Neuron) and module.spike_levels is not None
    ]
    try:
        with torch.no_grad():
            net(x)
    finally:
        for handle in handles:
            handle.remove()
    return rates


def _write(
    out: Path,
    reports: dict[str, Report],
    accuracy: float,
    interval: tuple[float, float],
    rates: dict[str, float],
) -> None:
    reports["snn"].to_json(out / "energy.json")
    summary = {
        "test_accuracy": accuracy,
        "interval_95": interval,
        "energy_pj": {name: report.total_pj for name, report in reports.items()},
        "firing_rates": rates,
    }
    write_atomically(out / "summary.json", (json.dumps(summary, indent=1) + "\n").encode())


def _draw(
    out: Path,
    net: Backbone,
    data: EventData,
    frames: Tensor,
    labels: Tensor,
    reports: dict[str, Report],
    rates: dict[str, float],
) -> None:
    spikes: list[Tensor] = []
    neuron = next(m for m in net.modules() if isinstance(m, Neuron) and m.spike_levels is not None)
    handle = neuron.register_forward_hook(lambda m, a, y: spikes.append(y[:, 0].flatten(1)))
    with torch.no_grad():
        net(frames[:1].transpose(0, 1))
    handle.remove()
    x = torch.tensor([0.0, 0.9, 0.8, 0.2, 1.2, 1.5, 0.0, 0.7, 1.1, 0.0, 0.0, 1.6]).view(-1, 1, 1)
    potential, out_spikes = plot.membrane_trace(neuron, x)
    threshold = getattr(neuron, "threshold", 1.0)
    pictures = {
        "events": plot.frames(frames[0]),
        "raster": plot.raster(spikes[0]),
        "membrane": plot.membrane(potential.flatten(), out_spikes.flatten(), threshold=float(threshold)),
        "rates": plot.firing_rates(rates),
        "training": plot.training_curves(read_metrics(out / "metrics.csv")),
        "energy_layers": reports["snn"].plot("layers"),
        "energy": plot.energy_comparison({name.upper(): report.by_term for name, report in reports.items()}),
    }
    for name, axes in pictures.items():
        plot.save(axes, out / f"{name}.png")
