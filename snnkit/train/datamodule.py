"""The LightningDataModule: registered data sets and transforms, batches that any process can reproduce."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from ..checks import flag, integer
from ..data import DATASETS, Batch, all_items, as_configured, collate, holdout, time_first
from ..errors import ConfigError, LimitError, require

__all__ = ["EpochSampler", "EventData", "InMemory", "OnDemand"]


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


class OnDemand(Dataset):
    """Some samples of a data set, made when a batch asks for them.

    Args:
        data: items are (frames ``[T, P, H, W]`` or a cloud ``[points, D]``, label). indices: of the samples.
    """

    def __init__(self, data: Any, indices: Sequence[int]) -> None:
        self.data, self.indices = data, indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        items = [self.data[self.indices[i]] for i in indices]
        if items[0][0].ndim == 2:  # clouds have no time axis to join along
            clouds, labels = zip(*items, strict=True)
            return InMemory(torch.stack(clouds), torch.tensor(labels)).__getitems__(range(len(items)))
        return collate(items)

    def set_epoch(self, epoch: int) -> None:
        """Random transforms draw anew."""
        if hasattr(self.data, "set_epoch"):
            self.data.set_epoch(epoch)


class EpochSampler(Sampler[int]):
    """Order of samples as a function of (seed, epoch), shared out over processes.

    Process r of R takes positions r, r + R, ...: step k of R processes with batch b covers the same
    samples as step k of one process with batch R*b. Short shares are filled from the front.

    Args:
        size: number of samples. seed: of the order. shuffle: False keeps the order of the data set.
        on_epoch: is told the number of every epoch, ahead of it.
    """

    def __init__(
        self, size: int, *, seed: int, shuffle: bool, on_epoch: Callable[[int], None] | None = None
    ) -> None:
        self.size, self.seed, self.shuffle, self.epoch = size, seed, shuffle, 0
        self._on_epoch = on_epoch

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before every epoch."""
        self.epoch = epoch
        if self._on_epoch is not None:
            self._on_epoch(epoch)

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
        transforms: of the recordings, ahead of the frames: registered names, or dicts of ``name`` and
            arguments, as ``[{name: denoise, window_us: 10000}, event_drop]``. Random ones change training
            samples only, and draw from (seed, epoch, sample): a resumed run repeats them.
        in_memory: read all samples ahead; False reads them when they are needed, as random transforms do.
        workers: processes that read samples which are not in memory.
        cache_dir: where results of the transforms ahead of the first random one are kept, for recordings
            that are slow to read; "" takes ``$SNNKIT_CACHE`` or ``~/.cache/snnkit``; None: no cache.
        batch_size: samples per process and step.
        folds, fold: validation is every ``folds``-th training sample of each class, beginning with
            ``fold``; ``folds=0`` trains on everything and has no validation.
        seed: of the order of training samples and of the transforms.

    Attributes:
        num_classes, in_channels, img_size: of the data.

    Raises:
        UnknownNameError, ConfigError, FormatError: from the data set or a transform.
        LimitError: more samples than ``LIMITS`` lets into memory.
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
        transforms: list[str | dict[str, Any]] | None = None,
        in_memory: bool = True,
        workers: int = 0,
        cache_dir: str | None = None,
    ) -> None:
        super().__init__()
        require(
            isinstance(batch_size, int) and batch_size > 0, "EventData.batch_size", batch_size, "an int > 0"
        )
        require(folds == 0 or folds >= 2, "EventData.folds", folds, "0 (no validation) or an int >= 2")
        require(0 <= fold < max(folds, 1), "EventData.fold", fold, f"an int in [0, {max(folds, 1)})")
        self.dataset, self.root, self.settings = dataset, root, dict(settings or {})
        self.batch_size, self.folds, self.fold, self.seed = batch_size, folds, fold, seed
        self.transforms, self.cache_dir = list(transforms or []), cache_dir
        self.in_memory = flag("EventData.in_memory", in_memory)
        self.workers = integer("EventData.workers", workers, 0)
        self._plain: dict[str, Any] = {}
        source = self.open("train")
        if not hasattr(source, "in_channels"):
            raise ConfigError(f"data set {dataset!r}: its samples are no frames or clouds; choose another.")
        self.num_classes, self.in_channels = source.num_classes, source.in_channels
        self.img_size = source.img_size
        self._parts: dict[str, InMemory | OnDemand] = {}

    def open(self, split: str, *, training: bool = False) -> Any:
        """The data set of a split, "train" or "test", with its transforms; random ones only if training."""
        if split not in self._plain:
            factory = DATASETS.get(self.dataset)
            arguments = {**self.settings, **({"root": self.root} if self.root else {})}
            try:
                self._plain[split] = factory(split=split, **arguments)
            except TypeError as error:
                missing = "'root'" in str(error) and not self.root
                hint = "Name the folder of its files: --data FOLDER" if missing else "Check data.settings"
                raise ConfigError(f"data set {self.dataset!r}: {error}. {hint} (data.root).") from error
        return as_configured(
            self._plain[split], self.transforms, training=training, seed=self.seed, cache_dir=self.cache_dir
        )

    def get(self, part: str) -> InMemory | OnDemand:
        """Samples of "train", "val" or "test"; what is held in memory is read once."""
        if part not in self._parts:
            self._parts[part] = self._samples(part)
        return self._parts[part]

    def _samples(self, part: str) -> InMemory | OnDemand:
        if part == "val" and not self.folds:
            raise ConfigError("EventData: folds=0 leaves no validation samples. Set data.folds, e.g. to 5.")
        source = self.open("test" if part == "test" else "train", training=part == "train")
        indices: Sequence[int] = range(len(source))
        if self.folds and part != "test":
            indices = holdout(source, self.fold, self.folds)[part == "val"]
        if not self.in_memory or getattr(source, "random", False):
            return OnDemand(source, indices)
        try:
            return InMemory(*all_items(source, indices))
        except LimitError as error:
            raise LimitError(
                f"{error} Or read samples when they are needed: data.in_memory=false."
            ) from error

    def train_dataloader(self) -> DataLoader:
        return self._loader("train", shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return self._loader("val")

    def test_dataloader(self) -> DataLoader:
        return self._loader("test")

    def _loader(self, part: str, shuffle: bool = False) -> DataLoader:
        samples = self.get(part)
        told = samples.set_epoch if isinstance(samples, OnDemand) else None
        sampler = EpochSampler(len(samples), seed=self.seed, shuffle=shuffle, on_epoch=told)
        workers = self.workers if isinstance(samples, OnDemand) else 0
        return DataLoader(
            samples,
            self.batch_size,
            sampler=sampler,
            collate_fn=_as_it_is,  # type: ignore[arg-type]
            num_workers=workers,
            persistent_workers=workers > 0,
        )


def _as_it_is(batch: Batch) -> Batch:
    return batch


def _rank_and_world() -> tuple[int, int]:
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    return (torch.distributed.get_rank(), torch.distributed.get_world_size()) if distributed else (0, 1)
