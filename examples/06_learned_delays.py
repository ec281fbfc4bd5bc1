"""Learned delays bring spikes of different times together: how long was the pause between two groups?

python examples/06_learned_delays.py
"""

from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

import snnkit
from snnkit import plot
from snnkit.neurons import DelayLinear, SigmaSchedule, delay_param_groups, project_delays

STEPS, GROUP, CLASSES, D, EPOCHS = 50, 8, 6, 24, 20
OUT = Path("runs/delays")


def recordings(number: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The second group of inputs fires 4y steps after the first; random onsets, a step of jitter."""
    y = torch.randint(CLASSES, (number,))
    t = torch.randint(4, (number, 1)) + torch.randint(2, (number, 2 * GROUP))
    t[:, GROUP:] += 4 * y[:, None]
    return F.one_hot(t, STEPS).permute(2, 0, 1).float(), y


torch.manual_seed(0)
torch.set_num_threads(1)
delays = DelayLinear(2 * GROUP, 32, D, kind="synaptic")
net = nn.Sequential(delays, snnkit.PerStep(nn.BatchNorm1d(32)), snnkit.LIF(tau=1.005, decay_input=False))
readout = nn.Linear(32, CLASSES)
both = nn.ModuleList([net, readout])
x, y = recordings(400)
test_x, test_y = recordings(300)
before, spikes_before = delays.delay.detach().clone(), net(x[:, :1]).detach()

optimizer = torch.optim.Adam(delay_param_groups(both, 1e-2, delay_lr=0.2))
project_delays(both, optimizer)
sigma = SigmaSchedule(net, EPOCHS // 2)
for _ in range(EPOCHS):
    for index in torch.randperm(len(y)).split(50):
        optimizer.zero_grad()
        F.cross_entropy(readout(net(x[:, index]).sum(0)), y[index]).backward()
        optimizer.step()
    sigma.step()

both.eval()
with torch.no_grad():
    found = (readout(net(test_x).sum(0)).argmax(-1) == test_y).float().mean()
    spikes_after = net(x[:, :1])
print(f"accuracy with delays in whole steps: {100 * found:.1f} %, chance {100 / CLASSES:.1f} %")
print(f"delays moved by {(delays.delay - before).abs().mean():.1f} steps on average")
plot.save(plot.delay_histogram({"before": before, "after": delays.delay}, D), OUT / "histogram.png")
plot.save(plot.delay_kernels(delays.kernel(rounded=True), output=3), OUT / "kernel.png")
for name, s in {"input": x[:, 0], "before": spikes_before[:, 0], "after": spikes_after[:, 0]}.items():
    plot.save(plot.raster(s), OUT / f"raster_{name}.png")
print(f"wrote {OUT}/")
