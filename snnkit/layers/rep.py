"""Re-parameterised convolutions: several linear maps in training, one dense convolution at inference."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import ConfigError
from ..fusing import fuse_blocks

__all__ = ["DepthwiseSeparable", "RepConv", "fuse_rep"]


class RepConv(nn.Module):
    """``BN(1x1(depthwise 3x3(pad(BN(1x1 x)))))``: one dense 3x3 convolution at inference (arXiv 2404.03663).

    Around the map the depthwise convolution sees the norm's image of 0, that is
    ``beta - mean gamma / sqrt(var + eps)`` of the running statistics, without gradient and also in
    training. Only with it is the whole the dense convolution with zero padding, also at the borders. Fused,
    ``2C^2 + 9C`` weights become ``9C^2``.

    Activation checkpointing runs the forward twice, and the second time the running statistics have moved:
    the border, and with it the gradients, differ a little from those without it (as published, the border is
    that of the statistics with this batch). ``inner_norm.momentum = 0`` holds them still.

    Shape:
        ``[N, cin, H, W] -> [N, cout, H, W]``.
    """

    def __init__(self, cin: int, cout: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(cin, cin, 1, bias=False)
        self.inner_norm = nn.BatchNorm2d(cin)
        self.depthwise = nn.Conv2d(cin, cin, 3, groups=cin, bias=False)
        self.out = nn.Conv2d(cin, cout, 1, bias=False)
        self.norm = nn.BatchNorm2d(cout)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        x = self.inner_norm(self.mix(x))
        norm = self.inner_norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        border = norm.bias - norm.running_mean * norm.weight * (norm.running_var + norm.eps).rsqrt()
        border = border.detach()[:, None, None].to(x.dtype)
        # padding x - border with zeros pads x with the border
        x = F.pad(x, [1, 1, 1, 1])
        inside = F.pad(x.new_ones(x.shape[-2] - 2, x.shape[-1] - 2), [1, 1, 1, 1])
        return self.norm(self.out(self.depthwise(x + border * (1 - inside))))

    @torch.no_grad()
    def fused(self) -> nn.Conv2d:
        """The dense 3x3 convolution with the same outputs in evaluation."""
        inner_scale, inner_shift = _affine_of(self.inner_norm)
        scale, shift = _affine_of(self.norm)
        mix = self.mix.weight.double()[:, :, 0, 0] * inner_scale[:, None]  # [cin, cin]
        depthwise = self.depthwise.weight.double()[:, 0]  # [cin, 3, 3]
        out = self.out.weight.double()[:, :, 0, 0] * scale[:, None]  # [cout, cin]
        weight = torch.einsum("oc,cij,cn->onij", out, depthwise, mix)
        bias = shift + out @ (depthwise.sum((1, 2)) * inner_shift)
        return _dense(weight, bias, self.mix.weight)


class DepthwiseSeparable(nn.Module):
    """Depthwise ``kernel x kernel`` and pointwise convolution with nothing between them, without biases.

    The pointwise convolution reads real numbers; :func:`fuse_rep` makes it one dense convolution of spikes.

    Shape:
        ``[N, cin, H, W] -> [N, cout, H, W]``.
    """

    def __init__(self, cin: int, cout: int, kernel: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(cin, cin, kernel, padding=kernel // 2, groups=cin, bias=False)
        self.pointwise = nn.Conv2d(cin, cout, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return self.pointwise(self.depthwise(x))

    @torch.no_grad()
    def fused(self) -> nn.Conv2d:
        """The dense convolution with the same outputs."""
        out, depthwise = self.pointwise.weight.double()[:, :, 0, 0], self.depthwise.weight.double()[:, 0]
        return _dense(torch.einsum("oc,cij->ocij", out, depthwise), None, self.pointwise.weight)


def fuse_rep(net: nn.Module) -> nn.Module:
    """A copy of ``net`` with one dense convolution per :class:`RepConv` and :class:`DepthwiseSeparable`.

    Outputs in evaluation are the same up to rounding, and every convolution behind a neuron reads spikes. The
    batch norm that follows stays. Parameters grow, see :class:`RepConv`.

    Raises:
        ConfigError: the network is in training mode, in which running statistics are not what it uses.
    """
    if net.training:
        raise ConfigError("fuse_rep: the network is in training mode. Call net.eval() first.")
    whole = nn.Sequential(copy.deepcopy(net))  # so that a block alone has a parent, too
    fuse_blocks(whole)
    return whole[0].eval()


def _affine_of(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Scale and shift of a norm in evaluation, in float64."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    return scale, norm.bias.double() - norm.running_mean.double() * scale


def _dense(weight: Tensor, bias: Tensor | None, like: Tensor) -> nn.Conv2d:
    cout, cin, kernel, _ = weight.shape
    conv = nn.Conv2d(cin, cout, kernel, padding=kernel // 2, bias=bias is not None)
    conv.weight = nn.Parameter(weight.to(like))
    if bias is not None:
        conv.bias = nn.Parameter(bias.to(like))
    return conv
