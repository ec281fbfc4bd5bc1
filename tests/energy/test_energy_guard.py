"""A trace changes nothing, and refuses what it cannot trace."""

from __future__ import annotations

import contextlib
import gc
import random
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

from snnkit.energy import trace
from snnkit.energy.alphabet import observe
from snnkit.errors import ConfigError, InputTypeError


class Stateful(nn.Module):
    """Keeps state in every way a module can, and uses three random generators."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(4, 4)
        self.register_buffer("count", torch.zeros(()))
        self.v, self.history, self.memory = 0.0, [], {"w": torch.zeros(4)}
        self.nested = {"layers": [{"v": torch.zeros(4)}, (torch.zeros(4), [torch.zeros(4)])]}
        self.nested["layers"].append(self.nested)  # contains itself
        self.fail = False

    def forward(self, x):
        self.count += 1
        self.v = self.v + x.sum()
        self.history.append(x)
        self.memory["w"].add_(x.sum(0).detach())
        first, second, _ = self.nested["layers"]
        for state in (first["v"], second[0], second[1][0]):
            state += 1
        first["new"], second[1][0] = 1, None
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
    first, second, itself = net.nested["layers"]
    nested = [v.clone() for v in (first["v"], second[0], *second[1])], list(first), itself is net.nested
    memory = {k: v.clone() for k, v in net.memory.items()}
    kept = (net.v, list(net.history), memory, nested, hasattr(net, "made_up"))
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
@pytest.mark.parametrize("mode", [contextlib.nullcontext, torch.inference_mode])
def test_nothing_changes(fail, mode):
    net = Stateful().train()
    net.norm.eval()
    net.norm.train()
    net.fc.eval()
    net.fail = fail
    before = picture(net)
    with mode(), pytest.raises(RuntimeError, match="on purpose") if fail else contextlib.nullcontext():
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

    net, x = Watcher(), torch.randn(3, 4)
    seen = []
    handle = net.fc.register_forward_hook(lambda m, a, out: seen.append(weakref.ref(out)))
    result = trace(net, [x, x + 1])
    handle.remove()
    gc.collect()
    assert result.samples == 6
    assert all(ref() is None for ref in seen)


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
        ((nn.Linear(1, 1, device="meta"), torch.ones(1, 1)), {}, ConfigError, "weight.*values"),
        ((nn.Linear(1, 1), torch.ones(1, 1, device="meta")), {}, InputTypeError, "meta"),
    ],
)
@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_bad_arguments(args, kwargs, error, match):
    with pytest.raises(error, match=match):
        trace(*args, **kwargs)


class Square(nn.Module):
    def forward(self, x):
        return x @ x.mT


@pytest.mark.parametrize(
    ("x", "name", "pairs"),
    [
        (torch.full((3, 3), float("nan")), "real", 27),
        (torch.full((3, 3), float("inf")), "real", 27),
        (torch.full((3, 3), 1e300, dtype=torch.float64), "scaled binary", 27),
        (torch.full((3, 3), 1e-45), "scaled binary", 27),
        (torch.full((3, 3), -0.0), "empty", 0),
        (torch.eye(3, dtype=torch.int64) * 300, "scaled binary", 9),
        (torch.arange(-4, 5).reshape(3, 3), "integer", 24),
        (torch.eye(3, dtype=torch.complex64) * 1j, "real", 9),
    ],
)
def test_unusual_values(x, name, pairs):
    result = trace(Square(), [x, x])
    assert (result.records[0].a.name, result.total.pairs_a) == (name, 2 * pairs)


def test_narrow_floats_of_one_byte():
    class Widen(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.ones(2, 3))

        def forward(self, x):
            return torch.nn.functional.linear(x.to(torch.float32), self.w) + x.to(torch.float32).sum()

    x = torch.tensor([[0.0, 1, 1]]).to(torch.float8_e4m3fn)
    assert trace(Widen(), x).total.sop == 4
    assert observe(x).name == "binary"


def test_a_module_in_another_thread_is_listed():
    class Threaded(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 3)

        def forward(self, x):
            with ThreadPoolExecutor(1) as pool:
                return pool.submit(self.fc, x).result()

    result = trace(Threaded(), torch.ones(2, 4))
    assert [(u.layer, u.op, u.matmul) for u in result.uncounted] == [("fc", "Linear", True)]


@pytest.mark.filterwarnings("ignore:.*nested tensors:UserWarning")
@pytest.mark.parametrize("layout", [torch.strided, torch.jagged])
def test_nested_tensors_are_refused(layout):
    x = torch.nested.as_nested_tensor([torch.ones(2, 4), torch.ones(3, 4)], layout=layout)
    with pytest.raises(InputTypeError, match="Pad the sequences"):
        trace(nn.Linear(4, 3), [x])
