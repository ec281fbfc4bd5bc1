"""Ordinary torch layers on sequences."""

from __future__ import annotations

from torch import Tensor, nn

from ..errors import ConfigError, InputTypeError, quote
from ..sequence import Stateful, as_sequence, per_step

__all__ = ["PerStep"]


class PerStep(nn.Module):
    """Apply torch layers to every time step: ``[T, B, ...] -> [T, B, ...]``.

    Several layers are applied one after the other, as in ``nn.Sequential``. Batch statistics are
    shared over time in training. In evaluation the result of a step does not depend on how many
    steps arrive together (:func:`snnkit.sequence.per_step`), so streaming stays bit-exact.

    Args:
        layers: modules on ``[rows, ...]`` without memory of their own.

    Raises:
        ConfigError: no layers, or a neuron or another stateful module among them. InputTypeError: no module.

    Example:
        >>> conv = snnkit.PerStep(torch.nn.Conv2d(2, 8, 3), torch.nn.BatchNorm2d(8))
        >>> net = torch.nn.Sequential(conv, snnkit.LIF())
        >>> net(torch.rand(4, 1, 2, 16, 16)).shape
        torch.Size([4, 1, 8, 14, 14])
    """

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        if not layers:
            raise ConfigError("PerStep: got no layers, expected at least one torch module.")
        for layer in layers:
            if not isinstance(layer, nn.Module):
                raise InputTypeError(f"PerStep: got {quote(layer)}, expected torch modules.")
            for path, module in layer.named_modules():
                if isinstance(module, Stateful):
                    raise ConfigError(
                        f"PerStep: {path or 'the layer'} is {type(module).__name__}, which remembers earlier "
                        "steps, expected layers without memory. Put it beside PerStep, not inside."
                    )
        self.body = layers[0] if len(layers) == 1 else nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """``[T, B, ...] -> [T, B, ...]``."""
        return per_step(self.body, as_sequence(x, "PerStep"))
