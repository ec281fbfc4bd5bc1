"""What every registered neuron must do, whoever wrote it: shapes, dtypes, purity, laws of time."""

from __future__ import annotations

import copy
import pickle
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
import torch
from helpers import agree, relative_error, same_bits, step_loop
from hypothesis import given, settings
from hypothesis import strategies as st
from neuron_settings import CHANNELS, build, every_neuron, make, sequence
from torch import Tensor, nn

from snnkit.errors import DTypeError, InputTypeError, ShapeError, StateShapeError, StreamError
from snnkit.neurons import Neuron, NeuronOps
from snnkit.sequence import stream

FLOATS = [torch.bfloat16, torch.float16, torch.float32, torch.float64]
Settings = dict[str, Any]
pytestmark = every_neuron


def changed_in_place(x: Tensor, run: Any) -> bool:
    before = x.clone()
    run(x)
    return not torch.equal(before, x)


# -- shapes and dtypes -----------------------------------------------------------------------------


@pytest.mark.parametrize("rest", [(), (4,), (2, 2), (2, 1, 3)], ids=str)
def test_shape_is_kept(name: str, settings: Settings, rest: tuple[int, ...]) -> None:
    neuron, x = build(name, settings), sequence(5, 2, CHANNELS, *rest)
    out, state = neuron.run(x)
    assert out.shape == neuron(x).shape == x.shape
    assert isinstance(state, neuron.State)
    assert all(s.shape[0] == 2 for s in state)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_output_has_the_dtype_of_the_input_and_the_state_at_least_float32(
    name: str, settings: Settings, dtype: torch.dtype
) -> None:
    neuron, x = build(name, settings), sequence(5, 2, CHANNELS, dtype=dtype)
    out, state = neuron.run(x)
    assert out.dtype == dtype
    assert {s.dtype for s in state} <= {torch.float64 if dtype == torch.float64 else torch.float32}
    if dtype in (torch.bfloat16, torch.float16):
        assert same_bits(out, neuron(x.float()).to(dtype))


@pytest.mark.parametrize("default", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int16, torch.int64], ids=str)
def test_integers_are_cast_to_the_default_float(
    name: str, settings: Settings, dtype: torch.dtype, default: torch.dtype
) -> None:
    torch.set_default_dtype(default)
    neuron, x = build(name, settings), (2 * torch.rand(5, 2, CHANNELS)).to(dtype)
    assert same_bits(neuron(x), neuron(x.to(default)))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=str)
