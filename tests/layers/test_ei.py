"""E-I layers: golden values, initialisation, gradients of E-I Prop, learning, checkpoints."""

from __future__ import annotations

import copy
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import relative_error, same_bits
from torch import Tensor, nn
from torch.nn import functional as F

from snnkit.errors import ConfigError, NumericsError, ShapeError
from snnkit.layers import EIConv2d, EILinear
from snnkit.neurons import LIF
from snnkit.sequence import stream


def wide(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


X = wide([[1.0, 0, 1], [0, 1, 1]]).unsqueeze(0)
W_EE = [[0.5, 0.25, 1], [0.1, 0.4, 0.2], [0.3, 0.3, 0.3], [0, 0.6, 0.2]]
CURRENTS = [[1.75, -1.25, -0.5, -1.5], [0.5, -0.8, -0.8, -0.4]]
FILES = [(EILinear, (6, 8), (3, 5, 6)), (EIConv2d, (2, 8, 3), (3, 2, 2, 6, 5))]
every_layer = pytest.mark.parametrize(("make", "sizes", "shape"), FILES, ids=["linear", "conv"])


def golden(output: bool = False) -> EILinear:
    layer = EILinear(3, 4, output=output).double()
    layer.initialise(X)
    with torch.no_grad():
        layer.W_EE.copy_(wide(W_EE))
        layer.W_IE.copy_(wide([[0.2, 0.4, 0.6]]))
        layer.W_EI.fill_(1.0)
        if not output:
            layer.g_I.fill_(0.5)
    return layer


def spikes(shape: tuple[int, ...], rate: float = 0.5) -> Tensor:
    return (torch.rand(shape) < rate).double()


def ready(make: Any, sizes: tuple[int, ...], shape: tuple[int, ...], **settings: Any) -> Any:
    """Initialised, with weights that differ from neuron to neuron."""
    layer = make(*sizes, **settings).double()
    layer.initialise(spikes(shape))
    with torch.no_grad():
        for p in layer.parameters():
            p.add_(0.2 * torch.rand_like(p))
    return layer


def equations(layer: Any, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:
    """The module's docstring for rows ``[N, ...]`` without zeros in I_div, by autograd."""
    p = parameters
    if isinstance(layer, EILinear):
        i_ee, i_i, w, one = x @ p["W_EE"].T, x @ p["W_IE"].T, p["W_EI"], ()
        spread = lambda z: z @ w.T  # noqa: E731
    else:
        i_ee, i_i = (F.conv2d(x, p[k], stride=layer.stride, padding=1) for k in ("W_EE", "W_IE"))
        w, one = p["W_EI"], (1, 1)
        spread = lambda z: torch.einsum("ei,nihw->nehw", w, z)  # noqa: E731
    g_i, g_e, b_e = (p[k].view(-1, *one) for k in ("g_I", "g_E", "b_E"))
    return g_e * (i_ee - spread(i_i)) / spread(g_i * i_i) + b_e


# -- golden values ---------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [True, False])
def test_currents(training: bool) -> None:
    out = golden().train(training)(X)
    torch.testing.assert_close(out[0], wide(CURRENTS), rtol=1e-14, atol=1e-14)


def test_an_output_layer_subtracts_only() -> None:
    wanted = wide(CURRENTS) * wide([[0.4], [0.5]])  # I_div: half of 0.8 and of 1
    torch.testing.assert_close(golden(output=True)(X)[0], wanted, rtol=1e-14, atol=1e-14)
    assert {n for n, _ in EILinear(3, 4, output=True).named_parameters()} == {"W_EE", "W_IE", "W_EI"}


def test_initial_statistics() -> None:
    """E 2/3, Var 1/3, E2 2/3: mean weight 1/3, g_I sqrt(3)/2."""
    layer = EILinear(3, 4000, inhibitory=4000)
    layer(X.float())
    assert layer.initialised
    assert layer.W_EE.mean().item() == pytest.approx(1 / 3, rel=0.04)
    assert layer.W_EE.std().item() == pytest.approx(1 / 3, rel=0.04)  # of an exponential: its mean
    assert layer.W_IE.mean().item() == pytest.approx(1 / 3, rel=0.04)
    assert layer.g_I.unique().item() == pytest.approx(0.8660254037844387)
    assert layer.W_EI.unique().item() == pytest.approx(1 / 4000)
    assert layer.g_E.unique().item() == 1
    assert not layer.b_E.any()


@every_layer
def test_equals_the_equations_with_gradients(make: Any, sizes: Any, shape: Any) -> None:
    layer, x = ready(make, sizes, shape), (0.1 + torch.rand(shape, dtype=torch.float64)).requires_grad_()
    parameters = {k: v.detach().clone().requires_grad_() for k, v in layer.named_parameters()}
    leaf = x.detach().clone().requires_grad_()
    wanted = equations(layer, leaf.flatten(0, 1), parameters).unflatten(0, shape[:2])
    weights = torch.randn_like(wanted)
    (wanted * weights).sum().backward()
    out = layer(x)
    (out * weights).sum().backward()
    assert relative_error(out.detach(), wanted.detach()) < 1e-12
    assert relative_error(x.grad, leaf.grad) < 1e-10
    for name, p in layer.named_parameters():
        scale = layer.fan_in if name == "W_EI" else 1
        assert relative_error(p.grad * scale, parameters[name].grad) < 1e-10, name


def test_the_fan_in_is_what_reaches_a_neuron() -> None:
    assert EILinear(7, 8).fan_in == 7
    assert EIConv2d(3, 8, 5).fan_in == 75


# -- E-I Prop --------------------------------------------------------------------------------------


def test_zeros_of_the_divisor_become_the_smallest_other_value_of_the_sample() -> None:
    """Two inhibitory neurons reach one excitatory neuron each; a third one is reached by none."""
    layer = EILinear(2, 3, inhibitory=2).double()
    layer.initialise(spikes((2, 4, 2)))
    with torch.no_grad():
        layer.W_EE.fill_(1.0)
        layer.W_IE.copy_(torch.eye(2))
        layer.W_EI.copy_(torch.tensor([[1.0, 0], [0, 1], [0, 0]]))
        layer.g_I.fill_(1.0)
    x = wide([[2.0, 4], [3, 0], [0, 0]]).unsqueeze(0).requires_grad_()
    out = layer(x)
    # I_EE - I_sub over I_div: (6-2)/2, (6-4)/4, 6/2 | (3-3)/3, 3/3, 3/3 | silent: b_E
    assert out[0].tolist() == [[2, 0.5, 3], [0, 1, 1], [0, 0, 0]]
    out.sum().backward()
    assert x.grad.isfinite().all()
    assert not x.grad[0, 2].any()
    # straight through: the gradient of a replaced divisor, -I / I_div^2, goes to the zero itself
    d_sub = wide([1 / 2, 1 / 4, 1 / 2])
    d_div = wide([-4 / 4, -2 / 16, -6 / 4])
    first = torch.outer(-d_sub + d_div, wide([2.0, 4]))
    d_sub, d_div = wide([1 / 3] * 3), wide([0, -3 / 9, -3 / 9])
    second = torch.outer(-d_sub + d_div, wide([3.0, 0]))
    torch.testing.assert_close(layer.W_EI.grad, (first + second) / 2, rtol=1e-12, atol=1e-12)


@every_layer
def test_a_silent_sample_gives_the_bias(make: Any, sizes: Any, shape: Any) -> None:
    layer = ready(make, sizes, shape)
    x = spikes(shape)
    x[0, 1] = 0
    x.requires_grad_()
    out = layer(x)
    bias = layer.b_E.view(-1, *[1] * (out.ndim - 3)).expand_as(out[0, 1])
    torch.testing.assert_close(out[0, 1], bias, rtol=0, atol=0)
    out.square().sum().backward()
    assert x.grad.isfinite().all()
    assert all(p.grad.isfinite().all() for p in layer.parameters())


@every_layer
def test_weights_stay_at_least_zero(make: Any, sizes: Any, shape: Any) -> None:
    """A forward in training sets them back; one in evaluation only computes as if. b_E is free."""
    layer, x = ready(make, sizes, shape), spikes(shape)
    place = {"W_EE": 0, "W_IE": 1, "W_EI": 2, "g_I": 1, "g_E": 5, "b_E": 5}  # no two of them in one path
    with torch.no_grad():
        for name, p in layer.named_parameters():
            p.view(-1)[place[name]] = -0.3
    before = copy.deepcopy(layer.state_dict())
    evaluated = layer.eval()(x)
    assert all(same_bits(v, before[k]) for k, v in layer.state_dict().items())
    layer.train()(x).sum().backward()
    for name, p in layer.named_parameters():
        assert (p >= 0).all() == (name != "b_E")
        assert p.grad.view(-1)[place[name]] != 0, "a weight at zero can rise again"
    assert same_bits(layer.eval()(x), evaluated)


def test_clamping_does_not_disturb_a_pending_backward_pass() -> None:
    layer, x = golden(), X.clone().requires_grad_()
    first, second = layer(x), layer(2 * x)
    (first.sum() + second.sum()).backward()
    assert x.grad is not None


# -- initialisation --------------------------------------------------------------------------------


@every_layer
@pytest.mark.parametrize("value", [0.0, 1.0, -1.0, math.nan])
def test_a_first_batch_that_says_nothing(make: Any, sizes: Any, shape: Any, value: float) -> None:
    """Silent, constant, negative, or not a number."""
    layer = make(*sizes)
    for act in (layer, layer.initialise):
        with pytest.raises(NumericsError, match=rf"{make.__name__}: first batch .*expected both finite"):
            act(torch.full(shape, value))
        assert not layer.initialised


@every_layer
def test_evaluation_before_initialisation(make: Any, sizes: Any, shape: Any) -> None:
    layer, x = make(*sizes), spikes(shape).float()
    with pytest.raises(ConfigError, match="evaluation, expected to be initialised"):
        layer.eval()(x)
    with pytest.raises(ConfigError, match="transform, expected to be initialised"):
        torch.func.vmap(layer.train(), 1, 1)(x.unsqueeze(2))
    layer(x)
    assert layer.eval()(x).shape[:2] == shape[:2]


@every_layer
def test_only_the_first_batch_initialises(make: Any, sizes: Any, shape: Any) -> None:
    layer = make(*sizes)
    layer(torch.zeros(0, *shape[1:]))
    assert not layer.initialised, "an empty batch is no batch"
    layer(spikes(shape).float())
    before = copy.deepcopy(layer.state_dict())
    layer(spikes(shape, 0.1).float())
    assert all(same_bits(v, before[k]) for k, v in layer.state_dict().items())


@every_layer
def test_a_checkpoint_keeps_the_initialisation(make: Any, sizes: Any, shape: Any, tmp_path: Path) -> None:
    layer, fresh, x = make(*sizes), make(*sizes), spikes(shape).float()
    layer(x)
    torch.save(layer.state_dict(), tmp_path / "weights.pt")
    fresh.load_state_dict(torch.load(tmp_path / "weights.pt"))
    fresh(spikes(shape).float())
    assert all(same_bits(v, layer.state_dict()[k]) for k, v in fresh.state_dict().items())
    assert same_bits(fresh.eval()(x).detach(), layer.eval()(x).detach())
    fresh.load_state_dict(make(*sizes).state_dict())  # of a layer that never saw data
    with pytest.raises(ConfigError, match="initialised"):
        fresh(x)


CODE = """
import sys, torch, torch.distributed as dist
from snnkit.layers import EILinear
rank = int(sys.argv[1])
dist.init_process_group("gloo", init_method=f"file://{sys.argv[2]}", rank=rank, world_size=2)
torch.manual_seed(rank)
layer = EILinear(5, 8)
layer(torch.rand(2, 4, 5))
torch.save(layer.state_dict(), f"{sys.argv[2]}.{rank}")
dist.destroy_process_group()
"""


def test_processes_start_from_the_same_weights(tmp_path: Path) -> None:
    meeting, environment = tmp_path / "meeting", os.environ | {"OMP_NUM_THREADS": "1"}
    runs = [
        subprocess.Popen([sys.executable, "-c", CODE, str(rank), str(meeting)], env=environment)
        for rank in (0, 1)
    ]
    assert [run.wait(timeout=120) for run in runs] == [0, 0]
    first, second = (torch.load(f"{meeting}.{rank}") for rank in (0, 1))
    assert first["initialised"]
    assert all(same_bits(v, second[k]) for k, v in first.items())


# -- in networks -----------------------------------------------------------------------------------


def published_lif() -> LIF:
    return LIF(2.0, decay_input=False, reset="soft", detach_reset=True, surrogate="sigmoid")


def test_learns_handwritten_digits() -> None:
    """Two hidden layers without any norm: from chance to at least 85 % within a few epochs."""
    datasets = pytest.importorskip("sklearn.datasets")
    data, target = datasets.load_digits(return_X_y=True)
    x, y = torch.tensor(data, dtype=torch.float32) / 16, torch.tensor(target)
    order = torch.randperm(len(x))
    train, test = order[:1400], order[1400:]
    net = nn.Sequential(
        EILinear(64, 64), published_lif(), EILinear(64, 64), published_lif(), EILinear(64, 10, output=True)
    )

    def logits(rows: Tensor) -> Tensor:
        return net(x[rows].expand(4, -1, -1)).mean(0)

    def accuracy() -> float:
        net.eval()
        with torch.no_grad():
            return (logits(test).argmax(1) == y[test]).float().mean().item()

    logits(train[:64])
    before = accuracy()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    for _ in range(8):
        net.train()
        for rows in torch.randperm(1400).split(64):
            optimizer.zero_grad()
            F.cross_entropy(logits(train[rows]), y[train[rows]]).backward()
            optimizer.step()
    assert before < 0.3
    assert accuracy() > 0.85


def test_streams_behind_a_neuron() -> None:
    net = nn.Sequential(EIConv2d(2, 8), published_lif(), EIConv2d(8, 8, stride=2), published_lif())
    x = spikes((5, 2, 2, 6, 6)).float()
    net(x)
    whole = net.eval()(x)
    assert whole.shape == (5, 2, 8, 3, 3)
    assert 0 < whole.mean() < 1
    with stream(net) as session:
        assert same_bits(torch.cat([session(x[:2]), session(x[2:])]), whole)


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # dynamo's own
@every_layer
def test_compiles_once_initialised(make: Any, sizes: Any, shape: Any) -> None:
    layer, x = ready(make, sizes, shape), spikes(shape)
    grads = []
    for run in (layer, torch.compile(layer, fullgraph=True, backend="aot_eager")):
        layer.zero_grad()
        out = run(x)
        out.square().sum().backward()
        grads.append([out.detach(), *(p.grad for p in layer.parameters())])
    for eager, compiled in zip(*grads, strict=True):
        assert relative_error(compiled, eager) < 1e-9
    torch._dynamo.reset()


@every_layer
def test_gradients_of_single_samples(make: Any, sizes: Any, shape: Any) -> None:
    layer, x = ready(make, sizes, shape), spikes(shape)
    parameters = {k: v.detach() for k, v in layer.named_parameters()}

    def loss(parameters: dict[str, Tensor], row: Tensor) -> Tensor:
        return torch.func.functional_call(layer, parameters, (row.unsqueeze(1),)).square().sum()

    per_sample = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 1))(parameters, x)
    layer.zero_grad()
    layer(x).square().sum().backward()
    for name, p in layer.named_parameters():
        assert relative_error(per_sample[name].sum(0), p.grad) < 1e-9, name


