"""Build a network in code and learn what one inference costs, beside the same network without spikes."""

import torch
from torch import nn

import snnkit

torch.manual_seed(0)
net = nn.Sequential(
    snnkit.PerStep(nn.Conv2d(2, 16, 3, padding=1), nn.BatchNorm2d(16)),
    snnkit.LIF(tau=2.0, threshold=0.2),
    snnkit.PerStep(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(256, 10)),
    snnkit.LeakyIntegrator(tau=2.0),
).eval()
x = torch.poisson(torch.full((8, 4, 2, 16, 16), 0.3))  # [T, B, polarity, H, W]: event counts

with torch.no_grad():
    print("potentials of the last step:", net(x)[-1].shape)
trace = snnkit.energy.trace(net, x)  # what happened: exact counts, no hardware yet
report = snnkit.energy.price(trace, hardware="45nm-fp32")
ann = report.counterpart("ann")
print(f"{report.total_pj / 1e3:.1f} nJ per inference, ANN twin {ann.total_pj / 1e3:.1f} nJ")
for path, counts in trace.by_layer.items():
    if counts.dense:
        print(f"  {path}: {counts.sop:,} synaptic operations of {counts.dense:,} multiply-accumulates")
