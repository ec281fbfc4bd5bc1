"""Neuromorphic data augmentation: a mirror and a few plain operations on frames."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ...checks import integer, number
from ...sequence import as_sequence
from .resample import resample

__all__ = ["NDA"]


@dataclass(frozen=True)
class NDA:
    """Per sample: mirror left and right with a probability, then ``ops`` operations drawn with replacement.

    The operations: roll by whole pixels in x and y, around the edge; rotate; cut out a square (set to 0);
    shear along x. One draw per sample, the same for all of its steps. Mirror and roll keep every count;
    rotation and shear resample bilinearly.

    Args:
        ops: number of operations. flip: probability of the mirror; 0 where left and right are classes.
        roll: at most so many pixels. degrees: rotation by +-(degrees/2 .. degrees).
        cutout: side of the square, 1..cutout pixels. shear: tangent of the largest angle.

    Source: Li, Kim, Park, Geller, Panda 2022, "Neuromorphic data augmentation for training spiking neural
    networks" (arXiv 2203.06145). Operations and ranges are recalled from it, not re-checked.
    """

    ops: int = 1
    flip: float = 0.5
    roll: int = 5
    degrees: float = 30.0
    cutout: int = 8
    shear: float = 0.15

    def __post_init__(self) -> None:
        integer("NDA.ops", self.ops, 0)
        number("NDA.flip", self.flip, at_least=0, at_most=1)
        integer("NDA.roll", self.roll, 0)
        number("NDA.degrees", self.degrees, at_least=0, at_most=180)
        integer("NDA.cutout", self.cutout, 1)
        number("NDA.shear", self.shear, at_least=0, at_most=10)

    def __call__(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Augment ``x [T, B, P, H, W]``; ``generator`` on the CPU, so that every device draws alike.

        Raises:
            InputTypeError, DTypeError, ShapeError: not real frames of five axes.
        """
        x = as_sequence(x, "NDA", min_ndim=5, axes="[T, B, P, H, W]").clone()
        for b in range(x.shape[1]):
            draw = torch.rand(1 + 4 * self.ops, generator=generator, dtype=torch.float64).tolist()
            sample = x[:, b : b + 1]
            if draw[0] < self.flip:
                sample = sample.flip(-1)
            for i in range(self.ops):
                kind, *place = draw[1 + 4 * i : 5 + 4 * i]
                sample = (self._roll, self._rotate, self._cut, self._shear)[int(4 * kind)](sample, *place)
            x[:, b : b + 1] = sample
        return x

    def _roll(self, x: Tensor, u: float, v: float, _: float) -> Tensor:
        shifts = [int(share * (2 * self.roll + 1)) - self.roll for share in (u, v)]
        return x.roll(shifts, (-2, -1))

    def _rotate(self, x: Tensor, u: float, v: float, _: float) -> Tensor:
        angle = math.radians(self.degrees * (1 + u) / 2) * (1 if v < 0.5 else -1)
        cos, sin = math.cos(angle), math.sin(angle)
        return resample(x, x.new_tensor([[[cos, -sin, 0], [sin, cos, 0]]]))

    def _cut(self, x: Tensor, u: float, v: float, w: float) -> Tensor:
        height, width = x.shape[-2:]
        side = 1 + int(u * self.cutout)
        top, left = int(v * height) - side // 2, int(w * width) - side // 2
        x = x.clone()
        x[..., max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)] = 0
        return x

    def _shear(self, x: Tensor, u: float, _: float, __: float) -> Tensor:
        return resample(x, x.new_tensor([[[1, (2 * u - 1) * self.shear, 0], [0, 1, 0]]]))
