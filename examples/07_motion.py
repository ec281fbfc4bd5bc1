"""Which way do dots move? A dense delay axis learns it, and few of its weights are needed (after HD-SNN).

    B[t, c, y, x] = bias[c] + sum_{k, dy, dx} K[c, k, dy, dx] s[t-k, y-dy, x-dx],    Pr(motion c) = sigmoid(B)

One logistic regression at every spike: elsewhere, a movie that looks alike everywhere
tells it nothing. A movie's motion has the largest mean of Pr. A small form of arXiv 2307.14077, on movies of
our own: weights are pruned by size, and beside that the delays are cut short.

python examples/07_motion.py
"""

import math
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional as F

from snnkit import plot

MOTIONS, D, K, T, SIZE, DOTS = 8, 4, 9, 12, 16, 10
OUT = Path("runs/motion")


def movies(number: int) -> tuple[torch.Tensor, torch.Tensor]:
    """``[N, 1, T, H, W]`` spikes of dots that all move one step per frame; a fifth of the spikes is noise."""
    y = torch.arange(number) % MOTIONS
    angle = y * (2 * math.pi / MOTIONS)
    speed = torch.stack([angle.sin(), angle.cos()], -1)[:, None, None]
    place = SIZE * torch.rand(number, DOTS, 1, 2) + speed * torch.arange(T)[:, None]
    row, column = (place.round().long() % SIZE).unbind(-1)
    spikes = torch.rand(number, T, SIZE, SIZE).lt(DOTS / 4 / SIZE**2).float()
    spikes[torch.arange(number)[:, None, None], torch.arange(T), row, column] = 1
    return spikes.unsqueeze(1), y


class Motion(nn.Module):
    """B ``[N, motions, T, H, W]``; lag 0 of the kernel is its last slice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(1, MOTIONS, (D + 1, K, K))
        nn.init.normal_(self.conv.weight, std=1e-3)
        nn.init.constant_(self.conv.bias, -math.log(MOTIONS - 1))  # the prior of a motion

    def forward(self, s: torch.Tensor) -> torch.Tensor:
        wrapped = F.pad(s[:, 0], [K // 2] * 4, mode="circular").unsqueeze(1)
        return self.conv(F.pad(wrapped, (0, 0, 0, 0, D, 0)))


def accuracy(net: Motion, weight: torch.Tensor) -> float:
    """With that kernel in place of the learned one."""
    learned = net.conv.weight.data
    net.conv.weight.data = weight
    with torch.no_grad():
        right = ((net(test_s).sigmoid() * test_s).mean((2, 3, 4)).argmax(-1) == test_y).float().mean().item()
    net.conv.weight.data = learned
    return 100 * right


torch.manual_seed(0)
torch.set_num_threads(1)
net, (test_s, test_y) = Motion(), movies(200)
optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
for _ in range(100):
    s, y = movies(16)
    evidence = net(s)
    target = F.one_hot(y, MOTIONS).float()[:, :, None, None, None].expand_as(evidence)
    optimizer.zero_grad()
    F.binary_cross_entropy_with_logits(evidence, target, s.expand_as(evidence)).backward()
    optimizer.step()

kernel = net.conv.weight.detach().clone()
full = accuracy(net, kernel)
sizes = kernel.abs().flatten().sort(descending=True).values
shares = [2.0**-i for i in range(11)]
pruned = [accuracy(net, kernel * (kernel.abs() >= sizes[int(len(sizes) * share) - 1])) for share in shares]
late = torch.arange(D, -1, -1).view(1, 1, -1, 1, 1)  # the lag of every slice
short = [accuracy(net, kernel * (late <= d)) for d in range(D, -1, -1)]
print(f"accuracy {full:.1f} %, chance {100 / MOTIONS:.1f} %; with 1/16 of the weights {pruned[4]:.1f} %")

figure, axes = plt.subplots(MOTIONS, D + 1, figsize=(5, 8), layout="constrained")
far = float(kernel.abs().max())
for c, row in enumerate(axes):
    for d, ax in enumerate(row):
        ax.imshow(kernel[c, 0, D - d], cmap="RdBu", vmin=-far, vmax=far, origin="lower")
        ax.set(xticks=[], yticks=[])
        if c == 0:
            ax.set_title(f"lag {d}", fontsize=9)
    row[0].set_ylabel(f"{360 * c // MOTIONS} deg", fontsize=9)
plot.save(axes[0, 0], OUT / "kernels.png")

_, ax = plt.subplots(figsize=(5, 3))
ax.semilogx(shares, pruned, "o-", label="smallest weights removed")
ax.semilogx([(D + 1 - i) / (D + 1) for i in range(D + 1)], short, "s--", label="longest delays removed")
ax.axhline(100 / MOTIONS, color="0.6", linewidth=1)
ax.set(xlabel="share of weights that remains", ylabel="accuracy (%)", ylim=(0, 105))
ax.legend(frameon=False, loc="center", fontsize=8)
ax.figure.set_layout_engine("tight")
plot.save(ax, OUT / "pruning.png")
print(f"wrote {OUT}/")
