"""Whatever a network is wrapped in, its layers are counted once, under their path."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune
from torch.utils.checkpoint import checkpoint

from snnkit.energy import trace

X = torch.linspace(-1, 1, 18).reshape(3, 6)


def make_net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2)).eval()


def compiled(net):
    return torch.compile(net, backend="eager")


def warmed(net):
    net = compiled(net)
    net(X)
    return net


def in_place(net):
    net.compile(backend="eager")
    net(X)
    return net


class Around(nn.Module):
    def __init__(self, net, how):
        super().__init__()
        self.net, self.how = net, how

    def forward(self, x):
        return self.how(self.net, x)


@torch.compile(backend="eager")
def double(x):
    return 2 * x


WRAPPERS = {
    "compiled": (compiled, ""),
    "compiled and run": (warmed, ""),
    "compiled in place": (in_place, ""),
    "compiled function": (lambda net: Around(net, lambda n, x: double(n(x))), "net."),
    "data parallel": (nn.DataParallel, ""),
    "averaged": (torch.optim.swa_utils.AveragedModel, "module."),
    "symbolic graph": (torch.fx.symbolic_trace, ""),
    "checkpoint": (lambda net: Around(net, lambda n, x: checkpoint(n, x, use_reentrant=False)), "net."),
    "checkpoint, reentrant": (
        lambda net: Around(net, lambda n, x: checkpoint(n, x, use_reentrant=True)),
        "net.",
    ),
    "functional call": (
        lambda net: Around(net, lambda n, x: torch.func.functional_call(n, dict(n.named_parameters()), x)),
        "net.",
    ),
}


@pytest.mark.parametrize("name", WRAPPERS)
def test_wrapped_networks(name):
    wrap, prefix = WRAPPERS[name]
    expected = trace(make_net(), X).by_layer
    result = trace(wrap(make_net()), X.clone().requires_grad_())
    assert result.by_layer == {prefix + path: counts for path, counts in expected.items()}
    assert not result.uncounted


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("script", [torch.jit.script, lambda net: torch.jit.trace(net, X)])
def test_scripted_networks_are_counted_as_one_module(script):
    net, expected = make_net(), trace(make_net(), X).total
    net.append(nn.BatchNorm1d(2, momentum=0.5).train())
    scripted = script(net)
    before = {k: v.clone() for k, v in scripted.state_dict().items()}
    result = trace(scripted, X)
    assert (set(result.by_layer), result.total.dense) == ({""}, expected.dense)
    assert all(torch.equal(before[k], v) for k, v in scripted.state_dict().items())


def test_exported_programs():
    program = torch.export.export(make_net(), (X,)).module()
    assert trace(program, X).total == trace(make_net(), X).total


def test_distributed_data_parallel(tmp_path):
    torch.distributed.init_process_group("gloo", f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        net = nn.parallel.DistributedDataParallel(make_net())
        assert set(trace(net, X).by_layer) == {"module.0", "module.1", "module.2"}
        assert trace(compiled(net), X).total == trace(make_net(), X).total
    finally:
        torch.distributed.destroy_process_group()


def test_lightning_modules():
    lightning = pytest.importorskip("lightning")

    class Logged(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = make_net()

        def forward(self, x):
            return self.net(x)

    assert set(trace(Logged(), X).by_layer) == {"net.0", "net.1", "net.2"}


@pytest.mark.parametrize("how", ["weight norm", "spectral norm", "orthogonal", "pruning"])
def test_parametrized_weights_are_weights(how):
    layer = nn.Linear(6, 5)
    if how == "pruning":
        prune.l1_unstructured(layer, "weight", 0.5)
    else:
        getattr(parametrizations, how.replace(" ", "_"))(layer)
    spikes = (X > 0).float()
    result = trace(layer.eval(), spikes)
    (record,) = (r for r in result.records if r.kind != "pointwise")
    assert (result.total.dense, record.a.name, result.total.muls) == (90, "binary", 0)
    assert result.total.sop == 5 * int(spikes.sum())
    assert result.total.sop_w == int(layer.weight.ne(0).float().sum(0) @ spikes.sum(0))


def test_tied_weights_are_two_layers():
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    net[1].weight = net[0].weight
    assert {path: c.dense for path, c in trace(net, torch.randn(2, 4)).by_layer.items()} == {"0": 32, "1": 32}


@pytest.mark.filterwarnings("ignore:.*quantiz")
def test_quantised_kernels_are_listed_with_a_warning():
    net = torch.ao.quantization.quantize_dynamic(make_net(), {nn.Linear}, dtype=torch.qint8)
    result = trace(net, X)
    assert [u.matmul for u in result.uncounted] == [True, True]
    assert any("linear_dynamic" in w for w in result.warnings)
