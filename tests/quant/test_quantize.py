"""quantize(): which layers, which bits, what is refused; states, folding, calibration, annealing."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnkit
from snnkit import quant
from snnkit.errors import InputTypeError, QuantConfigError
from snnkit.neurons import NEURONS, make_neuron


def small(neuron: Any = None) -> nn.Sequential:
    return nn.Sequential(
        snnkit.PerStep(nn.Conv2d(2, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)),
        neuron or snnkit.LIF(),
        snnkit.PerStep(nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6)),
        snnkit.LIF(),
        snnkit.PerStep(nn.Flatten(), nn.Linear(6 * 16, 3)),
    )


def spikes(*shape: int) -> Tensor:
    return (torch.rand(*shape) < 0.4).float()


def bits_of(net: nn.Module) -> list[int]:
    return [layer.weight_bits for _, layer, _ in quant.quantized_layers(net)]  # type: ignore[misc]


@pytest.mark.parametrize("name", ["sdt_test", "spikformer_test"])
def test_models(name: str) -> None:
    net = snnkit.create_model(name, num_classes=10)
    q = quant.quantize(net, 4).train()
    assert bits_of(q)[0] == bits_of(q)[-1] == 8
    assert set(bits_of(q)[1:-1]) == {4}
    assert not list(quant.quantized_layers(net))
    q(spikes(2, 3, 2, 16, 16)).square().sum().backward()
    assert all(p.grad is not None for p in q.parameters())  # DDP needs no search for unused parameters


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize("scheme", quant.QUANTIZERS.names())
def test_compiled_block(scheme: str) -> None:
    """A residual block of a quantised transformer is one graph, forward and backward."""
    torch.manual_seed(0)
    bits = {"binary": 1, "ternary": 2}.get(scheme, 4)
    net = snnkit.create_model("sdt_test", num_classes=10, neuron="ilif")
    block = quant.quantize(net, bits, scheme=scheme).train().blocks[0][0]  # type: ignore[index]
    width = next(layer.weight.shape[1] for _, layer, _ in quant.quantized_layers(block))  # type: ignore[index]
    x, found = torch.randn(2, 3, width, 4, 4), []
    for run in (block, torch.compile(block, fullgraph=True, backend="aot_eager")):
        block.zero_grad()
        out = run(x)
        out.square().sum().backward()
        found.append((out, [p.grad.clone() for p in block.parameters()]))
    (plain, wanted), (compiled, got) = found
    assert torch.equal(plain, compiled)
    assert all(torch.equal(a, b) for a, b in zip(wanted, got, strict=True))
    assert all(g.abs().max() > 0 for g in wanted)


def test_thirty_two_bits_change_nothing() -> None:
    net, x = small().eval(), spikes(3, 2, 2, 4, 4)
    assert torch.equal(quant.quantize(net, 32)(x), net(x))


def test_overrides_and_skip() -> None:
    q = quant.quantize(
        small(), 2, skip=("head",), overrides={"2.*": {"weight_bits": 6}, "2": {"weight_bits": 5}}
    )
    assert bits_of(q) == [2, 5, 8]
    assert bits_of(quant.quantize(small(), 3, skip=())) == [3, 3, 3]
    assert bits_of(quant.quantize(small(), scheme="binary", skip=(), skip_bits=8)) == [1, 1, 1]
    assert bits_of(quant.quantize(small(), 3, skip_bits=32)) == [3]


@pytest.mark.parametrize(
    "settings",
    [
        {"weight_bits": 1},
        {"weight_bits": 9},
        {"weight_bits": 0},
        {"weight_bits": True},
        {"overrides": {"nothing.*": {"weight_bits": 4}}},
        {"overrides": {"2": {"bits": 4}}},
        {"skip": ("body*",)},
        {"state_bits": 1},
    ],
)
def test_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(QuantConfigError):
        quant.quantize(small(), **settings)


def test_refuses_twice_and_nothing() -> None:
    with pytest.raises(QuantConfigError, match="already"):
        quant.quantize(quant.quantize(small(), 4), 4)
    with pytest.raises(QuantConfigError, match="found no"):
        quant.quantize(snnkit.LIF(), 4)
    with pytest.raises(InputTypeError):
        quant.quantize(None, 4)  # type: ignore[arg-type]


def test_state_dict_keeps_steps() -> None:
    a, b = quant.quantize(small(), 4), quant.quantize(small(), 4)
    with torch.no_grad():
        for _, _, q in quant.quantized_layers(a):
            q.step.mul_(1.25)  # type: ignore[operator]
    b.load_state_dict(a.state_dict())
    x = spikes(3, 2, 2, 4, 4)
    assert torch.equal(a.eval()(x), b.eval()(x))
    assert torch.equal(copy.deepcopy(a)(x), a(x))


@pytest.mark.parametrize("gamma", [1.0, -0.7, 0.0])
def test_folded_norms(gamma: float) -> None:
    chain = nn.Sequential(nn.Conv2d(2, 5, 3, padding=1), nn.BatchNorm2d(5), nn.MaxPool2d(2)).double().eval()
    norm = chain[1]
    assert isinstance(norm, nn.BatchNorm2d)
    nn.init.constant_(norm.weight, gamma)
    nn.init.normal_(norm.bias)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.0, 2.0)[0] = 0.0
    x = torch.randn(2, 2, 6, 6, dtype=torch.float64)
    wanted = chain(x)
    assert quant.fold_norms(chain) == ["1"]
    assert (chain(x) - wanted).abs().max() <= 1e-12 * wanted.abs().max().clamp(min=1)
    assert isinstance(chain[1], nn.Identity)


def test_a_block_that_fuses_is_fused_first() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(2, 4, 1, bias=False), nn.Conv2d(4, 3, 1, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            return self.second(self.first(x))

        def fused(self) -> nn.Conv2d:
            conv = nn.Conv2d(2, 3, 1, bias=False)
            product = self.second.weight[:, :, 0, 0] @ self.first.weight[:, :, 0, 0]
            conv.weight = nn.Parameter(product.detach()[:, :, None, None])
            return conv

    net = nn.Sequential(Block(), snnkit.LIF())
    assert len(bits_of(quant.quantize(net, 4, skip=()))) == 1
    assert len(bits_of(quant.quantize(net, 4, skip=(), fuse="never"))) == 2


@pytest.mark.parametrize(
    "name", [n for n in NEURONS.names() if n in ("lif", "if", "ilif", "clif", "synaptic_lif")]
)
def test_states_on_a_grid(name: str) -> None:
    neuron = quant.StateQuantized(make_neuron(name), 6)
    _, state = neuron.run(torch.randn(5, 2, 7))
    grid = 2.0**neuron.fraction_bits
    for v in state:
        assert torch.equal(v * grid, (v * grid).round())
        assert float(v.abs().max()) * grid <= 32
    x = torch.randn(5, 2, 7, requires_grad=True)
    neuron(x).sum().backward()
    assert x.grad is not None
    assert bool(x.grad.isfinite().all())


def test_states_are_wrapped() -> None:
    q = quant.quantize(small(), 4, state_bits=8)
    assert isinstance(q[1], quant.StateQuantized)
    assert isinstance(q[3], quant.StateQuantized)
    x = spikes(6, 2, 2, 4, 4)
    with snnkit.stream(q.eval()) as session:
        assert torch.equal(torch.cat([session(x[:2]), session(x[2:])]), q(x))


def test_calibration_measures_norms_again() -> None:
    q = quant.quantize(small(), 2).eval()
    before = {k: v.clone() for k, v in q.state_dict().items()}
    x = spikes(4, 8, 2, 4, 4)
    quant.calibrate(q, [x, (x, torch.zeros(8))])
    after = q.state_dict()
    changed = {k for k in before if not torch.equal(before[k], after[k])}
    assert any(k.endswith("running_mean") for k in changed)
    assert any(k.endswith(".step") for k in changed)
    assert not any(k.endswith("original") for k in changed)
    assert not q.training
    wanted = {k: v.clone() for k, v in after.items()}
    quant.calibrate(q, [torch.ones_like(x)])
    quant.calibrate(q, [x, x])  # what was measured before is forgotten
    assert all(torch.allclose(v, q.state_dict()[k]) for k, v in wanted.items())
    with pytest.raises(QuantConfigError, match="no batch"):
        quant.calibrate(q, [])


def test_oscillation_is_seen() -> None:
    net = nn.Sequential(nn.Linear(4, 1))
    q = quant.quantize(net, 4, skip=())
    weight = q[0].parametrizations.weight.original
    step = q[0].parametrizations.weight[0].step[0].item()
    tracker = quant.OscillationTracker(q, momentum=0.5)
    with torch.no_grad():
        weight.zero_()
        for sign in (1, -1, 1, -1):
            tracker.update()
            weight[0, 0] = step * (0.5 + 0.1 * sign)
            weight[0, 1] += step
        tracker.update()
    assert tracker.shares() == {"0": 0.25}
    assert tracker.frequency["0"][0].nonzero().tolist() == [[0]]  # not the one that goes on in one direction


def test_annealing_holds_the_certain_weights() -> None:
    q = quant.quantize(nn.Sequential(nn.Linear(64, 8)), 3, skip=())
    weight = q[0].parametrizations.weight.original
    annealing = quant.CGA(q, range=0.1)
    assert 0.5 < annealing.held < 0.95
    before = weight.detach().clone()
    optimizer = torch.optim.AdamW([weight], lr=0.1, weight_decay=0.5)
    q(torch.randn(4, 64)).square().sum().backward()
    optimizer.step()
    annealing.restore()
    moved = float((weight != before).float().mean())
    assert moved == pytest.approx(1 - annealing.held, abs=0.01)
    annealing.close()
    assert annealing.held == 0
