"""The Triton kernels of LIF against the step loop on the CPU: values bit for bit, gradients close.

Without a GPU they run in Triton's interpreter: ``make test-triton``. What needs a GPU has the mark ``cuda``.
"""

from __future__ import annotations

import copy
import os
import random
import subprocess
import sys
from functools import partial
from typing import Any

import pytest
import torch
from helpers import relative_error, same_bits
from test_lif_kernel import random_input, random_settings
from torch import Tensor, nn

from snnkit.errors import BackendError
from snnkit.kernels import LIFDynamics, backend_report, lif, triton_lif, use_backend
from snnkit.layers import norm_neuron
from snnkit.neurons import LIF, lif_step
from snnkit.surrogate import SURROGATES

MISSING = triton_lif.triton_missing()
INTERPRETED = bool(os.environ.get("TRITON_INTERPRET"))
DEVICE = "cpu" if INTERPRETED else "cuda"
runs = pytest.mark.skipif(
    MISSING is not None or not (INTERPRETED or torch.cuda.is_available()),
    reason=MISSING or "no GPU and no TRITON_INTERPRET=1 (make test-triton)",
)
on_gpu = [runs, pytest.mark.cuda, pytest.mark.skipif(INTERPRETED, reason="TRITON_INTERPRET is set")]
Number = float | Tensor


def dynamics_step(x: Tensor, v: Tensor, *, leak: Number, threshold: Number, d: LIFDynamics) -> Any:
    return lif_step(x, v, leak, threshold, d)


def results(
    name: str, device: str, d: LIFDynamics, inputs: list[Number], weights: tuple[Tensor, Tensor]
) -> tuple[tuple[Tensor, Tensor], list[Tensor]]:
    """Spikes and final state, and gradients of those of x, v0, leak and threshold that are tensors."""
    moved = [a.detach().to(device).requires_grad_() if isinstance(a, Tensor) else a for a in inputs]
    _, _, leak, threshold = moved
    with use_backend(name):
        s, v = lif(*moved, d, partial(dynamics_step, leak=leak, threshold=threshold, d=d))
    g_s, g_v = (g.to(device) for g in weights)
    ((s * g_s).sum() + (v * g_v).sum()).backward()
    grads = [a.grad if a.grad is not None else torch.zeros_like(a) for a in moved if isinstance(a, Tensor)]
    return (s.detach().cpu(), v.detach().cpu()), [g.cpu() for g in grads]


def check(neuron: LIF, x: Tensor, seed: int, tolerance: float = 2e-4, device: str | None = None) -> None:
    generator = torch.Generator().manual_seed(seed)
    v0, g_v = torch.randn(2, *x.shape[1:], generator=generator)
    leak, threshold = neuron._operands(v0)
    weights = torch.randn(x.shape, generator=generator).to(x.dtype), g_v
    inputs = [x, v0, leak, threshold]
    got = results("triton", device or DEVICE, neuron.dynamics, inputs, weights)
    wanted = results("reference", "cpu", neuron.dynamics, inputs, weights)
    where = f"seed {seed}: {neuron} on {tuple(x.shape)}"
    assert same_bits(got[0], wanted[0]), where
    for i, (a, b) in enumerate(zip(got[1], wanted[1], strict=True)):
        assert relative_error(a, b) < (tolerance if i == 0 else 2e-4), f"gradient {i}, {where}"


def random_case(seed: int) -> tuple[LIF, Tensor]:
    rng, generator = random.Random(seed), torch.Generator().manual_seed(seed)
    channels = rng.randint(1, 4)
    neuron = LIF(**random_settings(rng, channels))
    with torch.no_grad():
        for p in neuron.parameters():
            p.add_(0.2 * torch.randn(p.shape, generator=generator))
    return neuron, random_input(rng, generator, channels).float()


