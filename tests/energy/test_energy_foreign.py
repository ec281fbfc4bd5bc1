"""Networks of other libraries are counted as they are."""

from __future__ import annotations

import itertools
import subprocess
import sys

import pytest
import torch
from torch import nn

from snnkit.energy import Counts, NeuronCost, NeuronSpec, estimate, neuron_rule, trace
from snnkit.energy.neuron_rules import neuron_spec
from snnkit.errors import ConfigError, InputTypeError

T, B = 4, 3


def frames(*shape):
    g = torch.Generator().manual_seed(0)
    return (torch.rand(shape, generator=g) < 0.3).float()


def conv_pairs(x, conv):
    """Pairs of a 2-d convolution, by a loop over taps."""
    total, (k, _), s, p = 0, conv.kernel_size, conv.stride[0], conv.padding[0]
    height, width = x.shape[-2:]
    for a, b in itertools.product(range(k), repeat=2):
        for i, j in x.nonzero()[:, -2:].tolist():
            o = (i + p - a, j + p - b)
            limits = [(n + 2 * p - k) // s for n in (height, width)]
            total += all(v % s == 0 and 0 <= v // s <= m for v, m in zip(o, limits, strict=True))
    return total * conv.out_channels // conv.groups


@pytest.fixture
def jelly():
    return pytest.importorskip("spikingjelly.activation_based")


def jelly_net(mode):
    from spikingjelly.activation_based import functional, layer, neuron

    torch.manual_seed(0)
    net = nn.Sequential(
        layer.Conv2d(2, 6, 3, padding=1, bias=False),
        layer.BatchNorm2d(6),
        neuron.LIFNode(v_threshold=0.3),
        layer.MaxPool2d(2),
        layer.Conv2d(6, 4, 3, stride=2, groups=2),
        neuron.IFNode(v_threshold=0.1, v_reset=None),
        layer.Flatten(),
        layer.Linear(36, 5),
        neuron.ParametricLIFNode(),
    ).eval()
    functional.set_step_mode(net, mode)
    return net


class Loop(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return torch.stack([self.net(x_t) for x_t in x])


@pytest.mark.oracle
def test_spikingjelly_single_and_multi_step(jelly):
    x = frames(T, B, 2, 16, 16)
    multi_net, single_net = jelly_net("m"), Loop(jelly_net("s"))
    multi, single = trace(multi_net, x), trace(single_net, x, T=T)
    assert (multi.T, multi.samples) == (single.T, single.samples) == (T, B)
    assert not multi.uncounted
    assert not multi.warnings
    for a, b in zip(multi.by_step, single.by_step, strict=True):
        assert {**a.as_dict(), "calls": 0} == {**b.as_dict(), "calls": 0}
    kinds = {r.path: r.a.name for r in multi.records if r.kind == "weight"}
    assert kinds == {"0": "binary", "4": "binary", "7": "binary"}
    assert multi.by_layer["0"].sop == conv_pairs(x, multi_net[0])
    assert multi.by_layer["2"].neuron_steps == T * B * 6 * 256
    with torch.no_grad():
        spikes = multi_net[:3](x)
        jelly.functional.reset_net(multi_net)
    assert multi.by_layer["2"].spikes == int(spikes.sum())
    assert (multi.total.muls, multi.total.adds) == (0, 0)  # leak and charge belong to the neuron rule
    assert multi.by_layer["0"].bias_add == T * B * 6 * 256  # from the folded norm


@pytest.mark.oracle
def test_spikingjelly_states_are_handed_back(jelly):
    net = jelly_net("m")
    fresh = trace(net, frames(T, B, 2, 16, 16)).total
    assert net[2].v == 0.0
    with torch.no_grad():
        net(frames(T, B, 2, 16, 16))
    v = net[2].v.clone()
    warm = trace(net, frames(T, B, 2, 16, 16))  # starts from the state that the caller left
    assert warm.total.sop != fresh.sop
    assert torch.equal(net[2].v, v)
    jelly.functional.reset_net(net)
    parts = trace(net, list(frames(T, B, 2, 16, 16).split([2, 1], dim=1)))
    assert parts.total.sop == fresh.sop


@pytest.mark.oracle
def test_spikingjelly_layers_equal_its_exact_counter(jelly):
    from spikingjelly.activation_based.op_counter import DispatchCounterMode, SynOpCounter

    net, x = jelly_net("m"), frames(T, B, 2, 16, 16)
    counter = SynOpCounter()
    with torch.no_grad(), DispatchCounterMode([counter]):
        net(x)
    jelly.functional.reset_net(net)
    assert trace(net, x).total.sop == counter.get_total()


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("make", "cost"),
    [
        (lambda n: n.IFNode(), NeuronCost(0, 1, 1, 0, 1, 1)),
        (lambda n: n.LIFNode(), NeuronCost(1, 1, 1, 0, 1, 1)),
        (lambda n: n.LIFNode(v_reset=None), NeuronCost(1, 1, 1, 1, 0, 1)),
        (lambda n: n.LIFNode(v_reset=-0.1), NeuronCost(1, 2, 1, 0, 1, 1)),
        (lambda n: n.ParametricLIFNode(), NeuronCost(1, 1, 1, 0, 1, 1)),
        (lambda n: n.PSN(T=8), NeuronCost(8, 8, 1)),
        (lambda n: n.KLIFNode(), None),
    ],
)
def test_spikingjelly_neuron_costs(jelly, make, cost):
    assert neuron_spec(make(jelly.neuron)).cost == cost


@pytest.mark.oracle
def test_spikingjelly_parallel_neuron_is_not_counted_twice(jelly):
    total = trace(jelly.neuron.PSN(T=T), torch.randn(T, B, 5)).total
    assert (total.dense, total.neuron_steps) == (0, T * B * 5)


@pytest.mark.oracle
def test_a_neuron_of_unknown_cost_is_listed(jelly):
    node = jelly.neuron.KLIFNode(step_mode="m")
    result = trace(nn.Sequential(node), torch.randn(T, B, 5))
    assert [(u.layer, u.op, u.elements) for u in result.uncounted] == [("0", "neuron update", T * B * 5)]


@pytest.mark.oracle
def test_snntorch_loop():
    snn = pytest.importorskip("snntorch")

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.fc1, self.lif1 = nn.Linear(12, 8), snn.Leaky(beta=0.9, threshold=0.2)
            self.fc2, self.lif2 = nn.Linear(8, 4), snn.Synaptic(alpha=0.8, beta=0.9, reset_mechanism="zero")

        def forward(self, x):
            mem1, (syn2, mem2) = self.lif1.reset_mem(), self.lif2.reset_mem()
            out = []
            for x_t in x:
                s, mem1 = self.lif1(self.fc1(x_t), mem1)
                s, syn2, mem2 = self.lif2(self.fc2(s), syn2, mem2)
                out.append(s)
            return torch.stack(out)

    net, x = Net(), frames(T, B, 12)
    result = trace(net, x, T=T)
    assert [c.sop for c in next(r for r in result.records if r.path == "fc1").counts()] == [
        8 * int(x_t.sum()) for x_t in x
    ]
    assert result.samples == B
    assert result.by_layer["lif1"].neuron_steps == T * B * 8
    assert neuron_spec(net.lif1).cost == NeuronCost(1, 1, 1, 1, 0, 1)
    assert neuron_spec(net.lif2).cost == NeuronCost(2, 2, 1, 0, 1, 2)
    assert next(r for r in result.records if r.path == "fc2").a.name == "binary"
    assert not result.uncounted
    assert any("pass T=4" in w for w in trace(net, x).warnings)
    assert trace(net, x).T == 1
    assert sum(result.by_step, Counts()) == result.total


@pytest.mark.oracle
def test_snntorch_hidden_states_are_handed_back():
    snn = pytest.importorskip("snntorch")
    node = snn.Leaky(beta=0.9, init_hidden=True)
    net = nn.Sequential(nn.Linear(4, 3), node)
    before = node.mem.clone()
    trace(net, [torch.rand(2, 4), torch.rand(3, 4)], T=1)
    assert torch.equal(node.mem, before)


@pytest.mark.oracle
def test_norse_sequence_and_cells():
    norse = pytest.importorskip("norse.torch")

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.fc, self.lif, self.out, self.li = nn.Linear(12, 8), norse.LIF(), nn.Linear(8, 4), norse.LI()

        def forward(self, x):
            s, _ = self.lif(self.fc(x) * 8)
            y, _ = self.li(self.out(s))
            return y[-1]

    x = frames(T, B, 12)
    result = trace(Net(), x)
    assert (result.T, result.samples) == (T, B)
    assert result.by_step[0].sop >= 8 * int(x[0].sum())
    assert result.by_layer["lif"].neuron_steps == T * B * 8
    assert result.by_layer["li"].spikes == 0
    assert not result.uncounted

    class Cells(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = norse.LIFRecurrentCell(12, 8)

        def forward(self, x):
            state = None
            for x_t in x:
                _, state = self.cell(x_t, state)
            return state.v

    recurrent = trace(Cells(), x, T=T)
    assert recurrent.by_layer["cell"].dense == T * B * (12 * 8 + 8 * 8)
    assert [s.neuron_steps for s in recurrent.by_step] == [B * 12] * T


@pytest.mark.oracle
def test_foreign_networks_get_an_energy(jelly):
    report = estimate(jelly_net("m"), frames(T, B, 2, 16, 16))
    assert report.total_pj > 0
    assert report.counterpart("ann").total_pj > 0


def test_rules_can_be_added_and_the_most_derived_class_decides():
    class Base(nn.Module):
        def forward(self, x):
            return (x > 0.5).to(x.dtype)

    class Child(Base):
        pass

    @neuron_rule(Base)
    def _(module):
        return NeuronSpec(NeuronCost(add=1, state_words=1))

    assert neuron_spec(Child()).cost == NeuronCost(add=1, state_words=1)

    @neuron_rule(Child)
    def _(module):
        return NeuronSpec(NeuronCost(mul=5))

    assert neuron_spec(Child()).cost == NeuronCost(mul=5)
    assert neuron_spec(Base()).cost == NeuronCost(add=1, state_words=1)
    result = trace(nn.Sequential(Child()), torch.rand(2, 6), T=1)
    assert (result.total.neuron_steps, result.total.cmps) == (12, 0)
    with pytest.raises(ConfigError, match="ClassName"):
        neuron_rule("NoPackage")

    @neuron_rule(Child)
    def _(module):
        return NeuronCost(mul=5)

    with pytest.raises(InputTypeError, match=r"Child.*NeuronSpec"):
        trace(nn.Sequential(Child()), torch.rand(2, 6), T=1)


def test_no_other_library_is_imported():
    code = (
        "import sys, snnkit.energy;"
        "print([m for m in ('spikingjelly', 'snntorch', 'norse') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_matplotlib_rich_and_the_compiler_are_not_imported():
    code = (
        "import sys, torch, snnkit.energy as e; e.estimate(torch.nn.Linear(2, 2), torch.ones(1, 2));"
        "print([m for m in ('matplotlib', 'rich', 'torch._dynamo') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
