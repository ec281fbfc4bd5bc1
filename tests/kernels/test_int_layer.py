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

from snnkit.kernels import IntLayer, int_after, int_pool, int_values, isa, library
from snnkit.quant.ops_integer import IntegerOps

pytestmark = pytest.mark.skipif(isinstance(library(), str), reason=f"native backend: {library()}")
HIGHS = {"spikes": 1, "counts": 4, "bytes": 255}


@pytest.fixture(params=[0, 1, 2, 3], ids=["baseline", "AVX2", "AVX-512", "VNNI"])
def _instructions(request: pytest.FixtureRequest) -> Iterator[None]:
    isa(request.param)
    yield
    isa(-1)


def counts(shape: tuple[int, ...], high: int, density: float, gen: torch.Generator) -> Tensor:
    x = torch.randint(1, high + 1, shape, generator=gen)
    return (x * (torch.rand(shape, generator=gen) < density)).to(torch.uint8)


def weights(shape: tuple[int, ...], bits: int, gen: torch.Generator) -> Tensor:
    half = 2 ** (bits - 1)
    codes = torch.randint(-half, half, shape, generator=gen)
    codes.view(-1)[:1] = -half
    return codes


@pytest.mark.usefixtures("_instructions")
@pytest.mark.parametrize("bits", [1, 4, 5, 8])
@pytest.mark.parametrize("kind", HIGHS)
def test_linear(kind: str, bits: int) -> None:
    gen = torch.Generator().manual_seed(bits)
    for rows, inputs, outputs in (((1,), 5, 1), ((1,), 70, 64), ((3, 2), 33, 65), ((130,), 300, 10)):
        w = weights((outputs, inputs), bits, gen)
        layer = IntLayer(w, HIGHS[kind])
        for density in (0.0, 0.05, 1.0):
            x = counts((*rows, inputs), HIGHS[kind], density, gen)
            got = layer(x)
            assert got is not None
            assert got.dtype == torch.int32
            assert torch.equal(got.long(), (x.double() @ w.double().T).long())
            assert torch.equal(layer(x.int()), got)  # type: ignore[arg-type]


@pytest.mark.usefixtures("_instructions")
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_convolutions(data: st.DataObject) -> None:
    draw = data.draw
    axes, bits = draw(st.integers(1, 2)), draw(st.sampled_from([2, 4, 8]))
    kernel = [draw(st.sampled_from([1, 2, 3])) for _ in range(axes)]
    conv: dict[str, Any] = {
        "stride": [draw(st.integers(1, 3)) for _ in range(axes)],
        "padding": [draw(st.integers(0, 2)) for _ in range(axes)],
        "dilation": [draw(st.integers(1, 2)) for _ in range(axes)],
        "groups": draw(st.sampled_from([1, 1, 2, 5])),
    }
    plane = [draw(st.integers(d * (k - 1) + 1, 9)) for d, k in zip(conv["dilation"], kernel, strict=True)]
    gen = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    inputs, outputs = draw(st.integers(1, 40)), draw(st.integers(1, 70))
    if draw(st.booleans()):
        inputs = outputs = 1  # depthwise, if there are groups
    shape = (draw(st.integers(1, 3)), inputs * conv["groups"], *plane)
    high = HIGHS[draw(st.sampled_from(sorted(HIGHS)))]
    x = counts(shape, high, draw(st.sampled_from([0.05, 0.6])), gen)
    w = weights((outputs * conv["groups"], inputs, *kernel), bits, gen)
    if draw(st.booleans()) and axes == 2:
        x = x.to(memory_format=torch.channels_last)
    got = IntLayer(w, high, conv)(x)
    assert got is not None
    wanted = (F.conv1d if axes == 1 else F.conv2d)(x.double(), w.double(), **conv)
    assert torch.equal(got.double(), wanted)


@pytest.mark.usefixtures("_instructions")
def test_sums_beyond_sixteen_bits() -> None:
    """The worst case: all codes and all counts at their bounds, for more rows than int16 can hold."""
    for code, count in ((-128, 255), (127, 255), (-128, 1), (-8, 255), (7, 1)):
        for active in (5000, 500):  # of which few are gathered
            x = torch.zeros(2, 5000, dtype=torch.uint8)
            x[:, :active] = count
            got = IntLayer(torch.full((3, 5000), code), count)(x)
            assert got is not None
            assert got.unique().tolist() == [active * code * count]


