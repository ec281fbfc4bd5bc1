"""The one network class behind every spiking transformer: stages of embedding, mixers and residuals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

import torch
from torch import Tensor, nn

from ..checks import flag, integer, is_integer, number
from ..errors import ShapeError, require
from ..layers import CHANNEL_MIXERS, EMBEDS, MIXERS, Head, Residual, ResidualKind
from ..neurons import NeuronFactory, NeuronSpec
from ..sequence import as_sequence, check_finite, checks_numerics

__all__ = ["Backbone", "BackboneArgs", "Stage"]


class BackboneArgs(TypedDict, total=False):
    """What every family passes on to :class:`Backbone` as it is, with its defaults."""

    neuron: NeuronSpec | None
    T: int
    in_channels: int
    num_classes: int
    img_size: int
    readout: str
    features_only: bool


@dataclass(frozen=True)
class Stage:
    """One resolution of a backbone.

    Attributes:
        embed, mixer, channel: registered names of patch embedding, token mixer and channel mixer.
        width: channels. depth: number of blocks. heads: attention heads. ratio: MLP expansion.
        local: registered name of another token mixer in front of ``mixer`` in every block, "" for none.
        embed_args, local_args, mixer_args, channel_args: further arguments of these.
        layer_scale: start of a learned factor per channel on every branch, None for none.
        feature: the output is one of the feature maps of the backbone.
    """

    embed: str
    width: int
    depth: int
    mixer: str
    channel: str = "mlp"
    heads: int = 8
    ratio: float = 4.0
    local: str = ""
    embed_args: Mapping[str, Any] = field(default_factory=dict)
    local_args: Mapping[str, Any] = field(default_factory=dict)
    mixer_args: Mapping[str, Any] = field(default_factory=dict)
    channel_args: Mapping[str, Any] = field(default_factory=dict)
    layer_scale: float | None = None
    feature: bool = True

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
        neuron: which neuron in which role, see :mod:`snnkit.neurons.factory`; None: ``own_neuron``.
        own_neuron: the neuron of the published model.
        published: settings a plain neuron name stands for, by neuron name.
        roles: settings that a role adds, by role.
        T: number of steps for which a static image is shown. Sequences bring their own T.
        in_channels, num_classes, img_size: of the data. Other image sizes work at call time as long
            as they are multiples of the total reduction.
        readout: read-out over time, "mean" by default; "per_step" keeps ``[T, B, num_classes]``.
        head, head_args: class of the head, and further arguments of it.
        features_only: no head; a call returns the list of feature maps ``[T, B, C, H, W]``, fine to coarse.

    Shape:
        ``[T, B, in_channels, H, W]``, or a static image ``[B, in_channels, H, W]``, for which the first
        convolution and norm run once for all T steps; -> ``[B, num_classes]``. ``net(x, time_axis=1)`` takes
        ``[B, T, in_channels, H, W]``.

    Raises:
        ConfigError: impossible settings. ShapeError: rank, channels or image size do not fit.
        NumericsError: NaN or Inf in the input (looked for on the CPU, and inside
            :func:`snnkit.sequence.check_numerics`).

    Attributes:
        config: how ``create_model`` made this network, None if it did not.
        feature_channels, feature_strides: of the feature maps: channels, and input size / map size.
    """

    config: dict[str, Any] | None = None

    def __init__(
        self,
        stages: Sequence[Stage],
        *,
        residual: ResidualKind,
        head_spike: bool,
        neuron: NeuronSpec | None = None,
        own_neuron: NeuronSpec = "lif",
        published: Mapping[str, Mapping[str, Any]] | None = None,
        roles: Mapping[str, Mapping[str, Any]] | None = None,
        T: int = 4,
        in_channels: int = 3,
        num_classes: int = 1000,
        img_size: int = 224,
        readout: str = "mean",
        head: Callable[..., nn.Module] = Head,
        head_args: Mapping[str, Any] | None = None,
        features_only: bool = False,
    ) -> None:
        super().__init__()
        for name, value in (("T", T), ("in_channels", in_channels), ("num_classes", num_classes)):
            integer(f"Backbone.{name}", value)
        flag("Backbone.features_only", features_only)
        factory = NeuronFactory(own_neuron if neuron is None else neuron, published, roles or _ROLES)
        self.stages = tuple(stages)
        self.feature_channels: list[int] = []
        self.feature_strides: list[int] = []
        self.T, self.in_channels, self.img_size = T, in_channels, img_size
        self.embeds, self.blocks = nn.ModuleList(), nn.ModuleList()
        self.reduction, cin = 1, in_channels
        for stage in stages:
            self.embeds.append(EMBEDS.get(stage.embed)(cin, stage.width, factory, **stage.embed_args))
            self.blocks.append(nn.Sequential(*_blocks(stage, residual, factory)))
            self.reduction, cin = self.reduction * int(self.embeds[-1].reduction), stage.width  # type: ignore[arg-type]
            if stage.feature:
                self.feature_channels.append(stage.width)
                self.feature_strides.append(self.reduction)
        require(
            is_integer(img_size) and img_size > 0 and img_size % self.reduction == 0,
            "Backbone.img_size",
            img_size,
            f"a positive multiple of {self.reduction}, by which the embeddings reduce the map",
            "Crop or pad the data, or choose other pools.",
        )
        last = factory if head_spike else None
        self.head = None if features_only else head(cin, num_classes, last, readout, **(head_args or {}))

    def forward(self, x: Tensor, *, time_axis: int = 0) -> Any:
        """See the class."""
        x, repeat = self._as_input(x, time_axis)
        maps = []
        for i, (stage, embed, blocks) in enumerate(zip(self.stages, self.embeds, self.blocks, strict=True)):
            x = blocks(embed(x, repeat=repeat) if i == 0 else embed(x))
            if self.head is None and stage.feature:
                maps.append(x)
        return maps if self.head is None else self.head(x)

    def _as_input(self, x: Tensor, time_axis: int) -> tuple[Tensor, int]:
        name = type(self).__name__
        x = as_sequence(x, name, min_ndim=0)
        require(time_axis in (0, 1), f"{name}: time_axis", time_axis, "0 or 1")
        if time_axis == 1:
            if x.ndim != 5:
                raise ShapeError(
                    f"{name}: got shape {tuple(x.shape)} with time_axis=1, expected "
                    f"[B, T, {self.in_channels}, H, W]. Leave time_axis out for static images."
                )
            x = x.transpose(0, 1)
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


_ROLES = {"attn": {"threshold": 0.5}}


def _blocks(stage: Stage, residual: ResidualKind, neuron: NeuronFactory) -> list[nn.Module]:
    mixers = [(stage.mixer, stage.mixer_args)]
    if stage.local:
        mixers.insert(0, (stage.local, stage.local_args))
    channel = CHANNEL_MIXERS.get(stage.channel)
    blocks: list[nn.Module] = []
    for _ in range(stage.depth):
        branches = [
            MIXERS.get(name)(stage.width, stage.heads, neuron, residual=residual, **settings)
            for name, settings in mixers
        ]
        branches.append(
            channel(stage.width, neuron, residual=residual, ratio=stage.ratio, **stage.channel_args)
        )
        for branch in branches:
            joined = getattr(branch, "shortcut", True)
            blocks.append(Residual(branch, stage.width, stage.layer_scale) if joined else branch)
    return blocks
