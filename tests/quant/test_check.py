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
from snnkit.quant.units import Units

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


@pytest.mark.parametrize("x", [[], torch.zeros(3, 0, 2, 8, 8), [torch.ones(1, 1, 2, 8, 8), torch.zeros(0)]])
def test_nothing_proves_nothing(x: Any) -> None:
    with pytest.raises(InputTypeError, match="no tensor, or an empty one"):
        quant.assert_spike_driven(nn.Sequential(PER(conv(2, 4)), lif()), x)


@pytest.mark.parametrize("scheme", quant.QUANTIZERS.names())
def test_quantised_weights_are_weights(scheme: str) -> None:
    """Also those that are chosen from two numbers, which come from no parameter."""
    net = nn.Sequential(PER(conv(2, 4)), lif(), PER(conv(4, 4)))
    small = quant.quantize(net, {"binary": 1, "ternary": 2}.get(scheme, 4), scheme=scheme, skip=())
    proof = quant.assert_spike_driven(small, spikes(3, 2, 2, 8, 8))
    assert proof.layers == {"0.body": "binary", "2.body": "binary"}
    assert not proof.products


class Joined(nn.Module):
    """Ones beside quarters."""

    def __init__(self, join: Any) -> None:
        super().__init__()
        self.ones, self.quarters = snnkit.LIF(threshold=0.1), snnkit.make_neuron("ielif", levels=4)
        self.last, self.join = nn.Linear(4, 3), join

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.join(self.ones(x), self.quarters(x)))


@pytest.mark.parametrize("high", [0.5, 1.0])
def test_joined_counts_have_the_smallest_unit(high: float) -> None:
    """1 beside quarters counts as 4, also where all quarters are whole by chance."""
    x = torch.full((2, 2, 2), high)
    net = Joined(lambda a, b: torch.cat([a, b], -1))
    first = quant.product_inputs(net, x)
    assert first.layers == {"last": "integer"}
    assert first.counts == {"last": 4}
    added = quant.product_inputs(Joined(lambda a, b: torch.cat([a + b, b], -1)), x)
    assert added.counts == {"last": 8 if high == 1 else 6}


def test_units_of_zeros_and_nothing() -> None:
    units = Units()
    ones, quarters, silent = torch.tensor([1.0, 0.0]), torch.tensor([0.5, 0.25]), torch.zeros(2)
    for t, unit in ((ones, 1.0), (quarters, 0.25), (silent, 0.3)):
        units.give(t, {unit})
    assert [units.largest(t) for t in (ones, quarters, silent, torch.zeros(0))] == [1, 2, 0, 0]
    wrong = torch.tensor([1.0, torch.nan, torch.inf, 0.25])
    units.follow("cat", ([ones, wrong],), [ones, wrong], wrong)
    assert units.of(wrong) is None
    units.give(wrong, {0.25, 1.0})
    assert units.strange(wrong).isfinite().logical_not().tolist() == [True, True]


def test_modes_and_networks_without_layers() -> None:
    net = nn.Sequential(PER(conv(2, 4), nn.BatchNorm2d(4).eval()), lif()).train()
    net[0].body[1].eval()  # type: ignore[union-attr,index,operator]
    quant.product_inputs(net, spikes(3, 2, 2, 8, 8))
    assert [m.training for m in net.modules()].count(False) == 1
    assert not quant.product_inputs(nn.Sequential(lif()), spikes(2, 1, 3), allow_real_head=True).layers


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
