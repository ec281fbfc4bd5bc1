"""Data sets by name.

A data set is a ``torch.utils.data.Dataset`` built as ``factory(split="train" | "test", **settings)``, with
items ``(frames [T, P, H, W], label)``, a method ``tensors() -> (frames [N, T, P, H, W], labels [N])`` and the
attributes ``num_classes``, ``in_channels`` and ``img_size``.
"""

from __future__ import annotations

from ..registry import Registry

__all__ = ["DATASETS"]

DATASETS: Registry = Registry("data set")
