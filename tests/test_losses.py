"""Losses: golden values, masks, laws, errors, and snntorch as oracle."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from snnkit.errors import ConfigError, DeviceError, DTypeError, InputTypeError, ShapeError
from snnkit.losses import LOSSES, count_mse, mean_ce, rate_ce, rate_regularizer, tet

NAMES = ["count_mse", "mean_ce", "rate_ce", "sum_softmax", "tet"]
Z = torch.tensor([[[1.0, 0, -1]], [[0, 2.0, 0]]], dtype=torch.float64)  # T=2, B=1, K=3
Y = torch.tensor([0])


def close(loss: torch.Tensor, wanted: float, tolerance: float = 1e-12) -> bool:
    return abs(loss.item() - wanted) <= tolerance


def some(seed: int, T: int = 5, B: int = 4, K: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits, labels and a mask with lengths 1..T."""
    g = torch.Generator().manual_seed(seed)
    z = 3 * torch.randn(T, B, K, generator=g, dtype=torch.float64)
    lengths = torch.randint(1, T + 1, (B,), generator=g)
    return z, torch.randint(0, K, (B,), generator=g), torch.arange(T).unsqueeze(1) < lengths


def test_registry():
    assert LOSSES.names() == NAMES
    for name in NAMES:
        assert LOSSES.get(name)(Z, Y, mask=None).ndim == 0


# -- golden values ---------------------------------------------------------------------------------

CE_1 = math.log(math.e + 1 + 1 / math.e) - 1
CE_2 = math.log(2 + math.e**2)


def test_mean_ce_golden():
    assert close(mean_ce(Z, Y), math.log(math.e**0.5 + math.e + math.e**-0.5) - 0.5)
    assert close(mean_ce(Z, Y), 1.1041306257247925, 3e-8)


def test_tet_golden():
    assert close(tet(Z, Y, lam=0), (CE_1 + CE_2) / 2)
    assert close(tet(Z, Y, lam=0), 1.3235753774642944, 3e-8)
    assert close(tet(Z, Y), 0.95 * (CE_1 + CE_2) / 2 + 0.05 * 4 / 3)  # MSE to 1: (5/3 + 3/3) / 2
    assert close(tet(Z, Y), 1.3240633010864258, 5e-8)
    assert close(tet(Z, Y, lam=1, phi=0), (2 / 3 + 4 / 3) / 2)


def test_rate_ce_golden():
    assert close(rate_ce(Z, Y), (CE_1 + CE_2) / 2)
    assert close(rate_ce(Z / 2, Y, scale=2), (CE_1 + CE_2) / 2)


@pytest.mark.parametrize(
    ("rates", "wanted"),
    [
        ({}, ((2 - 4) ** 2 + 1 + 0) / 3 / 4),
        ({"correct_rate": 0.75, "incorrect_rate": 0.25}, (1 + 0 + 1) / 3 / 4),
        ({"correct_rate": 0.7}, (0 + 1 + 0) / 3 / 4),  # int(2.8) = 2
    ],
)
def test_count_mse_golden(rates, wanted):
    spikes = torch.tensor([[[1.0, 0, 0]], [[0, 1, 0]], [[0, 0, 0]], [[1, 0, 0]]])  # counts 2 1 0
    assert close(count_mse(spikes, Y, **rates), wanted, 1e-7)


def test_label_smoothing():
    z, y, _ = some(0)
    smooth = 0.1
    flat = -F.log_softmax(z, -1).mean(-1).mean()
    assert close(tet(z, y, lam=0, label_smoothing=smooth), (0.9 * tet(z, y, lam=0) + 0.1 * flat).item())
    assert close(rate_ce(z, y, label_smoothing=smooth), tet(z, y, lam=0, label_smoothing=smooth).item())
    flat_mean = -F.log_softmax(z.mean(0), -1).mean()
    assert close(mean_ce(z, y, label_smoothing=smooth), (0.9 * mean_ce(z, y) + 0.1 * flat_mean).item())


@pytest.mark.oracle
def test_equal_to_snntorch():
    functional = pytest.importorskip("snntorch.functional")
    spikes = (torch.rand(10, 6, 4, generator=torch.Generator().manual_seed(0)) < 0.4).float()
    y = torch.tensor([0, 1, 2, 3, 0, 1])
    theirs = functional.mse_count_loss(correct_rate=0.8, incorrect_rate=0.25)(spikes, y)
    assert close(count_mse(spikes, y, correct_rate=0.8, incorrect_rate=0.25), theirs.item(), 1e-6)
    assert close(rate_ce(spikes, y), functional.ce_rate_loss()(spikes, y).item(), 1e-6)


# -- mask ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("filler", [0.0, 1e30, math.nan, math.inf])
def test_masked_loss_is_the_mean_over_samples_cut_to_length(name, filler):
    loss = LOSSES.get(name)
    for seed in range(2):
        z, y, mask = some(seed)
        alone = [loss(z[mask[:, b], b : b + 1], y[b : b + 1]) for b in range(len(y))]
        z = torch.where(mask.unsqueeze(-1), z, filler).requires_grad_()
        value = loss(z, y, mask=mask)
        assert close(value, torch.stack(alone).mean().item())
        value.backward()
        assert torch.isfinite(z.grad).all()
        assert (z.grad[~mask] == 0).all()
        assert (z.grad[mask] != 0).any()


