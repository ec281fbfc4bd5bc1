"""Layers with delays: counted by what they connect, whatever computes them; memory by hand."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import pytest
import torch
from torch import nn

from snnkit.energy import price, trace
from snnkit.errors import InputTypeError, ShapeError

T, B, I, O, D = 7, 3, 4, 5, 3  # noqa: E741


class Declared(NamedTuple):
    weight: torch.Tensor | None
    delays: tuple[torch.Tensor, ...]
    max_delay: int
    bias: bool = False


class DelayLayer(nn.Module):
    """A layer as another package might write it: by a loop, a convolution, or a Fourier transform."""

    def __init__(self, how: str, *shapes: tuple[int, ...], synapses: int = 1) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(1)
        self.how = how
        self.weight = nn.Parameter(torch.randint(-2, 3, (O, I, synapses), generator=draw).float())
        self.delays = [torch.randint(0, D // len(shapes) + 1, shape, generator=draw) for shape in shapes]

    def lag(self) -> torch.Tensor:
        return sum(d.reshape(*d.shape, *[1] * (3 - d.ndim)) for d in self.delays).expand_as(self.weight)

    def kernel(self) -> torch.Tensor:
        kernel = torch.zeros(O, I, D + 1)
        return kernel.scatter_add(2, self.lag(), self.weight)  # [O, I, lag]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kernel, line = self.kernel(), x.permute(1, 2, 0)
        if self.how == "convolution":
            z = nn.functional.conv1d(nn.functional.pad(line, (D, 0)), kernel.flip(2))
        elif self.how == "fourier":
            n = T + D + 1
            z = torch.einsum("bin,oin->bon", torch.fft.rfft(line, n), torch.fft.rfft(kernel, n))
            z = torch.fft.irfft(z, n)[..., :T]
        else:
            shifted = [nn.functional.pad(line, (d, 0))[..., :T] for d in range(D + 1)]
            z = sum(torch.einsum("bit,oi->bot", s, kernel[..., d]) for d, s in enumerate(shifted))
        return z.permute(2, 0, 1)

    def energy_delays(self) -> Declared:
        return Declared(self.weight, tuple(self.delays), D)


def events(levels: int = 1) -> torch.Tensor:
    draw = torch.Generator().manual_seed(0)
    hit = torch.rand(T, B, I, generator=draw) < 0.4
    return hit * torch.randint(1, levels + 1, (T, B, I), generator=draw).float()


PLACES = {"axonal": [(1, I)], "dendritic": [(O, 1)], "synaptic": [(O, I)], "separable": [(1, I), (O, 1)]}


@pytest.mark.parametrize("levels", [1, 3])
@pytest.mark.parametrize("how", ["loop", "convolution", "fourier"])
@pytest.mark.parametrize("kind", PLACES)
def test_counts_equal_a_loop_over_events_and_synapses(kind, how, levels):
    layer, x = DelayLayer(how, *PLACES[kind]), events(levels)
    result = trace(layer, x)
    assert not result.uncounted
    assert not result.warnings
    expected = [dict.fromkeys(("sop", "sop_w", "sum_abs"), 0) for _ in range(T)]
    lag = layer.lag().squeeze(2)
    for (t, b, i), o in itertools.product(x.nonzero().tolist(), range(O)):
        if t + int(lag[o, i]) < T:
            expected[t]["sop"] += 1
            expected[t]["sop_w"] += float(layer.weight.detach()[o, i, 0]) != 0
            expected[t]["sum_abs"] += int(x[t, b, i])
    for counts, right in zip(result.by_step, expected, strict=True):
        assert {name: getattr(counts, name) for name in right} == right
    slots = sum(max(T - int(d), 0) for d in lag.flatten()) * B
    assert (result.total.dense, result.total.valid) == (T * B * O * I, slots)
    assert (result.total.nnz_in, result.total.numel_out) == (int(x.count_nonzero()), T * B * O)


def test_several_synapses_per_pair():
    layer, x = DelayLayer("loop", (O, I, 2), synapses=2), events()
    arrive = sum(
        t + int(layer.lag()[o, i, s]) < T
        for (t, _, i), o, s in itertools.product(x.nonzero().tolist(), range(O), range(2))
    )
    assert trace(layer, x).total.sop == arrive


class Line(nn.Module):
    """Holds events of each channel back."""

    def __init__(self) -> None:
        super().__init__()
        self.delay = torch.arange(I) % (D + 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        held = [nn.functional.pad(x[:, :, i], (0, 0, int(d), 0))[:T] for i, d in enumerate(self.delay)]
        return torch.stack(held, 2)

    def energy_delays(self) -> Declared:
        return Declared(None, (self.delay,), D)


def test_a_line_of_events_before_a_layer():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.line, self.fc = Line(), nn.Linear(I, O, bias=False)

        def forward(self, x):
            return self.fc(self.line(x))

    net, x = Net(), events()
    result = trace(net, x)
    assert result.by_layer["line"].nnz_in == int(x.sum())
    assert result.by_layer["fc"].sop == O * int(net.line(x).sum())
    assert sum(line.count for line in price(result).lines if line.layer == "line") == pytest.approx(
        3 * int(x.sum()) / B  # written, read, and its delay looked up
    )


@pytest.mark.parametrize("dataflow", ["event", "compulsory"])
@pytest.mark.parametrize("kind", ["axonal", "dendritic", "synaptic"])
def test_memory_by_hand(kind, dataflow, tmp_path):
    """One bit of any memory costs 1 pJ here."""
    path = tmp_path / "unit.toml"
    path.write_text(
        'id = "unit"\narithmetic = "int"\nbits = 8\n'
        + "".join(
            f'[[op]]\nname = "{op}"\ndtype = "int"\nbits = 8\npj = 0\nsource = "x"\n'
            for op in ("add", "mul", "cmp")
        )
        + '[[mem]]\nlevel = "all"\naccess_bits = 1\npj = 1.0\nsource = "x"\n'
    )
    layer, x = DelayLayer("loop", *PLACES[kind]), events()
    result = trace(layer, x)
    report = price(result, path, dataflow=dataflow)
    code, spikes, sop, outputs = 2, int(x.sum()) / B, result.total.sop / B, T * O  # ceil(log2(D + 1)) = 2
    waits = {
        "axonal": 2 * spikes * 1,
        "dendritic": 2 * outputs * 8,
        "synaptic": 2 * sop * 8 + 2 * outputs * 8,
    }[kind]
    number = {"axonal": I, "dendritic": O, "synaptic": O * I}[kind]
    each = {"axonal": spikes, "dendritic": outputs, "synaptic": sop}[kind]
    table = code * (number if dataflow == "compulsory" else each)
    assert report.by_term["mem_c"] == pytest.approx(waits + table)
    accumulators = 0.0 if kind == "synaptic" or dataflow == "compulsory" else 2 * sop * 8
    assert report.by_term.get("mem_p", 0.0) == pytest.approx(accumulators)
    assert "mem_c" not in report.counterpart("ann").by_term  # one step: nothing waits


def test_a_norm_after_a_delay_layer_is_folded():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.delay, self.norm = DelayLayer("convolution", (1, I)), nn.BatchNorm1d(O)

        def forward(self, x):
            return self.norm(self.delay(x).flatten(0, 1)).unflatten(0, (T, B))

    total = trace(Net().eval(), events()).total
    assert (total.muls, total.bias_add) == (0, T * B * O)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (lambda d: d._replace(delays=(torch.full((O, I), 0.5),)), InputTypeError, "whole steps"),
        (lambda d: d._replace(delays=(torch.full((O, I), D + 1),)), InputTypeError, "max_delay = 3"),
        (lambda d: d._replace(delays=(torch.full((O, I), -1),)), InputTypeError, "whole steps"),
        (lambda d: d._replace(delays=(torch.zeros(O, I + 1),)), ShapeError, "broadcast"),
        (lambda d: d._replace(delays=()), ShapeError, "broadcast"),
        (lambda d: d.weight, InputTypeError, "got Parameter, expected an object with weight"),
        (lambda d: d._replace(weight=torch.zeros(O, I + 1, 1)), ShapeError, "expected a weight"),
        (lambda d: d._replace(weight=None), ShapeError, "one for each of the 4 channels"),
    ],
)
def test_declarations_that_do_not_fit(change, error, match):
    class Wrong(DelayLayer):
        def energy_delays(self):
            return change(super().energy_delays())

    with pytest.raises(error, match=match):
        trace(Wrong("loop", (O, I)), events())
