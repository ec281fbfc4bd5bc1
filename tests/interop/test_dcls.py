"""Layers of DCLS as ours and back: equal kernels, outputs and gradients."""

from __future__ import annotations

import sys

import pytest
import torch
from helpers import relative_error, same_bits
from torch import nn
from torch.nn import functional as F

from snnkit.errors import ConfigError, InputTypeError, MissingDependencyError
from snnkit.interop import from_dcls, to_dcls
from snnkit.neurons import DelayLinear

TAPS, SHAPE = 9, (20, 3, 4)


def theirs(version: str, sig: float = 0.5, count: int = 2, taps: int = TAPS, **settings: object) -> nn.Module:
    dcls = pytest.importorskip("DCLS.construct.modules", reason="pip install --no-deps DCLS==0.1.1")
    torch.manual_seed(0)
    module = dcls.Dcls1d(4, 5, count, dilated_kernel_size=taps, version=version, **settings)
    with torch.no_grad():
        module.P.uniform_(-(taps // 2), taps // 2)
        if module.SIG is not None:
            module.SIG.fill_(sig)
    return module.double()


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("version", "sig"), [("v1", 0.0), ("max", 0.0), ("max", 1.0), ("gauss", 0.23), ("gauss", 4)]
)
def test_equal_outputs_and_gradients(version: str, sig: float) -> None:
    module = theirs(version, sig)
    layer, x = from_dcls(module), torch.randn(SHAPE, dtype=torch.float64)
    z = module(F.pad(x.permute(1, 2, 0), (TAPS - 1, 0))).permute(2, 0, 1)
    assert relative_error(layer(x), z) < 1e-9
    upstream = torch.randn_like(z)
    z.backward(upstream)
    layer(x).backward(upstream)
    assert relative_error(layer.weight.grad, module.weight.grad) < 1e-9
    assert relative_error(layer.delay.grad, -module.P.grad[0]) < 1e-6
    assert relative_error(layer.bias.grad, module.bias.grad) < 1e-9


@pytest.mark.oracle
@pytest.mark.parametrize("version", ["max", "gauss"])
def test_there_and_back(version: str) -> None:
    module = theirs(version)
    again = to_dcls(from_dcls(module))
    assert same_bits(again.weight, module.weight)
    assert (again.P - module.P).abs().max() < 1e-15
    assert relative_error(again.SIG, module.SIG) < 1e-6
    assert same_bits(again.bias, module.bias)
    assert again.version == version


@pytest.mark.oracle
def test_evaluation_rounds_as_theirs_is_rounded() -> None:
    """Published evaluation: positions rounded, version "max", SIG 0."""
    module = theirs("gauss")
    layer, x = from_dcls(module).eval(), torch.randn(SHAPE, dtype=torch.float64)
    module.DCK.version, module.version = "max", "max"
    with torch.no_grad():
        module.P.round_()
        module.SIG.zero_()
    z = module(F.pad(x.permute(1, 2, 0), (TAPS - 1, 0))).permute(2, 0, 1)
    assert relative_error(layer(x), z) < 1e-6


@pytest.mark.oracle
def test_what_has_no_equal_is_refused() -> None:
    for module, match in (
        (theirs("gauss", taps=8), "odd number"),
        (theirs("gauss", stride=2), "stride"),
        (theirs("v0"), "v0"),
    ):
        with pytest.raises(ConfigError, match=match):
            from_dcls(module)
    uneven = theirs("gauss")
    with torch.no_grad():
        uneven.SIG[0, 0, 0, 0] = 2
    with pytest.raises(ConfigError, match="2 different widths"):
        from_dcls(uneven)


def test_bad_input() -> None:
    with pytest.raises(InputTypeError, match="Dcls1d"):
        from_dcls(nn.Linear(3, 4))
    with pytest.raises(InputTypeError, match="DelayLinear"):
        to_dcls(nn.Linear(3, 4))
    for layer in (
        DelayLinear(4, 5, 8),
        DelayLinear(4, 5, 8, kind="synaptic"),
        DelayLinear(4, 5, 7, kind="synaptic", interp="gauss"),
        DelayLinear(4, 5, 8, kind="synaptic", interp="gauss", sigma=0.2),
    ):
        with pytest.raises(ConfigError, match="to_dcls"):
            to_dcls(layer)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "DCLS.construct.modules", None)
    with pytest.raises(MissingDependencyError, match="DCLS"):
        to_dcls(DelayLinear(4, 5, 8, kind="synaptic", interp="gauss"))
