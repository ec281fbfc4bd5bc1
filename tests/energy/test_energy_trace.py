"""What the trace sees, and that it leaves nothing behind."""

from __future__ import annotations

import contextlib
import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from snnkit.energy import FREE, NeuronCost, OpCount, rule, trace
from snnkit.energy.alphabet import BINARY, EMPTY, REAL, Alphabet, observe
from snnkit.errors import ConfigError, InputTypeError

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
    assert {u.op for u in result.uncounted} <= {"sigmoid", "sigmoid_", "tanh", "tanh_"}
    assert result.uncounted


@pytest.mark.parametrize("mode", MODES)
def test_attention_functions_are_counted(mode):
    class Attend(nn.Module):
        def forward(self, q, k, v):
            return F.scaled_dot_product_attention(q, k, v)

    q = torch.randn(2, 3, 5, 4)
    with MODES[mode]():
        result = trace(Attend(), (q, q, q))
    assert result.total.dense == 2 * (2 * 3 * 5 * 5 * 4)
    assert any("softmax" in u.op for u in result.uncounted)


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
    class Distance(nn.Module):
        def forward(self, x):
            return torch.cdist(x, x, p=1)

    result = trace(Distance(), torch.randn(3, 30, 4))
    assert [u.matmul for u in result.uncounted if "cdist" in u.op] == [True]
    assert any("cdist" in w for w in result.warnings)
    with pytest.raises(ConfigError, match="cdist"):
        trace(Distance(), torch.randn(3, 30, 4), strict=True)


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


