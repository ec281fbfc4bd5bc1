"""Parameters of the models of clouds, and the published surrogate of Spiking PointNet."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from snnkit.errors import ConfigError
from snnkit.models import create_model
from snnkit.models.point_net import TanhWindow, _turned

SIZES: list[tuple[str, dict[str, Any], int]] = [
    ("spikepoint_tiny", {}, 16_778),
    ("spikepoint_small", {}, 64_266),
    ("spikepoint_base", {}, 280_330),
    ("spikepoint_large", {}, 690_227),
    ("spiking_pointnet_tnets", {}, 3_471_473),
    ("spiking_pointnet_tnets", {"in_channels": 6}, 3_471_857),
    ("spiking_pointnet", {}, 811_048),
]


@pytest.mark.parametrize(("name", "settings", "count"), SIZES)
def test_parameters(name: str, settings: dict[str, Any], count: int) -> None:
    with torch.device("meta"):
        net = create_model(name, **settings)
    assert sum(p.numel() for p in net.parameters()) == count


def test_both_residuals_have_the_same_parameters() -> None:
    ms, sew = (create_model("spikepoint_micro", residual=kind).state_dict() for kind in ("ms", "sew"))
    assert {k: v.shape for k, v in ms.items()} == {k: v.shape for k, v in sew.items()}


def test_transforms_act_on_points_as_rows() -> None:
    """``p M`` as in the published code; its transpose would be learned as well, in other weights."""
    x, matrix = torch.randn(2, 3, 4, 5, 1), torch.randn(2, 3, 4, 4)
    wanted = torch.einsum("tbin,tbij->tbjn", x[..., 0], matrix).unsqueeze(4)
    torch.testing.assert_close(_turned(x, matrix, False), wanted)


def test_surrogate_of_spiking_pointnet() -> None:
    """The derivative of (tanh(5(u - .5)) + tanh(2.5)) / (2 tanh(2.5)) on clamp(u, 0, 1)."""
    u = torch.linspace(-0.3, 1.3, 33, dtype=torch.float64, requires_grad=True)
    top = torch.tanh(torch.tensor(2.5, dtype=torch.float64))
    (torch.tanh(5 * (u.clamp(0, 1) - 0.5)) + top).div(2 * top).sum().backward()
    inside = (u.detach() - 0.5).abs() < 0.4999
    got = TanhWindow().derivative(u.detach() - 0.5)
    torch.testing.assert_close(got[inside], u.grad[inside])
    assert not got[(u.detach() - 0.5).abs() > 0.5001].any()
    ends = TanhWindow().primitive(torch.tensor([-9.0, 9.0]))
    assert float(ends[1] - ends[0]) == pytest.approx(1)


@pytest.mark.parametrize(
    ("name", "settings", "text"),
    [
        ("spikepoint_micro", {"groups": 0}, "groups: got 0"),
        ("spikepoint_micro", {"k": 2.5}, "k: got 2.5"),
        ("spikepoint_micro", {"features": "abs_max"}, "did you mean 'abs_min'"),
        ("spikepoint_micro", {"sampler": "fsp"}, "did you mean 'fps'"),
        ("spikepoint_micro", {"radius": -1.0}, "radius: got -1.0"),
        ("spikepoint_micro", {"residual": "vanilla"}, "residual: got 'vanilla'"),
        ("spikepoint_micro", {"local": [8]}, "two widths"),
        ("spikepoint_micro", {"global_widths": []}, "at least one width"),
        ("spikepoint_micro", {"coding": "rat"}, "coding: got 'rat'"),
        ("spikepoint_micro", {"T": 0}, "T: got 0"),
        ("spikepoint_micro", {"in_channels": 2}, "in_channels: got 2"),
        ("spikepoint_micro", {"img_size": 7}, "img_size: got 7, expected at least 8 points"),
        ("spikepoint_micro", {"cooding": "rate"}, "did you mean 'coding'"),
        ("spiking_pointnet_micro", {"widths": [8, 8]}, "five widths"),
        ("spiking_pointnet_micro", {"dropout": 1.0}, "dropout: got 1.0"),
        ("spiking_point_transformer_micro", {"coding": "rate"}, "direct.*queue"),
        ("spiking_point_transformer_micro", {"stages": 0}, "stages: got 0"),
        ("spike_driven_points_micro", {"heads": 3}, "divisor of width"),
        ("spike_driven_points_micro", {"neuron": "liff"}, "did you mean 'lif'"),
    ],
    ids=str,
)
def test_wrong_settings(name: str, settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        create_model(name, **settings)
