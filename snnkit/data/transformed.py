"""A data set seen through transforms, with what is not random kept on disk."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from .. import __version__
from ..checks import integer
from ..errors import ConfigError, InputTypeError, quote, require
from .cache import Arrays, cache_folder, cached, key
from .dataset import EventDataset, all_items
from .events import Events
from .transforms import TRANSFORMS, EventTransform

__all__ = ["Transformed", "as_configured"]

Step = EventTransform | Callable[..., Tensor]
_LAYOUT = 1  # of cache entries


class Transformed(Dataset[tuple[Any, int]]):
    """Item i is ``(steps applied to recording i, label)``.

    Random steps draw from a generator that is seeded with (seed, epoch, i): the same item, whichever
    worker makes it, in whichever order; another one in the next epoch.

    The steps ahead of the first random one always give the same result. With ``cache_dir`` it is kept on
    disk, under a key of the content of the recording, these steps with their arguments and versions, and
    the version of snnkit; the first step that is no dataclass, and so cannot tell its arguments, ends them
    too. Entries are checksummed and written atomically; any number of processes may share a folder.

    Args:
        data: where recordings and labels come from.
        steps: transforms of events, then at most one representation, as ``Framing``, ``VoxelGrid``,
            ``TimeSurface`` or ``EventCloud``. Without one, items hold ``Events``, for ``collate_events``.
        seed: of the random steps.
        cache_dir: folder of the cache; "" takes ``$SNNKIT_CACHE`` or ``~/.cache/snnkit``; None: no cache.

    Attributes:
        labels, num_classes: of ``data``. random: whether any step is.
        in_channels, img_size: of items that are frames ``[T, C, S, S]``.

    Raises:
        InputTypeError: a step that is none, or a transform behind a representation. ConfigError: seed.

    Example:
        >>> from snnkit.data import Framing
        >>> from snnkit.data.transforms import EventDrop, FlipX
        >>> seen = Transformed(NMNIST(root), [EventDrop(), Framing(T=8)], seed=1)  # doctest: +SKIP
    """

    def __init__(
        self,
        data: EventDataset,
        steps: Sequence[Step],
        *,
        seed: int = 0,
        cache_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        if not isinstance(data, EventDataset):
            raise InputTypeError(f"Transformed: got {type(data).__name__}, expected a data set of events.")
        self.data, self.steps = data, tuple(steps)
        for i, step in enumerate(self.steps):
            last = i == len(self.steps) - 1
            if not isinstance(step, EventTransform) and not (last and callable(step)):
                raise InputTypeError(
                    f"Transformed: step {i} is {quote(step)}, expected transforms of events and, if wanted, "
                    "one representation at the end, as Framing(T=8)."
                )
        self.seed = integer("Transformed.seed", seed, 0, 2**63 - 1)
        fixed = next((i for i, step in enumerate(self.steps) if not _keepable(step)), len(self.steps))
        self._fixed, self._rest = self.steps[:fixed], self.steps[fixed:]
        self._folder = None if cache_dir is None else cache_folder(cache_dir or None) / "samples"
        self._recipe = {
            "layout": _LAYOUT,
            "snnkit": __version__,
            "steps": [
                f"{type(step).__module__} {step!r} {getattr(step, 'version', 1)}" for step in self._fixed
            ],
        }
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # seen by workers that live on
        self.labels, self.num_classes = data.labels, data.num_classes
        self.random = any(map(_random, self.steps))

    def set_epoch(self, epoch: int) -> None:
        """Draw anew; trainers and loops call it before every epoch."""
        self._epoch.fill_(integer("Transformed.set_epoch", epoch, 0, 2**62))

    @property
    def in_channels(self) -> int:
        """Channels of a frame. Raises ConfigError: items are no square frames."""
        return self._frame_shape()[1]

    @property
    def img_size(self) -> int:
        """Side of a frame. Raises ConfigError: items are no square frames."""
        return self._frame_shape()[3]

    def _frame_shape(self) -> tuple[int, ...]:
        first = self[0][0]
        shape = tuple(first.shape) if isinstance(first, Tensor) else ()
        ok = len(shape) == 4 and shape[2] == shape[3]
        require(ok, "Transformed: shape of an item", shape or type(first).__name__, "frames [T, C, S, S]")
        return shape

    def tensors(self) -> tuple[Tensor, Tensor]:
        """The whole set: ``(x [N, ...], labels [N])``, of the present epoch. Raises LimitError."""
        return all_items(self)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        index = self.data._index(index)
        label = int(self.data.labels[index])
        sample = self._prepared(index)
        if self._rest:
            text = f"{self.seed} {int(self._epoch)} {index}".encode()
            seed = int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> 1
            sample, label = _run(self._rest, sample, label, torch.Generator().manual_seed(seed))
        return sample, label

    def _prepared(self, index: int) -> Any:
        """The part of an item that is the same in every epoch."""
        if self._folder is None or not self._fixed:
            return _run(self._fixed, self.data.events(index), 0)[0]
        name = key({**self._recipe, "content": self.data.fingerprint(index)})
        path = self._folder / name[:2] / f"{name}.npz"
        return _unpack(cached(path, lambda: _pack(_run(self._fixed, self.data.events(index), 0)[0])))

    def __repr__(self) -> str:
        return f"Transformed({self.data!r}, {list(self.steps)})"


def as_configured(
    data: Any,
    transforms: Sequence[str | Mapping[str, Any]],
    *,
    training: bool,
    seed: int = 0,
    cache_dir: str | os.PathLike[str] | None = None,
) -> Any:
    """A data set with the transforms of a configuration ahead of its own frames.

    Args:
        data: the data set; it is returned as it is if there is nothing to add to it.
        transforms: of events: registered names, or dicts of ``name`` and arguments, first to last.
        training: False leaves the random ones out.
        seed, cache_dir: see :class:`Transformed`.

    Raises:
        UnknownNameError, ConfigError: no such transform or argument, or a data set without recordings.

    Example:
        >>> as_configured(NMNIST(root), ["event_drop", {"name": "crop", "width": 32}])  # doctest: +SKIP
    """
    steps = [step for step in configured_steps(transforms) if training or not step.random]
    if not steps and cache_dir is None:
        return data
    if not isinstance(data, EventDataset):
        raise ConfigError(
            f"data.transforms: {type(data).__name__} holds no recordings of events; leave transforms and "
            "cache_dir out."
        )
    return Transformed(data, [*steps, data.representation], seed=seed, cache_dir=cache_dir)


def configured_steps(transforms: Sequence[str | Mapping[str, Any]]) -> list[EventTransform]:
    """Transforms of a configuration: registered names, or dicts of ``name`` and arguments."""
    steps: list[EventTransform] = []
    for given in [transforms] if isinstance(transforms, str | Mapping) else transforms:
        arguments = {"name": given} if isinstance(given, str) else given
        ok = isinstance(arguments, Mapping) and isinstance(arguments.get("name"), str)
        require(ok, "data.transforms", given, "a name, or a dict of name and arguments")
        steps.append(
            TRANSFORMS.make(arguments["name"], **{k: v for k, v in arguments.items() if k != "name"})
        )
    return steps


def _random(step: Step) -> bool:
    return bool(getattr(step, "random", False))


def _keepable(step: Step) -> bool:
    """Always the same, and told apart by its printed form: an address in memory tells nothing."""
    return not _random(step) and is_dataclass(step) and " at 0x" not in repr(step)


def _run(
    steps: Sequence[Step], sample: Any, label: int, generator: torch.Generator | None = None
) -> tuple[Any, int]:
    for step in steps:
        if isinstance(step, EventTransform):
            sample, label = step.labelled(sample, label, generator)
        else:
            sample = step(sample, generator) if _random(step) else step(sample)
    return sample, label


def _pack(sample: Events | Tensor) -> Arrays:
    if isinstance(sample, Tensor):
        return {"frames": sample.numpy()}
    columns = {name: getattr(sample, name) for name in "txyp"}
    dropped = sample.info.get("dropped", {})
    return {
        **columns,
        "sensor_size": np.array(sample.sensor_size),
        "t_span": np.array(sample.t_span),
        "reasons": np.array(list(dropped), str),
        "dropped": np.array(list(dropped.values()), np.int64),
    }


def _unpack(arrays: Arrays) -> Any:
    if "frames" in arrays:
        return torch.from_numpy(arrays["frames"])
    t, x, y, p = (arrays[name] for name in "txyp")
    width, height, polarities = arrays["sensor_size"].tolist()
    start, end = arrays["t_span"].tolist()
    dropped = dict(zip(arrays["reasons"].tolist(), arrays["dropped"].tolist(), strict=True))
    return Events(
        t, x, y, p, (width, height, polarities), (start, end), {"dropped": dropped} if dropped else {}
    )
