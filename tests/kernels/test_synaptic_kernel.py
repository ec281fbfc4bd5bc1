"""The fast path of the current-based LIF against its step: values bit for bit, and gradients."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from helpers import relative_error, same_bits, step_loop
from torch import Tensor

from snnkit.errors import BackendError
from snnkit.kernels import isa, library, use_backend
from snnkit.neurons import SynapticLIF, SynapticState
from snnkit.sequence import stream
from snnkit.surrogate import SURROGATES, Power

needs_library = pytest.mark.skipif(isinstance(library(), str), reason=f"native backend: {library()}")
CHANNELS = 3


@pytest.fixture(params=[0, 1, -1], ids=["baseline", "AVX2", "best"])
def level(request: pytest.FixtureRequest) -> Iterator[None]:
    """Instruction sets; one that the processor lacks is that below it."""
    isa(request.param)
    yield
    isa(-1)


def random_neuron(rng: random.Random) -> SynapticLIF:
    decays = [0.0, 0.3, 0.5, 0.9, 1.0]
    learn = {name: rng.random() < 0.3 for name in ("alpha", "beta")}
    reset = rng.choice(["soft", "hard", "none"])
    return SynapticLIF(
        *(rng.choice(decays[1:-1] if learn[name] else decays) for name in learn),
        threshold=rng.choice([1.0, 0.5, 0.7]),
        reset=reset,
        v_reset=rng.choice([None, -0.25]) if reset == "hard" else None,
        detach_reset=rng.choice([True, False]),
        fire_at_equal=rng.choice([True, False]),
        learn_alpha=learn["alpha"],
        learn_beta=learn["beta"],
        channels=rng.choice([None, CHANNELS]),
        surrogate=rng.choice(SURROGATES.names()),
    )


def random_case(seed: int) -> tuple[SynapticLIF, Tensor, SynapticState]:
    rng, generator = random.Random(seed), torch.Generator().manual_seed(seed)
    neuron = random_neuron(rng)
    shape = (
        rng.choice([0, 1, 2, 5, 16, 17, 33, 40]),
        rng.choice([1, 2, 3]),
        CHANNELS,
        rng.choice([1, 7, 100]),
    )
    x = torch.randn(shape, generator=generator)
    if rng.random() < 0.5:  # potentials meet the threshold exactly
        x = (x * 4).round() / 4
    i, v = torch.randn(2, *shape[1:], generator=generator)
    if rng.random() < 0.3:  # as the initial state: one value
        i, v = (torch.full((), 0.25).expand(shape[1:]) for _ in range(2))
    return neuron, x.bfloat16() if rng.random() < 0.2 else x, SynapticState(i, v)


def run(name: str, neuron: SynapticLIF, x: Tensor, state: SynapticState) -> tuple[Any, list[Tensor]]:
    leaves = [a.detach().clone().requires_grad_() for a in (x, *state)]
    generator = torch.Generator().manual_seed(1)
    neuron.zero_grad()
    with use_backend(name):
        s, last = neuron.run(leaves[0], SynapticState(*leaves[1:]))
    sums = [(a * torch.randn(a.shape, generator=generator)).sum() for a in (s, *last)]
    sum(sums).backward()
    grads = [torch.zeros_like(a) if a.grad is None else a.grad for a in (*leaves, *neuron.parameters())]
    return (s.detach(), *(a.detach() for a in last)), grads


@needs_library
@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("block", range(10))
def test_equals_the_step_loop(block: int) -> None:
    for seed in range(block * 30, (block + 1) * 30):
        neuron, x, state = random_case(seed)
        got, wanted = run("native", neuron, x, state), run("reference", neuron, x, state)
        where = f"seed {seed}: {neuron} on {tuple(x.shape)} {x.dtype}"
        assert same_bits(got[0], wanted[0]), where
        # a gradient in bfloat16 is one of two neighbours; sums over many are compared with what they add up
        tolerance = 1e-2 if x.dtype == torch.bfloat16 else 1e-4
        for fast, slow in zip(got[1], wanted[1], strict=True):
            assert relative_error(fast, slow) < tolerance, where
        with torch.no_grad(), use_backend("native"):
            bare, last = neuron.run(x, state)
        assert same_bits((bare, *last), got[0]), where


@needs_library
@pytest.mark.usefixtures("level")
def test_any_split_and_any_number_of_threads() -> None:
    neuron, x = SynapticLIF(0.6, 0.9, learn_beta=True), torch.randn(37, 2, 501)
    with use_backend("native"):
        whole = neuron.run(x)
        with stream(neuron) as session:
            assert same_bits(torch.cat([session(a) for a in x.split(5)]), whole[0])
        threads = torch.get_num_threads()
        torch.set_num_threads(3)
        try:
            assert same_bits(neuron.run(x), whole)
        finally:
            torch.set_num_threads(threads)
    assert same_bits(step_loop(neuron, x), whole)


@needs_library
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize("learn", [False, True])
def test_operations_of_compiled_graphs(learn: bool) -> None:
    """More steps than the states that are kept, so that these pass through the operation, too."""
    neuron = SynapticLIF(learn_alpha=learn, learn_beta=learn, channels=CHANNELS if learn else None)
    data, results = torch.randn(40, 2, CHANNELS, 5), []
    for call in (neuron, torch.compile(neuron, fullgraph=True, backend="aot_eager")):
        x = data.clone().requires_grad_()
        neuron.zero_grad()
        s = call(x)
        s.square().sum().backward()
        results.append((s.detach(), x.grad, *(p.grad for p in neuron.parameters())))
    assert same_bits(*results)
    torch._dynamo.reset()


@needs_library
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_what_the_library_cannot_do_is_refused(dtype: torch.dtype) -> None:
    x = torch.rand(2, 1, 3)
    with use_backend("native"), pytest.raises(BackendError, match=f"SynapticLIF here.*the input is {dtype}"):
        SynapticLIF()(x.to(dtype))
    with (
        use_backend("native"),
        pytest.raises(BackendError, match=r"no formula for the surrogate Power\(alpha=3"),
    ):
        SynapticLIF(surrogate=Power(3.0))(x)
    with use_backend("native"), pytest.raises(BackendError, match=r"torch\.func"):
        torch.func.vmap(SynapticLIF(), in_dims=1)(x)
    with use_backend("triton"), pytest.raises(BackendError, match="triton"):
        SynapticLIF()(x)
    assert same_bits(SynapticLIF(surrogate=Power(3.0))(x), SynapticLIF()(x))
