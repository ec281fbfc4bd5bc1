"""What every registered model must do with every registered neuron: shapes, gradients, purity."""

from __future__ import annotations

import copy
import pickle
import re
from typing import Any

import pytest
import torch
from helpers import same_bits
from model_settings import (
    accepts,
    build,
    compiled_model,
    events,
    every_model,
    every_pair,
    exported_pair,
    hold_running_values,
    shared,
    spec,
    streams,
    unsaturated,
)
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from snnkit.errors import ConfigError, DTypeError, InputTypeError, ShapeError
from snnkit.models import create_model, list_neurons
from snnkit.neurons import NEURONS

# -- forward and backward --------------------------------------------------------------------------


@every_model
@pytest.mark.parametrize("neuron", list_neurons())
def test_every_neuron_in_every_model(model: str, neuron: str) -> None:
    """The whole matrix, once forward and backward."""
    net = create_model(model, neuron=spec(neuron, 2))
    out = net(events(2, 2))
    assert out.shape == (2, 10)
    out.square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, f"{name} takes no part in the computation"
        assert parameter.grad.isfinite().all(), name


@every_pair
@pytest.mark.parametrize("steps", [1, 4])
def test_forward_and_backward(model: str, neuron: str, steps: int) -> None:
    net = build(model, neuron, steps).train()
    x = events(steps, 3).requires_grad_()
    out = net(x)
    assert out.shape == (3, 10)
    assert out.dtype == torch.float32
    out.square().sum().backward()
    for name, tensor in [("input", x), *net.named_parameters()]:
        assert tensor.grad is not None, f"{name} takes no part in the computation"
        assert tensor.grad.isfinite().all(), name


@every_pair
def test_every_parameter_learns(model: str, neuron: str) -> None:
    """No dead parameters: a gradient that is not zero everywhere (but for biases in front of a norm)."""
    net = build(model, neuron, **unsaturated(model, neuron)).train()
    (net(events(4, 4)) * torch.randn(4, 10)).sum().backward()
    convs = {f"{name}.bias" for name, m in net.named_modules() if isinstance(m, nn.Conv2d)}
    dead = [n for n, p in net.named_parameters() if p.grad is None or not (n in convs or p.grad.any())]
    assert not dead


@every_pair
@pytest.mark.parametrize("steps", [1, 2, 4])
def test_evaluation_shapes(model: str, neuron: str, steps: int) -> None:
    net = build(model, neuron, steps, readout="per_step")
    for batch in (0, 1, 3):
        assert net(events(steps, batch)).shape == (steps, batch, 10)


@every_pair
def test_the_read_out_is_the_mean_over_steps(model: str, neuron: str) -> None:
    mean, per_step = build(model, neuron), build(model, neuron, readout="per_step")
    for batch in (0, 1, 3):
        x = events(4, batch)
        out = mean(x)
        assert out.shape == (batch, 10)
        torch.testing.assert_close(out, per_step(x).mean(0), rtol=1e-5, atol=1e-6)


@every_pair
def test_neurons_fire(model: str, neuron: str) -> None:
    """The networks these tests look at are alive: every neuron has an output that is not constant."""
    net, outs = build(model, neuron, **unsaturated(model, neuron)), {}
    for name, module in net.named_modules():
        if type(module).__module__.startswith("snnkit.neurons"):
            module.register_forward_hook(lambda _, __, out, name=name: outs.update({name: out}))
    net(events(4, 8))
    assert len(outs) > 5
    assert not [name for name, out in outs.items() if (out == out.flatten()[0]).all()]


@every_pair
def test_calls_are_independent(model: str, neuron: str) -> None:
    net, x = build(model, neuron), events(4, 3)
    first = net(x)
    net(events(4, 5))
    assert same_bits(net(x), first)


@every_pair
def test_input_is_not_modified(model: str, neuron: str) -> None:
    net, x = build(model, neuron).train(), events(4, 2)
    before = x.clone()
    net(x).sum().backward()
    assert same_bits(x, before)


@every_model
def test_permuting_the_batch_permutes_the_output(model: str) -> None:
    net, x = shared(model, readout="per_step"), events(3, 5)
    order = torch.tensor([3, 0, 4, 2, 1])
    torch.testing.assert_close(net(x[:, order]), net(x)[:, order], rtol=0, atol=1e-6)


@every_pair
def test_prefix(model: str, neuron: str) -> None:
    """The first steps do not depend on how many follow."""
    net, x = build(model, neuron, readout="per_step"), events(4, 2)
    if not streams(net):
        return
    whole = net(x)
    for t in range(5):
        assert same_bits(net(x[:t]), whole[:t])


@every_model
def test_equal_steps_with_a_neuron_without_memory(model: str) -> None:
    net = create_model(model, neuron={"name": "lif", "tau": 1.0, "reset": "none"}, readout="per_step").eval()
    out = net(events(1, 2).expand(3, -1, -1, -1, -1))
    assert same_bits(out[0], out[1])
    assert same_bits(out[0], out[2])


