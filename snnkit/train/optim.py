"""Optimisers and schedule of the published recipes: AdamW or LAMB, linear warm-up, cosine decay."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import nn

from ..checks import choice, number
from ..errors import require
from .lamb import LAMB

__all__ = ["OptimizerName", "adamw_cosine", "parameter_groups", "warmup_cosine"]

OptimizerName = Literal["adamw", "lamb"]
_OPTIMIZERS: dict[str, Any] = {"adamw": torch.optim.AdamW, "lamb": LAMB}
Scheduled = tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LambdaLR]


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weights decay; biases, norms, and learned time constants and thresholds do not (ndim <= 1)."""
    decay = [p for p in module.parameters() if p.requires_grad and p.ndim > 1]
    plain = [p for p in module.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [{"params": decay, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def adamw_cosine(
    module: nn.Module, *, lr: float, weight_decay: float, steps: int, warmup_steps: int
) -> Scheduled:
    """:func:`warmup_cosine` with AdamW and a rate that ends at ``lr / 100``."""
    return warmup_cosine(module, lr=lr, weight_decay=weight_decay, steps=steps, warmup_steps=warmup_steps)


def warmup_cosine(
    module: nn.Module,
    *,
    optimizer: OptimizerName = "adamw",
    lr: float,
    weight_decay: float,
    steps: int,
    warmup_steps: int,
    min_lr: float | None = None,
) -> Scheduled:
    """An optimiser whose rate rises linearly for ``warmup_steps`` and falls as a cosine to ``min_lr``.

    Args:
        optimizer: "adamw" or "lamb". min_lr: where the rate ends; None: at ``lr / 100``.

    Raises:
        ConfigError: lr <= 0, negative decay, more warm-up than steps, min_lr above lr.
    """
    choice("optimizer", optimizer, _OPTIMIZERS)
    number("lr", lr, above=0)
    number("weight_decay", weight_decay, at_least=0)
    require(0 <= warmup_steps <= steps, "warmup_steps", warmup_steps, f"between 0 and {steps} steps")
    low = 0.01 if min_lr is None else number("min_lr", min_lr, at_least=0, at_most=lr) / lr

    def factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / (warmup_steps + 1)
        progress = min((step - warmup_steps) / max(steps - warmup_steps, 1), 1.0)
        return low + (1 - low) * (1 + math.cos(math.pi * progress)) / 2

    made = _OPTIMIZERS[optimizer](parameter_groups(module, weight_decay), lr=lr)
    return made, torch.optim.lr_scheduler.LambdaLR(made, factor)
