"""Weights and images that are the same everywhere: a function of the name of a tensor and its shape."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor


def weights(shapes: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
    """Float64 weights with which neurons at any depth fire; numpy's old generator never changes."""
    norms = {key.removesuffix("running_var") for key in shapes if key.endswith("running_var")}
    return {
        key: _tensor(key, tuple(shape), key.rpartition(".")[0] + "." in norms)
        for key, shape in shapes.items()
    }


def image(shape: Sequence[int]) -> Tensor:
    return torch.from_numpy(np.random.RandomState(0).rand(*shape))


def _tensor(key: str, shape: tuple[int, ...], of_norm: bool) -> Tensor:
    random = np.random.RandomState(zlib.crc32(key.encode()))
    leaf = key.rpartition(".")[2]
    if leaf == "num_batches_tracked":
        return torch.tensor(3)
    if not shape:  # logit of 1/tau
        return torch.tensor(random.uniform(-0.5, 0.5), dtype=torch.float64)
    if leaf == "running_var" or "firing_rate" in leaf:
        return torch.from_numpy(random.uniform(0.2, 0.8, shape))
    if of_norm and leaf == "weight":
        return torch.from_numpy(random.uniform(1.0, 2.0, shape))
    if of_norm and leaf == "bias":
        return torch.from_numpy(random.uniform(0.2, 0.8, shape))
    fan_in = max(int(np.prod(shape[1:])), 1)
    spread = fan_in**-0.5 if len(shape) > 1 else 0.1
    return torch.from_numpy(random.standard_normal(shape) * spread)
