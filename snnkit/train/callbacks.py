"""What is written and said during training: metrics, firing rates, silent layers."""

from __future__ import annotations

import csv
import io
import warnings
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from ..files import write_atomically
from ..neurons import Neuron
from .rates import as_events, spiking_neurons

__all__ = ["EpochCSV", "EpochLines", "EpochSeed", "FiringRates", "read_metrics"]


class EpochCSV(Logger):
    """``metrics.csv`` with one row per epoch, rewritten whole at each epoch.

    A resumed run continues the file: rows of epochs that are trained again are replaced.

    Args:
        folder: where the file lies.
    """

    def __init__(self, folder: str | Path) -> None:
        super().__init__()
        self.path = Path(folder) / "metrics.csv"
        self.rows: dict[int, dict[str, Any]] | None = None
        self.own: set[int] = set()

    name = property(lambda self: "csv")
    version = property(lambda self: 0)

    @property
    def save_dir(self) -> str:
        """Folder of the file."""
        return str(self.path.parent)

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: the resolved configuration is saved as ``config.yaml``."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        if "epoch" not in metrics:
            return
        if self.rows is None:
            self.rows = {int(row["epoch"]): _whole(row) for row in read_metrics(self.path)}
        epoch = int(metrics["epoch"])
        if epoch not in self.own:  # trained (again) by this process: nothing older may remain in the row
            self.own.add(epoch)
            self.rows = {e: row for e, row in self.rows.items() if e < epoch}
        self.rows.setdefault(epoch, {}).update(metrics | {"epoch": epoch, "step": step})
        columns = dict.fromkeys(key for row in self.rows.values() for key in row)
        text = io.StringIO()
        writer = csv.DictWriter(text, ["epoch", *(c for c in columns if c != "epoch")])
        writer.writeheader()
        writer.writerows(self.rows[e] for e in sorted(self.rows))
        write_atomically(self.path, text.getvalue().encode())


def _whole(row: dict[str, float]) -> dict[str, Any]:
    """A row that is read again, with its counters as the integers that they were."""
    return {k: int(v) if k in ("epoch", "step") else v for k, v in row.items()}


def read_metrics(path: str | Path) -> list[dict[str, float]]:
    """Rows of a ``metrics.csv``; empty cells are left out. An absent file has no rows."""
    if not Path(path).is_file():
        return []
    with open(path, newline="") as file:
        return [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]


class EpochSeed(L.Callback):
    """Seeds torch from (seed, epoch) at the start of every epoch, so that a resumed epoch repeats itself."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        torch.manual_seed((self.seed * 1_000_003 + trainer.current_epoch) % 2**63)


class EpochLines(L.Callback):
    """One line per epoch where no progress bar can be drawn."""

    @rank_zero_only
    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        shown = {k: v for k, v in trainer.callback_metrics.items() if not k.startswith("rate/")}
        values = "  ".join(f"{name} {float(value):.4f}" for name, value in sorted(shown.items()))
        print(f"epoch {trainer.current_epoch + 1:>3}/{trainer.max_epochs}  {values}", flush=True)


class FiringRates(L.Callback):
    """Spikes per neuron and step of every spiking layer, logged as ``rate/<layer>`` each epoch.

    Warns once, by name, about layers that did not fire in a whole epoch.
    """

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}
        self.handles: list[Any] = []
        self.warned = False

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.sums, self.counts = {}, {}
        net = getattr(pl_module, "net", pl_module)
        for path, neuron in spiking_neurons(net).items():
            self.handles.append(neuron.register_forward_hook(self._recorder(path)))

    def _recorder(self, path: str) -> Any:
        def record(module: Neuron, args: Any, out: Tensor) -> None:
            if not module.training:  # validation lies inside the epoch
                return
            total = as_events(module, out.detach()).sum(dtype=torch.float64)
            self.sums[path] = self.sums[path] + total if path in self.sums else total
            self.counts[path] = self.counts.get(path, 0) + out.numel()

        return record

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._remove()
        rates = {path: total / max(self.counts[path], 1) for path, total in self.sums.items()}
        pl_module.log_dict({f"rate/{path}": rate.float() for path, rate in rates.items()}, sync_dist=True)
        silent = [path for path, rate in rates.items() if float(rate) == 0.0]
        if silent and not self.warned:
            self.warned = True
            warnings.warn(
                f"no spike in epoch {trainer.current_epoch} from: {', '.join(silent)}. "
                "Lower their threshold, raise the gain before them, or use decay_input=False.",
                stacklevel=2,
            )

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        self._remove()

    def _remove(self) -> None:
        for handle in self.handles:
            handle.remove()
        self.handles = []
