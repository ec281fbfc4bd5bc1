"""The trace sees the same in every mode, and no fused or compiled kernel hides anything from it."""

from __future__ import annotations

import contextlib

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from snnkit import LIF, PerStep, use_backend
from snnkit.energy import FREE, OpCount, rule, trace
from snnkit.errors import ConfigError, InputTypeError
from snnkit.kernels import event_linear
from snnkit.neurons import SynapticLIF

MODES = {
    "grad": contextlib.nullcontext,
    "no_grad": torch.no_grad,
    "inference": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "autocast inference": lambda: _both(torch.inference_mode(), torch.autocast("cpu", torch.bfloat16)),
}


@contextlib.contextmanager
def _both(a, b):
    with a, b:
        yield


class Mixed(nn.Module):
    """One of everything that is counted."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.conv = nn.Conv2d(2, 4, 3, padding="same")
        self.norm = nn.BatchNorm2d(4)
        self.up = nn.ConvTranspose2d(4, 4, 2, stride=2)
        self.fc = nn.Linear(4, 4)
        self.pool = nn.MaxPool2d(2)
        self.weight = nn.Parameter(torch.randn(3, 4))

    def forward(self, x):
        s = (self.norm(self.conv(x)) > 0).to(x.dtype)
        s = (self.up(self.pool(s)) > 0.1).to(x.dtype)
        z = s.flatten(2).mT
        z = (self.fc(z) > 0).to(x.dtype)
        return torch.einsum("bnc,oc->bno", z @ (z.mT @ z), self.weight), F.avg_pool2d(s, 2)


def counted(result):
    return result.by_layer, result.by_step


def without_rounding(counts):
    return {k: v for k, v in counts.as_dict().items() if k != "nnz_out"}


@pytest.mark.parametrize("mode", MODES)
def test_counts_are_equal_in_every_mode(mode):
    net = Mixed().eval()
    x = (torch.rand(3, 2, 6, 6, generator=torch.Generator().manual_seed(0)) < 0.3).float()
    with torch.no_grad():
        plain = trace(net, x)
    with MODES[mode]():
        result = trace(net, x)
    if "autocast" in mode:  # bfloat16 moves a few thresholds: compare what does not depend on them
        assert without_rounding(result.by_layer["conv"]) == without_rounding(plain.by_layer["conv"])
        assert result.total.dense == plain.total.dense
    else:
        assert counted(result) == counted(plain)
    assert not result.uncounted


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "layer",
    [nn.Conv1d(2, 3, 3), nn.Conv2d(2, 3, 3, stride=2), nn.ConvTranspose2d(2, 3, 3), nn.Linear(6, 4)],
    ids=lambda m: type(m).__name__,
)
def test_single_layers_are_equal_in_every_mode(mode, layer):
    x = (torch.rand(2, 2, 6) if isinstance(layer, nn.Conv1d) else torch.rand(2, 2, 6, 6)) < 0.3
    expected = trace(layer, x.float()).total
    with MODES[mode]():
        total = trace(layer, x.float()).total
    assert without_rounding(total) == without_rounding(expected)
    assert "autocast" in mode or total == expected


# -- nothing is silently zero -------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["grad", "no_grad", "inference"])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_recurrent_layers_are_counted(kind, mode):
    layer = getattr(nn, kind)(5, 6, num_layers=2)
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[kind]
    with MODES[mode]():
        result = trace(layer.eval(), torch.randn(7, 3, 5), T=7)
    assert result.total.dense == 7 * 3 * gates * 6 * ((5 + 6) + (6 + 6))
    assert [s.dense for s in result.by_step] == [3 * gates * 6 * 23] * 7
    functions = {"LSTM": 5, "GRU": 3, "RNN": 1}[kind]  # sigmoids and tanhs per hidden unit, step and layer
    assert result.total.exps == result.total.divs == functions * 7 * 3 * 6 * 2
    assert not result.uncounted


@pytest.mark.parametrize("mode", MODES)
def test_attention_functions_are_counted(mode):
    class Attend(nn.Module):
        def forward(self, q, k, v):
            return F.scaled_dot_product_attention(q, k, v)

    q = torch.randn(2, 3, 5, 4)
    with MODES[mode]():
        result = trace(Attend(), (q, q, q))
    assert result.total.dense == 2 * (2 * 3 * 5 * 5 * 4)
    assert (result.total.exps, result.total.divs) == (2 * 3 * 5 * 5, 2 * 3 * 5 * 5)  # softmax
    assert {u.op for u in result.uncounted} == set()


@pytest.mark.parametrize("mode", ["grad", "no_grad", "inference"])
def test_multi_head_attention_is_counted_on_its_fast_path(mode):
    layer = nn.MultiheadAttention(8, 2, batch_first=True).eval()
    x = torch.randn(2, 5, 8)
    with MODES[mode]():
        result = trace(layer, (x, x, x))
    assert result.total.dense == 2 * 5 * 8 * 8 * 4 + 2 * (2 * 5 * 5 * 8)


@pytest.mark.parametrize("mode", ["no_grad", "inference"])
def test_transformer_encoder_is_counted_on_its_fast_path(mode):
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    with MODES[mode]():
        result = trace(nn.TransformerEncoder(layer, 2), torch.randn(2, 5, 8))
    assert result.total.dense == 2 * (2 * 5 * (8 * 8 * 4 + 2 * 8 * 16) + 2 * (2 * 5 * 5 * 8))


def test_a_matmul_like_operation_without_a_rule_warns():
    class Transform(nn.Module):
        def forward(self, x):
            return torch.fft.rfft(x)

    result = trace(Transform(), torch.randn(3, 30, 4))
    assert [u.matmul for u in result.uncounted if "fft" in u.op] == [True]
    assert any("fft" in w for w in result.warnings)
    with pytest.raises(ConfigError, match="fft"):
        trace(Transform(), torch.randn(3, 30, 4), strict=True)


def test_compiled_models_are_traced_as_written():
    net = Mixed().eval()
    x = torch.randn(2, 2, 6, 6)
    assert counted(trace(torch.compile(net, backend="eager"), x)) == counted(trace(net, x))


def test_checkpointed_blocks_are_counted_once():
    class Checkpointed(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x):
            return checkpoint(self.fc, x, use_reentrant=False)

    net, x = Checkpointed(), torch.randn(3, 4, requires_grad=True)
    assert trace(net, x).by_layer["fc"].dense == 48


def test_a_rule_can_be_added_for_a_custom_operator():
    @torch.library.custom_op("snnkit_test::twice", mutates_args=())
    def twice(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    class Custom(nn.Module):
        def forward(self, x):
            return torch.ops.snnkit_test.twice(x)

    x = torch.randn(3, 4)
    assert [u.op for u in trace(Custom(), x).uncounted] == ["snnkit_test::twice"]

    @rule("snnkit_test::twice")
    def _(op):
        return OpCount("pointwise", {"adds": op.out.numel()}, 3, tuple(op.out.shape))

    result = trace(Custom(), x)
    assert (result.total.adds, result.uncounted) == (12, [])

    @rule("snnkit_test::twice")
    def _(op):
        return FREE

    assert trace(Custom(), x).total.adds == 0

    @rule("snnkit_test::twice")
    def _(op):
        pass

    with pytest.raises(InputTypeError, match=r"snnkit_test::twice.*OpCount"):
        trace(Custom(), x)


def test_compiled_parts_are_traced_as_written():
    inner = nn.Linear(4, 4)
    net, x = nn.Sequential(torch.compile(inner, backend="eager"), nn.ReLU()), torch.randn(3, 4)
    assert trace(net, x).total.dense == 3 * 16


def test_sparse_operands_are_listed():
    class Sparse(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(4, 5))

        def forward(self, x):
            return torch.mm(x.to_sparse(), self.weight)

    result = trace(Sparse(), torch.eye(4))
    assert [(u.op, u.matmul) for u in result.uncounted if u.matmul] == [("mm", True)]


def test_outputs_are_bit_equal():
    net, x = Mixed().eval(), torch.randn(3, 2, 6, 6)
    seen = []
    handle = net.register_forward_hook(lambda m, a, out: seen.append(out))
    with torch.no_grad():
        expected = net(x)
        trace(net, x)
    handle.remove()
    assert all(torch.equal(a, b) for a, b in zip(seen[0], seen[1], strict=True))
    assert torch.equal(expected[0], seen[1][0])


def test_fused_kernels_are_switched_off_inside_only():
    class Look(nn.Module):
        def forward(self, x):
            cuda = torch.backends.cuda
            self.seen = (
                torch.backends.mha.get_fastpath_enabled(),
                cuda.flash_sdp_enabled(),
                cuda.math_sdp_enabled(),
            )
            assert self.seen == (False, False, True)
            return x

    trace(Look(), torch.ones(1))
    assert torch.backends.mha.get_fastpath_enabled()
    assert torch.backends.cuda.flash_sdp_enabled()


class Spikes(nn.Module):
    """Neurons that a kernel outside of torch may run, and what depends on knowing their output."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.silent = LIF(), SynapticLIF(), LIF()
        self.fc = PerStep(nn.Linear(6, 5, bias=False))

    def forward(self, x):
        return self.q(x) @ self.k(x).mT, self.fc(self.silent(0 * x))


