"""The one network class behind every model of clouds: points -> map -> T steps -> body -> head."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict

import torch
from torch import Tensor, nn

from ..checks import choice, integer
from ..encoding import latency, rate, regular_rate
from ..errors import ShapeError, require
from ..layers import Head, PointGroups, PointQueue
from ..sequence import as_sequence, fold, state_dtype, unfold

__all__ = ["PointArgs", "PointModel"]

_SPIKES: dict[str, Callable[[Tensor, int], Tensor]] = {
    "rate": rate,
    "regular_rate": regular_rate,
    "latency": latency,
}
CODINGS = ("direct", *_SPIKES, "queue")
_EVALUATION_SEED = 0  # of the rate code in evaluation


class PointArgs(TypedDict, total=False):
    """What every family passes on to :class:`PointModel` as it is, with its defaults."""

    T: int
    img_size: int
    coding: str
    queue: int | None


class PointModel(nn.Module):
    """Spiking network on point or event clouds.

    Args:
        embed: ``[B, N, in_channels]`` -> map ``[B, C, M, K]``, as :class:`PointGroups`; without gradient.
        body: ``(map [S, B, C, M, K], repeat=R)`` -> ``[S * R, B, C', H, W]``; either S or R is 1.
        head: ``[T, B, C', H, W]`` -> logits.
        T: number of steps for which a cloud is shown. Sequences bring their own.
        img_size: least number of points of a cloud, as data sets call the size of a sample; 0: not checked.
        coding: how features become T steps:

            ``direct``        real values, the same at every step: the first layer multiplies
            ``rate``          spikes with the probability of the feature, clipped to [0, 1]. Training draws
                              from torch's global generator; evaluation compares with the same random numbers
                              for every cloud and every call, so that it repeats and rows stay independent
            ``regular_rate``  evenly spaced spikes of that rate
            ``latency``       one spike, the earlier the larger the feature, which has to lie in [0, 1]
            ``queue``         real values of other points at every step, :func:`snnkit.points.queue_samples`

        queue: least number of points in a step of "queue"; None: half of the cloud.

    Shape:
        a cloud ``[B, N, in_channels]``, or a sequence of clouds ``[T, B, N, in_channels]`` (windows of a
        recording, say), coordinates first; -> ``[B, num_classes]``.

    Raises:
        ConfigError: impossible settings, at a call: too few points. ShapeError: rank or channels.
        NumericsError: NaN or Inf.

    Attributes:
        config: how ``create_model`` made this network, None if it did not.
    """

    config: dict[str, Any] | None = None

    def __init__(
        self,
        embed: nn.Module,
        body: nn.Module,
        head: Head,
        *,
        T: int = 4,
        img_size: int = 0,
        coding: str = "direct",
        queue: int | None = None,
    ) -> None:
        super().__init__()
        self.T, self.coding = integer("PointModel.T", T), choice("PointModel.coding", coding, CODINGS)
        self.queue = PointQueue(T, queue) if coding == "queue" else None
        integer("PointModel.img_size", img_size, 0)
        if isinstance(embed, PointGroups) and img_size:
            least = max(embed.groups, embed.k)
            wanted = f"at least {least} points, for groups and k"
            require(img_size >= least, "PointModel.img_size", img_size, wanted)
        self.in_channels: int = embed.in_channels  # type: ignore[assignment]
        self.embed, self.body, self.head = embed, body, head

    def forward(self, points: Tensor) -> Tensor:
        """See the class."""
        points, static = self._as_input(points)
        x = unfold(self.embed(fold(points)).contiguous(), *points.shape[:2])
        if self.coding in _SPIKES:
            x = self._spikes(x[0], self.T) if static else self._spikes_of_sequence(x)
        dtype = next(self.parameters()).dtype
        if x.dtype != dtype and not torch.is_autocast_enabled(x.device.type):
            x = x.to(dtype)
        repeat = self.T // len(x) if static else 1
        return self.head(self.body(x, repeat=repeat))

    def _as_input(self, points: Tensor) -> tuple[Tensor, bool]:
        """``[S, B, N, in_channels]``, and whether it stands for self.T steps."""
        name = type(self).__name__
        points = as_sequence(points, name, min_ndim=0)
        if points.ndim not in (3, 4) or points.shape[-1] != self.in_channels:
            hint = "Create the model with in_channels=... to fit."
            if points.ndim in (3, 4) and points.shape[-2] == self.in_channels:
                hint = "This looks channels-first; use x.transpose(-1, -2)."
            raise ShapeError(
                f"{name}: got shape {tuple(points.shape)}, expected clouds [B, N, {self.in_channels}] or "
                f"[T, B, N, {self.in_channels}]. {hint}"
            )
        points = points.to(state_dtype(next(self.parameters()).dtype))
        static = points.ndim == 3
        if static:
            points = points.unsqueeze(0) if self.queue is None else self.queue(points)
        return points, static

    def _spikes(self, x: Tensor, T: int) -> Tensor:
        """``[B, C, M, K]`` -> ``[T, B, C, M, K]``."""
        if self.coding == "rate" and not self.training:
            generator = torch.Generator(x.device).manual_seed(_EVALUATION_SEED)
            draw = torch.rand((T, 1, *x.shape[1:]), dtype=x.dtype, device=x.device, generator=generator)
            return (draw < x).to(x.dtype)
        return _SPIKES[self.coding](x, T)

    def _spikes_of_sequence(self, x: Tensor) -> Tensor:
        """One step for each of ``[T, B, C, M, K]``."""
        return torch.stack([self._spikes(step, 1)[0] for step in x]) if len(x) else x
