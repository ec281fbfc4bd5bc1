"""The fast LIF path against the step loop: values bit for bit, gradients of everything learned.

A thousand random settings, shapes and inputs. Inputs lie on a coarse grid in half of the cases, so
that potentials meet the threshold exactly.
"""

from __future__ import annotations

import random
from functools import partial
from typing import Any

import pytest
import torch
from helpers import relative_error, same_bits, step_loop
from torch import Tensor, nn

from snnkit.kernels import LIFDynamics, library, lif, use_backend
from snnkit.neurons import LIF, LIFState, lif_step
from snnkit.surrogate import SURROGATES

CASES, PER_TEST = 1000, 50


RESETS: list[dict[str, Any]] = [
    {"reset": "hard"},
    {"reset": "hard", "v_reset": -0.25},
    {"reset": "soft"},
    {"reset": "soft", "reset_amount": 0.8},
    {"reset": "none"},
]


def random_settings(rng: random.Random, channels: int) -> dict[str, Any]:
    leak = rng.choice(
        [{"tau": rng.choice([1.0, 2.0, 3.3])}, {"beta": rng.choice([0.0, 0.5, 0.9, 1.0])}, {"rate": 0.4}]
    )
    settings: dict[str, Any] = {
        **leak,
        "threshold": rng.choice([1.0, 0.5, 0.7]),
        "decay_input": rng.choice([None, True, False]),
        **rng.choice(RESETS),
        "v_rest": rng.choice([None, 0.0, 0.125]),
        "reset_timing": rng.choice(["immediate", "immediate", "delayed"]),
        "detach_reset": rng.choice([True, False]),
        "fire_at_equal": rng.choice([True, False]),
        "learn_threshold": rng.choice([True, False]),
        "channels": rng.choice([None, channels]),
        "surrogate": rng.choice(SURROGATES.names()),
    }
    learnable = settings.get("tau", 2.0) > 1 and 0 < settings.get("beta", 0.5) < 1
    return settings | {"learn_tau": learnable and rng.choice([True, False])}


def random_input(rng: random.Random, generator: torch.Generator, channels: int) -> Tensor:
    steps, batch = rng.randint(0, 7), rng.randint(0, 3)
    rest = [rng.randint(1, 3) for _ in range(rng.randint(0, 2))]
    x = 1.5 * torch.randn(steps, batch, channels, *rest, generator=generator, dtype=torch.float64)
    return (4 * x).round() / 4 if rng.random() < 0.5 else x


native = pytest.mark.skipif(isinstance(library(), str), reason=f"native backend: {library()}")
FAST = [
    pytest.param("eager", torch.float64, 1e-9, id="eager"),
    pytest.param("native", torch.float32, 2e-4, id="native", marks=native),
]


def run_with_gradients(
    neuron: LIF, path: str, x: Tensor, v0: Tensor, g_s: Tensor, g_v: Tensor
) -> tuple[Tensor, LIFState, list[Tensor]]:
    x, v0 = x.clone().requires_grad_(), v0.clone().requires_grad_()
    neuron.zero_grad()
    with use_backend(path if path != "step" else "reference"):
        out, state = (neuron.run if path != "step" else partial(step_loop, neuron))(x, LIFState(v0))
    ((out * g_s).sum() + (state.v * g_v).sum()).backward()
    grads = [t.grad if t.grad is not None else torch.zeros_like(t) for t in (x, v0, *neuron.parameters())]
    return out.detach(), LIFState(state.v.detach()), grads


