"""The schedule of training with quantised weights: positive steps, still norms, few oscillations."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import lightning as L
from torch import nn

from ..checks import number
from ..quant import CGA, OscillationTracker, project_steps

__all__ = ["QuantizationSchedule"]

_Part = TypeVar("_Part", OscillationTracker, CGA)


class QuantizationSchedule(L.Callback):
    """Keeps learned steps positive, and follows the schedule of quantised training.

    After every optimiser step learned steps are projected and codes are compared with those before; the
    share of weights that oscillate is logged as ``oscillation`` each epoch. At the end batch norms keep their
    running statistics, so that weights settle in front of the norms with which they will run; and, if asked
    for, weights that are far from the boundary of two codes are held.

    Args:
        still_norms: share of the epochs, at the end, in which norms are in evaluation mode; 0: none, else one
            epoch at least, but never the first: it may be the one in which norms learn what comes.
        annealing: share of the epochs, at the end, of confidence-guided annealing; one at least unless 0.
        range: of :class:`snnkit.quant.CGA`.
    """

    def __init__(self, still_norms: float = 0.1, annealing: float = 0.0, range: float = 0.005) -> None:
        self.still_norms = number("QuantizationSchedule.still_norms", still_norms, at_least=0, at_most=1)
        self.annealing = number("QuantizationSchedule.annealing", annealing, at_least=0, at_most=1)
        self.range = range
        self.tracker: OscillationTracker | None = None
        self.cga: CGA | None = None
        self._resumed: dict[str, Any] = {}

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.tracker is None:
            self.tracker = _from(self._resumed.pop("tracker", None), OscillationTracker(pl_module))
        epochs = trainer.max_epochs or 1
        left = epochs - trainer.current_epoch
        if trainer.current_epoch > 0 and left <= _epochs(self.still_norms, epochs):
            for module in pl_module.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        if self.cga is None and left <= _epochs(self.annealing, epochs):
            self.cga = _from(self._resumed.pop("cga", None), CGA(pl_module, self.range))

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        project_steps(pl_module)
        if self.cga is not None:
            self.cga.restore()
        if self.tracker is not None:
            self.tracker.update()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.tracker is not None:
            shares = self.tracker.shares()
            pl_module.log("oscillation", sum(shares.values()) / max(len(shares), 1))

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.cga is not None:
            self.cga.close()
            self.cga = None

    def state_dict(self) -> dict[str, Any]:
        """Of the tracker and the annealing, so that a resumed training repeats the uninterrupted one."""
        parts = {"tracker": self.tracker, "cga": self.cga}
        return {name: part.state_dict() for name, part in parts.items() if part is not None}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Kept until the network is where it is trained."""
        self._resumed = dict(state)


def _epochs(share: float, epochs: int) -> int:
    """Rounded up, so that a share of a short training is one epoch at least; 3 of 28 for 0.1, 1 of 10."""
    return math.ceil(share * epochs - 1e-9)


def _from(state: dict[str, Any] | None, part: _Part) -> _Part:
    if state is not None:
        part.load_state_dict(state)
    return part
