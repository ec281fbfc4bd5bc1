"""The energy of one inference of a model, beside its twins, as the command line prints it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from rich.console import Console
from torch import Tensor, nn

from ..checks import choice, integer
from ..data import time_first
from ..energy import PICTURES, Report, Trace, load_profile, price, trace
from ..energy import metrics as metrics_of
from ..errors import require
from ..files import write_atomically
from ..models import Backbone, create_model
from ..quant import measure_norms
from .evaluate import open_data, open_model

__all__ = ["by_part", "energy_bill", "energy_of", "print_bill", "settle_norms", "trace_of"]

Twin = Literal["ann", "qann"]
_NAMES = {"ann": "as an ANN", "qann": "as a quantised ANN"}


def energy_of(
    net: Backbone,
    frames: Tensor,
    *,
    hardware: str = "45nm-fp32",
    dataflow: str | None = None,
    twins: Sequence[Twin] = ("ann", "qann"),
) -> dict[str, Report]:
    """Reports by name, "snn" first, for ``frames [N, T, P, H, W]``; energies are means per sample."""
    report = price(trace_of(net, frames), hardware=hardware, dataflow=dataflow)
    return {"snn": report, **{twin: report.counterpart(twin) for twin in twins}}


def trace_of(net: nn.Module, frames: Tensor, *, preprocessing: bool = False) -> Trace:
    """Counts of ``net`` on ``frames [N, T, P, H, W]`` or clouds ``[N, points, D]``."""
    net.eval()
    batches = (time_first(part) for part in frames.split(16))
    return trace(net, batches, T=None if frames.ndim == 3 else frames.shape[1], preprocessing=preprocessing)


def settle_norms(net: nn.Module, frames: Tensor) -> None:
    """Batch norms take mean and variance from ``frames [N, T, P, H, W]`` or clouds, as in training.

    A fresh network normalises nothing: its deeper neurons stay silent.
    """
    measure_norms(net, (time_first(part) for part in frames.split(16)))
    net.eval()


def energy_bill(
    *,
    checkpoint: str | None,
    model: str | None,
    data: str | None,
    samples: int,
    hardware: str,
    dataflow: str | None,
    twins: Sequence[Twin] | None,
    metrics: bool,
    preprocessing: bool = False,
    files: Mapping[str, str | None],
    picture: str,
) -> dict[str, Report]:
    """Trace test samples, price them, print the tables and write the files asked for.

    ``preprocessing``: with sampling and neighbour search of clouds.
    ``files``: "json", "csv", "markdown", "plot" -> path. ``twins``: None for all that the hardware can run.
    """
    integer("--samples", samples)
    for option, path in files.items():  # now, not after the work
        ok = path is None or (Path(path).parent.is_dir() and not Path(path).is_dir())
        require(ok, f"--{option}", path, "a file in a folder that exists")
    choice("--picture", picture, PICTURES)
    if twins is None:
        twins = load_profile(hardware).twins
    if checkpoint is not None:
        net, described = open_model(checkpoint)
        source = open_data(described, data)
    else:
        source = open_data({}, data)
        size = {"img_size": source.img_size, "in_channels": source.in_channels}
        net = create_model(str(model), num_classes=source.num_classes, **size)
    frames = source.tensors()[0][:samples]
    if checkpoint is None:
        settle_norms(net, frames)
    counted = trace_of(net, frames, preprocessing=preprocessing)
    report = price(counted, hardware=hardware, dataflow=dataflow)
    reports: dict[str, Report] = {"snn": report, **{twin: report.counterpart(twin) for twin in twins}}
    print_bill(reports)
    if metrics:
        Console().print(metrics_of(counted, net).to_table())
    if model is not None:
        print(
            f"{model} is not trained: its weights are fresh, its norms fit these samples. A trained network "
            "fires at other rates and needs another energy: snnkit train, then --checkpoint."
        )
    if not twins and load_profile(hardware).events:
        print(f"{hardware} runs networks of spikes only: nothing to compare with.")
    for option, path in files.items():
        if path:
            _write(option, Path(path), reports, picture)
            print(f"wrote {path}")
    return reports


def _write(option: str, path: Path, reports: dict[str, Report], picture: str) -> None:
    own, *others = reports.values()
    if option == "json":
        own.to_json(path)
    elif option == "csv":
        own.to_csv(path)
    elif option == "markdown":
        write_atomically(path, own.to_markdown(*others).encode())
    else:
        from ..plot import save

        save(own.plot(picture), path)  # type: ignore[arg-type]


def by_part(report: Report) -> dict[str, dict[str, float]]:
    """Energy by part of a backbone (stem stage, attention, MLP, head) and purpose, in pJ."""
    purposes = {
        "synapses": ("ac", "mac", "bias", "scale"),
        "neurons": ("neuron",),
        "weight reads": ("mem_w",),
        "sums, states": ("mem_p", "mem_u"),
    }
    of_term = {term: purpose for purpose, terms in purposes.items() for term in terms}
    parts: dict[str, dict[str, float]] = {}
    for line in report.lines:
        names = line.layer.split(".")
        part = ".".join(names[: 4 if names[0] == "embeds" else 3 if names[0] == "blocks" else 1]) or "model"
        purpose = of_term.get(line.term, "other")
        inside = parts.setdefault(part, {})
        inside[purpose] = inside.get(purpose, 0.0) + line.pj
    return {part: terms for part, terms in parts.items() if sum(terms.values()) > 0}


def print_bill(reports: dict[str, Report], layers: bool = True) -> None:
    """Energy table of the network and its twins, with one sentence on what the numbers say."""
    own, *twins = reports.values()
    Console().print(own.to_table(*twins, layers=layers))
    for twin, name in zip(twins, [n for n in reports if n != "snn"], strict=True):
        ratio = twin.total_pj / own.total_pj
        print(
            f"{_NAMES[name]}, same layers and data-flow: {ratio:.2f} times the energy of the spiking network"
        )
        if own.firing_rate:
            print(f"  the spiking network needs less energy {own.break_even(twin)}")
        else:
            print("  no neuron fired: there is no break-even rate")
