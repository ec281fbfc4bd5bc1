"""The energy of one inference of a model, beside its twins, as the command line prints it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from rich.console import Console
from torch import Tensor

from ..checks import integer
from ..energy import Report, price, trace
from ..errors import require
from ..models import Backbone, create_model
from .evaluate import open_data, open_model

__all__ = ["by_part", "energy_bill", "energy_of", "print_bill"]

Twin = Literal["ann", "qann"]
_NAMES = {"ann": "as an ANN", "qann": "as a quantised ANN"}


def energy_of(
    net: Backbone, frames: Tensor, *, hardware: str = "45nm-fp32", twins: Sequence[Twin] = ("ann", "qann")
) -> dict[str, Report]:
    """Reports by name, "snn" first, for ``frames [N, T, P, H, W]``; energies are means per sample."""
    net.eval()
    batches = (part.transpose(0, 1) for part in frames.split(16))
    report = price(trace(net, batches, T=frames.shape[1]), hardware=hardware)
    return {"snn": report, **{twin: report.counterpart(twin) for twin in twins}}


def energy_bill(
    *,
    checkpoint: str | None,
    model: str | None,
    data: str | None,
    samples: int,
    hardware: str,
    twins: Sequence[Twin],
    json: str | None = None,
    csv: str | None = None,
    plot: str | None = None,
) -> dict[str, Report]:
    """Trace test samples, price them, print the tables and write the files asked for."""
    integer("--samples", samples)
    for option, path in (("--json", json), ("--csv", csv), ("--plot", plot)):
        ok = path is None or (Path(path).parent.is_dir() and not Path(path).is_dir())
        require(ok, option, path, "a file in a folder that exists")  # now, not after the work
    if checkpoint is not None:
        net, described = open_model(checkpoint)
        source = open_data(described, data)
    else:
        source = open_data({}, data)
        size = {"img_size": source.img_size, "in_channels": source.in_channels}
        net = create_model(str(model), num_classes=source.num_classes, **size)
    frames = source.tensors()[0][:samples]
    reports = energy_of(net, frames, hardware=hardware, twins=twins)
    print_bill(reports)
    if model is not None:
        print(
            "The weights are fresh: firing rates, and with them the energy, are not those of a trained model."
        )
    for path, write in ((json, reports["snn"].to_json), (csv, reports["snn"].to_csv)):
        if path:
            write(Path(path))
            print(f"wrote {path}")
    if plot:
        from ..plot import save

        save(reports["snn"].plot("layers"), plot)
        print(f"wrote {plot}")
    return reports


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
