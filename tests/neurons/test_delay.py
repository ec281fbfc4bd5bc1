"""The contract of layers with delays: what they compute, streaming in any chunks, training and rounding."""

from __future__ import annotations

import copy
import io
import time

import pytest
import torch
from delay_settings import LINEAR, build, every_interp, every_layer, shift_loop, spikes
from helpers import relative_error, same_bits
from torch import nn

import snnkit
from snnkit.errors import ConfigError, NumericsError, ShapeError, StateShapeError, StreamError
from snnkit.kernels import library
from snnkit.neurons import DelayLinear, fractional_delays
from snnkit.sequence import per_step

SPLITS = [(12,), (6, 6), (1,) * 12, (3, 1, 8), (0, 5, 0, 7), (11, 1)]


@every_layer
@every_interp
def test_evaluation_equals_the_shift_loop(name: str, interp: str) -> None:
    layer, x = build(name, interp).eval(), spikes(name)
    assert relative_error(layer(x).double(), shift_loop(layer, x)) < 1e-6


@pytest.mark.parametrize("name", [*LINEAR, "line"])
@pytest.mark.parametrize("training", [True, False])
def test_whole_delays_equal_the_shift_loop_bit_for_bit(name: str, training: bool) -> None:
    """With whole weights every order of summation gives the same bits."""
    layer, x = build(name).train(training), spikes(name)
    with torch.no_grad():
        for parameter in (p for n, p in layer.named_parameters() if "delay" not in n):
            parameter.copy_((8 * parameter).round())
    assert torch.equal(layer(x).double(), shift_loop(layer, x))


@every_layer
def test_training_with_whole_delays_equals_evaluation(name: str) -> None:
    for interp in ("ste", "fixed"):
        layer, x = build(name, interp), spikes(name)
        assert relative_error(layer.train()(x), layer.eval()(x)) < 1e-6


@every_layer
@every_interp
@pytest.mark.parametrize("split", SPLITS, ids=str)
def test_chunks_have_the_bits_of_one_call(name: str, interp: str, split: tuple[int, ...]) -> None:
    net = nn.Sequential(build(name, interp), snnkit.LIF()).eval()
    x = spikes(name) * torch.rand(12, 1, *spikes(name).shape[2:])  # graded, so that sums can round
    whole = net(x)
    with snnkit.stream(net) as session:
        assert same_bits(torch.cat([session(c) for c in x.split(list(split))]), whole)
    assert same_bits(net(x), whole)


@every_layer
def test_run_and_session_state(name: str) -> None:
    layer, x = build(name).eval(), spikes(name)
    first, state = layer.run(x[:5])
    second, end = layer.run(x[5:], state)
    assert same_bits(torch.cat([first, second]), layer(x))
    assert same_bits(layer.run(x)[1], end)
    empty, same = layer.run(x[:0], state)
    assert empty.shape == (0, *first.shape[1:])
    assert same_bits(same, state)
    session = snnkit.stream(layer)
    session(x[:5])
    other = snnkit.stream(layer)
    other.load_state_dict(session.state_dict())
    assert same_bits(other(x[5:]), second)
    with pytest.raises(StateShapeError):
        layer.run(x[5:, :1], state)


@every_layer
def test_training_in_chunks(name: str) -> None:
    """Whole delays also stream while training, equal up to rounding, with the gradient of one call."""
    layer, x = build(name), spikes(name).requires_grad_()
    whole = layer(x)
    whole.square().sum().backward()
    wanted = [x.grad.clone(), *(p.grad.clone() for p in layer.parameters())]
    x.grad = None
    layer.zero_grad()
    first, state = layer.run(x[:5])
    out = torch.cat([first, layer.run(x[5:], state)[0]])
    assert relative_error(out, whole) < 1e-6
    out.square().sum().backward()
    for got, want in zip([x.grad, *(p.grad for p in layer.parameters())], wanted, strict=True):
        assert relative_error(got, want) < 1e-4


@every_layer
def test_gradient_in_evaluation_is_that_of_the_weights_in_use(name: str) -> None:
    layer, x = build(name, "fixed"), spikes(name).requires_grad_()
    gradients = []
    for training in (True, False):
        layer.train(training)(x).square().sum().backward()
        gradients.append([x.grad, *(p.grad for p in layer.parameters() if p.requires_grad)])
        x.grad = None
        layer.zero_grad()
    for a, b in zip(*gradients, strict=True):
        assert relative_error(a, b) < 1e-5


@every_layer
@pytest.mark.parametrize("interp", ["gauss", "triangle"])
def test_fractional_delays(name: str, interp: str) -> None:
    layer, x = build(name, interp), spikes(name)
    trained = layer.train()(x)
    layer.eval()
    rounded = layer(x)
    with fractional_delays():
        assert relative_error(layer(x), trained) < 1e-5
        with pytest.raises(StreamError, match="eval"):
            layer.run(x, layer.initial_state(x[0]))
    assert same_bits(layer(x), rounded)
    assert relative_error(rounded, trained) > 1e-3
    session = snnkit.stream(layer.train())
    session(x)
    with pytest.raises(StreamError):
        session(x)


