"""Augmentation of static images, as the published recipes of spiking transformers use it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...checks import choice, number
from ...errors import require
from ...sequence import as_sequence
from .rand_augment import RandAugment
from .resample import resample

__all__ = ["ImageAugment"]


@dataclass(frozen=True)
class ImageAugment:
    """Crop, mirror, RandAugment or jitter, and erasing; one draw per sample, the same for all of its steps.

    Args:
        crop: range of the share of the area that a random crop has (sides 3:4 to 4:3, resized); None: whole.
        flip: probability of the mirror.
        ops, magnitude, spread: of :class:`RandAugment`; ops=0: none.
        jitter: light and contrast are changed by factors in 1 +- jitter.
        erase: probability that a rectangle of 2 to 33 % of the area is erased.
        fill: with what: "zero", or "noise": normal values around middle gray.

    Values are in [0, 1] before and, apart from noise, after it. The order is that of the arguments.
    """

    crop: Sequence[float] | None = None
    flip: float = 0.5
    ops: int = 2
    magnitude: float = 9.0
    spread: float = 0.5
    jitter: float = 0.0
    erase: float = 0.0
    fill: str = "zero"

    def __post_init__(self) -> None:
        if self.crop is not None:
            ok = len(self.crop) == 2 and 0 < self.crop[0] <= self.crop[1] <= 1
            require(ok, "ImageAugment.crop", self.crop, "two shares, 0 < low <= high <= 1")
        for name in ("flip", "erase", "jitter"):
            number(f"ImageAugment.{name}", getattr(self, name), at_least=0, at_most=1)
        choice("ImageAugment.fill", self.fill, ("zero", "noise"))
        object.__setattr__(self, "_rand", RandAugment(self.ops, self.magnitude, self.spread))

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Augment ``x [T, B, C, H, W]``; ``generator`` on the CPU, so that every device draws alike.

        Raises:
            InputTypeError, DTypeError, ShapeError: not real images of five axes.
        """
        x = as_sequence(x, "ImageAugment", min_ndim=5, axes="[T, B, C, H, W]").clone()
        for b in range(x.shape[1]):
            draw = torch.rand(9, generator=generator).tolist()
            sample = x[:, b]
            if self.crop is not None:
                sample = self._cropped(sample, *draw[:4])
            if draw[4] < self.flip:
                sample = sample.flip(-1)
            sample = self._rand(sample, generator)  # type: ignore[attr-defined]
            if self.jitter:
                light, contrast = (1 + self.jitter * (2 * u - 1) for u in draw[5:7])
                sample = sample * light
                sample = (sample.mean() + contrast * (sample - sample.mean())).clamp(0, 1)
            if draw[7] < self.erase:
                sample = self._erased(sample, generator)
            x[:, b] = sample
        return x

    def _cropped(self, x: Tensor, u: float, v: float, across: float, down: float) -> Tensor:
        assert self.crop is not None
        area = self.crop[0] + u * (self.crop[1] - self.crop[0])
        ratio = math.exp((2 * v - 1) * math.log(4 / 3))
        width, height = min(1.0, math.sqrt(area * ratio)), min(1.0, math.sqrt(area / ratio))
        left, top = (2 * across - 1) * (1 - width), (2 * down - 1) * (1 - height)
        return resample(x.unsqueeze(1), x.new_tensor([[[width, 0, left], [0, height, top]]]))[:, 0]

    def _erased(self, x: Tensor, generator: torch.Generator) -> Tensor:
        height, width = x.shape[-2:]
        for u, v, across, down in torch.rand(10, 4, generator=generator).tolist():
            area = (0.02 + u * (1 / 3 - 0.02)) * height * width
            ratio = math.exp(math.log(0.3) * (1 - 2 * v))  # 0.3 to 1 / 0.3
            rows, cols = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if rows < height and cols < width:
                top, left = int(down * (height - rows)), int(across * (width - cols))
                noise = (
                    0.0 if self.fill == "zero" else torch.randn(x.shape[1], rows, cols, generator=generator)
                )
                x = x.clone()
                x[..., top : top + rows, left : left + cols] = (
                    noise if isinstance(noise, float) else (0.5 + 0.25 * noise).to(x.device, x.dtype)
                )
                return x
        return x
