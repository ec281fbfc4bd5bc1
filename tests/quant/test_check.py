"""assert_spike_driven on planted defects, and sizes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnkit
from snnkit import quant
from snnkit.errors import InputTypeError, SpikeDrivenError

PER = snnkit.PerStep


def spikes(*shape: int) -> Tensor:
    return (torch.rand(*shape) < 0.4).float()


def conv(cin: int, cout: int, kernel: int = 3) -> nn.Conv2d:
    return nn.Conv2d(cin, cout, kernel, padding=kernel // 2)


def lif() -> nn.Module:
    return snnkit.LIF(threshold=0.1)


class Gate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(4, 4))

    def forward(self, x: Tensor) -> Tensor:
        return torch.matmul(x.flatten(3).mT.softmax(-1), self.w)


@pytest.mark.parametrize("name", ["sdt_test", "spikformer_test"])
@pytest.mark.parametrize(
    "neuron", ["lif", "ilif", {"default": "ielif", "q": "lif", "k": "lif", "attn": "lif"}]
)
def test_models_are_spike_driven(name: str, neuron: Any) -> None:
    net = quant.quantize(snnkit.create_model(name, num_classes=10, neuron=neuron), 4)
    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d):
            nn.init.uniform_(m.bias, 0, 1)
    x = spikes(4, 2, 2, 16, 16)
    sew = name.startswith("spikformer")  # its head reads an average over tokens
    if sew and neuron != "lif":  # which is nearly silent here
        with pytest.raises(SpikeDrivenError, match=r"head\.linear"):
            quant.assert_spike_driven(net, x)
    proof = quant.assert_spike_driven(net, x, allow_real_head=sew)
    assert len(proof.layers) == len(quant.size_report(net).per_layer) - sew
    assert len(proof.products) == sew
    assert net.training


@pytest.mark.parametrize(
    ("net", "where"),
    [
        (
            nn.Sequential(PER(conv(2, 4)), lif(), PER(conv(4, 4, 1), conv(4, 4))),
            "2.body.1",
        ),  # unfused RepConv
        (
            nn.Sequential(
                PER(conv(2, 4)), lif(), PER(nn.Conv2d(4, 4, 7, padding=3, groups=4), conv(4, 4, 1))
            ),
            "2.body.1",  # depthwise, then pointwise, unfused
        ),
        (nn.Sequential(PER(conv(2, 4)), lif(), PER(nn.AvgPool2d(2), conv(4, 4))), "2.body.1"),
        (nn.Sequential(PER(conv(2, 4)), PER(conv(4, 4))), "1.body"),  # no neuron at all
        (nn.Sequential(PER(conv(2, 4)), lif(), Gate()), "2"),
    ],
)
def test_planted_defects(net: nn.Module, where: str) -> None:
    with pytest.raises(SpikeDrivenError, match="are not spikes") as caught:
        quant.assert_spike_driven(net, spikes(3, 2, 2, 8, 8))
    assert {o.path for o in caught.value.offences} == {where}  # type: ignore[attr-defined]
    first: Any = caught.value.offences[0]
    if where != "2":
        assert first.share > 0
        assert first.low <= first.example <= first.high


class Scaled(nn.Module):
    """A factor per channel, not folded into anything."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class Half(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 0.5 * x + 0.5 * x


@pytest.mark.parametrize("averaged", [PER(nn.AvgPool2d(2)), PER(nn.AdaptiveAvgPool2d(4)), PER(Scaled(4))])
@pytest.mark.parametrize("silent", [False, True])
def test_a_unit_elsewhere_is_no_excuse(averaged: nn.Module, silent: bool) -> None:
    """Averages of four binary spikes are quarters, which a neuron elsewhere emits, too; ones are spikes."""
    first = snnkit.LIF(threshold=1e6 if silent else 0.1)
    quarters = snnkit.make_neuron("ielif", levels=4)
    net = nn.Sequential(PER(conv(2, 4)), first, averaged, PER(conv(4, 4)), quarters, PER(conv(4, 4)))
    with pytest.raises(SpikeDrivenError) as caught:
        quant.assert_spike_driven(net, spikes(3, 2, 2, 8, 8))
    assert {o.path for o in caught.value.offences} == {"3.body"}  # type: ignore[attr-defined]
    fine = nn.Sequential(*net[:2], *net[3:])
    assert "4.body" in quant.assert_spike_driven(fine, spikes(3, 2, 2, 8, 8)).layers


