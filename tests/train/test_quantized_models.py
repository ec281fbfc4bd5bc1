"""Quantised models by name: parameters, bytes, and the proof of the smallest."""

from __future__ import annotations

import pytest
import torch

import snnkit
from snnkit import quant
from snnkit.errors import UnknownNameError
from snnkit.train import QUANTIZED_MODELS, create_quantized

# parameters of the code of arXiv 2501.13492 in millions, counted with those of its quantisers: a step per row
# of weights, and for the input of each layer a step and a zero point per channel, which no forward uses;
# our parameters and packed bytes, unfused and fused
SIZES = {
    "qsd_15m": (15.25, 15_116_720, 8_613_320, 36_878_832, 19_174_856),
    "qsd_31m": (31.53, 31_340_392, 17_175_064, 76_990_792, 39_538_040),
    "qsd_55m": (55.61, 55_358_952, 29_683_112, 136_607_848, 69_691_432),
}


@pytest.mark.parametrize("name", SIZES)
def test_sizes(name: str) -> None:
    counted, parameters, packed, fused_parameters, fused_packed = SIZES[name]
    with torch.device("meta"):
        unfused = quant.quantize(snnkit.create_model(name), 4, fuse="never")
        never = quant.size_report(unfused)
        fused = quant.size_report(create_quantized(f"{name}_w4"))
    assert (never.parameters, never.packed_bytes) == (parameters, packed)
    steps, unused = 0, 0
    for _, layer, quantizer in quant.quantized_layers(unfused):
        steps += quantizer.step.numel()  # type: ignore[operator,union-attr]
        unused += 2 * getattr(layer, "in_features", getattr(layer, "in_channels", 0))
    assert (never.parameters + steps + unused) / 1e6 == pytest.approx(counted, abs=0.005)
    assert unused == 165_254 or name != "qsd_55m"  # counted in the published code
    assert (fused.parameters, fused.packed_bytes) == (fused_parameters, fused_packed)


def test_all_are_listed() -> None:
    assert set(QUANTIZED_MODELS.names()) == {f"{name}_w4" for name in (*SIZES, "qsd_test")}
    with pytest.raises(UnknownNameError, match="qsd_15m_w4"):
        create_quantized("qsd_15m_w5")


def test_spike_driven() -> None:
    torch.manual_seed(0)
    net, x = create_quantized("qsd_test_w4"), torch.randint(0, 2, (2, 3, 2, 16, 16)).float()
    for _ in range(3):
        net(x)
    proof = quant.assert_spike_driven(net, x)
    assert proof.products == ["blocks.3.0.branch", "blocks.4.0.branch"]
    assert set(proof.layers) == {path for path, _, _ in quant.quantized_layers(net)}
