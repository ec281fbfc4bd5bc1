"""Hoyer spike: golden values, the running extremum, training against evaluation, the regulariser."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from helpers import same_bits
from torch import Tensor, nn

from snnkit.errors import ConfigError, InputTypeError, ShapeError, StreamError
from snnkit.layers import SpikingConv
from snnkit.losses import hoyer_regularizer
from snnkit.neurons import HoyerSpike
from snnkit.neurons.factory import NeuronFactory
from snnkit.sequence import stream

Z = [-0.5, 0.2, 0.4, 0.6, 0.9, 1.3, 2.5]
EXTREMUM = 0.8219512195121952
C = [0, 0.2, 0.4, 0.6, 0.9, 1, 1]


def unit_threshold() -> HoyerSpike:
    """v = 1 to the last digit of float64."""
    neuron = HoyerSpike().double()
    with torch.no_grad():
        neuron.threshold_raw.copy_(torch.tensor(1.0, dtype=torch.float64).expm1().log())
    return neuron


def golden() -> Tensor:
    return torch.tensor(Z, dtype=torch.float64).view(1, 1, -1)


# -- golden values ---------------------------------------------------------------------------------


def test_golden() -> None:
    neuron, x = unit_threshold(), golden().requires_grad_()
    s = neuron(x)
    s.sum().backward()
    assert s.flatten().tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert neuron.extremum.item() == pytest.approx(EXTREMUM, abs=1e-15)
    assert x.grad.flatten().tolist() == pytest.approx([0, 0.5, 0.5, 0.5, 0.5, 0.5, 0], abs=1e-15)


@pytest.mark.parametrize("v", [1.0, 0.5, 3.0])
def test_gradients_by_hand(v: float) -> None:
    """ds/dx = [0 < z <= 2] / 2v, and ds/dv = -ds/dx x / v, with v = softplus(raw)."""
    neuron, x = HoyerSpike(v).double(), torch.randn(3, 2, 5, dtype=torch.float64, requires_grad=True)
    upstream = torch.randn_like(x)
    (neuron(x) * upstream).sum().backward()
    v = neuron.threshold.item()
    z = x.detach() / v
    wanted = 0.5 * upstream * ((z > 0) & (z <= 2)) / v
    torch.testing.assert_close(x.grad, wanted, rtol=1e-12, atol=1e-14)
    slope = torch.sigmoid(neuron.threshold_raw.detach())
    of_v = -(wanted * z).sum()
    torch.testing.assert_close(neuron.threshold_raw.grad, of_v * slope, rtol=1e-10, atol=1e-12)


def test_fires_at_equal() -> None:
    """All potentials at v: E = 1 = z."""
    x = torch.full((2, 3, 4), HoyerSpike().threshold.item())
    assert HoyerSpike()(x).all()


def test_channels_have_their_own_extremum() -> None:
    x = 2 * torch.randn(4, 3, 2, 5, 5)
    x[:, :, 1] *= 0.2
    neuron = HoyerSpike(scope="channel", channels=2)
    out = neuron(x)
    for c in range(2):
        alone = HoyerSpike()
        assert same_bits(alone(x[:, :, c]), out[:, :, c])
        assert alone.extremum.item() == pytest.approx(neuron.extremum[c].item(), rel=1e-6)
    assert neuron.extremum[1] < neuron.extremum[0] - 0.3


# -- running extremum ------------------------------------------------------------------------------


def test_the_first_batch_initialises_and_later_ones_are_averaged() -> None:
    neuron, xs = HoyerSpike(), [s * torch.rand(2, 8, 9) for s in (1.0, 0.5, 2.0)]
    assert not neuron.initialised
    wanted = None
    for x in xs:
        neuron(x)
        c = (x / neuron.threshold.detach()).clamp(0, 1)
        e = (c.square().sum() / c.sum()).item()
        wanted = e if wanted is None else 0.1 * e + 0.9 * wanted
        assert neuron.extremum.item() == pytest.approx(wanted, rel=1e-6)
        assert neuron.initialised


def test_the_extremum_never_exceeds_one() -> None:
    for scale in (0.1, 1.0, 10.0, 1e4):
        neuron = HoyerSpike()
        neuron(scale * torch.randn(3, 4, 50))
        assert 0 < neuron.extremum <= 1 + 1e-6


@pytest.mark.parametrize("settings", [{}, {"scope": "channel", "channels": 3}], ids=str)
def test_silence_has_extremum_one(settings: dict[str, Any]) -> None:
    neuron = HoyerSpike(**settings)
    x = torch.zeros(2, 2, 3, requires_grad=True)
    out = neuron(x)
    out.sum().backward()
    assert not out.any()
    assert (neuron.extremum == 1).all()
    assert x.grad.isfinite().all()
    assert neuron.threshold_raw.grad.isfinite()


@pytest.mark.parametrize("shape", [(0, 2, 3), (2, 0, 3)])
def test_an_empty_batch_is_no_batch(shape: tuple[int, ...]) -> None:
    neuron = HoyerSpike()
    neuron(torch.zeros(shape))
    assert not neuron.initialised


def test_evaluation_uses_the_running_value_and_keeps_it() -> None:
    neuron = HoyerSpike()
    neuron(golden().float())
    kept = neuron.extremum.clone()
    x = 3 * torch.rand(2, 4, 50)
    assert torch.equal(neuron.eval()(x), (x / neuron.threshold >= kept).float())
    assert same_bits(neuron.extremum, kept)
    assert not same_bits(neuron.train()(x), neuron.eval()(x)), "a batch of its own has another extremum"


def test_before_training_it_is_an_ordinary_threshold() -> None:
    x = torch.tensor([0.0, 0.99, 1.01]).view(1, 1, 3)
    assert HoyerSpike().eval()(x).flatten().tolist() == [0, 0, 1]


def test_a_checkpoint_keeps_the_statistics() -> None:
    neuron, fresh = HoyerSpike(), HoyerSpike()
    neuron(golden().float())
    fresh.load_state_dict(neuron.state_dict())
    assert fresh.initialised
    fresh(0.1 * golden().float())
    assert fresh.extremum > 0.9 * neuron.extremum, "averaged, not initialised again"


# -- what batch statistics forbid ------------------------------------------------------------------


def test_only_evaluation_streams() -> None:
    neuron, x = HoyerSpike(), torch.rand(4, 2, 3)
    with pytest.raises(StreamError, match="HoyerSpike"):
        stream(neuron)
    with stream(neuron.eval()) as session:
        assert same_bits(torch.cat([session(x[:1]), session(x[1:])]), neuron(x))


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # dynamo's own
@pytest.mark.parametrize("settings", [{}, {"scope": "channel", "channels": 3}], ids=str)
def test_training_compiles(settings: dict[str, Any]) -> None:
    x, results = torch.rand(4, 2, 3), []
    for wrap in (lambda n: n, lambda n: torch.compile(n, fullgraph=True, backend="aot_eager")):
        neuron = HoyerSpike(**settings)
        run = wrap(neuron)
        run(0.5 * x)
        out = run(x)
        out.sum().backward()
        results.append((out.detach(), neuron.extremum.clone(), neuron.threshold_raw.grad))
    for eager, compiled in zip(*results, strict=True):
        torch.testing.assert_close(compiled, eager)
    torch._dynamo.reset()


def test_samples_of_a_training_batch_cannot_be_mapped() -> None:
    """As for a batch norm: vmap would have to write one running value for all rows. torch says so."""
    with pytest.raises(RuntimeError, match="vmap"):
        torch.func.vmap(lambda row: HoyerSpike()(row.unsqueeze(1)), 1, 1)(torch.rand(2, 3, 4))


# -- regulariser -----------------------------------------------------------------------------------


def test_regularizer_golden() -> None:
    c = unit_threshold().clipped(golden())
    assert c.flatten().tolist() == pytest.approx(C, abs=1e-15)
    assert hoyer_regularizer([c]).item() == pytest.approx(4.988130563798219, abs=1e-13)
    assert hoyer_regularizer({"a": c, "silent": 0 * c}).item() == pytest.approx(4.988130563798219, abs=1e-13)


def test_regularizer_gradient() -> None:
    x = (0.1 + 0.8 * torch.rand(2, 3, 4, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: hoyer_regularizer([x, 2 * x[0]]), x)
    silent = torch.zeros(3, requires_grad=True)
    hoyer_regularizer([silent]).backward()
    assert not silent.grad.any()


def test_regularizer_reaches_the_thresholds_of_a_network() -> None:
    layer = SpikingConv(
        2, 4, 3, neuron=NeuronFactory({"name": "hoyer", "scope": "channel", "channels": "auto"})
    )
    found: list[Tensor] = []
    layer.neuron.register_forward_hook(lambda m, args, out: found.append(m.clipped(args[0])))
    layer(torch.rand(2, 3, 2, 5, 5))
    hoyer_regularizer(found).backward()
    assert layer.neuron.threshold_raw.grad != 0
    assert layer.affine[0].weight.grad.any()
    assert layer.neuron.extremum.shape == (4,)


def test_regularizer_refuses() -> None:
    with pytest.raises(ConfigError, match="at least one layer"):
        hoyer_regularizer([])
    with pytest.raises(InputTypeError, match="layer 'a': got float"):
        hoyer_regularizer({"a": 0.5})


# -- settings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "allowed"),
    [
        *[({"threshold": v}, "> 0") for v in (0, -1.0, float("nan"), float("inf"), True, "1", None)],
        *[({"momentum": v}, r"\(0, 1\]") for v in (0, 1.1, float("nan"), True, "0.1")],
        *[({"scope": v}, "tensor") for v in ("channels", None, 3)],
        *[({"scope": "channel", "channels": v}, "auto") for v in (None, 0, True, 2.0, "3")],
        ({"channels": 3}, "None with scope"),
    ],
    ids=str,
)
def test_refused(settings: dict[str, Any], allowed: str) -> None:
    with pytest.raises(ConfigError, match=rf"HoyerSpike\.{list(settings)[-1]}: got .*{allowed}"):
        HoyerSpike(**settings)


@pytest.mark.parametrize("shape", [(4, 2, 5), (4, 2)])
def test_channels_must_fit(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"channels=3.*axis 2"):
        HoyerSpike(scope="channel", channels=3)(torch.zeros(shape))


def test_threshold_is_reported_and_cheap() -> None:
    neuron = HoyerSpike(0.25)
    assert neuron.threshold.item() == pytest.approx(0.25)
    assert "threshold=0.25" in repr(neuron)
    assert isinstance(neuron.threshold_raw, nn.Parameter)
    assert neuron.energy_ops().cmp == 1
    assert neuron.energy_ops().mul == neuron.energy_ops().add == neuron.energy_ops().state_words == 0
