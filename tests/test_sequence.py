"""The time axis: folding, per-step layers, checks, and sessions."""

from __future__ import annotations

import copy
import gc
import threading
import weakref
from typing import Any, NamedTuple

import pytest
import torch
from helpers import same_bits
from torch import Tensor, nn

import snnkit
from snnkit.errors import (
    DeviceError,
    DTypeError,
    InputTypeError,
    ShapeError,
    StateShapeError,
    StreamError,
)
from snnkit.layers import PerStep
from snnkit.neurons import IF, LIF, LeakyIntegrator, LIFState
from snnkit.sequence import (
    Stateful,
    as_sequence,
    check_state,
    fold,
    per_step,
    state_dtype,
    stream,
    unfold,
)

# -- folding and per-step layers -------------------------------------------------------------------


def test_fold_is_time_major_and_a_view() -> None:
    x = torch.arange(24).view(3, 2, 4)
    rows = fold(x)
    assert rows.shape == (6, 4)
    assert torch.equal(rows[1 * 2 + 1], x[1, 1])
    assert rows.data_ptr() == x.data_ptr()
    assert same_bits(unfold(rows, 3, 2), x)


@pytest.mark.parametrize(("steps", "batch"), [(0, 2), (3, 0), (0, 0), (1, 1)])
def test_fold_of_nothing(steps: int, batch: int) -> None:
    x = torch.zeros(steps, batch, 4)
    assert unfold(fold(x), steps, batch).shape == x.shape
    for training in (True, False):
        assert per_step(nn.Linear(4, 5).train(training), x).shape == (steps, batch, 5)


@pytest.mark.parametrize("training", [True, False])
def test_per_step_equals_a_loop(training: bool) -> None:
    layer, x = nn.Conv2d(2, 3, 3).double().train(training), torch.randn(4, 2, 2, 5, 5).double()
    wanted = torch.stack([layer(x_t) for x_t in x])
    torch.testing.assert_close(per_step(layer, x), wanted, rtol=1e-12, atol=1e-12)


def test_per_step_in_evaluation_calls_once_per_step_and_in_training_once() -> None:
    for training, shapes in ((False, [(3, 4)] * 5), (True, [(15, 4)])):
        seen: list[tuple[int, ...]] = []

        def note(x: Tensor, seen: list[tuple[int, ...]] = seen) -> Tensor:
            seen.append(tuple(x.shape))
            return x

        per_step(note, torch.zeros(5, 3, 4), training=training)
        assert seen == shapes


def test_per_step_with_several_inputs() -> None:
    a, b = torch.randn(3, 2, 4), torch.randn(3, 2, 4)
    for training in (True, False):
        assert same_bits(per_step(torch.mul, a, b, training=training), a * b)
    with pytest.raises(ValueError, match="zip"):
        per_step(torch.mul, a, b[:2], training=False)


@pytest.mark.parametrize("batch", [1, 2, 3])
@pytest.mark.parametrize(
    ("make", "shape"), [(lambda: nn.Linear(300, 70), (300,)), (lambda: nn.Conv2d(5, 7, 3), (5, 9, 9))]
)
def test_a_step_does_not_depend_on_its_neighbours(make: Any, shape: tuple[int, ...], batch: int) -> None:
    layer, x = make().eval(), torch.randn(9, batch, *shape)
    whole = per_step(layer, x)
    for t in range(10):
        assert same_bits(per_step(layer, x[:t]), whole[:t])


def test_per_step_layer() -> None:
    net, x = PerStep(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4)), torch.randn(5, 3, 2, 6, 6)
    assert net(x).shape == (5, 3, 4, 4, 4)
    assert net.body[1].num_batches_tracked == 1
    assert PerStep(nn.Linear(3, 4))(torch.zeros(2, 1, 3)).shape == (2, 1, 4)
    with pytest.raises(InputTypeError, match="PerStep"):
        net([1.0])
    with pytest.raises(ShapeError, match="PerStep"):
        net(torch.zeros(3))


