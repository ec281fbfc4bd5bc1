r"""Weights that jump to and fro between two codes, and an annealing that stops them (OFQ, arXiv 2302.02210).

A weight oscillates at a step if its code changes in the direction opposite to its last change. The tracker
keeps an exponential mean of that, with momentum 0.01; confidence-guided annealing (CGA) trains only those
weights whose position lies within ``range`` of the boundary between two codes and holds the others still.
"""

from __future__ import annotations

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

    def state_dict(self) -> dict[str, dict[str, Tensor]]:
        """All that it has seen, to go on from in a resumed training."""
        return {"frequency": self.frequency, "codes": self._codes, "direction": self._direction}

    def load_state_dict(self, state: dict[str, dict[str, Tensor]]) -> None:
        """Go on from ``state``, which a tracker of the same network gave."""
        devices = {path: original_weight(layer).device for path, layer, _ in quantized_layers(self.model)}
        self.frequency, self._codes, self._direction = (
            {path: t.to(devices[path]) for path, t in state[name].items()}
            for name in ("frequency", "codes", "direction")
        )


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
        self._held: dict[str, _Held] = {}
        with torch.no_grad():
            for path, layer, quantizer in quantized_layers(model):
                weight = original_weight(layer)
                position = quantizer.position(weight)
                self._held[path] = _Held(weight, ((position - position.floor()) - 0.5).abs() > distance)

    @property
    def held(self) -> float:
        """Share of weights that are held."""
        masks = [h.mask for h in self._held.values()]
        return sum(int(m.sum()) for m in masks) / max(sum(m.numel() for m in masks), 1)

    def restore(self) -> None:
        """Put held weights back."""
        for held in self._held.values():
            held.restore()

    def close(self) -> None:
        """Train all weights again."""
        for held in self._held.values():
            held.handle.remove()
        self._held = {}

    def state_dict(self) -> dict[str, Tensor]:
        """Path -> which weights are held, to go on with in a resumed training."""
        return {path: held.mask for path, held in self._held.items()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Hold the weights of ``state`` at their present values instead of those that were chosen now."""
        for path, held in self._held.items():
            held.mask = state[path].to(held.mask.device)


class _Held:
    """A weight of which a part is kept at its value."""

    def __init__(self, weight: Tensor, mask: Tensor) -> None:
        self.weight, self.mask, self.value = weight, mask, weight.detach().clone()
        self.handle = weight.register_hook(lambda grad: grad.masked_fill(self.mask, 0.0))

    @torch.no_grad()
    def restore(self) -> None:
        self.weight.copy_(torch.where(self.mask, self.value, self.weight))
