"""One small network, counted by loops in plain Python, by snnkit and by the counters in use.

    python -m benchmarks.energy_counters

Writes the tables of docs/counters.md. All weights are small integers and all decays powers of two, so that
every machine counts the same. spikingjelly's counters are run. NeuroBench 2.3 and syops 0.0.5 cannot be
installed beside every torch: their rules are written out below, as read in their source code. With neurobench
on the path, ``--check`` compares its own answers with these.
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

import snnkit
from snnkit.energy import footprint_bytes, price, trace

T, BATCH, AC_PJ, MAC_PJ = 4, 2, 0.9, 4.6
THRESHOLDS = (1, 2, 2, 2, 1, 8, 2)
PAGE = Path(__file__).parent.parent / "docs" / "counters.md"
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


class Product(nn.Module):
    """Matrix product of two activations; a module, so that every counter can name it."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a @ b


class Network(nn.Module):
    """Padding, stride, groups, a residual sum of spikes, pooling, attention, upsampling, pruned weights."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 8, 3, padding=1, bias=False)
        self.down = nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.branch = nn.Conv2d(16, 16, 1, bias=False)
        self.mix = nn.Conv2d(16, 16, 3, padding=1, groups=4, bias=False)
        self.qkv = nn.Linear(16, 48, bias=False)
        self.scores, self.context = Product(), Product()
        self.up = nn.ConvTranspose2d(16, 4, 3, stride=2, padding=1, bias=False)
        self.head = nn.Linear(196, 10)
        self.neurons = nn.ModuleList(snnkit.LIF(tau=2.0, threshold=v) for v in THRESHOLDS)
        draw = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for p in self.parameters():
                p.copy_(torch.tensor([-2.0, -1, 1, 2])[torch.randint(0, 4, p.shape, generator=draw)])
            self.head.weight.mul_(torch.rand(self.head.weight.shape, generator=draw) < 0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Events ``[T, B, 2, 16, 16]`` to potentials ``[T, B, 10]``; layers see ``[T B, ...]``."""

        def fire(i: int, y: Tensor) -> Tensor:
            return self.neurons[i](y.unflatten(0, x.shape[:2])).flatten(0, 1)

        y = fire(0, self.stem(x.flatten(0, 1)))
        y = fire(1, self.down(y))
        y = y + fire(2, self.branch(y))  # as in SEW-ResNet: 0, 1 or 2
        y = fire(3, self.mix(y))
        tokens = nn.functional.avg_pool2d(y, 2).flatten(2).mT
        q, k, v = fire(4, self.qkv(tokens)).chunk(3, -1)
        y = fire(5, self.context(self.scores(q, k.mT), v))
        y = fire(6, self.up(y.mT.unflatten(2, (4, 4))))
        return self.head(y.flatten(1)).unflatten(0, x.shape[:2])


@dataclass(frozen=True)
class Answer:
    """Accumulations and multiply-accumulates of one operation."""

    ac: float = 0.0
    mac: float = 0.0

    @property
    def pj(self) -> float:
        return AC_PJ * self.ac + MAC_PJ * self.mac

    def __str__(self) -> str:
        parts = [f"{n:,.0f} {kind}" for n, kind in ((self.ac, "AC"), (self.mac, "MAC")) if n]
        return " + ".join(parts) or "0"


Answers = dict[str, Answer]
Seen = dict[str, tuple[nn.Module, tuple[Tensor, ...], Tensor]]


def record(net: Network, x: Tensor) -> Seen:
    """Inputs and output of every operation."""
    seen: Seen = {}
    hooks = [
        module.register_forward_hook(lambda m, args, out, name=name: seen.update({name: (m, args, out)}))
        for name, module in net.named_children()
        if name != "neurons"
    ]
    net(x)
    for hook in hooks:
        hook.remove()
    return seen


# -- the truth: loops over events and taps ----------------------------------------------------------------


