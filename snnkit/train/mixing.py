"""Mixup and CutMix: training on mixtures of two samples, with the loss of both labels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..checks import integer, number

__all__ = ["Mixing"]


@dataclass(frozen=True)
class Mixing:
    """Each sample of a batch is mixed with the one at its mirrored place.

    ::

        mixup:   x = share x + (1 - share) x'        share ~ Beta(mixup, mixup)     arXiv 1710.09412
        cutmix:  a rectangle of x is taken from x'   share = what is left of x      arXiv 1905.04899
        loss  =  share L(z, y) + (1 - share) L(z, y')

    Every loss here is linear in the label, so that this is the loss of a soft label.

    Args:
        mixup, cutmix: parameters of the Beta distributions; 0: off. With both, one of them is drawn.
        prob: probability that a batch is mixed at all.
        until: epoch from which on nothing is mixed; 0: never.
    """

    mixup: float = 0.0
    cutmix: float = 0.0
    prob: float = 1.0
    until: int = 0

    def __post_init__(self) -> None:
        for name in ("mixup", "cutmix"):
            number(f"Mixing.{name}", getattr(self, name), at_least=0)
        number("Mixing.prob", self.prob, at_least=0, at_most=1)
        integer("Mixing.until", self.until, 0)

    def __call__(self, x: Tensor, epoch: int, generator: torch.Generator) -> tuple[Tensor, float]:
        """Mixture of ``x [T, B, C, H, W]`` with ``x.flip(1)``, and the share of x in it."""
        if not (self.mixup or self.cutmix) or (self.until and epoch >= self.until):
            return x, 1.0
        chance, which, across, down = torch.rand(4, generator=generator).tolist()
        if chance >= self.prob:
            return x, 1.0
        cut = bool(self.cutmix) and (not self.mixup or which < 0.5)
        share = _beta(self.cutmix if cut else self.mixup, generator)
        if not cut:
            return share * x + (1 - share) * x.flip(1), share
        height, width = x.shape[-2:]
        side = math.sqrt(1 - share)
        rows, cols = int(height * side), int(width * side)
        y, z = int(down * height), int(across * width)
        top, bottom = max(y - rows // 2, 0), min(y + rows // 2, height)
        left, right = max(z - cols // 2, 0), min(z + cols // 2, width)
        mixed = x.clone()
        mixed[..., top:bottom, left:right] = x.flip(1)[..., top:bottom, left:right]
        return mixed, 1 - (bottom - top) * (right - left) / (height * width)


def _beta(a: float, generator: torch.Generator) -> float:
    """A draw of Beta(a, a), from two Gamma variables."""
    u, v = torch._standard_gamma(torch.full((2,), a, dtype=torch.float64), generator).tolist()
    return u / (u + v) if u + v > 0 else 0.5