@pytest.mark.parametrize(("path", "dtype", "tolerance"), FAST)
@pytest.mark.parametrize("block", range(CASES // PER_TEST))
def test_equals_the_step_loop(block: int, path: str, dtype: torch.dtype, tolerance: float) -> None:
    for seed in range(block * PER_TEST, (block + 1) * PER_TEST):
        rng, generator = random.Random(seed), torch.Generator().manual_seed(seed)
        channels = rng.randint(1, 4)
        settings = random_settings(rng, channels)
        neuron = LIF(**settings).to(dtype)
        with torch.no_grad():
            for p in neuron.parameters():
                p.add_(0.2 * torch.randn(p.shape, generator=generator, dtype=p.dtype))
        x = random_input(rng, generator, channels).to(dtype)
        v0, g_v = torch.randn(2, *x.shape[1:], generator=generator, dtype=x.dtype)
        g_s = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        fast = run_with_gradients(neuron, path, x, v0, g_s, g_v)
        slow = run_with_gradients(neuron, "step", x, v0, g_s, g_v)
        where = f"seed {seed}: {neuron} on {tuple(x.shape)}"
        assert torch.equal(fast[0], slow[0]), where
        assert same_bits(fast[1], slow[1]), where
        names = ["x", "v0", *(name for name, _ in neuron.named_parameters())]
        for name, a, b in zip(names, fast[2], slow[2], strict=True):
            assert relative_error(a, b) < tolerance, f"d/d{name}, {where}"


@pytest.mark.parametrize(("path", "dtype", "tolerance"), FAST)
@pytest.mark.parametrize("decay_input", [True, False])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3)], ids=str)
@pytest.mark.parametrize(
    ("arithmetic", "value"), [("divide", 2.5), ("multiply", 0.4), ("euler", 0.4), ("decay", 0.6)]
)
def test_tensor_leaks_of_every_arithmetic(
    arithmetic: Any,
    value: float,
    shape: tuple[int, ...],
    decay_input: bool,
    path: str,
    dtype: torch.dtype,
    tolerance: float,
) -> None:
    """The kernel itself takes a learned tau, rate or decay; ``learn_tau`` uses one of them only."""
    d = LIF(v_rest=0.1, v_reset=-0.2).dynamics._replace(arithmetic=arithmetic, decay_input=decay_input)
    x, v0 = torch.randn(6, 2, 3, dtype=dtype), torch.randn(2, 3, dtype=dtype)
    weights, results = torch.randn_like(x), []
    for name in (path, "reference"):
        leak = torch.full(shape, value, dtype=dtype, requires_grad=True)
        threshold = torch.full(shape, 0.8, dtype=dtype, requires_grad=True)
        with use_backend(name):
            s, v = lif(x, v0, leak, threshold, d, partial(_step, leak=leak, threshold=threshold, d=d))
        ((s * weights).sum() + v.sum()).backward()
        results.append((s.detach(), v.detach(), leak.grad, threshold.grad))
    for a, b in zip(*results, strict=True):
        assert relative_error(a, b) < (1e-12 if dtype == torch.float64 else 1e-5)


def _step(x: Tensor, v: Tensor, *, leak: Tensor, threshold: Tensor, d: LIFDynamics) -> tuple[Tensor, Tensor]:
    return lif_step(x, v, leak, threshold, d)


@pytest.mark.parametrize("path", [pytest.param(p.values[0], id=p.id, marks=p.marks) for p in FAST])
@pytest.mark.parametrize("seed", range(20))
def test_without_gradients_equals_with_gradients(seed: int, path: str) -> None:
    """Another branch of the kernel keeps one row of potentials only."""
    rng, generator = random.Random(seed), torch.Generator().manual_seed(seed)
    neuron = LIF(**random_settings(rng, 3))
    x = random_input(rng, generator, 3).float()
    with use_backend(path):
        with torch.no_grad():
            bare = neuron.run(x)
        out, state = neuron.run(x.clone().requires_grad_())
    assert same_bits(bare, (out.detach(), LIFState(state.v.detach())))


@pytest.mark.parametrize("path", ["auto", "eager"])
def test_second_order_gradients_are_refused(path: str) -> None:
    """Also where the gradient that arrives is a constant, and only the input is differentiable."""
    x, weight = torch.rand(3, 1, 2), torch.rand(2, requires_grad=True)
    for wide in (lambda s: s * weight, lambda s: s):
        given = x.clone().requires_grad_()
        with use_backend(path):
            (g,) = torch.autograd.grad(wide(LIF()(given * weight)).sum(), given, create_graph=True)
            with pytest.raises(RuntimeError, match='use_backend\\("reference"\\)'):
                g.square().sum().backward()


def test_gradient_of_a_smooth_loss_by_finite_differences() -> None:
    """``reset="none"`` and the final potential only: no spike function on the path, so gradcheck applies."""
    neuron = LIF(3.0, reset="none", learn_tau=True, v_rest=0.1).double()
    x = torch.randn(4, 2, 3, dtype=torch.float64, requires_grad=True)
    v0 = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)

    class Final(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.neuron = neuron

        def forward(self, x: Tensor, v0: Tensor) -> Tensor:
            return self.neuron.run(x, LIFState(v0))[1].v

    def final(x: Tensor, v0: Tensor, raw: Tensor) -> Tensor:
        return torch.func.functional_call(Final(), {"neuron.tau_raw": raw}, (x, v0))

    assert torch.autograd.gradcheck(final, (x, v0, neuron.tau_raw))
