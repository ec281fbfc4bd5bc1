"""Part 7: classification head."""

from __future__ import annotations

from torch import Tensor, nn

from ..checks import flag, integer
from ..errors import ConfigError, ShapeError
from ..neurons import NeuronFactory
from ..readout import READOUTS
from ..sequence import per_step

__all__ = ["Head", "TokenTimeHead"]


class Head(nn.Module):
    """Mean over tokens -> [neuron] -> Linear -> read-out over time.

    Args:
        width, num_classes: channels in, classes out.
        neuron: factory (role "head"), or None for models whose head reads the mean directly.
        readout: name of a read-out: "mean", "per_step", "sum", "max", "last", ...
        neuron_first: the neuron stands in front of the mean.
        bias: of the Linear.
        distill: a second Linear learns from a teacher (Meta-SpikeFormer, arXiv 2404.03663). In training
            the answer is the pair of both, in evaluation their mean.

    Shape:
        ``[T, B, C, H, W] -> [B, num_classes]``, or ``[T, B, num_classes]`` with "per_step".
    """

    def __init__(
        self,
        width: int,
        num_classes: int,
        neuron: NeuronFactory | None,
        readout: str = "mean",
        *,
        neuron_first: bool = False,
        bias: bool = True,
        distill: bool = False,
    ) -> None:
        super().__init__()
        self.neuron = neuron("head", width) if neuron else None
        self.neuron_first = neuron_first
        self.readout = READOUTS.get(readout)()
        self.linear = _classifier(width, num_classes * self.readout.group, bias)
        flag("Head.distill", distill)
        self.teacher = _classifier(width, num_classes * self.readout.group, bias) if distill else None

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """See the class."""
        if self.neuron is not None and self.neuron_first:
            x = self.neuron(x)
        x = per_step(_token_mean, x, training=self.training)
        if self.neuron is not None and not self.neuron_first:
            x = self.neuron(x)
        out = self.readout(per_step(self.linear, x))
        if self.teacher is None:
            return out
        taught = self.readout(per_step(self.teacher, x))
        return (out, taught) if self.training else (out + taught) / 2


class TokenTimeHead(nn.Module):
    """Depthwise convolution over tokens and steps -> norm -> Linear: SGLFormer's head on small images.

    One weight per channel, token and step: the size of the map and the number of steps are part of the model,
    and there is no answer per step.

    Args:
        width, num_classes: channels in, classes out. neuron: None. readout: "mean".
        tokens, steps: N = H * W and T.

    Shape:
        ``[T, B, C, H, W] -> [B, num_classes]``.

    Raises:
        ConfigError: another read-out. ShapeError: other numbers of tokens or steps.
    """

    def __init__(
        self,
        width: int,
        num_classes: int,
        neuron: NeuronFactory | None = None,
        readout: str = "mean",
        *,
        tokens: int,
        steps: int,
    ) -> None:
        super().__init__()
        if neuron is not None or readout != "mean":
            raise ConfigError(
                f"TokenTimeHead: got readout={readout!r}, expected 'mean' and no neuron: it weighs the steps "
                "itself. Choose the head that averages."
            )
        size = (integer("TokenTimeHead.tokens", tokens), integer("TokenTimeHead.steps", steps))
        self.conv = nn.Conv2d(width, width, size, groups=width)
        self.norm = nn.BatchNorm2d(width)
        self.linear = _classifier(width, num_classes, True)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        found, wanted = (x.shape[-2:].numel(), x.shape[0]), self.conv.kernel_size
        if found != wanted:
            raise ShapeError(
                f"TokenTimeHead: got {found[0]} tokens in {found[1]} steps, expected {wanted[0]} in "
                f"{wanted[1]}, which its weights are for. Create the model with img_size and T of the data."
            )
        x = self.norm(self.conv(x.flatten(3).permute(1, 2, 3, 0)))
        return self.linear(x.flatten(1))


def _classifier(width: int, classes: int, bias: bool) -> nn.Linear:
    linear = nn.Linear(width, classes, bias=bias)
    nn.init.trunc_normal_(linear.weight, std=0.02)
    if bias:
        nn.init.zeros_(linear.bias)
    return linear


def _token_mean(x: Tensor) -> Tensor:
    return x.flatten(2).mean(2)
