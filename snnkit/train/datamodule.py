"""The LightningDataModule: registered data sets in memory, batches that any process can reproduce."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from ..data import DATASETS, Batch, holdout, time_first
from ..errors import ConfigError, require

__all__ = ["EpochSampler", "EventData", "InMemory"]


class InMemory(Dataset):
    """A data set as two tensors; a batch is one indexing operation.

    Args:
        frames: ``[N, T, P, H, W]``, or clouds ``[N, points, D]``. labels: ``[N]``.
    """

    def __init__(self, frames: Tensor, labels: Tensor) -> None:
        self.frames, self.labels = frames, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        index = torch.as_tensor(indices)
        x = time_first(self.frames[index]).contiguous()
        if x.ndim == 3:
            return Batch(x, self.labels[index], torch.ones(len(index), dtype=torch.int64), None)
        lengths = torch.full((len(index),), x.shape[0])
        return Batch(x, self.labels[index], lengths, torch.ones(x.shape[:2], dtype=torch.bool))

    def subset(self, indices: Sequence[int]) -> InMemory:
        """The samples at ``indices``."""
        index = torch.as_tensor(indices)
        return InMemory(self.frames[index], self.labels[index])


class EpochSampler(Sampler[int]):
    """Order of samples as a function of (seed, epoch), shared out over processes.

    Process r of R takes positions r, r + R, ...: step k of R processes with batch b covers the same
    samples as step k of one process with batch R*b. Short shares are filled from the front.
    """

    def __init__(self, size: int, *, seed: int, shuffle: bool) -> None:
        self.size, self.seed, self.shuffle, self.epoch = size, seed, shuffle, 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before every epoch."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        rank, world = _rank_and_world()
        if self.shuffle:
            generator = torch.Generator().manual_seed((self.seed * 1_000_003 + self.epoch) % 2**63)
            order = torch.randperm(self.size, generator=generator)
        else:
            order = torch.arange(self.size)
        missing = len(self) * world - self.size
        return iter(torch.cat([order, order[:missing]])[rank::world].tolist())

    def __len__(self) -> int:
        return -(-self.size // _rank_and_world()[1])


class EventData(L.LightningDataModule):
    """Train, validation and test sets of a registered data set.

    Args:
        dataset: registered name, as "digits" or "nmnist".
        root: folder of the recordings, for data sets that live on disk.
        settings: further arguments of the data set, as ``T`` or ``size``.
        batch_size: samples per process and step.
        folds, fold: validation is every ``folds``-th training sample of each class, beginning with
            ``fold``; ``folds=0`` trains on everything and has no validation.
        seed: of the order of training samples.

    Attributes:
        num_classes, in_channels, img_size: of the data.

    Raises:
        UnknownNameError, ConfigError, FormatError: from the data set.
    """

    def __init__(
        self,
        dataset: str = "digits",
        root: str | None = None,
        settings: dict[str, Any] | None = None,
        batch_size: int = 64,
        folds: int = 0,
        fold: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        require(
            isinstance(batch_size, int) and batch_size > 0, "EventData.batch_size", batch_size, "an int > 0"
        )
        require(folds == 0 or folds >= 2, "EventData.folds", folds, "0 (no validation) or an int >= 2")
        require(0 <= fold < max(folds, 1), "EventData.fold", fold, f"an int in [0, {max(folds, 1)})")
        self.dataset, self.root, self.settings = dataset, root, dict(settings or {})
        self.batch_size, self.folds, self.fold, self.seed = batch_size, folds, fold, seed
        source = self.open("train")
        if not hasattr(source, "in_channels"):
            raise ConfigError(f"data set {dataset!r}: its samples are no frames or clouds; choose another.")
        self.num_classes, self.in_channels = source.num_classes, source.in_channels
        self.img_size = source.img_size
        self._train_source = source
        self._sets: dict[str, InMemory] = {}

    def open(self, split: str) -> Any:
        """The data set itself, split "train" or "test"."""
        factory = DATASETS.get(self.dataset)
        arguments = {**self.settings, **({"root": self.root} if self.root else {})}
        try:
            return factory(split=split, **arguments)
        except TypeError as error:
            raise ConfigError(
                f"data set {self.dataset!r}: {error}. Check data.settings and data.root."
            ) from error

    def get(self, part: str) -> InMemory:
        """Samples of "train", "val" or "test", read once."""
        if part not in self._sets:
            if part == "val" and not self.folds:
                raise ConfigError(
                    "EventData: folds=0 leaves no validation samples. Set data.folds, e.g. to 5."
                )
            if part == "test":
                self._sets["test"] = InMemory(*self.open("test").tensors())
            else:
                everything = InMemory(*self._train_source.tensors())
                if self.folds:
                    train, val = holdout(everything.labels, self.fold, self.folds)
                    self._sets |= {"train": everything.subset(train), "val": everything.subset(val)}
                else:
                    self._sets["train"] = everything
        return self._sets[part]

    def train_dataloader(self) -> DataLoader:
        return self._loader("train", shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return self._loader("val")

    def test_dataloader(self) -> DataLoader:
        return self._loader("test")

    def _loader(self, part: str, shuffle: bool = False) -> DataLoader:
        samples = self.get(part)
        sampler = EpochSampler(len(samples), seed=self.seed, shuffle=shuffle)
        return DataLoader(samples, self.batch_size, sampler=sampler, collate_fn=_as_it_is)  # type: ignore[arg-type]


def _as_it_is(batch: Batch) -> Batch:
    return batch


def _rank_and_world() -> tuple[int, int]:
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    return (torch.distributed.get_rank(), torch.distributed.get_world_size()) if distributed else (0, 1)
