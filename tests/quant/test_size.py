"""Sizes of a quantised network, by hand, and of its file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import snnkit
from snnkit import quant
from snnkit.errors import InputTypeError


def small() -> nn.Sequential:
    per = snnkit.PerStep
    return nn.Sequential(
        per(nn.Linear(5, 7), nn.BatchNorm1d(7)), snnkit.LIF(), per(nn.Linear(7, 3, bias=False))
    ).eval()


def test_by_hand() -> None:
    report = quant.size_report(quant.quantize(small(), 3, skip=("head",)))
    first, last = report.per_layer.values()
    assert (first.weights, first.bits, last.weights, last.bits) == (35, 3, 21, 8)
    assert first.packed_bytes == 7 * 2  # rows of 5 x 3 bits
    assert first.other_bytes == 4 * (7 + 7)  # bias and steps
    assert (last.packed_bytes, last.other_bytes) == (21, 4 * 3)
    assert report.theoretical_bits == 35 * 3 + 21 * 8
    assert report.other_bytes == 4 * 4 * 7 + 8  # the norm: scale, shift, mean, variance, counter
    assert report.packed_bytes == 14 + 56 + 21 + 12 + report.other_bytes
    assert report.parameters == 35 + 7 + 21 + 14
    assert report.float_bytes == 4 * (35 + 7 + 21) + report.other_bytes
    assert report.file_bytes is None
    assert quant.size_report(small()).float_bytes == report.float_bytes
    with pytest.raises(InputTypeError):
        quant.size_report("net")  # type: ignore[arg-type]


@pytest.mark.parametrize(("scheme", "bits"), [("lsq", 4), ("lsq", 2), ("ternary", 2), ("binary", 1)])
def test_the_file(tmp_path: Path, scheme: str, bits: int) -> None:
    """Bytes of the file are those on disk, and packed codes are as long in it as the report says."""
    torch.manual_seed(0)
    net = small()
    for layer in (net[0].body[0], net[2].body):  # type: ignore[index,union-attr]
        nn.init.constant_(layer.weight[:, 0], -3.0)  # so that every width is needed: a file takes no more
    net = quant.quantize(net, bits, scheme=scheme, skip=())
    made = quant.convert_to_integer(net, torch.ones(1, 1, 5))
    report = quant.size_report(net, made)
    quant.save_integer(made, tmp_path / "small.safetensors")
    assert report.file_bytes == (tmp_path / "small.safetensors").stat().st_size
    codes = [t for name, t in load_file(tmp_path / "small.safetensors").items() if "codes" in name]
    assert sum(t.numel() for t in codes) == sum(s.packed_bytes for s in report.per_layer.values())