@every_layer
@every_interp
@pytest.mark.parametrize("training", [True, False])
def test_causal(name: str, interp: str, training: bool) -> None:
    layer, x = build(name, interp).train(training), spikes(name)
    other = x.clone()
    other[7:] = 1 - other[7:]
    tolerance = 1e-5 if training else 0.0
    assert (layer(x)[:7] - layer(other)[:7]).abs().max() <= tolerance


@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize("interp", ["ste", "gauss", "triangle", "fixed"])
def test_kernel_is_the_layer(name: str, interp: str) -> None:
    layer, x = build(name, interp), spikes(name)
    for training in (True, False):
        kernel = layer.train(training).kernel()
        assert kernel.shape == (5, 4, 7)
        z = sum(torch.cat([torch.zeros(k, 3, 5), x[: 12 - k] @ kernel[..., k].t()]) for k in range(7))
        z = z if layer.bias is None else z + layer.bias
        assert relative_error(layer(x), z) < 1e-5
        assert same_bits(layer.kernel(), layer.kernel(rounded=layer.rounded))


@pytest.mark.parametrize("kind", ["axonal", "dendritic", "separable", "synaptic"])
def test_without_delay_it_is_a_linear_layer(kind: str) -> None:
    layer, x = DelayLinear(4, 5, 0, kind=kind), spikes("axonal")
    weight = layer.weight.detach().reshape(5, 4)
    wanted = per_step(lambda r: nn.functional.linear(r, weight), x, training=False)
    for training in (True, False):
        assert same_bits(layer.train(training)(x).detach(), wanted)
    layer.train()(x).sum().backward()
    assert layer.delay.grad is not None  # as distributed training needs of every parameter
    assert not layer.delay.grad.any()


@every_interp
def test_kinds_are_special_cases_of_synaptic(interp: str) -> None:
    x = spikes("axonal")
    for kind, view in (("axonal", (1, 4, 1)), ("dendritic", (5, 1, 1))):
        cheap, full = build(kind, interp), build("synaptic", interp)
        with torch.no_grad():
            full.weight.copy_(cheap.weight.unsqueeze(-1))
            full.delay.copy_(cheap.delay.view(view).expand(5, 4, 1))
        for training in (True, False):
            assert relative_error(cheap.train(training)(x), full.train(training)(x)) < 1e-5


@pytest.mark.parametrize("backend", ["conv", "fft", "loop", "events"])
def test_backends_of_the_layer_agree(backend: str) -> None:
    if backend == "events" and isinstance(library(), str):
        pytest.skip("the C library was not built")
    x = spikes("synaptic")
    for interp in ("ste", "gauss"):
        wanted, got = (build("synaptic", interp, backend=b) for b in ("loop", backend))
        for layer in (wanted, got):
            layer(x).square().sum().backward()
        assert relative_error(got(x), wanted(x)) < 1e-5
        assert relative_error(got.delay.grad, wanted.delay.grad) < 1e-4


@pytest.mark.parametrize("name", LINEAR)
def test_extended_sequences(name: str) -> None:
    short, long = build(name), build(name, pad="extend")
    x = spikes(name)
    for training in (True, False):
        wanted = short.train(training)(torch.cat([x, torch.zeros(3, *x.shape[1:])]))
        assert relative_error(long.train(training)(x), wanted) < 1e-6
    with pytest.raises(StreamError):
        snnkit.stream(nn.Sequential(long))
    with pytest.raises(StreamError):
        long.run(x, long.initial_state(x[0]))


@every_layer
def test_dtypes_and_empty(name: str) -> None:
    for training in (True, False):
        layer, x = build(name).train(training), spikes(name)
        wanted = layer(x)
        assert same_bits(layer(x.bool()), wanted)
        assert layer(x[:0]).shape == (0, *wanted.shape[1:])
        assert layer(x[:, :0]).shape == (12, 0, *wanted.shape[2:])
        assert relative_error(layer.double()(x.double()).float(), wanted) < 1e-6
        assert layer.double()(x.double()).dtype == torch.float64


@every_layer
@pytest.mark.parametrize("training", [True, False])
def test_autocast_keeps_delays(name: str, training: bool) -> None:
    layer, x = build(name, max_delay=200).train(training), spikes(name)
    wanted = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        got = layer(x)
    assert relative_error(got.float(), wanted) < 0.02  # a delay rounded to bf16 would be another one


@every_layer
def test_copies_and_files(name: str) -> None:
    layer, x = build(name), spikes(name)
    layer.sigma.fill_(0.7)
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    torch.manual_seed(9)
    other = build(name)
    other.load_state_dict(torch.load(file))
    for twin in (copy.deepcopy(layer), other):
        assert same_bits(twin(x), layer(x))
        assert twin.sigma.item() == layer.sigma.item()