def test_autocast_changes_nothing(name: str, settings: Settings, dtype: torch.dtype) -> None:
    neuron, x = build(name, settings), sequence(5, 2, CHANNELS, dtype=dtype)
    wanted = neuron.run(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert same_bits(neuron.run(x), wanted)


def test_no_steps(name: str, settings: Settings) -> None:
    neuron, x = build(name, settings, 4), sequence(4, 2, CHANNELS)
    _, state = neuron.run(x)
    out, after = neuron.run(x[:0], state)
    assert out.shape == (0, 2, CHANNELS)
    assert same_bits(after, state)
    out, fresh = neuron.run(x[:0])
    assert same_bits(fresh, neuron.initial_state(x[0]))
    x0 = x[:0].clone().requires_grad_()
    neuron(x0).sum().backward()
    assert x0.grad is None or x0.grad.shape == x0.shape


def test_no_rows(name: str, settings: Settings) -> None:
    neuron, x = build(name, settings, 4), sequence(4, 0, CHANNELS).requires_grad_()
    out, state = neuron.run(x)
    assert out.shape == (4, 0, CHANNELS)
    assert all(s.shape[0] == 0 for s in state)
    out.sum().backward()
    assert x.grad is not None
    assert all(p.grad is None or bool((p.grad == 0).all()) for p in neuron.parameters())


def test_one_step_is_the_step(name: str, settings: Settings) -> None:
    neuron, x = build(name, settings), sequence(1, 2, CHANNELS)
    if not neuron.causal:
        with pytest.raises(StreamError, match="needs"):
            neuron.step(x[0], neuron.initial_state(x[0]))
        return
    out, state = neuron.step(x[0], neuron.initial_state(x[0]))
    assert agree(neuron, neuron.run(x), (out.unsqueeze(0), state))


# -- purity ----------------------------------------------------------------------------------------


def test_input_is_not_modified(name: str, settings: Settings) -> None:
    neuron, x = build(name, settings), sequence(5, 2, CHANNELS)
    assert not changed_in_place(x, neuron)
    assert not changed_in_place(x, lambda x: neuron(x.detach().requires_grad_()).sum().backward())


def test_state_is_not_modified(name: str, settings: Settings) -> None:
    neuron, x = build(name, settings), sequence(5, 2, CHANNELS)
    state = neuron.State(*(s.detach() for s in neuron.run(x[:2] if neuron.causal else x)[1]))
    before = copy.deepcopy(state)
    if neuron.causal:
        neuron.run(x[2:], state)
    assert same_bits(state, before)
    _, unchanged = neuron.run(x[:0], state)
    if neuron.causal:
        neuron.run(x[2:], unchanged)
    assert same_bits(state, before)


def test_memory_layout_does_not_matter(name: str, settings: Settings) -> None:
    neuron = build(name, settings)
    x = sequence(5, 2, CHANNELS, 4)
    wanted = neuron.run(x)
    for view in (
        x.permute(3, 0, 2, 1).contiguous().permute(1, 3, 2, 0),
        torch.stack([x, -x], -1)[..., 0],
        x.flip(0).contiguous().flip(0),
    ):
        assert same_bits(neuron.run(view), wanted)
    still = x[:1].expand(5, -1, -1, -1)  # stride 0 in time
    assert same_bits(neuron.run(still), neuron.run(still.contiguous()))
    wide = x[:, :, :, :1].expand(-1, -1, -1, 4)
    assert same_bits(neuron.run(wide), neuron.run(wide.contiguous()))


def test_calls_are_independent(name: str, settings: Settings) -> None:
    neuron, x = build(name, settings), sequence(5, 2, CHANNELS)
    first = neuron(x)
    neuron(sequence(5, 7, CHANNELS))
    assert same_bits(neuron(x), first)
    assert same_bits(neuron.eval()(x), first)
    assert same_bits(neuron.run(x)[0], first)


def test_module_holds_parameters_only(name: str, settings: Settings) -> None:
    """Parameters, and declared buffers that a call leaves alone."""
    neuron = build(name, settings)
    before = copy.deepcopy(neuron.state_dict())
    neuron(sequence(5, 2, CHANNELS))
    assert {n for n, _ in neuron.named_buffers()} == set(neuron.buffer_names)
    assert set(neuron.state_dict()) == {n for n, _ in neuron.named_parameters()} | set(neuron.buffer_names)
    assert all(same_bits(value, before[key]) for key, value in neuron.state_dict().items())
    assert not [v for v in vars(neuron).values() if isinstance(v, Tensor)]


# -- laws of time and batch ------------------------------------------------------------------------


def test_equals_the_step_loop(name: str, settings: Settings) -> None:
    neuron, x = build(name, settings, 20), sequence(20, 3, CHANNELS, 5)
    if not neuron.causal:
        pytest.skip("has no single step")
    assert agree(neuron, neuron.run(x), step_loop(neuron, x))
    _, state = neuron.run(x[:8])
    assert agree(neuron, neuron.run(x[8:], state), step_loop(neuron, x[8:], state))


def test_rows_are_independent(name: str, settings: Settings) -> None:
    neuron, x = build(name, settings, 6), sequence(6, 4, CHANNELS)
    whole = neuron(x)
    for b in range(4):
        assert same_bits(neuron(x[:, b : b + 1]), whole[:, b : b + 1])
    order = torch.tensor([2, 0, 3, 1])
    assert same_bits(neuron(x[:, order]), whole[:, order])


def test_causality(name: str, settings: Settings) -> None:
    neuron, x = build(name, settings, 8), sequence(8, 2, CHANNELS)
    if not neuron.causal:
        with pytest.raises(StreamError, match=type(neuron).__name__):
            stream(neuron)
        x.requires_grad_()
        neuron(x)[0].sum().backward()
        assert x.grad is not None
        assert x.grad[1:].any(), "declared not causal, but the first step sees no later input"
        return
    whole = neuron(x)
    for t in range(9):
        other = torch.cat([x[:t], sequence(8 - t, 2, CHANNELS)])
        assert same_bits(neuron(other)[:t], whole[:t])


@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(0, 12), max_size=5), seed=st.integers(0, 99))
def test_any_split_equals_one_call(name: str, settings: Settings, cuts: list[int], seed: int) -> None:
    neuron = build(name, settings, 12)
    if not neuron.causal:
        pytest.skip("needs the whole sequence at once")
    torch.manual_seed(seed)
    x = sequence(12, 2, CHANNELS)
    bounds = [0, *sorted(cuts), 12]
    state, outs = None, []
    with stream(neuron) as session:
        streamed = torch.cat([session(x[a:b]) for a, b in pairwise(bounds)])
    for a, b in pairwise(bounds):
        out, state = neuron.run(x[a:b], state)
        outs.append(out)
    assert same_bits((torch.cat(outs), state), neuron.run(x))
    assert same_bits(streamed, neuron(x))


