"""Names of data sets: ``DATASETS.get("digits")(split="train", T=8)``."""

from __future__ import annotations

from ..registry import Registry

__all__ = ["DATASETS"]

DATASETS: Registry = Registry("dataset")