# -- alphabets ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "name", "unit", "levels"),
    [
        ([0, 1, 1, 0], "binary", 1, 1),
        ([0, 0.3, 0.3], "scaled binary", 0.3, 1),
        ([-2, 0, 2], "ternary", 2, 1),
        ([0, 1, 2, 4], "integer", 1, 4),
        ([0, 1 / 9, 5 / 9, 1], "integer", 1 / 9, 9),
        ([0, -0.5, 1.5], "integer", 0.5, 3),
        ([0, 0.1234, 0.7771, 0.3137, 0.8713, 0.9241, 1.0], "real", 0, 0),
        ([0, 1, 300], "real", 0, 0),
        ([0, 1, float("nan")], "real", 0, 0),
        ([0, 1, float("inf")], "real", 0, 0),
        ([0, 0], "empty", 0, 0),
        ([], "empty", 0, 0),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_alphabets(values, name, unit, levels, dtype):
    seen = observe(torch.tensor(values, dtype=dtype))
    assert seen.name == name
    assert seen.levels == levels
    assert seen.unit == pytest.approx(unit, rel=2e-3)


def test_averages_of_spikes_are_integers_in_bfloat16_and_noise_is_not():
    spikes = (torch.rand(4, 3, 12, 12, generator=torch.Generator().manual_seed(0)) < 0.4).float()
    pooled = F.avg_pool2d(spikes, 3)
    for dtype in (torch.float32, torch.bfloat16):
        seen = observe(pooled.to(dtype))
        assert seen.is_event
        assert seen.levels <= 9
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        assert observe(torch.randn(40, generator=torch.Generator().manual_seed(0)).to(dtype)) == REAL
        assert observe(torch.randn(200, 200).to(dtype)) == REAL


def test_bool_is_binary_and_images_are_not():
    assert observe(torch.zeros(3, dtype=torch.bool)) == BINARY
    image = torch.arange(256, dtype=torch.uint8)
    assert observe(image).levels == 255
    assert observe(image / 255).levels == 255


def test_union_of_alphabets():
    two, third = Alphabet("uniform", 2.0, 1), Alphabet("uniform", 3.0, 1)
    assert two | third == Alphabet("uniform", 1.0, 3)
    assert (EMPTY | two, two | EMPTY, two | REAL, two | two) == (two, two, REAL, two)
    assert BINARY | Alphabet("uniform", 1.0, 1, signed=True) == Alphabet("uniform", 1.0, 1, signed=True)
    assert BINARY | Alphabet("uniform", 2**0.5, 1) == REAL
    assert BINARY | Alphabet("uniform", 300.0, 1) == REAL


def test_an_all_zero_batch_makes_no_layer_spiking():
    fc, x = nn.Linear(6, 4), torch.randn(5, 6)
    for batches in ([x, x * 0], [x * 0, x], [x * 0]):
        result = trace(fc, batches)
        assert result.records[0].a.name == ("real" if any(b.any() for b in batches) else "empty")


class Declared(nn.Module):
    def __init__(self, levels, scale=1.0, cost=True):
        super().__init__()
        self.spike_levels, self.scale, self.cost = levels, scale, cost

    def energy_ops(self):
        if not self.cost:
            raise TypeError("no costs declared")
        return NeuronCost(mul=1, add=1, cmp=1, state_words=1)

    def forward(self, x):
        return (x * self.scale).round().clamp(0, 4)


def test_a_silent_spiking_layer_stays_spiking():
    net = nn.Sequential(
        Declared(1), nn.Flatten(0, 1), nn.MaxPool1d(2), nn.Unflatten(0, (2, 3)), nn.Linear(3, 2)
    )
    result = trace(net, torch.full((2, 3, 1, 6), -1.0))
    assert next(r for r in result.records if r.path == "4").a.name == "binary"


def test_a_neuron_that_breaks_its_declaration_is_reported():
    net = nn.Sequential(Declared(1), nn.Linear(6, 2))
    result = trace(net, torch.full((2, 3, 6), 3.0).cumsum(-1))
    assert any(w.startswith("0: the neuron declares levels = 1") for w in result.warnings)
    assert next(r for r in result.records if r.path == "1").a.name == "integer"
    assert not trace(nn.Sequential(Declared(4), nn.Linear(6, 2)), torch.rand(2, 3, 6) * 4).warnings


def test_a_neuron_without_costs_is_counted_as_ordinary_operations():
    result = trace(nn.Sequential(Declared(1, cost=False)), torch.rand(2, 3, 6))
    assert any("energy_ops() failed" in w for w in result.warnings)
    assert result.total.neuron_steps == 0
    assert result.total.cmps == 2 * 36


# -- folding and pointwise operations ----------------------------------------------------------------


def test_batch_norm_folds_into_the_layer_before_it_only():
    x = torch.randn(2, 3, 8, 8)
    folded = trace(nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)).eval(), x)
    assert (folded.total.muls, folded.total.adds, folded.total.bias_add) == (0, 0, 2 * 4 * 36)
    biased = trace(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval(), x)
    assert biased.total.bias_add == 2 * 4 * 36
    after_pool = trace(nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(2), nn.BatchNorm2d(4)).eval(), x)
    assert (after_pool.total.muls, after_pool.total.adds) == (2 * 4 * 9, 2 * 4 * 9)
    assert any("batch norm" in w for w in after_pool.warnings)


def test_a_shared_output_is_not_folded():
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4)

        def forward(self, x):
            y = self.conv(x)
            z = y.relu()
            return self.norm(y) + z

    total = trace(Branches().eval(), torch.randn(2, 3, 4, 4)).total
    assert (total.muls, total.adds) == (128, 256)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: x + x, {"adds": 144}),
        (lambda x: x * 0.5, {}),
        (lambda x: x * 0.3, {"muls": 144}),
        (lambda x: x / 3, {"muls": 144}),
        (lambda x: x.relu(), {"cmps": 144}),
        (lambda x: x.clamp(0, 1), {"cmps": 288}),
        (lambda x: x.sum(-1), {"adds": 144 - 36}),
        (lambda x: x.mean((2, 3)), {"adds": 144 - 9, "muls": 0}),
        (lambda x: F.avg_pool2d(x, 2), {"adds": 144 - 36}),
        (lambda x: F.avg_pool2d(x, 3, 1), {"adds": 9 * 4 * 8, "muls": 36}),
        (lambda x: F.adaptive_avg_pool2d(x, 2), {"adds": 144 - 36}),
        (lambda x: F.max_pool2d(x, 2), {"cmps": 36 * 3}),
        (lambda x: x.permute(0, 2, 3, 1).reshape(3, -1)[:, 1:3].contiguous().double(), {}),
    ],
)
def test_pointwise_operations_on_reals(function, expected):
    class Apply(nn.Module):
        def forward(self, x):
            return function(x)

    x = torch.randn(3, 3, 4, 4)
    for mode in ("grad", "inference"):
        with MODES[mode]():
            result = trace(Apply(), x)
        got = {k: getattr(result.total, k) for k in ("adds", "muls", "cmps", "and_ops", "reads")}
        assert {k: v for k, v in got.items() if v} == {k: v for k, v in expected.items() if v}
        assert not result.uncounted


