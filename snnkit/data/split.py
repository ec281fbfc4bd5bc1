"""Training and held-out samples without a random number: the same on every machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from ..checks import integer
from ..errors import ConfigError, InputTypeError

__all__ = ["holdout"]


def holdout(data: Any, fold: int = 0, folds: int = 5) -> tuple[list[int], list[int]]:
    """Hold out every ``folds``-th sample of each class, beginning with number ``fold``.

    Sample k of a class, in the order of the data set, is held out if k mod folds = fold. So class shares
    are kept, the folds are disjoint, and together they are the data set. Where ``data.recordings`` says which
    recording a sample was cut from, recordings are counted: all samples of one are on the same side.

    Args:
        data: a data set with ``labels``, or labels ``[N]``.
        fold: which fold, 0 <= fold < folds.
        folds: how many, >= 2.

    Returns:
        Ascending indices (train, held out).

    Raises:
        ConfigError: fold or folds out of range, or so few samples that a part would be empty.
        InputTypeError: no labels.
    """
    integer("holdout.folds", folds, 2)
    integer("holdout.fold", fold, 0, folds - 1)
    given = getattr(data, "labels", data)
    if not isinstance(given, Tensor | np.ndarray | Sequence) or isinstance(given, str):
        raise InputTypeError(
            f"holdout: got {type(data).__name__}, expected a data set with labels, or labels [N]."
        )
    labels = np.asarray(given)
    cut_from = np.asarray(getattr(data, "recordings", np.arange(labels.size)))
    _, first, recording = np.unique(cut_from, return_index=True, return_inverse=True)
    chosen = np.zeros(first.size, bool)
    for label in np.unique(labels):
        chosen[np.flatnonzero(labels[first] == label)[fold::folds]] = True
    held = chosen[recording]
    if held.all() or not held.any():
        raise ConfigError(
            f"holdout: fold {fold} of {folds} holds out {held.sum()} of {held.size} samples, expected some "
            "in each part. Use fewer folds or more samples."
        )
    return np.flatnonzero(~held).tolist(), np.flatnonzero(held).tolist()