@pytest.mark.parametrize("name", NAMES)
def test_full_mask_changes_nothing(name):
    z, y, mask = some(1)
    loss = LOSSES.get(name)
    assert close(loss(z, y, mask=torch.ones_like(mask)), loss(z, y).item())


def test_count_mse_takes_the_true_length():
    spikes = torch.ones(4, 1, 2, dtype=torch.float64)
    mask = torch.tensor([[True], [True], [True], [False]])  # n = 3 3, n* = int(3 * .5) = 1 and 0
    assert close(count_mse(spikes, Y, mask=mask, correct_rate=0.5), (4 + 9) / 2 / 3)


# -- laws ------------------------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.booleans(), st.sampled_from([0.0, 0.1]))
@settings(deadline=None, max_examples=40)
def test_loss_per_step_is_at_least_the_loss_of_the_mean(seed, masked, smooth):
    z, y, mask = some(seed)
    mask = mask if masked else None
    mean = mean_ce(z, y, mask=mask, label_smoothing=smooth)
    assert tet(z, y, mask=mask, lam=0, label_smoothing=smooth) >= mean - 1e-12
    assert rate_ce(z, y, mask=mask, label_smoothing=smooth) >= mean - 1e-12


@pytest.mark.parametrize("name", NAMES)
def test_one_step_and_constant_logits_agree(name):
    z, y, _ = some(2, T=1)
    loss = LOSSES.get(name)
    if name in ("count_mse", "sum_softmax"):  # of sums
        return
    assert close(loss(z.expand(7, -1, -1), y), loss(z, y).item())


@pytest.mark.parametrize("name", NAMES)
def test_permuted_batch(name):
    z, y, mask = some(3)
    order = torch.tensor([2, 0, 3, 1])
    loss = LOSSES.get(name)
    assert close(loss(z[:, order], y[order], mask=mask[:, order]), loss(z, y, mask=mask).item())


@pytest.mark.parametrize("name", NAMES)
def test_gradcheck(name):
    z, y, mask = some(4, T=3, B=2, K=2)
    loss = LOSSES.get(name)
    assert torch.autograd.gradcheck(lambda z: loss(z, y, mask=mask), z.requires_grad_())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.bool])
def test_dtype(name, dtype):
    z = (torch.rand(5, 4, 3) < 0.5).to(dtype)
    value = LOSSES.get(name)(z, torch.tensor([0, 1, 2, 0]).to(torch.uint8))
    assert value.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert torch.isfinite(value)


def test_nan_propagates():
    assert mean_ce(torch.full((2, 1, 3), math.nan), Y).isnan()


# -- errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_bad_logits_and_labels(name):
    loss, z, y = LOSSES.get(name), torch.zeros(5, 4, 3), torch.zeros(4, dtype=torch.int64)
    cases = [
        (InputTypeError, "got list", [1.0], y),
        (DTypeError, "complex64", z.to(torch.complex64), y),
        (ShapeError, r"got logits of shape \(4, 3\), expected \[T, B, K\].*per_step", z[0], y),
        (ShapeError, r"\(0, 4, 3\), expected T, B, K >= 1", z[:0], y),
        (ShapeError, r"\(5, 0, 3\), expected T, B, K >= 1", z[:, :0], y[:0]),
        (InputTypeError, r"\.y: got list, expected a torch.Tensor", z, [0, 0, 0, 0]),
        (DTypeError, r"\.y: got dtype torch.float32, expected class indices", z, y.float()),
        (DTypeError, r"\.y: got dtype torch.bool", z, y.bool()),
        (ShapeError, r"\.y: got shape \(5,\).*batch-first: use logits.transpose", z, torch.zeros(5).long()),
        (ShapeError, r"\.y: got shape \(4, 3\).*y.argmax", z, torch.zeros(4, 3).long()),
        (ShapeError, r"expected \[B\] = \(4,\), one label per sample\.$", z, torch.zeros(3).long()),
        (DeviceError, r"\.y: is on meta, the logits on cpu", z, y.to("meta")),
        (ConfigError, r"\.y: labels between 0 and 3, expected .* in \[0, 2\]", z, torch.tensor([0, 0, 3, 0])),
        (ConfigError, r"labels between -100 and 0", z, torch.tensor([0, 0, -100, 0])),
    ]  # fmt: skip
    for error, message, logits, labels in cases:
        with pytest.raises(error, match=message) as caught:
            loss(logits, labels)
        assert str(caught.value).startswith(name)


