"""Optimiser and schedule of the published recipes: AdamW, linear warm-up, cosine decay."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from ..checks import number
from ..errors import require

__all__ = ["adamw_cosine", "parameter_groups"]


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weights decay; biases, norms, and learned time constants and thresholds do not (ndim <= 1)."""
    decay = [p for p in module.parameters() if p.requires_grad and p.ndim > 1]
    plain = [p for p in module.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [{"params": decay, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def adamw_cosine(
    module: nn.Module, *, lr: float, weight_decay: float, steps: int, warmup_steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LambdaLR]:
    """AdamW whose rate rises linearly for ``warmup_steps`` and falls as a cosine to ``lr / 100``.

    Raises:
        ConfigError: lr <= 0, negative decay, more warm-up than steps.
    """
    number("lr", lr, above=0)
    number("weight_decay", weight_decay, at_least=0)
    require(0 <= warmup_steps <= steps, "warmup_steps", warmup_steps, f"between 0 and {steps} steps")

    def factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / (warmup_steps + 1)
        progress = min((step - warmup_steps) / max(steps - warmup_steps, 1), 1.0)
        return 0.01 + 0.99 * (1 + math.cos(math.pi * progress)) / 2

    optimizer = torch.optim.AdamW(parameter_groups(module, weight_decay), lr=lr)
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
