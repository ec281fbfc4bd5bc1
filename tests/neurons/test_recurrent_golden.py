"""Golden values of the recurrent LIF, each recurrence against plain sums, and its place in models."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import pytest
import torch
from helpers import golden_gradients, golden_input, oracle, relative_error, same_bits, step_loop, trace
from torch import Tensor, nn

from snnkit import energy
from snnkit.errors import ConfigError, ShapeError
from snnkit.models import create_model
from snnkit.neurons import LIF, NeuronFactory, RecurrentLIF, make_neuron

V = [0.625, 0.0625, 0.03125, 0.515625, -0.1171875, 1.44140625, 0.220703125, -0.2646484375]
DX = [0.545057699697782, 1.55473180448318, 0.801559433179582, 1.26498892431359, 0.719631648178847]
DX += [0.810065121822704, 1.17104187313215, 0.476621410826121]
DR = 2.6922329544905796


def golden(**settings: Any) -> RecurrentLIF:
    neuron = RecurrentLIF(1, **settings)
    with torch.no_grad():
        neuron.weight.fill_(0)
        neuron.weight.flatten()[neuron.weight.numel() // 2] = -0.5
    return neuron


@pytest.mark.parametrize("recurrence", ["diag", "full"])
def test_golden_values(recurrence: Any) -> None:
    s, state = trace(golden(recurrence=recurrence), golden_input())
    assert s.flatten().tolist() == [0, 1, 0, 1, 0, 1, 0, 0]
    assert state.v.flatten().tolist() == V
    assert same_bits(state.s, s.detach())


@pytest.mark.parametrize("recurrence", ["diag", "full"])
def test_golden_gradients(recurrence: Any) -> None:
    dx, dr = golden_gradients(golden(recurrence=recurrence))
    assert dx == pytest.approx(DX, rel=1e-12)
    assert dr == pytest.approx([DR], rel=1e-12)


def test_golden_values_of_the_centre_of_a_kernel() -> None:
    x = golden_input().view(8, 1, 1, 1, 1).requires_grad_()
    neuron = golden(recurrence="conv").double()
    s = neuron(x)
    (torch.arange(1, 9).view(8, 1, 1, 1, 1) * s).sum().backward()
    assert s.flatten().tolist() == [0, 1, 0, 1, 0, 1, 0, 0]
    assert x.grad.flatten().tolist() == pytest.approx(DX, rel=1e-12)
    assert neuron.weight.grad[0, 0, 1, 1].item() == pytest.approx(DR, rel=1e-12)


def plain_current(neuron: RecurrentLIF, s: Tensor) -> Tensor:
    """``W s`` as sums over neurons, for spikes ``[B, C, H, W]``."""
    w, out = neuron.weight, torch.zeros_like(s)
    C, H, W = s.shape[1:]
    for c, y, x in product(range(C), range(H), range(W)):
        if neuron.recurrence == "diag":
            out[:, c, y, x] = w[c] * s[:, c, y, x]
        elif neuron.recurrence == "full":
            senders = [d for d in range(C) if neuron.self_connections or d != c]
            out[:, c, y, x] = sum(w[c, d] * s[:, d, y, x] for d in senders)
        else:
            r = neuron.kernel_size // 2
            for d, i, j in product(range(C), range(-r, r + 1), range(-r, r + 1)):
                if 0 <= y + i < H and 0 <= x + j < W:
                    out[:, c, y, x] += w[c, d, r + i, r + j] * s[:, d, y + i, x + j]
    return out


EACH = [
    {"recurrence": "diag"},
    {"recurrence": "full"},
    {"recurrence": "full", "self_connections": False},
    {"recurrence": "conv", "kernel_size": 3},
    {"recurrence": "conv", "kernel_size": 1},
]


@pytest.mark.parametrize("settings", EACH, ids=str)
def test_against_plain_sums(settings: dict[str, Any]) -> None:
    """Forward values and gradients of a whole sequence, with a bias and a hard reset."""
    neuron = RecurrentLIF(3, **settings, bias=True, reset="hard", v_reset=-0.1).double()
    with torch.no_grad():
        neuron.bias.copy_(torch.tensor([0.1, -0.2, 0.3]))
    x = 1.5 * torch.randn(6, 2, 3, 4, 3, dtype=torch.float64) + 0.5
    x.requires_grad_()
    v = s = torch.zeros_like(x[0])
    outs = []
    for x_t in x:
        h = 0.5 * v + x_t + plain_current(neuron, s) + neuron.bias.view(3, 1, 1)
        soft = torch.atan(math.pi * (h - 1)) / math.pi  # its derivative is the surrogate ATan(2)
        s = soft + ((h >= 1).double() - soft).detach()
        v = s * -0.1 + (1 - s) * h
        outs.append(s)
    weights = torch.randn_like(x)
    grads = []
    for out in (torch.stack(outs), neuron(x)):
        leaves = (x, *neuron.parameters())
        grads.append([out, *torch.autograd.grad((out * weights).sum(), leaves)])
    for wanted, got in zip(*grads, strict=True):
        assert relative_error(got, wanted) < 1e-12


def test_removed_self_connections_have_no_gradient() -> None:
    neuron = RecurrentLIF(4, self_connections=False)
    before = neuron(x := torch.randn(5, 2, 4) + 0.5)
    before.sum().backward()
    assert not neuron.weight.grad.diagonal().any()
    assert neuron.weight.grad.any()
    with torch.no_grad():
        neuron.weight.diagonal().fill_(9.0)
    assert same_bits(neuron(x), before)


def test_without_recurrence_it_is_a_lif() -> None:
    neuron, x = RecurrentLIF(3), 1.5 * torch.randn(50, 2, 3, 7)
    torch.nn.init.zeros_(neuron.weight)
    assert same_bits(neuron(x), LIF(beta=0.5, reset="soft")(x))


def test_initial_weights() -> None:
    full, conv = RecurrentLIF(8).weight, RecurrentLIF(8, recurrence="conv").weight.flatten(1)
    for w in (full, conv):
        torch.testing.assert_close(w @ w.T, 0.25 * torch.eye(8))
    diag = RecurrentLIF(100, recurrence="diag").weight
    assert set(diag.tolist()) == {-0.5, 0.5}


@pytest.mark.oracle
def test_snntorch() -> None:
    """snntorch's RLeaky feeds back one weight per layer; ``reset_delay=False`` is the immediate reset."""
    snn = oracle("snntorch")
    node = snn.RLeaky(0.5, V=-0.5, all_to_all=False, learn_recurrent=False, reset_mechanism="zero")
    node.reset_delay = False
    x = 1.5 * torch.randn(40, 2, 50)
    spk, mem = torch.zeros(2, 50), torch.zeros(2, 50)
    outs = []
    for x_t in x:
        spk, mem = node(x_t, spk, mem)
        outs.append(spk)
    ours = RecurrentLIF(50, recurrence="diag", reset="hard", fire_at_equal=False)
    torch.nn.init.constant_(ours.weight, -0.5)
    assert torch.equal(ours(x), torch.stack(outs))


