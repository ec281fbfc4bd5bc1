"""Delays as kernels: published values, closed-form gradients, the plain oracle, sums over lags."""

from __future__ import annotations

import pytest
import torch
from helpers import relative_error
from torch import Tensor

from snnkit.kernels import (
    INTERPOLATIONS,
    delay_channels,
    delay_dense,
    delay_kernel,
    library,
    shift_channels,
)
from snnkit.kernels.delay_kernel import delay_kernel_plain

FORMS = ("loop", "conv", "fft", *([] if isinstance(library(), str) else ["events"]))

# Two inputs, one output, positions P = (0.3, -1.2) of DCLS 0.1.1 with 5 taps, so d = 2 - P; float64.
WEIGHT, DELAY = (0.8, -0.5), (1.7, 3.2)
INPUT = [[1, 0, 0, 1, 0, 0], [0, 1, 0, 0, 0, 1]]
UPSTREAM = [1, -1, 2, 0.5, 0, 1]
# (interp, width) -> kernels over DCLS taps, output, dL/dw, dL/dP, dL/dwidth
GOLDEN = {
    ("gauss", 0.5): (
        [1.629781e-05, 0.02182979, 0.5355399, 0.2406336, 0.001980354],
        [-0.1105647, -0.3670878, -0.02232263, -2.486e-05, -5.07e-10],
        [0.001980, 0.240634, 0.535515, 0.001488, -0.126438, 0.424975],
        [1.724839, 0.243551],
        [-2.519137, 0.311298],
        [-2.451591, -0.467248],
    ),
    ("gauss", 1.27): (
        [0.051288, 0.156564, 0.257101, 0.227118, 0.107928],
        [-0.151159, -0.182060, -0.117959, -0.041113, -0.007709],
        [0.107928, 0.219409, 0.215988, 0.146534, 0.096346, 0.098233],
        [0.980450, 0.584731],
        [-0.100350, -0.018652],
        [-0.197595, -0.125460],
    ),
    ("triangle", 1.0): (
        [0, 0, 0.56, 0.24, 0],
        [-0.1, -0.4, 0, 0, 0],
        [0, 0.24, 0.56, 0, -0.16, 0.46],
        [1.8, 0.2],
        [-3.2, 0.5],
        None,
    ),
    ("triangle", 2.0): (
        [0, 0.14, 0.34, 0.26, 0.06],
        [-0.157895, -0.236842, -0.105263, 0, 0],
        [0.06, 0.26, 0.34, 0.094737, 0.023158, 0.182105],
        [1.15, 0.421053],
        [-0.6, 0.121191],
        [-0.12, -0.031163],
    ),
}


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 2e-6), (torch.float32, 1e-5)])
@pytest.mark.parametrize("case", GOLDEN, ids=str)
def test_golden_values(case: tuple, dtype: torch.dtype, tolerance: float) -> None:
    interp, width = case
    first, second, out, by_weight, by_position, by_width = GOLDEN[case]
    parameters = [
        torch.tensor(v, dtype=dtype).view(1, 2, 1).requires_grad_() for v in (WEIGHT, DELAY, (width, width))
    ]
    kernel = delay_kernel(*parameters, 4, interp)
    x = torch.tensor(INPUT, dtype=dtype).t().reshape(6, 1, 2)
    z = delay_dense(x, kernel)
    z.backward(torch.tensor(UPSTREAM, dtype=dtype).view(6, 1, 1))

    def near(got: Tensor, wanted: list[float], sign: int = 1) -> None:
        assert (sign * got.detach().flatten() - torch.tensor(wanted, dtype=dtype)).abs().max() < tolerance

    near(kernel[0, 0].flip(-1), first)
    near(kernel[0, 1].flip(-1), second)
    near(z, out)
    weight, delay, sigma = (p.grad for p in parameters)
    near(weight, by_weight)
    near(delay, by_position, -1)
    if by_width is not None:
        near(sigma, by_width)


def test_golden_rounded() -> None:
    kernel = delay_kernel(
        *(torch.tensor(v).view(1, 2, 1) for v in (WEIGHT, DELAY)), torch.tensor(1.0), 4, "ste"
    )
    wanted = torch.zeros(1, 2, 5)
    wanted[0, 0, 2], wanted[0, 1, 3] = 0.8, -0.5
    assert torch.equal(kernel, wanted)
    x = torch.tensor(INPUT).float().t().reshape(6, 1, 2)
    assert torch.allclose(delay_dense(x, kernel).flatten(), torch.tensor([0, 0, 0.8, 0, -0.5, 0.8]))


def draw(dtype: torch.dtype = torch.float64, taps: int = 9) -> tuple[Tensor, Tensor, Tensor]:
    weight, delay = torch.randn(3, 4, 2, dtype=dtype), torch.rand(3, 4, 2, dtype=dtype) * (taps - 1)
    return weight.requires_grad_(), delay.requires_grad_(), torch.tensor(1.3, dtype=dtype).requires_grad_()