@runs
@pytest.mark.parametrize("shape", [(5, 3, 4, 3, 2), (37, 2, 5), (4, 2, 3, 7)])
@pytest.mark.parametrize("train", [True, False])
def test_norm_and_lif_equal_the_two_modules(shape: tuple[int, ...], train: bool) -> None:
    torch.manual_seed(0)
    norm = {3: nn.BatchNorm1d, 4: nn.BatchNorm1d, 5: nn.BatchNorm2d}[len(shape)](shape[2]).train(train)
    nn.init.normal_(norm.weight, 1, 0.3)
    nn.init.normal_(norm.bias, 0.3, 0.3)
    neuron = LIF(tau=2.5, learn_tau=True, learn_threshold=True)
    x, g = torch.randn(shape) * 2 + 1, torch.randn(shape)
    found = []
    for path in ("triton", "reference"):
        a, b = copy.deepcopy(norm).to(DEVICE), copy.deepcopy(neuron).to(DEVICE)
        given = x.to(DEVICE).requires_grad_()
        with use_backend(path):
            out = norm_neuron(a, b, given)
        gradients = torch.autograd.grad(out, [given, *a.parameters(), *b.parameters()], g.to(DEVICE))
        found.append((out.detach(), gradients, a.running_mean, a.running_var))
    (ours, grads, *moments), (theirs, wanted, *others) = found
    assert 0 < ours.mean() < 1
    assert torch.equal(ours, theirs)
    for one, other in zip([*grads, *moments], [*wanted, *others], strict=True):
        assert relative_error(one, other) < 2e-4


@runs
@pytest.mark.parametrize("seed", range(60))
def test_equals_the_step_loop(seed: int) -> None:
    check(*random_case(seed), seed)


@runs
@pytest.mark.parametrize("timing", ["immediate", "delayed"])
@pytest.mark.parametrize("reset", ["hard", "soft"])
@pytest.mark.parametrize("steps", [31, 32, 33, 48, 50])
def test_long_sequences(steps: int, reset: Any, timing: Any) -> None:
    """Up to 32 steps in one piece, above from one state in 16; the last piece may be short."""
    neuron = LIF(
        3.3, reset=reset, reset_timing=timing, v_rest=0.1, learn_tau=True, learn_threshold=True, channels=3
    )
    check(neuron, 1.5 * torch.randn(steps, 2, 3), steps)


@runs
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("steps", [4, 40])
def test_half_precision_input(steps: int, dtype: torch.dtype) -> None:
    """Spikes and the gradient of the input have its dtype; the state stays float32."""
    check(LIF(2.5, learn_threshold=True), (1.5 * torch.randn(steps, 2, 5)).to(dtype), steps, tolerance=1e-2)


@runs
@pytest.mark.parametrize("decay_input", [True, False])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 1)], ids=str)
@pytest.mark.parametrize(
    ("arithmetic", "value"),
    [("divide", 2.5), ("multiply", 0.4), ("euler", 0.4), ("decay", 0.6), ("integrate", 1.0)],
)
def test_tensor_leaks_of_every_arithmetic(
    arithmetic: Any, value: float, shape: tuple[int, ...], decay_input: bool
) -> None:
    d = LIF(v_rest=0.1, v_reset=-0.2).dynamics._replace(arithmetic=arithmetic, decay_input=decay_input)
    inputs: list[Number] = [torch.randn(6, 2, 3), torch.randn(2, 3)]
    inputs += [torch.full(shape, value), torch.full(shape, 0.8)]
    weights = torch.randn(6, 2, 3), torch.randn(2, 3)
    got = results("triton", DEVICE, d, inputs, weights)
    wanted = results("reference", "cpu", d, inputs, weights)
    assert same_bits(got[0], wanted[0])
    for a, b in zip(got[1], wanted[1], strict=True):
        assert relative_error(a, b) < 2e-4


@runs
@pytest.mark.parametrize("surrogate", SURROGATES.names())
def test_every_surrogate(surrogate: str) -> None:
    check(LIF(surrogate=surrogate, reset="soft"), torch.randn(5, 2, 3), 0)


