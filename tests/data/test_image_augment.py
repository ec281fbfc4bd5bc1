"""RandAugment and what is around it: golden values, ranges, and one draw for all steps."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from snnkit.data.transforms import ImageAugment, RandAugment, rand_augment
from snnkit.errors import ConfigError


def image(*values: float) -> Tensor:
    """``[1, 1, 1, N]`` with these values of 255."""
    return torch.tensor(values).view(1, 1, 1, -1) / 255


def bytes_of(x: Tensor) -> list[int]:
    return (x * 255).round().int().flatten().tolist()


@pytest.mark.parametrize(
    ("name", "share", "wanted"),
    [
        ("_posterize", 0.5, [0, 64, 128, 192]),  # two bits are kept
        ("_posterize", 1.0, [0, 0, 0, 0]),
        ("_solarize", 0.5, [10, 100, 127, 55]),  # from 128 on: inverted
        ("_solarize_add", 1.0, [120, 210, 238 - 1, 200]),
        ("_auto_contrast", 0.0, [0, round(90 * 255 / 190), round(117 * 255 / 190), 255]),
        ("_equalize", 0.0, [0, 85, 170, 255]),
    ],
)
def test_operations_on_values(name: str, share: float, wanted: list[int]) -> None:
    x = image(10, 100, 127, 200) if name != "_posterize" else image(10, 100, 130, 200)
    assert bytes_of(getattr(rand_augment, name)(x, share, 1.0)) == wanted


def test_equalize_keeps_what_has_one_value() -> None:
    x = torch.cat([image(10, 100, 127, 200).expand(-1, 1, -1, -1), image(40, 40, 40, 40)[:, :1]], 1)
    torch.testing.assert_close(rand_augment._equalize(x, 0.0, 1.0)[:, 1], x[:, 1])


def test_sharpness_and_colour_of_what_has_none() -> None:
    flat = torch.full((1, 3, 5, 5), 0.4)
    for operation in rand_augment._OPERATIONS[7:11]:
        if operation is not rand_augment._OPERATIONS[9]:  # light
            torch.testing.assert_close(operation(flat, 1.0, 1.0), flat)


def test_motion_and_what_comes_from_outside() -> None:
    x = torch.zeros(1, 1, 20, 20)
    x[..., 10, 10] = 1
    moved = rand_augment._OPERATIONS[13](x, 1.0, -1.0)  # by 45 % to the right
    assert moved[..., 10, 19].item() == pytest.approx(1.0)
    assert (moved[..., 10, :9] - 0.5).abs().max() < 1e-6, "middle gray"
    turned = rand_augment._rotate(x, 1.0, 1.0)
    assert turned.sum() != x.sum()


@pytest.mark.parametrize("kind", range(15))
def test_every_operation_keeps_shape_and_range(kind: int) -> None:
    x = torch.rand(2, 3, 8, 8).expand(2, -1, -1, -1)
    out = rand_augment._OPERATIONS[kind](x, 0.9, -1.0).clamp(0, 1)
    assert out.shape == x.shape
    assert torch.isfinite(out).all()


def test_steps_are_alike_and_generators_decide() -> None:
    x = torch.rand(1, 6, 3, 16, 16).expand(3, -1, -1, -1, -1)
    augment = ImageAugment(crop=[0.3, 1.0], erase=0.5, jitter=0.2)
    one, two = (augment(x, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(one, two)
    assert torch.equal(one[0], one[2])
    assert not torch.equal(one, augment(x, torch.Generator().manual_seed(2)))
    assert one.min() >= 0
    assert one.max() <= 1
    assert torch.equal(x[0], x[1])


def test_nothing_asked_for_nothing_done() -> None:
    x = torch.rand(2, 3, 3, 8, 8)
    plain = ImageAugment(flip=0.0, ops=0)
    assert torch.equal(plain(x, torch.Generator()), x)
    assert torch.equal(ImageAugment(flip=1.0, ops=0)(x, torch.Generator()), x.flip(-1))
    assert torch.equal(RandAugment(prob=0.0)(x[:, 0], torch.Generator()), x[:, 0])


@pytest.mark.parametrize(("fill", "erased"), [("zero", 0.0), ("noise", None)])
def test_erasing_takes_two_to_thirty_three_per_cent(fill: str, erased: float | None) -> None:
    x = torch.full((1, 200, 1, 32, 32), 2.0)
    out = ImageAugment(flip=0.0, ops=0, erase=1.0, fill=fill)(x, torch.Generator().manual_seed(0))
    shares = (out != 2).float().mean((0, 2, 3, 4))
    assert shares.min() > 0.01
    assert 0.25 < shares.max() < 0.36
    if erased is not None:
        assert set(out.unique().tolist()) == {0.0, 2.0}


def test_refusals() -> None:
    for settings in ({"crop": [0.0, 1.0]}, {"crop": [0.5]}, {"flip": 2}, {"fill": "red"}, {"magnitude": 11}):
        with pytest.raises(ConfigError):
            ImageAugment(**settings)