def truth(module: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> Answer:
    """Every unit event visits every tap that exists, one addition each."""
    if isinstance(module, Product):
        pairs = zip(args[0].flatten(0, -3), args[1].flatten(0, -3), strict=True)
        return Answer(ac=sum(min(_events(a) * b.shape[1], _events(b) * a.shape[0]) for a, b in pairs))
    (x,) = args
    unit = min(abs(v) for v in x.flatten().tolist() if v)
    total = 0
    for place in x.nonzero().tolist():
        level = round(float(x[tuple(place)]) / unit)
        if isinstance(module, nn.Linear):
            total += level * module.out_features
        else:
            fan = module.out_channels // module.groups
            total += level * fan * _taps(module, place[2:], out.shape[2:])
    return Answer(ac=total)


def _events(x: Tensor) -> int:
    """Sent as unit events: a value of n is n of them."""
    return sum(round(v) for v in x.flatten().tolist())


def _taps(conv: nn.Conv2d | nn.ConvTranspose2d, place: list[int], size: Iterable[int]) -> int:
    """Taps over which an input at ``place`` reaches an output, one by one."""
    found = 0
    for tap in itertools.product(*(range(k) for k in conv.kernel_size)):
        hit = True
        for i, t, n, s, p in zip(place, tap, size, conv.stride, conv.padding, strict=True):
            if isinstance(conv, nn.ConvTranspose2d):
                hit = hit and 0 <= i * s - p + t < n
            else:
                hit = hit and (i + p - t) % s == 0 and 0 <= (i + p - t) // s < n
        found += hit
    return found


# -- the counters -----------------------------------------------------------------------------------------


def of_snnkit(net: Network, x: Tensor, seen: Seen) -> Answers:
    """Means per inference, times the number of inferences."""
    report = price(trace(net, x), terms=["ac", "mac"], dataflow="compute")
    answers = {name: Answer() for name in seen}
    for line in report.lines:
        old, count = answers[line.layer], line.count * report.samples
        answers[line.layer] = Answer(
            old.ac + count * (line.term == "ac"), old.mac + count * (line.term == "mac")
        )
    return answers


def of_spikingjelly(net: Network, x: Tensor, seen: Seen) -> Answers:
    """Its SynOpCounter for accumulations and its MACCounter, in one run."""
    from spikingjelly.activation_based.op_counter import DispatchCounterMode, MACCounter, SynOpCounter

    synops, macs = SynOpCounter(), MACCounter()
    with DispatchCounterMode([synops, macs]):
        net(x)
    found = [counter.get_counts() for counter in (synops, macs)]
    sums = [[sum(c.get(f"Network.{name}", {}).values()) for c in found] for name in seen]
    return {name: Answer(*pair) for name, pair in zip(seen, sums, strict=True)}


def of_neurobench(net: Network, x: Tensor, seen: Seen) -> Answers:
    """Pairs of nonzero input and weight in linear layers and convolutions; ACs if all inputs are -1, 0, 1."""
    answers = {}
    for name, (module, args, _) in seen.items():
        answers[name] = Answer()
        if isinstance(module, (nn.Linear, *CONVOLUTIONS)):
            ones = {"weight": module.weight.ne(0).float()}
            if module.bias is not None:
                ones["bias"] = torch.zeros_like(module.bias)
            pairs = float(torch.func.functional_call(module, ones, (args[0].ne(0).float(),)).sum())
            spiking = bool(torch.isin(args[0], torch.tensor([-1.0, 0, 1])).all())
            answers[name] = Answer(ac=pairs) if spiking else Answer(mac=pairs)
    return answers


def of_syops(net: Network, x: Tensor, seen: Seen) -> Answers:
    """Dense slots times the mean input, if that has at most two values within 0..1; else MACs."""
    answers = {}
    for name, (module, args, out) in seen.items():
        answers[name] = Answer()
        if isinstance(module, nn.Linear):
            dense = args[0].numel() * module.out_features
            dense += module.out_features * (module.bias is not None)  # once per call
        elif isinstance(module, (*CONVOLUTIONS, nn.ConvTranspose2d)):
            places = out.numel() // module.out_channels
            dense = places * math.prod(module.kernel_size) * module.in_channels
            dense *= module.out_channels // module.groups
            dense += out.numel() * (module.bias is not None)
        else:
            continue  # functions and modules of other classes
        values = args[0].unique()
        if len(values) <= 2 and values.min() >= 0 and values.max() <= 1:
            answers[name] = Answer(ac=dense * float(args[0].mean()))
        else:
            answers[name] = Answer(mac=dense)
    return answers


COUNTERS: dict[str, Callable[[Network, Tensor, Seen], Answers]] = {
    "snnkit": of_snnkit,
    "spikingjelly 2.0": of_spikingjelly,
    "NeuroBench 2.3": of_neurobench,
    "syops 0.0.5": of_syops,
}


def check_neurobench(net: Network, seen: Seen) -> None:
    """The rule written out above gives what the package gives."""
    from neurobench.metrics.static import Footprint
    from neurobench.metrics.utils.layers import single_layer_MACs
    from neurobench.models import TorchModel

    for name, answer in of_neurobench(net, inputs(), seen).items():
        module, args, _ = seen[name]
        if answer != Answer():
            pairs, spiking = single_layer_MACs(args[0], module)
            assert (answer.ac if spiking else answer.mac) == float(pairs), name
    assert Footprint()(TorchModel(net)) == footprint_bytes(net)


# -- fused kernels ----------------------------------------------------------------------------------------


class Attention(nn.Module):
    """Scaled dot products of its input with itself."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.scaled_dot_product_attention(x, x, x)


def fused() -> list[tuple[str, int, int, int, int]]:
    """Layers that torch hands over in one piece: true MACs, then snnkit, spikingjelly, FlopCounterMode."""
    from spikingjelly.activation_based.op_counter import DispatchCounterMode, MACCounter
    from torch.utils.flop_counter import FlopCounterMode

    x = torch.randn(6, 3, 8, generator=torch.Generator().manual_seed(0))
    cases: list[tuple[str, nn.Module, tuple[Tensor, ...], type, int]] = [
        ("LSTM(8, 5)", nn.LSTM(8, 5), (x,), torch.no_grad, 6 * 3 * 4 * 5 * (8 + 5)),
        ("scaled_dot_product_attention", Attention(), (x.unsqueeze(0),), torch.no_grad, 2 * 6 * 3 * 3 * 8),
        (
            "MultiheadAttention(8, 2), eval", nn.MultiheadAttention(8, 2, batch_first=True).eval(), (x, x, x),
            torch.no_grad, 6 * 3 * 8 * (3 * 8 + 8) + 2 * 6 * 3 * 3 * 8,
        ),
        ("Linear(8, 5)", nn.Linear(8, 5), (x,), torch.inference_mode, 6 * 3 * 8 * 5),
    ]  # fmt: skip
    rows = []
    for name, module, args, mode, macs in cases:
        with mode():
            counted = trace(module, args, T=1).total.dense
            jelly, flops = MACCounter(), FlopCounterMode(display=False)
            with DispatchCounterMode([jelly]):
                module(*args)
            with flops:
                module(*args)
        label = f"{name}, {mode.__name__}"
        rows.append((label, macs, counted, int(jelly.get_total()), flops.get_total_flops() // 2))
    return rows


# -- the page ---------------------------------------------------------------------------------------------

HEAD = """# Counters side by side

Written by `python -m benchmarks.energy_counters`, which builds one small network, runs it on binary events
({T} steps, {B} samples) and counts the accumulations (AC) and multiply-accumulates (MAC) of every operation.
The truth is a loop in plain Python: every event visits every tap that exists, one addition each; a value of
n units is n events; of a product of two activations, the operand that needs fewer additions is streamed.

spikingjelly's `SynOpCounter` and `MACCounter` are run. NeuroBench and syops are represented by their rules,
written out in the script from their source code; both were compared with the code of the packages. Each tool
is right by its own definition: the page shows what the definitions count.
"""
NOTES = """
Percentages are deviations from the true number of operations. A MAC where the truth is an AC is a matter of
classification; it costs {ratio:.1f} times as much in the last row ({ac} pJ per AC, {mac} pJ per MAC).

- **stem, down**: padding and stride. Rate times dense counts taps that fall on padding.
- **branch**: a 1x1 convolution has no padding: all agree.
- **mix**: its input is a residual sum of spikes, 0, 1 or 2. Sent as unit events these are additions; counters
  that know binary inputs only see multiplications. `price(multilevel="mac")` prices it that way.
- **qkv**: pooled spikes, multiples of 1/4: the same.
- **scores, context**: products of two activations. If both are binary, spikingjelly counts the pairs in which
  both are active (as AND hardware would; `pairs_ab` here). Hooks on layers do not see functions at all.
- **up**: a transposed convolution has taps by its input; the size of its output says nothing.
- **head**: half of its weights are zero. NeuroBench skips them, as hardware with sparse weights would; snnkit
  reports that number too ({sop_w:,} as `sop_w`). syops adds the bias once per call.

Footprint (parameters and buffers, NeuroBench's definition): {footprint:,} bytes.

## Layers that torch runs in one piece

True MACs from the sizes; random real inputs.

"""


def page() -> str:
    """Both tables with their explanation, in Markdown."""
    net, x = Network().eval(), inputs()
    with torch.no_grad():
        seen = record(net, x)
        columns = {"truth": {name: truth(*call) for name, call in seen.items()}}
        columns |= {name: count(net, x, seen) for name, count in COUNTERS.items()}
        sop_w = trace(net, x).by_layer["head"].sop_w
    right = columns["truth"]
    lines = [_line("operation", "input", *columns), "|---" * (len(columns) + 2) + "|"]
    for name, (_, args, _) in seen.items():
        cells = [str(right[name]), *(_cell(columns[c][name], right[name]) for c in COUNTERS)]
        lines.append(_line(f"`{name}`", _values(args[0]), *cells))
    totals = [sum(answer.pj for answer in column.values()) / BATCH / 1e3 for column in columns.values()]
    lines.append(_line("energy per sample", "", *(f"{pj:,.1f} nJ" for pj in totals)))
    notes = NOTES.format(
        ratio=MAC_PJ / AC_PJ, ac=AC_PJ, mac=MAC_PJ, sop_w=sop_w, footprint=footprint_bytes(net)
    )
    of_fused = [
        _line("layer", "truth", "snnkit", "spikingjelly 2.0", "FlopCounterMode / 2"),
        "|---" * 5 + "|",
    ]
    of_fused += [_line(row[0], *(f"{n:,}" for n in row[1:])) for row in fused()]
    return HEAD.format(T=T, B=BATCH) + "\n" + "\n".join(lines) + "\n" + notes + "\n".join(of_fused) + "\n"


def _line(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _values(x: Tensor) -> str:
    values = [f"{v:g}" for v in x.unique().tolist()]
    return ", ".join(values) if len(values) < 4 else f"{values[0]} to {values[-1]}"


def _cell(answer: Answer, right: Answer) -> str:
    number, true = answer.ac + answer.mac, right.ac + right.mac
    if not number:
        return "not counted"
    return str(answer) if number == true else f"{answer} ({100 * (number / true - 1):+.0f} %)"


def inputs() -> Tensor:
    """Binary events ``[T, B, 2, 16, 16]``."""
    draw = torch.Generator().manual_seed(1)
    return (torch.rand(T, BATCH, 2, 16, 16, generator=draw) < 0.15).float()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="compare with the neurobench that is installed")
    if parser.parse_args().check:
        net = Network().eval()
        with torch.no_grad():
            check_neurobench(net, record(net, inputs()))
        print("neurobench gives the same")
        return
    PAGE.write_text(page())
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
