"""Instructions that move values and do not change them, for both kinds of arithmetic."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

__all__ = ["ShapeOps", "channel"]


def channel(values: Tensor, x: Tensor, axis: int) -> Tensor:
    """One value, or one per channel, ready to combine with ``x`` whose channels lie on ``axis``."""
    return values if values.ndim == 0 else values.reshape(-1, *[1] * (x.ndim - axis - 1))


class ShapeOps:
    """Each instruction is a static method."""

    @staticmethod
    def fold(x: Tensor) -> Tensor:
        """``[T, B, ...]`` -> ``[T*B, ...]``."""
        return x.flatten(0, 1)

    @staticmethod
    def unfold(x: Tensor, *, sizes: tuple[int, int]) -> Tensor:
        """``[T*B, ...]`` -> ``[T, B, ...]``."""
        return x.unflatten(0, sizes)

    @staticmethod
    def flatten(x: Tensor, *, start: int, end: int) -> Tensor:
        """Several axes as one."""
        return x.flatten(start, end)

    @staticmethod
    def unflatten(x: Tensor, *, dim: int, sizes: Sequence[int]) -> Tensor:
        """One axis as several."""
        return x.unflatten(dim, tuple(sizes))

    @staticmethod
    def permute(x: Tensor, *, order: Sequence[int]) -> Tensor:
        """Axes in another order."""
        return x.permute(*order)