# -- laws that the contract tests cannot check, because a kernel needs an image ---------------------


def test_conv_keeps_the_contract() -> None:
    neuron = RecurrentLIF(3, recurrence="conv", bias=True, learn_beta=True)
    x = 1.5 * torch.randn(7, 2, 3, 5, 4) + 0.5
    whole = neuron.run(x)
    assert same_bits(whole, step_loop(neuron, x))
    first, state = neuron.run(x[:3])
    second, state = neuron.run(x[3:], state)
    assert same_bits((torch.cat([first, second]), state), whole)
    with torch.autocast("cpu", torch.bfloat16):
        assert same_bits(neuron.run(x), whole)
    assert neuron(x.bfloat16()).dtype == torch.bfloat16
    neuron(x).square().sum().backward()
    assert all(p.grad.any() and p.grad.isfinite().all() for p in neuron.parameters())


@pytest.mark.parametrize("shape", [(4, 2, 3), (4, 2, 3, 5), (4, 2, 3, 5, 4, 2)])
def test_conv_needs_an_image(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r'"conv".*\[B, 3, H, W\].*"full"'):
        RecurrentLIF(3, recurrence="conv")(torch.zeros(shape))


def test_costs_of_a_spike() -> None:
    """Products with the recurrent weights are synaptic operations of the trace, and counted nowhere else."""
    assert RecurrentLIF(8, reset="none").energy_ops().spike_add == 0
    assert RecurrentLIF(8, reset="soft").energy_ops().spike_add == 1
    assert RecurrentLIF(8, recurrence="diag", reset="hard").energy_ops().spike_add == 1
    torch.manual_seed(0)
    neuron, x = RecurrentLIF(8).eval(), torch.rand(5, 2, 8) * 2
    spikes = neuron(x)
    assert 0 < spikes[:-1].sum() < spikes[:-1].numel()
    assert energy.trace(nn.Sequential(neuron), x).total.sop == 8 * spikes[:-1].sum()


# -- factory ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spec",
    ["recurrent_lif", RecurrentLIF, {"name": "recurrent_lif"}, {"name": "recurrent_lif", "channels": "auto"}],
    ids=str,
)
def test_the_factory_fills_in_the_channels(spec: Any) -> None:
    assert NeuronFactory(spec)("mlp1", 12).channels == 12


def test_the_factory_leaves_optional_channels_alone() -> None:
    assert NeuronFactory("lif")("mlp1", 12).channels is None
    assert NeuronFactory({"name": "recurrent_lif", "channels": 5})("mlp1", 12).channels == 5


def test_without_a_factory_the_message_says_what_is_missing() -> None:
    with pytest.raises(ConfigError, match=r"'recurrent_lif' needs channels.*channels=\.\.\."):
        make_neuron("recurrent_lif")


def test_kernels_in_the_image_part_of_a_model() -> None:
    spec = {"default": "lif", "embed": {"name": "recurrent_lif", "recurrence": "conv"}}
    net = create_model("sdt_test", neuron=spec)
    net(torch.rand(2, 2, 2, 16, 16)).sum().backward()
    assert [m.kernel_size for m in net.modules() if isinstance(m, RecurrentLIF)]


@pytest.mark.parametrize(
    "settings",
    [
        {"channels": 0},
        {"channels": None},
        {"channels": True},
        {"recurrence": "dense"},
        {"kernel_size": 2},
        {"kernel_size": 3.0},
        {"self_connections": 0},
        {"self_connections": False, "recurrence": "diag"},
        {"bias": None},
        {"beta": math.nan},
        {"threshold": math.inf},
        {"learn_beta": "yes"},
    ],
    ids=str,
)
def test_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf"RecurrentLIF\.{next(iter(settings))}.*expected"):
        RecurrentLIF(**{"channels": 3} | settings)