def test_nan_stays_in_its_row(name: str, settings: Settings) -> None:
    neuron, x = build(name, settings, 6), sequence(6, 2, CHANNELS)
    wanted = neuron(x)
    x[2, 0] = torch.nan
    assert same_bits(neuron(x)[:, 1], wanted[:, 1])
    if neuron.causal:
        assert same_bits(neuron(x)[:2], wanted[:2])
        assert agree(neuron, neuron.run(x), step_loop(neuron, x))


# -- bad input -------------------------------------------------------------------------------------


class Other(NamedTuple):
    v: Tensor


def test_wrong_states_are_refused(name: str, settings: Settings) -> None:
    neuron, x = build(name, settings, 3), sequence(3, 4, CHANNELS)
    _, state = neuron.run(x)
    wrong = {
        "batch": neuron.run(x[:, :1])[1],
        "larger batch": neuron.run(sequence(3, 5, CHANNELS))[1],
        "dtype": neuron.run(x.double())[1],
        "rank": neuron.State(*(s.unsqueeze(-1) for s in state)),
        "type": Other(x[0]),
        "tuple": tuple(state),
    }
    if not state:  # nothing is carried: only the type can be wrong
        wrong = {what: wrong[what] for what in ("type", "tuple")}
    for what, bad in wrong.items():
        with pytest.raises(StateShapeError, match="state=None") as caught:
            neuron.run(x, bad)
        assert type(neuron).__name__ in str(caught.value), what
    if not state:
        return
    with pytest.raises(StateShapeError) as caught:
        neuron.run(x, wrong["batch"])
    assert str(tuple(wrong["batch"][0].shape)) in str(caught.value)
    assert str(tuple(state[0].shape)) in str(caught.value)
    with pytest.raises(StateShapeError):
        neuron.run(x, Other(*[torch.zeros_like(x[0])]))


@pytest.mark.parametrize(
    ("x", "error", "text"),
    [
        ([[1.0]], InputTypeError, "list"),
        ("spikes", InputTypeError, "str"),
        (None, InputTypeError, "NoneType"),
        (torch.ones(3, 2, CHANNELS, dtype=torch.complex64), DTypeError, "complex64"),
        (torch.tensor(1.0), ShapeError, r"\(\)"),
        (torch.ones(5), ShapeError, r"\(5,\).*\[T, B"),
    ],
    ids=["list", "str", "None", "complex", "0-D", "1-D"],
)
def test_wrong_inputs_are_refused(
    name: str, settings: Settings, x: Any, error: type[Exception], text: str
) -> None:
    neuron = build(name, settings)
    with pytest.raises(error, match=text) as caught:
        neuron(x)
    assert type(neuron).__name__ in str(caught.value)


# -- declarations ----------------------------------------------------------------------------------


def test_outputs_are_the_declared_levels(name: str, settings: Settings) -> None:
    neuron = build(name, settings, 250)
    out = neuron(torch.cat([sequence(200, 4, CHANNELS), 100 * sequence(50, 4, CHANNELS)]))
    if neuron.spike_levels is None:
        assert not same_bits(out, out.round())
    else:
        counts = (out / neuron.spike_unit).round()
        assert same_bits(counts * neuron.spike_unit, out)
        assert set(counts.abs().unique().tolist()) <= set(range(neuron.spike_levels + 1))
        assert counts.max() == neuron.spike_levels, "an input this large reaches the highest level"
    assert (out < 0).any() == neuron.signed


