"""Time steps, samples and layers: every way to write a loop over time gives the same numbers."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from snnkit.energy import Counts, NeuronCost, trace

T, B = 4, 3
FIELDS = ("dense", "valid", "sop", "nnz_in", "numel_in", "nnz_out", "bias_add", "neuron_steps", "spikes")


class Fire(nn.Module):
    """A minimal sequence neuron: no state, so that fold and loop are the same function."""

    spike_levels = 1

    def __init__(self, threshold: float = 0.0) -> None:
        super().__init__()
        self.threshold = threshold

    def energy_ops(self) -> NeuronCost:
        return NeuronCost(mul=1, add=1, cmp=1, spike_add=1, state_words=1)

    def forward(self, x):
        return (x >= self.threshold).to(x.dtype)


class Net(nn.Module):
    """conv, neuron, attention product, token-wise linear, in one of three loops over time."""

    def __init__(self, how: str, tokens: int = 4) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.how, self.tokens = how, tokens
        self.conv = nn.Conv2d(2, 8, 3, padding=1, stride=2)
        self.fire, self.again = Fire(), Fire(0.3)
        self.fc = nn.Linear(8, 5)

    def conv_part(self, x):  # [rows, 2, H, W] -> [rows, 8, h, w]
        return self.conv(x)

    def attend(self, s):  # [rows, 8, h, w] -> [rows, tokens, 8]
        z = s.flatten(2).mT[:, : self.tokens]
        q = z.unflatten(2, (2, 4)).transpose(1, 2)  # [rows, heads, tokens, 4]
        return ((q @ q.mT) @ q).transpose(1, 2).flatten(2)

    def forward(self, x):  # [T, B, 2, H, W]
        if self.how == "fold":
            s = self.fire(self.conv_part(x.flatten(0, 1)).unflatten(0, x.shape[:2]))
            z = self.attend(s.flatten(0, 1)).unflatten(0, x.shape[:2])
            return self.again(self.fc(z))
        if self.how == "layers":
            s = self.fire(torch.stack([self.conv_part(x_t) for x_t in x]))
            z = torch.stack([self.attend(s_t) for s_t in s])
            return self.again(torch.stack([self.fc(z_t) for z_t in z]))
        out = []
        for x_t in x:
            s = self.fire(self.conv_part(x_t).unsqueeze(0))[0]
            out.append(self.again(self.fc(self.attend(s)).unsqueeze(0))[0])
        return torch.stack(out)


def events(*shape: int) -> torch.Tensor:
    g = torch.Generator().manual_seed(0)
    rate = torch.linspace(0.1, 0.7, shape[0]).reshape(-1, *[1] * (len(shape) - 1))
    return (torch.rand(shape, generator=g) < rate).float()


@pytest.mark.parametrize("tokens", [4, 7, 8])  # multiples of T and H look folded when they are looped
@pytest.mark.parametrize("batch", [B, T])  # [B, tokens, C] of a step may look like [T, B, C]
@pytest.mark.parametrize("how", ["loop", "layers"])
def test_fold_and_loops_agree_per_step_layer_and_sample(how, batch, tokens):
    x = events(T, batch, 2, 8, 8)
    folded = trace(Net("fold", tokens), x, T=T, per_sample=True)
    looped = trace(Net(how, tokens), x, T=T, per_sample=True)
    assert folded.samples == looped.samples == batch
    for a, b in zip(folded.by_step, looped.by_step, strict=True):
        assert [getattr(a, f) for f in FIELDS] == [getattr(b, f) for f in FIELDS]
    for a, b in zip(folded.by_sample, looped.by_sample, strict=True):
        assert [getattr(a, f) for f in FIELDS] == [getattr(b, f) for f in FIELDS]
    assert set(folded.by_layer) == set(looped.by_layer)
    assert len({s.sop for s in folded.by_step}) == T  # the steps do differ
    oracle = [int(F.conv2d(x_t, torch.ones(8, 2, 3, 3), stride=2, padding=1).sum()) for x_t in x]
    conv = next(r for r in looped.records if r.op == "convolution")
    assert [c.sop for c in conv.counts()] == oracle


def test_steps_are_read_off_sequence_neurons():
    x = events(T, B, 2, 8, 8)
    result = trace(Net("fold"), x)
    assert (result.T, result.samples) == (T, B)
    assert not result.warnings


def test_single_step_network_without_T_says_what_to_pass():
    class Cell(Fire):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(6, 6)

    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(6, 6)

        def forward(self, x):
            return sum(self.fc(x_t) for x_t in x)

    x = events(T, B, 6)
    assert trace(Loop(), x).T == 1
    assert any("T is not given" in w for w in trace(Loop(), x).warnings)
    assert [s.sop for s in trace(Loop(), x, T=T).by_step] == [6 * int(x_t.sum()) for x_t in x]


def test_layers_steps_and_samples_add_up_to_the_total():
    result = trace(Net("layers"), events(T, B, 2, 8, 8), per_sample=True)
    assert sum(result.by_layer.values(), Counts()) == result.total
    assert sum(result.by_step, Counts()) == result.total
    assert len(result.by_sample) == B
    total = sum(result.by_sample, Counts())
    assert [getattr(total, f) for f in FIELDS] == [getattr(result.total, f) for f in FIELDS]


def test_no_double_count_in_nested_containers():
    conv = nn.Conv2d(1, 2, 3)
    nested = nn.Sequential(nn.Sequential(nn.Sequential(conv)))
    x = torch.ones(1, 1, 5, 5)
    assert trace(nested, x).by_layer == {"0.0.0": trace(conv, x).by_layer[""]}


def test_a_static_stem_belongs_to_the_first_step_and_a_head_to_the_last():
    class Static(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.fire, self.mid, self.head = (
                nn.Linear(6, 6),
                Fire(),
                nn.Linear(6, 6),
                nn.Linear(6, 2),
            )

        def forward(self, x):  # [B, 6], repeated inside
            x = self.stem(x).expand(T, *x.shape)
            return self.head(self.mid(self.fire(x)).mean(0))

    result = trace(Static(), torch.randn(B, 6))
    layers = {r.path: r for r in result.records if r.kind == "weight"}
    per_step = {path: [c.dense for c in record.counts()] for path, record in layers.items()}
    assert per_step == {"stem": [B * 36, 0, 0, 0], "mid": [B * 36] * T, "head": [0, 0, 0, B * 12]}
    assert {path: record.executions for path, record in layers.items()} == {
        "stem": B,
        "mid": B * T,
        "head": B,
    }


def test_batches_are_streamed_and_equal_one_batch():
    net, x = Net("fold"), events(T, 7, 2, 8, 8)
    whole = trace(net, x)
    parts = trace(net, (part for part in x.split(3, dim=1)))
    assert parts.samples == 7
    assert [s.sop for s in parts.by_step] == [s.sop for s in whole.by_step]
    assert {k: v.sop for k, v in parts.by_layer.items()} == {k: v.sop for k, v in whole.by_layer.items()}


def test_sample_order_does_not_matter():
    net, x = Net("loop"), events(T, B, 2, 8, 8)
    assert trace(net, x).total == trace(net, x.flip(1)).total


def test_inputs_may_be_tuples_dicts_and_labelled_batches():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(3, 2)

        def forward(self, x, scale=None):
            assert scale is None or scale.ndim == 0
            return self.fc(x if scale is None else x * scale)

    net, x = Two(), torch.randn(5, 3)
    dense = trace(net, x).total.dense
    assert trace(net, (x, torch.tensor(2.0))).total.dense == dense
    assert trace(net, {"x": x, "scale": torch.tensor(2.0)}).total.dense == dense
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, torch.arange(5)), batch_size=2)
    result = trace(net, loader)
    assert (result.total.dense, result.samples) == (dense, 5)


def test_shared_modules_keep_all_paths():
    fc = nn.Linear(3, 3)
    net = nn.Sequential(fc, nn.ReLU(), fc)
    result = trace(net, torch.randn(2, 3))
    assert result.aliases == {"0": ["2"]}
    assert result.by_layer["0"].dense == 2 * 2 * 9


def test_a_module_used_at_two_places_inside_per_step_loops():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(6, 6, bias=False)
            self.fire = Fire()

        def forward(self, x):
            x = self.fire(torch.stack([self.fc(x_t) for x_t in x]))
            return torch.stack([self.fc(x_t) for x_t in x])

    net, x = Twice(), events(T, B, 6)
    hidden = net.fire(F.linear(x, net.fc.weight))
    expected = [6 * int(x_t.sum() + h_t.sum()) for x_t, h_t in zip(x, hidden, strict=True)]
    assert [c.sop for c in trace(net, x).by_step] == expected


@pytest.mark.parametrize("size", [1, 2, 4])
def test_chunks_of_steps_agree_with_one_call(size):
    class Chunked(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = Net("fold", 7)

        def forward(self, x):
            return torch.cat([self.net(part) for part in x.split(size)])

    x = events(T, B, 2, 8, 8)
    whole, parts = trace(Net("fold", 7), x, T=T), trace(Chunked(), x, T=T)
    for a, b in zip(whole.by_step, parts.by_step, strict=True):
        assert [getattr(a, f) for f in FIELDS] == [getattr(b, f) for f in FIELDS]
    assert not parts.warnings


def test_sequences_of_different_length():
    net = Net("fold", 4)
    result = trace(net, [events(T, B, 2, 8, 8), events(2, B, 2, 8, 8)])
    assert (result.T, result.samples) == (T, 2 * B)
    assert [s.neuron_steps for s in result.by_step] == [2 * B * 148] * 2 + [B * 148] * 2
    assert any("2 to 4 steps" in w for w in result.warnings)


def test_constant_tensors_shaped_like_data_are_no_data():
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Linear(5, 5, bias=False)

        def forward(self, x):
            h = torch.zeros_like(x[0])
            for x_t in x:
                h = ((self.w(h) + x_t) > 0.5).to(x.dtype)
            return h / torch.full_like(h, 2.0)

    result = trace(Recurrent(), events(T, B, 5), T=T)
    assert result.by_layer["w"].dense == T * B * 25  # the first product with zeros runs too
    assert not result.uncounted


@pytest.mark.parametrize("silent", [[0], [3], [0, 1, 3]])
def test_silent_steps_of_a_loop(silent):
    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.fc = nn.Conv2d(2, 3, 3, padding=1), nn.Linear(6, 4, bias=False)

        def forward(self, x):
            return [(self.conv(x_t), F.avg_pool2d(x_t, 2), self.fc(x_t), x_t @ x_t.mT) for x_t in x]

    x = events(T, B, 2, 6, 6) * 2
    x[silent] = 0
    result = trace(Loop(), x, T=T, per_sample=True)
    for name in ("sop", "sum_abs", "pairs_a", "adds"):
        per_step = [getattr(step, name) for step in result.by_step]
        assert [t for t in range(T) if per_step[t] == 0] == silent
    assert [s.adds for s in result.by_step] == [int(x_t.count_nonzero()) for x_t in x]
    assert sum(s.sum_abs for s in result.by_sample) == result.total.sum_abs
