"""Augmentation of clouds, a whole batch at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ...checks import number
from ...errors import ShapeError
from .base import pair

__all__ = ["CloudAugment"]


@dataclass(frozen=True)
class CloudAugment:
    """Random affine motion, noise and loss of points; one draw per cloud, about its mean.

    Args:
        degrees: rotation in the plane of x and y, uniform in +-degrees. shear: along x, uniform in +-shear.
        scale: (least, most) of a factor on x, y and z. z_scale: (least, most) of a further one on z, which
            for events is time.
        shift: of x, y and z, each uniform in +-shift. jitter: deviation of normal noise on every x and y.
        drop: each point is lost with a probability uniform in [0, drop]; the first point of the cloud stands
            in for it, so that the number of points remains.

    Further channels (normals, polarity) stay as they are. Settings of the literature: Spiking PointNet
    ``drop=0.875, scale=(0.8, 1.25), shift=0.1`` (arXiv 2310.06232), event clouds
    ``jitter=0.01, z_scale=(0.9, 1.1)`` and some ``drop``.

    Raises:
        ConfigError: a setting out of range. ShapeError: at a call, no clouds.

    Example:
        >>> clouds = torch.rand(2, 5, 3)
        >>> CloudAugment()(clouds, torch.Generator()).equal(clouds)
        True
    """

    degrees: float = 0.0
    shear: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    z_scale: tuple[float, float] = (1.0, 1.0)
    shift: float = 0.0
    jitter: float = 0.0
    drop: float = 0.0

    def __post_init__(self) -> None:
        for name, top in (("degrees", 180), ("shear", 10), ("shift", 10), ("jitter", 10), ("drop", 0.99)):
            number(f"CloudAugment.{name}", getattr(self, name), at_least=0, at_most=top)
        for name in ("scale", "z_scale"):
            object.__setattr__(self, name, pair(f"CloudAugment.{name}", getattr(self, name), 0.01, 100))

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Augment ``x [B, N, D]``, D >= 3; ``generator`` on the CPU, so that every device draws alike."""
        if x.ndim != 3 or x.shape[2] < 3:
            raise ShapeError(f"CloudAugment: got shape {tuple(x.shape)}, expected clouds [B, N, D >= 3].")
        x, batch = x.clone(), len(x)
        draw = torch.rand(4, batch, 1, generator=generator).to(x)
        shift = self.shift * (2 * torch.rand(batch, 1, 3, generator=generator) - 1).to(x)
        centre = x[..., :3].mean(1, keepdim=True)
        a, b, c = (x[..., :3] - centre).unbind(2)
        angle = math.radians(self.degrees) * (2 * draw[0] - 1)
        a = a + self.shear * (2 * draw[1] - 1) * b
        a, b = angle.cos() * a - angle.sin() * b, angle.sin() * a + angle.cos() * b
        scale, z_scale = _between(self.scale, draw[2]), _between(self.z_scale, draw[3])
        moved = torch.stack([a, b, c * z_scale], 2) * scale.unsqueeze(2)
        # without motion nothing changes, down to the last bit
        x[..., :3] += shift + (moved - (x[..., :3] - centre))
        if self.jitter:
            x[..., :2] += self.jitter * torch.randn(*x.shape[:2], 2, generator=generator).to(x)
        if self.drop:
            share = self.drop * torch.rand(batch, 1, generator=generator)
            lost = torch.rand(x.shape[:2], generator=generator) < share
            x = torch.where(lost.to(x.device).unsqueeze(2), x[:, :1], x)
        return x


def _between(limits: tuple[float, float], share: Tensor) -> Tensor:
    return limits[0] + (limits[1] - limits[0]) * share