def test_declared_costs(name: str, settings: Settings) -> None:
    """State words are those of the state; one with weights for T steps works on all of them at every step."""
    neuron, x = build(name, settings), sequence(5, 2, CHANNELS)
    ops = neuron.energy_ops()
    assert isinstance(ops, NeuronOps)
    values = [getattr(ops, field) for field in NeuronOps.__dataclass_fields__]
    assert all(isinstance(v, float) and v >= 0 for v in values)
    if neuron.causal:
        words = (s[0].numel() // x[0, 0].numel() for s in neuron.initial_state(x[0]))
        assert ops.state_words == sum(words)  # a step number of the layer is no word of its neurons
    else:
        assert ops.state_words >= getattr(neuron, "T", 1)


def test_repr_shows_every_setting(name: str, settings: Settings) -> None:
    neuron = build(name, settings)
    text = repr(neuron)
    assert text.startswith(type(neuron).__name__)
    for key, value in settings.items():
        lif = {"learn_tau": "learned=tau", "learn_threshold": "threshold", "reset_timing": "delayed"}
        lif |= {"beta": "decay"}
        assert any(word in text for word in (key, f"{value}", lif.get(key, key)))


# -- copies ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("after_forward", [False, True])
@pytest.mark.parametrize(
    "way", [copy.deepcopy, lambda n: pickle.loads(pickle.dumps(n))], ids=["copy", "pickle"]
)
def test_copies(name: str, settings: Settings, way: Any, after_forward: bool) -> None:
    neuron, x = build(name, settings), sequence(5, 2, CHANNELS).requires_grad_()
    if after_forward:
        neuron(x).sum()
    other: Neuron = way(neuron)
    assert repr(other) == repr(neuron)
    assert same_bits(other.run(x.detach()), neuron.run(x.detach()))
    assert not {p.data_ptr() for p in other.parameters()} & {p.data_ptr() for p in neuron.parameters()}


def test_states_can_be_pickled(name: str, settings: Settings) -> None:
    _, state = build(name, settings).run(sequence(5, 2, CHANNELS))
    assert same_bits(pickle.loads(pickle.dumps(state)), state)


def test_state_dict_round_trip(name: str, settings: Settings) -> None:
    neuron, x = build(name, settings), sequence(5, 2, CHANNELS)
    fresh = make(name, settings)
    if neuron.batch_statistics:
        fresh.eval()
    fresh.load_state_dict(neuron.state_dict())
    assert same_bits(fresh.run(x), neuron.run(x))


# -- gradients -------------------------------------------------------------------------------------


def test_every_parameter_receives_a_gradient(name: str, settings: Settings) -> None:
    neuron, x = build(name, settings, 6), sequence(6, 2, CHANNELS).requires_grad_()
    out = neuron(x)
    (out + out.square()).sum().backward()  # a neuron that is still silent learns, too
    for tensor in (x, *neuron.parameters()):
        assert tensor.grad is not None
        assert tensor.grad.isfinite().all()
        assert (tensor.grad != 0).any()


@pytest.mark.parametrize("seed", range(10))
def test_gradient_equals_the_step_loop(name: str, settings: Settings, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    shape = [int(n) for n in torch.randint(1, 5, (3,), generator=generator)]
    neuron = build(name, settings, shape[0]).double()
    if not neuron.causal:
        pytest.skip("has no single step")
    x = sequence(*shape[:2], CHANNELS, shape[2], dtype=torch.float64)
    weights = torch.randn_like(x)
    grads = []
    for run in (neuron.run, lambda x: step_loop(neuron, x)):
        neuron.zero_grad()
        leaf = x.clone().requires_grad_()
        out, state = run(leaf)
        ((out * weights).sum() + sum(s.square().sum() for s in state)).backward()
        grads.append([leaf.grad, *(p.grad for p in neuron.parameters())])
    for fast, slow in zip(*grads, strict=True):
        assert relative_error(fast, slow) < 1e-9


def test_gradient_in_evaluation_is_that_of_training(name: str, settings: Settings) -> None:
    neuron, grads = build(name, settings), []
    if neuron.batch_statistics:
        neuron = make(name, settings)  # its first batch, below, makes the running values
    data = sequence(5, 2, CHANNELS)
    for mode in (True, False):
        x = data.clone().requires_grad_()
        neuron.train(mode)(x).sum().backward()
        grads.append(x.grad)
    assert same_bits(*grads)


def test_backward_twice_over_separate_calls(name: str, settings: Settings) -> None:
    neuron, x = build(name, settings), sequence(5, 2, CHANNELS).requires_grad_()
    neuron(x).sum().backward()
    assert x.grad is not None
    first, x.grad = x.grad, None
    neuron(x).sum().backward()
    assert same_bits(x.grad, first)


def test_nested_modules_see_no_difference(name: str, settings: Settings) -> None:
    """A neuron inside a container, and called under ``inference_mode``."""
    neuron, x = build(name, settings), sequence(5, 2, CHANNELS)
    with torch.inference_mode():
        inside = nn.Sequential(neuron)(x)
    assert torch.equal(inside, neuron(x).detach())