# -- checks ----------------------------------------------------------------------------------------


def test_as_sequence() -> None:
    x = torch.rand(2, 3)
    assert as_sequence(x, "here") is x
    assert as_sequence(torch.ones(2, 3, dtype=torch.bool), "here").dtype == torch.float32
    assert as_sequence(torch.ones(3), "here", min_ndim=1).shape == (3,)


@pytest.mark.parametrize(
    ("x", "error", "text"),
    [
        ("x", InputTypeError, r"Layer: got str, expected a torch.Tensor .*torch.as_tensor"),
        (torch.ones(2, 2) * 1j, DTypeError, r"Layer: got dtype torch.complex64, expected float16"),
        (torch.ones(2), ShapeError, r"Layer: got shape \(2,\), expected at least 2 axes \[T, B"),
    ],
    ids=["type", "complex", "rank"],
)
def test_as_sequence_refuses(x: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        as_sequence(x, "Layer")


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
def test_as_sequence_refuses_quantised_tensors() -> None:
    x = torch.quantize_per_tensor(torch.ones(2, 2), 0.1, 0, torch.qint8)
    with pytest.raises(DTypeError, match=r"qint8.*dequantize"):
        as_sequence(x, "Layer")


@pytest.mark.parametrize(
    ("dtype", "wanted"),
    [
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_state_dtype(dtype: torch.dtype, wanted: torch.dtype) -> None:
    assert state_dtype(dtype) == wanted


class Other(NamedTuple):
    v: Tensor


def test_check_state() -> None:
    like = LIFState(torch.zeros(2, 3))
    check_state(LIFState(torch.ones(2, 3)), like, "here")
    for bad, text in [
        (Other(torch.zeros(2, 3)), "type Other, expected LIFState"),
        (None, "type NoneType"),
        (LIFState(torch.zeros(1, 3)), r"state v is \(1, 3\) torch.float32, the input needs \(2, 3\)"),
        (LIFState(torch.zeros(2, 3).double()), "torch.float64"),
    ]:
        with pytest.raises(StateShapeError, match=text):
            check_state(bad, like, "here")
    with pytest.raises(DeviceError, match=r"meta.*cpu"):
        check_state(LIFState(torch.zeros(2, 3, device="meta")), like, "here")


# -- sessions --------------------------------------------------------------------------------------


def network() -> nn.Sequential:
    """Two layers of neurons that fire."""
    net = nn.Sequential(PerStep(nn.Linear(3, 5)), LIF(), PerStep(nn.Linear(5, 4)), LIF(reset="soft")).eval()
    for p in net.parameters():
        nn.init.uniform_(p, -0.5, 2.0)
    return net


def x(steps: int = 6, batch: int = 2) -> Tensor:
    return 3 * torch.randn(steps, batch, 3)


def test_states_are_filed_by_path() -> None:
    session = stream(network())
    assert dict(session.states()) == {}
    session(x())
    assert {path: state.v.shape for path, state in session.states().items()} == {"1": (2, 5), "3": (2, 4)}
    assert set(session.state_dict()) == {"1:v", "3:v"}


def test_a_neuron_alone_and_a_neuron_used_twice() -> None:
    data = x()
    neuron = LIF()
    with stream(neuron) as session:
        assert same_bits(torch.cat([session(data[:2]), session(data[2:])]), neuron(data))
    shared = LIF(decay_input=False)
    net = nn.Sequential(shared, PerStep(nn.Linear(3, 3)), shared)
    with torch.no_grad(), stream(net) as session:
        assert same_bits(torch.cat([session(data[:2]), session(data[2:])]), net.eval()(data))
        assert set(session.states()) == {"0", "0#1"}
        other = stream(net)
        other.load_state_dict(session.state_dict())
        more = x()
        assert same_bits(other(more), session(more))


def test_nothing_is_stored_on_the_network() -> None:
    net = network()
    before, attributes = copy.deepcopy(net.state_dict()), {n: set(vars(m)) for n, m in net.named_modules()}
    with stream(net) as session:
        session(x())
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
    assert {n: set(vars(m)) for n, m in net.named_modules()} == attributes


def test_sessions_keep_nothing_alive() -> None:
    net = network()
    session = stream(net)
    session(x())
    refs = [weakref.ref(net), weakref.ref(session), weakref.ref(net[1])]
    del net, session
    gc.collect()
    assert [r() for r in refs] == [None] * 3


def test_graph_does_not_grow_with_the_chunks() -> None:
    net = network()
    session = stream(net)
    for _ in range(3):
        session(x(1)).sum().backward()  # would raise the second time, were chunks connected
    joined = stream(net, detach=False)
    joined(x(1)).sum().backward()
    with pytest.raises(RuntimeError, match="second time"):
        joined(x(1)).sum().backward()


def test_a_module_of_another_network_starts_fresh() -> None:
    """A session keeps the states of its own network only."""
    inner, data = LIF(), x()

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.outer = LIF()
            self.hidden = [inner]  # a list: not registered

        def forward(self, x: Tensor) -> Tensor:
            return self.outer(x) + self.hidden[0](x)

    net = Net()
    with stream(net) as session:
        session(data[:3])
        assert set(session.states()) == {"outer"}
        assert same_bits(session(data[3:]), net.outer(data)[3:] + inner(data[3:]))


def test_nested_sessions_of_different_networks() -> None:
    inner, data = LIF(), x()
    kept = stream(inner)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.neuron = LIF()

        def forward(self, x: Tensor) -> Tensor:
            return self.neuron(x) + kept(x)

    net = Net()
    with stream(net) as session:
        streamed = torch.cat([session(data[:2]), session(data[2:])])
    assert same_bits(streamed, net.neuron(data) + inner(data))


def test_reset_starts_again() -> None:
    net, data = network(), x()
    session = stream(net)
    first = session(data)
    assert not same_bits(session(data), first)
    session.reset()
    assert same_bits(session(data), first)


def test_misuse() -> None:
    with pytest.raises(InputTypeError, match="stream: got int"):
        stream(3)
    with stream(network()) as session:
        session(x())
    with pytest.raises(StreamError, match="closed"):
        session(x())
    neuron = LIF()
    reentrant = stream(neuron)
    handle = neuron.register_forward_pre_hook(lambda *_: reentrant(x()))
    with pytest.raises(StreamError, match="from inside its own network"):
        reentrant(x())
    handle.remove()
    reentrant(x())


class NotCausal(LIF):
    causal = False


@pytest.mark.parametrize(
    "net", [NotCausal(), nn.Sequential(LIF(), nn.Sequential(NotCausal()))], ids=["alone", "nested"]
)
def test_a_network_that_is_not_causal_is_refused(net: nn.Module) -> None:
    with pytest.raises(StreamError, match=r"NotCausal.*net\(x\)") as caught:
        stream(net)
    assert ("1.0" in str(caught.value)) is isinstance(net, nn.Sequential)
    net(x())  # an ordinary call is fine


def test_another_batch_dtype_or_shape_is_refused_and_the_session_survives() -> None:
    net, data = IF(), x()
    session = stream(net)
    first = session(data[:3])
    for bad in (data[3:, :1], data[3:].double(), data[3:, :, :2], data[3:].unsqueeze(-1)):
        with pytest.raises(StateShapeError, match="new session"):
            session(bad)
    with pytest.raises(InputTypeError):
        session([1.0])
    assert same_bits(torch.cat([first, session(data[3:])]), net(data))


def test_load_state_dict_refuses_foreign_states() -> None:
    net, data = network(), x()
    session = stream(net)
    session(data)
    saved = session.state_dict()
    for bad in ({"9:v": saved["1:v"]}, {"1:w": saved["1:v"]}, {"0:v": saved["1:v"]}, {"1": saved["1:v"]}):
        with pytest.raises(StateShapeError, match="does not belong"):
            session.load_state_dict(bad)
    assert same_bits(session.state_dict()["1:v"], saved["1:v"])  # unchanged by what was refused
    session.load_state_dict({"1:v": saved["1:v"][:1], "3:v": saved["3:v"]})
    with pytest.raises(StateShapeError, match="new session"):
        session(data)


def test_saved_states_are_copies_ready_for_files(tmp_path: Any) -> None:
    from safetensors.torch import load_file, save_file

    net, data = network(), x()
    session = stream(net)
    session(data[:3])
    save_file(session.state_dict(), tmp_path / "state.safetensors")
    wanted = session(data[3:])
    other = stream(net)
    other.load_state_dict(load_file(tmp_path / "state.safetensors"))
    assert same_bits(other(data[3:]), wanted)


def test_saved_states_do_not_share_memory() -> None:
    net, data = network(), x()
    session = stream(net)
    session(data)
    wanted = stream(net)
    saved = session.state_dict()
    wanted.load_state_dict(saved)
    for value in saved.values():
        value.fill_(torch.nan)
    more = x()
    out = session(more)
    assert same_bits(wanted(more), out)
    assert out.any()


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # dynamo's own
def test_a_compiled_part_keeps_its_state() -> None:
    """Inside a session a compiled module runs eagerly: its graph would start fresh at every chunk."""
    neuron, data = LIF(decay_input=False), x()
    net = nn.Sequential(PerStep(nn.Linear(3, 3)), torch.compile(neuron, backend="eager")).eval()
    nn.init.uniform_(net[0].body.weight, -0.5, 1.0)
    plain = nn.Sequential(net[0], neuron)
    with torch.no_grad():
        net(data[:3])  # compiled before the session opens
        with stream(net) as session:
            streamed = torch.cat([session(data[:3]), session(data[3:])])
        assert same_bits(streamed, plain(data))
        assert not same_bits(torch.cat([plain(data[:3]), plain(data[3:])]), plain(data))
    torch._dynamo.reset()


def test_sessions_in_threads() -> None:
    """Two threads stream one network: the running session is a context variable, not a global."""
    net, data, outs = network(), [x(40), x(40)], [[], []]
    barrier = threading.Barrier(2)

    def work(i: int) -> None:
        with torch.no_grad(), stream(net) as session:
            for chunk in data[i].split(1):
                barrier.wait()
                outs[i].append(session(chunk))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(2):
        assert same_bits(torch.cat(outs[i]), net(data[i]).detach())


def test_arguments_pass_through() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.neuron = LeakyIntegrator()

        def forward(self, x: Tensor, gain: float, *, offset: float = 0.0) -> Tensor:
            return gain * self.neuron(x) + offset

    net, data = Net(), x()
    assert same_bits(snnkit.stream(net)(data, 2.0, offset=1.0), net(data, 2.0, offset=1.0))


def test_the_base_says_what_is_missing() -> None:
    class Unfinished(Stateful):
        pass

    with pytest.raises(TypeError, match="Unfinished must implement run"):
        Unfinished()(torch.zeros(1, 1))


def test_loaded_states_must_be_complete() -> None:
    net = nn.Sequential(nn.Linear(3, 4), LIF(), nn.Linear(4, 2), LIF()).eval()
    with stream(net) as session:
        session(torch.rand(2, 1, 3))
        saved = session.state_dict()
    del saved["3:v"]
    with stream(net) as session:
        session.load_state_dict(saved)
        with pytest.raises(StateShapeError, match="none for 3"):
            session(torch.rand(2, 1, 3))
    with stream(net) as session, pytest.raises(InputTypeError, match="'1:v'"):
        session.load_state_dict({"1:v": [0.0]})
