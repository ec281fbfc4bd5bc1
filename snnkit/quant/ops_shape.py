"""Instructions that move values and do not change them, for both kinds of arithmetic."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

__all__ = ["channel", "flatten", "fold", "permute", "unflatten", "unfold"]


def channel(values: Tensor, x: Tensor, axis: int) -> Tensor:
    """One value, or one per channel, ready to combine with ``x`` whose channels lie on ``axis``."""
    return values if values.ndim == 0 else values.reshape(-1, *[1] * (x.ndim - axis - 1))


def fold(x: Tensor) -> Tensor:
    """``[T, B, ...]`` -> ``[T*B, ...]``."""
    return x.flatten(0, 1)


def unfold(x: Tensor, *, sizes: tuple[int, int]) -> Tensor:
    """``[T*B, ...]`` -> ``[T, B, ...]``."""
    return x.unflatten(0, sizes)


def flatten(x: Tensor, *, start: int, end: int) -> Tensor:
    """Several axes as one."""
    return x.flatten(start, end)


def unflatten(x: Tensor, *, dim: int, sizes: Sequence[int]) -> Tensor:
    """One axis as several."""
    return x.unflatten(dim, tuple(sizes))


def permute(x: Tensor, *, order: Sequence[int]) -> Tensor:
    """Axes in another order."""
    return x.permute(*order)
