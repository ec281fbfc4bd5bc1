"""Batch norm and LIF in one operation, against the two modules one after the other."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest
import torch
from helpers import relative_error
from torch import Tensor, nn

import snnkit
from snnkit.errors import ShapeError, StateShapeError
from snnkit.kernels import Norm, isa, library, norm_lif, norm_lif_unavailable, use_backend
from snnkit.kernels._lif_op import described
from snnkit.layers import SpikingConv, norm_neuron
from snnkit.neurons import LIF, NeuronFactory
from snnkit.sequence import per_step

needs_library = pytest.mark.skipif(isinstance(library(), str), reason=f"native backend: {library()}")
pytestmark = needs_library

NORMS = {3: nn.BatchNorm1d, 4: nn.BatchNorm1d, 5: nn.BatchNorm2d, 6: nn.BatchNorm3d}


def random_norm(rng: random.Random, ndim: int, channels: int) -> Any:
    norm = NORMS[ndim](
        channels,
        affine=rng.random() < 0.7,
        momentum=rng.choice([0.1, 0.3, None]),
        track_running_stats=rng.random() < 0.8,
    )
    for p in norm.parameters():
        nn.init.normal_(p, 0.5, 0.5)
    if norm.running_mean is not None:
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.3, 2)
    return norm


def both(norm: Any, neuron: LIF, x: Tensor, g: Tensor) -> list[tuple[Tensor, list[Tensor], dict[str, Any]]]:
    """(spikes, gradients, buffers) fused and one after the other."""
    results = []
    for fused in (True, False):
        a, b, x = copy.deepcopy(norm), copy.deepcopy(neuron), x.detach().clone().requires_grad_()
        out = norm_neuron(a, b, x) if fused else b(per_step(a, x))
        grads: list[Tensor] = []
        if out.requires_grad:
            wanted = [x, *a.parameters(), *b.parameters()]
            grads = [q for q in torch.autograd.grad(out, wanted, g, allow_unused=True) if q is not None]
        results.append((out.detach(), grads, dict(a.named_buffers())))
    return results


@pytest.mark.parametrize("block", range(6))
def test_equals_the_two_modules(block: int) -> None:
    """Random settings, ranks and sizes; inputs with spread and offset. A potential within 1e-5 of the
    threshold may fire differently: statistics are summed in another order."""
    fired = 0.0
    for seed in range(block * 40, block * 40 + 40):
        rng = random.Random(seed)
        torch.manual_seed(seed)
        ndim, channels = rng.choice([3, 4, 5, 6]), rng.choice([1, 3, 17, 33])
        steps = rng.choice([4, 5, 20, 37])
        shape = (steps, rng.randint(2, 5), channels, *[rng.randint(1, 5) for _ in range(ndim - 3)])
        norm = random_norm(rng, ndim, channels).train(rng.random() < 0.7)
        settings: dict[str, Any] = rng.choice(
            [{"tau": 2.0}, {"tau": 3.3, "learn_tau": True}, {"beta": 0.7}, {"reset": "soft"}]
        )
        neuron = LIF(
            **settings,
            threshold=rng.choice([0.5, 1.0]),
            learn_threshold=rng.random() < 0.3,
            channels=rng.choice([None, channels]),
            detach_reset=rng.random() < 0.5,
        )
        x = torch.randn(shape) * rng.choice([1, 3]) + rng.choice([0, 2, -20])
        if rng.random() < 0.2:
            x = x[:1].expand(shape)
        g = torch.randn(shape)
        (ours, grads, buffers), (theirs, wanted, moved) = both(norm, neuron, x, g)
        fired += ours.mean().item()
        for name, value in moved.items():
            torch.testing.assert_close(buffers[name], value, rtol=1e-5, atol=1e-5, msg=f"{seed} {name}")
        if not torch.equal(ours, theirs):  # rare: only where rounding decides
            assert (ours != theirs).float().mean() < 2e-3, (seed, (ours != theirs).float().mean())
            continue
        assert len(grads) == len(wanted)
        for one, other in zip(grads, wanted, strict=True):
            assert relative_error(one, other) < 3e-4, (seed, one.shape, relative_error(one, other))
    assert fired > 1


def test_evaluation_rounds_as_torch() -> None:
    """So that a network gives the same bits to whoever looks between norm and neuron."""
    for seed in range(20):
        torch.manual_seed(seed)
        norm = random_norm(random.Random(3), 5, 24).eval()
        x = torch.randn(5, 4, 24, 6, 7) * 2
        neuron = LIF(threshold=0.7, reset="none", beta=1.0, surrogate="atan")
        fused, plain = norm_neuron(norm, neuron, x), neuron(per_step(norm, x))
        assert torch.equal(fused, plain)
        state = norm_lif(x, Norm(norm.weight, norm.bias, norm.running_mean, norm.running_var, norm.eps),
                         torch.zeros(4, 24, 6, 7), 1.0, 0.7, neuron.dynamics)[1]  # fmt: skip
        assert torch.equal(state, neuron.run(per_step(norm, x))[1].v)


def test_large_mean_keeps_its_digits() -> None:
    """Moments are summed in double precision: a mean of 10,000 deviations costs nothing more."""
    torch.manual_seed(0)
    x = torch.randn(4, 8, 3, 9, 9, dtype=torch.float64) + 1e4
    *_, mean, var = norm_lif(
        x.float(), Norm(None, None, None, None, 1e-5), torch.zeros(8, 3, 9, 9), 2.0, 1.0, LIF().dynamics
    )
    exact = x.float().double()
    torch.testing.assert_close(mean.double(), exact.mean((0, 1, 3, 4)), rtol=1e-7, atol=0)
    torch.testing.assert_close(var.double(), exact.var((0, 1, 3, 4), correction=0), rtol=1e-6, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_bits_do_not_depend_on_threads_or_processor(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    norm, neuron = nn.BatchNorm2d(19), LIF()
    x, g = torch.randn(7, 40, 19, 8, 8, dtype=dtype), torch.randn(7, 40, 19, 8, 8, dtype=dtype)

    def results() -> list[Tensor]:
        given = x.clone().requires_grad_()
        out = norm_neuron(norm, neuron, given)
        return [out.detach(), *torch.autograd.grad(out, [given, *norm.parameters()], g)]

    threads = torch.get_num_threads()
    try:
        found = []
        for wanted in (1, 2, 3):
            torch.set_num_threads(wanted)
            found.append(results())
        for level in (1, 0):
            isa(level)
            found.append(results())
    finally:
        isa(-1)
        torch.set_num_threads(threads)
    for other in found[1:3]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))
    for other in found[3:]:  # another instruction set rounds the sums and the norm otherwise
        assert (found[0][0] != other[0]).float().mean() < 1e-3
        assert relative_error(found[0][2].float(), other[2].float()) < 1e-3


def test_bf16_is_near_float32() -> None:
    torch.manual_seed(0)
    norm, neuron = nn.BatchNorm1d(32), LIF()
    x, g = torch.randn(6, 64, 32).bfloat16(), torch.randn(6, 64, 32).bfloat16()
    wide, narrow = x.float().requires_grad_(), x.clone().requires_grad_()
    a, b = norm_neuron(norm, neuron, wide), norm_neuron(norm, neuron, narrow)
    assert b.dtype == torch.bfloat16
    assert torch.equal(a, b.float())  # the same statistics, the same potentials
    ga, gb = torch.autograd.grad(a, wide, g.float())[0], torch.autograd.grad(b, narrow, g)[0]
    assert relative_error(gb.float(), ga) < 1e-2


def test_is_used_by_models_and_changes_nothing() -> None:
    torch.manual_seed(0)
    block = SpikingConv(3, 8, 3, neuron=NeuronFactory("lif"), role="stem", pool="spike")
    x = torch.rand(4, 2, 3, 12, 12)
    with torch.profiler.profile() as seen:
        block(x)
    assert not any("batch_norm" in event.key for event in seen.key_averages())
    for repeat, given in ((1, x), (4, x[:1])):
        found = {}
        for path in ("auto", "reference"):
            torch.manual_seed(1)
            net = copy.deepcopy(block)
            with use_backend(path):
                out = net(given, repeat=repeat)
                out.sum().backward()
            found[path] = (
                out,
                dict(net.named_buffers()),
                [p.grad for p in net.parameters() if p.grad is not None],
            )
        assert torch.equal(found["auto"][0], found["reference"][0])
        for a, b in zip(found["auto"][1].values(), found["reference"][1].values(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
        for a, b in zip(found["auto"][2], found["reference"][2], strict=True):
            assert relative_error(a, b) < 1e-4


def test_whoever_looks_between_gets_the_two_modules() -> None:
    norm, neuron, x = nn.BatchNorm1d(3), LIF(), torch.randn(4, 5, 3)
    seen = []
    with norm.register_forward_hook(lambda *_: seen.append(1)):
        norm_neuron(norm, neuron, x)
    assert seen
    with neuron.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape)):
        norm_neuron(norm, neuron, x)
    assert seen[-1] == x.shape
    doubles = norm_neuron(norm.double(), neuron, x.double())  # no kernel: the two modules
    assert doubles.dtype == torch.float64


def test_hooks_of_the_layers_around_are_called() -> None:
    block, seen = SpikingConv(3, 5, neuron=NeuronFactory("lif")), []
    block.affine.register_forward_hook(lambda _, args, out: seen.append(out.shape))
    x = torch.randn(4, 2, 3, 6, 6)
    assert block(x).shape == (4, 2, 5, 6, 6)
    assert seen
    conv, norm = block.affine
    block.affine = nn.Sequential(conv, nn.Identity(), norm)  # something in between: no longer one operation
    assert block(x).shape == (4, 2, 5, 6, 6)


def test_statistics_switched_off_stay_as_they_are() -> None:
    norm, x = nn.BatchNorm1d(3), torch.randn(4, 5, 3)
    norm.track_running_stats = False
    before = copy.deepcopy(list(norm.buffers()))
    norm_neuron(norm, LIF(), x)
    assert all(torch.equal(a, b) for a, b in zip(before, norm.buffers(), strict=True))


def test_evaluation_without_statistics_has_those_of_every_step() -> None:
    """As of the two modules: so a chunk gives what the whole sequence gives."""
    torch.manual_seed(0)
    block = SpikingConv(3, 6, neuron=NeuronFactory("lif")).eval()
    block.affine[1] = nn.BatchNorm2d(6, track_running_stats=False).eval()
    x = torch.randn(4, 3, 3, 5, 5) + torch.arange(4.0).view(4, 1, 1, 1, 1)
    whole = block(x)
    assert whole.mean() > 0.01
    with snnkit.stream(block) as session:
        assert torch.equal(torch.cat([session(c) for c in x.split(1)]), whole)


@pytest.mark.parametrize(
    ("name", "norm"),
    [
        ("weight", Norm(torch.ones(2), None, None, None, 1e-5)),
        ("bias", Norm(None, torch.ones(5, 1), None, None, 1e-5)),
        ("mean", Norm(None, None, torch.zeros(7), torch.ones(7), 1e-5)),
        ("var", Norm(None, None, torch.zeros(5), torch.ones(1), 1e-5)),
        ("one of mean and var", Norm(None, None, torch.zeros(5), None, 1e-5)),
    ],
)
def test_reads_nothing_beyond_its_parameters(name: str, norm: Norm) -> None:
    with pytest.raises(ShapeError, match=name):
        norm_lif(torch.randn(4, 3, 5, 2), norm, torch.zeros(3, 5, 2), 2.0, 1.0, LIF().dynamics)


def test_the_open_operation_checks_its_sizes() -> None:
    """Whoever calls ``torch.ops.snnkit`` gets an error, not the memory behind his tensors."""
    rest = 1e-5, *described(2.0, 1.0, LIF().dynamics)
    x, g, v = torch.randn(20, 2, 3), torch.ones(20, 2, 3), torch.zeros(2, 3)
    _, last, kept, norm = torch.ops.snnkit.norm_lif(x, v, None, None, None, None, *rest)
    back = torch.ops.snnkit.norm_lif_backward
    assert torch.isfinite(back(g, last, x, v, kept, norm, True, *rest)[0]).all()
    for wrong in (
        (g[:2], last, x, v, kept, norm),
        (g.bfloat16(), last, x, v, kept, norm),
        (g, last[:1], x, v, kept, norm),
        (g, last, x, v[:1], kept, norm),
        (g, last, x, v, kept[:, :0], norm),
        (g, last, x, v, kept, norm[:, :2]),
    ):
        with pytest.raises((ShapeError, StateShapeError)):
            back(*wrong, True, *rest)


def test_second_order_gradients_are_refused() -> None:
    x, gain = torch.randn(4, 5, 3, requires_grad=True), torch.rand(3, requires_grad=True)
    spikes = norm_neuron(nn.BatchNorm1d(3), LIF(), x * gain)
    (g,) = torch.autograd.grad(spikes.sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="first-order"):
        g.square().sum().backward()


def test_streams_bit_equal() -> None:
    torch.manual_seed(0)
    block = SpikingConv(2, 6, neuron=NeuronFactory("lif"), role="embed").eval()
    block.affine[1].running_mean.normal_()  # type: ignore[operator, union-attr]
    x = torch.randn(9, 2, 2, 5, 5) * 3
    whole = block(x)
    assert whole.mean() > 0.01
    with snnkit.stream(block) as session:
        assert torch.equal(torch.cat([session(c) for c in x.split([1, 5, 3])]), whole)


def test_refusals_name_the_reason() -> None:
    norm, d = Norm(None, None, None, None, 1e-5), LIF().dynamics
    assert "at least" not in (norm_lif_unavailable(torch.rand(2, 2, 3), norm, 2.0, 1.0, d=d) or "")
    assert "elements" in str(norm_lif_unavailable(torch.rand(0, 2, 3), norm, 2.0, 1.0, d=d))
    assert "float64" in str(norm_lif_unavailable(torch.rand(2, 2, 3).double(), norm, 2.0, 1.0, d=d))
    with use_backend("reference"):
        assert "reference" in str(norm_lif_unavailable(torch.rand(2, 2, 3), norm, 2.0, 1.0, d=d))
    with pytest.raises(ValueError, match="more than 1 value per channel"):  # torch's own message
        norm_neuron(nn.BatchNorm1d(3), LIF(), torch.rand(1, 1, 3))


@pytest.mark.parametrize("train", [True, False])
def test_operation_passes_opcheck(train: bool) -> None:
    torch.manual_seed(0)
    x, v0 = torch.randn(18, 3, 4, 2, requires_grad=True), torch.randn(3, 4, 2, requires_grad=True)
    weight, bias = torch.randn(4, requires_grad=True), torch.randn(4, requires_grad=True)
    moments = (None, None) if train else (torch.randn(4), torch.rand(4) + 0.5)
    leak = torch.rand(4, 1, requires_grad=True)
    described_ = described(leak, 1.0, LIF(rate=0.5).dynamics)
    torch.library.opcheck(
        torch.ops.snnkit.norm_lif, (x, v0, weight, bias, *moments, 1e-5, *described_), atol=1e-4, rtol=1e-3
    )


@pytest.mark.slow
def test_compiles_without_a_break() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(SpikingConv(3, 8, 3, neuron=NeuronFactory("lif"), role="stem"))
    x = torch.rand(4, 2, 3, 6, 6)
    plain = copy.deepcopy(net)(x)
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
    out = compiled(x)
    assert torch.equal(out, plain)
    out.sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())
