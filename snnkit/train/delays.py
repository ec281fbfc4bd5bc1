"""Training of networks with learned delays as published: two optimisers, two schedules, a narrowing width.

Adam on the weights with a one-cycle rate, Adam on the delays with a cosine, both stepped once per epoch; the
profiles narrow during the first quarter of the epochs; delays are kept inside after every step.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn
from torch.optim import Adam
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR

from ..checks import integer, number
from ..neurons import (
    SigmaSchedule,
    delay_layers,
    delay_param_groups,
    fractional_delays,
    project_delays,
)

__all__ = ["DelayCallback", "DelayOptimizers", "warn_of_rounding"]


class DelayOptimizers:
    """Both optimisers of a network with delays, and their schedules.

    Args:
        net: the network. epochs: of the training.
        lr: largest rate of the weights (one-cycle: it starts at a 25th and ends near 0).
        delay_lr: rate of the delays at the start; default 100 times the lr of the published code, 1e-3.
        weight_decay: of the weights.
        end: width of the profiles after a quarter of the epochs, in steps.

    Reference:
        arXiv 2306.17670 and its code, whose settings are the defaults.
    """

    def __init__(
        self,
        net: nn.Module,
        epochs: int,
        *,
        lr: float = 5e-3,
        delay_lr: float = 0.1,
        weight_decay: float = 1e-5,
        end: float = 0.5,
    ) -> None:
        self.net, self.epochs = net, integer("DelayOptimizers.epochs", epochs)
        groups = delay_param_groups(net, lr, delay_lr=delay_lr, weight_decay=weight_decay)
        weights = [g for g in groups if g["name"] != "delays"]
        delays = [g for g in groups if g["name"] == "delays"]
        self.weights = Adam(weights)
        self.delays = Adam(delays) if delays else None
        self._schedules: list[Any] = [OneCycleLR(self.weights, max_lr=lr, total_steps=max(epochs, 2))]
        self.sigma: SigmaSchedule | None = None
        if self.delays is not None:
            self._schedules.append(CosineAnnealingLR(self.delays, epochs))
        if any(m.interp != "fixed" and m.max_delay for m in delay_layers(net).values()):
            self.sigma = SigmaSchedule(net, max(epochs // 4, 1), end=end)

    @property
    def optimizers(self) -> list[Adam]:
        """The optimisers that there are."""
        return [self.weights] if self.delays is None else [self.weights, self.delays]

    def step(self, loss: Tensor) -> None:
        """One step of both on ``loss``."""
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        loss.backward()
        for optimizer in self.optimizers:
            optimizer.step()
        project_delays(self.net)

    def end_epoch(self) -> None:
        """The rates and widths of the next epoch."""
        for schedule in self._schedules:
            schedule.step()
        if self.sigma is not None:
            self.sigma.step()


def warn_of_rounding(rounded: float, fractional: float) -> None:
    """Warn if accuracies with rounded and fractional delays, in [0, 1], differ by more than a point."""
    if abs(rounded - fractional) > 0.01:
        warnings.warn(
            f"delays: {100 * rounded:.1f} % with rounded delays, {100 * fractional:.1f} % with fractional "
            'ones. The network relies on what rounding removes: train with interp="ste", or call '
            "freeze() on the delay layers and train the weights a little longer.",
            stacklevel=2,
        )


class DelayCallback(L.Callback):
    """For any LightningModule with delay layers: keeps delays inside, narrows profiles, watches rounding.

    Args:
        epochs: of the narrowing, >= 0; 0: none. end: width at last, in steps.
        accuracy: ``accuracy(module) -> float`` in [0, 1] on held-out data. After the training it is called
            with rounded and with fractional delays; both are printed, and a difference of more than a point
            is warned of. None: not.
    """

    def __init__(
        self, epochs: int, *, end: float = 0.5, accuracy: Callable[[L.LightningModule], float] | None = None
    ) -> None:
        self.epochs = integer("DelayCallback.epochs", epochs, at_least=0)
        self.end, self.accuracy = number("DelayCallback.end", end, above=0), accuracy
        self.sigma: SigmaSchedule | None = None

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.epochs and self.sigma is None:
            self.sigma = SigmaSchedule(pl_module, self.epochs, end=self.end)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.sigma is not None:
            self.sigma.set_epoch(trainer.current_epoch)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        project_delays(pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.accuracy is None:
            return
        was_training = pl_module.training
        pl_module.eval()
        with torch.no_grad():
            rounded = self.accuracy(pl_module)
            with fractional_delays():
                fractional = self.accuracy(pl_module)
        pl_module.train(was_training)
        if trainer.is_global_zero:
            print(f"accuracy: rounded delays {rounded:.4f}, fractional {fractional:.4f}", flush=True)
            warn_of_rounding(rounded, fractional)