@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_spikes_of_every_backend_are_data(backend):
    """Their product is attention, and a silent layer is a layer of spikes."""
    with use_backend(backend):
        records = trace(Spikes().eval(), 2 * torch.rand(4, 2, 3, 6)).records
    found = {r.kind: r.a.name for r in records}
    assert found["product"] == found["weight"] == "binary"


class Gathered(nn.Module):
    """Calls a kernel in C: directly, or through what torch cannot see into."""

    def __init__(self, function):
        super().__init__()
        self.fc, self.function = nn.Linear(6, 5), function

    def forward(self, x):
        y = self.function(x, self.fc.weight, self.fc.bias)
        return y @ y.mT


@pytest.mark.parametrize("mode", ["no_grad", "inference"])
def test_the_gathering_linear_kernel_is_counted(mode):
    x = (torch.rand(3, 6) < 0.4).float()
    with MODES[mode]():
        result = trace(Gathered(event_linear), x)
    assert result.total.sop >= 5 * int(x.sum())
    assert result.total.dense == 3 * 6 * 5 + 3 * 3 * 5
    assert not result.uncounted


def foreign(x, weight, bias):
    """A kernel that writes into memory that torch has allocated."""
    y = torch.empty(len(x), len(weight))
    y.numpy()[:] = x.numpy() @ weight.detach().numpy().T
    return y.view(len(x), -1)


