"""Moving frames by fractions of a pixel, all steps of a sample alike."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

__all__ = ["resample"]


def resample(x: Tensor, theta: Tensor, offset: Tensor | None = None) -> Tensor:
    """Bilinear samples of ``x [T, B, P, H, W]`` at affine places, zero outside of the frame.

    Args:
        theta: ``[B, 2, 3]``, place in x of every output pixel, in units of half the frame.
        offset: ``[B, 2, h, w]``, further displacement at nodes that span the frame, interpolated smoothly.
    """
    image = x.transpose(0, 1).flatten(1, 2)
    grid = F.affine_grid(theta.to(x.dtype), list(image.shape), align_corners=False)
    if offset is not None:
        grid = grid + F.interpolate(offset.to(grid), x.shape[-2:], mode="bicubic").movedim(1, -1)
    image = F.grid_sample(image, grid, align_corners=False)
    return image.unflatten(1, (x.shape[0], -1)).transpose(0, 1)