@runs
def test_several_blocks_and_one_neuron() -> None:
    neuron = LIF(3.0, learn_threshold=True, channels=5)
    check(neuron, torch.randn(3, 7, 5, 4), 0)
    check(neuron, torch.randn(40, 7, 5, 4), 0)
    check(LIF(3.0), torch.randn(3, 1, 1), 0)


@runs
@pytest.mark.parametrize("steps", [5, 40])
def test_views_without_gradients_and_nan(steps: int) -> None:
    """A repeated step stays a view, other layouts are copied; NaN gives no spike and stays in its place."""
    neuron = LIF(2.5, v_rest=0.125)
    x = torch.randn(steps, 2, 3)
    x[1, 0, 1] = torch.nan
    for case in (x, torch.randn(2, 3).expand(steps, 2, 3), torch.randn(2, 3, steps).permute(2, 0, 1)):
        with torch.no_grad(), use_backend("triton"):
            bare = neuron.run(case.to(DEVICE))
        with use_backend("triton"):
            kept = neuron.run(case.to(DEVICE).requires_grad_())
        with torch.no_grad(), use_backend("reference"):
            wanted = neuron.run(case)
        assert same_bits([bare[0].cpu(), bare[1].v.cpu()], [wanted[0], wanted[1].v])
        assert same_bits([kept[0].detach().cpu(), kept[1].v.detach().cpu()], [wanted[0], wanted[1].v])


def test_what_triton_cannot_do_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with use_backend("triton"), pytest.raises(BackendError, match=r'"triton" cannot run LIF.*on cpu'):
        LIF()(torch.rand(2, 1, 3))
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    with use_backend("triton"), pytest.raises(BackendError, match=r"the input is torch\.float64"):
        LIF()(torch.rand(2, 1, 3, dtype=torch.float64))
    with use_backend("triton"), pytest.raises(BackendError, match="no formula"):
        LIF(surrogate=SURROGATES.get("power")(3.0))(torch.rand(2, 1, 3))
    monkeypatch.setattr(triton_lif, "_missing", lambda: "triton is not installed")
    with use_backend("triton"), pytest.raises(BackendError, match="triton is not installed"):
        LIF()(torch.rand(2, 1, 3))
    assert "triton is not installed" in backend_report()


def test_the_interpreter_is_never_chosen_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.setattr(triton_lif, "launch", lambda *_: pytest.fail("auto took triton on the CPU"))
    LIF()(torch.rand(2, 1, 3, requires_grad=True)).sum().backward()


