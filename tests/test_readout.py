"""Read-outs: each against an obvious loop, streaming equality, dtypes, misuse."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from helpers import same_bits
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from snnkit.errors import ConfigError, InputTypeError, ShapeError, StateShapeError
from snnkit.readout import READOUTS, Readout, Votes
from snnkit.sequence import stream

Column = list[float]


def _first(xs: Column) -> float:
    return -float(next((t for t, x in enumerate(xs) if x > 0), len(xs)))


LOOPS: dict[str, Callable[[Column], float]] = {
    "sum": lambda xs: math.fsum(xs),
    "mean": lambda xs: math.fsum(xs) / len(xs),
    "max": max,
    "last": lambda xs: xs[-1],
    "first_spike": _first,
}
EVERY = list(READOUTS)
every = pytest.mark.parametrize("name", EVERY)
reducing = pytest.mark.parametrize("name", [n for n in EVERY if n != "per_step"])


def build(name: str) -> Readout:
    return READOUTS.get(name)(**({"group": 3} if name == "votes" else {}))


def values(steps: int, batch: int = 2, dtype: torch.dtype = torch.float64) -> Tensor:
    x = torch.randn(steps, batch, 6, dtype=torch.float64)
    return torch.where(torch.rand_like(x) < 0.5, x, -x.abs()).to(dtype)


@pytest.mark.parametrize("name", LOOPS)
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_equals_a_loop(name: str, steps: int) -> None:
    x = values(steps)
    got = build(name)(x)
    assert got.shape == (2, 6)
    for b in range(2):
        for k in range(6):
            assert got[b, k].item() == pytest.approx(LOOPS[name](x[:, b, k].tolist()), rel=1e-12)


def test_votes_equal_a_loop() -> None:
    x = values(5)
    got = build("votes")(x)
    assert got.shape == (2, 2)
    for b in range(2):
        for k in range(2):
            group = x[:, b, 3 * k : 3 * k + 3].flatten().tolist()
            assert got[b, k].item() == pytest.approx(math.fsum(group) / 15)


def test_per_step_returns_its_input() -> None:
    x = values(5)
    assert same_bits(build("per_step")(x), x)


def test_every_readout_is_covered() -> None:
    assert set(EVERY) == {*LOOPS, "votes", "per_step"}


def test_time_to_first_spike() -> None:
    x = torch.zeros(4, 1, 4)
    x[0, 0, 0] = x[2:, 0, 1] = x[3, 0, 2] = 1
    assert build("first_spike")(x).tolist() == [[0.0, -2.0, -3.0, -4.0]]


@every
@settings(max_examples=30, deadline=None)
@given(split=st.lists(st.integers(0, 4), min_size=1, max_size=6), seed=st.integers(0, 999))
def test_streaming(name: str, split: list[int], seed: int) -> None:
    """Chunk by chunk equals one call, bit for bit, in float32."""
    torch.manual_seed(seed)
    net, x = build(name), 100 * values(sum(split), dtype=torch.float32)
    state, outs, seen = None, [], 0
    with stream(net) as session:
        for steps in split:
            chunk, seen = x[seen : seen + steps], seen + steps
            out, state = net.run(chunk, state)
            assert same_bits(session(chunk), out)
            outs.append(out)
            if name != "per_step" and seen:
                assert same_bits(out, net(x[:seen]))
    if name == "per_step":
        assert same_bits(torch.cat(outs), x)


@every
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_dtype_is_kept(name: str, dtype: torch.dtype) -> None:
    assert build(name)(values(5, dtype=dtype)).dtype == dtype


def test_long_sums_are_exact() -> None:
    """Ten thousand bfloat16 spikes; bfloat16 itself counts to 256."""
    ones = torch.ones(10_000, 1, 2, dtype=torch.bfloat16)
    assert build("mean")(ones).tolist() == [[1.0, 1.0]]
    assert (build("sum")(ones) == torch.tensor(10_000.0).bfloat16()).all()
    tenth = torch.full((10_000, 1, 1), 0.1)
    assert build("sum")(tenth).item() == pytest.approx(10_000 * tenth[0].item(), rel=1e-7)


@every
def test_empty_batch(name: str) -> None:
    assert build(name)(values(4, batch=0)).shape[-2] == 0


@reducing
def test_no_step_is_no_answer(name: str) -> None:
    """T = 0 without a state: an error, or a value that no class can win with."""
    try:
        out = build(name)(values(0))
    except ShapeError:
        return
    assert bool((out != out).all()) or (out == out.flatten()[0]).all()


@reducing
def test_an_empty_chunk_repeats_the_answer(name: str) -> None:
    net, x = build(name), values(4)
    out, state = net.run(x)
    again, after = net.run(x[:0], state)
    assert same_bits(again, out)
    assert same_bits(after, state)


@every
def test_gradients(name: str) -> None:
    x = values(5).requires_grad_()
    out = build(name)(x)
    if name == "first_spike":
        assert not out.requires_grad
        return
    assert torch.autograd.gradcheck(build(name), x)


@every
def test_misuse(name: str) -> None:
    net = build(name)
    with pytest.raises(InputTypeError):
        net([1.0])
    with pytest.raises(ShapeError, match="at least 3 axes"):
        net(torch.zeros(3, 6))
    if name != "per_step":
        _, state = net.run(values(3))
        with pytest.raises(StateShapeError):
            net.run(values(3, batch=5), state)
        with pytest.raises(StateShapeError):
            net.run(values(3), tuple(state))


@pytest.mark.parametrize("group", [0, -1, 2.0, "3"])
def test_votes_group(group: object) -> None:
    with pytest.raises(ConfigError, match=r"Votes\.group"):
        Votes(group)


def test_votes_need_a_multiple() -> None:
    with pytest.raises((ConfigError, ShapeError), match="divisible by 4"):
        Votes(4)(values(2))


def test_the_base_says_what_is_missing() -> None:
    class Unfinished(Readout):
        pass

    with pytest.raises(TypeError, match="Unfinished must implement initial_state"):
        Unfinished()(values(2))