@pytest.mark.parametrize(
    "between",
    [
        PER(nn.MaxPool2d(2)),
        PER(nn.ZeroPad2d(1)),
        nn.Identity(),
        Half(),
        PER(nn.Dropout(0.5)),
        PER(nn.PixelUnshuffle(1), nn.ReLU()),
    ],
)
def test_what_keeps_spikes(between: nn.Module) -> None:
    net = nn.Sequential(PER(conv(2, 4)), lif(), between, PER(conv(4, 4)))
    assert set(quant.assert_spike_driven(net, spikes(3, 2, 2, 8, 8)).layers) == {"0.body", "3.body"}


def test_integer_weights_make_no_spikes() -> None:
    """Sums of integers are integers, but membranes."""
    net = nn.Sequential(PER(conv(2, 4)), PER(conv(4, 4)))
    for p in net.parameters():
        p.data.round_()
    with pytest.raises(SpikeDrivenError, match=r"1\.body"):
        quant.assert_spike_driven(net, spikes(3, 2, 2, 8, 8))


@pytest.mark.parametrize("mixer", [snnkit.layers.RepConv(4, 4), snnkit.layers.DepthwiseSeparable(4, 4, 3)])
def test_fused_factors_pass(mixer: nn.Module) -> None:
    net = nn.Sequential(PER(conv(2, 4)), lif(), PER(mixer), lif()).eval()
    with pytest.raises(SpikeDrivenError):
        quant.assert_spike_driven(net, spikes(3, 2, 2, 8, 8))
    assert set(quant.assert_spike_driven(snnkit.layers.fuse_rep(net), spikes(3, 2, 2, 8, 8)).layers) == {
        "0.body",
        "2.body",
    }


def test_images_need_an_encoder() -> None:
    net = nn.Sequential(PER(conv(2, 4)), lif(), PER(nn.MaxPool2d(2), conv(4, 4)))
    image = torch.rand(2, 2, 2, 8, 8)
    with pytest.raises(SpikeDrivenError, match=r"0\.body"):
        quant.assert_spike_driven(net, image)
    net[0].encoder = True
    proof = quant.assert_spike_driven(net, image)
    assert proof.exempt == ["0.body"]
    assert proof.layers == {"2.body.1": "binary"}
    with pytest.raises(SpikeDrivenError):
        quant.assert_spike_driven(net, image, allow_encoder=False)


def test_a_silent_batch_is_no_evidence() -> None:
    net = nn.Sequential(PER(conv(2, 4)), PER(conv(4, 4)))
    for m in net.modules():
        if isinstance(m, nn.Conv2d):
            nn.init.zeros_(m.bias)  # type: ignore[arg-type]
    one = torch.zeros(2, 1, 2, 8, 8)
    one[0, 0, 0, 0, 0] = 1
    with pytest.raises(SpikeDrivenError):
        quant.assert_spike_driven(net, one)


def test_no_tensor() -> None:
    with pytest.raises(InputTypeError):
        quant.assert_spike_driven(lif(), [])


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_sizes(bits: int, tmp_path: Path) -> None:
    net = snnkit.create_model("sdt_test", num_classes=10)
    q = quant.quantize(net, bits).eval()
    made = quant.convert_to_integer(q, spikes(1, 1, 2, 16, 16))
    report = quant.size_report(q, made)
    quant.save_integer(made, tmp_path / "a")
    assert report.file_bytes == os.path.getsize(tmp_path / "a")
    assert report.parameters == sum(p.numel() for p in net.parameters())
    assert report.float_bytes == sum(t.numel() * t.element_size() for t in net.state_dict().values())
    layers = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    used = [8, *[bits] * (len(layers) - 2), 8]
    assert report.theoretical_bits == sum(m.weight.numel() * b for m, b in zip(layers, used, strict=True))
    ideal = (
        report.theoretical_bits / 8
        + sum(s.other_bytes for s in report.per_layer.values())
        + report.other_bytes
    )
    assert ideal <= report.packed_bytes <= ideal + 64 * len(layers)
    assert len(report.to_table().columns) == 5
    whole = quant.size_report(net)
    assert whole.theoretical_bits == 32 * sum(m.weight.numel() for m in layers)
    assert whole.packed_bytes == whole.float_bytes
