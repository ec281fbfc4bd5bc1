"""The C library as a whole: operations, instruction sets, threads, odd memory, backends."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from helpers import relative_error, same_bits
from torch import Tensor

from snnkit import kernels
from snnkit.errors import BackendError, ConfigError
from snnkit.kernels import isa, library, use_backend
from snnkit.neurons import ILIF, LIF, Neuron
from snnkit.surrogate import Power

pytestmark = pytest.mark.skipif(isinstance(library(), str), reason=f"native backend: {library()}")
NEURONS = [
    LIF(),
    LIF(3.0, reset="soft", surrogate="sigmoid"),
    LIF(beta=0.9, reset="soft", reset_timing="delayed"),
    LIF(beta=0.7, reset_timing="delayed", surrogate="gaussian"),
    LIF(rate=0.3, v_rest=0.1, v_reset=-0.2, surrogate="triangle"),
    ILIF(),
]
every_neuron = pytest.mark.parametrize("neuron", NEURONS, ids=str)


def gradients(neuron: Neuron, x: Tensor) -> tuple[Tensor, Tensor]:
    x = x.detach().clone().requires_grad_()
    out, state = neuron.run(x)
    (out * torch.linspace(-1, 1, out.numel()).view(out.shape)).sum().add(state.v.sum()).backward()
    assert x.grad is not None
    return out.detach(), x.grad


@pytest.fixture
def _best_instructions() -> Iterator[None]:
    yield
    isa(-1)


@every_neuron
@pytest.mark.usefixtures("_best_instructions")
@pytest.mark.parametrize("level", [0, 1, 2])
def test_instruction_sets_agree(neuron: Neuron, level: int) -> None:
    x = 1.5 * torch.randn(20, 2, 333) + 0.4
    wanted = gradients(neuron, x)
    isa(level)
    out, g = gradients(neuron, x)
    assert same_bits(out, wanted[0])
    assert relative_error(g, wanted[1]) < 1e-6


@every_neuron
@pytest.mark.parametrize("shape", [(3, 1, 70_003), (40, 2, 3001)], ids=str)
def test_threads_change_nothing(neuron: Neuron, shape: tuple[int, ...]) -> None:
    x = 1.5 * torch.randn(shape) + 0.4
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(gradients(neuron, x))
    finally:
        torch.set_num_threads(before)
    assert same_bits(results[0], results[1])
    assert same_bits(results[0], results[2])


def test_outputs_larger_than_the_cache() -> None:
    """Those are written past it, in whole lines."""
    x = torch.randn(4, 1, 1_000_032)
    with use_backend("reference"), torch.no_grad():
        wanted = LIF()(x)
    assert torch.equal(LIF()(x), wanted)
    shifted = torch.randn(4_000_128 + 1)[1:].view(4, 1, -1)  # not aligned to a line
    with torch.no_grad():
        assert torch.equal(LIF()(shifted), LIF()(shifted.clone()))


@every_neuron
def test_odd_memory(neuron: Neuron) -> None:
    base = 1.5 * torch.randn(6, 3, 8, 5) + 0.4
    for x in (base.transpose(1, 3), base[::2], base[..., 1:4], base[:1].expand(6, 3, 8, 5)):
        wanted = gradients(neuron, x.contiguous())
        assert same_bits(gradients(neuron, x), wanted)
    shown = base[:1].clone().requires_grad_()
    neuron(shown.expand(6, 3, 8, 5)).sum().backward()  # an image shown six times: gradients add up
    again = base[:1].repeat(6, 1, 1, 1).requires_grad_()
    neuron(again).sum().backward()
    assert relative_error(shown.grad, again.grad.sum(0, keepdim=True)) < 1e-5


@every_neuron
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_not_finite_input_does_what_the_step_does(neuron: Neuron, bad: float) -> None:
    x = torch.randn(6, 1, 40)
    x[2, 0, 7] = bad
    with torch.no_grad():
        out, state = neuron.run(x)
        with use_backend("reference"):
            wanted, after = neuron.run(x)
    assert same_bits(out, wanted)
    assert same_bits(state, after)


@every_neuron
def test_bfloat16_is_rounded_at_the_border_only(neuron: Neuron) -> None:
    x = (1.5 * torch.randn(20, 2, 300) + 0.4).bfloat16()
    out, g = gradients(neuron, x)
    wide, g_wide = gradients(neuron, x.float())
    assert same_bits(out, wide.bfloat16())
    assert relative_error(g.float(), g_wide) < 0.01


def test_operations_are_well_formed() -> None:
    """Schema, autograd, shapes without data, and compilation of the registered operations."""
    x, v = torch.randn(20, 2, 3, 5, requires_grad=True), torch.randn(2, 3, 5, requires_grad=True)
    leak = torch.full((3, 1), 0.4, requires_grad=True)
    level = torch.tensor(0.8, requires_grad=True)
    scalars, kinds = [0.5, 1.0, 0.0, 0.0, math.nan, 1.0, math.pi], [2, 2, 0, 0, 1, 0]
    for of_leak, of_level in ((None, None), (leak, level), (None, level)):
        torch.library.opcheck(torch.ops.snnkit.lif, (x, v, of_leak, of_level, scalars, kinds))
    torch.library.opcheck(torch.ops.snnkit.counts, (x, v, [0.25, 1.0, 4.0], [1]))


def test_backends_are_chosen_and_refused_with_a_reason() -> None:
    x = torch.rand(2, 1, 3)
    assert kernels.backend() in kernels.BACKENDS
    with pytest.raises(ConfigError, match='"auto" or "reference"'):
        use_backend("fast").__enter__()
    with use_backend("native"):
        assert kernels.backend() == "native"
        with pytest.raises(BackendError, match="float64"):
            LIF()(x.double())
        with pytest.raises(BackendError, match=r"no formula for Power\(alpha=3"):
            LIF(surrogate=Power(3.0))(x)
        with pytest.raises(BackendError, match="transforms"):
            torch.func.vmap(LIF(), in_dims=1, out_dims=1)(x.unsqueeze(1))
    assert torch.equal(LIF(surrogate=Power(3.0))(x), LIF()(x))  # auto takes another one


def test_keep_memory_says_what_it_did() -> None:
    assert "memory" in kernels.keep_memory() or "nothing" in kernels.keep_memory()
    assert "native" in kernels.backend_report()
