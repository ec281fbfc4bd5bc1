"""The fast path of UltraLIF against its step: rounding apart, and the same bits however it is cut."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator

import pytest
import torch
from helpers import relative_error, same_bits, step_loop
from torch import Tensor

from snnkit.errors import BackendError
from snnkit.kernels import isa, library, use_backend
from snnkit.neurons import UltraLIF, UltraPLIF, UltraState
from snnkit.sequence import stream

needs_library = pytest.mark.skipif(isinstance(library(), str), reason=f"native backend: {library()}")


@pytest.fixture(params=[0, 1, -1], ids=["baseline", "AVX2", "best"])
def level(request: pytest.FixtureRequest) -> Iterator[None]:
    """Instruction sets; one that the processor lacks is that below it."""
    isa(request.param)
    yield
    isa(-1)


def random_case(seed: int) -> tuple[UltraLIF, Tensor, Tensor]:
    rng, generator = random.Random(seed), torch.Generator().manual_seed(seed)
    tau = rng.choice([0.1, 0.5, 0.9, 0.99])
    neuron = UltraLIF(
        tau,
        learn_tau=rng.choice([True, False]),
        tau_max=rng.choice([None, 0.999]),
        eps=rng.choice([0.1, 0.25, 1.0, 3.0, 20.0]),
        learn_eps=rng.choice([True, False]),
        theta=rng.choice([0.0, 0.5, -0.3]),
        spike_scale=rng.choice([None, None, 2.0, 7.0]),
    )
    shape = (rng.choice([0, 1, 2, 5, 16, 17, 33, 40]), rng.choice([1, 2, 3]), rng.choice([1, 7, 300]))
    x = rng.choice([0.1, 1.0, 3.0]) * torch.randn(shape, generator=generator) + rng.choice([0.0, 0.5])
    v0 = torch.randn(shape[1:], generator=generator)
    return neuron, x, v0 if rng.random() < 0.7 else torch.zeros(()).expand(shape[1:])


def run(name: str, neuron: UltraLIF, x: Tensor, v0: Tensor) -> tuple[tuple[Tensor, ...], list[Tensor]]:
    a, b = (t.detach().clone().requires_grad_() for t in (x, v0))
    generator = torch.Generator().manual_seed(1)
    neuron.zero_grad()
    with use_backend(name):
        s, state = neuron.run(a, UltraState(b))
    sums = [(t * torch.randn(t.shape, generator=generator)).sum() for t in (s, state.v)]
    sum(sums).backward()
    grads = [torch.zeros_like(t) if t.grad is None else t.grad for t in (a, b, *neuron.parameters())]
    return (s.detach(), state.v.detach()), grads


@needs_library
@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("block", range(10))
def test_agrees_with_the_step_loop(block: int) -> None:
    """Values in float32. Gradients with those of the step in float64.

    Where a neuron is saturated, that in float32 loses them: ``1 - s`` has few digits left. Those that vanish
    in float64, too, are not compared. The state is small beside the U it comes from, which sets its error.
    """
    for seed in range(block * 30, (block + 1) * 30):
        neuron, x, v0 = random_case(seed)
        got, wanted = run("native", neuron, x, v0), run("reference", neuron, x, v0)
        where = f"seed {seed}: {neuron} on {tuple(x.shape)}"
        largest = max(float(t.abs().max()) if t.numel() else 0.0 for t in (x, v0, *wanted[0]))
        for fast, slow, scale in zip(got[0], wanted[0], (1.0, largest), strict=True):
            assert torch.allclose(fast, slow, rtol=0, atol=2e-6 * scale), where
        exact = run("reference", copy.deepcopy(neuron).double(), x.double(), v0.double())[1]
        for fast, slow in zip(got[1], exact, strict=True):
            assert relative_error(fast, slow) < 1e-4 or torch.allclose(fast.double(), slow, atol=1e-12), where
        with torch.no_grad(), use_backend("native"):
            bare, last = neuron.run(x, UltraState(v0))
        assert same_bits((bare, last.v), got[0]), where


@needs_library
@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("eps", [0.1, 1.0])
def test_any_split_any_neighbours_and_any_number_of_threads(eps: float) -> None:
    neuron, x = UltraPLIF(eps=eps), torch.randn(37, 2, 501)
    with use_backend("native"):
        whole = neuron.run(x)
        with stream(neuron) as session:
            assert same_bits(torch.cat([session(a) for a in x.split(5)]), whole[0])
        for part in (slice(0, 1), slice(3, 20), slice(490, 501)):
            assert same_bits(neuron(x[..., part]), whole[0][..., part])
        threads = torch.get_num_threads()
        torch.set_num_threads(3)
        try:
            assert same_bits(neuron.run(x), whole)
        finally:
            torch.set_num_threads(threads)


@needs_library
def test_gradients_do_not_depend_on_the_number_of_threads() -> None:
    neuron, x, v0 = UltraPLIF(), torch.randn(20, 2, 1501), torch.randn(2, 1501)
    threads, results = torch.get_num_threads(), []
    try:
        for number in (1, 3):
            torch.set_num_threads(number)
            results.append(run("native", neuron, x, v0)[1])
            torch.set_num_threads(1)
    finally:
        torch.set_num_threads(threads)
    assert same_bits(results[0][:2], results[1][:2])
    for one, other in zip(*results, strict=True):  # the sum over neurons is one of torch
        assert relative_error(one, other) < 1e-5


@needs_library
@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("seed", range(5))
def test_bfloat16(seed: int) -> None:
    torch.manual_seed(seed)
    neuron, x = UltraPLIF(), torch.randn(18, 2, 33).bfloat16()
    with use_backend("native"):
        assert same_bits(neuron(x), neuron(x.float()).bfloat16())
    got, wanted = run("native", neuron, x, x[0].float()), run("reference", neuron, x, x[0].float())
    for fast, slow in zip(got[1], wanted[1], strict=True):
        assert relative_error(fast, slow) < 1e-2


@needs_library
@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("x", [1e4, -1e4, 3e38, -3e38, float("inf"), float("-inf"), float("nan")])
@pytest.mark.parametrize("eps", [0.1, 20.0])
def test_extreme_input(x: float, eps: float) -> None:
    """As the step: a soft maximum does not overflow, and infinity gives NaN, minus infinity is no input."""
    data = torch.tensor([0.5, x, 0.5, 0.25]).view(4, 1, 1).expand(4, 2, 9)
    neuron = UltraLIF(eps=eps)
    got, state = neuron.run(data)
    wanted, last = step_loop(neuron, data)
    for a, b in ((got, wanted), (state.v, last.v)):
        assert torch.allclose(a, b, rtol=2e-6, atol=2e-6, equal_nan=True)


@needs_library
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize(
    "neuron", [UltraPLIF(), UltraLIF(learn_eps=False), UltraLIF(spike_scale=2.0)], ids=str
)
def test_operations_of_compiled_graphs(neuron: UltraLIF) -> None:
    """More steps than the states that are kept, so that these pass through the operation, too."""
    data, results = torch.randn(40, 2, 5), []
    for call in (neuron, torch.compile(neuron, fullgraph=True, backend="aot_eager")):
        x = data.clone().requires_grad_()
        neuron.zero_grad()
        s = call(x)
        s.square().sum().backward()
        results.append((s.detach(), x.grad, *(p.grad for p in neuron.parameters())))
    assert same_bits(results[0][:2], results[1][:2])
    for eager, compiled in zip(*results, strict=True):
        assert relative_error(compiled, eager) < 1e-6
    torch._dynamo.reset()


@needs_library
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_what_the_library_cannot_do_is_refused(dtype: torch.dtype) -> None:
    x = torch.rand(2, 1, 3)
    with use_backend("native"), pytest.raises(BackendError, match=f"UltraLIF here.*the input is {dtype}"):
        UltraLIF()(x.to(dtype))
    for output in ("hard", "ste"):
        neuron = UltraLIF(output=output)
        with use_backend("native"), pytest.raises(BackendError, match=f'rounding.*output="{output}"'):
            neuron(x)
        assert same_bits(neuron.run(x), step_loop(neuron, x))
    with use_backend("native"), pytest.raises(BackendError, match=r"torch\.func"):
        torch.func.vmap(UltraLIF().requires_grad_(False), in_dims=1)(x)
    with use_backend("triton"), pytest.raises(BackendError, match="triton"):
        UltraLIF()(x)
