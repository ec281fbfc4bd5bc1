"""Which values count as spikes, and who has the last word: the values, not the declaration."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from snnkit.energy import NeuronCost, trace
from snnkit.energy.alphabet import BINARY, EMPTY, REAL, Alphabet, has_no_zero, observe


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


class Silent(nn.Module):
    """Two silent spiking branches that are added, masked or averaged before a weight layer."""

    def __init__(self, how):
        super().__init__()
        self.how, self.a, self.b, self.fc = how, Declared(1), Declared(1), nn.Linear(6, 2)

    def forward(self, x):
        a, b = self.a(x), self.b(x - 1)
        joined = {
            "add": a + b,
            "mask": a * b,
            "mean": torch.stack([a, b]).mean(0),
            "cat": torch.cat([a, b], 1),
        }
        return self.fc(joined[self.how])


@pytest.mark.parametrize(
    ("how", "name", "levels"),
    [("add", "integer", 2), ("mask", "binary", 1), ("mean", "integer", 2), ("cat", "binary", 1)],
)
def test_what_silent_layers_can_produce_is_known(how, name, levels):
    result = trace(Silent(how), torch.full((2, 3, 6), -1.0))
    seen = next(r for r in result.records if r.path == "fc").a
    assert (seen.name, seen.levels) == (name, levels)


def test_observation_beats_what_a_sum_of_spikes_could_be():
    net, x = Silent("add"), torch.tensor([0.0, 1, 0, 1, 0, 1]).expand(2, 3, 6)
    assert next(r for r in trace(net, x).records if r.path == "fc").a.name == "binary"


def test_a_neuron_output_that_shares_memory_with_its_state_taints_nothing():
    class Both(Declared):
        def forward(self, x):
            self_state = torch.stack([(x > 0).to(x.dtype), x])
            self.membrane = self_state[1]
            return self_state[0]

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.neuron, self.fc = Both(1), nn.Linear(6, 2, bias=False)

        def forward(self, x):
            self.neuron(x)
            return self.fc(self.neuron.membrane)

    x = torch.randn(2, 3, 6)
    record = next(r for r in trace(Net(), x).records if r.path == "fc")
    assert (record.a, record.total("sop")) == (REAL, 2 * x.numel())


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
    assert result.total.cmps == 3 * 36  # rounding, and a clamp at both ends


@pytest.mark.parametrize("shape", [(0,), (1,), (70_000,), (300, 400), (2, 3, 4)])
def test_zeros_in_weights_are_found(shape):
    x = torch.rand(shape) + 0.5
    for view in (x, x.mT if x.ndim > 1 else x, x.to(torch.bfloat16), x[..., ::2]):
        assert has_no_zero(view)
        if view.numel():
            broken = view.clone(memory_format=torch.preserve_format)
            broken[(-1,) * x.ndim] = 0
            assert not has_no_zero(broken)


def test_autocast_rounding_changes_neither_alphabet_nor_levels():
    few = torch.tensor([[0.41, 0.823]])  # in bfloat16 one is twice the other, within rounding
    ninths = torch.randint(0, 10, (2, 300), generator=torch.Generator().manual_seed(0)) / 9
    with torch.autocast("cpu", torch.bfloat16):
        assert trace(nn.Linear(2, 3), few).records[0].a == REAL
        result = trace(nn.Linear(300, 1), ninths)
    assert result.records[0].a.levels == 9
    assert result.total.sum_abs == round(float(ninths.sum()) * 9)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("levels", [2, 3, 4, 5, 7, 8, 12, 16])
@pytest.mark.parametrize("scale", [1.0, 0.25, 3.0, 0.37])
def test_the_unit_is_the_greatest_common_divisor_of_the_values(scale, levels, dtype):
    for subset in itertools.combinations(range(1, levels + 1), 3 if levels > 2 else 2):
        divisor = math.gcd(*subset)
        if divisor > 1 or levels not in subset:
            continue  # another case of the table
        values = torch.tensor([0, *subset], dtype=torch.float64) * scale / levels
        seen = observe(values.to(dtype))
        assert (seen.is_event, seen.levels) == (True, levels), subset
        assert seen.unit == pytest.approx(scale / levels, rel=1e-2 if dtype == torch.bfloat16 else 2e-3)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize(
    ("batches", "unit", "levels"),
    [
        ([[0.5], [0.75]], 0.25, 3),
        ([[0.5, 1.0], [0.75]], 0.25, 4),
        ([[0.75], [1.0], [0.5]], 0.25, 4),
        ([[1.0], [2 / 3], [1 / 3]], 1 / 3, 3),
        ([[0, 0], [0.4, 0.8], [0.6]], 0.2, 4),
        ([[1.0], [0.5], [0.25], [0.125]], 0.125, 8),
        ([[6.0], [10.0], [-15.0]], 1.0, 15),
    ],
)
def test_a_stream_has_the_unit_of_all_its_values_in_any_order(batches, unit, levels, dtype):
    whole = observe(torch.tensor([v for b in batches for v in b], dtype=dtype))
    for order in itertools.permutations(batches):
        seen = EMPTY
        for batch in order:
            seen = seen | observe(torch.tensor(batch, dtype=dtype))
        assert (seen.is_event, seen.levels, seen.signed) == (True, levels, whole.signed)
        assert seen.unit == pytest.approx(unit, rel=1e-2 if dtype == torch.bfloat16 else 2e-3)
    assert whole.levels == levels


def test_noise_has_no_common_divisor():
    g = torch.Generator().manual_seed(0)
    for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
        found = [observe(torch.rand(12, generator=g).to(dtype)).is_event for _ in range(100)]
        assert not any(found)
        streams = [observe(torch.rand(1, generator=g).to(dtype)) for _ in range(12)]
        union = EMPTY
        for seen in streams:
            union = union | seen
        assert union == REAL


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("levels", [1, 2, 3, 4, 7, 16, 100, 255])
@pytest.mark.parametrize("unit", [0.25, 1 / 3, 1 / 255, 0.37, 2.0])
def test_a_declared_unit_is_exact_at_any_number_of_levels(unit, levels, dtype):
    counts = torch.tensor([0, levels, max(levels // 2, 1)])
    for values in (counts.to(dtype) * unit, counts.to(dtype) * torch.tensor(unit, dtype=dtype)):
        seen = observe(values, unit)
        assert (seen.is_event, seen.unit) == (True, unit)
        blurred = dtype == torch.bfloat16 and levels >= 100  # of 8 bits, one step of the type
        assert abs(seen.levels - levels) <= blurred
    if levels < 100:
        assert observe((counts + 0.4).to(dtype) * unit, unit).unit != unit


def test_a_neuron_with_counts_stays_priced_as_events_through_a_stream():
    from snnkit.neurons import IELIF

    net = nn.Sequential(IELIF(4), nn.Linear(6, 2))
    x = torch.tensor([0.5, 0.75, 1.0, 0, 0, 0]).expand(2, 3, 6)
    low = torch.tensor([0, 0.5, 0, 0, 0, 0]).expand(2, 3, 6)
    for batches in ([x], [low, x], [x, low], [low]):
        record = next(r for r in trace(net, batches).records if r.path == "1")
        assert (record.a.is_event, record.a.unit) == (True, 0.25)
        units = sum(float(b.sum()) for b in batches) / 0.25
        assert sum(c.sum_abs for c in record.counts()) == 2 * units
    plain = trace(nn.Linear(6, 2), x)  # nothing declared
    assert (plain.records[0].a.levels, plain.records[0].a.unit) == (4, 0.25)
    broken = trace(nn.Sequential(Declared(1), nn.Linear(6, 2)), x.new_tensor([2.0, 3.0]).repeat(2, 3, 3))
    assert broken.records[-1].a.unit == 1
