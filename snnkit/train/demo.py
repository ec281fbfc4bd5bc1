"""``snnkit demo``: events in, a spiking transformer trained, accuracy and energy per inference out."""

from __future__ import annotations

import json
import time
from pathlib import Path

import torch
from torch import Tensor

from .. import plot
from ..energy import Report
from ..files import write_atomically
from ..models import Backbone
from ..neurons import LIF
from .bill import by_part, energy_of, print_bill
from .callbacks import read_metrics
from .datamodule import EventData
from .evaluate import evaluate, open_model
from .rates import spike_outputs, spiking_neurons
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
    _, data = train("digits", out, overrides, resume=resume, overwrite=not resume)
    result = evaluate(out)
    low, high = result.interval
    net, _ = open_model(out)
    frames, labels = data.open("test").tensors()
    reports = energy_of(net, frames[:64])
    with torch.no_grad(), spike_outputs(net) as outputs:
        net(frames[:64].transpose(0, 1))
    rates = {path: out.mean().item() for path, out in outputs.items()}

    print_bill(reports, layers=False)
    print(
        f"\ntest accuracy {100 * result.accuracy:.2f} % ({result.correct} of {result.total}; 95 % interval "
        f"{100 * low:.1f} to {100 * high:.1f} %), mean firing rate {sum(rates.values()) / len(rates):.3f}, "
        f"{sum(p.numel() for p in net.parameters()):,} parameters, {time.perf_counter() - start:.0f} s"
    )
    _write(out, reports, result.accuracy, (low, high), rates)
    _draw(out, net, data, frames, labels, reports, rates)
    print(f"wrote {out}/: model.safetensors, config.yaml, metrics.csv, energy.json and pictures")
    return result.accuracy


def _purposes(report: Report) -> dict[str, float]:
    """Energy by purpose, all parts together."""
    total: dict[str, float] = {}
    for purposes in by_part(report).values():
        for purpose, pj in purposes.items():
            total[purpose] = total.get(purpose, 0.0) + pj
    return total


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
    with torch.no_grad(), spike_outputs(net) as outputs:
        net(frames[:1].transpose(0, 1))
    neurons = spiking_neurons(net)
    neuron = next((n for n in neurons.values() if isinstance(n, LIF)), LIF())
    x = torch.tensor([0.0, 0.9, 0.8, 0.2, 1.2, 1.5, 0.0, 0.7, 1.1, 0.0, 0.0, 1.6]).view(-1, 1, 1)
    potential, out_spikes = plot.membrane_trace(neuron, x)
    pictures = {
        "events": plot.frames(frames[0]),
        "raster": plot.raster(outputs[next(iter(neurons))][:, 0].flatten(1)),
        "membrane": plot.membrane(
            potential.flatten(), out_spikes.flatten(), threshold=float(neuron.threshold)
        ),
        "rates": plot.firing_rates(rates),
        "training": plot.training_curves(read_metrics(out / "metrics.csv")),
        "energy_parts": plot.energy_breakdown(by_part(reports["snn"])),
        "energy": plot.energy_comparison(
            {name.upper(): _purposes(report) for name, report in reports.items()}
        ),
    }
    for name, axes in pictures.items():
        plot.save(axes, out / f"{name}.png")