def test_pointwise_operations_on_spikes():
    class Apply(nn.Module):
        def __init__(self, function):
            super().__init__()
            self.function = function

        def forward(self, x):
            return self.function(x)

    x = (torch.rand(3, 3, 4, 4) < 0.4).float()
    n = int(x.sum())
    assert trace(Apply(lambda x: x * x), x).total.and_ops == 144
    assert trace(Apply(lambda x: x.sum((2, 3))), x).total.adds == n
    assert trace(Apply(lambda x: F.avg_pool2d(x, 2)), x).total.adds == n
    overlap = int(F.conv2d(x, torch.ones(3, 1, 3, 3), padding=1, groups=3).sum())
    assert trace(Apply(lambda x: F.avg_pool2d(x, 3, 1, 1)), x).total.adds == overlap
    assert trace(Apply(lambda x: F.max_pool2d(x, 2)), x).total.and_ops == 108


def test_embedding_reads():
    assert trace(nn.Embedding(10, 4), torch.arange(6).view(2, 3)).total.reads == 24


def test_unpriced_functions_are_listed():
    result = trace(
        nn.Sequential(nn.Linear(4, 4), nn.GELU(), nn.LayerNorm(4), nn.Softmax(-1)), torch.randn(2, 4)
    )
    assert {u.layer for u in result.uncounted} == {"1", "2", "3"}
    assert 0 < result.coverage < 1
    assert not any(u.matmul for u in result.uncounted)


def test_weight_preparation_is_constant():
    class Quantised(nn.Linear):
        def forward(self, x):
            scale = self.weight.abs().max() / 7
            return F.linear(x, (self.weight / scale).round().clamp(-7, 7) * scale, self.bias)

    net, x = Quantised(5, 4), (torch.rand(3, 5) < 0.5).float()
    result = trace(net, x)
    assert (result.total.muls, result.total.cmps, result.total.sop) == (0, 0, 4 * int(x.sum()))
    assert not result.uncounted


# -- leaves no trace ----------------------------------------------------------------------------------


