"""The step engine against the stream of the same network."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import snnkit
from snnkit.errors import DTypeError, InputTypeError, ShapeError
from snnkit.kernels import library

pytestmark = pytest.mark.skipif(isinstance(library(), str), reason=f"native backend: {library()}")


def network(*neurons: nn.Module, sizes: tuple[int, ...]) -> nn.Sequential:
    """Integer weights: sums are exact in any order, so that spikes must be equal."""
    layers: list[nn.Module] = []
    for k, n, neuron in zip(sizes, sizes[1:], neurons, strict=False):
        linear = nn.Linear(k, n)
        nn.init.constant_(linear.bias, 0.25)
        with torch.no_grad():
            linear.weight.copy_(torch.randint(-3, 4, linear.weight.shape) / 4)
        layers += [linear, neuron]
    return nn.Sequential(nn.Sequential(*layers[:2]), *layers[2:])


NEURONS = [
    (snnkit.LIF(), snnkit.LIF(beta=0.9, reset="soft", reset_timing="delayed", fire_at_equal=False)),
    (snnkit.IF(reset="soft"), snnkit.LIF(tau=3.0, v_rest=0.1, v_reset=-0.2)),
    (
        snnkit.LIF(learn_tau=True, channels=200, learn_threshold=True),
        snnkit.LIF(beta=0.7, reset_timing="delayed"),
    ),
]


@pytest.mark.parametrize("pair", NEURONS, ids=lambda p: str(p[1])[:30])
def test_equals_the_stream(pair: tuple[nn.Module, nn.Module]) -> None:
    torch.manual_seed(0)
    net = network(*pair, sizes=(70, 200, 33)).eval()
    x = (torch.rand(40, 70) < 0.1).float()
    x[7] = torch.randint(-2, 3, (70,)).float()  # not only spikes
    engine = snnkit.StepEngine(net)
    with torch.no_grad(), snnkit.stream(net) as session:
        for t, step in enumerate(x):
            assert torch.equal(engine(step), session(step[None, None])[0, 0]), f"step {t}"
        states = session.states()
    for mine, theirs in zip(engine.states(), states.values(), strict=True):
        torch.testing.assert_close(mine, theirs.v[0])
    first = engine(x[0])
    engine.reset()
    again = [engine(step) for step in x[:3]]
    engine.reset()
    assert all(torch.equal(a, engine(step)) for a, step in zip(again, x, strict=False))
    assert first.shape == (33,)


def test_outputs_are_not_overwritten_and_weights_are_copied() -> None:
    net = network(snnkit.IF(), sizes=(4, 3))
    engine = snnkit.StepEngine(net)
    a = engine(torch.full((4,), 9.0))
    before = a.clone()
    engine(torch.zeros(4))
    assert torch.equal(a, before)
    with torch.no_grad():
        net[0][0].weight.fill_(99.0)
    engine.reset()
    assert torch.equal(engine(torch.full((4,), 9.0)), before)


def test_refused() -> None:
    with pytest.raises(InputTypeError, match="ReLU"):
        snnkit.StepEngine(nn.Sequential(nn.Linear(2, 3), nn.ReLU()))
    with pytest.raises(InputTypeError, match="pairs"):
        snnkit.StepEngine(nn.Sequential(nn.Linear(2, 3)))
    with pytest.raises(DTypeError, match="float64"):
        snnkit.StepEngine(nn.Sequential(nn.Linear(2, 3), snnkit.LIF()).double())
    engine = snnkit.StepEngine(nn.Sequential(nn.Linear(2, 3), snnkit.LIF()))
    with pytest.raises(ShapeError, match=r"expected \(2,\)"):
        engine(torch.rand(1, 2))
    with pytest.raises(DTypeError, match="int64"):
        engine(torch.ones(2, dtype=torch.int64))
    with pytest.raises(InputTypeError):
        engine([1.0, 2.0])  # type: ignore[arg-type]