@pytest.mark.parametrize("interp", INTERPOLATIONS)
def test_closed_form_equals_autograd(interp: str) -> None:
    parameters, upstream = draw(), torch.randn(3, 4, 9, dtype=torch.float64)
    results = []
    for make in (delay_kernel, delay_kernel_plain):
        kernel = make(*parameters, 8, interp)
        kernel.backward(upstream)
        results.append([kernel.detach(), *(p.grad for p in parameters)])
        for p in parameters:
            p.grad = None
    for fast, plain in zip(*results, strict=True):
        assert (fast is None) == (plain is None)
        assert fast is None or relative_error(fast, plain) < 1e-12


@pytest.mark.parametrize("interp", ["gauss", "triangle"])
def test_gradcheck(interp: str) -> None:
    torch.autograd.gradcheck(lambda w, d, s: delay_kernel(w, d, s, 8, interp), draw())


def test_torch_func() -> None:
    weight, delay, sigma = (p.detach() for p in draw())
    gradients = [
        torch.func.grad(lambda d, make=make: make(weight, d, sigma, 8, "gauss").square().sum())(delay)
        for make in (delay_kernel, delay_kernel_plain)
    ]
    assert relative_error(*gradients) < 1e-12


def test_profiles_are_normalised_also_at_the_border() -> None:
    one, sigma = torch.ones(1, 1, 1, dtype=torch.float64), torch.tensor(0.5, dtype=torch.float64)
    centre, border = (delay_kernel(one, k * one, sigma, 8, "gauss")[0, 0] for k in (4.0, 8.0))
    assert round(centre[4].item(), 4) == 0.7866
    assert round(border[8].item(), 4) == 0.8805
    assert abs(border.sum().item() - 1) < 2e-7


def test_delays_outside_are_used_as_the_ends() -> None:
    weight, sigma = torch.ones(1, 2, 1), torch.tensor(1.0)
    for interp in INTERPOLATIONS:
        far = delay_kernel(weight, torch.tensor([[[-7.0], [70.0]]]), sigma, 6, interp)
        assert torch.equal(far, delay_kernel(weight, torch.tensor([[[0.0], [6.0]]]), sigma, 6, interp))


def test_ties_round_to_even() -> None:
    kernel = delay_kernel(torch.ones(1, 2, 1), torch.tensor([[[0.5], [1.5]]]), torch.tensor(1.0), 3, "fixed")
    assert kernel.argmax(-1).flatten().tolist() == [0, 2]


@pytest.mark.parametrize("taps", [1, 2, 9, 25, 61])
@pytest.mark.parametrize(("steps", "batch"), [(40, 3), (7, 2), (1, 2), (5, 0), (0, 2)])
@pytest.mark.parametrize("tail", [False, True])
def test_backends_agree(taps: int, steps: int, batch: int, tail: bool) -> None:
    upstream, results = None, []
    x, kernel = torch.randn(steps, batch, 5), torch.randn(4, 5, taps)
    for backend in FORMS:
        x_, k_ = x.clone().requires_grad_(), kernel.clone().requires_grad_()
        z = delay_dense(x_, k_, backend, tail=tail)
        assert z.shape == (steps + (taps - 1 if tail and steps else 0), batch, 4) or not steps
        upstream = torch.randn_like(z) if upstream is None else upstream
        z.backward(upstream)
        results.append((z.detach(), x_.grad, k_.grad))
    for other in results[1:]:
        assert relative_error(other[0], results[0][0]) < 1e-5
        for got, wanted in zip(other[1:], results[0][1:], strict=True):
            assert relative_error(got, wanted) < 1e-4


@pytest.mark.parametrize("shape", [(12, 2, 3), (12, 2, 3, 4, 5), (4, 2, 3), (3, 0, 3)], ids=str)
def test_channels_move_by_whole_lags(shape: tuple[int, ...]) -> None:
    x, lags = torch.randn(shape), torch.tensor([0, 1, 3])
    one_hot = torch.zeros(3, 4).scatter_(1, lags.unsqueeze(1), 1.0)
    moved = shift_channels(x, lags, 3)
    assert moved.shape == (shape[0] - 3, *shape[1:])
    assert torch.equal(delay_channels(x, one_hot), moved)
    for c, lag in enumerate(lags.tolist()):
        assert torch.equal(moved[:, :, c], x[3 - lag : shape[0] - lag, :, c])


@pytest.mark.parametrize("taps", [1, 3, 40, 41, 90])
@pytest.mark.parametrize("rest", [(), (2, 3)])
def test_gradient_of_moved_channels_is_that_of_the_kernel(taps: int, rest: tuple[int, ...]) -> None:
    """Few lags by a convolution, many by spectra."""
    torch.manual_seed(0)
    x = torch.randn(20 + taps - 1, 3, 4, *rest, dtype=torch.float64)
    lags = torch.randint(taps, (4,))
    g = torch.randn(20, 3, 4, *rest, dtype=torch.float64)
    gradients = []
    for move in (lambda x, k: shift_channels(x, lags, taps - 1, k), delay_channels):
        leaf = x.clone().requires_grad_()
        kernel = torch.nn.functional.one_hot(lags, taps).double().requires_grad_()
        gradients.append(torch.autograd.grad(move(leaf, kernel), (leaf, kernel), g))
    for got, wanted in zip(*gradients, strict=True):
        assert torch.allclose(got, wanted, atol=1e-10)
