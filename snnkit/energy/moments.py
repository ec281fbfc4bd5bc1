"""Mean and covariance of per-sample counts, streamed: memory does not grow with the number of samples."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping

import numpy as np
from numpy.typing import NDArray

__all__ = ["Moments"]

Array = NDArray[np.float64]


class Moments:
    """Running mean and co-moments of named features, updated batch by batch (Chan's pairwise formula).

    Any energy is a weighted sum of counts, so its exact variance over samples follows for every
    hardware profile from one trace: ``var = w^T C w``.
    """

    def __init__(self) -> None:
        self.n = 0
        self._column: dict[Hashable, int] = {}
        self._mean: Array = np.zeros(0)
        self._comoment: Array = np.zeros((0, 0))

    def update(self, rows: Mapping[Hashable, Array], batch: int) -> None:
        """Add ``batch`` samples, given as feature -> ``[batch]``; an absent feature is 0."""
        if batch == 0:
            return
        for name in rows:
            self._column.setdefault(name, len(self._column))
        grow = len(self._column) - len(self._mean)
        if grow:
            self._mean = np.pad(self._mean, (0, grow))
            self._comoment = np.pad(self._comoment, (0, grow))
        data = np.zeros((batch, len(self._mean)))
        for name, values in rows.items():
            data[:, self._column[name]] = values
        total = self.n + batch
        with np.errstate(over="ignore", invalid="ignore"):  # of values above 1e154 the variance is no number
            mean = data.mean(0)
            centred = data - mean
            step: Array = mean - self._mean
            self._comoment += centred.T @ centred + np.outer(step, step) * (self.n * batch / total)
        self._mean += step * (batch / total)
        self.n = total

    def std(self, weights: Mapping[Hashable, float]) -> float | None:
        """Standard deviation (n - 1) of ``sum_f weights[f] * feature[f]``; None below two samples."""
        if self.n < 2:
            return None
        w = np.zeros(len(self._mean))
        for name, weight in weights.items():
            if name in self._column:
                w[self._column[name]] = weight
        return math.sqrt(max(float(w @ self._comoment @ w), 0.0) / (self.n - 1))
