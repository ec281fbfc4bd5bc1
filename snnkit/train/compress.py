"""``snnkit quantize``: a trained model with low-bit weights beside what it was, and its integer form."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from ..checks import integer as integer_setting
from ..data import time_first
from ..energy import load_profile, price
from ..errors import SpikeDrivenError
from ..quant import (
    IntegerModel,
    assert_spike_driven,
    calibrate,
    convert_to_integer,
    quantize,
    quantized_layers,
    save_integer,
    size_report,
)
from .bill import trace_of
from .evaluate import open_data, open_model, predict

__all__ = ["Compressed", "as_stored", "compress"]


@dataclass(frozen=True)
class Compressed:
    """One row of the table.

    Attributes:
        name: "float", "quantised" or "integer". accuracy: on the test samples. size: in bytes.
        energy_pj: per inference, with sums of 32 bits and weights as wide as they are stored; None for the
            integer program, whose operations are those of its origin.
    """

    name: str
    accuracy: float
    size: int
    energy_pj: float | None


def compress(
    checkpoint: str | Path,
    *,
    bits: int = 4,
    scheme: str = "lsq",
    integer: bool = False,
    out: str | Path | None = None,
    data: str | None = None,
    samples: int = 64,
    hardware: str = "45nm-int8",
) -> list[Compressed]:
    """Quantise, calibrate on training samples, compare on test samples, and print and write the result.

    A checkpoint that was trained with quantised weights is taken as it is.

    Args:
        checkpoint: run folder or ``model.safetensors``. bits, scheme: as of :func:`snnkit.quant.quantize`.
        integer: convert to integers and write ``out``, default ``integer.safetensors`` beside the checkpoint.
        data: test data, as of :func:`snnkit.train.evaluate`. samples: for the energy. hardware: a profile.

    Raises:
        CheckpointError, ConfigError: unreadable model, unknown data or hardware, impossible bits.
    """
    integer_setting("--samples", samples)
    integer_setting("--bits", bits, 1, 8)
    load_profile(hardware)
    net, described = open_model(checkpoint)
    frames, labels = open_data(described, data).tensors()
    rows: list[Compressed] = []

    def add(name: str, model: nn.Module, size: int, priced: bool = True) -> None:
        accuracy = float((predict(model, frames) == labels).float().mean())
        energy = None
        if priced:
            energy = price(trace_of(model, frames[:samples]), hardware, **as_stored(model)).total_pj
        rows.append(Compressed(name, accuracy, size, energy))

    small: nn.Module = net
    trained = sorted({quantizer.bits for _, _, quantizer in quantized_layers(net)})
    if trained:
        widths = ", ".join(map(str, trained))
        print(f"trained with weights of {widths} bits and taken as it is, without --bits and --scheme")
    else:
        add("float", net, size_report(net).float_bytes)
        small = quantize(net, bits, scheme=scheme).eval()
        train = open_data(described, None, "train").tensors()[0]
        calibrate(small, (time_first(part) for part in train.split(64)))
    add("quantised", small, size_report(small).packed_bytes)
    program: IntegerModel | None = None
    if integer:
        program = convert_to_integer(small, time_first(frames[:16]))
        add("integer", program, size_report(small, program).file_bytes or 0, priced=False)
    _print(rows, hardware)
    _print_proof(small, time_first(frames[:16]))
    if program is not None:
        place = Path(checkpoint)
        place = place if place.is_dir() else place.parent
        path = Path(out) if out is not None else place / "integer.safetensors"
        save_integer(program, path)
        print(f"wrote {path}  (snnkit.quant.load_integer)")
    return rows


def as_stored(net: nn.Module) -> dict[str, Any]:
    """Options of :func:`snnkit.energy.price` under which low bits compare with float.

    Weights are read in the width in which they are stored (32 bits unless quantised); sums have 32 bits, as
    those of an integer program.
    """
    low_bit = any(True for _ in quantized_layers(net))
    return {"state_bits": 32, "weight_bits": None if low_bit else 32}  # None: as the layers declare


def _print(rows: list[Compressed], hardware: str) -> None:
    table = Table("model", "test accuracy", "size", f"energy, {hardware}", box=None)
    for row in rows:
        energy = "as quantised" if row.energy_pj is None else f"{row.energy_pj / 1e6:.3f} uJ"
        table.add_row(row.name, f"{100 * row.accuracy:.2f} %", f"{row.size / 1e3:,.1f} kB", energy)
    Console().print(table)


def _print_proof(model: nn.Module, x: Tensor) -> None:
    try:
        proof = assert_spike_driven(model, x)
    except SpikeDrivenError as error:
        print(f"not spike-driven: {len(error.offences)} operands, the first in {error.offences[0]}")
        return
    print(f"spike-driven: {len(proof.layers)} layers read spikes or counts only")
