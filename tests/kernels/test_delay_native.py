"""Delays in the C library: the same bits as torch where values move, sums equal up to rounding."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from helpers import relative_error, same_bits
from torch import Tensor

from snnkit.errors import BackendError
from snnkit.kernels import (
    delay_dense,
    delayed_linear,
    isa,
    library,
    shift_channels,
    use_backend,
)
from snnkit.kernels._delay_events import events_of

pytestmark = pytest.mark.skipif(isinstance(library(), str), reason="the C library was not built")


@pytest.fixture(params=[(0, 1), (1, 1), (-1, 1), (-1, 2)], ids=str)
def how(request: pytest.FixtureRequest) -> Iterator[None]:
    """Instruction set and threads."""
    level, threads = request.param
    before = torch.get_num_threads()
    isa(level)
    torch.set_num_threads(threads)
    yield
    torch.set_num_threads(before)
    isa(-1)


def sparse(*shape: int) -> Tensor:
    """Mostly zero, and whole: sums of it are exact in any order."""
    return torch.randint(-3, 4, shape).float() * (torch.rand(shape) < 0.2)


def gradients(out: Tensor, of: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    upstream = torch.randint(-4, 5, out.shape, generator=torch.Generator().manual_seed(3)).float()
    return torch.autograd.grad(out, of, upstream)


@pytest.mark.parametrize("shape", [(50, 3, 40), (9, 2, 5, 3, 4), (4, 3, 16), (70, 33, 40)], ids=str)
def test_moved_channels_and_their_gradients(shape: tuple[int, ...], how: None) -> None:
    deepest, channels = 3 if shape[0] < 20 else 20, shape[2]
    x, lags = sparse(*shape).requires_grad_(), torch.randint(deepest + 1, (channels,))
    kernel = torch.nn.functional.one_hot(lags, deepest + 1).float().requires_grad_()
    results = []
    for name in ("eager", "auto"):
        with use_backend(name):
            out = shift_channels(x, lags, deepest, kernel)
            results.append((out, *gradients(out, (x, kernel))))
    for plain, native in zip(*results, strict=True):
        assert torch.equal(plain.round(), native)  # the Fourier transform of the plain form rounds


def test_events_are_the_nonzero_inputs_by_sample_and_input(how: None) -> None:
    x = sparse(12, 3, 5)
    events = events_of(x)
    for pair in range(15):
        mine = slice(int(events.start[pair]), int(events.start[pair + 1]))
        line = x[:, pair // 5, pair % 5]
        assert events.step[mine].tolist() == line.nonzero().flatten().tolist()
        assert events.value[mine].tolist() == line[line != 0].tolist()
    assert int(events.start[-1]) == len(events.step)


@pytest.mark.parametrize("tail", [False, True])
@pytest.mark.parametrize("taps", [1, 9, 25])
@pytest.mark.parametrize(("steps", "batch", "outputs"), [(30, 5, 40), (6, 2, 16), (70, 32, 7)], ids=str)
def test_sums_by_events(taps: int, tail: bool, steps: int, batch: int, outputs: int, how: None) -> None:
    x, kernel = sparse(steps, batch, 11), torch.randint(-4, 5, (outputs, 11, taps)).float()
    found = []
    for name in ("loop", "events"):
        leaves = x.clone().requires_grad_(), kernel.clone().requires_grad_()
        out = delay_dense(*leaves, name, tail=tail)
        found.append((out, *gradients(out, leaves)))
    for wanted, got in zip(*found, strict=True):
        assert torch.equal(wanted, got)


def test_many_lags_and_no_events() -> None:
    x, kernel = torch.zeros(20, 2, 3, requires_grad=True), torch.randn(4, 3, 60, requires_grad=True)
    out = delay_dense(x, kernel, "events")
    assert same_bits(out, torch.zeros(20, 2, 4))
    for got, wanted in zip(
        gradients(out, (x, kernel)), gradients(delay_dense(x, kernel, "loop"), (x, kernel)), strict=True
    ):
        assert relative_error(got, wanted) < 1e-5


def test_which_form_is_chosen() -> None:
    """Few events and plain tensors: by events; else dense."""
    kernel = torch.randn(4, 3, 9, requires_grad=True)

    def form(x: Tensor, kernel: Tensor = kernel) -> bool:
        return "Events" in type(delay_dense(x, kernel).grad_fn).__name__

    few = (torch.arange(120).view(20, 2, 3) % 10 == 0).float()
    assert form(few)
    assert not form(few + 1)
    assert not form(few.double(), kernel.double())
    with use_backend("eager"):
        assert not form(few)
        with pytest.raises(BackendError, match=r"backend='?\"?events.*eager"):
            delay_dense(few, kernel, "events")
    with pytest.raises(BackendError, match="float64"):
        delay_dense(few.double(), kernel.double(), "events")


def test_whole_delays_have_the_bits_of_torch(how: None) -> None:
    x, weight = torch.rand(40, 6, 30) * (torch.rand(40, 6, 30) < 0.3), torch.randn(20, 30, 2)
    lags, pending = torch.randint(8, weight.shape), torch.randn(7, 6, 20)
    with use_backend("eager"):
        wanted = delayed_linear(x, weight, lags, pending)
    for got, want in zip(delayed_linear(x, weight, lags, pending), wanted, strict=True):
        assert same_bits(got, want)
