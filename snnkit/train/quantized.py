"""Published networks with low-bit weights, by name: a registered model and how it is quantised.

QSD-Transformer (arXiv 2501.13492) has weights of 4 bits. Here the blocks that it re-parameterises are the
dense convolutions that they equal: factors that are quantised one by one are neither spike-driven nor, as a
product, on a grid of 4 bits. That costs weights, see ``docs/quantization.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from ..models import create_model
from ..quant import quantize
from ..registry import Registry

__all__ = ["QUANTIZED_MODELS", "create_quantized"]

QUANTIZED_MODELS: Registry[Callable[..., nn.Module]] = Registry("quantised model")


def create_quantized(name: str, **settings: Any) -> nn.Module:
    """Build a quantised model by name, with steps from its fresh weights.

    Args:
        name: of ``QUANTIZED_MODELS``. settings: of :func:`snnkit.create_model`, as ``num_classes``.

    Raises:
        UnknownNameError: no such model. ConfigError: unknown or impossible setting.

    Example:
        >>> net = snnkit.train.create_quantized("qsd_test_w4", num_classes=10)
        >>> net.head.linear.weight_bits
        8
    """
    return QUANTIZED_MODELS.get(name)(**settings)


def _build(model: str, bits: int, **settings: Any) -> nn.Module:
    return quantize(create_model(model, **settings), bits, inplace=True)


for _size in ("15m", "31m", "55m", "test"):
    QUANTIZED_MODELS.register(f"qsd_{_size}_w4")(partial(_build, f"qsd_{_size}", 4))
