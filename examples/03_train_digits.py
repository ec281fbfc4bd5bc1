"""Train a small spiking network on event-camera digits in plain torch, in well under a minute."""

import torch
from torch import nn
from torch.nn import functional as F

import snnkit
from snnkit.data import DigitsEvents

torch.manual_seed(0)
frames, labels = DigitsEvents(split="train", T=4).tensors()  # [N, T, 2, 16, 16]
test_frames, test_labels = DigitsEvents(split="test", T=4).tensors()
net = nn.Sequential(
    snnkit.PerStep(nn.Conv2d(2, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16)),
    snnkit.LIF(decay_input=False, reset="soft", detach_reset=True),
    snnkit.PerStep(nn.Flatten(), nn.Linear(16 * 64, 10)),
)
optimizer = torch.optim.AdamW(net.parameters(), lr=5e-3)
for _ in range(8):
    for batch in torch.randperm(len(labels)).split(64):
        loss = F.cross_entropy(net(frames[batch].transpose(0, 1)).mean(0), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
with torch.no_grad():
    predicted = net.eval()(test_frames.transpose(0, 1)).mean(0).argmax(-1)
print(f"test accuracy {100 * (predicted == test_labels).float().mean():.1f} %")