# -- settings --------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0, -1, 2.0, True, "4"])
@pytest.mark.parametrize(
    ("make", "settings", "name"),
    [
        (EILinear, {"out_features": 4}, "in_features"),
        (EILinear, {"in_features": 4}, "out_features"),
        (EILinear, {"in_features": 4, "out_features": 4}, "inhibitory"),
        (EIConv2d, {"cout": 4}, "cin"),
        (EIConv2d, {"cin": 4, "cout": 4}, "kernel"),
        (EIConv2d, {"cin": 4, "cout": 4}, "stride"),
    ],
)
def test_refused(make: Any, settings: dict[str, Any], name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"{make.__name__}.*: got .*expected an int >= 1"):
        make(**settings, **{name: value})


def test_other_refusals() -> None:
    with pytest.raises(ConfigError, match=r"EIConv2d\.kernel: got 2, expected an odd int"):
        EIConv2d(2, 4, 2)
    with pytest.raises(ConfigError, match=r"EILinear\.output: got 1"):
        EILinear(2, 4, output=1)
    for layer, shape in ((EILinear(3, 4), (2, 3)), (EILinear(3, 4), (2, 1, 4)), (EIConv2d(3, 4), (2, 1, 3))):
        with pytest.raises(ShapeError, match=rf"got shape \({shape[0]}, .*\[T, B, 3"):
            layer(torch.zeros(shape))


def test_repr_shows_every_setting() -> None:
    assert repr(EILinear(3, 2)) == "EILinear(3, 2, inhibitory=1, output=False)"
    conv = EIConv2d(3, 8, 5, stride=2, output=True)
    assert repr(conv) == "EIConv2d(3, 8, kernel=5, stride=2, inhibitory=2, output=True)"
