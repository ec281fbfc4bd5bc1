"""Maps whose channels lie innermost in memory: the same results, and no copy into another layout."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

import snnkit
from snnkit.kernels import library
from snnkit.kernels._layout import channels_inside
from snnkit.layers import norm_neuron

pytestmark = pytest.mark.skipif(isinstance(library(), str), reason=f"native backend: {library()}")
SHAPE = (3, 2, 5, 4, 6)


def inside(x: Tensor) -> Tensor:
    """The same values with the channels innermost."""
    return x.movedim(2, -1).contiguous().movedim(-1, 2)


def innermost(x: Tensor) -> bool:
    return x.movedim(2, -1).is_contiguous()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_lif_is_the_same_bit_for_bit(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x, g = torch.randn(SHAPE).to(dtype), torch.randn(SHAPE).to(dtype)
    neuron, results = snnkit.LIF(), []
    for layout in (torch.clone, inside):
        leaf = x.clone().requires_grad_()
        out, state = neuron.run(layout(leaf))
        out.backward(g)
        again, _ = neuron.run(layout(x), state)
        results.append((out, state.v, leaf.grad, again))
    for a, b in zip(*results, strict=True):
        assert torch.equal(a, b)
    assert innermost(results[1][0])
    assert results[1][0].any()


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("repeated", [False, True])
def test_norm_and_lif_are_the_same(training: bool, repeated: bool) -> None:
    """Also for a static image whose steps are views of one. Moments are summed in another order."""
    torch.manual_seed(0)
    x, g = torch.randn(1 if repeated else 3, *SHAPE[1:]), torch.randn(SHAPE)
    norm, results = nn.BatchNorm2d(5).train(training), []
    norm.weight.data.uniform_(0.5, 2)
    for layout in (torch.clone, inside):
        own, leaf = copy.deepcopy(norm), x.clone().requires_grad_()
        out = norm_neuron(own, snnkit.LIF(), layout(leaf).expand(SHAPE))
        out.backward(g)
        results.append((out, leaf.grad, own.weight.grad, own.bias.grad, own.running_var))
    assert innermost(results[1][0])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_no_copy_is_made_and_other_cases_are_left_alone() -> None:
    x, v = inside(torch.randn(SHAPE)), torch.zeros(()).expand(SHAPE[1:])
    found = channels_inside(x, v, 2.0, torch.tensor(1.0))
    assert found is not None
    assert found[0].data_ptr() == x.data_ptr()
    assert found[0].shape == (3, 48, 5)
    assert found[1].shape == (48, 5)
    assert channels_inside(torch.randn(SHAPE), v) is None, "contiguous"
    assert channels_inside(x, v, torch.ones(5, 1, 1)) is None, "a value per channel"
    assert channels_inside(x.transpose(-1, -2), v) is None, "another order"


def test_a_value_per_channel_still_works() -> None:
    torch.manual_seed(0)
    x, tau = torch.randn(SHAPE), torch.linspace(1.5, 3, 5).view(5, 1, 1)
    neuron = snnkit.LIF(tau=2.0)
    for layout in (torch.clone, inside):
        out = snnkit.kernels.lif(layout(x), torch.zeros(SHAPE[1:]), tau, 1.0, neuron.dynamics, neuron.step)[0]
        assert torch.equal(out[:, :, 2], snnkit.LIF(tau=tau[2].item())(x[:, :, 2]))


def test_a_transformer_trains_alike() -> None:
    torch.manual_seed(0)
    net = snnkit.create_model("spikformer_test", num_classes=4)
    other = copy.deepcopy(net).to(memory_format=torch.channels_last)
    x = torch.rand(2, 3, 2, 16, 16)
    logits, same = net(x), other(inside(x))
    torch.testing.assert_close(logits, same, rtol=1e-4, atol=1e-5)
    logits.sum().backward()
    same.sum().backward()
    for a, b in zip(net.parameters(), other.parameters(), strict=True):
        assert (a.grad - b.grad).norm() <= 1e-3 * a.grad.norm() + 1e-5
