"""Augmentation of event frames, a whole batch at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ...checks import number
from .resample import resample

__all__ = ["FrameAugment"]


@dataclass(frozen=True)
class FrameAugment:
    """Random affine motion and event thinning, one draw per sample, the same for all of its steps.

    Args:
        degrees: rotation, uniform in +-degrees.
        translate: shift in x and y, uniform in +-translate of the image size.
        scale: zoom of each axis by itself, uniform in [1 - scale, 1 + scale].
        shear: shear along x, uniform in +-shear (tangent of the angle).
        warp: smooth random deformation, normal with this share of the image size at a 4x4 grid of nodes.
        drop: each pixel of each frame loses its events with a probability uniform in [0, drop].

    Frames are resampled bilinearly, so counts become real numbers; their sum is kept only in the mean.
    """

    degrees: float = 0.0
    translate: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    warp: float = 0.0
    drop: float = 0.0

    def __post_init__(self) -> None:
        for name, top in (
            ("degrees", 180),
            ("translate", 1),
            ("scale", 0.99),
            ("shear", 10),
            ("warp", 1),
            ("drop", 0.99),
        ):
            number(f"FrameAugment.{name}", getattr(self, name), at_least=0, at_most=top)

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Augment ``x [T, B, P, H, W]``; ``generator`` on the CPU, so that every device draws alike."""
        batch = x.shape[1]
        draw = (2 * torch.rand(6, batch, generator=generator) - 1).to(x.device, torch.float32)
        if self.degrees or self.translate or self.scale or self.shear or self.warp:
            angle, shear = draw[0] * math.radians(self.degrees), draw[1] * self.shear
            cos, sin = angle.cos(), angle.sin()
            inverse_x, inverse_y = 1 / (1 + draw[2] * self.scale), 1 / (1 + draw[3] * self.scale)
            # affine_grid spans [-1, 1], twice the unit of translate
            rows = [cos * inverse_x, (shear * cos - sin) * inverse_y, 2 * self.translate * draw[4]]
            cols = [sin * inverse_x, (shear * sin + cos) * inverse_y, 2 * self.translate * draw[5]]
            theta = torch.stack([torch.stack(rows, 1), torch.stack(cols, 1)], 1)
            offset = None
            if self.warp:
                offset = 2 * self.warp * torch.randn(batch, 2, 4, 4, generator=generator)
            x = resample(x, theta, offset)
        if self.drop:
            keep = 1 - self.drop * torch.rand(batch, generator=generator)
            mask = torch.rand(x.shape, generator=generator) < keep.view(1, -1, 1, 1, 1)
            x = x * mask.to(x.device, x.dtype)
        return x
