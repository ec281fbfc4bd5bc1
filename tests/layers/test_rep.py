"""RepConv and separable convolutions, and the dense convolutions that take their place."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from snnkit.errors import ConfigError
from snnkit.layers import MIXERS, DepthwiseSeparable, RepConv, fuse_rep
from snnkit.neurons.factory import NeuronFactory


def lively(module: nn.Module) -> nn.Module:
    """Statistics and weights of norms as after training, with negative factors."""
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, -1.5, 1.5)
            nn.init.normal_(norm.bias)
            nn.init.normal_(norm.running_mean)
            nn.init.uniform_(norm.running_var, 0.2, 2.0)
    return module.double().eval()


@pytest.mark.parametrize("size", [(5, 4), (1, 1), (2, 7)])
@pytest.mark.parametrize("channels", [(3, 3), (3, 5)])
def test_repconv_equals_its_dense_convolution(channels: tuple[int, int], size: tuple[int, int]) -> None:
    layer = lively(RepConv(*channels))
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    torch.testing.assert_close(layer.fused()(x), layer(x), rtol=0, atol=1e-12)


def test_repconv_as_published() -> None:
    """Step by step, with the border written into the padded map; in training with the new statistics."""
    layer = lively(RepConv(3, 4)).train()
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    got = layer(x)
    norm = layer.inner_norm
    y = F.batch_norm(layer.mix(x), None, None, norm.weight, norm.bias, training=True)
    border = norm.bias - norm.running_mean * norm.weight / (norm.running_var + norm.eps).sqrt()
    padded = border[None, :, None, None].expand(2, 3, 6, 7).clone()
    padded[:, :, 1:-1, 1:-1] = y
    y = layer.out(layer.depthwise(padded))
    wanted = F.batch_norm(y, None, None, layer.norm.weight, layer.norm.bias, training=True)
    torch.testing.assert_close(got, wanted, rtol=1e-10, atol=1e-10)


def test_separable_equals_its_dense_convolution() -> None:
    layer = DepthwiseSeparable(4, 3, 7).double()
    x = torch.randn(2, 4, 9, 8, dtype=torch.float64)
    torch.testing.assert_close(layer.fused()(x), layer(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["sdsa3", "sepconv"])
def test_a_network_is_fused_as_a_copy(name: str) -> None:
    net = lively(MIXERS.get(name)(8, 2, NeuronFactory("lif"), residual="ms"))
    x = 3 * torch.rand(3, 2, 8, 6, 6, dtype=torch.float64)
    before = [n for n, _ in net.named_parameters()]
    fused = fuse_rep(net)
    torch.testing.assert_close(fused(x), net(x), rtol=0, atol=1e-10)
    assert [n for n, _ in net.named_parameters()] == before
    assert not [m for m in fused.modules() if isinstance(m, RepConv | DepthwiseSeparable)]


def test_fusing_in_training_mode_is_refused() -> None:
    net = nn.Sequential(RepConv(3, 3))
    with pytest.raises(ConfigError, match="training mode"):
        fuse_rep(net)
    with pytest.raises(ConfigError, match="training mode"):
        fuse_rep(net[0])
    assert isinstance(fuse_rep(net[0].eval()), nn.Conv2d)