# -- static images ---------------------------------------------------------------------------------


@every_pair
def test_static_image_in_evaluation(model: str, neuron: str) -> None:
    net, image = build(model, neuron, readout="per_step"), torch.rand(3, 2, 16, 16)
    out = net(image)
    assert out.shape == (net.T, 3, 10)
    assert same_bits(out, net(image.expand(net.T, -1, -1, -1, -1)))
    assert same_bits(out, net(image.repeat(net.T, 1, 1, 1, 1)))


@every_model
@pytest.mark.parametrize(("steps", "momentum"), [(1, 0.1), (4, 0.1), (4, None)])
def test_static_image_in_training(model: str, steps: int, momentum: float | None) -> None:
    """Output, gradients and running statistics are those of the repeated image."""
    image, results = torch.rand(3, 2, 16, 16, dtype=torch.float64), []
    for x in (image, image.repeat(steps, 1, 1, 1, 1)):
        net = build(model, T=steps).double().train()
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = momentum
        out = net(x)
        net(x.flip(-1)).sum().backward()
        results.append([out, *net.buffers(), *(p.grad for p in net.parameters())])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


@every_model
def test_a_failure_in_the_stem_leaves_no_hook(model: str) -> None:
    net = build(model).train()
    stem = net.embeds[0].convs[0].affine
    net(torch.rand(2, 2, 16, 16))
    handle = stem[1].register_forward_hook(lambda *_: (_ for _ in ()).throw(RuntimeError("injected")))
    with pytest.raises(RuntimeError, match="injected"):
        net(torch.rand(2, 2, 16, 16))
    handle.remove()
    assert not stem[1]._forward_pre_hooks
    assert not stem[1]._forward_hooks


# -- bad input -------------------------------------------------------------------------------------


@every_model
@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ((2, 3, 2, 15, 16), "multiples of 4"),
        ((2, 3, 2, 16, 18), "multiples of 4"),
        ((3, 2, 15, 15), "multiples of 4"),
        ((2, 3, 2, 0, 0), r"\(0, 0\)"),
        ((2, 3, 2, 0, 16), r"\(0, 16\)"),
        ((2, 3, 3, 16, 16), r"\(2, 3, 3, 16, 16\).*in_channels"),
        ((2, 3, 16, 16, 2), r"channels-last.*movedim"),
        ((3, 16, 16, 2), r"\[B, 2, H, W\]"),
        ((2, 16, 16), r"\[T, B, 2, H, W\]"),
        ((16,), r"\[T, B, 2, H, W\]"),
        ((), r"\[T, B, 2, H, W\]"),
        ((1, 2, 3, 2, 16, 16), r"\[T, B, 2, H, W\]"),
    ],
    ids=str,
)
def test_wrong_shapes(model: str, shape: tuple[int, ...], text: str) -> None:
    with pytest.raises(ShapeError, match=text) as caught:
        shared(model)(torch.zeros(shape))
    assert re.escape(str(shape[-2:])) in re.escape(str(caught.value)) or str(shape) in str(caught.value)


@every_model
@pytest.mark.parametrize("pools", ["1111", "0111", "0011", "0001"])
def test_the_required_multiple_is_named(model: str, pools: str) -> None:
    if not accepts(model, "pools") or model.startswith("sgl"):
        pytest.skip("the family has no switches of four stages")
    multiple = 2 ** pools.count("1")
    net = create_model(model, pools=pools, img_size=32).eval()
    assert net(torch.zeros(1, 1, 2, 2 * multiple, multiple)).shape == (1, 10)
    with pytest.raises(ShapeError, match=f"multiples of {multiple}"):
        net(torch.zeros(1, 1, 2, multiple + 1, 32))


