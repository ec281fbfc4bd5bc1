r"""Weights that jump to and fro between two codes, and an annealing that stops them (OFQ, arXiv 2302.02210).

A weight oscillates at a step if its code changes in the direction opposite to its last change. The tracker
keeps an exponential mean of that, with momentum 0.01; confidence-guided annealing (CGA) trains only those
weights whose position lies within ``range`` of the boundary between two codes and holds the others still.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..checks import number
from .quantize import original_weight, quantized_layers

__all__ = ["CGA", "OscillationTracker"]


class OscillationTracker:
    """Follows the codes of every quantised layer; call :meth:`update` after every optimiser step.

    Args:
        model: a quantised network. momentum: of the exponential mean.
    """

    def __init__(self, model: nn.Module, momentum: float = 0.01) -> None:
        self.model, self.momentum = model, number("OscillationTracker.momentum", momentum, above=0, at_most=1)
        self.frequency: dict[str, Tensor] = {}
        self._codes: dict[str, Tensor] = {}
        self._direction: dict[str, Tensor] = {}

    @torch.no_grad()
    def update(self) -> None:
        """Compare the present codes with those of the last call."""
        for path, layer, quantizer in quantized_layers(self.model):
            codes = quantizer.codes(original_weight(layer)).codes
            if path not in self._codes:
                self.frequency[path] = torch.zeros_like(codes, dtype=torch.float32)
                self._direction[path] = torch.zeros_like(codes)
            else:
                change = (codes - self._codes[path]).sign()
                back = (change != 0) & (change == -self._direction[path])
                self.frequency[path].lerp_(back.float(), self.momentum)
                self._direction[path] = torch.where(change != 0, change, self._direction[path])
            self._codes[path] = codes

    def shares(self, above: float = 0.005) -> dict[str, float]:
        """Path -> share of weights that oscillate more often than ``above``."""
        return {path: float((f > above).float().mean()) for path, f in self.frequency.items() if f.numel()}


class CGA:
    """Confidence-guided annealing: hold every weight that is not within ``range`` of a boundary.

    From its making on, the gradients of held weights are zero. Call :meth:`restore` after every optimiser
    step, because momentum and weight decay would move them all the same; :meth:`close` ends it.

    Args:
        model: a quantised network, near the end of its training.
        range: distance to the boundary, in codes, within which a weight goes on learning.
    """

    def __init__(self, model: nn.Module, range: float = 0.005) -> None:
        distance = number("CGA.range", range, above=0, at_most=0.5)
        self._kept: list[tuple[Tensor, Tensor, Tensor]] = []
        self._handles = []
        with torch.no_grad():
            for _, layer, quantizer in quantized_layers(model):
                weight = original_weight(layer)
                position = quantizer.position(weight)
                held = ((position - position.floor()) - 0.5).abs() > distance
                self._kept.append((weight, held, weight.detach().clone()))
                self._handles.append(weight.register_hook(_without(held)))

    @property
    def held(self) -> float:
        """Share of weights that are held."""
        number_of = sum(h.numel() for _, h, _ in self._kept)
        return sum(int(h.sum()) for _, h, _ in self._kept) / max(number_of, 1)

    @torch.no_grad()
    def restore(self) -> None:
        """Put held weights back."""
        for weight, held, value in self._kept:
            weight.copy_(torch.where(held, value, weight))

    def close(self) -> None:
        """Train all weights again."""
        for handle in self._handles:
            handle.remove()
        self._kept, self._handles = [], []


def _without(held: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda grad: grad.masked_fill(held, 0.0)
