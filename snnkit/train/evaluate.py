"""Accuracy of a saved model on data it has not seen, with a confidence interval."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..data import DATASETS, all_items, as_configured, time_first
from ..errors import CheckpointError, ConfigError, require
from ..models import Backbone, load_model, read_metadata
from ..quant import quantize
from .mixers import set_mixers

__all__ = ["Evaluation", "by_recording", "evaluate", "logits_of", "open_model", "predict", "wilson_interval"]

_AT_ONCE = 512  # samples whose frames are in memory


@dataclass(frozen=True)
class Evaluation:
    """Outcome of :func:`evaluate`.

    Attributes:
        correct, total: samples, or recordings where samples are windows of them.
        interval: 95 % Wilson interval of the accuracy.
        by_class: class -> (correct, total).
    """

    correct: int
    total: int
    interval: tuple[float, float]
    by_class: dict[int, tuple[int, int]]

    @property
    def accuracy(self) -> float:
        """Share of correct predictions; NaN without samples."""
        return self.correct / self.total if self.total else math.nan


def wilson_interval(correct: int, total: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """Score interval of a binomial share (Wilson 1927); (0, 1) without samples."""
    if total == 0:
        return 0.0, 1.0
    p, spread = correct / total, z * z / total
    centre, half = p + spread / 2, z * math.sqrt(p * (1 - p) / total + spread / (4 * total))
    return max(0.0, (centre - half) / (1 + spread)), min(1.0, (centre + half) / (1 + spread))


def predict(net: nn.Module, frames: Tensor, batch_size: int = 64) -> Tensor:
    """Class ``[N]`` for ``frames [N, T, P, H, W]`` or clouds ``[N, points, D]``, in evaluation mode."""
    scores = logits_of(net, frames, batch_size)
    return scores.argmax(-1) if len(frames) else torch.empty(0, dtype=torch.long)


@torch.no_grad()
def logits_of(net: nn.Module, frames: Tensor, batch_size: int = 64) -> Tensor:
    """Logits ``[N, K]`` for ``frames [N, T, P, H, W]`` or clouds ``[N, points, D]``, in evaluation mode.

    The network's mode is restored.
    """
    training = net.training
    net.eval()
    try:
        parts = [net(time_first(part)) for part in frames.split(batch_size)]
    finally:
        net.train(training)
    return torch.cat(parts) if parts else torch.empty(0, 0)


def by_recording(logits: Tensor, labels: Tensor, recordings: Tensor | None) -> tuple[Tensor, Tensor]:
    """Mean logits ``[R, K]`` of the samples that were cut from one recording, and its label ``[R]``.

    Args:
        recordings: ``[N]``, which recording each sample was cut from; None: every sample is one.
    """
    if recordings is None:
        return logits, labels
    found, whose, count = recordings.unique(return_inverse=True, return_counts=True)
    sums = logits.new_zeros(len(found), logits.shape[1]).index_add_(0, whose, logits)
    return sums / count.unsqueeze(1), labels.new_zeros(len(found)).scatter_(0, whose, labels)


def open_model(checkpoint: str | Path) -> tuple[Backbone, dict[str, Any]]:
    """Model and data description of a run folder or of its ``model.safetensors``.

    Raises:
        CheckpointError: nothing readable there.
    """
    path = Path(checkpoint)
    if path.is_dir():
        if not (path / "model.safetensors").is_file():
            raise CheckpointError(
                f"{str(path)!r}: no model.safetensors in this folder. Train it to the end first "
                "(snnkit train ... --resume), or give the file itself."
            )
        path = path / "model.safetensors"
    info = read_metadata(path)["info"]
    return load_model(path, prepare=partial(_as_trained, info)), info.get("data", {})


def _as_trained(info: dict[str, Any], net: nn.Module) -> None:
    """What :class:`snnkit.train.Classifier` does to a fresh network ahead of the training."""
    set_mixers(net, info.get("mixers", "own"))
    if info.get("quant") is not None:
        quantize(net, **info["quant"], inplace=True)


def open_data(described: dict[str, Any], data: str | None, split: str = "test") -> Any:
    """The data set a model was trained on, or other data, ready for the model.

    Transforms of the training that are not random are applied to it too.

    Args:
        described: ``dataset``, ``root``, ``settings`` and ``transforms`` of the training data; empty: digits.
        data: None for the training data set itself, the name of a registered data set, or a folder of
            recordings in the layout of the training data.

    Raises:
        ConfigError: no such data set or folder, or a data set that needs a folder.
    """
    plain = _open_plain(described, data, split)
    return as_configured(plain, described.get("transforms") or [], training=False)


def _open_plain(described: dict[str, Any], data: str | None, split: str) -> Any:
    name = str(described.get("dataset", "digits"))
    settings, root = dict(described.get("settings") or {}), described.get("root")
    settings.pop("root", None)
    try:
        if data is None or data == name:
            return DATASETS.get(name)(split=split, **settings, **({"root": root} if root else {}))
        if data in DATASETS:
            return DATASETS.get(data)(split=split, **settings)
        factory = DATASETS.get(name)
        ok = hasattr(factory, "from_folder") and Path(data).is_dir()
        allowed = f"a data set ({', '.join(DATASETS.names())})"
        if hasattr(factory, "from_folder"):
            allowed += ", or an existing folder in the layout of the training data"
        require(ok, "--data", data, allowed)
        return factory.from_folder(data, **settings)
    except TypeError as error:
        raise ConfigError(
            f"--data: data set {data or name!r}: {error}. Give a folder: --data FOLDER."
        ) from error


def evaluate(checkpoint: str | Path, data: str | None = None) -> Evaluation:
    """Accuracy of a saved model; of recordings cut into windows, by the mean of the logits of all of one.

    Args:
        checkpoint: run folder or ``model.safetensors``.
        data: None for the test split of the training data, the name of a data set, or a folder of
            recordings in the layout of the training data.

    Raises:
        CheckpointError, ConfigError, FormatError: unreadable model, unknown data, malformed recording.
    """
    net, described = open_model(checkpoint)
    source = open_data(described, data)
    parts = [range(i, min(i + _AT_ONCE, len(source))) for i in range(0, len(source), _AT_ONCE)]
    pairs = [(logits_of(net, frames), truth) for frames, truth in (all_items(source, part) for part in parts)]
    logits, labels = (torch.cat(column) for column in zip(*pairs, strict=True))
    logits, labels = by_recording(logits, labels, getattr(source, "recordings", None))
    hits = logits.argmax(-1) == labels
    by_class = {
        int(c): (int(hits[labels == c].sum()), int((labels == c).sum())) for c in labels.unique().tolist()
    }
    correct, total = int(hits.sum()), len(labels)
    return Evaluation(correct, total, wilson_interval(correct, total), by_class)