@pytest.mark.parametrize("at_end", [True, False])
def test_kernels_outside_of_torch_are_listed_not_silent(at_end):
    x = torch.rand(3, 6)
    net = nn.Sequential(Gathered(foreign))
    if at_end:
        net[0].forward = lambda x: foreign(x, net[0].fc.weight, None)
    with torch.no_grad():
        result = trace(net, x)
    assert [(u.layer, u.op, u.elements, u.matmul) for u in result.uncounted] == [
        ("0", "custom kernel", 15, True)
    ]
    assert any("custom kernel" in w for w in result.warnings)
    assert result.total.pairs_ab == (0 if at_end else 3 * 3 * 5)  # what it returns depends on the input
    with pytest.raises(ConfigError, match="custom kernel"):
        trace(net, x, strict=True)


def test_memory_that_is_allocated_and_then_written_is_ordinary():
    class Writes(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(6, 5)

        def forward(self, x):
            y, z, w = torch.empty(3, 5), torch.empty_like(x), x.new_empty(2, 5)
            y.view(-1)[:] = self.fc(x).flatten()
            torch.mul(x, 0.3, out=z)
            w.normal_()
            torch.empty(0, 5).sum()
            torch.zeros_like(torch.empty(3)).sum()
            return (
                torch.empty_like(y).copy_(y),
                z.sum(),
                torch.empty(4).fill_(1.0) + 1,
                torch.empty(3).zero_(),
            )

    result = trace(Writes(), torch.rand(3, 6))
    assert "custom kernel" not in {u.op for u in result.uncounted}
