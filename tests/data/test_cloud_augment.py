"""Augmentation of clouds."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from snnkit.data.transforms import CloudAugment
from snnkit.errors import ConfigError, ShapeError


def apply(x: Tensor, seed: int = 0, **settings: Any) -> Tensor:
    return CloudAugment(**settings)(x, torch.Generator().manual_seed(seed))


def offsets(x: Tensor) -> Tensor:
    return x[..., :3] - x[..., :3].mean(1, keepdim=True)


def test_nothing_set_is_the_identity_and_generators_decide() -> None:
    x = torch.rand(6, 50, 4)
    before = x.clone()
    assert torch.equal(apply(x), x)
    every = {"degrees": 30, "shear": 0.2, "scale": (0.8, 1.2), "shift": 0.1, "jitter": 0.01, "drop": 0.5}
    assert torch.equal(apply(x, 1, **every), apply(x, 1, **every))
    assert not torch.equal(apply(x, 1, **every), apply(x, 2, **every))
    assert torch.equal(x, before)


def test_rotation_turns_x_into_y_and_keeps_distances_and_z() -> None:
    x = torch.rand(200, 20, 3)
    out = apply(x, degrees=90)
    torch.testing.assert_close(out[..., 2], x[..., 2])
    torch.testing.assert_close(offsets(out).norm(dim=2), offsets(x).norm(dim=2), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(out.mean(1), x.mean(1))
    before, after = offsets(x)[:, 0, :2], offsets(out)[:, 0, :2]
    turned = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]  # |a| |b| sin
    sine = turned / before.norm(dim=1) / after.norm(dim=1)
    assert sine.max() > 0.95
    assert sine.min() < -0.95
    assert (offsets(out) * offsets(x)).sum(2)[:, 0].min() > -1e-4  # no more than a quarter turn


def test_scale_shear_and_shift_stay_in_their_limits() -> None:
    x = torch.rand(500, 20, 3)
    ratio = offsets(apply(x, scale=(0.8, 1.25))) / offsets(x)
    torch.testing.assert_close(ratio.amax((1, 2)), ratio.amin((1, 2)), rtol=1e-2, atol=1e-2)
    factors = ratio.flatten(1).median(1).values
    assert 0.8 <= factors.min() < 0.82
    assert 1.23 < factors.max() <= 1.251
    late = apply(x, z_scale=(0.9, 1.1))
    torch.testing.assert_close(late[..., :2], x[..., :2])
    assert (offsets(late)[..., 2].std(1) / offsets(x)[..., 2].std(1)).min() < 0.92
    moved = (apply(x, shift=0.1) - x).mean(1)
    assert 0.098 < moved.abs().max() <= 0.1001
    assert moved.std(0).tolist() == pytest.approx([0.1 / math.sqrt(3)] * 3, rel=0.1)
    sheared = apply(x, shear=0.2) - x
    torch.testing.assert_close(sheared[..., 1:], torch.zeros(500, 20, 2), rtol=0, atol=1e-6)
    slope = sheared[..., 0] / offsets(x)[..., 1]
    assert slope.flatten(1).median(1).values.abs().max() == pytest.approx(0.2, abs=0.005)


def test_jitter_moves_x_and_y_only() -> None:
    x = torch.rand(20, 200, 3)
    noise = apply(x, jitter=0.01) - x
    assert noise[..., :2].std().item() == pytest.approx(0.01, rel=0.05)
    assert not noise[..., 2].any()


def test_lost_points_become_the_first_one() -> None:
    x = torch.rand(400, 100, 4)
    out = apply(x, drop=0.8)
    lost = (out != x).any(2)
    assert torch.equal(out[lost], x[:, :1].expand_as(x)[lost])
    share = lost.float().mean(1)
    assert share.mean().item() == pytest.approx(0.4, abs=0.03)
    assert share.min() < 0.03
    assert 0.7 < share.max() < 0.95


def test_further_channels_stay() -> None:
    x = torch.rand(3, 10, 6)
    assert torch.equal(apply(x, degrees=90, scale=(0.5, 0.6), shift=1, jitter=1)[..., 3:], x[..., 3:])


@pytest.mark.parametrize(
    "wrong",
    [
        {"degrees": -1},
        {"drop": 1},
        {"jitter": math.nan},
        {"scale": (1.2, 0.8)},
        {"z_scale": 1.0},
        {"shift": 11},
    ],
)
def test_settings(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        CloudAugment(**wrong)


@pytest.mark.parametrize("shape", [(10, 3), (2, 10, 2), (4, 2, 2, 8, 8)])
def test_only_clouds(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="clouds"):
        apply(torch.rand(shape))