def test_what_is_left_to_torch() -> None:
    layer = IntLayer(torch.full((4, 3), 100), 1)
    x = torch.ones(2, 3, dtype=torch.uint8)
    assert layer(x) is not None
    assert layer(x[:, :2]) is None
    assert layer(x[:0]) is None
    assert layer(x, steps=3) is None
    for codes, high in ((128, 1), (1, 256)):
        with pytest.raises(ValueError, match="8 bits"):
            IntLayer(torch.full((4, 3), codes), high)
    for wrong in ({"stride": 0}, {"dilation": 0}, {"padding": -1}, {"groups": 3}):
        with pytest.raises(ValueError, match="no convolution"):
            IntLayer(torch.ones(4, 3, 3, 3), 1, wrong)
    assert IntLayer(torch.ones(4, 3, 3, 3), 1)(torch.ones(1, 3, 2, 2, dtype=torch.uint8)) is None  # too small


def test_threads_change_nothing() -> None:
    gen = torch.Generator().manual_seed(0)
    x, w = counts((40, 30, 20, 20), 4, 0.2, gen), weights((70, 30, 3, 3), 4, gen)
    neuron = {"decay": torch.tensor(2**14), "theta": torch.tensor(50)}
    after = int_after(70, None, ("counts", COUNTS, neuron))
    layer, before, results = IntLayer(w, 4, {"padding": 1}, after), torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(layer(x, steps=4))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(results[0], r) for r in results[1:])  # type: ignore[arg-type]
    assert results[0].float().mean() > 0.1  # type: ignore[union-attr]


COUNTS: dict[str, Any] = {"bits": 15, "levels": 4, "half_up": False, "grid": None}
LIF: dict[str, Any] = {
    "bits": 15, "decay_input": False, "reset": "soft", "v_rest": 0, "v_reset": 0, "equal": True, "grid": None
}  # fmt: skip


@pytest.mark.usefixtures("_instructions")
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 3, 1), (3, 0, 1, 2)], ids=str)
@pytest.mark.parametrize("per_channel", [True, False])
def test_rescaling(order: tuple[int, ...], per_channel: bool) -> None:
    gen = torch.Generator().manual_seed(0)
    x = torch.randint(-(2**20), 2**20, (4, 5, 6, 7), generator=gen).to(torch.int32).permute(order)
    for axis in range(4):
        shape = (x.shape[axis],) if per_channel else ()
        M, R = (torch.randint(-(2**20), 2**20, shape, generator=gen) for _ in range(2))
        after = int_after(x.shape[axis] if per_channel else 1, (M, R, 11), None)
        assert after is not None
        got = int_values(x, after, axis)
        assert got is not None
        assert torch.equal(got, IntegerOps.rescale(x, M, R, shift=11, axis=axis))
        far = (x.long() << 11) + 5  # beyond int32, but not the result
        got = int_values(far, after, axis)
        assert got is not None
        assert torch.equal(got, IntegerOps.rescale(far, M, R, shift=11, axis=axis))


def currents(gen: torch.Generator, theta: int) -> Tensor:
    """Small, at ties and at the ends of int32."""
    x = torch.randint(-100, 300, (7, 3, 130, 5), generator=gen).to(torch.int32)
    x[:, 0] = theta // 2 * (x[:, 0] // 32)
    x[:, 1, :9] = torch.tensor([2**31 - 1, -(2**31), 0], dtype=torch.int32).repeat(3)[:, None]
    x[:, 1, 9:18] = torch.tensor([2**28, -(2**28), 2**30], dtype=torch.int32).repeat(3)[:, None]
    return x


def check(op: str, x: Tensor, tensors: dict[str, Tensor], args: dict[str, Any], channels: int) -> None:
    after = int_after(channels, None, (op, args, tensors))
    assert after is not None
    got = int_values(x, after, 2)
    assert got is not None
    assert got.dtype == torch.uint8
    assert torch.equal(got, getattr(IntegerOps, op)(x, **tensors, **args))


@pytest.mark.usefixtures("_instructions")
@pytest.mark.parametrize("half_up", [True, False])
@pytest.mark.parametrize("levels", [1, 4, 8])
def test_counting(levels: int, half_up: bool) -> None:
    gen = torch.Generator().manual_seed(levels)
    x = currents(gen, 64)
    for decay, theta in ((2**14, 64), (0, 64), (2**15, 63), (29491, 1), (1, 2**30)):
        tensors = {"decay": torch.tensor(decay), "theta": torch.tensor(theta)}
        for grid in (None, [2, 6]):
            args = COUNTS | {"levels": levels, "half_up": half_up, "grid": grid}
            for y in (x, x.permute(0, 2, 3, 1), x.permute(1, 0, 2, 3)):
                check("counts", y, tensors, args, 1)
    assert int_after(2, None, ("counts", COUNTS, tensors | {"theta": torch.tensor([1, 2])})) is None
    assert int_after(1, None, ("counts", COUNTS | {"levels": 256}, tensors)) is None


