"""A validation split without randomness."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import require

__all__ = ["holdout"]


def holdout(labels: Tensor, *, fold: int = 0, folds: int = 5) -> tuple[Tensor, Tensor]:
    """Training and validation indices, stratified by class.

    Of each class, the samples number ``fold, fold + folds, ...`` in the order of the data set are held
    out. The same data set gives the same split everywhere; the folds are disjoint and cover everything.

    Args:
        labels: ``[N]``.

    Returns:
        ``(train, validation)`` indices, ascending.
    """
    require(isinstance(folds, int) and folds >= 2, "holdout.folds", folds, "an int >= 2")
    require(isinstance(fold, int) and 0 <= fold < folds, "holdout.fold", fold, f"an int in 0..{folds - 1}")
    order = torch.argsort(labels, stable=True)
    sizes = torch.bincount(labels) if len(labels) else labels.new_zeros(0)
    starts = torch.repeat_interleave(sizes.cumsum(0) - sizes, sizes)
    held = torch.zeros(len(labels), dtype=torch.bool)
    held[order[(torch.arange(len(labels)) - starts) % folds == fold]] = True
    return torch.nonzero(~held).flatten(), torch.nonzero(held).flatten()
