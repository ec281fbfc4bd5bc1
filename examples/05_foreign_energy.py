"""Energy of networks built with spikingjelly and with snntorch: counted exactly, without adapters."""

import warnings

import torch
from torch import nn

import snnkit

with warnings.catch_warnings():  # both warn about optional packages when they are imported
    warnings.simplefilter("ignore")
    import snntorch
    from spikingjelly.activation_based import functional, layer, neuron

torch.manual_seed(0)
x = (torch.rand(4, 2, 2, 16, 16) < 0.2).float()  # [T, B, C, H, W]

theirs = nn.Sequential(
    layer.Conv2d(2, 8, 3, padding=1, step_mode="m"),
    neuron.LIFNode(step_mode="m"),
    layer.Flatten(step_mode="m"),
    layer.Linear(8 * 256, 10, step_mode="m"),
)
trace = snnkit.energy.trace(theirs, x, T=4)
functional.reset_net(theirs)
energy = snnkit.energy.price(trace).total_pj / 1e3
print(f"spikingjelly: {energy:.1f} nJ per inference, {trace.total.sop:,} synaptic operations")


class Loop(nn.Module):
    """The usual snntorch network: a loop over time."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(512, 64), snntorch.Leaky(beta=0.9)
        self.fc2, self.lif2 = nn.Linear(64, 10), snntorch.Leaky(beta=0.9)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        out = []
        for x_t in x:
            spikes, mem1 = self.lif1(self.fc1(x_t.flatten(1)), mem1)
            spikes, mem2 = self.lif2(self.fc2(spikes), mem2)
            out.append(spikes)
        return torch.stack(out)


trace = snnkit.energy.trace(Loop(), x, T=4)
report = snnkit.energy.price(trace)
print(f"snntorch: {report.total_pj / 1e3:.1f} nJ per inference, {trace.total.sop:,} synaptic operations")
print("not counted:", report.uncounted or "nothing")
