"""Golden values of I-LIF, and its expansion into single spikes."""

from __future__ import annotations

import pytest
import torch

from snnkit.errors import ConfigError
from snnkit.neurons import ILIF

X = 2 * torch.tensor([0.625, 0.75, 0.5, 1.5, 0.125, 2.5, 0, -0.375], dtype=torch.float64).view(8, 1, 1)
COUNTS = [1, 2, 1, 3, 0, 4, 0, 0]
V = [
    0.25,
    -0.4375,
    -0.109375,
    -0.02734375,
    0.2431640625,
    1.060791015625,
    0.26519775390625,
    -0.683700561523438,
]


def test_counts_and_potentials() -> None:
    neuron, state = ILIF(), ILIF().initial_state(X[0])
    for x, count, v in zip(X, COUNTS, V, strict=True):
        n, state = neuron.step(x, state)
        assert n.item() == count
        assert state.v.item() == pytest.approx(v, abs=1e-14)


def test_gradient_without_detach() -> None:
    x = X.clone().requires_grad_()
    (torch.arange(1, 9).view(8, 1, 1) * ILIF(detach_reset=False)(x)).sum().backward()
    assert x.grad.flatten().tolist() == [1, 2, 3, 4, 5, 1.75, 7, 0]


def test_gradient_with_detach_flows_through_time() -> None:
    x = X.clone().requires_grad_()
    ILIF()(x)[3].sum().backward()
    assert x.grad.flatten().tolist() == [1 / 64, 1 / 16, 1 / 4, 1, 0, 0, 0, 0]


def test_a_count_is_that_many_single_spikes() -> None:
    """The thermometer frames [n > d] sum to n, and a linear layer cannot tell the difference."""
    n = ILIF(levels=4)(torch.randn(5, 3, 7) * 3)
    frames = torch.stack([(n > d).double() for d in range(4)])
    weights = torch.randint(-9, 9, (7, 2)).double()
    assert set(frames.unique().tolist()) == {0.0, 1.0}
    assert torch.equal((frames @ weights).sum(0), n.double() @ weights)


@pytest.mark.parametrize("levels", [1, 2, 255])
def test_output_stays_in_range(levels: int) -> None:
    n = ILIF(levels)(torch.randn(6, 4, 50) * levels)
    assert n.min() == 0
    assert n.max() <= levels
    assert torch.equal(n, n.round())


@pytest.mark.parametrize(
    "settings",
    [
        {"levels": 0},
        {"levels": 2.5},
        {"levels": True},
        {"tau": 0.5},
        {"threshold": 0.0},
        {"tau": float("nan")},
    ],
)
def test_refused(settings: dict) -> None:
    with pytest.raises(ConfigError, match=rf"ILIF\.{next(iter(settings))}.*expected"):
        ILIF(**settings)