def test_the_kernels_are_not_imported_for_cpu_tensors() -> None:
    code = (
        "import sys, torch, snnkit; snnkit.LIF()(torch.rand(2, 1, 3)); "
        "print('snnkit.kernels._triton_kernels' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert run.stdout.strip() == "False", run.stderr


COMPILE = """
import re, triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from snnkit.kernels import _triton_kernels as kernels

def ptx(name, **settings):
    kernel = getattr(kernels, name)
    normed = settings.pop("normed", False)
    without = {} if normed else dict.fromkeys(("scale_at", "shift_at", "mean_at", "g_norm_at"))
    settings = {**without, "V0_STRIDE": 0,
                "AT_EQUAL": True, "OWN_AMOUNT": True, "DETACH": False, "SURROGATE": 0,
                "OF_X": 1, "OF_W": -1, "BLOCK": 128, **settings}
    integers = ("N", "T", "x_stride", "leak_period", "leak_inner", "threshold_period", "threshold_inner",
                "norm_period", "norm_inner", "period", "inner")
    signature = {
        n: "constexpr" if n in settings else "*bf16" if n in ("x_at", "out_at", "g_out_at", "g_x_at", "g_at")
        else "*fp32" if n.endswith("_at") else "i64" if n in integers else "fp32"
        for n in kernel.arg_names
    }
    constants = {(i,): settings[n] for i, n in enumerate(kernel.arg_names) if n in settings}
    source = ASTSource(kernel, signature, constants, {})
    return triton.compile(source, GPUTarget("cuda", 90, 32), {"enable_fp_fusion": False}).asm["ptx"]

for charge in range(8):
    text = ptx("lif_forward", CHARGE=charge, RESET=2, CHUNK=4, WHOLE=True)
    assert "div.rn." in text or charge > 1, "division is not IEEE division"
    assert not re.search(r"\\bfma[.]", text), "multiplication and addition are fused"
ptx("lif_forward", CHARGE=0, RESET=3, CHUNK=16, WHOLE=False)
ptx("lif_backward", CHARGE=0, RESET=4, CHUNK=8, WHOLE=True)
ptx("lif_backward", CHARGE=5, RESET=2, CHUNK=16, WHOLE=False)
ptx("lif_forward", CHARGE=0, RESET=2, CHUNK=4, WHOLE=True, normed=True)
ptx("lif_backward", CHARGE=0, RESET=2, CHUNK=4, WHOLE=True, normed=True)
ptx("norm_back", normed=True)
"""


@pytest.mark.skipif(MISSING is not None, reason=str(MISSING))
def test_compiles_for_a_gpu_that_need_not_be_there() -> None:
    """For compute capability 9.0: every operation of the forward pass is rounded by itself."""
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    run = subprocess.run(
        [sys.executable, "-c", COMPILE], capture_output=True, text=True, timeout=300, env=environment
    )
    assert run.returncode == 0, run.stderr[-3000:]


class TestOnCUDA:
    pytestmark = on_gpu

    @pytest.mark.parametrize("block", range(10))
    def test_equals_the_step_loop_on_the_cpu(self, block: int) -> None:
        for seed in range(100 * block, 100 * (block + 1)):
            check(*random_case(seed), seed)

    @pytest.mark.parametrize("shape", [(4, 32, 64, 65), (8, 3, 100_003), (40, 16, 512), (17, 1, 200_000)])
    def test_sizes_of_every_configuration(self, shape: tuple[int, ...]) -> None:
        check(LIF(2.5, reset="soft", learn_threshold=True), torch.randn(shape), 0)

    def test_auto_takes_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        taken: list[str] = []
        launch = triton_lif.launch
        monkeypatch.setattr(triton_lif, "launch", lambda *a: (taken.append(a[0]), launch(*a)))
        LIF()(torch.rand(2, 1, 3, device="cuda", requires_grad=True)).sum().backward()
        assert taken == ["lif_forward", "lif_backward"]

    def test_no_call_waits_for_the_device(self) -> None:
        neuron, x = LIF(learn_tau=True).cuda(), torch.rand(4, 2, 3, device="cuda", requires_grad=True)
        neuron(x).sum().backward()
        torch.cuda.set_sync_debug_mode("error")
        try:
            neuron(x).sum().backward()
        finally:
            torch.cuda.set_sync_debug_mode("default")

    @pytest.mark.parametrize("steps", [4, 20, 40])
    def test_the_registered_operations(self, steps: int) -> None:
        x = torch.randn(steps, 2, 3, device="cuda", requires_grad=True)
        v0, leak, threshold = torch.randn(2, 3, device="cuda"), None, torch.full((3,), 0.8, device="cuda")
        numbers = (2.5, float("nan"), 0.0, 0.0, float("nan"), 1.0, 3.0)
        torch.library.opcheck(
            torch.ops.snnkit.lif.default, (x, v0, leak, threshold, numbers, (0, 1, 0, 0, 1, 1))
        )

    @pytest.mark.filterwarnings("ignore")
    def test_compiled(self) -> None:
        neuron, x = LIF(2.5, learn_threshold=True).cuda(), torch.randn(5, 2, 3, device="cuda")
        a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
        plain, compiled = neuron(a), torch.compile(neuron, fullgraph=True)(b)
        assert torch.equal(plain, compiled)
        plain.square().sum().backward()
        compiled.square().sum().backward()
        assert relative_error(b.grad, a.grad) < 1e-6