@every_layer
def test_delays_of_a_file_that_do_not_fit_are_told(name: str) -> None:
    trained, shorter = build(name, max_delay=40), build(name, max_delay=3)
    with pytest.warns(UserWarning, match=r"delay.*: loaded delays up to \d.*with the max_delay of"):
        shorter.load_state_dict(trained.state_dict())


@every_layer
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # dynamo's own
@pytest.mark.parametrize("interp", ["ste", "gauss"])
def test_compiled(name: str, interp: str) -> None:
    torch.compiler.reset()
    layer, x = build(name, interp, max_delay=3), spikes(name, steps=5)
    for training in (True, False):
        layer.train(training)
        compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
        assert relative_error(compiled(x), layer(x)) < 1e-5


@pytest.mark.parametrize("name", ["axonal", "synaptic", "line"])
def test_exported(name: str) -> None:
    layer, x = build(name).eval(), spikes(name)
    program = torch.export.export(layer, (x,))
    assert relative_error(program.module()(x), layer(x)) < 1e-5


def test_cost() -> None:
    """Processor time of forward and backward over that of nn.Linear; measured: 1.3 and 5.3."""
    x = (torch.rand(100, 32, 140) < 0.05).float().requires_grad_()
    layers = [nn.Linear(140, 256), DelayLinear(140, 256, 24), DelayLinear(140, 256, 24, kind="synaptic")]
    best, threads = [float("inf")] * 3, torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for _ in range(5):
            for i, layer in enumerate(layers):
                start = time.process_time()
                layer(x).sum().backward()
                best[i] = min(best[i], time.process_time() - start)
    finally:
        torch.set_num_threads(threads)
    linear, axonal, synaptic = best
    assert axonal < 4 * linear
    assert synaptic < 20 * linear


# -- training ------------------------------------------------------------------------------------


@every_layer
@every_interp
def test_gradients_reach_weights_and_delays(name: str, interp: str) -> None:
    layer, x = build(name, interp), spikes(name).requires_grad_()
    layer(x).square().sum().backward()
    for parameter, _ in layer.delays().values():
        assert parameter.requires_grad is (interp != "fixed")
        assert (parameter.grad is not None and bool(parameter.grad.any())) is (interp != "fixed")


@every_layer
def test_projection(name: str) -> None:
    layer, x = build(name), spikes(name)
    with torch.no_grad():
        for delay, _ in layer.delays().values():
            delay.add_(torch.where(torch.rand_like(delay) < 0.5, -1e4, 1e4))
    far = layer(x)
    far.sum().backward()
    layer.project_()
    assert same_bits(layer(x), far)
    for delay, limit in layer.delays().values():
        assert bool(((delay >= 0) & (delay <= limit)).all())
        assert bool(torch.isfinite(delay.grad).all())


@every_layer
def test_freeze(name: str) -> None:
    layer, x = build(name, "gauss"), spikes(name)
    wanted = layer.eval()(x)
    layer.freeze()
    assert same_bits(layer(x), wanted)
    assert relative_error(layer.train()(x), wanted) < 1e-6
    assert all(not d.requires_grad and same_bits(d.round(), d) for d, _ in layer.delays().values())
    assert bool(torch.equal(layer.delay_ms(10.0), 10 * layer.lags().float()))


@every_layer
def test_nan_delays_are_refused(name: str) -> None:
    layer, x = build(name), spikes(name)
    with torch.no_grad():
        layer.delay.view(-1)[1] = float("nan")
    for call in (lambda: layer(x), layer.project_):
        with pytest.raises(NumericsError, match=r"delay: 1 NaN.*learning rate"):
            call()


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"max_delay": -1}, r"max_delay: got -1"),
        ({"max_delay": 2.5}, r"max_delay: got 2.5"),
        ({"synapses": 2}, r'synapses: got 2, expected 1 unless kind="synaptic"'),
        ({"kind": "axon"}, r'kind: got \'axon\', expected "axonal"'),
        ({"interp": "cubic"}, r'interp: got \'cubic\', expected "ste"'),
        ({"sigma": 0.0}, r"sigma: got 0.0"),
        ({"pad": "same"}, r"pad: got 'same'"),
        ({"backend": "gemm"}, r"backend: got 'gemm'"),
        ({"in_features": 0}, r"in_features: got 0"),
    ],
)
def test_bad_settings(settings: dict, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        DelayLinear(**{"in_features": 4, "out_features": 5, "max_delay": 6, **settings})


@every_layer
def test_bad_shapes(name: str) -> None:
    layer, x = build(name), spikes(name)
    for wrong in (x[0], x[:, :, :3], x.unsqueeze(2)):
        with pytest.raises(ShapeError, match="expected"):
            layer(wrong)
