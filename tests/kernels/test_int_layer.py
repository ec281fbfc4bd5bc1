"""Integer kernels equal torch on int64 in every bit, for every shape, width, density and instruction set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from snnkit.kernels import isa, library
from snnkit.kernels.int_layer import int_layer, int_weights
from snnkit.kernels.int_values import int_counts, int_rescale
from snnkit.quant.ops_integer import IntegerOps

pytestmark = pytest.mark.skipif(isinstance(library(), str), reason=f"native backend: {library()}")
KINDS = {"spikes": (1, 1), "counts": (4, 4), "signed": (-3, 6), "large": (-255, 255)}


@pytest.fixture(params=[0, 1, 2], ids=["baseline", "AVX2", "AVX-512"])
def _instructions(request: pytest.FixtureRequest) -> Iterator[None]:
    isa(request.param)
    yield
    isa(-1)


def values(shape: tuple[int, ...], kind: str, density: float, gen: torch.Generator) -> Tensor:
    low, high = KINDS[kind]
    x = torch.randint(min(low, 1), high + 1, shape, generator=gen)
    return (x * (torch.rand(shape, generator=gen) < density)).to(torch.int32)


def weights(shape: tuple[int, ...], bits: int, gen: torch.Generator) -> Tensor:
    half = 2 ** (bits - 1)
    codes = torch.randint(-half, half, shape, generator=gen)
    codes.view(-1)[:1] = -half
    return codes


@pytest.mark.usefixtures("_instructions")
@pytest.mark.parametrize("bits", [1, 4, 5, 8])
@pytest.mark.parametrize("kind", KINDS)
def test_linear(kind: str, bits: int) -> None:
    gen = torch.Generator().manual_seed(bits)
    for rows, inputs, outputs in (((), 5, 1), ((1,), 70, 64), ((3, 2), 33, 65), ((130,), 300, 10)):
        for density in (0.0, 0.1, 1.0):
            x, w = values((*rows, inputs), kind, density, gen), weights((outputs, inputs), bits, gen)
            made = int_weights(w)
            assert made is not None
            assert made.bits == (4 if bits <= 4 else 8)
            got = int_layer(x, made)
            assert got is not None
            assert got.dtype == torch.int32
            assert torch.equal(got.long(), (x.double() @ w.double().T).long())


@pytest.mark.usefixtures("_instructions")
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_convolutions(data: st.DataObject) -> None:
    draw = data.draw
    axes, bits = draw(st.integers(1, 2)), draw(st.sampled_from([2, 4, 8]))
    kernel = [draw(st.sampled_from([1, 3])) for _ in range(axes)]
    conv: dict[str, Any] = {
        "stride": [draw(st.integers(1, 3)) for _ in range(axes)],
        "padding": [draw(st.integers(0, 2)) for _ in range(axes)],
        "dilation": [draw(st.integers(1, 2)) for _ in range(axes)],
    }
    plane = [draw(st.integers(d * (k - 1) + 1, 9)) for d, k in zip(conv["dilation"], kernel, strict=True)]
    gen = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    inputs, outputs = draw(st.integers(1, 40)), draw(st.integers(1, 70))
    shape = (draw(st.integers(1, 3)), inputs, *plane)
    x = values(shape, draw(st.sampled_from(sorted(KINDS))), draw(st.sampled_from([0.1, 0.6])), gen)
    w = weights((outputs, inputs, *kernel), bits, gen)
    if draw(st.booleans()) and axes == 2:
        x = x.to(memory_format=torch.channels_last)
    made = int_weights(w)
    assert made is not None
    got = int_layer(x, made, **conv)
    assert got is not None
    wanted = (F.conv1d if axes == 1 else F.conv2d)(x.double(), w.double(), **conv)
    assert torch.equal(got.double(), wanted)


@pytest.mark.usefixtures("_instructions")
def test_sums_beyond_sixteen_bits() -> None:
    """The worst case: all codes and all counts at their bounds, for more rows than int16 can hold."""
    for code, count in ((-128, 255), (127, 255), (-128, 1), (-8, 4095), (7, 1)):
        w = torch.full((3, 5000), code)
        made = int_weights(w)
        assert made is not None
        got = int_layer(torch.full((2, 5000), count, dtype=torch.int32), made)
        assert got is not None
        assert got.unique().tolist() == [5000 * code * count]


def test_what_is_left_to_torch() -> None:
    made = int_weights(torch.full((4, 3), 100))
    assert made is not None
    x = torch.ones(2, 3, dtype=torch.int32)
    assert int_layer(x, made) is not None
    assert int_layer(400 * x, made) is None  # one product leaves int16
    assert int_layer(torch.full_like(x, -(2**31)), made) is None
    assert int_layer(x.long(), made) is None
    assert int_layer(x[:, :2], made) is None
    assert int_layer(x[:0], made) is None
    assert int_weights(torch.full((4, 3), 128)) is None
    small = int_weights(torch.ones(4, 3, 3, 3))
    assert small is not None
    assert int_layer(torch.ones(1, 3, 2, 2, dtype=torch.int32), small) is None  # smaller than the kernel


def test_threads_change_nothing() -> None:
    gen = torch.Generator().manual_seed(0)
    x, w = values((40, 30, 20, 20), "counts", 0.2, gen), weights((70, 30, 3, 3), 4, gen)
    made, before = int_weights(w), torch.get_num_threads()
    assert made is not None
    results = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(int_layer(x, made))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(results[0], r) for r in results[1:])  # type: ignore[arg-type]


@pytest.mark.usefixtures("_instructions")
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 3, 1), (3, 0, 1, 2)], ids=str)
@pytest.mark.parametrize("per_channel", [True, False])
def test_rescaling(order: tuple[int, ...], per_channel: bool) -> None:
    gen = torch.Generator().manual_seed(0)
    x = torch.randint(-(2**20), 2**20, (4, 5, 6, 7), generator=gen).to(torch.int32).permute(order)
    for axis in range(4):
        shape = (x.shape[axis],) if per_channel else ()
        M, R = (torch.randint(-(2**20), 2**20, shape, generator=gen) for _ in range(2))
        got = int_rescale(x, M, R, shift=11, axis=axis)
        assert got is not None
        assert torch.equal(got, IntegerOps.rescale(x, M, R, shift=11, axis=axis))


@pytest.mark.usefixtures("_instructions")
@pytest.mark.parametrize("half_up", [True, False])
@pytest.mark.parametrize("levels", [1, 4, 8])
def test_counting(levels: int, half_up: bool) -> None:
    gen = torch.Generator().manual_seed(levels)
    x = torch.randint(-100, 300, (7, 3, 130, 5), generator=gen).to(torch.int32)
    x[:, 0] = 32 * (x[:, 0] // 32)  # ties
    x[:, 1, :9] = torch.tensor([2**31 - 1, -(2**31), 0], dtype=torch.int32).repeat(3)[:, None]  # saturation
    settings_: dict[str, Any] = {"bits": 15, "levels": levels, "half_up": half_up, "grid": None}
    for decay, theta in ((2**14, 64), (0, 64), (2**15, 63), (29491, 1)):
        tensors = (torch.tensor(decay), torch.tensor(theta))
        for y in (x, x.permute(0, 2, 3, 1), x.permute(1, 0, 2, 3)):
            got = int_counts(y, *tensors, **settings_)
            assert got is not None
            assert torch.equal(got, IntegerOps.counts(y, *tensors, **settings_))
    assert int_counts(x, torch.tensor([1, 2]), torch.tensor(3), **settings_) is None
    assert int_counts(x, torch.tensor(1), torch.tensor(3), **settings_ | {"grid": [1, 4]}) is None