@pytest.mark.parametrize("name", NAMES)
def test_bad_mask(name):
    loss, z, y = LOSSES.get(name), torch.zeros(5, 4, 3), torch.zeros(4, dtype=torch.int64)
    mask = torch.ones(5, 4, dtype=torch.bool)
    holes = mask.clone()
    holes[:, 2] = False
    for error, message, bad in [
        (InputTypeError, "mask: got list", [[True]]),
        (DTypeError, r"mask: got dtype torch.float32, expected torch.bool.*mask.bool\(\)", mask.float()),
        (ShapeError, r"mask: got shape \(4, 5\), expected \[T, B\] = \(5, 4\).*transpose", mask.T),
        (ShapeError, r"mask: samples \[2\] have no real step", holes),
        (DeviceError, r"mask: is on meta, expected cpu", mask.to("meta")),
    ]:
        with pytest.raises(error, match=message):
            loss(z, y, mask=bad)


@pytest.mark.parametrize(
    ("name", "setting", "values"),
    [
        ("mean_ce", "label_smoothing", [-0.1, 1.1, math.nan, "a"]),
        ("rate_ce", "label_smoothing", [-0.1, 1.1]),
        ("rate_ce", "scale", [0, -1, math.inf]),
        ("count_mse", "correct_rate", [-0.1, math.nan]),
        ("count_mse", "incorrect_rate", [-0.1, math.inf]),
        ("tet", "lam", [-0.1, 1.1, math.nan]),
        ("tet", "phi", [math.inf, None]),
        ("tet", "label_smoothing", [2]),
    ],
)
def test_bad_settings(name, setting, values):
    for value in values:
        with pytest.raises(ConfigError, match=rf"{name}\.{setting}: got .*, expected a "):
            LOSSES.get(name)(Z, Y, **{setting: value})


def test_one_step_of_binary_spikes_warns():
    spikes = torch.tensor([[[1.0, 0, 0]]])
    with pytest.warns(UserWarning, match=r"limits the logits to \{0, 1\}.*floor of 0.551.*scale") as caught:
        assert close(rate_ce(spikes, Y), math.log1p(2 / math.e), 1e-6)
    assert caught[0].filename == __file__
    assert close(rate_ce(spikes, Y, scale=4.0), math.log1p(2 * math.exp(-4)), 1e-6)  # no warning
    rate_ce(spikes * 0.5, Y)
    rate_ce(spikes.expand(2, -1, -1), Y)


# -- rate regulariser ------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "wanted"), [("below", 0.03125), ("towards", 0.0625)])
def test_rate_regularizer_golden(mode, wanted):
    spikes = torch.tensor([1.0, 0, 1, 0, 0, 1, 0, 1]).view(2, 2, 2)  # rate 0.5
    silent = torch.zeros(2, 2, 5)
    rates = torch.tensor([0.4, 0.6]), torch.tensor(0.0)
    assert close(rate_regularizer([spikes, silent], 0.25, mode=mode), wanted)
    assert close(rate_regularizer({"a": spikes.bool(), "b": silent}, 0.25, mode=mode), wanted)
    assert close(rate_regularizer(iter(rates), 0.25, mode=mode), wanted, 1e-7)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.floats(0, 1))
def test_rate_regularizer_laws(rates, target):
    layers = [torch.tensor(r, dtype=torch.float64) for r in rates]
    below, towards = (rate_regularizer(layers, target, mode=mode) for mode in ("below", "towards"))
    assert 0 <= below <= towards
    assert (below == 0) == all(r <= target or (r - target) ** 2 == 0 for r in rates)


def test_rate_regularizer_mask():
    spikes = torch.ones(3, 2, 4, dtype=torch.float64)
    spikes[2, 1] = math.nan
    spikes[0] = 0
    mask = torch.tensor([[True, True], [True, True], [True, False]])
    spikes.requires_grad_()
    value = rate_regularizer([spikes], 0.0, mask=mask)
    assert close(value, (3 / 5) ** 2)
    value.backward()
    assert (spikes.grad[~mask] == 0).all()
    assert torch.allclose(spikes.grad[mask], torch.tensor(2 * 0.6 / 20, dtype=torch.float64))
    with pytest.raises(ShapeError, match=r"layer 0.mask: got shape \(3, 2\), expected \[T, B\] = \(4, 2\)"):
        rate_regularizer([torch.ones(4, 2, 3)], 0.1, mask=mask)
    with pytest.raises(ShapeError, match="layer 'a': got shape"):
        rate_regularizer({"a": torch.tensor(0.5)}, 0.1, mask=mask)


def test_rate_regularizer_bad_input():
    rate = torch.tensor(0.5)
    with pytest.raises(ConfigError, match=r"outputs: got \{\}, expected at least one layer"):
        rate_regularizer([], 0.1)
    with pytest.raises(ConfigError, match=r"target: got -0\.1"):
        rate_regularizer([rate], -0.1)
    with pytest.raises(ConfigError, match=r'mode: got \'above\', expected "below" or "towards"'):
        rate_regularizer([rate], 0.1, mode="above")
    with pytest.raises(InputTypeError, match="layer 'conv': got float"):
        rate_regularizer({"conv": 0.5}, 0.1)
    with pytest.raises(ShapeError, match=r"layer 1 has shape \(0, 2\), expected at least one value"):
        rate_regularizer([rate, torch.zeros(0, 2)], 0.1)
