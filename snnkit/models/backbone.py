"""The one network class behind every spiking transformer: stages of embedding, mixers and residuals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

import torch
from torch import Tensor, nn

from ..checks import integer, is_integer, number
from ..errors import ShapeError, require
from ..layers import CHANNEL_MIXERS, EMBEDS, MIXERS, Head, Residual, ResidualKind
from ..neurons import NeuronFactory, NeuronSpec
from ..sequence import as_sequence, check_finite, checks_numerics

__all__ = ["Backbone", "BackboneArgs", "Stage"]


class BackboneArgs(TypedDict, total=False):
    """What every family passes on to :class:`Backbone` as it is, with its defaults."""

    neuron: NeuronSpec
    T: int
    in_channels: int
    num_classes: int
    img_size: int
    readout: str


@dataclass(frozen=True)
class Stage:
    """One resolution of a backbone.

    Attributes:
        embed, mixer, channel: registered names of patch embedding, token mixer and channel mixer.
        width: channels. depth: number of blocks. heads: attention heads. ratio: MLP expansion.
        embed_args, mixer_args: further arguments of the embedding and the mixer.
    """

    embed: str
    width: int
    depth: int
    mixer: str
    channel: str = "mlp"
    heads: int = 8
    ratio: float = 4.0
    embed_args: Mapping[str, Any] = field(default_factory=dict)
    mixer_args: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("width", "depth", "heads"):
            integer(f"Stage.{name}", getattr(self, name))
        number("Stage.ratio", self.ratio, above=0)


class Backbone(nn.Module):
    """Spiking transformer.

    Args:
        stages: from input to output.
        residual: "sew" (spikes are added) or "ms" (membranes are added), everywhere.
        head_spike: a neuron between token mean and classifier.
        neuron: which neuron in which role, see :mod:`snnkit.neurons.factory`.
        published: settings a plain neuron name stands for, by neuron name.
        T: number of steps for which a static image is shown. Sequences bring their own T.
        in_channels, num_classes, img_size: of the data. Other image sizes work at call time as long
            as they are multiples of the total reduction.
        readout: read-out over time, "mean" by default; "per_step" keeps ``[T, B, num_classes]``.

    Shape:
        ``[T, B, in_channels, H, W]``, or a static image ``[B, in_channels, H, W]``, for which the first
        convolution and norm run once for all T steps; -> ``[B, num_classes]``.

    Raises:
        ConfigError: impossible settings. ShapeError: rank, channels or image size do not fit.
        NumericsError: NaN or Inf in the input (looked for on the CPU, and inside
            :func:`snnkit.sequence.check_numerics`).

    Attributes:
        config: how ``create_model`` made this network, None if it did not.
    """

    config: dict[str, Any] | None = None

    def __init__(
        self,
        stages: Sequence[Stage],
        *,
        residual: ResidualKind,
        head_spike: bool,
        neuron: NeuronSpec = "lif",
        published: Mapping[str, Mapping[str, Any]] | None = None,
        T: int = 4,
        in_channels: int = 3,
        num_classes: int = 1000,
        img_size: int = 224,
        readout: str = "mean",
    ) -> None:
        super().__init__()
        for name, value in (("T", T), ("in_channels", in_channels), ("num_classes", num_classes)):
            integer(f"Backbone.{name}", value)
        factory = NeuronFactory(neuron, published, roles={"attn": {"threshold": 0.5}})
        self.T, self.in_channels = T, in_channels
        self.embeds, self.blocks = nn.ModuleList(), nn.ModuleList()
        self.reduction, cin = 1, in_channels
        for stage in stages:
            self.embeds.append(EMBEDS.get(stage.embed)(cin, stage.width, factory, **stage.embed_args))
            self.blocks.append(nn.Sequential(*_blocks(stage, residual, factory)))
            self.reduction, cin = self.reduction * int(self.embeds[-1].reduction), stage.width  # type: ignore[arg-type]
        require(
            is_integer(img_size) and img_size > 0 and img_size % self.reduction == 0,
            "Backbone.img_size",
            img_size,
            f"a positive multiple of {self.reduction}, by which the embeddings reduce the map",
            "Crop or pad the data, or choose other pools.",
        )
        self.head = Head(cin, num_classes, factory if head_spike else None, readout)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        x, repeat = self._as_input(x)
        for i, (embed, blocks) in enumerate(zip(self.embeds, self.blocks, strict=True)):
            x = blocks(embed(x, repeat=repeat if i == 0 else 1))
        return self.head(x)

    def _as_input(self, x: Tensor) -> tuple[Tensor, int]:
        name = type(self).__name__
        x = as_sequence(x, name, min_ndim=0)
        pattern = f"[T, B, {self.in_channels}, H, W] or a static image [B, {self.in_channels}, H, W]"
        if x.ndim not in (4, 5):
            raise ShapeError(f"{name}: got shape {tuple(x.shape)}, expected {pattern}. Add the missing axis.")
        if x.shape[-3] != self.in_channels:
            hint = "Create the model with in_channels=... to fit."
            if x.ndim == 5 and x.shape[-1] == self.in_channels:
                hint = "This looks channels-last; use x.movedim(-1, -3)."
            raise ShapeError(f"{name}: got shape {tuple(x.shape)}, expected {pattern}. {hint}")
        if any(side == 0 or side % self.reduction for side in x.shape[-2:]):
            raise ShapeError(
                f"{name}: got image size {tuple(x.shape[-2:])}, expected positive multiples of "
                f"{self.reduction}. "
                "Crop or pad the images, or create the model with other pools."
            )
        if checks_numerics(x):
            check_finite(x, name)
        parameter = next(self.parameters())
        if x.dtype != parameter.dtype and not torch.is_autocast_enabled(x.device.type):
            x = x.to(parameter.dtype)
        return (x, 1) if x.ndim == 5 else (x.unsqueeze(0), self.T)


def _blocks(stage: Stage, residual: ResidualKind, neuron: NeuronFactory) -> list[nn.Module]:
    mixer, channel = MIXERS.get(stage.mixer), CHANNEL_MIXERS.get(stage.channel)
    blocks: list[nn.Module] = []
    for _ in range(stage.depth):
        blocks += [
            Residual(mixer(stage.width, stage.heads, neuron, residual=residual, **stage.mixer_args)),
            Residual(channel(stage.width, neuron, residual=residual, ratio=stage.ratio)),
        ]
    return blocks
