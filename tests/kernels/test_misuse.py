"""Kernels write through raw pointers: whatever a user does, they get memory of the right size and type."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import snnkit
from snnkit import kernels
from snnkit.errors import DTypeError, InputTypeError, ShapeError, StateShapeError
from snnkit.kernels import library
from snnkit.neurons import ILIF, LIF, LIFState, Neuron, SynapticLIF, UltraLIF
from snnkit.surrogate import ATan

pytestmark = pytest.mark.skipif(isinstance(library(), str), reason=f"native backend: {library()}")
NEURONS = [LIF(), ILIF(), SynapticLIF(), UltraLIF()]
every_neuron = pytest.mark.parametrize("neuron", NEURONS, ids=lambda n: type(n).__name__)


@pytest.fixture(params=[torch.float64, torch.bfloat16], ids=str)
def _other_default(request: pytest.FixtureRequest) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(request.param)
    yield
    torch.set_default_dtype(before)


def both_passes(neuron: Neuron, x: Tensor) -> list[Tensor]:
    x = x.clone().requires_grad_()
    out, state = neuron.run(x)
    (out.sum() + sum(s.sum() for s in state)).backward()
    assert x.grad is not None
    return [out.detach(), *(s.detach() for s in state), x.grad]


@every_neuron
@pytest.mark.usefixtures("_other_default")
def test_the_default_dtype_does_not_matter(neuron: Neuron) -> None:
    x = torch.randn(20, 2, 70, dtype=torch.float32)
    got = both_passes(neuron, x)
    torch.set_default_dtype(torch.float32)
    for a, b in zip(got, both_passes(neuron, x), strict=True):
        assert torch.equal(a, b)
        assert a.dtype == torch.float32


@every_neuron
def test_the_default_device_does_not_matter(neuron: Neuron) -> None:
    x = torch.randn(5, 2, 70)
    with torch.device("meta"):
        got = both_passes(neuron, x)
    for a, b in zip(got, both_passes(neuron, x), strict=True):
        assert torch.equal(a, b)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning", "ignore::torch.jit.TracerWarning")
@every_neuron
def test_tracing_records_operations(neuron: Neuron) -> None:
    from torch._subclasses import FakeTensorMode

    x, other = torch.randn(4, 1, 30), torch.randn(4, 1, 30)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        assert neuron(mode.from_tensor(x)).shape == x.shape
    with torch.no_grad():
        traced = torch.jit.trace(neuron, (x,), check_trace=False)
        torch.testing.assert_close(traced(other), neuron(other), rtol=0, atol=2e-6)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_forward_mode_does_not_lose_the_tangent() -> None:
    import torch.autograd.forward_ad as fw

    with fw.dual_level(), pytest.raises(RuntimeError, match=r"jvp|forward"):
        LIF()(fw.make_dual(torch.rand(4, 1, 3), torch.ones(4, 1, 3)))


class Twice(LIF):
    def step(self, x: Tensor, state: LIFState) -> tuple[Tensor, LIFState]:
        out, state = super().step(x, state)
        return 2 * out, state


class Steep(ATan):
    def derivative(self, u: Tensor) -> Tensor:
        return torch.full_like(u, 7.0)


def test_what_a_derived_class_changes_is_honoured() -> None:
    x = torch.full((3, 1, 1), 3.0)
    for name in ("auto", "reference", "eager"):
        with snnkit.use_backend(name):
            assert Twice()(x).flatten().tolist() == [2, 2, 2]
    leaf = torch.zeros(1, 1, 1, requires_grad=True)
    LIF(surrogate=Steep())(leaf).sum().backward()
    assert leaf.grad is not None
    assert leaf.grad.item() == 3.5
    with pytest.raises(InputTypeError, match="Twice"):
        snnkit.StepEngine(nn.Sequential(nn.Linear(3, 3), Twice()))


def test_learned_values_may_be_parametrized() -> None:
    class Shift(nn.Module):
        def forward(self, raw: Tensor) -> Tensor:
            return raw + 2

    neuron = LIF(learn_tau=True, learn_threshold=True)
    before = neuron.leak
    nn.utils.parametrize.register_parametrization(neuron, "tau_raw", Shift())
    assert neuron.leak > before


def test_kernels_check_what_they_are_given() -> None:
    d = LIF().dynamics
    call: Any = kernels.lif
    with pytest.raises(StateShapeError, match=r"\(1, 1\)"):
        call(torch.randn(3, 4, 500), torch.zeros(1, 1), 2.0, 1.0, d, None)
    with pytest.raises(StateShapeError, match="float64"):
        kernels.lif_native(torch.randn(3, 4, 5), torch.zeros(4, 5).double(), 2.0, 1.0, d)
    with pytest.raises(ShapeError, match="broadcast"):
        call(torch.randn(3, 4, 6), torch.zeros(4, 6), torch.tensor([2.0, 3.0, 4.0]), 1.0, d, None)
    with pytest.raises(StateShapeError, match=r"state v is 3\.0"):
        LIF().run(torch.rand(2, 1, 3), LIFState(3.0))  # type: ignore[arg-type]
    with pytest.raises(DTypeError, match="dense"):
        LIF()(torch.rand(2, 1, 3).to_sparse())


def test_small_thread_stacks() -> None:
    before = threading.stack_size(512 * 1024)
    done: list[bool] = []

    def work() -> None:
        x = torch.randn(20, 2, 4000, requires_grad=True)
        LIF()(x).sum().backward()
        done.append(x.grad is not None)

    try:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert done == [True]


def test_gathered_layers_refuse_what_a_dense_one_refuses() -> None:
    with torch.no_grad(), snnkit.event_driven() as mode:
        with pytest.raises(RuntimeError):
            F.linear(torch.ones(1, 1000), nn.Parameter(torch.randn(128, 100)))
        weight = nn.Parameter(torch.randn(128, 128))
        assert torch.equal(F.linear(torch.zeros(1, 128), weight, torch.ones(1)), torch.ones(1, 128))
        assert F.linear(torch.zeros(1, 128), torch.randn(128)).shape == (1,)
        layer = nn.utils.parametrizations.weight_norm(nn.Linear(256, 256))
        for _ in range(3):
            layer(torch.zeros(1, 256))
        torch.func.vmap(nn.Linear(128, 128))(torch.zeros(2, 3, 128))
        assert not mode._columns
    with pytest.raises(ShapeError, match=r"\(8, 128\)"):
        kernels.event_linear(torch.rand(4, 64), torch.rand(8, 128))


def test_energy_counts_gathered_layers() -> None:
    net = nn.Sequential(nn.Linear(128, 128), LIF(), nn.Linear(128, 128), LIF()).eval()
    x = (torch.rand(4, 8, 128) < 0.1).float()
    dense = snnkit.energy.estimate(net, x, hardware="45nm-fp32")
    with torch.no_grad(), snnkit.event_driven():
        gathered = snnkit.energy.estimate(net, x, hardware="45nm-fp32")
    assert gathered.total_pj == dense.total_pj
    assert gathered.uncounted == dense.uncounted


def test_the_engine_follows_the_network() -> None:
    linear, neuron = nn.Linear(8, 8), LIF()
    with torch.no_grad():
        linear.weight.copy_(torch.randint(-3, 4, (8, 8)) / 4)
        linear.bias.fill_(0.5)
    net = nn.Sequential(linear, neuron, linear, neuron).eval()  # a module that is called twice
    engine, x = snnkit.StepEngine(net), torch.randint(0, 2, (20, 8)).float()
    with torch.no_grad(), snnkit.stream(net) as session:
        for step in x:
            assert torch.equal(engine(step), session(step[None, None])[0, 0])
    empty = nn.Linear(8, 1)
    empty.weight, empty.bias = nn.Parameter(torch.zeros(0, 8)), nn.Parameter(torch.zeros(0))
    for bad in (
        nn.Sequential(nn.Linear(8, 4), LIF(), nn.Linear(6, 2), LIF()),
        nn.Sequential(empty, LIF()),
    ):
        with pytest.raises(ShapeError, match="expected as many inputs"):
            snnkit.StepEngine(bad)

    class Minus(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(-x)

    for other in (Minus(nn.Linear(8, 8), LIF()), 5):
        with pytest.raises(InputTypeError):
            snnkit.StepEngine(other)  # type: ignore[arg-type]
    with pytest.raises(InputTypeError, match="Make another"):
        copy.deepcopy(engine)


def test_sessions_survive_copies_and_replaced_modules() -> None:
    net = nn.Sequential(nn.Linear(4, 4), LIF(tau=20.0)).eval()
    x = torch.rand(6, 1, 4)
    with torch.no_grad():
        session = snnkit.stream(net)
        session(x[:2])
        twin = copy.deepcopy(session)
        assert torch.equal(twin(x[2:]), session(x[2:]))
        assert torch.equal(twin.states()["1"].v, session.states()["1"].v)
        net[1] = LIF(tau=20.0)
        session.reset()
        chunks = torch.cat([session(x[:3]), session(x[3:])])
    assert torch.equal(chunks, net(x))


@every_neuron
def test_a_lazily_negated_input_has_its_values(neuron: Neuron) -> None:
    """``torch.conj`` and ``.imag`` give views whose memory holds the negated values."""
    x = torch.randn(5, 2, 70)
    for a, b in zip(both_passes(neuron, -x), neuron.run(torch._neg_view(x)), strict=False):
        assert torch.equal(a, b if isinstance(b, Tensor) else b[0])
