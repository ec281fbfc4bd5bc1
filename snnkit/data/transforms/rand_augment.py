"""RandAugment on images: a few of fifteen operations, drawn per sample (Cubuk et al., arXiv 1909.13719).

Operations and ranges are those of the "increasing" set of pytorch-image-models (timm,
``rand-m9-mstd0.5-inc1``), which the published recipes use. Values are real here: what PIL rounds to 8 bits
at every step is not rounded.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ...checks import integer, number
from .resample import resample

__all__ = ["RandAugment"]

_GRAY = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class RandAugment:
    """``ops`` operations out of fifteen, with replacement, each applied with probability ``prob``.

    Args:
        ops: number of operations. magnitude: 0..10, how far they go; its spread is that of a normal draw.
        prob: of each operation.
    """

    ops: int = 2
    magnitude: float = 9.0
    spread: float = 0.5
    prob: float = 0.5

    def __post_init__(self) -> None:
        integer("RandAugment.ops", self.ops, 0)
        number("RandAugment.magnitude", self.magnitude, at_least=0, at_most=10)
        number("RandAugment.spread", self.spread, at_least=0)
        number("RandAugment.prob", self.prob, at_least=0, at_most=1)

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """One image ``[T, C, H, W]`` with values in [0, 1], all steps alike."""
        for _ in range(self.ops):
            chance, kind, sign = torch.rand(3, generator=generator).tolist()
            level = self.magnitude + self.spread * torch.randn((), generator=generator).item()
            if chance < self.prob:
                share = min(max(level, 0.0), 10.0) / 10
                operation = _OPERATIONS[int(kind * len(_OPERATIONS))]
                x = operation(x, share, -1.0 if sign < 0.5 else 1.0).clamp(0, 1)
        return x


def _moved(x: Tensor, rows: list[list[float]]) -> Tensor:
    """Affine resampling; what comes from outside is middle gray."""
    return resample(x.unsqueeze(1) - 0.5, x.new_tensor([rows]))[:, 0] + 0.5


def _rotate(x: Tensor, share: float, sign: float) -> Tensor:
    angle = math.radians(30 * share * sign)
    cos, sin = math.cos(angle), math.sin(angle)
    return _moved(x, [[cos, -sin, 0], [sin, cos, 0]])


def _posterize(x: Tensor, share: float, sign: float) -> Tensor:
    unit = 2 ** (8 - (4 - int(share * 4)))
    return (x * 255 / unit).floor() * unit / 255


def _solarize(x: Tensor, share: float, sign: float) -> Tensor:
    return torch.where(x * 255 < 256 - int(share * 256), x, 1 - x)


def _solarize_add(x: Tensor, share: float, sign: float) -> Tensor:
    return torch.where(x * 255 < 128, x + int(share * 110) / 255, x)


def _auto_contrast(x: Tensor, share: float, sign: float) -> Tensor:
    low, high = x.amin((0, 2, 3), keepdim=True), x.amax((0, 2, 3), keepdim=True)
    return torch.where(high > low, (x - low) / (high - low).clamp(min=1e-6), x)


def _equalize(x: Tensor, share: float, sign: float) -> Tensor:
    levels = (x * 255).round().long().clamp(0, 255)
    out = []
    for channel in levels.unbind(1):
        counts = torch.bincount(channel.flatten(), minlength=256)
        before = counts.cumsum(0) - counts
        span = channel.numel() - counts[channel.max()]
        out.append((before / span)[channel] if span > 0 else channel / 255)  # one value alone stays
    return torch.stack(out, 1).to(x.dtype)


def _gray(x: Tensor) -> Tensor:
    if x.shape[1] != 3:
        return x.mean(1, keepdim=True)
    return (x * x.new_tensor(_GRAY).view(3, 1, 1)).sum(1, keepdim=True)


def _smooth(x: Tensor) -> Tensor:
    kernel = x.new_tensor([[1.0, 1, 1], [1, 5, 1], [1, 1, 1]]) / 13
    soft = x.clone()
    inner = F.conv2d(x.flatten(0, 1).unsqueeze(1), kernel[None, None]).view(
        *x.shape[:2], *(n - 2 for n in x.shape[2:])
    )
    soft[..., 1:-1, 1:-1] = inner
    return soft


def _enhance(base: Callable[[Tensor], Tensor]) -> Callable[[Tensor, float, float], Tensor]:
    """Blend with what the image would be without contrast, colour, light or sharpness."""

    def blend(x: Tensor, share: float, sign: float) -> Tensor:
        plain = base(x)
        return plain + max(0.1, 1 + 0.9 * share * sign) * (x - plain)

    return blend


_OPERATIONS: tuple[Callable[[Tensor, float, float], Tensor], ...] = (
    _auto_contrast,
    _equalize,
    lambda x, share, sign: 1 - x,
    _rotate,
    _posterize,
    _solarize,
    _solarize_add,
    _enhance(_gray),
    _enhance(lambda x: _gray(x).mean()),
    _enhance(torch.zeros_like),
    _enhance(_smooth),
    lambda x, share, sign: _moved(x, [[1, 0.3 * share * sign, 0], [0, 1, 0]]),
    lambda x, share, sign: _moved(x, [[1, 0, 0], [0.3 * share * sign, 1, 0]]),
    lambda x, share, sign: _moved(x, [[1, 0, 0.9 * share * sign], [0, 1, 0]]),  # a grid spans [-1, 1]
    lambda x, share, sign: _moved(x, [[1, 0, 0], [0, 1, 0.9 * share * sign]]),
)
