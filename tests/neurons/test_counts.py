"""Counts as single events: exact round trips for every code, and the dynamics behind the thermometer."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snnkit.errors import ConfigError, ShapeError
from snnkit.neurons import (
    IELIF,
    ILIF,
    collapse_counts,
    expand_counts,
    fire_counts,
    frame_weights,
    round_counts,
)

CODES = ["unary", "ternary", "bitwise", "twos_complement"]


@pytest.mark.parametrize(
    ("code", "n", "levels", "frames"),
    [
        ("unary", 3, 4, [1, 1, 1, 0]),
        ("ternary", -3, 4, [-1, -1, -1, 0]),
        ("bitwise", 6, 7, [0, 1, 1]),
        ("bitwise", -5, 9, [-1, 0, -1, 0]),
        ("twos_complement", 5, 9, [1, 0, 1, 0, 0]),
        ("twos_complement", -5, 9, [1, 1, 0, 1, 1]),  # 1 + 2 + 8 - 16
        ("twos_complement", -1, 1, [1, 1]),
    ],
)
def test_frames_of_a_count(code: str, n: int, levels: int, frames: list[int]) -> None:
    got = expand_counts(torch.tensor([[float(n)]]), levels, code)
    assert got.shape == (len(frames), 1)
    assert got.flatten().tolist() == frames


@settings(max_examples=200, deadline=None)
@given(data=st.data(), levels=st.integers(1, 300), code=st.sampled_from(CODES))
def test_round_trip(data: st.DataObject, levels: int, code: str) -> None:
    low = 0 if code == "unary" else -levels
    values = data.draw(st.lists(st.integers(low, levels), min_size=6, max_size=6))
    for dtype in (torch.float32, torch.float64, torch.int64):
        n = torch.tensor(values, dtype=dtype).view(3, 2)
        frames = expand_counts(n, levels, code)
        assert frames.dtype == dtype
        assert frames.shape == (3 * len(frame_weights(levels, code)), 2)
        assert set(frames.unique().tolist()) <= ({-1, 0, 1} if code in ("ternary", "bitwise") else {0, 1})
        assert torch.equal(collapse_counts(frames, levels, code), n)


@pytest.mark.parametrize("levels", [1, 2, 3, 4, 7, 8, 255])
def test_number_of_frames(levels: int) -> None:
    lengths = [len(frame_weights(levels, code)) for code in CODES]
    bits = len(f"{levels:b}")
    assert lengths == [levels, levels, bits, bits + 1]
    for code in CODES:
        for n in (levels, 0 if code == "unary" else -levels):
            assert collapse_counts(expand_counts(torch.tensor([[n]]), levels, code), levels, code).item() == n


@pytest.mark.parametrize("code", CODES)
def test_a_linear_layer_cannot_tell_the_difference(code: str) -> None:
    """Steps stay apart: frame s of step t is row ``t*S + s``. Integer weights, so that sums are exact."""
    n = torch.randint(0 if code == "unary" else -5, 6, (4, 3, 7)).float()
    weights = torch.randint(-9, 9, (7, 2)).float()
    frames = expand_counts(n, 5, code)
    assert torch.equal(collapse_counts(frames @ weights, 5, code), n @ weights)
    step = len(frame_weights(5, code))
    assert torch.equal(collapse_counts(frames[step : 2 * step], 5, code), n[1:2])


def test_nothing_to_expand() -> None:
    assert expand_counts(torch.zeros(0, 3), 4).shape == (0, 3)
    assert expand_counts(torch.zeros(2, 0), 4).shape == (8, 0)
    assert collapse_counts(torch.zeros(0, 3), 4).shape == (0, 3)


@pytest.mark.parametrize("threshold", [1.0, 0.25])
def test_micro_dynamics_of_a_membrane(threshold: float) -> None:
    """An integrate-and-fire neuron in D virtual steps sends the count, as a thermometer, and keeps v."""
    h = torch.arange(-24, 96, dtype=torch.float64) / 16 * 4 * threshold  # with ties, below 0 and above D
    spikes, v = fire_counts(h, threshold, 4)
    n = round_counts(h / threshold, 0, 4, half_up=True)
    assert torch.equal(spikes.sum(0), n)
    assert torch.equal(spikes, expand_counts(n.unsqueeze(0), 4))
    assert torch.equal(v, h - n * threshold)


def test_a_whole_sequence_in_virtual_steps() -> None:
    """Training by counts equals inference by spikes, step by step with the leak between real steps."""
    neuron = IELIF(tau=2.0).double()
    x = (torch.randn(6, 3, 5, dtype=torch.float64) * 64).round() / 64
    out, state = neuron.run(x)
    v, counts = torch.zeros(3, 5, dtype=torch.float64), []
    for x_t in x:
        spikes, v = fire_counts(v / 2 + x_t, 1 / 4, 4)
        counts.append(spikes.sum(0) / 4)
    assert torch.equal(torch.stack(counts), out)
    assert torch.equal(v, state.v)


def test_outputs_of_neurons_expand() -> None:
    x = 3 * torch.randn(5, 2, 7)
    for neuron in (ILIF(3), IELIF(4), IELIF(6, learn_scale=True)):
        out = neuron(x).detach()
        n = (out / neuron.spike_unit).round()
        frames = expand_counts(n, neuron.spike_levels)
        assert frames.shape[0] == 5 * neuron.spike_levels
        assert torch.equal(collapse_counts(frames, neuron.spike_levels) * neuron.spike_unit, out)


@pytest.mark.parametrize(
    ("half_up", "strict", "n", "gradient"),
    [
        (False, False, [0, 0, 0, 2, 2, 3, 3], [0, 1, 1, 1, 1, 1, 0]),
        (True, True, [0, 0, 1, 2, 3, 3, 3], [0, 0, 1, 1, 1, 0, 0]),
    ],
)
def test_rounding_and_window(half_up: bool, strict: bool, n: list, gradient: list) -> None:
    u = torch.tensor([-0.5, 0, 0.5, 1.5, 2.5, 3, 3.5], requires_grad=True)
    got = round_counts(u, 0, 3, half_up=half_up, strict=strict)
    got.sum().backward()
    assert got.tolist() == n
    assert u.grad.tolist() == gradient


@pytest.mark.parametrize("counts", [[[-1.0]], [[5.0]], [[0.5]], [[float("nan")]], [[float("inf")]]], ids=str)
def test_values_that_are_no_counts(counts: list) -> None:
    with pytest.raises(ConfigError, match=r"expand_counts: got values.*integers in \[0, 4\].*spike_unit"):
        expand_counts(torch.tensor(counts), 4)


def test_refused() -> None:
    with pytest.raises(ConfigError, match="levels: got 0"):
        expand_counts(torch.zeros(1, 1), 0)
    with pytest.raises(ConfigError, match=r'code: got .binary., expected "unary"'):
        expand_counts(torch.zeros(1, 1), 4, "binary")
    with pytest.raises(ShapeError, match=r"\(\).*\[T, B"):
        expand_counts(torch.tensor(1.0), 4)
    with pytest.raises(ShapeError, match=r"\(5, 2\).*S = 4"):
        collapse_counts(torch.zeros(5, 2), 4)
    with pytest.raises(ConfigError, match="threshold: got 0"):
        fire_counts(torch.zeros(1), 0.0, 4)