class Stateful(nn.Module):
    """Keeps state in every way a module can, and uses three random generators."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(4, 4)
        self.register_buffer("count", torch.zeros(()))
        self.v, self.history, self.memory = 0.0, [], {"w": torch.zeros(4)}
        self.fail = False

    def forward(self, x):
        self.count += 1
        self.v = self.v + x.sum()
        self.history.append(x)
        self.memory["w"].add_(x.sum(0).detach())
        self.made_up = 1
        random.random(), np.random.rand()  # noqa: NPY002
        y = self.drop(self.norm(self.fc(x)))
        if self.fail:
            raise RuntimeError("on purpose")
        return y


def picture(net):
    flags = [m.training for m in net.modules()]
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in net.modules()]
    state = {k: v.clone() for k, v in net.state_dict().items()}
    kept = (net.v, list(net.history), {k: v.clone() for k, v in net.memory.items()}, hasattr(net, "made_up"))
    generators = (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist())  # noqa: NPY002
    backends = (
        torch.backends.mha.get_fastpath_enabled(),
        torch.backends.cuda.flash_sdp_enabled(),
        torch.backends.cuda.mem_efficient_sdp_enabled(),
        torch.backends.mkldnn.is_available() and torch._C._get_mkldnn_enabled(),
        torch.is_grad_enabled(),
        torch.is_autocast_enabled("cpu"),
    )
    return flags, hooks, state, kept, generators, backends


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return a == b


@pytest.mark.parametrize("fail", [False, True])
@pytest.mark.parametrize("mode", ["grad", "inference"])
def test_nothing_changes(fail, mode):
    net = Stateful().train()
    net.norm.eval()
    net.norm.train()
    net.fc.eval()
    net.fail = fail
    before = picture(net)
    with MODES[mode](), pytest.raises(RuntimeError, match="on purpose") if fail else contextlib.nullcontext():
        trace(net, [torch.randn(3, 4), torch.randn(3, 4)])
    after = picture(net)
    # the inputs are made by the same generator: rewind it for the comparison
    assert same(before[:4], after[:4])
    assert same(before[4][1:], after[4][1:])
    assert same(before[5], after[5])


def test_random_numbers_are_untouched_and_outputs_unchanged():
    net, x = Stateful().train(), torch.randn(3, 4)
    outputs = []
    handle = net.register_forward_hook(lambda m, a, out: outputs.append(out.detach().clone()))
    torch.manual_seed(0)
    state = torch.get_rng_state()
    trace(net, x)
    assert torch.equal(torch.get_rng_state(), state)
    fresh = Stateful().train()
    fresh.load_state_dict(net.state_dict())
    torch.set_rng_state(state)
    assert torch.equal(outputs[0], fresh(x))
    handle.remove()


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


def test_gradients_still_flow_inside_the_traced_forward():
    class Inner(nn.Module):
        def forward(self, x):
            x = x.detach().requires_grad_()
            return torch.autograd.grad((x**2).sum(), x)[0]

    trace(Inner(), torch.randn(3))


def test_parameters_changed_by_the_model_are_reported():
    class Clamps(nn.Linear):
        def forward(self, x):
            with torch.no_grad():
                self.weight.clamp_(-0.1, 0.1)
            return super().forward(x)

    assert any("weight in place" in w for w in trace(Clamps(3, 3), torch.randn(2, 3)).warnings)


def test_memory_of_activations_is_released():
    class Watcher(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x):
            return self.fc(x)

    import gc
    import weakref

    net, x = Watcher(), torch.randn(3, 4)
    seen = []
    handle = net.fc.register_forward_hook(lambda m, a, out: seen.append(weakref.ref(out)))
    result = trace(net, [x, x + 1])
    handle.remove()
    gc.collect()
    assert result.samples == 6
    assert all(ref() is None for ref in seen)


# -- bad input ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "kwargs", "error", "match"),
    [
        (("net", torch.ones(1)), {}, InputTypeError, "Module"),
        ((nn.Linear(1, 1), 3), {}, InputTypeError, "inputs"),
        ((nn.Linear(1, 1), "abc"), {}, InputTypeError, "str"),
        ((nn.Linear(1, 1), [3]), {}, InputTypeError, "int"),
        ((nn.Linear(1, 1), []), {}, ConfigError, "no batch"),
        ((nn.Linear(1, 1), torch.ones(1, 1)), {"T": 0}, ConfigError, "T"),
        ((nn.Linear(1, 1), torch.ones(1, 1)), {"T": 2.0}, ConfigError, "T"),
        ((nn.Linear(1, 1), torch.ones(1, 1)), {"T": True}, ConfigError, "T"),
        ((nn.LazyLinear(1), torch.ones(1, 1)), {}, ConfigError, "initialised"),
    ],
)
@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_bad_arguments(args, kwargs, error, match):
    with pytest.raises(error, match=match):
        trace(*args, **kwargs)
