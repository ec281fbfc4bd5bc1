"""Which axes of the input are time and samples, from what the neurons saw and how the operations ran.

An input of shape [4, 8, F] on T = 4 steps may be a sequence of 8 samples, or 4 samples that the model
repeats itself, or steps and samples on one axis. Sequence neurons see ``[T, B, ...]`` in any case and
decide; without them the reading decides under which most operations lie exactly on steps and samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from ..errors import ConfigError
from .ledger import Ledger
from .provenance import tensors_in
from .watch import Watch

__all__ = ["AXES", "Axes", "Held", "axes_of", "steps_of"]

Held = Literal["TB", "BT", "B", "T*B"]
AXES = get_args(Held)


@dataclass(frozen=True, slots=True)
class Axes:
    """``steps`` and ``batch`` (samples) of one call; ``held``: as what the first axes of its input hold them.

    "TB" ``[T, B, ...]``; "BT" ``[B, T, ...]``; "B" ``[B, ...]``, repeated by the model; "T*B" ``[T*B, ...]``,
    time-major.
    """

    steps: int
    batch: int
    held: Held

    def static(self, inputs: Any) -> bool:
        """Every tensor of ``inputs`` is the same at all steps. What cannot be compared counts as changing.

        Tensors beside the first that have another layout are read as ``[B, ...]`` or as one with time first.
        """
        tensors = list(tensors_in(inputs))
        return bool(tensors) and all(self._constant(x) for x in tensors)

    def _constant(self, x: Tensor) -> bool:
        if x.layout != torch.strided or not x.ndim:
            return False
        held: Held = self.held if self._fits(x, self.held) else "B" if self._fits(x, "B") else "TB"
        if held == "B":
            return len(x) == self.batch
        if held == "BT":
            x = x.transpose(0, 1)
        if x.ndim < 2 or len(x) not in (self.steps, self.steps * self.batch):
            return False
        try:
            by_step = x.reshape(self.steps, -1)
            return torch.equal(by_step, by_step[:1].expand_as(by_step))
        except NotImplementedError:  # floats of one byte, tensors without data
            return False

    def _fits(self, x: Tensor, held: Held) -> bool:
        return _batch(tuple(x.shape), held, self.steps) == self.batch


def _batch(shape: tuple[int, ...], held: Held, steps: int) -> int | None:
    """Samples of an input of ``shape`` read as ``held``; None if it cannot be."""
    if held in ("TB", "BT"):
        time, batch = (0, 1) if held == "TB" else (1, 0)
        return shape[batch] if len(shape) > 1 and shape[time] == steps else None
    if not shape:
        return None
    return shape[0] if held == "B" else None if shape[0] % steps else shape[0] // steps


def steps_of(watch: Watch, T: int | None, inputs: Any, held: Held | None, notes: dict[str, None]) -> int:
    """Time steps of the call that has just run; what is doubtful about them goes to ``notes``."""
    seen = max((shape[0] for shapes in watch.sequences.values() for shape in shapes if shape), default=0)
    shape = _shape(inputs)
    if T is None and held in ("TB", "BT") and len(shape) > 1:
        T = max(shape[0 if held == "TB" else 1], 1)
    if T is not None:
        if seen and T % seen:
            notes[f"T={T} was given, but neurons received sequences of {seen} steps"] = None
        return T
    if not seen:
        calls = max((len(shapes) for shapes in watch.single.values()), default=0)
        hint = f"; its neurons ran {calls} times per input: pass T={calls}" if calls else ""
        notes[f"T is not given and the model takes no sequences: 1 time step assumed{hint}"] = None
    again = min((len(shapes) for shapes in watch.sequences.values()), default=1)
    if again > 1 and shape[:1] == (again * seen,):
        notes[
            f"every neuron ran {again} times per input, on sequences of {seen} steps: if that is a loop "
            f"over time, pass T={again * seen}"
        ] = None
    return max(seen, 1)


def axes_of(
    watch: Watch, ledger: Ledger, inputs: Any, steps: int, held: Held | None, notes: dict[str, None]
) -> Axes:
    """Samples of the call that has just run on ``inputs``, and how its first tensor holds them.

    Args:
        held: as what the input is to be read; None to find out, with what is doubtful in ``notes``.

    Raises:
        ConfigError: the input cannot be read as ``held``.
    """
    shape = _shape(inputs)
    if held is not None:
        batch = _batch(shape, held, steps)
        if batch is None:
            raise ConfigError(
                f"trace.axes: got {held!r} for an input of shape {list(shape)} on {steps} steps, expected "
                "one of the axes that it has. Check T, or leave axes out."
            )
        return Axes(steps, batch, held)
    if 0 in shape[:2]:
        return Axes(steps, 0, "B")
    # a sequence of one step is rare; one image, or the tokens of one text, are not
    order: tuple[Held, ...] = ("TB", "B", "BT", "T*B") if steps > 1 else ("B", "TB")
    read = {h: b for h in order if (b := _batch(shape, h, steps)) is not None}
    sizes = [s[1] for shapes in watch.sequences.values() for s in shapes if len(s) > 1]
    sizes += [s[0] for shapes in watch.single.values() for s in shapes if s]
    # samples may be split further, as into patches: neurons then see a multiple
    possible = [b for b in read.values() if not any(size % b for size in sizes)]
    # 1, last: an input without an axis of samples
    score = {b: (sizes.count(b), *ledger.fit(steps, b)) for b in [*(possible or [*sizes, *read.values()]), 1]}
    best = max(score, key=lambda b: score[b])  # the first of the best
    rivals = sorted(
        b for b in {*read.values(), *sizes} & score.keys() if b != best and score[b] == score[best]
    )
    if rivals:
        others = " or ".join(map(str, rivals))
        notes[
            f"an input of shape {list(shape)} on {steps} steps may hold {best} or {others} samples: "
            f"{best} assumed; pass axes= to say which"
        ] = None
    fitting = [h for h, b in read.items() if b == best]
    if "B" in fitting and (len(fitting) == 1 or ledger.starts_once(steps, best)):
        return Axes(steps, best, "B")
    return Axes(steps, best, next((h for h in fitting if h != "B"), "TB"))


def _shape(inputs: Any) -> tuple[int, ...]:
    x = next(tensors_in(inputs), None)
    return () if x is None else tuple(x.shape)
