"""The Triton kernels of integer, current-based and Ultra neurons against their steps."""

from __future__ import annotations

import copy
import os
import random
import subprocess
import sys
from typing import Any

import pytest
import torch
from helpers import relative_error, same_bits
from test_triton_lif import DEVICE, MISSING, runs
from torch import Tensor

from snnkit.kernels import use_backend
from snnkit.neurons import ILIF, Neuron, SynapticLIF, UltraLIF


def random_neuron(rng: random.Random) -> Neuron:
    family = rng.choice(["counts", "synaptic", "ultra"])
    if family == "counts":
        tau = rng.choice([1.0, 2.0, 3.3])
        return ILIF(
            rng.choice([1, 4, 7]), tau=tau, threshold=rng.choice([1.0, 0.7]), detach_reset=rng.random() < 0.5
        )
    if family == "synaptic":
        settings: dict[str, Any] = rng.choice(
            [{"reset": "soft"}, {"reset": "hard", "v_reset": -0.2}, {"reset": "none"}]
        )
        return SynapticLIF(
            alpha=0.6,
            beta=0.8,
            learn_alpha=rng.random() < 0.5,
            learn_beta=rng.random() < 0.5,
            detach_reset=rng.random() < 0.5,
            fire_at_equal=rng.random() < 0.5,
            surrogate=rng.choice(["atan", "sigmoid", "triangle"]),
            channels=rng.choice([None, 3]),
            **settings,
        )
    return UltraLIF(tau=rng.choice([0.5, 0.9]), learn_tau=rng.random() < 0.5, learn_eps=rng.random() < 0.5)


def results(
    name: str, neuron: Neuron, x: Tensor, state: Any, weights: list[Tensor]
) -> tuple[list[Tensor], list[Tensor]]:
    neuron = copy.deepcopy(neuron).to(DEVICE)
    x = x.to(DEVICE).detach().requires_grad_()
    given = type(state)(*(v.to(DEVICE).detach().requires_grad_() for v in state))
    with use_backend(name):
        out, last = neuron.run(x, given)
    outs = [out, *last]
    sum((a * g.to(DEVICE)).sum() for a, g in zip(outs, weights, strict=True)).backward()
    leaves = [x, *given, *neuron.parameters()]
    return [a.detach() for a in outs], [torch.zeros_like(a) if a.grad is None else a.grad for a in leaves]


@runs
@pytest.mark.parametrize("block", range(12))
def test_equals_the_step_loop(block: int) -> None:
    for seed in range(block * 5, block * 5 + 5):
        rng, generator = random.Random(seed), torch.Generator().manual_seed(seed)
        neuron = random_neuron(rng)
        shape = (rng.choice([1, 2, 5, 17, 33, 40]), rng.choice([1, 2]), 3, rng.choice([1, 5]))
        x = 1.5 * torch.randn(shape, generator=generator)
        if rng.random() < 0.2:
            x = x[:1].expand(shape)
        state = neuron.initial_state(x[0])
        if rng.random() < 0.7:
            state = type(state)(*(torch.randn(v.shape, generator=generator) for v in state))
        weights = [
            torch.randn(shape, generator=generator),
            *(torch.randn(v.shape, generator=generator) for v in state),
        ]
        state = type(state)(*(v.clone() for v in state))
        (outs, grads), (wanted, gradients) = (
            results(name, neuron, x, state, weights) for name in ("triton", "reference")
        )
        where = f"seed {seed}: {neuron} on {shape}"
        if isinstance(neuron, UltraLIF):
            for a, b in zip(outs, wanted, strict=True):
                assert relative_error(a, b) < 2e-6, where
        else:
            assert same_bits(tuple(outs), tuple(wanted)), where
        for a, b in zip(grads, gradients, strict=True):
            assert relative_error(a, b) < 2e-4, where


@runs
def test_initial_state_narrow_types_and_no_neurons() -> None:
    for neuron in (ILIF(), SynapticLIF(), UltraLIF()):
        neuron, x = neuron.to(DEVICE), torch.randn(35, 2, 40, device=DEVICE)
        with use_backend("triton"):
            out = neuron(x)
            narrow = neuron(x.bfloat16())
            assert neuron(x[:, :0]).shape == (35, 0, 40)
        with use_backend("reference"):
            torch.testing.assert_close(
                out, neuron(x), rtol=0, atol=0 if not isinstance(neuron, UltraLIF) else 2e-6
            )
            torch.testing.assert_close(narrow, neuron(x.bfloat16()), rtol=1e-2, atol=1e-2)
        assert narrow.dtype == torch.bfloat16


COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from snnkit.kernels import _triton_families as kernels

def compiled(name, **settings):
    kernel = getattr(kernels, name)
    settings = {"AT_EQUAL": True, "DETACH": False, "SURROGATE": 0, "BLOCK": 128, **settings}
    integers = ("N", "T", "x_stride", "a_stride", "b_stride", "kept_stride")
    signature = {
        n: "constexpr" if n in settings else "*bf16" if n in ("x_at", "out_at", "g_out_at", "g_x_at")
        else "*fp32" if n.endswith("_at") else "i64" if n in integers or n.endswith(("_period", "_inner"))
        else "fp32"
        for n in kernel.arg_names
    }
    constants = {(i,): settings[n] for i, n in enumerate(kernel.arg_names) if n in settings}
    source = ASTSource(kernel, signature, constants, {})
    return triton.compile(source, GPUTarget("cuda", 90, 32), {"enable_fp_fusion": False}).asm["ptx"]

one = {"b0_at": None, "b1_at": None, "g_b_at": None, "g_b0_at": None}
for family, sums, states in ((1, 0, one), (2, 2, {}), (3, 3, one)):
    for chunk, whole in ((4, True), (16, False)):
        shared = {"FAMILY": family, "RESET": 1, "CHUNK": chunk, "WHOLE": whole}
        names = kernels.family_forward.arg_names
        compiled("family_forward", **shared, **{k: v for k, v in states.items() if k in names})
        names = kernels.family_backward.arg_names
        compiled("family_backward", SUMS=sums, **shared, **{k: v for k, v in states.items() if k in names})
"""


@pytest.mark.skipif(MISSING is not None, reason=str(MISSING))
@pytest.mark.slow
def test_compiles_for_a_gpu_that_need_not_be_there() -> None:
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    run = subprocess.run(
        [sys.executable, "-c", COMPILE], capture_output=True, text=True, timeout=600, env=environment
    )
    assert run.returncode == 0, run.stderr[-3000:]
