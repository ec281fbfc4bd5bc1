"""Laws that hold for every input: charge is conserved, counts grow with the input, zeros stay silent."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snnkit.neurons import IF, LIF


@settings(max_examples=50, deadline=None)
@given(
    currents=st.lists(st.integers(0, 255), min_size=1, max_size=60),
    threshold=st.sampled_from([1.0, 0.5, 0.75]),
)
def test_soft_reset_conserves_charge(currents: list[int], threshold: float) -> None:
    """Without leak: sum of input = threshold * sum of spikes + what is left (dyadic numbers, exact)."""
    x = torch.tensor(currents, dtype=torch.float64).view(-1, 1, 1) / 64
    s, state = IF(threshold=threshold, reset="soft").run(x)
    assert x.sum() == threshold * s.sum() + state.v


@pytest.mark.parametrize("reset", ["soft", "hard"])
@pytest.mark.parametrize("beta", [0.5, 0.9, 1.0])
def test_more_input_never_means_fewer_spikes(beta: float, reset: str) -> None:
    """Constant input: the number of spikes does not fall as the input grows."""
    level = torch.linspace(0, 3, 4000, dtype=torch.float64)
    counts = LIF(beta=beta, reset=reset)(level.expand(50, 1, -1)).sum(0).flatten()
    assert (counts.diff() >= 0).all()


@pytest.mark.parametrize("neuron", [LIF(), IF(), LIF(beta=0.9, reset="soft")], ids=str)
def test_silence_in_silence_out(neuron: LIF) -> None:
    s, state = neuron.run(torch.zeros(20, 2, 3))
    assert not s.any()
    assert not state.v.any()


def test_the_fixed_point_of_the_leak() -> None:
    """Below threshold, ``decay_input`` approaches the input itself, and tau times it without."""
    x = torch.full((200, 1, 1), 0.4, dtype=torch.float64)
    assert LIF(2.0).run(x)[1].v.item() == pytest.approx(0.4)
    assert LIF(2.0, decay_input=False).run(x)[1].v.item() == pytest.approx(0.8)


def test_float32_state_under_bfloat16_input() -> None:
    """A state in bfloat16 would stop integrating small inputs; the float32 state does not."""
    x = torch.full((600, 1, 1), 0.001953125, dtype=torch.bfloat16)
    assert IF()(x).sum() == 1