@every_model
@pytest.mark.parametrize(
    ("x", "error"),
    [([1.0], InputTypeError), (None, InputTypeError), (torch.ones(2, 1, 2, 16, 16) * 1j, DTypeError)],
    ids=["list", "None", "complex"],
)
def test_wrong_types(model: str, x: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        shared(model)(x)


@every_model
def test_an_empty_sequence_is_not_answered_with_a_number(model: str) -> None:
    """T = 0 and no state: per step an empty answer; a mean over nothing is an error or NaN, never a score."""
    assert shared(model, readout="per_step")(events(0, 2)).shape == (0, 2, 10)
    try:
        out = shared(model)(events(0, 2))
    except ShapeError:
        return
    assert out.isnan().all()


@every_model
@pytest.mark.parametrize(
    "dtype", [torch.bool, torch.uint8, torch.int64, torch.float16, torch.float64], ids=str
)
def test_input_is_cast_to_the_dtype_of_the_weights(model: str, dtype: torch.dtype) -> None:
    net, x = shared(model), events(2, 2).clamp(max=1)
    assert same_bits(net(x.to(dtype)), net(x))


@every_model
@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"num_clases": 3}, "did you mean 'num_classes'"),
        ({"num_classes": 0}, "num_classes: got 0"),
        ({"T": 0}, "T: got 0"),
        ({"T": 2.0}, "T: got 2.0"),
        ({"in_channels": -1}, "in_channels: got -1"),
        ({"img_size": 18}, "img_size: got 18.*multiple of 4"),
        ({"img_size": 0}, "img_size: got 0"),
        ({"depth": 0}, "depth: got 0"),
        ({"width": 36}, "multiple of 8"),
        ({"heads": 5}, "divisor of width"),
        ({"heads": 0}, "heads: got 0"),
        ({"ratio": 0}, "ratio: got 0"),
        ({"pools": "011"}, "four characters"),
        ({"pools": "0021"}, "four characters"),
        ({"readout": "men"}, "did you mean 'mean'"),
        ({"neuron": "liff"}, "did you mean 'lif'"),
    ],
    ids=str,
)
def test_wrong_settings(model: str, settings: dict[str, Any], text: str) -> None:
    (name,) = settings
    ours = {"depth", "width", "heads", "pools", "ratio"} & {name}
    if ours and (not accepts(model, name) or (name == "ratio" and model.startswith("max_resnet"))):
        pytest.skip(f"the family has no {name}")
    if name == "width" and model.startswith(("max", "ms_qk", "qk", "sgl", "spikformer_v2")):
        text, settings = "divisor|multiple of", {"width": 33}
    if name == "pools" and model.startswith("sgl"):
        text = "characters 0 or 1"
    with pytest.raises(ConfigError, match=text):
        create_model(model, **settings)


# -- copies ----------------------------------------------------------------------------------------


@every_pair
def test_copies(model: str, neuron: str) -> None:
    net, x = build(model, neuron), events(4, 2)
    wanted = net(x)
    assert same_bits(copy.deepcopy(net)(x), wanted)
    assert same_bits(pickle.loads(pickle.dumps(net))(x), wanted)


@every_pair
def test_state_dict_round_trip(model: str, neuron: str) -> None:
    net, x = build(model, neuron), events(4, 2)
    fresh = create_model(model, neuron=spec(neuron, 4)).eval()
    assert not same_bits(fresh(x), net(x))
    fresh.load_state_dict(net.state_dict())
    assert same_bits(fresh(x), net(x))
    known = {"running_mean", "running_var", "num_batches_tracked", *NEURONS.get(neuron).buffer_names}
    assert {name.rpartition(".")[2] for name, _ in net.named_buffers()} <= known


@every_model
def test_functional_call(model: str) -> None:
    net, other, x = build(model), build(model, T=2), events(3, 2)
    with torch.no_grad():
        for p in other.parameters():
            p.mul_(0.9)
    weights: dict[str, Tensor] = dict(other.state_dict())
    assert same_bits(torch.func.functional_call(net, weights, (x,)).detach(), other(x).detach())


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # dynamo's own
@pytest.mark.parametrize("static", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("neuron", ["lif", pytest.param("leaky_integrator", marks=pytest.mark.slow)])
@compiled_model
def test_compile_without_graph_breaks(model: str, neuron: str, static: bool) -> None:
    """Compiled graphs fold time into the batch, so results agree up to rounding of the convolutions."""
    net = build(model, neuron).double()
    x = torch.rand(2, 2, 16, 16, dtype=torch.float64) if static else events(2, 2).double()
    with torch.no_grad():
        compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(x), net(x), rtol=1e-9, atol=1e-9)
    torch._dynamo.reset()


@exported_pair
def test_export(model: str, neuron: str) -> None:
    net = build(model, neuron, 2).double()
    exported = torch.export.export(net, (events(2, 2).double(),), strict=False).module()
    x = events(2, 2).double()
    torch.testing.assert_close(exported(x), net(x), rtol=1e-9, atol=1e-9)


@every_pair
def test_activation_checkpointing(model: str, neuron: str) -> None:
    """Gradients are those of a plain backward pass, bit for bit, while running values stand still."""
    net, data = build(model, neuron, 2).train(), events(2, 3)
    hold_running_values(net)
    weights, grads = torch.randn(3, 10), []
    for run in (net, lambda x: checkpoint(net, x, use_reentrant=False)):
        net.zero_grad()
        x = data.clone().requires_grad_()
        (run(x) * weights).sum().backward()
        grads.append((x.grad, *(p.grad for p in net.parameters())))
    assert same_bits(*grads)


@every_model
def test_autocast(model: str) -> None:
    net, x, seen = build(model), events(3, 2), []
    for module in net.modules():
        if hasattr(module, "initial_state"):
            run = module.run
            module.run = lambda x, s=None, run=run: seen.append(run(x, s)) or seen[-1]
    with torch.autocast("cpu", torch.bfloat16):
        out = net(x)
    assert out.isfinite().all()
    assert seen
    assert not [s for _, state in seen for s in state if s.dtype in (torch.bfloat16, torch.float16)]
