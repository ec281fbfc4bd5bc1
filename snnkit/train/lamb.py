"""LAMB: Adam whose step in every tensor is as long as a share of that tensor (arXiv 1904.00962)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..checks import number

__all__ = ["LAMB"]


class LAMB(torch.optim.Optimizer):
    r"""You et al., "Large Batch Optimization for Deep Learning", algorithm 2.

    ::

        m = b1 m + (1 - b1) g;   v = b2 v + (1 - b2) g^2
        r = m^ / (sqrt(v^) + eps) + decay p          m^, v^: corrected for their start at 0
        p = p - lr ratio r                           ratio = |p| / |r|, 1 where one of them is 0

    As in the code that the published recipes use (timm), the ratio is at most 1 ("trust clip"), tensors
    without decay keep the ratio 1, and the gradient of all tensors together is cut to a norm of at most
    ``max_norm``.

    Args:
        params: tensors or groups. lr: step. betas, eps, weight_decay: as of Adam with decoupled decay.
        max_norm: of the whole gradient; 0: not cut.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        max_norm: float = 1.0,
    ) -> None:
        number("LAMB.lr", lr, above=0)
        number("LAMB.weight_decay", weight_decay, at_least=0)
        number("LAMB.max_norm", max_norm, at_least=0)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})
        self.max_norm = max_norm

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        cut = self._cut()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self._update(p, p.grad if cut is None else p.grad * cut, group)
        return loss

    def _cut(self) -> Tensor | None:
        if not self.max_norm:
            return None
        norms = [p.grad.norm() for group in self.param_groups for p in group["params"] if p.grad is not None]
        if not norms:
            return None
        return (self.max_norm / torch.stack(norms).norm().clamp(min=1e-12)).clamp(max=1.0)

    def _update(self, p: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[p]
        if not state:
            state |= {"step": 0, "mean": torch.zeros_like(p), "square": torch.zeros_like(p)}
        state["step"] += 1
        (b1, b2), decay = group["betas"], group["weight_decay"]
        state["mean"].lerp_(gradient, 1 - b1)
        state["square"].mul_(b2).addcmul_(gradient, gradient, value=1 - b2)
        mean = state["mean"] / (1 - b1 ** state["step"])
        square = state["square"] / (1 - b2 ** state["step"])
        step = mean / (square.sqrt() + group["eps"])
        if decay:
            step = step + decay * p
            size, length = p.norm(), step.norm()
            ratio = torch.where((size > 0) & (length > 0), size / length.clamp(min=1e-12), 1.0)
            step = step * ratio.clamp(max=1.0)
        p.sub_(group["lr"] * step)
