"""The fast path of integer LIF against its step, bit for bit, with gradients."""

from __future__ import annotations

import random

import pytest
import torch
from helpers import relative_error, same_bits

from snnkit.errors import BackendError
from snnkit.kernels import library, use_backend
from snnkit.neurons import ILIF, ILIFState

needs_library = pytest.mark.skipif(isinstance(library(), str), reason=f"native backend: {library()}")


@needs_library
@pytest.mark.parametrize("block", range(10))
def test_equals_the_step_loop(block: int) -> None:
    for seed in range(block * 50, (block + 1) * 50):
        rng, generator = random.Random(seed), torch.Generator().manual_seed(seed)
        neuron = ILIF(
            rng.choice([1, 2, 4, 7, 255]),
            tau=rng.choice([1.0, 4 / 3, 2.0, 3.3]),
            threshold=rng.choice([1.0, 0.5, 0.7]),
            detach_reset=rng.choice([True, False]),
        )
        shape = (rng.choice([1, 2, 5, 17, 33]), rng.choice([1, 2, 3]), rng.choice([1, 5, 300]))
        x = 3 * torch.randn(shape, generator=generator)
        if rng.random() < 0.5:  # ties: counts are rounded half to even
            x = (x * 4).round() / 8
        v0 = torch.randn(shape[1:], generator=generator)
        g_n, g_v = torch.randn(shape, generator=generator), torch.randn(shape[1:], generator=generator)
        results = []
        for name in ("native", "reference"):
            a, b = x.clone().requires_grad_(), v0.clone().requires_grad_()
            with use_backend(name):
                n, state = neuron.run(a, ILIFState(b))
            ((n * g_n).sum() + (state.v * g_v).sum()).backward()
            results.append((n.detach(), state.v.detach(), a.grad, b.grad))
        where = f"seed {seed}: {neuron} on {shape}"
        for got, wanted in zip(results[0][:2], results[1][:2], strict=True):
            assert same_bits(got, wanted), where
        for got, wanted in zip(results[0][2:], results[1][2:], strict=True):
            assert relative_error(got, wanted) < 2e-5, where


@needs_library
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_what_the_library_cannot_do_is_refused(dtype: torch.dtype) -> None:
    with use_backend("native"), pytest.raises(BackendError, match=f"the input is {dtype}"):
        ILIF()(torch.rand(2, 1, 3, dtype=dtype))
    with use_backend("triton"), pytest.raises(BackendError, match="triton"):
        ILIF()(torch.rand(2, 1, 3))
