"""Work ahead of a network, as sampling and neighbour search of clouds: declared, a line of its own."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from .rules import OpCount

__all__ = ["declared_work"]


def declared_work(module: Any, x: Tensor) -> OpCount | None:
    """What ``module.preprocessing_ops(x)`` declares for all inputs of a call; None if it is nothing.

    Of eight operations of a squared distance in three dimensions: 3 differences, 3 products,
    2 sums.
    """
    ops = float(module.preprocessing_ops(x))
    values: dict[str, Tensor | int] = {"muls": round(ops * 3 / 8), "adds": round(ops * 5 / 8)}
    return OpCount("pointwise", values, len(x), tuple(x.shape), tuple(x.shape[1:])) if ops else None