@pytest.mark.usefixtures("_instructions")
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_firing(data: st.DataObject) -> None:
    draw = data.draw
    gen = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    args = LIF | {
        "decay_input": draw(st.booleans()),
        "reset": draw(st.sampled_from(["none", "soft", "hard"])),
        "v_rest": draw(st.sampled_from([0, -7, 2**29])),
        "v_reset": draw(st.sampled_from([0, 11, -(2**29)])),
        "equal": draw(st.booleans()),
        "grid": draw(st.sampled_from([None, [3, 5], [0, 32]])),
    }
    x = currents(gen, 64)
    channels = draw(st.sampled_from([1, x.shape[2]]))

    def parameter(*among: int) -> Tensor:
        return torch.tensor(among)[torch.randint(len(among), (channels,), generator=gen)].squeeze()

    tensors = {
        "decay": parameter(0, 2**14, 2**15, 29491) if draw(st.booleans()) else torch.tensor(2**13),
        "theta": parameter(64, 3, 2**30),
        "amount": parameter(64, 2**20),
    }
    check("lif", x, tensors, args, channels)


@pytest.mark.usefixtures("_instructions")
@pytest.mark.parametrize("channels", [1, 130])
def test_tables(channels: int) -> None:
    gen = torch.Generator().manual_seed(0)
    x = currents(gen, 64).clamp(-(2**31) + 1)
    theta = torch.randint(-200, 200, (8, channels), generator=gen).sort(0).values
    theta[-1, 0] = 2**31 - 1
    sign = 2 * torch.randint(0, 2, (channels,), generator=gen) - 1
    if channels == 1:
        theta, sign = theta[:, 0], sign[0]
    check("threshold", x, {"theta": theta, "sign": sign}, {"axis": 2}, channels)
    check("clip", x, {}, {"high": 3}, 1)


@pytest.mark.usefixtures("_instructions")
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_layers_with_their_neurons(data: st.DataObject) -> None:
    """One kernel against sums, rescaling and neuron one after the other."""
    draw = data.draw
    gen = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    steps, batch, inputs, outputs = (draw(st.integers(1, high)) for high in (4, 3, 20, 150))
    side, bits = draw(st.integers(3, 20)), draw(st.sampled_from([3, 8]))
    conv: dict[str, Any] = {"stride": [draw(st.integers(1, 2))] * 2, "padding": [1, 1], "groups": 1}
    x = counts((steps * batch, inputs, side, side), 4, draw(st.sampled_from([0.05, 0.5])), gen)
    w = weights((outputs, inputs, 3, 3), bits, gen)
    M, R = (torch.randint(-(2**12), 2**12, (outputs,), generator=gen) for _ in range(2))
    op, args, tensors = draw(
        st.sampled_from(
            [
                ("counts", COUNTS, {"decay": torch.tensor(2**14), "theta": torch.tensor(99)}),
                (
                    "lif",
                    LIF | {"reset": "hard", "v_rest": -3},
                    {
                        "decay": torch.tensor(20_000),
                        "theta": torch.arange(outputs) - 9,
                        "amount": torch.tensor(7),
                    },
                ),
                ("clip", {"high": 5}, {}),
            ]
        )
    )
    after = int_after(outputs, (M, R, 10), (op, args, tensors))
    got = IntLayer(w, 4, conv, after)(x, steps)
    assert got is not None
    sums = F.conv2d(x.double(), w.double(), **conv).int().unflatten(0, (steps, batch))
    scaled = IntegerOps.rescale(sums, M, R, shift=10, axis=2)
    wanted = getattr(IntegerOps, op)(scaled, **tensors, **args)
    assert torch.equal(got.unflatten(0, (steps, batch)), wanted)


@pytest.mark.usefixtures("_instructions")
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32])
def test_pooling(dtype: torch.dtype) -> None:
    gen = torch.Generator().manual_seed(0)
    low, high = (0, 256) if dtype == torch.uint8 else (-(2**31), 2**31)
    for shape, axes, kernel, stride, padding in (
        ((3, 20, 9, 7), 2, 3, 2, 1), ((2, 3, 5, 8, 8), 2, 2, 2, 0),
        ((1, 70, 5, 6), 2, [3, 2], [1, 3], [1, 0]), ((4, 6, 11), 1, 3, 2, 1),
    ):  # fmt: skip
        x = torch.randint(low, high, shape, generator=gen).to(dtype)
        args: dict[str, Any] = {"kernel": kernel, "stride": stride, "padding": padding, "axes": axes}
        for y in (x, x.movedim(-axes - 1, -1).contiguous().movedim(-1, -axes - 1)):
            got = int_pool(y, **args)
            assert got is not None
            assert torch.equal(got, IntegerOps.pool(y, **args))
    assert int_pool(x.long(), **args) is None
    assert int_pool(x, **args | {"stride": 0}) is None
    assert int_pool(x[:, :, :0], **args) is None
