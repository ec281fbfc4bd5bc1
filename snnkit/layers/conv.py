"""Part 1 of every model: convolution, batch norm, spiking neuron and pooling in a given order."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

from torch import Tensor, nn

from ..neurons import NeuronFactory, Role
from ..sequence import per_step
from .norm_neuron import may_fuse, norm_neuron

__all__ = ["Order", "SpikingConv"]

Order = Literal["CBN", "NCB", "CB"]


class SpikingConv(nn.Module):
    """Convolution + batch norm + neuron (+ max pooling) on maps ``[T, B, C, H, W]``.

    Args:
        cin, cout: channels in and out.
        kernel: kernel size. 1 replaces every Linear; an odd one is padded by half, so that stride 1 keeps the
            map size; a kernel as large as the stride cuts the map into patches, without padding.
        stride, groups, bias: of the convolution. A bias is dead weight before a batch norm, but part of
            published sizes.
        order: "CBN" conv, norm, neuron (spikes out); "NCB" neuron, conv, norm (membrane out);
            "CB" without neuron.
        neuron, role: factory and role of the neuron; not used by "CB".
        pool: None, or a 3x3 stride-2 pooling right behind the norm ("norm": pools the membrane) or the neuron
            ("spike": in the order "NCB" that is in front of the convolution).
        pooling: "max" or "avg" (of the values inside of the map, without its padding).
        conv: a stateless module ``[N, cin, H, W] -> [N, cout, H', W']`` in place of the convolution.

    Shape:
        ``[T, B, cin, H, W] -> [T, B, cout, H', W']``. With ``repeat=R`` the input has T = 1, the
        convolution and the norm run once, and the output has T = R: a static image costs one stem.
    """

    def __init__(
        self,
        cin: int,
        cout: int,
        kernel: int = 1,
        *,
        stride: int = 1,
        groups: int = 1,
        bias: bool = False,
        order: Order = "CBN",
        neuron: NeuronFactory | None = None,
        role: Role = "embed",
        pool: Literal["norm", "spike"] | None = None,
        pooling: Literal["max", "avg"] = "max",
        conv: nn.Module | None = None,
    ) -> None:
        super().__init__()
        padding = 0 if kernel == stride else kernel // 2
        conv = conv or nn.Conv2d(cin, cout, kernel, stride, padding, groups=groups, bias=bias)
        affine: list[nn.Module] = [conv, nn.BatchNorm2d(cout)]
        if pool == "norm":
            affine.append(_POOLS[pooling]())
        self.affine = nn.Sequential(*affine)
        self.neuron = neuron(role, cin if order == "NCB" else cout) if neuron and order != "CB" else None
        self.neuron_first = order == "NCB"
        self.pool = _POOLS[pooling]() if pool == "spike" else None

    def forward(self, x: Tensor, repeat: int = 1) -> Tensor:
        """See the class."""
        if self.neuron is not None and self.neuron_first:
            x = self._pooled(self.neuron(x))
        if self._fuses():
            return self._normed_and_fired(x, repeat)
        if repeat == 1:
            x = per_step(self.affine, x)
        else:
            with _RepeatedStatistics(self.affine[1], repeat):  # type: ignore[arg-type]
                x = per_step(self.affine, x)
            x = x.expand(repeat, *x.shape[1:])
        if self.neuron_first:
            return x
        return self._pooled(x if self.neuron is None else self.neuron(x))

    def _fuses(self) -> bool:
        if self.neuron is None or self.neuron_first or len(self.affine) != 2:
            return False
        return may_fuse(self.affine[1], self.neuron, self.affine)

    def _normed_and_fired(self, x: Tensor, repeat: int) -> Tensor:
        """Order "CBN" without a pooling in between: norm and neuron in one operation."""
        conv, norm = self.affine
        y = per_step(conv, x)
        y = y if repeat == 1 else y.expand(repeat, *y.shape[1:])
        return self._pooled(norm_neuron(norm, self.neuron, y))  # type: ignore[arg-type]

    def _pooled(self, x: Tensor) -> Tensor:
        return x if self.pool is None else per_step(self.pool, x, training=True)


_POOLS: dict[str, Callable[[], nn.Module]] = {
    "max": partial(nn.MaxPool2d, 3, stride=2, padding=1),
    "avg": partial(nn.AvgPool2d, 3, stride=2, padding=1, count_include_pad=False),
}


class _RepeatedStatistics:
    """Makes the running variance of a batch norm that sees x once equal to seeing x ``repeat`` times.

    Mean and biased variance of R copies are those of one; only the unbiased estimate n/(n-1) of the
    running variance depends on the number of values.
    """

    def __init__(self, norm: nn.BatchNorm2d, repeat: int) -> None:
        self.norm, self.repeat = norm, repeat
        self.active = norm.training and norm.track_running_stats and norm.running_var is not None

    def __enter__(self) -> None:
        if self.active:
            assert self.norm.running_var is not None
            self.before = self.norm.running_var.clone()
            self.handle = self.norm.register_forward_pre_hook(self._count)

    def _count(self, module: nn.Module, args: tuple[Tensor]) -> None:
        self.values = args[0].numel() // max(args[0].shape[1], 1)

    def __exit__(self, *exc: object) -> None:
        if not self.active:
            return
        self.handle.remove()
        n, var = self.values, self.norm.running_var
        if exc[0] is None and var is not None and n > 1:
            momentum = self.norm.momentum
            if momentum is None:
                momentum = 1 / float(self.norm.num_batches_tracked)  # type: ignore[arg-type]
            kept = (1 - momentum) * self.before
            many = n * self.repeat
            # through .data: the batch norm saved this buffer for its backward pass, which does not read it
            var.data.copy_(kept + (var - kept) * ((n - 1) / n) * (many / (many - 1)))
