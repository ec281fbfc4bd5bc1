"""Spikformer for 32x32 images on spikingjelly, in the style of its public code, for transformer.py.

Maps are NCHW with time folded into the batch; tokens are [T, B, N, C], so that every linear layer is
followed by a transposition for BatchNorm1d and one back (arXiv 2209.15425, github.com/ZK-Zhou/spikformer,
cifar10). Attributes have the names of that code, which ``snnkit.models.from_reference`` knows.
"""

from __future__ import annotations

import itertools
import warnings

from torch import Tensor, nn

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from spikingjelly.activation_based import functional, neuron, surrogate

__all__ = ["PeerSpikformer"]


def _lif(threshold: float = 1.0) -> nn.Module:
    return neuron.LIFNode(
        2.0,
        v_threshold=threshold,
        surrogate_function=surrogate.Sigmoid(4.0),
        detach_reset=True,
        step_mode="m",
    )


class _Stem(nn.Module):
    def __init__(self, cin: int, width: int) -> None:
        super().__init__()
        widths = [cin, width // 8, width // 4, width // 2, width]
        for end, (a, b) in zip(("", "1", "2", "3"), itertools.pairwise(widths), strict=True):
            setattr(self, f"proj_conv{end}", nn.Conv2d(a, b, 3, padding=1, bias=False))
            setattr(self, f"proj_bn{end}", nn.BatchNorm2d(b))
            setattr(self, f"proj_lif{end}", _lif())
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.rpe_conv, self.rpe_bn = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.rpe_lif = _lif()

    def forward(self, x: Tensor) -> Tensor:
        steps, batch = x.shape[:2]
        x = x.flatten(0, 1)
        for end in ("", "1", "2", "3"):
            x = getattr(self, f"proj_bn{end}")(getattr(self, f"proj_conv{end}")(x))
            x = getattr(self, f"proj_lif{end}")(x.unflatten(0, (steps, batch)).contiguous()).flatten(0, 1)
            x = self.pool(x) if end in ("2", "3") else x
        position = self.rpe_bn(self.rpe_conv(x)).unflatten(0, (steps, batch)).contiguous()
        x = self.rpe_lif(position).flatten(0, 1) + x
        return x.flatten(-2).transpose(-1, -2).unflatten(0, (steps, batch))  # [T, B, N, C]


class _Tokens(nn.Module):
    """Linear, BatchNorm1d and neuron on [T, B, N, C]."""

    def fire(self, name: str, x: Tensor) -> Tensor:
        y = getattr(self, f"{name}_linear")(x.flatten(0, 1))
        y = getattr(self, f"{name}_bn")(y.transpose(-1, -2)).transpose(-1, -2)
        return getattr(self, f"{name}_lif")(y.unflatten(0, x.shape[:2]).contiguous())

    def layer(self, name: str, cin: int, cout: int) -> None:
        setattr(self, f"{name}_linear", nn.Linear(cin, cout))
        setattr(self, f"{name}_bn", nn.BatchNorm1d(cout))
        setattr(self, f"{name}_lif", _lif())


class _Attention(_Tokens):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        for name in ("q", "k", "v", "proj"):
            self.layer(name, width, width)
        self.heads, self.attn_lif = heads, _lif(0.5)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            self.fire(n, x).unflatten(-1, (self.heads, -1)).transpose(2, 3).contiguous()
            for n in ("q", "k", "v")
        )
        y = ((q @ k.transpose(-2, -1)) @ v) * 0.125
        return self.fire("proj", self.attn_lif(y.transpose(2, 3).flatten(3).contiguous()))


class _MLP(_Tokens):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer("fc1", width, 4 * width)
        self.layer("fc2", 4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fire("fc2", self.fire("fc1", x))


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attn, self.mlp = _Attention(width, heads), _MLP(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(x)
        return x + self.mlp(x)


class PeerSpikformer(nn.Module):
    """``[B, C, 32, 32] -> [B, classes]``; its neurons are reset ahead of every call."""

    def __init__(self, width: int, depth: int, heads: int, classes: int = 10, steps: int = 4) -> None:
        super().__init__()
        self.patch_embed = _Stem(3, width)
        self.block = nn.ModuleList(_Block(width, heads) for _ in range(depth))
        self.head, self.steps = nn.Linear(width, classes), steps

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        functional.reset_net(self)
        x = self.patch_embed(x.unsqueeze(0).repeat(self.steps, 1, 1, 1, 1))
        for block in self.block:
            x = block(x)
        return self.head(x.mean(2)).mean(0)
